package adapters

import (
	"slices"
	"strings"

	"github.com/sluicegw/sluice/adapters/framing"
	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// ollama is the dialect of Ollama's own API: /api/chat, or with generate the older /api/generate, which
// takes one prompt; and /api/embed.
//
// https://github.com/ollama/ollama/blob/main/docs/api.md
type ollama struct{ generate bool }

func (ollama) carries(op Op) bool { return op == Chat || op == Embedding }

var (
	ollamaTakes = []string{
		"temperature", "top_p", "max_tokens", "max_completion_tokens", "seed", "frequency_penalty", "stop",
		"tools", "tool_choice", "functions", "response_format", "reasoning_effort",
	}
	// ollamaTop are parameters of the request itself; all others are options of the model.
	ollamaTop = []string{"format", "keep_alive", "think", "template", "system", "raw", "suffix", "context"}
	// ollamaWritten are members that are written from others of the call.
	ollamaWritten  = []string{"model", "messages", "prompt", "images", "stream", "stream_options", "options", "user"}
	ollamaEmbedTop = []string{"truncate", "options", "keep_alive", "dimensions"}
)

func (d ollama) supports(c *call) *apierror.Error {
	if c.r.op == Embedding {
		return c.unsupported(func(name string) bool { return name == "user" || name == "encoding_format" && !c.get(name).Is("float") })
	}
	c.set("user", "")
	if err := c.unsupported(func(name string) bool {
		return slices.Contains(openAIParams, name) && !slices.Contains(ollamaTakes, name)
	}); err != nil {
		return err
	}
	if c.r.facts&hasAudio != 0 {
		return refused("messages", "%s takes no audio: model %s cannot answer messages with input_audio parts.", c.t.p.name, c.model)
	}
	return nil
}

func (d ollama) body(c *call) ([]byte, *apierror.Error) {
	dst := append(make([]byte, 0, len(c.r.body)+256), `{"model":`...)
	dst = apierror.AppendString(dst, c.model)
	if c.r.op == Embedding {
		return appendOllamaInput(dst, c)
	}
	var err *apierror.Error
	if d.generate {
		dst, err = appendOllamaPrompt(dst, c)
	} else {
		dst, err = appendOllamaMessages(dst, c)
	}
	if err != nil {
		return nil, err
	}
	dst = d.appendOptions(dst, c)
	dst = append(dst, `,"stream":`...)
	if c.r.stream {
		dst = append(dst, "true"...)
	} else {
		dst = append(dst, "false"...)
	}
	dst = d.appendFormat(dst, c)
	if !d.generate {
		dst = appendOllamaTools(dst, c)
	}
	for i := range c.fields {
		if f := &c.fields[i]; f.value != "" && atTop(c, f.name) {
			dst = append(apierror.AppendString(append(dst, ','), f.name), ':')
			dst = append(dst, f.value...)
		}
	}
	return append(dst, '}'), nil
}

// atTop tells whether a parameter is one of the request itself: what extra_body brings is, too.
func atTop(c *call, name string) bool {
	return slices.Contains(ollamaTop, name) ||
		!slices.Contains(ollamaWritten, name) && !slices.Contains(openAIParams, name) && c.fromExtra(name) != ""
}

// appendOptions appends the options of the model: sampling, and whatever the client named beside
// OpenAI's parameters, such as num_ctx or mirostat.
func (d ollama) appendOptions(dst []byte, c *call) []byte {
	dst = append(dst, `,"options":{`...)
	start := len(dst)
	add := func(name string, v jsondoc.Value) {
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(append(apierror.AppendString(dst, name), ':'), v...)
	}
	limit := c.get("max_completion_tokens")
	if limit == "" {
		limit = c.get("max_tokens")
	}
	if limit != "" {
		add("num_predict", limit)
	}
	for i := range c.fields {
		f := &c.fields[i]
		if f.value == "" {
			continue
		}
		switch f.name {
		case "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "response_format",
			"tools", "tool_choice", "functions", "function_call", "reasoning_effort":
		case "options":
			for k, v := range f.value.Members() {
				add(k.Text(), v)
			}
		case "stop":
			if f.value.IsString() {
				f.value = "[" + f.value + "]" // Ollama takes a list only
			}
			add(f.name, f.value)
		case "frequency_penalty":
			if !d.generate {
				add("repeat_penalty", f.value)
				continue
			}
			add(f.name, f.value)
		default:
			if !atTop(c, f.name) {
				add(f.name, f.value)
			}
		}
	}
	return append(dst, '}')
}

// appendFormat appends format, which is "json" or a schema, and think.
func (d ollama) appendFormat(dst []byte, c *call) []byte {
	f := c.get("response_format")
	schema := f.At("json_schema", "schema")
	switch {
	case c.get("format") != "":
	case f.Get("type").Is("json_schema") && schema.IsObject():
		dst = append(append(dst, `,"format":`...), schema...)
	case d.generate && ollamaTools(c) != "", f.Get("type").Is("json_object"):
		dst = append(dst, `,"format":"json"`...)
	}
	effort := c.get("reasoning_effort")
	if e := effort.Get("effort"); e != "" {
		effort = e
	}
	switch {
	case effort == "" || c.get("think") != "":
	case strings.HasPrefix(c.model, "gpt-oss"):
		dst = append(append(dst, `,"think":`...), effort...)
	case effort.Is("low") || effort.Is("medium") || effort.Is("high"):
		dst = append(dst, `,"think":true`...)
	default:
		dst = append(dst, `,"think":false`...)
	}
	return dst
}

// ollamaTools are the call's tools, as a list of functions if the client used the older field; "" if there
// are none, or none may be called.
func ollamaTools(c *call) jsondoc.Value {
	if c.get("tool_choice").Is("none") {
		return ""
	}
	if tools := c.get("tools"); first(tools) != "" {
		return tools
	}
	if functions := c.get("functions"); first(functions) != "" {
		return functions
	}
	return ""
}

// appendOllamaTools appends the tools. Ollama knows no tool_choice.
func appendOllamaTools(dst []byte, c *call) []byte {
	tools := ollamaTools(c)
	if tools == "" {
		return dst
	}
	if c.get("tools") != "" {
		return append(append(dst, `,"tools":`...), tools...)
	}
	dst = append(dst, `,"tools":[`...)
	start := len(dst)
	for f := range tools.Elements() {
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, `{"type":"function","function":`...), f...), '}')
	}
	return append(dst, ']')
}

// appendOllamaInput appends what is to be embedded: a list of texts.
//
// https://github.com/ollama/ollama/blob/main/docs/api.md#generate-embeddings
func appendOllamaInput(dst []byte, c *call) ([]byte, *apierror.Error) {
	input := c.get("input")
	if input.IsString() {
		input = "[" + input + "]"
	}
	for v := range input.Elements() {
		if !v.IsString() {
			return nil, refused("input", "%s embeds texts only: 'input' must be a string or an array of strings.", c.t.p.name)
		}
	}
	dst = append(append(dst, `,"input":`...), input...)
	var options []byte
	for i := range c.fields {
		f := &c.fields[i]
		switch {
		case f.value == "" || f.name == "model" || f.name == "input" || f.name == "encoding_format" || f.name == "user":
		case slices.Contains(ollamaEmbedTop, f.name):
			if f.name == "options" {
				for k, v := range f.value.Members() {
					options = append(append(append(append(options, ','), k...), ':'), v...)
				}
				continue
			}
			dst = append(apierror.AppendString(append(dst, ','), f.name), ':')
			dst = append(dst, f.value...)
		default:
			options = append(apierror.AppendString(append(options, ','), f.name), ':')
			options = append(options, f.value...)
		}
	}
	if len(options) > 0 {
		dst = append(append(append(dst, `,"options":{`...), options[1:]...), '}')
	}
	return append(dst, '}'), nil
}

// ollamaHost is a server of Ollama's, mostly without credentials; ollama.com takes a key.
type ollamaHost struct{ generate bool }

func (h ollamaHost) address(c *call, out *Outgoing) *apierror.Error {
	verb := "/api/chat"
	switch {
	case c.r.op == Embedding:
		verb = "/api/embed"
	case h.generate:
		verb = "/api/generate"
	}
	out.Path = c.t.swap(verb, "/api/chat", "/api/generate", "/api/embed", "/api/embeddings")
	out.Headers = append(make([]Header, 0, 3+len(c.t.headers)),
		Header{"content-type", "application/json"}, Header{"accept", "application/x-ndjson, application/json"})
	if c.t.key != "" {
		out.Headers = append(out.Headers, Header{"authorization", "Bearer " + c.t.key})
	}
	out.Headers = c.withExtra(out.Headers)
	return nil
}

func (ollamaHost) splitter(media string) framing.Splitter {
	if media == "application/x-ndjson" {
		return &framing.NDJSON{}
	}
	return nil
}
