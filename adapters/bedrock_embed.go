package adapters

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicegw/sluice/adapters/fanout"
	"github.com/sluicegw/sluice/adapters/framing"
	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/adapters/tokens"
	"github.com/sluicegw/sluice/internal/apierror"
)

// bedrockEmbedding are Titan's and Cohere's embeddings by InvokeModel.
//
// https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html
// https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html
type bedrockEmbedding struct{}

func (bedrockEmbedding) carries(op Op) bool { return op == Embedding }

// embedder is which of the formats a model speaks.
type embedder uint8

const (
	noEmbedder embedder = iota
	titanText1          // one text, nothing else
	titanText2
	titanImage
	cohereEmbed
)

func embedderOf(m *bedrockModel) embedder {
	switch {
	case m.is("amazon.titan-embed-text-v1", "amazon.titan-embed-g1"):
		return titanText1
	case m.is("amazon.titan-embed-image"):
		return titanImage
	case m.is("amazon.titan-embed"), m.format == "amazon" && m.arn:
		return titanText2
	case m.is("cohere.embed"), m.format == "cohere":
		return cohereEmbed
	}
	return noEmbedder
}

func (bedrockEmbedding) supports(c *call) *apierror.Error {
	m := parseBedrockModel(c.model)
	kind := embedderOf(&m)
	if kind == noEmbedder {
		return refused("model", "bedrock: model %s makes no embeddings that are known here: use Titan's or Cohere's.", c.model)
	}
	if err := c.unsupported(func(name string) bool {
		return name == "user" || name == "dimensions" && kind == titanText1
	}); err != nil {
		return err
	}
	input := c.get("input")
	for e := range input.Elements() {
		if !e.IsString() {
			return refused("input", "bedrock embeds texts, not tokens: 'input' must be a string or an array of strings.")
		}
	}
	switch n := input.Len(); {
	case kind == cohereEmbed || n <= 1:
	case c.t.fanout == "":
		return refused("input", "Model %s embeds one text a call, and for this deployment several calls cannot be made of one: send the texts one by one.", c.model)
	case n > fanout.MaxCalls:
		return refused("input", "'input' has %d texts; at most %d are taken.", n, fanout.MaxCalls)
	}
	if f := c.get("encoding_format"); f != "" && !f.Is("float") && !f.Is("base64") && kind != cohereEmbed {
		return refused("encoding_format", "'encoding_format' must be float or base64.")
	}
	return nil
}

// embedTexts are the inputs, each a JSON string.
func embedTexts(input jsondoc.Value) []jsondoc.Value {
	if input.IsString() {
		return []jsondoc.Value{input}
	}
	return slices.Collect(input.Elements())
}

func (bedrockEmbedding) body(c *call) ([]byte, *apierror.Error) {
	m := parseBedrockModel(c.model)
	texts := embedTexts(c.get("input"))
	if embedderOf(&m) == cohereEmbed {
		return cohereEmbedBody(c, texts), nil
	}
	return titanEmbedBody(c, embedderOf(&m), texts[0]), nil
}

// several tells the models that embed one text a call.
func (bedrock) several(model string) bool {
	m := parseBedrockModel(model)
	kind := embedderOf(&m)
	return m.is("amazon.titan-embed") && kind != cohereEmbed && !strings.Contains(model, "*")
}

func (b bedrock) bodies(c *call) ([][]byte, *apierror.Error) {
	if c.r.op != Embedding {
		body, err := b.body(c)
		return [][]byte{body}, err
	}
	m := parseBedrockModel(c.model)
	kind := embedderOf(&m)
	var list [][]byte
	for _, text := range embedTexts(c.get("input")) {
		list = append(list, titanEmbedBody(c, kind, text))
	}
	return list, nil
}

// titanEmbedBody is the request for one text, or for one image as a data URL.
func titanEmbedBody(c *call, kind embedder, text jsondoc.Value) []byte {
	name := `{"inputText":`
	if kind == titanImage {
		if _, data, ok := cutDataURL(text.Text()); ok {
			name, text = `{"inputImage":`, jsondoc.Value(`"`+data+`"`)
		}
	}
	dst := append([]byte(name), text...)
	if kind == titanText1 {
		return append(dst, '}')
	}
	dimensions := c.get("dimensions")
	switch {
	case kind == titanImage && dimensions != "":
		dst = append(append(append(dst, `,"embeddingConfig":{"outputEmbeddingLength":`...), dimensions...), '}')
	case dimensions != "":
		dst = append(append(dst, `,"dimensions":`...), dimensions...)
	}
	if kind == titanText2 && c.get("encoding_format") != "" {
		// base64 is how numbers are written, not what they are: Titan's "binary" has one bit for each.
		dst = append(dst, `,"embeddingTypes":["float"]`...)
	}
	for i := range c.fields {
		if f := &c.fields[i]; f.value != "" && !embedOwn[f.name] {
			dst = member(dst, 0, f.name, f.value)
		}
	}
	return append(dst, '}')
}

// embedOwn are the fields of an embedding request that have been dealt with.
var embedOwn = setOf("model", "input", "dimensions", "encoding_format", "user", "model_id", "stream", "guardrailConfig")

func cohereEmbedBody(c *call, texts []jsondoc.Value) []byte {
	list, kind := "texts", jsondoc.Value(`"search_document"`)
	if last := texts[len(texts)-1]; strings.HasPrefix(last.Inner(), "data:") {
		if _, _, ok := cutDataURL(last.Text()); ok {
			list, kind = "images", `"image"`
		}
	}
	if v := c.get("input_type"); v != "" {
		kind = v
	}
	dst := append(append(apierror.AppendString([]byte{'{'}, list), ':'), '[')
	for i, text := range texts {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, text...)
	}
	dst = append(append(dst, `],"input_type":`...), kind...)
	if v := c.get("dimensions"); v != "" {
		dst = member(dst, 0, "output_dimension", v)
	}
	if types := cohereTypes(c.get("encoding_format")); types != "" {
		dst = member(dst, 0, "embedding_types", types)
	}
	for _, name := range [...]string{"truncate", "embedding_types", "output_dimension"} {
		if v := c.get(name); v != "" {
			dst = member(dst, 0, name, v)
		}
	}
	return append(dst, '}')
}

// cohereTypes is encoding_format in Cohere's words.
func cohereTypes(format jsondoc.Value) jsondoc.Value {
	switch {
	case format == "":
		return ""
	case format.Is("base64"):
		return `["float"]`
	case format.IsArray():
		return format
	}
	return "[" + format + "]"
}

func (bedrockEmbedding) failure(doc *jsondoc.Doc) *failure { return awsFailure(doc) }

func (bedrockEmbedding) translator(c *call, p *Reply) translator { return &embedReply{p} }

// embedReply turns an embedding of Titan's, or Cohere's, into OpenAI's list.
type embedReply struct{ p *Reply }

func (t *embedReply) whole(dst []byte, doc *jsondoc.Doc) ([]byte, *apierror.Error) {
	dst = append(dst, `{"object":"list","model":`...)
	dst = append(append(dst, t.p.alias...), `,"data":[`...)
	var read, n int64
	add := func(v jsondoc.Value, kind string) {
		if n > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(append(dst, `{"object":"embedding","index":`...), n, 10)
		dst = appendVector(append(dst, `,"embedding":`...), v, t.p.call.get("encoding_format").Is("base64"))
		if kind != "" {
			dst = append(apierror.AppendString(append(dst, `,"type":`...), kind), '}')
		} else {
			dst = append(dst, '}')
		}
		n++
	}
	switch list := doc.Get("embeddings"); {
	case list.IsArray():
		for v := range list.Elements() {
			add(v, "")
		}
	case list.IsObject():
		for kind, vectors := range list.Members() {
			for v := range vectors.Elements() {
				add(v, kind.Text())
			}
		}
	case doc.Get("answers").IsArray(): // several calls'
		for one := range doc.Get("answers").Elements() {
			v := titanVector(one.Get)
			if !v.IsArray() {
				return nil, t.p.bad("JSON without an embedding")
			}
			add(v, "")
			read += one.Get("inputTextTokenCount").Count()
		}
	default:
		v := titanVector(doc.Get)
		if !v.IsArray() {
			return nil, t.p.bad("JSON without an embedding")
		}
		add(v, "")
	}
	read += doc.Get("inputTextTokenCount").Count()
	if read == 0 {
		units := doc.Get("meta").Get("billed_units")
		read = units.Get("input_tokens").Count() + units.Get("images").Count()
	}
	if t.p.heard.input > 0 {
		read = t.p.heard.input
	}
	images := t.images()
	if read+images > 0 {
		t.p.usage, t.p.used = Usage{Prompt: read, Total: read, Images: images}, true
	}
	if read+images == 0 && len(t.p.call.r.body) < mostCounted { // nobody told: the client gets a count, as LiteLLM's do
		for _, text := range embedTexts(t.p.call.get("input")) {
			read += int64(tokens.For("").Text(text.Text()))
		}
	}
	dst = strconv.AppendInt(append(dst, `],"usage":{"prompt_tokens":`...), read, 10)
	dst = strconv.AppendInt(append(dst, `,"completion_tokens":0,"total_tokens":`...), read, 10)
	return append(dst, "}}"...), nil
}

// images counts the pictures that were sent to a model that is paid for each.
func (t *embedReply) images() (n int64) {
	if m := parseBedrockModel(t.p.call.model); embedderOf(&m) != titanImage {
		return 0
	}
	for _, text := range embedTexts(t.p.call.get("input")) {
		if _, _, ok := cutDataURL(text.Text()); ok {
			n++
		}
	}
	return n
}

// titanVector is the embedding in an answer of Titan's.
func titanVector(get func(string) jsondoc.Value) jsondoc.Value {
	types := get("embeddingsByType")
	if v := types.Get("float"); v != "" {
		return v
	}
	if v := get("embedding"); v != "" {
		return v
	}
	return types.Get("binary")
}

// appendVector appends an embedding as numbers, or as their base64: 32-bit floats, the lowest byte first.
func appendVector(dst []byte, v jsondoc.Value, packed bool) []byte {
	if !packed {
		return append(dst, v...)
	}
	raw := make([]byte, 0, len(v)/2)
	for e := range v.Elements() {
		f, _ := e.Float()
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(f)))
	}
	dst = append(dst, '"')
	return append(base64.StdEncoding.AppendEncode(dst, raw), '"')
}

func (t *embedReply) event(dst []byte, _ framing.Event) ([]byte, *apierror.Error) {
	return dst, t.p.bad("a stream where an embedding was asked for")
}

func (t *embedReply) end(dst []byte, _ bool) ([]byte, bool) { return dst, false }
