package adapters

import (
	"strconv"
	"strings"

	"github.com/sluicegw/sluice/adapters/framing"
	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/adapters/tokens"
	"github.com/sluicegw/sluice/internal/apierror"
)

// embedsContent tells the embedding models on Vertex AI that have generateContent's way of asking; the others
// have predict's.
//
// https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api
func embedsContent(model string) bool {
	return strings.HasPrefix(model, "gemini-embedding-2") || model == "gemini-flash-experimental"
}

// supportsEmbedding refuses or drops what Google has nothing for.
func (gemini) supportsEmbedding(c *call) *apierror.Error {
	if c.get("encoding_format").Is("float") {
		c.set("encoding_format", "") // which is how Google answers
	}
	if err := c.unsupported(func(name string) bool { return name == "encoding_format" || name == "user" }); err != nil {
		return err
	}
	if input := c.get("input"); first(input).IsNumber() || first(first(input)).IsNumber() {
		return refused("input", "Google takes texts, not tokens: write 'input' as a string or a list of strings.")
	}
	return nil
}

// embeddingBody writes the request that the host's method for embeddings takes.
//
// https://ai.google.dev/api/embeddings
func (g gemini) embeddingBody(c *call) ([]byte, *apierror.Error) {
	dst := make([]byte, 0, len(c.r.body)+len(c.r.body)/4+256)
	switch {
	case !g.vertex:
		return appendBatch(dst, c)
	case embedsContent(c.model):
		dst = append(dst, `{"content":{"parts":[`...)
		start := len(dst)
		for text := range inputs(c.get("input")) {
			if len(dst) > start {
				dst = append(dst, ',')
			}
			var err *apierror.Error
			if dst, err = appendEmbedPart(dst, text); err != nil {
				return nil, err
			}
		}
		return append(appendEmbedParams(append(dst, "]}"...), c), '}'), nil
	}
	return appendInstances(dst, c), nil
}

// inputs are the texts of an embedding's input.
func inputs(v jsondoc.Value) func(func(jsondoc.Value) bool) {
	if v.IsArray() {
		return v.Elements()
	}
	return func(yield func(jsondoc.Value) bool) { yield(v) }
}

func appendBatch(dst []byte, c *call) ([]byte, *apierror.Error) {
	dst = append(dst, `{"requests":[`...)
	start := len(dst)
	for input := range inputs(c.get("input")) {
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = apierror.AppendString(append(dst, `{"model":`...), "models/"+c.model)
		dst = append(dst, `,"content":{"parts":[`...)
		from := len(dst)
		for text := range inputs(input) { // a list is one embedding of all that is in it
			if len(dst) > from {
				dst = append(dst, ',')
			}
			var err *apierror.Error
			if dst, err = appendEmbedPart(dst, text); err != nil {
				return nil, err
			}
		}
		dst = append(appendEmbedParams(append(dst, "]}"...), c), '}')
	}
	return append(dst, "]}"...), nil
}

// appendEmbedPart appends a text, or what a data URL or a URI in Google's storage holds.
func appendEmbedPart(dst []byte, v jsondoc.Value) ([]byte, *apierror.Error) {
	if !v.IsString() {
		return nil, refused("input", "'input' must be a string or a list of strings.")
	}
	inner := v.Inner()
	if strings.HasPrefix(inner, "data:") {
		if media, data, ok := cutDataURL(v.Text()); ok {
			dst = apierror.AppendString(append(dst, `{"inline_data":{"mime_type":`...), media)
			return append(append(append(dst, `,"data":"`...), data...), `"}}`...), nil
		}
	}
	if strings.HasPrefix(inner, "gs://") {
		if media := bucketTypes[strings.ToLower(inner[strings.LastIndexByte(inner, '.')+1:])]; media != "" {
			dst = append(append(append(dst, `{"file_data":{"mime_type":"`...), media...), `","file_uri":`...)
			return append(append(dst, v...), "}}"...), nil
		}
	}
	return append(append(append(dst, `{"text":`...), v...), '}'), nil
}

// embedNames are the parameters of an embedding by the names that clients give them.
var embedNames = [...]struct {
	wire  string
	names []string
}{
	{"outputDimensionality", []string{"outputDimensionality", "dimensions"}},
	{"taskType", []string{"taskType", "task_type", "input_type"}},
	{"title", []string{"title"}},
}

func appendEmbedParams(dst []byte, c *call) []byte {
	for _, p := range embedNames {
		for _, name := range p.names {
			if v := c.get(name); v != "" {
				dst = append(append(append(append(dst, `,"`...), p.wire...), `":`...), v...)
				break
			}
		}
	}
	return dst
}

// appendInstances writes a request of predict's: a text an instance, the rest as parameters.
func appendInstances(dst []byte, c *call) []byte {
	task := c.get("task_type")
	if task == "" {
		task = c.get("input_type")
	}
	title := c.get("title")
	name := `{"content":`
	tuned := strings.Trim(c.model[strings.LastIndexByte(c.model, '/')+1:], "0123456789") == ""
	if tuned {
		name, task, title = `{"inputs":`, "", ""
	}
	dst = append(dst, `{"instances":[`...)
	start := len(dst)
	for text := range inputs(c.get("input")) {
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(append(dst, name...), text...)
		if task != "" {
			dst = append(append(dst, `,"task_type":`...), task...)
		}
		if title != "" {
			dst = append(append(dst, `,"title":`...), title...)
		}
		dst = append(dst, '}')
	}
	dst = append(dst, `],"parameters":{`...)
	start = len(dst)
	for i := range c.fields {
		f := &c.fields[i]
		name := f.name
		switch name {
		case "model", "input", "labels":
			continue
		case "dimensions":
			name = "outputDimensionality"
		case "input_type":
			name = "task_type"
			if c.get("task_type") != "" {
				continue
			}
		}
		if f.value == "" {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(apierror.AppendString(dst, name), ':')
		dst = append(dst, f.value...)
	}
	dst = append(dst, '}')
	a := geminiCall{call: c}
	return append(a.appendLabels(dst), '}')
}

// geminiEmbeddings makes OpenAI's list of embeddings of Google's.
type geminiEmbeddings struct {
	p      *Reply
	vertex bool
}

func (t *geminiEmbeddings) whole(dst []byte, doc *jsondoc.Doc) ([]byte, *apierror.Error) {
	list := doc.Get("embeddings")
	if v := doc.Get("predictions"); v.IsArray() {
		list = v
	}
	if v := doc.Get("embedding"); v.IsObject() {
		list = "[" + v + "]"
	}
	if !list.IsArray() {
		return nil, t.p.bad("JSON without \"embeddings\"")
	}
	dst = append(append(append(dst, `{"object":"list","model":`...), t.p.alias...), `,"data":[`...)
	start, i := len(dst), int64(0)
	var u Usage
	for e := range list.Elements() {
		if v := e.Get("embeddings"); v.IsObject() {
			u.Prompt += v.Get("statistics").Get("token_count").Count()
			e = v
		}
		values := e.Get("values")
		if e.IsArray() {
			values = first(e) // a tuned model's
		}
		if !values.IsArray() {
			return nil, t.p.bad("an embedding without values")
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(append(dst, `{"object":"embedding","index":`...), i, 10)
		dst = append(append(append(dst, `,"embedding":`...), values...), '}')
		i++
	}
	if n := doc.Get("usageMetadata").Get("promptTokenCount").Count(); n > 0 {
		u.Prompt = n
	}
	if u.Prompt == 0 {
		u.Prompt = estimateInput(t.p.call.model, t.p.call.get("input")) // the Gemini API does not count
	}
	u.Total = u.Prompt
	u.Characters = doc.Get("metadata").Get("billableCharacterCount").Count()
	t.p.usage, t.p.used = u, true
	dst = strconv.AppendInt(append(dst, `],"usage":{"prompt_tokens":`...), u.Prompt, 10)
	dst = append(dst, `,"completion_tokens":0`...)
	dst = strconv.AppendInt(append(dst, `,"total_tokens":`...), u.Total, 10)
	if n := u.Characters; n > 0 {
		dst = strconv.AppendInt(append(dst, `,"prompt_tokens_details":{"character_count":`...), n, 10)
		dst = append(dst, '}')
	}
	return append(dst, "}}"...), nil
}

// estimateInput is about how many tokens an input has.
func estimateInput(model string, v jsondoc.Value) (n int64) {
	counter := tokens.For(model)
	for input := range inputs(v) {
		for text := range inputs(input) {
			n += int64(counter.Text(text.Text()))
		}
	}
	return n
}

func (t *geminiEmbeddings) event(dst []byte, _ framing.Event) ([]byte, *apierror.Error) {
	return dst, t.p.bad("a stream of events, where embeddings were asked for")
}

func (t *geminiEmbeddings) end(dst []byte, _ bool) ([]byte, bool) { return dst, false }
