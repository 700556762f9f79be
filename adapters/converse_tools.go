package adapters

import (
	"slices"
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// isConverseTool tells whether a tool comes in Converse's own form.
func isConverseTool(tool jsondoc.Value) bool {
	return tool.Get("toolSpec") != "" || tool.Get("systemTool") != "" || tool.Get("cachePoint") != ""
}

// computerKinds begin the types of Anthropic's tools that Converse passes on.
var computerKinds = []string{"computer_", "bash_", "text_editor_"}

func isComputerTool(tool jsondoc.Value) bool {
	kind := tool.Get("type").Text()
	return slices.ContainsFunc(computerKinds, func(p string) bool { return strings.HasPrefix(kind, p) })
}

// tools is the list of toolConfig, without its brackets, and toolChoice, "" for none.
func (a *converseCall) tools(thinking jsondoc.Value) (list []byte, choice jsondoc.Value, err *apierror.Error) {
	if a.byTool {
		list = a.schemaTool(list)
	}
	for tool := range a.get("tools").Elements() {
		switch {
		case isConverseTool(tool):
			list = append(a.comma(list), tool...)
			continue
		case isComputerTool(tool) && a.m.is("anthropic."):
			continue // these are sent beside toolConfig
		}
		list = a.tool(list, tool)
	}
	if a.get("web_search_options").IsObject() && a.m.is("amazon.nova") {
		list = append(a.comma(list), `{"systemTool":{"name":"nova_grounding"}}`...)
	}
	if a.grown > a.mostGrown() {
		return nil, "", refused("tools", "The schemas of 'tools' grow too large once their references are written out, as Bedrock wants them.")
	}
	choice = a.choice()
	if a.byTool && choice == "" && a.forces() && thinking == "" && a.get("reasoning_effort") == "" {
		choice = `{"tool":{"name":"` + jsonTool + `"}}`
	}
	if a.thinks(thinking) && choice != "" {
		choice = `{"auto":{}}` // a model that thinks cannot be forced
	}
	return list, choice, nil
}

// schemaTool appends the tool whose input is the answer.
func (a *converseCall) schemaTool(list []byte) []byte {
	description := a.get("response_format").At("json_schema", "description")
	if len(description) <= len(`""`) {
		description = `"` + jsonTool + `"`
	}
	list = append(a.comma(list), `{"toolSpec":{"name":"`+jsonTool+`","description":`...)
	list = append(append(list, description...), `,"inputSchema":{"json":`...)
	return append(a.inputSchema(list, a.schema), `}}}`...)
}

// forces: the model is known to take the choice of a tool.
func (a *converseCall) forces() bool {
	if a.m.arn && !strings.Contains(a.m.base, ".") {
		return false
	}
	return a.can&canChoose != 0 && (!a.m.is("anthropic.") || a.claude.forcesTools())
}

// thinks: thinking with a budget is on.
func (a *converseCall) thinks(thinking jsondoc.Value) bool { return thinking.Get("type").Is("enabled") }

func (a *converseCall) comma(list []byte) []byte {
	if len(list) > 0 {
		return append(list, ',')
	}
	return list
}

// tool appends a function as a toolSpec, and its cache point.
func (a *converseCall) tool(list []byte, tool jsondoc.Value) []byte {
	f, schema := tool.Get("function"), jsondoc.Value("")
	if f == "" {
		f, schema = tool, tool.Get("input_schema") // Anthropic's form
	} else {
		schema = f.Get("parameters")
	}
	name := a.names.append(nil, f.Get("name"))
	description := f.Get("description")
	if len(description) <= len(`""`) || !description.IsString() {
		description = jsondoc.Value(name) // one is wanted
	}
	list = append(append(a.comma(list), `{"toolSpec":{"name":`...), name...)
	list = append(append(list, `,"description":`...), description...)
	list = a.inputSchema(append(list, `,"inputSchema":{"json":`...), schema)
	list = append(list, '}')
	if f.Get("strict") == "true" && a.m.strict() {
		list = append(list, `,"strict":true`...)
	}
	list = append(list, "}}"...)
	if mark := tool.Get("cache_control"); mark.IsObject() && a.can&canCache != 0 {
		if kind := mark.Get("type"); kind == "" || kind.Is("ephemeral") {
			list = a.cachePoint(append(list, ','), mark)
		}
	}
	return list
}

// jsonTypes are what the type of a tool's schema may be.
var jsonTypes = []string{"array", "boolean", "integer", "null", "number", "object", "string"}

// inputSchema appends the schema of a tool's input: type, properties and required, with references written out,
// for Converse does not know them.
func (a *converseCall) inputSchema(dst []byte, schema jsondoc.Value) []byte {
	r := references{root: schema, grown: &a.grown, most: a.mostGrown()}
	kind := jsondoc.Value(`"object"`)
	if t := schema.Get("type"); slices.Contains(jsonTypes, t.Text()) {
		kind = t
	}
	dst = append(append(dst, `{"type":`...), kind...)
	dst = append(dst, `,"properties":`...)
	if p := schema.Get("properties"); p.IsObject() {
		dst = r.append(dst, p)
	} else {
		dst = append(dst, "{}"...)
	}
	dst = append(dst, `,"required":`...)
	if v := schema.Get("required"); v.IsArray() {
		dst = append(dst, v...)
	} else {
		dst = append(dst, "[]"...)
	}
	if v := schema.Get("additionalProperties"); v.Exists() && a.m.strict() {
		dst = r.append(append(dst, `,"additionalProperties":`...), v)
	}
	return append(dst, '}')
}

// references writes out the $ref of a schema: those into $defs and definitions, but not one that leads back to
// itself.
type references struct {
	root jsondoc.Value
	defs definitions
	// looked: the definitions have been read, if there are any.
	looked bool
	open   []string // what is being written out
	// grown is the call's: past the most of it nothing more is written out, and the call is refused.
	grown *int
	most  int
}

func (r *references) append(dst []byte, v jsondoc.Value) []byte {
	switch {
	case v.IsArray():
		return appendElements(dst, v, r.append)
	case !v.IsObject():
		return append(dst, v...)
	}
	if ref := v.Get("$ref"); ref.IsString() {
		if target, name := r.find(ref.Text()); target != "" && !slices.Contains(r.open, name) {
			if *r.grown += len(target); *r.grown <= r.most {
				r.open = append(r.open, name)
				dst = r.append(dst, target)
				r.open = r.open[:len(r.open)-1]
				return dst
			}
		}
	}
	return appendMembers(dst, v, func(dst []byte, k, m jsondoc.Value) []byte {
		switch {
		case k.Is("$defs"), k.Is("definitions") && v == r.root:
			return dst
		case k.Is("type") && m.Is("custom"):
			return append(appendKey(dst, k), `"object"`...) // some clients' word for it
		}
		return r.append(appendKey(dst, k), m)
	})
}

func (r *references) find(ref string) (jsondoc.Value, string) {
	name := ref[strings.LastIndexByte(ref, '/')+1:]
	if !r.looked {
		r.looked = true
		r.defs.add(r.root.Get("definitions"))
		r.defs.add(r.root.Get("$defs"))
	}
	return r.defs.find(name), name
}

// choice is tool_choice in Converse's words.
func (a *converseCall) choice() jsondoc.Value {
	choice := a.get("tool_choice")
	switch {
	case choice == "":
		return ""
	case choice.Is("auto"), choice.Get("type").Is("auto"):
		return `{"auto":{}}`
	case choice.Is("required"), choice.Get("type").Is("required"), choice.Get("type").Is("any"):
		return `{"any":{}}`
	}
	name := choice.At("function", "name")
	if name == "" {
		name = choice.Get("name")
	}
	if name == "" {
		return ""
	}
	return jsondoc.Value(append(a.names.append([]byte(`{"tool":{"name":`), name), "}}"...))
}

// computerTools are Anthropic's own tools and the beta features that they need.
func (a *converseCall) computerTools() (list []byte, betas []string) {
	if !a.m.is("anthropic.") {
		return nil, nil
	}
	for tool := range a.get("tools").Elements() {
		if !isComputerTool(tool) || isConverseTool(tool) {
			continue
		}
		list = append(a.comma(list), '{')
		list = appendHostedMembers(list, tool)
		list = append(list, '}')
	}
	switch c := a.claude; {
	case len(list) == 0:
	case c.family == "opus" && c.atLeast(4, 5), c.atLeast(4, 6):
		betas = append(betas, "computer-use-2025-11-24")
	case c.atLeast(3, 7):
		betas = append(betas, "computer-use-2025-01-24")
	default:
		betas = append(betas, "computer-use-2024-10-22")
	}
	return list, betas
}

// appendHostedMembers appends the members of a tool of Anthropic's own, which may come wrapped in a function and
// without its name.
func appendHostedMembers(dst []byte, tool jsondoc.Value) []byte {
	flat := jsondoc.Value(appendHosted(nil, tool))
	start := len(dst)
	for k, v := range flat.Members() {
		dst = member(dst, start, k.Text(), v)
	}
	if flat.Get("name") == "" {
		switch kind := flat.Get("type").Text(); {
		case strings.HasPrefix(kind, "bash_"):
			dst = member(dst, start, "name", `"bash"`)
		case strings.HasPrefix(kind, "text_editor_"):
			dst = member(dst, start, "name", `"str_replace_editor"`)
		default:
			dst = member(dst, start, "name", `"computer"`)
		}
	}
	return dst
}

// cachePoint appends a block that says: the prompt up to here can be kept.
//
// https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html
func (a *converseCall) cachePoint(dst []byte, mark jsondoc.Value) []byte {
	dst = append(dst, `{"cachePoint":{"type":"default"`...)
	if ttl := mark.Get("ttl"); (ttl.Is("5m") || ttl.Is("1h")) && a.m.longCache() {
		dst = append(append(dst, `,"ttl":`...), ttl...)
	}
	return append(dst, "}}"...)
}
