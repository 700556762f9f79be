package jsondoc

// dedup keeps one member a name: by comparing while they are few, by a map when they are many.
type dedup struct {
	lenient bool
	byName  map[string]int
}

func (d *dedup) add(list []Member, m Member) ([]Member, bool) {
	const few = 32
	at := -1
	if d.byName == nil {
		for i := range list {
			if list[i].Name == m.Name {
				at = i
				break
			}
		}
	} else if i, ok := d.byName[m.Name]; ok {
		at = i
	}
	if at >= 0 {
		list[at] = m
		return list, d.lenient
	}
	list = append(list, m)
	switch {
	case d.byName != nil:
		d.byName[m.Name] = len(list) - 1
	case len(list) == few:
		d.byName = make(map[string]int, 4*few)
		for i := range list {
			d.byName[list[i].Name] = i
		}
	}
	return list, true
}

// names is the set of one object's names: compared one by one while they are few.
type names struct {
	n      int
	few    [12]string
	byName map[string]struct{}
}

// add tells whether the name is new.
func (n *names) add(name string) bool {
	if n.byName != nil {
		if _, ok := n.byName[name]; ok {
			return false
		}
		n.byName[name] = struct{}{}
		return true
	}
	for _, known := range n.few[:n.n] {
		if known == name {
			return false
		}
	}
	if n.n < len(n.few) {
		n.few[n.n] = name
		n.n++
		return true
	}
	n.byName = make(map[string]struct{}, 4*len(n.few))
	for _, known := range n.few {
		n.byName[known] = struct{}{}
	}
	n.byName[name] = struct{}{}
	return true
}
