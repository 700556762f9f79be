package adapters

import (
	"slices"
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// gemini is the dialect of Google's generateContent, by API key and on Vertex AI.
//
// https://ai.google.dev/api/generate-content
type gemini struct {
	// vertex: the API is Vertex AI's, which takes more parameters, URLs of files, and labels.
	vertex bool
}

// The OpenAI parameters that have a meaning here.
var (
	geminiTakes = []string{
		"temperature", "top_p", "max_tokens", "max_completion_tokens", "tools", "tool_choice", "functions",
		"response_format", "n", "stop", "logprobs", "frequency_penalty", "presence_penalty", "seed",
		"modalities", "parallel_tool_calls", "web_search_options", "service_tier",
	}
	vertexTakes = append([]string{"top_logprobs", "audio"}, geminiTakes...)
)

func (gemini) carries(op Op) bool { return op == Chat || op == Embedding }

func (g gemini) supports(c *call) *apierror.Error {
	if c.r.op == Embedding {
		return g.supportsEmbedding(c)
	}
	m := geminiOf(c.model)
	if err := c.unsupported(func(name string) bool { return !g.takes(c, m, name) }); err != nil {
		return err
	}
	if err := checkGeminiTools(c); err != nil {
		return err
	}
	_, err := thinkingConfig(c, m)
	return err
}

func (g gemini) takes(c *call, m geminiModel, name string) bool {
	switch name {
	case "reasoning_effort", "thinking":
		return m.reasons()
	case "frequency_penalty", "presence_penalty":
		return !g.vertex || m.penalizes()
	case "audio":
		return g.vertex || m.speaks()
	case "n":
		return true
	}
	takes := geminiTakes
	if g.vertex {
		takes = vertexTakes
	}
	return !slices.Contains(openAIParams, name) || slices.Contains(takes, name)
}

// geminiCall is what has to be known of a call while its request is written.
type geminiCall struct {
	*call
	m      geminiModel
	vertex bool
}

func (g gemini) body(c *call) ([]byte, *apierror.Error) {
	if c.r.op == Embedding {
		return g.embeddingBody(c)
	}
	a := &geminiCall{call: c, m: geminiOf(c.model), vertex: g.vertex}
	dst := make([]byte, 0, len(c.r.body)+len(c.r.body)/8+512)
	w := geminiWriter{a: a, dst: append(dst, '{')}
	if err := w.conversation(); err != nil {
		return nil, err
	}
	config, err := a.config(w.resolution)
	if err != nil {
		return nil, err
	}
	dst, err = a.appendTools(w.dst, &config)
	if err != nil {
		return nil, err
	}
	if v := a.get("safety_settings"); v != "" {
		dst = append(append(dst, `,"safetySettings":`...), v...)
	} else if v := a.get("safetySettings"); v != "" {
		dst = append(append(dst, `,"safetySettings":`...), v...)
	}
	dst = a.appendConfig(dst, config)
	if v := a.get("cached_content"); v != "" {
		dst = append(append(dst, `,"cachedContent":`...), v...)
	}
	dst = a.appendTier(dst)
	if a.vertex && a.fromExtra("labels") == "" {
		dst = a.appendLabels(dst)
	}
	return append(a.appendExtra(dst), '}'), nil
}

// appendTier appends the service tier in Google's words.
func (a *geminiCall) appendTier(dst []byte) []byte {
	tier := strings.ToLower(a.get("service_tier").Text())
	switch tier {
	case "":
		return dst
	case "auto":
		tier = "priority"
	case "default":
		tier = "standard"
	}
	return apierror.AppendString(append(dst, `,"serviceTier":`...), tier)
}

// appendLabels appends what a bill on Vertex can be split by: labels, or else the texts in the client's
// metadata.
//
// https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/add-labels-to-api-calls
func (a *geminiCall) appendLabels(dst []byte) []byte {
	labels := a.get("labels")
	if !labels.IsObject() {
		labels = a.r.doc.Get("metadata")
	}
	before := len(dst)
	dst = append(dst, `,"labels":{`...)
	start := len(dst)
	for k, v := range labels.Members() {
		if !v.IsString() {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, k...), ':'), v...)
	}
	if len(dst) == start {
		return dst[:before]
	}
	return append(dst, '}')
}

// fromExtra is a field that came in extra_body, the deployment's or the client's: one that is meant for
// Google as it is.
func (c *call) fromExtra(name string) jsondoc.Value {
	if v := c.t.extra.Get(name); v.Exists() {
		return v
	}
	return c.r.doc.Get("extra_body").Get(name)
}

// geminiWritten are members of the request that are written from fields of the call.
var geminiWritten = setOf(
	"contents", "system_instruction", "systemInstruction", "tools", "toolConfig", "tool_config",
	"safetySettings", "safety_settings", "generationConfig", "generation_config", "cachedContent", "serviceTier",
)

// appendExtra appends what extra_body adds to the request.
func (a *geminiCall) appendExtra(dst []byte) []byte {
	for i := range a.fields {
		f := &a.fields[i]
		if f.value == "" || geminiWritten[f.name] || isConfigName(f.name) || a.fromExtra(f.name) == "" || slices.Contains(openAIParams, f.name) {
			continue
		}
		dst = append(apierror.AppendString(append(dst, ','), f.name), ':')
		dst = append(dst, f.value...)
	}
	return dst
}
