package tokens

import (
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
)

// definitions writes tools as OpenAI is believed to show them to its models: as TypeScript. LiteLLM counts
// this text (_format_function_definitions).
func definitions(tools jsondoc.Value) string {
	lines := []string{"namespace functions {", ""}
	for t := range tools.Elements() {
		switch {
		case t.Get("function").IsObject():
			lines = definition(lines, t.Get("function"), "parameters")
		case t.Get("function_declarations").IsArray():
			lines = declarations(lines, t.Get("function_declarations"))
		case t.Get("functionDeclarations").IsArray():
			lines = declarations(lines, t.Get("functionDeclarations"))
		case t.Get("input_schema").IsObject():
			lines = definition(lines, t, "input_schema")
		case t.IsObject():
			lines = definition(lines, t, "parameters")
		}
	}
	return strings.Join(append(lines, "} // namespace functions"), "\n")
}

func declarations(lines []string, list jsondoc.Value) []string {
	for d := range list.Elements() {
		lines = definition(lines, d, "parameters")
	}
	return lines
}

func definition(lines []string, f jsondoc.Value, schema string) []string {
	name := f.Get("name").Text()
	if name == "" {
		return lines
	}
	if d := f.Get("description").Text(); d != "" {
		lines = append(lines, "// "+d)
	}
	parameters := f.Get(schema)
	if !hasMembers(parameters.Get("properties")) {
		return append(lines, "type "+name+" = () => any;", "")
	}
	return append(lines, "type "+name+" = (_: {", members(parameters, 0), "}) => any;", "")
}

func hasMembers(v jsondoc.Value) bool {
	for range v.Members() {
		return true
	}
	return false
}

// members writes the properties of an object, a line each.
func members(object jsondoc.Value, indent int) string {
	required := object.Get("required")
	var lines []string
	for k, v := range object.Get("properties").Members() {
		if d := v.Get("description").Text(); d != "" {
			lines = append(lines, "// "+d)
		}
		question := "?"
		for r := range required.Elements() {
			if r.Is(k.Text()) {
				question = ""
			}
		}
		lines = append(lines, k.Text()+question+": "+typeOf(v, indent)+",")
	}
	blank := strings.Repeat(" ", indent)
	for i := range lines {
		lines[i] = blank + lines[i]
	}
	return strings.Join(lines, "\n")
}

func typeOf(v jsondoc.Value, indent int) string {
	if indent > 2*mostNested {
		return "any"
	}
	switch kind := v.Get("type").Text(); kind {
	case "string":
		if enum := v.Get("enum"); enum.IsArray() {
			return alternatives(enum)
		}
		return "string"
	case "array":
		return typeOf(v.Get("items"), indent) + "[]"
	case "object":
		return "{\n" + members(v, indent+2) + "\n}"
	case "integer", "number":
		if enum := v.Get("enum"); enum.IsArray() {
			return alternatives(enum)
		}
		return "number"
	case "boolean", "null":
		return kind
	}
	return "any"
}

// alternatives writes the values of an enum.
func alternatives(enum jsondoc.Value) string {
	var items []string
	for e := range enum.Elements() {
		text := literal(e)
		if e.IsString() {
			text = e.Text()
		}
		items = append(items, `"`+text+`"`)
	}
	return strings.Join(items, " | ")
}
