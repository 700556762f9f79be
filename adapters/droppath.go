package adapters

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
)

// dropPath is an entry of additional_drop_params that reaches into a field: tools[*].function.strict,
// response_format.json_schema.name, messages[0].name.
type dropPath struct {
	field string
	steps []step
}

// step goes one level down: to a member, to an element, or to all elements.
type step struct {
	name  string
	index int // -1: a member called name; -2: every element
}

const (
	byMember     = -1
	everyElement = -2
)

// parseDropPath takes a path apart. A plain field has no steps.
func parseDropPath(path string) (dropPath, error) {
	wrong := func() (dropPath, error) {
		return dropPath{}, fmt.Errorf("additional_drop_params: %q is neither a field nor a path such as tools[*].function.strict", path)
	}
	var p dropPath
	rest := path
	for first := true; rest != ""; first = false {
		if rest[0] == '[' {
			inner, after, ok := strings.Cut(rest[1:], "]")
			n, err := strconv.Atoi(inner)
			switch {
			case !ok || first:
				return wrong()
			case inner == "*":
				n = everyElement
			case err != nil || n < 0:
				return wrong()
			}
			p.steps = append(p.steps, step{index: n})
			rest = after
			continue
		}
		if !first {
			if rest[0] != '.' {
				return wrong()
			}
			rest = rest[1:]
		}
		end := strings.IndexAny(rest, ".[")
		if end < 0 {
			end = len(rest)
		}
		if end == 0 {
			return wrong()
		}
		if first {
			p.field = rest[:end]
		} else {
			p.steps = append(p.steps, step{name: rest[:end], index: byMember})
		}
		rest = rest[end:]
	}
	if p.field == "" {
		return wrong()
	}
	return p, nil
}

// guts tells whether the path leads to something that a call cannot be without: a message, its role.
func (d *dropPath) guts() bool {
	if len(d.steps) == 0 || !subjects[d.field] {
		return false
	}
	last := d.steps[len(d.steps)-1]
	return last.index != byMember || last.name == "role" || last.name == "content"
}

// appendDropped appends v without what steps lead to. What they do not lead to stays as it is.
func appendDropped(dst []byte, v jsondoc.Value, steps []step) []byte {
	s, last := steps[0], len(steps) == 1
	switch {
	case v.IsObject() && s.index == byMember:
		return appendMembers(dst, v, func(dst []byte, k, m jsondoc.Value) []byte {
			switch hit := k.Is(s.name); {
			case !hit:
				return append(appendKey(dst, k), m...)
			case last:
				return dst
			}
			return appendDropped(appendKey(dst, k), m, steps[1:])
		})
	case v.IsArray() && s.index != byMember:
		i := -1
		return appendElements(dst, v, func(dst []byte, e jsondoc.Value) []byte {
			i++
			switch hit := s.index == everyElement || s.index == i; {
			case !hit:
				return append(dst, e...)
			case last:
				return dst
			}
			return appendDropped(dst, e, steps[1:])
		})
	}
	return append(dst, v...)
}
