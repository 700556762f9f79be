package adapters

import (
	"strconv"
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// geminiReply makes OpenAI's answers of Gemini's.
//
// https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse
type geminiReply struct {
	p       *Reply
	created int64
	id      string
	tier    string // that the answer was served in
	usage   geminiUsage
	legacy  bool // the client offered functions, not tools, and looks for a function_call
	// Of a stream:
	calls           int    // tool calls so far
	begun, finished uint64 // one bit a candidate
	spoke           uint64 // the candidates that said anything, and with it their role
	callers         uint64 // the candidates that called a tool
	rich            bool   // there was more than words
	words           []byte // memory for a candidate's text, used again
}

// geminiCandidate is a candidate taken apart in one pass.
type geminiCandidate struct {
	index                              int64
	parts, reason, grounding, logprobs jsondoc.Value
}

func readCandidate(v jsondoc.Value, i int) geminiCandidate {
	c := geminiCandidate{index: int64(i)}
	for k, m := range v.Members() {
		switch k.Inner() {
		case "content":
			c.parts = m.Get("parts")
		case "index":
			c.index = m.Count()
		case "finishReason":
			c.reason = m
		case "groundingMetadata":
			c.grounding = m
		case "logprobsResult":
			c.logprobs = m
		}
	}
	return c
}

func (g gemini) translator(c *call, p *Reply) translator {
	if c.r.op == Embedding {
		return &geminiEmbeddings{p: p, vertex: g.vertex}
	}
	return &geminiReply{p: p, created: clock().Unix(), legacy: p.call.r.op == Chat && first(p.call.get("functions")) != ""}
}

// header takes what the answer's headers tell.
func (t *geminiReply) header(get func(name string) string) {
	switch t.tier = strings.ToLower(clipText(get("x-gemini-service-tier"), 32)); t.tier {
	case "standard":
		t.tier = "default"
	}
	t.p.tier = t.tier
}

// geminiFinish is OpenAI's finish_reason for a finishReason.
//
// https://ai.google.dev/api/generate-content#FinishReason
func geminiFinish(reason string) string {
	switch reason {
	case "MAX_TOKENS":
		return "length"
	case "SAFETY", "RECITATION", "LANGUAGE", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY",
		"IMAGE_PROHIBITED_CONTENT", "NO_IMAGE", "IMAGE_RECITATION", "IMAGE_OTHER", "ESCALATION":
		return "content_filter"
	}
	return "stop"
}

// flagged tells whether the answer's text is not to be shown: a filter stopped it.
func flagged(reason string) bool {
	switch reason {
	case "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT":
		return true
	}
	return false
}

func (t *geminiReply) setID(v jsondoc.Value) {
	if t.id == "" {
		if t.id = strings.Clone(v.Inner()); t.id == "" {
			t.id = "chatcmpl-" + randomID()
		}
	}
}

// settle reports what the answer has come to so far.
func (t *geminiReply) settle(partial bool) {
	t.p.usage, t.p.used = t.usage.total(), t.usage.told
	t.p.usage.Partial = partial
}

func (t *geminiReply) whole(dst []byte, doc *jsondoc.Doc) ([]byte, *apierror.Error) {
	candidates := doc.Get("candidates")
	blocked := doc.Get("promptFeedback").Get("blockReason").Exists()
	if !candidates.IsArray() && !blocked && !doc.Get("usageMetadata").IsObject() {
		return nil, t.p.bad("JSON without \"candidates\"")
	}
	t.setID(doc.Get("responseId"))
	t.p.answeredBy(doc.Get("modelVersion"))
	for c := range candidates.Elements() {
		t.usage.grounded(c.Get("groundingMetadata"))
	}
	t.usage.update(doc.Get("usageMetadata"))
	dst = append(dst, `{"id":"`...)
	dst = append(append(dst, t.id...), `","object":"chat.completion","created":`...)
	dst = strconv.AppendInt(dst, t.created, 10)
	dst = append(append(dst, `,"model":`...), t.p.alias...)
	dst = append(dst, `,"choices":[`...)
	lead := first(candidates)
	stopped := blocked || flagged(lead.Get("finishReason").Text())
	switch {
	case stopped:
		t.p.finish = "content_filter"
		dst = append(dst, `{"index":0,"message":{"role":"assistant","content":null},"finish_reason":"content_filter"}`...)
	case lead == "":
		t.p.finish = "stop"
		dst = append(dst, `{"index":0,"message":{"role":"assistant","content":null},"finish_reason":"stop"}`...)
	default:
		i := 0
		for c := range candidates.Elements() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = t.choice(dst, c, i)
			i++
		}
	}
	t.settle(false)
	dst = append(dst, ']')
	style := usageBare
	if !stopped {
		style = usageWhole
		dst = appendMetadata(dst, candidates)
	}
	if t.tier != "" {
		dst = apierror.AppendString(append(dst, `,"service_tier":`...), t.tier)
	}
	if t.usage.told {
		dst = t.usage.append(append(dst, `,"usage":`...), style)
	}
	return append(dst, '}'), nil
}

// choice appends a candidate as a choice.
func (t *geminiReply) choice(dst []byte, v jsondoc.Value, i int) []byte {
	c := readCandidate(v, i)
	m := t.read(&c)
	reason := c.reason.Text()
	finish := geminiFinish(reason)
	switch {
	case m.function != nil:
		finish = "function_call"
	case len(m.calls) > 0:
		finish = "tool_calls"
	}
	t.p.finish = finish
	dst = strconv.AppendInt(append(dst, `{"index":`...), c.index, 10)
	dst = append(dst, `,"message":{"role":"assistant","content":`...)
	if m.said {
		dst = append(append(append(dst, '"'), m.text...), '"')
	} else {
		dst = append(dst, "null"...)
	}
	dst = append(m.append(dst, true), '}')
	dst = appendLogprobs(dst, c.logprobs)
	dst = append(append(append(dst, `,"finish_reason":"`...), finish...), '"')
	if reason != "" {
		dst = apierror.AppendString(append(dst, `,"provider_specific_fields":{"native_finish_reason":`...), reason)
		dst = append(dst, '}')
	}
	return append(dst, '}')
}
