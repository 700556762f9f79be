package main

import (
	"context"
	"math"
	"slices"
	"strings"

	"github.com/sluicegw/sluice/policy/route"
	"github.com/sluicegw/sluice/xds"
)

const (
	// weighedGroups are looked at in one second; with more groups, each takes its turn.
	weighedGroups = 200
	// diceThrown are the plans made of a group to see how its calls are shared.
	diceThrown = 20
	// newShare is how much the newest look counts: a strategy that always names the best one is not always
	// published anew.
	newShare = 0.25
	// movedBy is the change of a share, of 100, that is worth a publication.
	movedBy = 10
)

// weights shows in Envoy how the strategies share calls: the named groups of a route have the shares as their
// weights. Plans don't follow them, they make them; whoever looks at Envoy sees what the planner does.
type weights struct {
	of   *assembly
	next int                           // the group whose turn it is
	id   map[string]string             // the deployment of a cluster
	now  map[string]map[string]float64 // by group and deployment: the smoothed share, of 100
}

// follow looks at some groups and tells whether a share has moved by so much that Envoy should be told.
func (w *weights) follow(a *assembly, health *route.Health) (moved bool) {
	if w.of != a {
		*w = weights{of: a, id: map[string]string{}, now: map[string]map[string]float64{}}
		for id, own := range a.snapshot.Deployments {
			w.id[own.Cluster] = id
		}
	}
	groups := a.snapshot.Table.Groups()
	for range min(weighedGroups, len(groups)) {
		g := groups[w.next%len(groups)]
		w.next++
		if len(g.Deployments) > 1 {
			w.look(a, health, g.Name)
		}
	}
	for i := range a.model.Groups {
		for _, m := range a.model.Groups[i].Members {
			shares, known := w.now[a.model.Groups[i].Name]
			if known && math.Abs(shares[w.id[m.Cluster]]-shown(a.model.Groups[i].Members, m)) >= movedBy {
				return true
			}
		}
	}
	return false
}

// look asks the planner itself, for nobody.
func (w *weights) look(a *assembly, health *route.Health, group string) {
	counted := map[string]float64{}
	for i := range diceThrown {
		dice := func() float64 { return (float64(i) + 0.5) / diceThrown }
		plan, err := a.snapshot.Table.Plan(route.Ask{Group: strings.ReplaceAll(group, "*", "example"), Can: a.can, Look: true}, health, dice)
		if err != nil || plan.Attempts[0].Group != group {
			return // nobody is there: the weights stay
		}
		counted[plan.Attempts[0].Deployment.ID] += 100 / diceThrown
	}
	before, known := w.now[group]
	if !known {
		w.now[group] = counted
		return
	}
	for id := range before {
		before[id] += newShare * (counted[id] - before[id])
	}
	for id := range counted {
		if _, old := before[id]; !old {
			before[id] = newShare * counted[id]
		}
	}
}

// shown is a member's share as Envoy has it, of 100.
func shown(members []xds.Member, m xds.Member) float64 {
	var all float64
	for _, other := range members {
		all += float64(max(1, other.Weight))
	}
	return 100 * float64(max(1, m.Weight)) / all
}

// applied is the model's groups with the shares as weights. Envoy's weights begin at 1.
func (w *weights) applied(a *assembly) []xds.Group {
	byGroup := map[string]map[string]uint32{}
	for id, own := range a.snapshot.Deployments {
		if shares, known := w.now[own.Group]; known && own.Cluster != "" {
			if byGroup[own.Group] == nil {
				byGroup[own.Group] = map[string]uint32{}
			}
			byGroup[own.Group][own.Cluster] = uint32(max(1, math.Round(shares[id])))
		}
	}
	groups := slices.Clone(a.model.Groups)
	for i := range groups {
		groups[i].Members = weighed(groups[i].Members, byGroup[groups[i].Name])
		groups[i].Fallbacks = slices.Clone(groups[i].Fallbacks)
		for j := range groups[i].Fallbacks {
			f := &groups[i].Fallbacks[j]
			f.Members = weighed(f.Members, byGroup[f.Group])
		}
	}
	return groups
}

func weighed(members []xds.Member, by map[string]uint32) []xds.Member {
	if by == nil {
		return members
	}
	members = slices.Clone(members)
	for i := range members {
		if n, ok := by[members[i].Cluster]; ok {
			members[i].Weight = n
		}
	}
	return members
}

// followStrategies publishes weights that have moved. It is called once a second.
func (g *gateway) followStrategies(ctx context.Context) {
	g.applying.Lock()
	defer g.applying.Unlock()
	a := g.current.Load()
	if a == nil || !g.weights.follow(a, g.health) {
		return
	}
	before := a.model.Groups
	a.model.Groups = g.weights.applied(a)
	if _, err := g.xds.Publish(ctx, g.withRetired(a.model), g.cert); err != nil {
		a.model.Groups = before
		g.log.Error("weights could not be published", "error", err)
	}
}
