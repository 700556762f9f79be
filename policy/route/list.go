package route

import (
	"maps"
	"slices"
)

// Group describes a model group, for listings and explanations.
type Group struct {
	Name        string
	Hidden      bool // made for a fallback entry: clients cannot ask for it
	Wildcard    bool
	Strategy    string        // how its deployments are chosen
	Deployments []*Deployment // in the order of the configuration; not to be changed
	Fallbacks   []string      // names of the groups right after it; those have fallbacks of their own
}

// Groups are all model groups, in the order of the configuration.
func (t *Table) Groups() []Group {
	list := make([]Group, 0, len(t.groups))
	for _, g := range t.groups {
		d := Group{Name: g.name, Hidden: g.hidden, Wildcard: g.pattern != nil, Strategy: g.strategyName, Deployments: slices.Clone(g.members)}
		for _, to := range g.next {
			d.Fallbacks = append(d.Fallbacks, to.name)
		}
		list = append(list, d)
	}
	return list
}

// Aliases are the names, sorted, that may be asked for and listed besides the groups', and their groups.
func (t *Table) Aliases() (names []string, groups map[string]string) {
	groups = make(map[string]string)
	for _, name := range slices.Sorted(maps.Keys(t.aliases)) {
		if !t.settings.Aliases[name].Hidden {
			names = append(names, name)
			groups[name] = t.aliases[name].group.name
		}
	}
	return names, groups
}

// Resolve is the group that serves a model name which a client asks for.
func (t *Table) Resolve(model string) (group string, ok bool) {
	to, ok := t.ask(model)
	if !ok {
		return "", false
	}
	return to.group.name, true
}

// FiltersTags tells whether a request's tags matter.
func (t *Table) FiltersTags() bool { return t.settings.TagFiltering }

// HasAffinity tells whether any group keeps calls together.
func (t *Table) HasAffinity() bool { return t.affine }

// Strategy is the name of the strategy in use.
func (t *Table) Strategy() string { return t.settings.Strategy }
