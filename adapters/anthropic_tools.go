package adapters

import (
	"slices"
	"strconv"
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// hostedTools begin the types of tools that Anthropic defines itself.
var hostedTools = []string{
	"computer_", "bash_", "text_editor_", "web_search_", "web_fetch_", "code_execution_", "memory_",
	"tool_search_tool_", "advisor_", "mcp_toolset",
}

// checkTools refuses what cannot be said to this model, before anything is written.
func checkTools(c *call, m claude) *apierror.Error {
	i := 0
	for tool := range c.get("tools").Elements() {
		at := "tools[" + strconv.Itoa(i) + "]"
		i++
		kind := tool.Get("type").Text()
		switch {
		case !tool.IsObject():
			return refused(at, "'%s' must be an object, not %s.", at, kindOf(tool))
		case isNative(tool):
			if name := tool.Get("name"); !name.IsString() || name == `""` {
				return refused(at+".name", "Missing required parameter: '%s.name'.", at)
			}
		case kind == "function" || kind == "" || kind == "custom" && tool.Get("function") != "":
			if name := tool.At("function", "name"); !name.IsString() || name == `""` {
				return refused(at+".function.name", "Missing required parameter: '%s.function.name'.", at)
			}
			if p := tool.At("function", "parameters"); p.Exists() && !p.IsObject() {
				return refused(at+".function.parameters", "'%s.function.parameters' must be an object, not %s.", at, kindOf(p))
			}
		case isHosted(kind):
			if tool.Get("name") == "" && tool.At("function", "name") == "" && kind != "mcp_toolset" {
				return refused(at+".name", "Missing required parameter: '%s.name'.", at)
			}
		default:
			return refused(at+".type", "anthropic has no tools of type %q.", clipText(kind, 64))
		}
	}
	choice := c.get("tool_choice")
	if forces(choice) && !m.forcesTools() {
		if !c.dropping {
			return refused("tool_choice", "Model %s cannot be forced to call a tool: use tool_choice auto, or set drop_params: true.", c.model)
		}
		c.set("tool_choice", `"auto"`)
	}
	return nil
}

// isNative tells whether a tool comes in Anthropic's own form.
func isNative(tool jsondoc.Value) bool {
	kind := tool.Get("type")
	return (!kind.Exists() || kind.Is("custom")) && tool.Get("function") == "" && tool.Get("input_schema").IsObject()
}

func isHosted(kind string) bool {
	return slices.ContainsFunc(hostedTools, func(p string) bool { return strings.HasPrefix(kind, p) })
}

func forces(choice jsondoc.Value) bool {
	return choice.Is("required") || choice.Get("function") != "" ||
		choice.Get("type").Is("required") || choice.Get("type").Is("any") || choice.Get("type").Is("tool")
}

// appendTools appends tools and tool_choice.
func (a *anthropicCall) appendTools(dst []byte, thinking bool) ([]byte, *apierror.Error) {
	before := len(dst)
	dst = append(dst, `,"tools":[`...)
	start := len(dst)
	comma := func() {
		if len(dst) > start {
			dst = append(dst, ',')
		}
	}
	if a.byTool {
		dst = append(dst, `{"name":"`+jsonTool+`","input_schema":`...)
		dst = append(appendToolSchema(dst, a.schema), '}')
	}
	for tool := range a.get("tools").Elements() {
		comma()
		dst = a.appendTool(dst, tool)
	}
	if o := a.get("web_search_options"); o.IsObject() {
		comma()
		dst = appendWebSearch(dst, o)
	}
	switch {
	case len(dst) > start || a.get("tools") != "":
		dst = append(dst, ']')
	case a.r.facts&hasToolCalls != 0:
		// Turns that called tools are refused in a request without any.
		dst = append(dst, `{"type":"custom","name":"dummy_tool","description":"This is a dummy tool call",`+
			`"input_schema":{"type":"object","properties":{}}}]`...)
	default:
		dst = dst[:before]
	}
	chosen := len(dst)
	if dst = a.appendToolChoice(dst); len(dst) == chosen && a.byTool && !thinking && a.m.forcesTools() {
		dst = append(dst, `,"tool_choice":{"type":"tool","name":"`+jsonTool+`"}`...)
	}
	return dst, nil
}

func (a *anthropicCall) appendTool(dst []byte, tool jsondoc.Value) []byte {
	f := tool.Get("function")
	if isHosted(tool.Get("type").Text()) {
		return appendHosted(dst, tool)
	}
	if isNative(tool) {
		return append(dst, tool...)
	}
	dst = append(dst, `{"type":"custom","name":`...)
	dst = a.names.append(dst, f.Get("name"))
	if d := f.Get("description"); d.IsString() {
		dst = append(append(dst, `,"description":`...), d...)
	}
	dst = append(dst, `,"input_schema":`...)
	dst = appendInputSchema(dst, f.Get("parameters"))
	for _, name := range [...]string{"cache_control", "defer_loading", "allowed_callers", "input_examples", "eager_input_streaming"} {
		v := tool.Get(name)
		if !v.Exists() {
			v = f.Get(name)
		}
		if v.Exists() {
			dst = append(append(append(append(dst, `,"`...), name...), `":`...), v...)
		}
	}
	return append(dst, '}')
}

// appendHosted appends a tool of Anthropic's own, which may come wrapped in a function.
func appendHosted(dst []byte, tool jsondoc.Value) []byte {
	dst = append(dst, '{')
	start := len(dst)
	add := func(k, v jsondoc.Value) {
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, k...), ':'), v...)
	}
	for k, v := range tool.Members() {
		if !k.Is("function") {
			add(k, v)
		}
	}
	for k, v := range tool.Get("function").Members() {
		switch {
		case k.Is("parameters"):
			for pk, pv := range v.Members() {
				add(pk, pv)
			}
		case tool.Get(k.Text()) == "":
			add(k, v)
		}
	}
	return append(dst, '}')
}

// appendInputSchema appends a function's parameters as Anthropic wants them: an object, without
// combinators at the top.
func appendInputSchema(dst []byte, schema jsondoc.Value) []byte {
	dst = append(dst, `{"type":"object"`...)
	properties := false
	for k, v := range schema.Members() {
		switch k.Inner() {
		case "type", "anyOf", "oneOf", "allOf", "$schema", "$id", "strict":
			continue
		case "properties":
			if !v.IsObject() {
				continue
			}
			properties = true
		}
		dst = append(append(append(append(dst, ','), k...), ':'), v...)
	}
	if !properties {
		dst = append(dst, `,"properties":{}`...)
	}
	return append(dst, '}')
}

// appendWebSearch appends OpenAI's web_search_options as Anthropic's search tool.
func appendWebSearch(dst []byte, options jsondoc.Value) []byte {
	dst = append(dst, `{"type":"web_search_20250305","name":"web_search"`...)
	switch options.Get("search_context_size").Text() {
	case "low":
		dst = append(dst, `,"max_uses":1`...)
	case "medium":
		dst = append(dst, `,"max_uses":5`...)
	case "high":
		dst = append(dst, `,"max_uses":10`...)
	}
	if where := options.At("user_location", "approximate"); where.IsObject() {
		dst = append(dst, `,"user_location":{"type":"approximate"`...)
		for k, v := range where.Members() {
			switch k.Inner() {
			case "city", "region", "country", "timezone":
				dst = append(append(append(append(dst, ','), k...), ':'), v...)
			}
		}
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

func (a *anthropicCall) appendToolChoice(dst []byte) []byte {
	choice, parallel := a.get("tool_choice"), a.get("parallel_tool_calls")
	kind, named := "", jsondoc.Value("")
	switch word := choice.Text() + choice.Get("type").Text(); word {
	case "auto", "none":
		kind = word
	case "required", "any":
		kind = "any"
	case "function", "tool":
		if named = choice.At("function", "name"); named == "" {
			named = choice.Get("name")
		}
		if named != "" {
			kind = "tool"
		}
	}
	if kind == "" && parallel.IsBool() {
		kind = "auto"
	}
	if kind == "" {
		return dst
	}
	dst = append(append(append(dst, `,"tool_choice":{"type":"`...), kind...), '"')
	if named != "" {
		dst = a.names.append(append(dst, `,"name":`...), named)
	}
	if parallel.IsBool() && kind != "none" {
		dst = append(dst, `,"disable_parallel_tool_use":`...)
		dst = strconv.AppendBool(dst, parallel == "false")
	}
	return append(dst, '}')
}
