package adapters

import (
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// unsupportedKeywords are what Claude's structured outputs refuse in a schema. A constraint is told in
// the description instead, as Anthropic's own SDKs do.
//
// https://docs.anthropic.com/en/docs/build-with-claude/structured-outputs
var unsupportedKeywords = []struct{ name, words string }{
	{"minItems", "minimum number of items: "}, {"maxItems", "maximum number of items: "},
	{"uniqueItems", "all array items must be unique"},
	{"contains", "array must contain an item matching: "}, {"minContains", "minimum number of matching items: "},
	{"maxContains", "maximum number of matching items: "}, {"prefixItems", "leading items must match, in order: "},
	{"minimum", "minimum value: "}, {"maximum", "maximum value: "},
	{"exclusiveMinimum", "exclusive minimum value: "}, {"exclusiveMaximum", "exclusive maximum value: "},
	{"multipleOf", "must be a multiple of "}, {"minLength", "minimum length: "}, {"maxLength", "maximum length: "},
	{"minProperties", "minimum number of properties: "}, {"maxProperties", "maximum number of properties: "},
	{"patternProperties", "properties whose names match each pattern must satisfy: "},
	{"propertyNames", "property names must satisfy: "}, {"dependentRequired", "dependent required properties: "},
	{"dependentSchemas", "dependent schemas: "}, {"unevaluatedProperties", "unevaluated properties must satisfy: "},
	{"if", "conditional (if): "}, {"then", "conditional (then): "}, {"else", "conditional (else): "}, {"not", "must not match: "},
}

func unsupportedKeyword(name string) bool {
	for i := range unsupportedKeywords {
		if unsupportedKeywords[i].name == name {
			return true
		}
	}
	return false
}

// constraints puts into words what a schema loses.
func constraints(schema jsondoc.Value) (notes []string) {
	for _, k := range unsupportedKeywords {
		v := schema.Get(k.name)
		switch {
		case !v.Exists() || v == "false":
		case k.name == "uniqueItems":
			notes = append(notes, k.words)
		case v.IsString():
			notes = append(notes, k.words+v.Text())
		default:
			notes = append(notes, k.words+string(v))
		}
	}
	return notes
}

// appendClaudeSchema appends a JSON schema in the subset that Claude's structured outputs know: objects
// are closed, oneOf is anyOf, and constraints are words.
func appendClaudeSchema(dst []byte, schema jsondoc.Value) []byte {
	if !schema.IsObject() {
		return append(dst, schema...)
	}
	object := schema.Get("type").Is("object")
	dst = append(dst, '{')
	start := len(dst)
	for k, v := range schema.Members() {
		name := k.Text()
		switch {
		case unsupportedKeyword(name), name == "description", name == "$schema", name == "$id", name == "additionalProperties" && object,
			name == "oneOf" && schema.Get("anyOf") != "":
			continue
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		if name == "oneOf" {
			k = `"anyOf"`
		}
		dst = append(append(dst, k...), ':')
		dst = appendSubschemas(dst, name, v, schema)
	}
	if text := describe(schema.Get("description"), constraints(schema)); text != "" {
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(append(dst, `"description":`...), text...)
	}
	if object {
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(dst, `"additionalProperties":false`...)
	}
	return append(dst, '}')
}

// appendSubschemas appends a keyword's value, and the schemas in it as Claude takes them.
func appendSubschemas(dst []byte, keyword string, v, schema jsondoc.Value) []byte {
	switch keyword {
	case "properties", "$defs", "definitions":
		return appendMembers(dst, v, func(dst []byte, k, m jsondoc.Value) []byte { return appendClaudeSchema(appendKey(dst, k), m) })
	case "anyOf", "oneOf", "allOf":
		dst = append(dst, '[')
		start := len(dst)
		add := func(list jsondoc.Value) {
			for m := range list.Elements() {
				if len(dst) > start {
					dst = append(dst, ',')
				}
				dst = appendClaudeSchema(dst, m)
			}
		}
		add(v)
		if keyword == "anyOf" {
			add(schema.Get("oneOf"))
		}
		return append(dst, ']')
	case "items":
		return appendClaudeSchema(dst, v)
	}
	return append(dst, v...)
}

// describe is the description with the constraints that had to go, as a JSON string.
func describe(description jsondoc.Value, notes []string) jsondoc.Value {
	if len(notes) == 0 {
		if description.IsString() {
			return description
		}
		return ""
	}
	text := "Note: " + strings.Join(notes, ", ") + "."
	if d := description.Text(); d != "" {
		text = d + " " + text
	}
	return jsondoc.Value(apierror.AppendString(nil, text))
}
