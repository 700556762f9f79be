package adapters

import (
	"strconv"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// googleTools are Google's own tools by the names that clients give them, in the order in which they are sent.
// A search may not stand beside functions.
//
// https://ai.google.dev/gemini-api/docs/function-calling
var googleTools = []struct {
	wire   string
	names  []string
	search bool
}{
	{"googleSearch", []string{"googleSearch", "google_search"}, true},
	{"googleSearchRetrieval", []string{"googleSearchRetrieval", "google_search_retrieval"}, true},
	{"enterpriseWebSearch", []string{"enterpriseWebSearch", "enterprise_web_search"}, true},
	{"code_execution", []string{"code_execution", "codeExecution"}, false},
	{"url_context", []string{"url_context", "urlContext"}, true},
	{"googleMaps", []string{"googleMaps", "google_maps"}, false},
	{"computerUse", []string{"computerUse", "computer_use"}, false},
}

// checkGeminiTools refuses what cannot be said to Gemini, before anything is written.
func checkGeminiTools(c *call) *apierror.Error {
	for _, list := range [...]string{"tools", "functions"} {
		i := 0
		for tool := range c.get(list).Elements() {
			at := list + "[" + strconv.Itoa(i) + "]"
			i++
			if !tool.IsObject() {
				return refused(at, "'%s' must be an object, not %s.", at, kindOf(tool))
			}
			if f := functionIn(tool); f != "" {
				if name := f.Get("name"); !name.IsString() || name == `""` {
					return refused(at+".function.name", "Missing required parameter: '%s.function.name'.", at)
				}
			} else if own, _ := googleTool(tool); own < 0 {
				return refused(at, "'%s' is neither a function nor one of Google's tools, such as {\"googleSearch\":{}}.", at)
			}
		}
	}
	switch choice := c.get("tool_choice"); {
	case choice == "", choice.Is("none"), choice.Is("auto"), choice.Is("required"):
	case choice.IsObject() && choice.At("function", "name").IsString():
	default:
		return refused("tool_choice", "'tool_choice' must be none, auto, required or a function for model %s.", c.model)
	}
	for _, name := range [...]string{"candidate_count", "candidateCount"} {
		if c.r.doc.Get(name).Exists() {
			return refused(name, "'%s' may not be set: write it as 'n'.", name)
		}
	}
	return nil
}

// functionIn is the function that a tool is, or "".
func functionIn(tool jsondoc.Value) jsondoc.Value {
	if f := tool.Get("function"); f.IsObject() {
		return f
	}
	if kind := tool.Get("type"); (kind == "" || kind.Is("function")) && (kind != "" || tool.Get("name") != "") {
		return tool
	}
	return ""
}

// googleTool is the index in googleTools of what a tool is and its settings; -1 for none.
func googleTool(tool jsondoc.Value) (int, jsondoc.Value) {
	kind := tool.Get("type").Text()
	if kind == "web_search" || kind == "web_search_preview" {
		return 0, "{}"
	}
	for i, t := range googleTools {
		for _, name := range t.names {
			if v := tool.Get(name); v.Exists() {
				return i, v
			}
			if kind == name {
				return i, without(tool, "type")
			}
		}
	}
	return -1, ""
}

// without is an object without some of its members.
func without(object jsondoc.Value, names ...string) jsondoc.Value {
	dst := append(make([]byte, 0, len(object)), '{')
members:
	for k, v := range object.Members() {
		for _, name := range names {
			if k.Is(name) {
				continue members
			}
		}
		if len(dst) > 1 {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, k...), ':'), v...)
	}
	return jsondoc.Value(append(dst, '}'))
}

// appendTools appends tools and toolConfig. Google Maps changes how a JSON answer is asked for in config.
func (a *geminiCall) appendTools(dst []byte, config *[]field) ([]byte, *apierror.Error) {
	before := len(dst)
	dst = append(dst, `,"tools":[`...)
	start := len(dst)
	dst, err := a.appendFunctions(dst)
	if err != nil {
		return nil, err
	}
	functions := len(dst) > start
	together := a.get("include_server_side_tool_invocations") == "true" || a.get("includeServerSideToolInvocations") == "true"
	var own [8]jsondoc.Value
	for tool := range a.get("tools").Elements() {
		if functionIn(tool) != "" {
			continue
		}
		if i, v := googleTool(tool); i >= 0 {
			own[i] = v
		}
	}
	if a.get("web_search_options").IsObject() && own[0] == "" {
		own[0] = "{}"
	}
	retrieval := jsondoc.Value("")
	for i, t := range googleTools {
		v := own[i]
		if v == "" || t.search && functions && !together {
			continue
		}
		switch t.wire {
		case "googleMaps":
			*config = mapsFormat(*config)
			if v.Get("latitude").Exists() && v.Get("longitude").Exists() {
				retrieval = v
			}
			v = without(v, "latitude", "longitude", "languageCode")
		case "computerUse":
			v = computerUse(v)
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(append(append(append(dst, `{"`...), t.wire...), `":`...), v...)
		dst = append(dst, '}')
	}
	if len(dst) == start {
		dst = dst[:before]
	} else {
		dst = append(dst, ']')
	}
	return a.appendToolConfig(dst, together, retrieval), nil
}

// appendFunctions appends the functions as one tool.
//
// https://ai.google.dev/api/caching#FunctionDeclaration
func (a *geminiCall) appendFunctions(dst []byte) ([]byte, *apierror.Error) {
	n := 0
	for _, list := range [...]string{"tools", "functions"} {
		i := 0
		for tool := range a.get(list).Elements() {
			at := i
			i++
			f := functionIn(tool)
			if f == "" {
				continue
			}
			if n == 0 {
				dst = append(dst, `{"function_declarations":[`...)
			} else {
				dst = append(dst, ',')
			}
			n++
			dst = append(append(dst, `{"name":`...), f.Get("name")...)
			if d := f.Get("description"); d.IsString() {
				dst = append(append(dst, `,"description":`...), d...)
			}
			if p := f.Get("parameters"); list == "functions" && p.Get("properties") == "{}" {
				// As in LiteLLM, which leaves the schemas of the old functions as they are.
				dst = append(append(dst, `,"parameters":`...), without(p, "additionalProperties", "strict")...)
			} else if p.IsObject() {
				var err *apierror.Error
				if dst, err = a.appendGoogleSchema(append(dst, `,"parameters":`...), p, list+"["+strconv.Itoa(at)+"].function.parameters", false); err != nil {
					return nil, err
				}
			}
			dst = append(dst, '}')
		}
	}
	if n > 0 {
		dst = append(dst, "]}"...)
	}
	return dst, nil
}

// computerUse is the settings of the tool in Google's spelling.
func computerUse(v jsondoc.Value) jsondoc.Value {
	dst := []byte{'{'}
	environment := v.Get("environment").Text()
	switch environment {
	case "browser":
		environment = "ENVIRONMENT_BROWSER"
	case "unspecified":
		environment = "ENVIRONMENT_UNSPECIFIED"
	}
	if environment != "" {
		dst = apierror.AppendString(append(dst, `"environment":`...), environment)
	}
	excluded := v.Get("excluded_predefined_functions")
	if excluded == "" {
		excluded = v.Get("excludedPredefinedFunctions")
	}
	if excluded != "" {
		if len(dst) > 1 {
			dst = append(dst, ',')
		}
		dst = append(append(dst, `"excludedPredefinedFunctions":`...), excluded...)
	}
	return jsondoc.Value(append(dst, '}'))
}

// appendToolConfig appends how tools are to be called, and what extra_body adds to that.
func (a *geminiCall) appendToolConfig(dst []byte, together bool, maps jsondoc.Value) []byte {
	before := len(dst)
	dst = append(dst, `,"toolConfig":{`...)
	start := len(dst)
	comma := func() {
		if len(dst) > start {
			dst = append(dst, ',')
		}
	}
	switch choice := a.get("tool_choice"); {
	case choice.Is("none"):
		dst = append(dst, `"functionCallingConfig":{"mode":"NONE"}`...)
	case choice.Is("auto"):
		dst = append(dst, `"functionCallingConfig":{"mode":"AUTO"}`...)
	case choice.Is("required"):
		dst = append(dst, `"functionCallingConfig":{"mode":"ANY"}`...)
	case choice.IsObject():
		dst = append(dst, `"functionCallingConfig":{"mode":"ANY","allowed_function_names":[`...)
		dst = append(append(dst, choice.At("function", "name")...), "]}"...)
	}
	if together {
		comma()
		dst = append(dst, `"includeServerSideToolInvocations":true`...)
	}
	if maps != "" {
		comma()
		dst = append(append(dst, `"retrievalConfig":{"latLng":{"latitude":`...), maps.Get("latitude")...)
		dst = append(append(append(dst, `,"longitude":`...), maps.Get("longitude")...), '}')
		if v := maps.Get("languageCode"); v.Exists() {
			dst = append(append(dst, `,"languageCode":`...), v...)
		}
		dst = append(dst, '}')
	}
	for k, v := range a.fromExtra("toolConfig").Members() {
		if !k.Is("functionCallingConfig") || a.get("tool_choice") == "" {
			comma()
			dst = append(append(append(dst, k...), ':'), v...)
		}
	}
	if len(dst) == start {
		return dst[:before]
	}
	return append(dst, '}')
}
