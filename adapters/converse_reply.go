package adapters

import (
	"strconv"
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// converseReply turns Converse's answer, whole or streamed, into OpenAI's completion.
//
// https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
type converseReply struct {
	p *Reply
	a *converseCall

	id      string // for the client, as the inside of a JSON string
	created int64
	usage   anthropicUsage
	total   int64  // totalTokens, if it was told
	reason  string // stopReason as OpenAI's finish_reason; "" until it came

	begun     bool      // a stream has told the role
	thoughts  []byte    // as anthropicReply's
	block     blockKind // the open content block
	blocks    int       // of thinking, so far
	tools     int       // tool calls so far
	arguments bool      // the open tool call has arguments
	schema    bool      // the forced tool's arguments became content
	tier      string    // serviceTier, as a JSON string
	trace     string    // the guardrail's, as JSON
}

func (converse) translator(c *call, p *Reply) translator {
	return &converseReply{p: p, a: newConverseCall(c), id: "chatcmpl-" + randomID(), created: clock().Unix()}
}

func (converse) failure(doc *jsondoc.Doc) *failure { return awsFailure(doc) }

// converseFinish is OpenAI's word for a stopReason.
func converseFinish(stop string) string {
	switch stop {
	case "max_tokens", "model_context_window_exceeded":
		return "length"
	case "tool_use":
		return "tool_calls"
	case "guardrail_intervened", "content_filtered", "refusal":
		return "content_filter"
	}
	return "stop" // end_turn, stop_sequence
}

func (t *converseReply) whole(dst []byte, doc *jsondoc.Doc) ([]byte, *apierror.Error) {
	message := doc.Get("output").Get("message")
	if !doc.Get("output").IsObject() {
		return nil, t.p.bad("JSON without \"output\"")
	}
	t.reason = converseFinish(doc.Get("stopReason").Text())
	t.count(doc.Get("usage"))
	t.think(doc.Get("additionalModelResponseFields"))
	t.aside(doc.Get("serviceTier"), doc.Get("trace"))
	text, err := t.message(nil, message.Get("content"))
	if err != nil {
		return nil, err
	}
	t.settle()
	dst = append(dst, `{"id":"`...)
	dst = append(append(dst, t.id...), `","object":"chat.completion","created":`...)
	dst = strconv.AppendInt(dst, t.created, 10)
	dst = append(append(dst, `,"model":`...), t.p.alias...)
	dst = append(append(dst, `,"choices":[{"index":0,"message":`...), text...)
	dst = append(append(append(dst, `,"finish_reason":"`...), t.reason...), `"}]`...)
	if t.usage.told {
		dst = t.appendUsage(append(dst, `,"usage":`...))
	}
	dst = t.appendAside(dst)
	return append(dst, '}'), nil
}

// count takes a TokenUsage.
func (t *converseReply) count(u jsondoc.Value) {
	if !u.IsObject() {
		return
	}
	t.usage.told = true
	t.usage.input, t.usage.output = u.Get("inputTokens").Count(), u.Get("outputTokens").Count()
	t.total = u.Get("totalTokens").Count()
	t.usage.read = max(u.Get("cacheReadInputTokens").Count(), u.Get("cacheReadInputTokenCount").Count())
	t.usage.write = max(u.Get("cacheWriteInputTokens").Count(), u.Get("cacheWriteInputTokenCount").Count())
	var short, long int64
	for d := range u.Get("cacheDetails").Elements() {
		switch ttl := d.Get("ttl"); {
		case ttl.Is("5m"):
			short += d.Get("inputTokens").Count()
		case ttl.Is("1h"):
			long += d.Get("inputTokens").Count()
		}
	}
	if short+long == t.usage.write {
		t.usage.shortCache, t.usage.longCache = short, long
	}
}

// think takes what /usage/output_tokens_details asked for.
func (t *converseReply) think(fields jsondoc.Value) {
	if n := fields.At("usage", "output_tokens_details", "thinking_tokens"); n.IsNumber() {
		t.usage.thinking, t.usage.thinkingTold = n.Count(), true
	}
}

// aside takes what stands beside the answer.
func (t *converseReply) aside(tier, trace jsondoc.Value) {
	if kind := tier.Get("type"); kind.IsString() {
		t.tier = strings.Clone(string(kind))
		t.p.tier = strings.Clone(kind.Text())
	}
	if trace.IsObject() {
		t.trace = strings.Clone(string(trace))
	}
}

func (t *converseReply) appendAside(dst []byte) []byte {
	if t.tier != "" {
		dst = append(append(dst, `,"service_tier":`...), t.tier...)
	}
	if t.trace != "" {
		dst = append(append(dst, `,"trace":`...), t.trace...)
	}
	return dst
}

// settle reports what the answer came to.
func (t *converseReply) settle() {
	// As in LiteLLM a stream says that a tool was called, although its arguments are the answer.
	if t.schema && t.tools == 0 && t.reason == "tool_calls" && !t.p.call.r.stream {
		t.reason = "stop"
	}
	t.p.finish = t.reason
	t.report()
}

// report keeps the usage known while the stream runs.
func (t *converseReply) report() {
	t.p.usage, t.p.used = t.totals(), t.usage.told
}

func (t *converseReply) totals() Usage {
	u := t.usage.total()
	if t.total > 0 {
		u.Total = t.total
	}
	return u
}

func (t *converseReply) appendUsage(dst []byte) []byte {
	return t.usage.appendTotal(dst, t.totals().Total)
}

// parts are the pieces of a message before they are put together.
type converseParts struct {
	text, calls, thinking, blocks, raw, citations []byte
}

// message appends the assistant's message made of content blocks.
func (t *converseReply) message(dst []byte, content jsondoc.Value) ([]byte, *apierror.Error) {
	var m converseParts
	index := int64(-1)
	for b := range content.Elements() {
		index++
		if text := b.Get("text"); text.IsString() {
			t.saidWhole(&m, text)
		}
		if use := b.Get("toolUse"); use.IsObject() {
			t.calledWhole(&m, use, index)
		}
		if r := b.Get("reasoningContent"); r.IsObject() {
			t.thoughtWhole(&m, r)
		}
		if c := b.Get("citationsContent"); c.IsObject() {
			m.citations = append(append(m.citations, ','), c...)
		}
	}
	annotations := citeWhole(&m)
	t.usage.thoughtBytes = len(m.thinking)
	t.usage.estimate(m.thinking[:min(len(m.thinking), mostThoughts)])
	t.p.output += int64(len(m.text) + len(m.thinking))
	dst = append(append(append(dst, `{"role":"assistant","content":"`...), m.text...), '"')
	if len(m.calls) > 0 {
		dst = append(append(append(dst, `,"tool_calls":[`...), m.calls[1:]...), ']')
	}
	if len(m.blocks) > 0 {
		dst = append(append(append(dst, `,"reasoning_content":"`...), m.thinking...), '"')
		dst = append(append(append(dst, `,"thinking_blocks":[`...), m.blocks[1:]...), ']')
	}
	if annotations != nil {
		dst = append(append(append(dst, `,"annotations":[`...), annotations[1:]...), ']')
	}
	if len(m.raw)+len(m.citations) > 0 {
		dst = append(dst, `,"provider_specific_fields":{`...)
		start := len(dst)
		if len(m.raw) > 0 {
			dst = member(dst, start, "reasoningContentBlocks", jsondoc.Value("["+string(m.raw[1:])+"]"))
		}
		if len(m.citations) > 0 {
			dst = member(dst, start, "citationsContent", jsondoc.Value("["+string(m.citations[1:])+"]"))
		}
		dst = append(dst, '}')
	}
	return append(dst, '}'), nil
}

// saidWhole takes a text, which some models begin with their thinking in tags.
func (t *converseReply) saidWhole(m *converseParts, text jsondoc.Value) {
	thought, rest, ok := cutThought(text.Text())
	if !ok {
		m.text = append(m.text, text.Inner()...)
		return
	}
	m.text = appendQuoted(m.text, rest)
	block := append([]byte(`{"text":`), apierror.AppendString(nil, thought)...)
	t.thoughtWhole(m, jsondoc.Value(`{"reasoningText":`+string(append(block, '}'))+`}`))
}

// cutThought takes <think>…</think> off the beginning of a text.
func cutThought(text string) (thought, rest string, ok bool) {
	if !strings.HasPrefix(text, "<") {
		return "", text, false
	}
	tags := [...]string{"think", "thinking", "budget:thinking"}
	for _, open := range tags {
		inner, found := strings.CutPrefix(text, "<"+open+">")
		if !found {
			continue
		}
		at, size := -1, 0
		for _, closing := range tags {
			if i := strings.Index(inner, "</"+closing+">"); i >= 0 && (at < 0 || i < at) {
				at, size = i, len(closing)+3
			}
		}
		if at >= 0 {
			return inner[:at], inner[at+size:], true
		}
	}
	return "", text, false
}

// calledWhole takes the call at a place in the content, which is its index, as LiteLLM has it.
func (t *converseReply) calledWhole(m *converseParts, use jsondoc.Value, index int64) {
	input := use.Get("input")
	if input == "" {
		input = "{}"
	}
	if t.a.json && use.Get("name").Is(jsonTool) {
		if !t.schema { // one is the answer
			m.text = appendQuoted(m.text, string(unwrapProperties(input)))
		}
		t.schema = true
		return
	}
	t.p.output += int64(len(input))
	m.calls = strconv.AppendInt(append(m.calls, `,{"index":`...), index, 10)
	m.calls = append(append(m.calls, `,"id":`...), textOr(use.Get("toolUseId"))...)
	m.calls = t.a.names.appendBack(append(m.calls, `,"type":"function","function":{"name":`...), use.Get("name"))
	m.calls = appendQuoted(append(m.calls, `,"arguments":"`...), string(input))
	m.calls = append(m.calls, `"}}`...)
	t.tools++
}

// unwrapProperties is the answer where a model repeated the schema's own properties around it.
func unwrapProperties(input jsondoc.Value) jsondoc.Value {
	n := 0
	for range input.Members() {
		n++
	}
	if p := input.Get("properties"); n == 1 && p.IsObject() {
		return p
	}
	return input
}

func textOr(v jsondoc.Value) jsondoc.Value {
	if v.IsString() {
		return v
	}
	return `""`
}

func (t *converseReply) thoughtWhole(m *converseParts, r jsondoc.Value) {
	t.usage.thought = true
	m.raw = append(append(m.raw, ','), r...)
	if text := r.Get("reasoningText"); text.IsObject() {
		m.thinking = append(m.thinking, text.Get("text").Inner()...)
		m.blocks = append(append(m.blocks, `,{"type":"thinking","thinking":`...), textOr(text.Get("text"))...)
		if s := text.Get("signature"); s.IsString() {
			m.blocks = append(append(m.blocks, `,"signature":`...), s...)
		}
		m.blocks = append(m.blocks, '}')
		return
	}
	if data := r.Get("redactedContent"); data.IsString() {
		m.blocks = append(append(append(m.blocks, `,{"type":"redacted_thinking","data":`...), data...), '}')
	}
}

// citeWhole puts the cited texts into an answer that has no other words, and tells their sources as annotations, each
// after a comma.
func citeWhole(m *converseParts) (annotations []byte) {
	if len(m.citations) == 0 || strings.ContainsFunc(string(m.text), isWord) {
		return nil
	}
	var cited []byte
	offset := int64(0)
	for block := range jsondoc.Value("[" + string(m.citations[1:]) + "]").Elements() {
		for c := range block.Get("citations").Elements() {
			where := c.Get("location").Get("searchResultLocation")
			from, ok1 := where.Get("start").Int()
			to, ok2 := where.Get("end").Int()
			if !ok1 || !ok2 {
				continue
			}
			annotations = append(annotations, `,{"type":"url_citation","url_citation":{"start_index":`...)
			annotations = strconv.AppendInt(annotations, offset+from, 10)
			annotations = strconv.AppendInt(append(annotations, `,"end_index":`...), offset+to, 10)
			annotations = append(append(annotations, `,"title":`...), textOr(c.Get("title"))...)
			annotations = append(append(append(annotations, `,"url":`...), textOr(c.Get("source"))...), "}}"...)
		}
		for part := range block.Get("content").Elements() {
			text := part.Get("text")
			cited = append(cited, text.Inner()...)
			offset += int64(len([]rune(text.Text())))
		}
	}
	m.text = append(cited, m.text...)
	return annotations
}

func isWord(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r > 0x7f
}
