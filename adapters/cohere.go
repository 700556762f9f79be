package adapters

import (
	"slices"
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// cohere is the dialect of Cohere's v2 API: chat, embed and rerank.
//
// https://docs.cohere.com/v2/reference/chat
type cohere struct{}

func (cohere) carries(op Op) bool { return op == Chat || op == Embedding || op == Rerank }

// cohereTakes are the OpenAI parameters that have a meaning here.
var cohereTakes = []string{
	"temperature", "max_tokens", "max_completion_tokens", "top_p", "frequency_penalty", "presence_penalty",
	"stop", "n", "tools", "tool_choice", "seed", "response_format",
}

var cohereNames = []renaming{
	{"max_completion_tokens", "max_tokens"}, {"top_p", "p"}, {"top_k", "k"}, {"stop", "stop_sequences"}, {"n", "num_generations"},
}

func (cohere) supports(c *call) *apierror.Error {
	switch c.r.op {
	case Rerank:
		return nil
	case Embedding:
		return checkCohereInput(c)
	}
	c.set("user", "")
	c.set("stream_options", "")
	if c.get("n") == "1" {
		c.set("n", "")
	}
	if err := c.unsupported(func(name string) bool {
		return slices.Contains(openAIParams, name) && !slices.Contains(cohereTakes, name)
	}); err != nil {
		return err
	}
	if c.get("max_completion_tokens") != "" {
		c.set("max_tokens", "") // the newer name wins
	}
	for _, r := range cohereNames {
		c.rename(r.from, r.to)
	}
	if stop := c.get("stop_sequences"); stop.IsString() {
		c.set("stop_sequences", "["+stop+"]")
	}
	if tools := c.get("tools"); strings.Contains(string(tools), `"cache_control"`) {
		c.set("tools", jsondoc.Value(appendWithout(nil, tools, "cache_control")))
	}
	c.cohereToolChoice()
	c.cohereFormat()
	return nil
}

// cohereToolChoice says with Cohere's two words what a call demands of its tools. It cannot name one, so
// that one is the only tool it is told of.
//
// https://docs.cohere.com/v2/docs/tool-use-parameter-types#force-tool-usage
func (c *call) cohereToolChoice() {
	choice := c.get("tool_choice")
	c.set("tool_choice", "")
	name := choice.At("function", "name")
	switch {
	case first(c.get("tools")) == "":
	case choice.Is("required"):
		c.set("tool_choice", `"REQUIRED"`)
	case choice.Is("none"):
		c.set("tool_choice", `"NONE"`)
	case name != "":
		for tool := range c.get("tools").Elements() {
			if tool.At("function", "name").Is(name.Text()) {
				c.set("tools", "["+tool+"]")
			}
		}
		c.set("tool_choice", `"REQUIRED"`)
	}
}

// cohereFormat asks for JSON, with a schema if there is one.
//
// https://docs.cohere.com/v2/docs/structured-outputs
func (c *call) cohereFormat() {
	f := c.get("response_format")
	switch schema := f.At("json_schema", "schema"); {
	case schema.IsObject():
		c.set("response_format", `{"type":"json_object","json_schema":`+schema+`}`)
	case !f.Get("type").Is("json_object"):
		c.set("response_format", "")
	}
}

func (cohere) body(c *call) ([]byte, *apierror.Error) {
	dst := append(make([]byte, 0, len(c.r.body)+128), `{"model":`...)
	dst = apierror.AppendString(dst, c.model)
	switch c.r.op {
	case Rerank:
		return append(appendRerank(dst, c, rerankTakes[:cohereRerankTakes]), '}'), nil
	case Embedding:
		return appendCohereInput(dst, c), nil
	}
	for i := range c.fields {
		f := &c.fields[i]
		if f.value == "" || f.name == "model" {
			continue
		}
		dst = append(apierror.AppendString(append(dst, ','), f.name), ':')
		if f.name == "messages" {
			dst = appendMessages(dst, c, f.value)
		} else {
			dst = append(dst, f.value...)
		}
	}
	return append(dst, '}'), nil
}

// checkCohereInput refuses tokens: Cohere embeds texts, and images as data URLs.
func checkCohereInput(c *call) *apierror.Error {
	if err := c.unsupported(func(name string) bool { return name == "user" }); err != nil {
		return err
	}
	for v := range c.get("input").Elements() {
		if !v.IsString() {
			return refused("input", "%s embeds texts only: 'input' must be a string or an array of strings.", c.t.p.name)
		}
	}
	return nil
}

// appendCohereInput appends what is to be embedded.
//
// https://docs.cohere.com/v2/reference/embed
func appendCohereInput(dst []byte, c *call) []byte {
	input, kind := c.get("input"), jsondoc.Value(`"search_document"`)
	if input.IsString() {
		input = "[" + input + "]"
	}
	name := `,"texts":`
	if isImages(input) {
		name, kind = `,"images":`, `"image"`
	}
	dst = append(append(dst, name...), input...)
	if c.get("input_type") == "" {
		dst = append(append(dst, `,"input_type":`...), kind...)
	}
	for i := range c.fields {
		f := &c.fields[i]
		switch {
		case f.value == "" || f.name == "model" || f.name == "input":
		case f.name == "encoding_format":
			dst = append(dst, `,"embedding_types":`...)
			if f.value.IsArray() {
				dst = append(dst, f.value...)
			} else {
				dst = append(append(append(dst, '['), f.value...), ']')
			}
		case f.name == "dimensions":
			dst = append(append(dst, `,"output_dimension":`...), f.value...)
		default:
			dst = append(apierror.AppendString(append(dst, ','), f.name), ':')
			dst = append(dst, f.value...)
		}
	}
	return append(dst, '}')
}

// isImages tells whether every text of a list is a data URL.
func isImages(list jsondoc.Value) bool {
	any := false
	for v := range list.Elements() {
		if _, _, ok := cutDataURL(v.Inner()); !ok {
			return false
		}
		any = true
	}
	return any
}

// cohereHost is Cohere's API. For chats and embeddings an api_base is the call's whole URL, as LiteLLM
// has it, or the host alone.
type cohereHost struct{}

func (cohereHost) address(c *call, out *Outgoing) *apierror.Error {
	t := c.t
	switch c.r.op {
	case Rerank:
		verb := "/v2/rerank"
		if c.get("max_chunks_per_doc") != "" && c.get("max_tokens_per_doc") == "" {
			verb = "/v1/rerank" // v2 has no chunks
		}
		if t.path == "/v1/rerank" || t.path == "/v2/rerank" {
			verb = t.path
		}
		out.Path = t.swap(verb, cohereVerbs...)
	case Embedding:
		out.Path = cohereURL(t, "/v2/embed", "/v2/chat", "/v1/chat")
	default:
		out.Path = cohereURL(t, "/v2/chat", "/v2/embed", "/v1/embed")
	}
	out.Headers = append(make([]Header, 0, 4+len(t.headers)),
		Header{"content-type", "application/json"}, Header{"accept", accepts(c.r)})
	if t.key != "" {
		out.Headers = append(out.Headers, Header{"authorization", "Bearer " + t.key})
	}
	out.Headers = c.withExtra(out.Headers)
	return nil
}

var cohereVerbs = []string{"/v2/rerank", "/v1/rerank", "/v2/chat", "/v1/chat", "/v2/embed", "/v1/embed"}

// cohereURL is the path of a call: the base's own, unless it is empty or that of another call.
func cohereURL(t *Target, verb string, others ...string) string {
	if t.path == "" {
		return verb + t.query
	}
	for _, o := range others {
		if strings.HasSuffix(t.path, o) {
			return strings.TrimSuffix(t.path, o) + verb + t.query
		}
	}
	return t.path + t.query
}
