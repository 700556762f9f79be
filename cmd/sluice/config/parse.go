package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// Limits on what one file may be. They hold far more than any real configuration, and bound what a
// broken or hostile one costs.
const (
	maxFileBytes = 10 << 20
	maxDepth     = 64
	maxValues    = 1 << 20 // after anchors are expanded
)

// parse reads one YAML document. Its faults are those of the text itself: syntax, duplicate keys,
// anchors without end.
func parse(file string, data []byte) (*value, Faults) {
	p := &parser{file: file}
	if f, bad := readable(file, data); bad {
		return nil, Faults{f}
	}
	var doc yaml.Node
	err := yaml.Load(data, &doc, yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(maxDepth))))
	if err != nil {
		return nil, Faults{syntaxFault(file, data, err)}
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 {
		return nil, Faults{{File: file, Message: "the file is empty; it needs at least a model_list"}}
	}
	root := p.value(doc.Content[0], 0)
	if len(p.faults) == 0 && root.kind == null {
		return nil, Faults{{File: file, Message: "the file is empty; it needs at least a model_list"}}
	}
	if len(p.faults) == 0 && root.kind != mapping {
		p.fault(doc.Content[0], "the file must be a mapping with sections such as model_list:, but it is %s", root.kind)
	}
	return root, p.faults
}

// readable refuses what YAML could not be read from, naming the line where that is possible.
func readable(file string, data []byte) (Fault, bool) {
	f := Fault{File: file}
	switch {
	case len(data) > maxFileBytes:
		f.Message = fmt.Sprintf("the file has more than the %d MiB that are read; split it with include:", maxFileBytes>>20)
	case len(bytes.TrimSpace(data)) == 0:
		f.Message = "the file is empty; it needs at least a model_list"
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}), bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		f.Message = "the file is UTF-16; save it as UTF-8"
	case !utf8.Valid(data):
		f.Line = 1
		for rest := data; ; f.Line++ {
			line, tail, _ := bytes.Cut(rest, []byte{'\n'})
			if !utf8.Valid(line) || len(tail) == 0 {
				break
			}
			rest = tail
		}
		f.Message = "this line is not valid UTF-8; save the file as UTF-8"
	default:
		for i, c := range data {
			if c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0x7f {
				f.Line = 1 + bytes.Count(data[:i], []byte{'\n'})
				f.Message = fmt.Sprintf("this line holds the control character 0x%02x; remove it", c)
				return f, true
			}
		}
	}
	return f, f.Message != ""
}

// syntaxFault puts the YAML library's error into our words, without the text of the file, which may hold
// a secret.
func syntaxFault(file string, data []byte, err error) Fault {
	f := Fault{File: file, Message: "this is not valid YAML"}
	var one *yaml.LoadError
	var several *yaml.LoadErrors
	if errors.As(err, &several) && len(several.Errors) > 0 {
		one = several.Errors[0]
	} else if !errors.As(err, &one) {
		return f
	}
	switch {
	case strings.Contains(one.Message, "no documents"):
		f.Message = "the file is empty; it needs at least a model_list"
		return f
	case strings.Contains(one.Message, "found multiple"):
		f.Message = "the file holds several documents; remove the --- between them"
		return f
	}
	f.Line = one.Mark.Line
	f.Message = "this is not valid YAML: " + one.Message
	lines := bytes.Split(data, []byte{'\n'})
	if f.Line >= 1 && f.Line <= len(lines) {
		line := lines[f.Line-1]
		indent := line[:len(line)-len(bytes.TrimLeft(line, " \t"))]
		if bytes.ContainsRune(indent, '\t') {
			f.Message = "this line is indented with a tab; YAML wants spaces"
		}
	}
	if one.ContextMsg != "" && one.ContextMark.Line > 0 && one.ContextMark.Line != f.Line {
		f.Message += fmt.Sprintf(" (%s that began on line %d)", one.ContextMsg, one.ContextMark.Line)
	}
	return f
}

type parser struct {
	file   string
	values int
	open   map[*yaml.Node]bool // anchors being expanded: an alias to one of them never ends
	faults Faults
}

func (p *parser) fault(n *yaml.Node, format string, args ...any) {
	if len(p.faults) < maxFaults {
		p.faults = append(p.faults, Fault{File: p.file, Line: n.Line, Message: fmt.Sprintf(format, args...)})
	}
}

// value converts n. After a fault it gives a null in its place, so that all faults are found.
func (p *parser) value(n *yaml.Node, depth int) *value {
	v := &value{file: p.file, line: n.Line}
	if p.values++; p.values > maxValues {
		if p.values == maxValues+1 {
			p.fault(n, "the file holds more than %d values once its anchors are expanded", maxValues)
		}
		return v
	}
	if depth > maxDepth {
		p.fault(n, "this is nested more than %d levels deep", maxDepth)
		return v
	}
	switch n.Kind {
	case yaml.AliasNode:
		if n.Alias == nil || p.open[n.Alias] {
			p.fault(n, "the anchor *%s refers to itself", n.Value)
			return v
		}
		expanded := p.value(n.Alias, depth+1)
		expanded.line = n.Line
		return expanded
	case yaml.ScalarNode:
		p.scalar(v, n)
	case yaml.SequenceNode:
		v.kind = list
		defer p.enter(n)()
		for _, item := range n.Content {
			v.items = append(v.items, p.value(item, depth+1))
		}
	case yaml.MappingNode:
		v.kind = mapping
		defer p.enter(n)()
		p.mapping(v, n, depth)
	}
	return v
}

func (p *parser) enter(n *yaml.Node) (leave func()) {
	if p.open == nil {
		p.open = map[*yaml.Node]bool{}
	}
	p.open[n] = true
	return func() { delete(p.open, n) }
}

// scalar sets v from a scalar as PyYAML would read it: an unquoted yes, no, on or off is a boolean, as in
// YAML 1.1, while dates stay the text that they are (an api_version is never a date).
func (p *parser) scalar(v *value, n *yaml.Node) {
	v.text = n.Value
	plain := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
	switch tag := n.ShortTag(); tag {
	case "!!null":
		v.kind = null
	case "!!bool":
		v.kind = boolean
	case "!!int":
		v.kind = integer
	case "!!float":
		v.kind = float
	case "!!str", "!!timestamp":
		v.kind = text
		if _, isBool := truth[strings.ToLower(n.Value)]; plain && isBool && len(n.Value) > 1 {
			v.kind = boolean
		}
	default:
		p.fault(n, "the YAML tag %s has no meaning here; remove it", tag)
	}
}

// mapping sets v's members, and refuses duplicate keys: YAML readers differ in which of the two they
// keep. Merge keys (<<) fill in what the mapping does not set itself.
func (p *parser) mapping(v *value, n *yaml.Node, depth int) {
	seen := make(map[string]int, len(n.Content)/2)
	var merges []*value
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, content := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.AliasNode && key.Alias != nil {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode {
			p.fault(n.Content[i], "a key must be a plain name, not a list or a mapping")
			continue
		}
		if key.ShortTag() == "!!merge" {
			merges = append(merges, p.value(content, depth+1))
			continue
		}
		if first, dup := seen[key.Value]; dup {
			p.fault(key, "%s is set twice in the same place (first on line %d); remove one of them", printable(key.Value), first)
			continue
		}
		seen[key.Value] = key.Line
		v.members = append(v.members, member{name: key.Value, line: key.Line, v: p.value(content, depth+1)})
	}
	for _, m := range merges {
		p.merge(v, m, seen, n)
	}
}

func (p *parser) merge(v, from *value, seen map[string]int, n *yaml.Node) {
	switch from.kind {
	case list:
		for _, item := range from.items {
			p.merge(v, item, seen, n)
		}
	case mapping:
		for _, m := range from.members {
			if _, set := seen[m.name]; !set {
				seen[m.name] = m.line
				v.members = append(v.members, m)
			}
		}
	default:
		p.fault(n, "a merge key (<<) needs a mapping or a list of mappings, not %s", from.kind)
	}
}

// printable shortens a name from the file for a message.
func printable(s string) string {
	if len(s) > 80 {
		s = strings.ToValidUTF8(s[:80], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, s)
}
