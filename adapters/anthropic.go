package adapters

import (
	"slices"
	"strconv"
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// anthropic is the dialect of Claude's Messages API.
//
// https://docs.anthropic.com/en/api/messages
type anthropic struct{}

// jsonTool is the tool that older models are made to call so that its arguments, which follow the
// client's schema, can become the answer's content.
const jsonTool = "json_tool_call"

// anthropicTakes are the OpenAI parameters that have a meaning here.
var anthropicTakes = []string{
	"temperature", "top_p", "max_tokens", "max_completion_tokens", "stop", "tools", "tool_choice",
	"parallel_tool_calls", "response_format", "web_search_options", "reasoning_effort", "thinking",
	"context_management",
}

func (anthropic) carries(op Op) bool { return op == Chat }

func (anthropic) supports(c *call) *apierror.Error {
	m := claudeOf(c.model)
	if err := c.unsupported(func(name string) bool {
		switch name {
		case "reasoning_effort", "thinking":
			return !m.reasons()
		case "temperature":
			return !m.samples() && !isOne(c.get(name))
		case "top_p", "top_k":
			return !m.samples()
		}
		return slices.Contains(openAIParams, name) && !slices.Contains(anthropicTakes, name)
	}); err != nil {
		return err
	}
	if c.r.facts&hasAudio != 0 {
		return refused("messages", "anthropic takes no audio: model %s cannot answer messages with input_audio parts.", c.model)
	}
	return checkTools(c, m)
}

func isOne(v jsondoc.Value) bool {
	f, ok := v.Float()
	return ok && f == 1
}

// anthropicCall is what has to be known of a call both for its request and for its answer.
type anthropicCall struct {
	*call
	m     claude
	names toolNames
	// schema is the JSON schema that the answer has to follow, "" if there is none; byTool: by a
	// forced tool, because the model knows no other way.
	schema jsondoc.Value
	byTool bool
}

func newAnthropicCall(c *call) *anthropicCall {
	a := &anthropicCall{call: c, m: claudeOf(c.model)}
	a.names.build(c.get("tools"))
	format := c.get("response_format")
	if a.schema = format.Get("response_schema"); a.schema == "" {
		a.schema = format.At("json_schema", "schema")
	}
	if !a.schema.IsObject() {
		a.schema = ""
	}
	structured := a.m.structured()
	if c.t.aws != nil {
		structured = claudeCan(a.m)&canSchema != 0
	}
	if byTool := c.t.p.quirks.jsonByTool; byTool != nil && byTool(c.model) {
		structured = false
	}
	a.byTool = a.schema != "" && !structured
	return a
}

func (anthropic) body(c *call) ([]byte, *apierror.Error) {
	a := newAnthropicCall(c)
	dst := make([]byte, 0, len(c.r.body)+len(c.r.body)/8+512)
	dst = a.appendLead(dst)
	thinking, maxTokens, err := a.thinking()
	if err != nil {
		return nil, err
	}
	dst = append(dst, `,"max_tokens":`...)
	dst = strconv.AppendInt(dst, maxTokens, 10)
	if dst, err = a.appendConversation(dst); err != nil {
		return nil, err
	}
	if dst, err = a.appendTools(dst, thinking != ""); err != nil {
		return nil, err
	}
	if thinking != "" {
		dst = append(append(dst, `,"thinking":`...), thinking...)
	}
	dst = a.appendOutputConfig(dst)
	if c.r.stream {
		dst = append(dst, `,"stream":true`...)
	}
	dst = a.appendStop(dst)
	dst = a.appendUser(dst)
	if a.schema != "" && !a.byTool {
		// The newer name, output_config.format, is not LiteLLM's; both are accepted.
		dst = append(dst, `,"output_format":{"type":"json_schema","schema":`...)
		dst = append(appendClaudeSchema(dst, inlined(a.schema)), '}')
	}
	for i := range c.fields {
		if f := &c.fields[i]; f.value != "" && (passesToAnthropic(f.name) || c.allows(f.name)) {
			dst = append(apierror.AppendString(append(dst, ','), f.name), ':')
			dst = append(dst, f.value...)
		}
	}
	return append(dst, '}'), nil
}

// appendLead appends what a request begins with: the model, or on other providers' hosts, where the path names
// it, the version of the API and its features.
func (a *anthropicCall) appendLead(dst []byte) []byte {
	version := a.t.p.quirks.claudeVersion
	if version == "" {
		return apierror.AppendString(append(dst, `{"model":`...), a.model)
	}
	dst = apierror.AppendString(append(dst, `{"anthropic_version":`...), version)
	for i, beta := range claudeBetas(a.call) {
		if i == 0 {
			dst = append(dst, `,"anthropic_beta":[`...)
		} else {
			dst[len(dst)-1] = ','
		}
		dst = append(apierror.AppendString(dst, beta), ']')
	}
	return dst
}

// passesToAnthropic tells the fields that go through as they are: sampling, and whatever is not
// OpenAI's and so meant for Anthropic, such as top_k, container or mcp_servers.
func passesToAnthropic(name string) bool {
	switch name {
	case "temperature", "top_p", "context_management":
		return true
	case "model", "messages", "stream", "stream_options", "user", "system", "stop_sequences", "max_tokens",
		"output_config", "output_format", "tools", "tool_choice", "thinking":
		return false
	}
	return !slices.Contains(openAIParams, name)
}

// appendStop appends stop as stop_sequences.
func (a *anthropicCall) appendStop(dst []byte) []byte {
	stop := a.get("stop")
	if stop == "" {
		stop = a.get("stop_sequences")
	}
	const name = `,"stop_sequences":[`
	before := len(dst)
	dst = append(dst, name...)
	start := len(dst)
	add := func(v jsondoc.Value) {
		if !v.IsString() {
			return
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(dst, v...)
	}
	add(stop)
	for v := range stop.Elements() {
		add(v)
	}
	if len(dst) == start {
		return dst[:before]
	}
	return append(dst, ']')
}

// appendUser appends the user as metadata.user_id, unless it tells who the person is: Anthropic refuses
// e-mail addresses and telephone numbers.
func (a *anthropicCall) appendUser(dst []byte) []byte {
	user := a.r.doc.Get("metadata").Get("user_id")
	if !isPseudonym(user) {
		user = a.get("user")
	}
	if !isPseudonym(user) {
		return dst
	}
	dst = append(dst, `,"metadata":{"user_id":`...)
	dst = append(dst, user...)
	return append(dst, '}')
}

func isPseudonym(v jsondoc.Value) bool {
	s := v.Text()
	if s == "" {
		return false
	}
	if at := strings.IndexByte(s, '@'); at > 0 && strings.Contains(s[at:], ".") && !strings.ContainsAny(s, " /:") {
		return false
	}
	digits := strings.TrimPrefix(s, "+")
	return len(digits) < 7 || strings.Trim(digits, "0123456789 ()-") != ""
}
