package adapters

import (
	"bytes"
	"slices"
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// mostInlined bounds a schema with its references written out, in bytes.
const mostInlined = 1 << 20

// inlined is a JSON schema with what its $ref name written in their place, for Claude's structured outputs do
// not follow all of them. One that refers to itself, or would grow too big, stays as it is.
func inlined(schema jsondoc.Value) jsondoc.Value {
	in := refs{defs: map[string]jsondoc.Value{}}
	for _, name := range [...]string{"definitions", "$defs"} {
		for k, v := range schema.Get(name).Members() {
			in.defs[k.Text()] = v
		}
	}
	if len(in.defs) == 0 {
		return schema
	}
	dst := in.append(make([]byte, 0, 2*len(schema)), schema, true)
	if in.failed {
		return schema
	}
	return jsondoc.Value(dst)
}

// refs writes references out.
type refs struct {
	defs   map[string]jsondoc.Value
	chain  []string // the definitions being written
	failed bool
}

func (r *refs) append(dst []byte, v jsondoc.Value, top bool) []byte {
	if r.failed = r.failed || len(dst) > mostInlined; r.failed {
		return dst
	}
	switch {
	case v.IsObject():
		if ref := v.Get("$ref"); ref.IsString() {
			return r.target(dst, v, refName(ref))
		}
		return appendMembers(dst, v, func(dst []byte, k, m jsondoc.Value) []byte {
			if top && (k.Is("$defs") || k.Is("definitions")) {
				return dst
			}
			return r.append(appendKey(dst, k), m, false)
		})
	case v.IsArray():
		return appendElements(dst, v, func(dst []byte, e jsondoc.Value) []byte { return r.append(dst, e, false) })
	}
	return append(dst, v...)
}

func (r *refs) target(dst []byte, v jsondoc.Value, name string) []byte {
	target, known := r.defs[name]
	if !known {
		return append(dst, v...)
	}
	if slices.Contains(r.chain, name) {
		r.failed = true
		return dst
	}
	r.chain = append(r.chain, name)
	dst = r.append(dst, target, false)
	r.chain = r.chain[:len(r.chain)-1]
	return dst
}

func refName(ref jsondoc.Value) string {
	s := ref.Text()
	return s[strings.LastIndexByte(s, '/')+1:]
}

// appendToolSchema appends the schema of a response_format as a tool's: an object, its references in
// LiteLLM's spelling.
func appendToolSchema(dst []byte, schema jsondoc.Value) []byte {
	rest := bytes.TrimLeft(appendRefs(nil, schema)[1:], " \t\r\n")
	dst = append(dst, '{')
	if schema.Get("type") == "" {
		dst = append(dst, `"type":"object"`...)
		if rest[0] != '}' {
			dst = append(dst, ',')
		}
	}
	return append(dst, rest...)
}

// appendRefs appends v with every $ref as /$defs/NAME.
func appendRefs(dst []byte, v jsondoc.Value) []byte {
	if !strings.Contains(string(v), `"$ref"`) {
		return append(dst, v...)
	}
	switch {
	case v.IsObject():
		return appendMembers(dst, v, func(dst []byte, k, m jsondoc.Value) []byte {
			dst = appendKey(dst, k)
			if k.Is("$ref") && m.IsString() {
				return apierror.AppendString(dst, "/$defs/"+refName(m))
			}
			return appendRefs(dst, m)
		})
	case v.IsArray():
		return appendElements(dst, v, appendRefs)
	}
	return append(dst, v...)
}
