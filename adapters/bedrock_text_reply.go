package adapters

import (
	"strconv"
	"strings"

	"github.com/sluicegw/sluice/adapters/framing"
	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// textReply turns what the models of [invokedText] answer into OpenAI's completion.
type textReply struct {
	converseReply
}

// textPiece is a whole answer or a chunk of one.
type textPiece struct {
	text   jsondoc.Value
	reason string // "" while it goes on
}

// readPiece finds the text in whichever of the formats doc is.
func readPiece(doc *jsondoc.Doc) (p textPiece, ok bool) {
	var reason jsondoc.Value
	for _, where := range [...]struct{ list, text, reason string }{
		{"results", "outputText", "completionReason"}, // Titan
		{"outputs", "text", "stop_reason"},            // Mistral
		{"generations", "text", "finish_reason"},      // Command
	} {
		if one := first(doc.Get(where.list)); one.IsObject() {
			p.text, reason, ok = one.Get(where.text), one.Get(where.reason), true
		}
	}
	for _, where := range [...]struct{ text, reason string }{
		{"outputText", "completionReason"}, {"generation", "stop_reason"}, {"text", "finish_reason"},
	} {
		if v := doc.Get(where.text); v.IsString() {
			p.text, reason, ok = v, doc.Get(where.reason), true
		}
	}
	if one := first(doc.Get("choices")); one.IsObject() { // Mistral's newer ones
		p.text, ok = one.At("message", "content"), true
		if reason = one.Get("finish_reason"); reason == "" {
			reason = one.Get("stop_reason")
		}
	}
	if one := first(doc.Get("completions")); one.IsObject() { // Jurassic
		p.text, reason, ok = one.At("data", "text"), one.At("finishReason", "reason"), true
	}
	if !reason.Exists() {
		reason = doc.Get("finish_reason")
	}
	if reason.IsString() {
		p.reason, ok = textFinish(reason.Text()), true
	}
	return p, ok
}

// textFinish is OpenAI's word for why a completion ended.
func textFinish(reason string) string {
	switch strings.ToLower(reason) {
	case "length", "max_tokens":
		return "length"
	case "content_filtered", "content_filter", "error_toxic", "guardrail_intervened":
		return "content_filter"
	case "":
		return ""
	}
	return "stop"
}

// counts takes the numbers of tokens from where the format has them; the headers know best.
func (t *textReply) counts(doc *jsondoc.Doc) {
	pair := func(in, out jsondoc.Value) {
		if in.IsNumber() || out.IsNumber() {
			t.usage.told = true
			t.usage.input, t.usage.output = max(t.usage.input, in.Count()), max(t.usage.output, out.Count())
		}
	}
	pair(doc.Get("prompt_token_count"), doc.Get("generation_token_count"))
	pair(doc.Get("inputTextTokenCount"), first(doc.Get("results")).Get("tokenCount"))
	pair(doc.Get("inputTextTokenCount"), doc.Get("totalOutputTextTokenCount"))
	metrics := doc.Get("amazon-bedrock-invocationMetrics")
	pair(metrics.Get("inputTokenCount"), metrics.Get("outputTokenCount"))
	if h := &t.p.heard; h.input > 0 {
		t.usage.told, t.usage.input, t.usage.output = true, h.input, h.output
	}
}

func (t *textReply) whole(dst []byte, doc *jsondoc.Doc) ([]byte, *apierror.Error) {
	piece, ok := readPiece(doc)
	if !ok || !piece.text.IsString() {
		return nil, t.p.bad("JSON without a text")
	}
	if t.reason = piece.reason; t.reason == "" {
		t.reason = "stop"
	}
	t.counts(doc)
	t.p.output += int64(len(piece.text) - len(`""`))
	t.settle()
	dst = append(append(append(dst, `{"id":"`...), t.id...), `","object":"chat.completion","created":`...)
	dst = strconv.AppendInt(dst, t.created, 10)
	dst = append(append(dst, `,"model":`...), t.p.alias...)
	dst = append(append(dst, `,"choices":[{"index":0,"message":{"role":"assistant","content":`...), piece.text...)
	dst = append(append(append(dst, `},"finish_reason":"`...), t.reason...), `"}]`...)
	if t.usage.told {
		dst = t.appendCounts(append(dst, `,"usage":`...))
	}
	return append(dst, '}'), nil
}

// appendCounts appends the usage: these models tell no details.
func (t *textReply) appendCounts(dst []byte) []byte {
	u := t.totals()
	dst = strconv.AppendInt(append(dst, `{"prompt_tokens":`...), u.Prompt, 10)
	dst = strconv.AppendInt(append(dst, `,"completion_tokens":`...), u.Completion, 10)
	return append(strconv.AppendInt(append(dst, `,"total_tokens":`...), u.Total, 10), '}')
}

func (t *textReply) end(dst []byte, _ bool) ([]byte, bool) {
	if t.reason == "" {
		return dst, false
	}
	if t.p.call.r.includeUsage && t.usage.told {
		dst = t.appendCounts(append(t.head(dst), `"choices":[],"usage":`...))
		dst = append(t.p.appendCost(dst[:len(dst)-1]), "}}\n\n"...)
	}
	return dst, true
}

func (t *textReply) event(dst []byte, ev framing.Event) ([]byte, *apierror.Error) {
	doc, err := t.p.eventDoc(ev)
	if err != nil {
		return dst, err
	}
	t.counts(doc)
	piece, ok := readPiece(doc)
	if ok && piece.text.IsString() && piece.text != `""` {
		t.p.output += int64(len(piece.text) - len(`""`))
		dst = append(append(t.open(dst), `{"content":`...), piece.text...)
		dst = t.close(append(dst, '}'))
	}
	if piece.reason != "" && t.reason == "" {
		t.reason = piece.reason
		t.settle()
		dst = t.finishChunk(dst)
	}
	t.report()
	if doc.Get("amazon-bedrock-invocationMetrics") != "" {
		t.p.ended = t.reason != ""
	}
	return dst, nil
}
