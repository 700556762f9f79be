package adapters

import (
	"strconv"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// toolNames maps the tool names of one request to names that the provider accepts, and back. Names that
// are fine already stay and are in neither map; no two names become one.
type toolNames struct {
	forward, back map[string]string
	// plain tells the names that the provider accepts and clean makes one of any; nil: Anthropic's.
	plain func(string) bool
	clean func(string) string
}

func (n *toolNames) isPlain(s string) bool {
	if n.plain != nil {
		return n.plain(s)
	}
	return plainName(s)
}

func (n *toolNames) cleaned(s string) string {
	if n.clean != nil {
		return n.clean(s)
	}
	return cleanName(s)
}

const maxToolName = 128

// build looks through a request's tools. Mostly every name is fine and no map is made.
func (n *toolNames) build(tools jsondoc.Value) {
	bad := false
	for tool := range tools.Elements() {
		if name := tool.At("function", "name"); name != "" && !n.isPlain(name.Inner()) {
			bad = true
			break
		}
	}
	if !bad {
		return
	}
	taken := map[string]bool{}
	for tool := range tools.Elements() {
		if name := tool.At("function", "name").Text(); n.isPlain(name) {
			taken[name] = true
		}
	}
	n.forward, n.back = map[string]string{}, map[string]string{}
	for tool := range tools.Elements() {
		name := tool.At("function", "name").Text()
		if name == "" || n.isPlain(name) || n.forward[name] != "" {
			continue
		}
		wire := unused(taken, n.cleaned(name))
		taken[wire] = true
		n.forward[name], n.back[wire] = wire, name
	}
}

// unused is name, or name with a number after it that makes it unique.
func unused(taken map[string]bool, name string) string {
	for i, free := 2, name; ; i++ {
		if !taken[free] {
			return free
		}
		suffix := "_" + strconv.Itoa(i)
		free = name[:min(len(name), maxToolName-len(suffix))] + suffix
	}
}

// append appends the JSON string for a name as the provider has it. A name that was called in an earlier
// turn but is no tool any more is cleaned without being remembered.
func (n *toolNames) append(dst []byte, name jsondoc.Value) []byte {
	if n.isPlain(name.Inner()) {
		return append(dst, name...)
	}
	text := name.Text()
	if wire, ok := n.forward[text]; ok {
		return apierror.AppendString(dst, wire)
	}
	return apierror.AppendString(dst, n.cleaned(text))
}

// appendBack appends the JSON string for a name as the client has it.
func (n *toolNames) appendBack(dst []byte, name jsondoc.Value) []byte {
	if n.back != nil {
		if own, ok := n.back[name.Text()]; ok {
			return apierror.AppendString(dst, own)
		}
	}
	if !name.IsString() {
		return append(dst, `""`...)
	}
	return append(dst, name...)
}

// plainName tells whether a name matches ^[a-zA-Z0-9_-]{1,128}$.
func plainName(s string) bool {
	if s == "" || len(s) > maxToolName {
		return false
	}
	for i := range len(s) {
		if !plainByte(s[i]) {
			return false
		}
	}
	return true
}

func plainByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

func cleanName(s string) string {
	out := make([]byte, 0, len(s))
	for _, r := range s {
		if len(out) == maxToolName {
			break
		}
		if r < 0x80 && plainByte(byte(r)) {
			out = append(out, byte(r))
		} else {
			out = append(out, '_')
		}
	}
	if len(out) == 0 {
		return "_"
	}
	return string(out)
}
