package route

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// Table is the routing of one configuration. It is immutable and safe for concurrent use.
type Table struct {
	settings Settings
	affine   bool     // some group's strategy goes by sessions
	groups   []*group // in the order of their first deployment
	byName   map[string]*group
	patterns []*group // wildcard groups, the most specific first
	aliases  map[string]target
	warnings []string
}

// group is a model group. Its tiers hold its members by ascending Order.
type group struct {
	name    string
	hidden  bool
	pattern *pattern // nil: not a wildcard
	members []*Deployment
	tiers   [][]*Deployment
	next    []target // its configured fallbacks

	strategy     Strategy
	strategyName string
	tagged       bool // tags choose its deployments
	retries      int  // the most that any deployment, or the table, has
}

// target is a group reached by some name; the name matters for wildcard groups.
type target struct {
	group *group
	name  string
	next  []target // an alias's own fallbacks, instead of the group's
}

// NewTable builds the table. The error names every deployment or setting that cannot be used; what can be
// worked with is in [Table.Warnings]. The slices and maps given must not change afterwards.
func NewTable(deployments []Deployment, s Settings) (*Table, error) {
	t := &Table{settings: s, byName: make(map[string]*group), aliases: make(map[string]target)}
	if err := errors.Join(t.addDeployments(deployments)...); err != nil {
		return nil, err
	}
	t.addAliases()
	t.addFallbacks()
	t.chooseStrategies()
	return t, nil
}

// Warnings are sentences about settings that have no effect or not the expected one.
func (t *Table) Warnings() []string { return slices.Clone(t.warnings) }

func (t *Table) warn(format string, args ...any) {
	t.warnings = append(t.warnings, fmt.Sprintf(format, args...))
}

// warnName is warn about a name in a fallback or an alias.
func (t *Table) warnName(format string, args ...any) {
	if !t.settings.NamesTold {
		t.warn(format, args...)
	}
}

func (t *Table) addDeployments(deployments []Deployment) (faults []error) {
	ids := make(map[string]bool, len(deployments))
	for i := range deployments {
		d := deployments[i] // a copy of the table's own
		switch {
		case d.ID == "":
			faults = append(faults, fmt.Errorf("deployment %d of group %q has no id", i, d.Group))
			continue
		case d.Group == "":
			faults = append(faults, fmt.Errorf("deployment %q has no model group", d.ID))
			continue
		case ids[d.ID]:
			faults = append(faults, fmt.Errorf("deployment id %q is used twice: give each its own model_info.id", d.ID))
			continue
		}
		ids[d.ID] = true
		d.hash = SessionKey(0, d.ID)
		for _, share := range [...]struct {
			name  string
			value float64
		}{{"weight", d.Weight}, {"rpm", d.RPM}, {"tpm", d.TPM}} {
			if share.value < 0 || math.IsNaN(share.value) || math.IsInf(share.value, 0) {
				faults = append(faults, fmt.Errorf("deployment %q: %s is %v: it must be 0 or more", d.ID, share.name, share.value))
			}
		}
		if err := t.member(&d); err != nil {
			faults = append(faults, fmt.Errorf("model group %q of deployment %q: %w", d.Group, d.ID, err))
		}
	}
	for _, g := range t.groups {
		g.tiers = tiersOf(g.members)
		if g.pattern != nil {
			t.patterns = append(t.patterns, g)
		}
	}
	slices.SortStableFunc(t.patterns, func(a, b *group) int { return moreSpecific(a.pattern, b.pattern) })
	return faults
}

// member adds d to its group. A group is hidden only while all of its deployments are.
func (t *Table) member(d *Deployment) (err error) {
	g := t.byName[d.Group]
	if g == nil {
		g = &group{name: d.Group, hidden: true}
		if strings.Contains(d.Group, "*") {
			if g.pattern, err = newPattern(d.Group); err != nil {
				return err
			}
		}
		t.byName[d.Group] = g
		t.groups = append(t.groups, g)
	}
	g.hidden = g.hidden && d.Hidden
	g.members = append(g.members, d)
	return nil
}

// tiersOf splits members by Order, unset last. Within a tier the order of the configuration stays.
func tiersOf(members []*Deployment) [][]*Deployment {
	byOrder := make(map[int][]*Deployment)
	var unset []*Deployment
	for _, d := range members {
		if d.Order == nil {
			unset = append(unset, d)
		} else {
			byOrder[*d.Order] = append(byOrder[*d.Order], d)
		}
	}
	var tiers [][]*Deployment
	for _, order := range slices.Sorted(maps.Keys(byOrder)) {
		tiers = append(tiers, byOrder[order])
	}
	if len(unset) > 0 {
		tiers = append(tiers, unset)
	}
	return tiers
}

func (t *Table) addAliases() {
	for _, name := range slices.Sorted(maps.Keys(t.settings.Aliases)) {
		to := t.settings.Aliases[name].Group
		// Looked up without aliases: one alias does not lead to another, in LiteLLM neither.
		found, ok := t.find(to, false)
		if !ok {
			t.warnName("model_group_alias %q has no effect: %q is no model group", name, to)
			continue
		}
		t.aliases[name] = found
	}
}

// chooseStrategies gives each group its strategy: its own of StrategyByGroup, or the table's.
func (t *Table) chooseStrategies() {
	t.settings.Strategy = t.strategyOr(t.settings.Strategy)
	for _, name := range slices.Sorted(maps.Keys(t.settings.StrategyByGroup)) {
		if t.byName[name] == nil {
			t.warn("routing_groups: %q has no effect: no model group has that name", name)
		}
	}
	for _, g := range t.groups {
		g.strategyName, g.strategy = t.settings.Strategy, newStrategy(t.settings.Strategy, t.settings.StrategyArgs)
		if own, ok := t.settings.StrategyByGroup[g.name]; ok {
			g.strategyName = t.strategyOr(own.Strategy)
			g.strategy = newStrategy(g.strategyName, own.Args)
		}
		if by := t.settings.Affinity; by != 0 && g.strategyName != SessionAffinity {
			g.strategy = affinity{by: by, otherwise: g.strategy}
		}
		if _, ok := g.strategy.(affinity); ok {
			t.affine = true
		}
		g.tagged = t.settings.TagFiltering
		g.retries = t.settings.NumRetries
		for _, d := range g.members {
			if d.NumRetries != nil {
				g.retries = max(g.retries, *d.NumRetries)
			}
		}
	}
}

func (t *Table) strategyOr(strategy string) string {
	name := StrategyNamed(cmp.Or(strategy, SimpleShuffle))
	if name == "" {
		t.warn("routing_strategy %q is not known: %s is used instead", strategy, SimpleShuffle)
		return SimpleShuffle
	}
	return name
}

// find looks a group up by name: the group of that name, else the most specific wildcard.
func (t *Table) find(name string, hidden bool) (target, bool) {
	if g := t.byName[name]; g != nil && g.pattern == nil && (hidden || !g.hidden) {
		return target{group: g, name: name}, true
	}
	if found, ok := t.findPattern(name, hidden); ok {
		return found, true
	}
	if infer := t.settings.InferProvider; infer != nil && len(t.patterns) > 0 && !strings.Contains(name, "/") {
		if provider := infer(name); provider != "" {
			return t.findPattern(provider+"/"+name, hidden)
		}
	}
	return target{}, false
}

func (t *Table) findPattern(name string, hidden bool) (target, bool) {
	for _, g := range t.patterns {
		if g.hidden && !hidden {
			continue
		}
		if _, ok := g.pattern.match(name); ok {
			return target{group: g, name: name}, true
		}
	}
	return target{}, false
}

// ask looks up what a client asked for: aliases first, hidden groups never.
func (t *Table) ask(name string) (target, bool) {
	if to, ok := t.aliases[name]; ok {
		return to, true
	}
	return t.find(name, false)
}
