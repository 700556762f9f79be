package config

import (
	"encoding/json"
	"fmt"
	"math"
	"sort"
	"strings"
	"time"
)

// reader turns values into Go's types and collects what is wrong with them. Its methods take the path of
// the field for messages; each gives the zero value after a fault.
type reader struct {
	env      environment
	faults   Faults
	warnings []Fault
	dropped  int // warnings beyond maxFaults

	// What can only be checked once all groups are known: the two sides of fallbacks, and aliases.
	sources, targetsSeen []mention
	aliasAt              map[string]*value

	said map[string]bool // see parsedOnly
}

// mention is where a model group is named.
type mention struct {
	v    *value
	path string
	name string
}

func (r *reader) fault(v *value, path, format string, args ...any) {
	if len(r.faults) < maxFaults {
		r.faults = append(r.faults, Fault{File: v.file, Line: v.line, Field: path, Message: fmt.Sprintf(format, args...)})
	}
}

func (r *reader) warn(v *value, path, format string, args ...any) {
	if len(r.warnings) < maxFaults {
		r.warnings = append(r.warnings, Fault{File: v.file, Line: v.line, Field: path, Message: fmt.Sprintf(format, args...)})
		return
	}
	r.dropped++
}

// fields says how each member of a mapping is read.
type fields map[string]func(v *value, path string)

// mapping reads v's members by their names; those that fields does not name go to other. Nulls count as
// absent; a missing environment variable is a warning and leaves the field at its default, unless
// keepMissing hands it on.
func (r *reader) mapping(v *value, path string, fs fields, other func(m member, path string), keepMissing bool) {
	if v == nil || v.kind == null {
		return
	}
	if v.kind != mapping {
		r.fault(v, path, "must be a mapping (name: value), not %s", v.kind)
		return
	}
	for _, m := range v.members {
		at := printable(m.name)
		if path != "" {
			at = path + "." + at
		}
		read, known := fs[m.name]
		switch {
		case !known:
			other(m, at)
		case m.v.kind == null:
		case m.v.missing != "" && !keepMissing:
			r.missing(m.v, at)
		default:
			read(m.v, at)
			r.sayParsedOnly(m, at)
		}
	}
}

func (r *reader) missing(v *value, path string) {
	r.warn(v, path, "the environment variable %s %s, so this setting is left out", v.env, v.missing)
}

// unknown is the warning for a name that nobody knows, with the nearest that somebody does.
func (r *reader) unknown(m member, path, what string, candidates []string) {
	if len(r.warnings) >= maxFaults {
		r.dropped++
		return
	}
	at := value{file: m.v.file, line: m.line}
	r.warn(&at, path, "is not a known %s and has no effect%s", what, didYouMean(m.name, candidates))
}

func (r *reader) str(v *value, path string) string {
	switch v.kind {
	case list, mapping, null:
		r.fault(v, path, "must be a text, not %s", v.kind)
		return ""
	}
	return v.text
}

// secret reads a key. The newline that a key read from a file often ends with is dropped; any other
// control character would break out of a header.
func (r *reader) secret(v *value, path string) Secret {
	s := strings.TrimSpace(r.str(v, path))
	if strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		r.fault(v, path, "must be a single line without control characters")
	}
	r.literal(v, path)
	return Secret(s)
}

// literal warns of a value that somebody meant to be another.
func (r *reader) literal(v *value, path string) {
	if name := reference(strings.TrimSpace(v.text)); name != "" && v.env == "" {
		r.warn(v, path, "looks like a reference to the variable %s, and is taken as it is written; write os.environ/%s", name, name)
	}
}

func (r *reader) bool(v *value, path string) bool {
	if b, ok := truth[strings.ToLower(strings.TrimSpace(v.text))]; ok && v.kind != list && v.kind != mapping {
		return b
	}
	r.fault(v, path, "must be true or false, not %s", r.describe(v))
	return false
}

// count reads a whole number, 0 or more.
func (r *reader) count(v *value, path string) int {
	n, ok := parseInt(v.text)
	if !ok || v.kind == list || v.kind == mapping || v.kind == boolean {
		r.fault(v, path, "must be a whole number, not %s", r.describe(v))
		return 0
	}
	if n < 0 {
		r.fault(v, path, "must not be negative")
		return 0
	}
	if n > math.MaxInt32*1000 {
		r.fault(v, path, "must be at most %d", int64(math.MaxInt32*1000))
		return 0
	}
	return int(n)
}

// number reads a finite number, 0 or more.
func (r *reader) number(v *value, path string) float64 {
	f, ok := parseFloat(v.text)
	if !ok || v.kind == list || v.kind == mapping || v.kind == boolean {
		r.fault(v, path, "must be a number, not %s", r.describe(v))
		return 0
	}
	if f < 0 || math.IsNaN(f) || math.IsInf(f, 0) {
		r.fault(v, path, "must be a finite number, 0 or more")
		return 0
	}
	return f
}

// duration reads a length of time; a month is thirty days.
func (r *reader) duration(v *value, path string) time.Duration {
	return r.calendar(v, path).Length()
}

func (r *reader) calendar(v *value, path string) Duration {
	if v.kind == list || v.kind == mapping || v.kind == boolean {
		r.fault(v, path, "must be a duration such as 30s or 5m, or a number of seconds, not %s", v.kind)
		return Duration{}
	}
	if v.env != "" {
		d, err := ParseDuration(v.text)
		if err != nil { // the text of a variable may be a secret put in the wrong place
			r.fault(v, path, "the environment variable %s does not hold a duration; write 30s, 5m, 1h or a number of seconds", v.env)
		}
		return d
	}
	d, err := ParseDuration(v.text)
	if err != nil {
		r.fault(v, path, "%s", err)
	}
	return d
}

// strs reads a list of texts; a single text is a list of one, as LiteLLM often allows.
func (r *reader) strs(v *value, path string) []string {
	if v.kind == mapping {
		r.fault(v, path, "must be a list of texts, not a mapping")
		return nil
	}
	if v.kind != list {
		if s := r.str(v, path); s != "" {
			return []string{s}
		}
		return nil
	}
	out := make([]string, 0, len(v.items))
	for i, item := range v.items {
		at := fmt.Sprintf("%s[%d]", path, i)
		if item.missing != "" {
			r.missing(item, at)
			continue
		}
		if s := r.str(item, at); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// json reads anything as JSON with sorted keys.
func (r *reader) json(v *value, path string) json.RawMessage {
	var walk func(v *value, path string)
	walk = func(v *value, path string) {
		if v.kind == float {
			if f, ok := parseFloat(v.text); ok && (math.IsInf(f, 0) || math.IsNaN(f)) {
				r.fault(v, path, "must be a finite number")
			}
		}
		for i, item := range v.items {
			walk(item, fmt.Sprintf("%s[%d]", path, i))
		}
		for _, m := range v.members {
			walk(m.v, path+"."+printable(m.name))
		}
	}
	walk(v, path)
	return v.appendJSON(nil, false)
}

// object is json for what must be a mapping.
func (r *reader) object(v *value, path string) json.RawMessage {
	if v.kind != mapping {
		r.fault(v, path, "must be a mapping (name: value), not %s", v.kind)
		return nil
	}
	return r.json(v, path)
}

// oneOf reads a text that must be one of allowed.
func (r *reader) oneOf(v *value, path string, allowed []string) string {
	s := r.str(v, path)
	for _, a := range allowed {
		if s == a {
			return s
		}
	}
	if s != "" {
		r.fault(v, path, "%s is unknown; it is one of %s%s", r.describe(v), strings.Join(allowed, ", "), didYouMean(s, allowed))
	}
	return ""
}

// describe shows a bad value, unless it came from the environment: that may be a secret.
func (r *reader) describe(v *value) string {
	switch {
	case v.env != "":
		return "what the environment variable " + v.env + " holds"
	case v.kind == list || v.kind == mapping || v.kind == null:
		return v.kind.String()
	}
	return fmt.Sprintf("%q", printable(v.text))
}

// set makes the reader of a field out of a method and where its result goes.
func set[T any](read func(*value, string) T, to *T) func(*value, string) {
	return func(v *value, path string) { *to = read(v, path) }
}

// setPtr is set for fields whose absence means something else than their zero.
func setPtr[T any](read func(*value, string) T, to **T) func(*value, string) {
	return func(v *value, path string) { t := read(v, path); *to = &t }
}

func sortedNames[T any](m map[string]T) []string {
	out := make([]string, 0, len(m))
	for name := range m {
		out = append(out, name)
	}
	sort.Strings(out)
	return out
}
