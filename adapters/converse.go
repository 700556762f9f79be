package adapters

import (
	"slices"
	"strconv"
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// converse is the dialect of Bedrock's Converse API: one JSON for the models of all vendors, with what only one of
// them has in additionalModelRequestFields.
//
// https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
type converse struct{}

// converseCall is what has to be known of a call both for its request and for its answer.
type converseCall struct {
	*call
	m      bedrockModel
	can    bedrockCan
	claude claude
	names  toolNames
	// schema is the JSON schema that the answer has to follow, "" if there is none; byTool: by a
	// forced tool, because the model knows no other way.
	schema jsondoc.Value
	byTool bool
	// json: JSON is asked for, so that a call of jsonTool is the answer.
	json bool
}

func newConverseCall(c *call) *converseCall {
	a := &converseCall{call: c, m: parseBedrockModel(c.model), names: toolNames{plain: plainBedrockName, clean: cleanBedrockName}}
	a.can, a.claude = a.m.can(), claudeOf(a.m.base)
	a.names.build(c.get("tools"))
	format := c.get("response_format")
	a.json = format != "" && !format.Get("type").Is("text")
	if a.schema = schemaOf(c); a.schema != "" {
		a.byTool = a.can&canSchema == 0
	}
	return a
}

// schemaOf is the JSON schema in a call's response_format, or "".
func schemaOf(c *call) jsondoc.Value {
	format := c.get("response_format")
	if format == "" || format.Get("type").Is("text") {
		return ""
	}
	schema := format.Get("response_schema")
	if schema == "" {
		schema = format.At("json_schema", "schema")
	}
	if !schema.IsObject() {
		return ""
	}
	return schema
}

// streamsConverse tells whether a stream is asked for. An answer by a forced tool comes whole and is made a stream
// here, and so does what some models cannot stream.
func streamsConverse(c *call, m *bedrockModel) bool {
	switch {
	case !c.r.stream, m.is("ai21."), strings.Contains(m.base, "meta.llama3-3-70b-instruct-v1:0") && first(c.get("tools")) != "":
		return false
	}
	return schemaOf(c) == "" || m.can()&canSchema != 0
}

func (converse) carries(op Op) bool { return op == Chat }

func (converse) supports(c *call) *apierror.Error {
	m := parseBedrockModel(c.model)
	can, claude := m.can(), claudeOf(m.base)
	if err := c.unsupported(func(name string) bool { return !converseTakes(c, name, &m, can, claude) }); err != nil {
		return err
	}
	if c.r.facts&hasAudio != 0 {
		return refused("messages", "bedrock takes no audio: model %s cannot answer messages with input_audio parts.", c.model)
	}
	if err := converseTools(c); err != nil {
		return err
	}
	return converseChoice(c, claude)
}

// converseTakes tells whether a field has a meaning for the model, or is the model's own.
func converseTakes(c *call, name string, m *bedrockModel, can bedrockCan, claude claude) bool {
	switch name {
	case "max_tokens", "max_completion_tokens", "stop", "response_format", "service_tier", "parallel_tool_calls":
		return true
	case "temperature":
		return can&canSample != 0 || m.is("anthropic.") && isOne(c.get(name))
	case "top_p":
		return can&canSample != 0
	case "top_k":
		return claude.samples() || !m.is("anthropic.")
	case "tools":
		return can&canTools != 0
	case "tool_choice":
		return can&canChoose != 0
	case "thinking":
		return can&canThink != 0
	case "reasoning_effort":
		return can&(canThink|canEffort|canGPTEffort|canNovaEffort) != 0
	case "web_search_options":
		return m.is("amazon.nova")
	case "context_management":
		return m.is("anthropic.")
	}
	return !slices.Contains(openAIParams, name)
}

// converseTools refuses tools that Converse has no word for.
func converseTools(c *call) *apierror.Error {
	i := 0
	for tool := range c.get("tools").Elements() {
		at := "tools[" + strconv.Itoa(i) + "]"
		i++
		f := tool.Get("function")
		switch {
		case !tool.IsObject():
			return refused(at, "'%s' must be an object, not %s.", at, kindOf(tool))
		case isConverseTool(tool), isComputerTool(tool):
		case tool.Get("input_schema") != "" && f == "":
			if name := tool.Get("name"); !name.IsString() || name == `""` {
				return refused(at+".name", "Missing required parameter: '%s.name'.", at)
			}
		case f == "":
			return refused(at+".type", "bedrock has no tools of type %q.", clipText(tool.Get("type").Text(), 64))
		default:
			if name := f.Get("name"); !name.IsString() || name == `""` {
				return refused(at+".function.name", "Missing required parameter: '%s.function.name'.", at)
			}
			if p := f.Get("parameters"); p.Exists() && !p.IsObject() {
				return refused(at+".function.parameters", "'%s.function.parameters' must be an object, not %s.", at, kindOf(p))
			}
		}
	}
	return nil
}

// converseChoice refuses a tool_choice that Converse or the model does not have.
func converseChoice(c *call, claude claude) *apierror.Error {
	choice := c.get("tool_choice")
	switch {
	case choice == "", choice.Is("auto"):
		return nil
	case forces(choice):
		if parseBedrockModelIs(c, "anthropic.") && !claude.forcesTools() {
			if !c.dropping {
				return refused("tool_choice", "Model %s cannot be forced to call a tool: use tool_choice auto, or set drop_params: true.", c.model)
			}
			c.set("tool_choice", `"auto"`)
		}
		return nil
	case choice.Is("none"):
		if !c.dropping {
			return refused("tool_choice", "bedrock has no tool_choice none: send no tools, or set drop_params: true.")
		}
		c.set("tool_choice", "")
		return nil
	}
	return refused("tool_choice", "'tool_choice' must be auto, required or an object that names a function.")
}

func parseBedrockModelIs(c *call, prefix string) bool {
	m := parseBedrockModel(c.model)
	return m.is(prefix)
}

func (converse) body(c *call) ([]byte, *apierror.Error) {
	a := newConverseCall(c)
	dst := make([]byte, 0, len(c.r.body)+len(c.r.body)/8+512)
	dst, err := a.appendConversation(append(dst, '{'))
	if err != nil {
		return nil, err
	}
	thinking, limit, err := a.thinking()
	if err != nil {
		return nil, err
	}
	dst = a.appendInference(dst, limit)
	tools, choice, err := a.tools(thinking)
	if err != nil {
		return nil, err
	}
	if dst, err = a.appendAdditional(dst, thinking, choice); err != nil {
		return nil, err
	}
	if len(tools) > 0 {
		dst = append(append(append(dst, `,"toolConfig":{"tools":[`...), tools...), ']')
		if choice != "" {
			dst = append(append(dst, `,"toolChoice":`...), choice...)
		}
		dst = append(dst, '}')
	}
	dst = a.appendConfigs(dst)
	if a.schema != "" && !a.byTool {
		dst = a.appendOutputSchema(dst)
	}
	return append(dst, '}'), nil
}

// plainBedrockName tells whether a tool's name matches ^[a-zA-Z][a-zA-Z0-9_-]*$.
func plainBedrockName(s string) bool {
	if s == "" || !isLetter(s[0]) {
		return false
	}
	for i := range len(s) {
		if !plainByte(s[i]) {
			return false
		}
	}
	return true
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func cleanBedrockName(s string) string {
	out := make([]byte, 0, len(s)+1)
	if s == "" || !isLetter(s[0]) {
		out = append(out, 'a')
	}
	for _, r := range s {
		if r < 0x80 && plainByte(byte(r)) {
			out = append(out, byte(r))
		} else {
			out = append(out, '_')
		}
	}
	return string(out)
}
