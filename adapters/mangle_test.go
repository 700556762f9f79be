package adapters

import (
	"bytes"
	"encoding/json"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// Bytes changed at random are seldom JSON still, and most of a dialect is behind the parser. So inputs are mangled, too:
// what they say stays JSON and becomes nonsense.

// oddities are what may stand where something else is expected.
var oddities = []string{
	`null`, `true`, `0`, `-1`, `1e400`, `0.5`, `9223372036854775808`, `""`, `"x"`, `"\ud800"`, `"\u0000é\""`, `"data:,"`, `"{\"a\":1}"`,
	`[]`, `{}`, `[[]]`, `[{}]`, `[null]`, `["x",1]`, `{"type":"text"}`, `{"type":7}`, `{"text":"x","type":"text"}`, `{"":{"":[]}}`,
}

// mangle changes the JSON texts in body, one a line or one over all lines, as seed tells. An even one leaves it as it is.
func mangle(body []byte, seed uint64) []byte {
	if seed%2 == 0 {
		return body
	}
	rnd := rand.New(rand.NewPCG(seed, 7))
	if json.Valid(body) {
		return mangleText(body, rnd)
	}
	lines := bytes.SplitAfter(body, []byte("\n"))
	for i, line := range lines {
		at := bytes.IndexByte(line, '{')
		text := bytes.TrimRight(line[max(at, 0):], "\r\n")
		if at >= 0 && json.Valid(text) && rnd.IntN(4) == 0 {
			lines[i] = slices.Concat(line[:at], mangleText(text, rnd), line[at+len(text):])
		}
	}
	switch at, to := rnd.IntN(len(lines)), rnd.IntN(len(lines)); rnd.IntN(4) {
	case 0:
		lines = slices.Insert(lines, to, lines[at])
	case 1:
		lines = slices.Delete(lines, at, at+1)
	case 2:
		lines[at], lines[to] = lines[to], lines[at]
	}
	return bytes.Join(lines, nil)
}

func mangleText(text []byte, rnd *rand.Rand) []byte {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return text
	}
	for range 1 + rnd.IntN(3) {
		v = mangleValue(v, rnd)
	}
	out, err := json.Marshal(v)
	if err != nil {
		return text
	}
	return out
}

// mangleValue changes one place in v.
func mangleValue(v any, rnd *rand.Rand) any {
	odd := json.RawMessage(oddities[rnd.IntN(len(oddities))])
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			break
		}
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		name := names[rnd.IntN(len(names))]
		switch rnd.IntN(10) {
		case 0:
			delete(v, name)
		case 1:
			v[names[rnd.IntN(len(names))]] = v[name]
		case 2:
			v[strings.ToUpper(name)] = odd
		case 3:
			return odd
		default:
			v[name] = mangleValue(v[name], rnd)
		}
		return v
	case []any:
		if len(v) == 0 {
			break
		}
		i := rnd.IntN(len(v))
		switch rnd.IntN(10) {
		case 0:
			return slices.Delete(v, i, i+1)
		case 1, 2:
			return slices.Insert(v, rnd.IntN(len(v)), v[i])
		case 3:
			return append(v, odd)
		case 4:
			return odd
		default:
			v[i] = mangleValue(v[i], rnd)
		}
		return v
	}
	return odd
}

// variants are copies of a JSON text, each with one value in it left out or replaced by something of another type.
func variants(text []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		var root any
		if d.Decode(&root) != nil {
			return
		}
		try := func() bool {
			out, err := json.Marshal(root)
			return err != nil || yield(out)
		}
		var walk func(v any) bool
		walk = func(v any) bool {
			switch v := v.(type) {
			case map[string]any:
				for _, name := range slices.Sorted(maps.Keys(v)) {
					old := v[name]
					delete(v, name)
					ok := try()
					for _, odd := range replacements {
						v[name] = odd
						ok = ok && try()
					}
					v[name] = old
					if !ok || !walk(old) {
						return false
					}
				}
			case []any:
				for i, old := range v {
					ok := true
					for _, odd := range replacements {
						v[i] = odd
						ok = ok && try()
					}
					v[i] = old
					if !ok || !walk(old) {
						return false
					}
				}
			}
			return true
		}
		walk(root)
	}
}

var replacements = []any{nil, 7, "x", []any{}, map[string]any{}, []any{nil}}

// TestEveryMemberMayBeStrange: one value that is missing or of another type makes no invalid JSON, either way.
func TestEveryMemberMayBeStrange(t *testing.T) {
	all := fuzzed{seeds: []string{"*"}}
	requests := all.goldens(t, "in.json")
	for name, d := range fuzzedDialects {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			targets := d.targets(t)
			streams, wholes := fuzzedCalls(t)
			n, each := 0, 1
			if testing.Short() {
				each = 7
			}
			for _, s := range requests {
				for body := range variants(s) {
					if n++; n%each != 0 {
						continue
					}
					d.checkRequest(t, targets[n%len(targets)], body)
				}
			}
			for _, s := range d.goldens(t, "upstream.json") {
				for body := range variants(s) {
					if n++; n%each != 0 {
						continue
					}
					d.checkWhole(t, targets[n%len(targets)], wholes[n%len(wholes)], body, 200)
					d.checkWhole(t, targets[n%len(targets)], wholes[0], body, 400)
				}
			}
			for _, kind := range []string{"upstream.sse", "upstream.ndjson", "upstream.aws"} {
				for _, s := range d.goldens(t, kind) {
					for body := range streamVariants(s) {
						if n++; n%each != 0 {
							continue
						}
						d.checkStreams(t, targets[n%len(targets)], streams[n%len(streams)], body, 0)
					}
				}
			}
			t.Logf("%d variants", n)
		})
	}
}

// streamVariants are copies of a stream with one of [variants] in one event.
func streamVariants(stream []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		lines := bytes.SplitAfter(stream, []byte("\n"))
		for i, line := range lines {
			at := bytes.IndexByte(line, '{')
			if at < 0 {
				continue
			}
			text := bytes.TrimRight(line[at:], "\r\n")
			for v := range variants(text) {
				changed := slices.Concat(line[:at], v, line[at+len(text):])
				if !yield(slices.Concat(bytes.Join(lines[:i], nil), changed, bytes.Join(lines[i+1:], nil))) {
					return
				}
			}
		}
	}
}
