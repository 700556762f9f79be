package adapters

import (
	"slices"
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// googleSchema writes JSON Schema in the subset of OpenAPI's that Google's Schema is: references are written
// out, null beside other types is nullable, unknown keywords are left out.
//
// https://ai.google.dev/api/caching#Schema
type googleSchema struct {
	at      string // the field of the request, for an error
	ordered bool   // answers keep the order of the properties
	defs    definitions
	limit   int // the length that dst may grow to
	read    int // how many bytes references have led to
	most    int // that read may come to
	depth   int
	err     *apierror.Error
}

const maxSchemaDepth = 100

// schemaKeywords are the keywords that Google knows, apart from those that are written by hand.
var schemaKeywords = setOf(
	"title", "description", "nullable", "default", "minItems", "maxItems", "propertyOrdering",
	"minProperties", "maxProperties", "minimum", "maximum", "minLength", "maxLength", "pattern", "example",
)

// listedKeywords go with the object or array where a type is a list.
var listedKeywords = setOf("properties", "required", "items", "minItems", "maxItems", "minProperties", "maxProperties")

// appendGoogleSchema appends a schema of the call's, named at. Those of one call share what they may grow by.
func (c *call) appendGoogleSchema(dst []byte, schema jsondoc.Value, at string, ordered bool) ([]byte, *apierror.Error) {
	start := len(dst) + len(schema)
	s := googleSchema{at: at, ordered: ordered, limit: start + max(0, c.mostGrown()-c.grown), most: 4 * c.mostGrown()}
	s.define(schema)
	dst = s.append(dst, schemaNode{v: schema, nulls: true})
	c.grown += max(0, len(dst)-start)
	return dst, s.err
}

// define makes the definitions in a schema known.
func (s *googleSchema) define(schema jsondoc.Value) {
	for _, name := range [...]string{"$defs", "definitions"} {
		s.defs.add(schema.Get(name))
	}
}

// schemaNode is a schema and what its surroundings do to it.
type schemaNode struct {
	v                  jsondoc.Value
	kind               jsondoc.Value // its type, where the schema's own is a list; "" otherwise
	title, description jsondoc.Value // of the alternatives that it is one of
	nullable           bool
	nulls              bool     // null among its alternatives is told by nullable
	chain              []string // the references that led here
}

// resolve follows a reference; one to nowhere or into itself stays and is an object of any kind.
func (s *googleSchema) resolve(n schemaNode) schemaNode {
	for {
		ref := n.v.Get("$ref").Text()
		if ref == "" {
			return n
		}
		name := ref[strings.LastIndexByte(ref, '/')+1:]
		if slices.Contains(n.chain, name) {
			return n
		}
		target := s.defs.find(name)
		if s.read += len(target); s.read > s.most {
			s.tooLarge()
			return n
		}
		if !target.IsObject() {
			return n
		}
		n.chain = append(slices.Clip(n.chain), name)
		n.v = target
		s.define(target)
	}
}

func (s *googleSchema) tooLarge() {
	s.err = refused(s.at, "'%s' nests too deep, or grows too large once its references are written out.", s.at)
}

func (s *googleSchema) append(dst []byte, n schemaNode) []byte {
	if s.err != nil {
		return dst
	}
	if s.depth++; s.depth > maxSchemaDepth || len(dst) > s.limit {
		s.tooLarge()
		return dst
	}
	defer func() { s.depth-- }()
	if n = s.resolve(n); !n.v.IsObject() {
		return append(dst, `{"type":"object"}`...) // true: anything goes
	}
	if list := n.v.Get("type"); n.kind == "" && list.IsArray() && list.Len() > 1 {
		return s.appendTypes(dst, n, list)
	}
	if any := n.v.Get("anyOf"); n.kind == "" && any.IsArray() && first(any) != "" {
		return s.appendAnyOf(dst, n, any)
	}
	return s.appendPlain(dst, n)
}

// appendTypes writes a list of types as alternatives.
func (s *googleSchema) appendTypes(dst []byte, n schemaNode, list jsondoc.Value) []byte {
	dst = append(dst, `{"anyOf":[`...)
	i := 0
	for kind := range list.Elements() {
		if !kind.IsString() {
			continue
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		i++
		dst = s.appendPlain(dst, schemaNode{
			v: n.v, kind: kind, title: n.v.Get("title"), description: n.v.Get("description"), nulls: n.nulls, chain: n.chain,
		})
	}
	return append(dst, "]}"...)
}

// appendAnyOf writes alternatives; Google takes nothing beside them.
func (s *googleSchema) appendAnyOf(dst []byte, n schemaNode, list jsondoc.Value) []byte {
	null, others := false, 0
	for v := range list.Elements() {
		if n.nulls && v.Get("type").Is("null") {
			null = true
		} else {
			others++
		}
	}
	if others == 0 {
		s.err = refused(s.at, "'%s' holds a value that can only be null, which Gemini does not take.", s.at)
		return dst
	}
	title, description := n.v.Get("title"), n.v.Get("description")
	if n.title != "" {
		title = n.title
	}
	if n.description != "" {
		description = n.description
	}
	dst = append(dst, `{"anyOf":[`...)
	i := 0
	for v := range list.Elements() {
		if null && v.Get("type").Is("null") {
			continue
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		i++
		dst = s.append(dst, schemaNode{v: v, title: title, description: description, nullable: null, chain: n.chain})
	}
	return append(dst, "]}"...)
}

// schemaShape is what a schema of one type comes to.
type schemaShape struct {
	kind       jsondoc.Value
	properties jsondoc.Value // "" if there are none
	listed     bool          // it may have members beside its type
}

func shapeOf(n schemaNode) schemaShape {
	p := schemaShape{kind: n.kind, listed: n.kind == "" || n.kind.Is("object") || n.kind.Is("array")}
	if p.kind == "" {
		if p.kind = n.v.Get("type"); p.kind.IsArray() {
			p.kind = first(p.kind)
		}
	}
	object := n.v.Get("properties").IsObject() && p.listed
	if object && next(n.v.Get("properties")) {
		p.properties = n.v.Get("properties")
	}
	choice := n.v.Get("oneOf") != "" || n.v.Get("allOf") != "" || n.v.Get("anyOf") != "" && n.kind == ""
	switch {
	case object && (n.kind == "" || n.kind.Is("object")), !p.kind.IsString() && !choice:
		p.kind = `"object"`
	case !p.kind.IsString():
		p.kind = ""
	}
	return p
}

// appendName begins a member of the object that is being written at start.
func appendName(dst []byte, start int, name string) []byte {
	if len(dst) > start {
		dst = append(dst, ',')
	}
	return append(append(append(dst, '"'), name...), `":`...)
}

// appendPlain writes a schema that is of one type.
func (s *googleSchema) appendPlain(dst []byte, n schemaNode) []byte {
	p := shapeOf(n)
	dst = append(dst, '{')
	start := len(dst)
	own := func(name string, v jsondoc.Value) {
		if v.Exists() {
			dst = append(appendName(dst, start, name), v...)
		}
	}
	own("type", p.kind)
	own("title", n.title)
	own("description", n.description)
	if n.nullable {
		own("nullable", "true")
	}
	for k, v := range n.v.Members() {
		name := k.Text()
		switch {
		case n.kind != "" && (!p.listed || !listedKeywords[name]):
		case name == "title" && n.title.Exists(), name == "description" && n.description.Exists(), name == "nullable" && n.nullable:
		default:
			dst = s.appendKeyword(dst, start, n, p, name, v)
		}
	}
	if isKind(p.kind, "array") && !n.v.Get("items").IsObject() {
		own("items", `{"type":"object"}`)
	}
	if s.ordered && p.properties != "" && n.v.Get("propertyOrdering") == "" {
		dst = append(appendName(dst, start, "propertyOrdering"), '[')
		for k := range p.properties.Members() {
			dst = append(append(dst, k...), ',')
		}
		dst[len(dst)-1] = ']'
	}
	return append(dst, '}')
}

// appendKeyword writes a keyword, if Google knows it.
func (s *googleSchema) appendKeyword(dst []byte, start int, n schemaNode, p schemaShape, name string, v jsondoc.Value) []byte {
	switch name {
	case "properties":
		if p.properties != "" {
			return s.appendProperties(appendName(dst, start, name), n, v)
		}
		return dst
	case "items":
		if v.IsObject() {
			return s.append(appendName(dst, start, name), schemaNode{v: v, nulls: n.nulls, chain: n.chain})
		}
		return dst
	case "required":
		if !v.Exists() || n.v.Get("properties").IsObject() && p.properties == "" {
			return dst
		}
	case "enum":
		if isKind(p.kind, "string") && v.IsArray() {
			return appendEnum(appendName(dst, start, name), v)
		}
		return dst
	case "format":
		if !v.Is("enum") && !v.Is("date-time") {
			return dst
		}
	default:
		if !schemaKeywords[name] {
			return dst
		}
	}
	return append(appendName(dst, start, name), v...)
}

func (s *googleSchema) appendProperties(dst []byte, n schemaNode, properties jsondoc.Value) []byte {
	dst = append(dst, '{')
	start := len(dst)
	for k, v := range properties.Members() {
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = s.append(append(append(dst, k...), ':'), schemaNode{v: v, nulls: n.nulls, chain: n.chain})
	}
	return append(dst, '}')
}

// isKind tells whether a type is this one, in either of the spellings that Google takes.
func isKind(kind jsondoc.Value, name string) bool { return strings.EqualFold(kind.Text(), name) }

// appendEnum writes the values of an enum; Google takes no empty text among them.
func appendEnum(dst []byte, list jsondoc.Value) []byte {
	dst = append(dst, '[')
	i := 0
	for v := range list.Elements() {
		if i > 0 {
			dst = append(dst, ',')
		}
		i++
		if v == `""` {
			v = "null"
		}
		dst = append(dst, v...)
	}
	return append(dst, ']')
}
