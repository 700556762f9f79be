package route

import (
	"maps"
	"slices"
	"strings"
)

// anyGroup is the key of the default entry in Settings.Fallbacks.
const anyGroup = "*"

// addFallbacks resolves the configured entries once, so that planning only follows pointers.
func (t *Table) addFallbacks() {
	for _, from := range slices.Sorted(maps.Keys(t.settings.Fallbacks)) {
		if from != anyGroup && !t.known(from) {
			t.warnName("fallbacks of %q have no effect: no model group has that name", from)
		}
		for _, to := range t.settings.Fallbacks[from] {
			if _, ok := t.fallbackTarget(to); !ok {
				t.warnName("fallback %q of %q is skipped: no model group has that name", to, from)
			}
		}
	}
	for _, g := range t.groups {
		g.next = t.targets(g.name)
	}
	for name, to := range t.aliases {
		if _, own := t.settings.Fallbacks[name]; own {
			to.next = t.targets(name)
			t.aliases[name] = to
		}
	}
}

// known reports whether an entry's left side can ever be looked up: group names, names that a wildcard
// serves, and names given without their provider's prefix.
func (t *Table) known(from string) bool {
	if _, ok := t.aliases[from]; ok || t.byName[from] != nil {
		return true
	}
	if _, ok := t.find(from, true); ok {
		return true
	}
	return slices.ContainsFunc(t.groups, func(g *group) bool {
		_, bare, _ := strings.Cut(g.name, "/")
		return bare == from || bare == "*"
	})
}

// entry is the configured list for a model name: its own, else that of the name without its provider's
// prefix, else the default.
func (t *Table) entry(name string) []string {
	if list, ok := t.ownEntry(name); ok {
		return list
	}
	return t.settings.Fallbacks[anyGroup]
}

func (t *Table) ownEntry(name string) ([]string, bool) {
	if name == anyGroup { // the wildcard group "*": its key is taken by the default entry
		return nil, false
	}
	if list, ok := t.settings.Fallbacks[name]; ok {
		return list, true
	}
	if _, bare, ok := strings.Cut(name, "/"); ok && bare != anyGroup {
		list, ok := t.settings.Fallbacks[bare]
		return list, ok
	}
	return nil, false
}

// lookup is the list of the first of the names that has one, then the default.
func lookup(lists map[string][]string, names ...string) []string {
	for _, name := range names {
		if name == anyGroup {
			continue
		}
		if list, ok := lists[name]; ok {
			return list
		}
		if _, bare, ok := strings.Cut(name, "/"); ok && bare != anyGroup {
			if list, ok := lists[bare]; ok {
				return list
			}
		}
	}
	return lists[anyGroup]
}

func (t *Table) targets(from string) []target {
	var list []target
	for _, name := range t.entry(from) {
		if to, ok := t.fallbackTarget(name); ok {
			list = append(list, to)
		}
	}
	return list
}

// fallbackTarget resolves a configured entry, which may be an alias and may reach hidden groups.
func (t *Table) fallbackTarget(name string) (target, bool) {
	if to, ok := t.aliases[name]; ok {
		return to, true
	}
	return t.find(name, true)
}

// following are the configured fallbacks of a target.
func (t *Table) following(to target) []target {
	if to.next != nil {
		return to.next
	}
	if to.group.pattern != nil { // a wildcard serves many names, each of which may have its own entry
		if _, own := t.ownEntry(to.name); own {
			return t.targets(to.name)
		}
	}
	return to.group.next
}
