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
var unsupportedKeywords = map[string]bool{
	"minItems": true, "maxItems": true, "uniqueItems": true, "contains": true, "minContains": true,
	"maxContains": true, "prefixItems": true, "minimum": true, "maximum": true, "exclusiveMinimum": true,
	"exclusiveMaximum": true, "multipleOf": true, "minLength": true, "maxLength": true,
	"minProperties": true, "maxProperties": true, "patternProperties": true, "propertyNames": true,
	"dependentRequired": true, "dependentSchemas": true, "unevaluatedProperties": true,
	"if": true, "then": true, "else": true, "not": true,
}

// appendClaudeSchema appends a JSON schema in the subset that Claude's structured outputs know: objects
// are closed, oneOf is anyOf, and constraints are words.
func appendClaudeSchema(dst []byte, schema jsondoc.Value) []byte {
	if !schema.IsObject() {
		return append(dst, schema...)
	}
	var notes []string
	object := schema.Get("type").Is("object")
	dst = append(dst, '{')
	start := len(dst)
	for k, v := range schema.Members() {
		name := k.Text()
		switch {
		case unsupportedKeywords[name]:
			if v != "false" && v.Exists() {
				notes = append(notes, name+": "+string(v))
			}
			continue
		case name == "description", name == "$schema", name == "$id", name == "additionalProperties" && object,
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
	if text := describe(schema.Get("description"), notes); text != "" {
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
		dst = append(dst, '{')
		start := len(dst)
		for k, m := range v.Members() {
			if len(dst) > start {
				dst = append(dst, ',')
			}
			dst = appendClaudeSchema(append(append(dst, k...), ':'), m)
		}
		return append(dst, '}')
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
	text := "Constraints: " + strings.Join(notes, ", ") + "."
	if d := description.Text(); d != "" {
		text = d + " " + text
	}
	return jsondoc.Value(apierror.AppendString(nil, text))
}
