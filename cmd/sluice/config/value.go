package config

import (
	"encoding/json"
	"math"
	"sort"
	"strconv"
	"strings"

	"github.com/sluicegw/sluice/internal/apierror"
)

type kind uint8

const (
	null kind = iota
	boolean
	integer
	float
	text
	list
	mapping
)

func (k kind) String() string {
	return [...]string{"nothing", "true or false", "a whole number", "a number", "a text", "a list", "a mapping"}[k]
}

// value is a YAML node with anchors, merge keys and environment variables resolved, that still knows
// where it stands.
type value struct {
	kind    kind
	text    string // a scalar as written, or as the environment says
	file    string
	line    int
	env     string // the environment variable that it refers to
	missing string // why there is no value: "is not set", "is empty"
	items   []*value
	members []member
}

type member struct {
	name string
	line int
	v    *value
}

// get is the member of that name, or nil. Nulls count as absent, as they do for LiteLLM.
func (v *value) get(name string) *value {
	if v == nil || v.kind != mapping {
		return nil
	}
	for i := range v.members {
		if v.members[i].name == name && v.members[i].v.kind != null {
			return v.members[i].v
		}
	}
	return nil
}

// appendJSON appends v as JSON with sorted keys. With refs, a value from the environment appears as its
// reference, so that the result does not change when a secret is rotated.
func (v *value) appendJSON(dst []byte, refs bool) []byte {
	if refs && v.env != "" {
		return apierror.AppendString(dst, envPrefix+v.env)
	}
	if v.missing != "" {
		return append(dst, "null"...)
	}
	switch v.kind {
	case boolean:
		return strconv.AppendBool(dst, truth[strings.ToLower(v.text)])
	case integer, float:
		return appendNumber(dst, v.text)
	case text:
		return apierror.AppendString(dst, v.text)
	case list:
		dst = append(dst, '[')
		for i, item := range v.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = item.appendJSON(dst, refs)
		}
		return append(dst, ']')
	case mapping:
		sorted := append([]member(nil), v.members...)
		sort.SliceStable(sorted, func(i, j int) bool { return sorted[i].name < sorted[j].name })
		dst = append(dst, '{')
		for i, m := range sorted {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = apierror.AppendString(dst, m.name)
			dst = append(dst, ':')
			dst = m.v.appendJSON(dst, refs)
		}
		return append(dst, '}')
	}
	return append(dst, "null"...)
}

// appendNumber keeps a number's own digits where JSON has the same syntax; YAML's other spellings
// (0x1f, 1_000, +1, .5) are written out. Infinities have no JSON and become null.
func appendNumber(dst []byte, s string) []byte {
	if json.Valid([]byte(s)) {
		return append(dst, s...)
	}
	if n, ok := parseInt(s); ok {
		return strconv.AppendInt(dst, n, 10)
	}
	f, ok := parseFloat(s)
	if !ok || math.IsInf(f, 0) || math.IsNaN(f) {
		return append(dst, "null"...)
	}
	return strconv.AppendFloat(dst, f, 'g', -1, 64)
}

// parseInt reads YAML's and pydantic's whole numbers: 4000, 4_000, 0x1f, 0o17, 4000.0.
func parseInt(s string) (int64, bool) {
	s = strings.ReplaceAll(strings.TrimSpace(s), "_", "")
	base := 10
	if t := strings.TrimLeft(s, "+-"); len(t) > 2 && t[0] == '0' && strings.ContainsRune("xXoObB", rune(t[1])) {
		base = 0
	}
	if n, err := strconv.ParseInt(s, base, 64); err == nil {
		return n, true
	}
	if f, ok := parseFloat(s); ok && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return int64(f), true
	}
	return 0, false
}

func parseFloat(s string) (float64, bool) {
	s = strings.ReplaceAll(strings.TrimSpace(s), "_", "")
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}

// truth holds the spellings of booleans that YAML 1.1 and pydantic know.
var truth = map[string]bool{
	"true": true, "yes": true, "on": true, "y": true, "t": true, "1": true,
	"false": false, "no": false, "off": false, "n": false, "f": false, "0": false,
}
