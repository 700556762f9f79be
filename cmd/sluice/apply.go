package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegw/sluice/envoy"
	"github.com/sluicegw/sluice/extproc"
	"github.com/sluicegw/sluice/policy/admin"
	"github.com/sluicegw/sluice/policy/observe"
	"github.com/sluicegw/sluice/policy/route"
	"github.com/sluicegw/sluice/xds"
)

const (
	// takeTimeout is how long Envoy may take to accept a configuration, and again to warm its clusters.
	takeTimeout = 2 * time.Minute
	// Clusters of a configuration that another has replaced stay for as long as one attempt may take, within
	// these bounds: calls that were planned with it may still be on their way to their next attempt.
	retireAtLeast, retireAtMost = 10 * time.Minute, 2 * time.Hour
)

// gateway is the configuration in effect and the parts that follow it.
type gateway struct {
	log     *slog.Logger
	xds     *xds.Server
	proc    *extproc.Server
	health  *route.Health
	metrics *observe.Metrics
	envoy   atomic.Pointer[envoy.Supervisor] // nil: others run Envoy

	applying sync.Mutex // one configuration is put into effect at a time
	weights  weights
	cert     *xds.Certificate
	current  atomic.Pointer[assembly]
	shown    atomic.Pointer[admin.Snapshot]
	cold     atomic.Pointer[map[string]bool] // clusters that Envoy does not use yet
	retired  map[string]retiredCluster       // by name
	gone     map[string]time.Time            // groups without deployments, and until when they have a route
}

// retiredCluster is one that no new call is planned with.
type retiredCluster struct {
	cluster xds.Cluster
	until   time.Time
}

// apply puts an assembly into effect without failing a call: Envoy gets the new clusters beside the old
// ones, calls are planned by the new configuration once Envoy has taken it, and the old clusters go when
// no call can need them any more. On an error everything stays as it was.
func (g *gateway) apply(ctx context.Context, a *assembly) error {
	g.applying.Lock()
	defer g.applying.Unlock()
	before := g.current.Load()
	retired := maps.Clone(g.retired) // what failed retires nothing, and brings nothing back
	if before != nil {
		g.retire(before)
	}
	g.unretire(a.model.Clusters)
	version, err := g.xds.Publish(ctx, g.withRetired(a.model), g.cert)
	if err != nil {
		g.retired = retired
		return err
	}
	if before != nil {
		if err := g.settle(ctx, version); err != nil {
			g.retired = retired
			if _, back := g.xds.Publish(ctx, g.withRetired(before.model), g.cert); back != nil {
				g.log.Error("the configuration before could not be published again", "error", back)
			}
			return err
		}
	}
	g.health.Apply(a.snapshot.Table)
	if before != nil {
		g.health.Anew(changed(before.config, a.config)...)
	}
	g.metrics.Publish(a.metricsNames())
	g.proc.Use(a.snapshot)
	g.current.Store(a)
	g.shown.Store(a.shown())
	return nil
}

// settle waits until Envoy has taken a version and warmed what is new in it. Clusters that stay cold are
// left out of plans until they are warm.
func (g *gateway) settle(ctx context.Context, version int) error {
	if g.xds.Connected() > 0 {
		taking, cancel := context.WithTimeout(ctx, takeTimeout)
		defer cancel()
		if err := g.xds.Wait(taking, version); err != nil {
			return err
		}
	}
	deadline := time.Now().Add(takeTimeout)
	for g.refreshCold(ctx) > 0 && time.Now().Before(deadline) && ctx.Err() == nil {
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}

// refreshCold asks Envoy which clusters are still warming, and returns how many.
func (g *gateway) refreshCold(ctx context.Context) int {
	supervisor := g.envoy.Load()
	if supervisor == nil {
		return 0
	}
	names, err := supervisor.Admin().WarmingClusters(ctx)
	if err != nil {
		return 0 // Envoy is restarting: it takes calls when everything is warm
	}
	cold := make(map[string]bool, len(names))
	for _, name := range names {
		cold[name] = true
	}
	g.cold.Store(&cold)
	return len(cold)
}

// warm tells whether Envoy uses a cluster.
func (g *gateway) warm(cluster string) bool {
	cold := g.cold.Load()
	return cold == nil || !(*cold)[cluster]
}

// retire keeps clusters, and routes of groups, for the calls that were planned with them.
func (g *gateway) retire(a *assembly) {
	m := a.model
	if g.retired == nil {
		g.retired, g.gone = map[string]retiredCluster{}, map[string]time.Time{}
	}
	until := time.Now().Add(min(max(a.config.Router.Timeout, retireAtLeast), retireAtMost))
	for _, c := range m.Clusters {
		g.retired[c.Name] = retiredCluster{c, until}
	}
	for _, group := range m.Groups {
		g.gone[group.Name] = until
	}
}

// unretire takes clusters back that are in use again.
func (g *gateway) unretire(clusters []xds.Cluster) {
	for _, c := range clusters {
		delete(g.retired, c.Name)
	}
}

// withRetired adds to a model the clusters that calls may still need. They are added in the order of their
// names: the same clusters make the same resources.
func (g *gateway) withRetired(m xds.Model) xds.Model {
	now := time.Now()
	maps.DeleteFunc(g.retired, func(_ string, r retiredCluster) bool { return now.After(r.until) })
	known := make(map[string]bool, len(m.Clusters))
	for _, c := range m.Clusters {
		known[c.Name] = true
	}
	m.Clusters, m.Groups = slices.Clone(m.Clusters), g.withGone(m.Groups, now)
	for _, name := range slices.Sorted(maps.Keys(g.retired)) {
		if !known[name] {
			m.Clusters = append(m.Clusters, g.retired[name].cluster)
		}
	}
	return m
}

// withGone adds the groups that calls may still be on their way to. A plan names its clusters itself, so they
// need none.
func (g *gateway) withGone(groups []xds.Group, now time.Time) []xds.Group {
	maps.DeleteFunc(g.gone, func(_ string, until time.Time) bool { return now.After(until) })
	missing := maps.Clone(g.gone)
	for _, group := range groups {
		delete(missing, group.Name)
	}
	groups = slices.Clone(groups)
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		groups = append(groups, xds.Group{Name: name})
	}
	return groups
}

// sweep removes clusters whose time is over, and takes back into plans those that became warm.
func (g *gateway) sweep(ctx context.Context) {
	g.applying.Lock()
	defer g.applying.Unlock()
	if cold := g.cold.Load(); cold != nil && len(*cold) > 0 {
		g.refreshCold(ctx)
	}
	before := len(g.retired)
	a := g.current.Load()
	if a == nil || before == 0 {
		return
	}
	m := g.withRetired(a.model)
	if len(g.retired) == before {
		return
	}
	if _, err := g.xds.Publish(ctx, m, g.cert); err != nil {
		g.log.Error("old clusters could not be removed from Envoy", "error", err)
	}
}

// useCertificate publishes a renewed certificate for the listener.
func (g *gateway) useCertificate(ctx context.Context, cert *xds.Certificate) error {
	g.applying.Lock()
	defer g.applying.Unlock()
	a := g.current.Load()
	if a == nil {
		g.cert = cert
		return nil
	}
	if g.cert != nil && bytes.Equal(g.cert.Chain, cert.Chain) && bytes.Equal(g.cert.Key, cert.Key) {
		return nil
	}
	if _, err := g.xds.Publish(ctx, g.withRetired(a.model), cert); err != nil {
		return fmt.Errorf("the renewed certificate is not used: %w", err)
	}
	g.cert = cert
	return nil
}

// target is a deployment as a person knows it: the provider's model, and where in the configuration it is.
func (g *gateway) target(id string) string {
	if a := g.current.Load(); a != nil {
		for _, d := range a.deployments {
			if d.config.ID == id {
				return fmt.Sprintf("%s (%s:%d)", d.config.Model, d.config.File, d.config.Line)
			}
		}
	}
	return "unknown"
}
