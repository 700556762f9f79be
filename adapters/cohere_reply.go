package adapters

import (
	"strconv"
	"strings"

	"github.com/sluicegw/sluice/adapters/framing"
	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// cohereReply turns an answer of Cohere's, whole or streamed, into OpenAI's completion.
//
// https://docs.cohere.com/v2/docs/streaming
type cohereReply struct {
	w      chatWriter
	p      *Reply
	calls  int    // tool calls so far
	reason string // OpenAI's finish_reason; "" until the answer's end has come
	notes  []byte // annotations, each after a comma
}

func (cohere) translator(c *call, p *Reply) translator {
	if c.r.op == Rerank {
		return &rerankReply{p: p}
	}
	return &cohereReply{w: newChatWriter(p), p: p}
}

// failure reads {"message":"…"}, with an id in newer versions.
//
// https://docs.cohere.com/reference/errors
func (cohere) failure(doc *jsondoc.Doc) *failure {
	if doc.Get("message").IsObject() || doc.Get("embeddings") != "" || doc.Get("results") != "" {
		return nil
	}
	return openAIFailure(doc)
}

// cohereReason is OpenAI's word for a finish_reason.
func cohereReason(word string) string {
	switch word {
	case "MAX_TOKENS", "ERROR_LIMIT":
		return "length"
	case "TOOL_CALL":
		return "tool_calls"
	case "ERROR_TOXIC":
		return "content_filter"
	}
	return "stop" // COMPLETE, STOP_SEQUENCE, USER_CANCEL
}

func (t *cohereReply) report(usage jsondoc.Value) {
	tokens := usage.Get("tokens")
	if !tokens.IsObject() {
		tokens = usage.Get("billed_units")
	}
	if !tokens.IsObject() {
		return
	}
	in, out := tokens.Get("input_tokens").Count(), tokens.Get("output_tokens").Count()
	t.p.usage = Usage{Prompt: in, Completion: out, Total: in + out, CachedRead: usage.Get("cached_tokens").Count()}
	t.p.used = true
}

func (t *cohereReply) whole(dst []byte, doc *jsondoc.Doc) ([]byte, *apierror.Error) {
	if t.p.call.r.op == Embedding {
		return t.embeddings(dst, doc)
	}
	message := doc.Get("message")
	if !message.IsObject() {
		return nil, t.p.bad("JSON without \"message\"")
	}
	if doc.Get("finish_reason").Is("ERROR") {
		return nil, t.p.failed(500, &failure{message: "cohere stopped the answer because of an error."})
	}
	m := chatMessage{indexed: true}
	for part := range message.Get("content").Elements() {
		m.reasoning = append(m.reasoning, part.Get("thinking").Inner()...)
		if text := part.Get("text"); text.IsString() {
			m.text, m.hasText = append(m.text, text.Inner()...), true
		}
	}
	for call := range message.Get("tool_calls").Elements() {
		f := call.Get("function")
		m.call(callID(call), f.Get("name"), argumentsText(f.Get("arguments")))
		t.calls++
	}
	if t.calls > 0 && len(m.text) == 0 {
		m.hasText = false
	}
	for c := range message.Get("citations").Elements() {
		t.cite(c)
	}
	if len(t.notes) > 0 {
		m.more = append(append(append(m.more, `,"annotations":[`...), t.notes[1:]...), ']')
	}
	t.p.output += int64(len(m.text) + len(m.reasoning) + len(m.calls))
	t.w.setID(doc.Get("id"))
	t.report(doc.Get("usage"))
	t.settle(doc.Get("finish_reason"))
	return t.w.whole(dst, &m, t.reason), nil
}

func (t *cohereReply) settle(word jsondoc.Value) {
	t.reason = cohereReason(word.Text())
	if t.calls > 0 && t.reason == "stop" {
		t.reason = "tool_calls"
	}
}

// cite notes the documents of a citation as OpenAI's annotations, one a source.
//
// https://docs.cohere.com/v2/docs/rag-citations
func (t *cohereReply) cite(c jsondoc.Value) {
	for source := range c.Get("sources").Elements() {
		document := source.Get("document")
		if !source.Get("type").Is("document") || !document.IsObject() {
			continue
		}
		url := source.Get("url")
		if !url.IsString() {
			id := source.Get("id").Inner()
			if id == "" {
				id = "unknown"
			}
			url = jsondoc.Value(`"source:` + id + `"`)
		}
		n := append(t.notes, `,{"type":"url_citation","url_citation":{"start_index":`...)
		n = strconv.AppendInt(n, c.Get("start").Count(), 10)
		n = strconv.AppendInt(append(n, `,"end_index":`...), c.Get("end").Count(), 10)
		n = append(append(n, `,"title":`...), asString(document.Get("title"))...)
		t.notes = append(append(append(n, `,"url":`...), url...), "}}"...)
	}
}

func (t *cohereReply) event(dst []byte, ev framing.Event) ([]byte, *apierror.Error) {
	doc, err := t.p.eventDoc(ev)
	if err != nil {
		return dst, err
	}
	delta := doc.Get("delta")
	message := delta.Get("message")
	switch doc.Get("type").Inner() {
	case "message-start":
		t.w.setID(doc.Get("id"))
	case "content-start", "content-delta":
		content := message.Get("content")
		dst = t.w.text(dst, "reasoning_content", content.Get("thinking"))
		dst = t.w.text(dst, "content", content.Get("text"))
	case "tool-call-start":
		call := message.Get("tool_calls")
		f := call.Get("function")
		dst = t.w.callStart(dst, t.calls, callID(call), f.Get("name"), f.Get("arguments"))
		t.calls++
	case "tool-call-delta":
		if t.calls > 0 {
			dst = t.w.callMore(dst, t.calls-1, message.At("tool_calls", "function", "arguments"))
		}
	case "citation-start":
		t.cite(message.Get("citations"))
		if len(t.notes) > 0 {
			dst = append(append(t.w.open(dst), `"annotations":[`...), t.notes[1:]...)
			dst = t.w.close(append(dst, ']'))
			t.notes = t.notes[:0]
		}
	case "message-end":
		return t.stop(dst, delta)
	default:
		if doc.Get("error").Exists() || doc.Get("type") == "" && doc.Get("message").IsString() {
			return dst, t.p.reported(openAIFailure(doc))
		}
	}
	return dst, nil
}

// stop takes the last event.
func (t *cohereReply) stop(dst []byte, delta jsondoc.Value) ([]byte, *apierror.Error) {
	if e := delta.Get("error"); e.Exists() || delta.Get("finish_reason").Is("ERROR") {
		text := strings.TrimSpace(e.Text())
		if text == "" {
			text = "cohere stopped the answer because of an error."
		}
		return dst, t.p.failed(500, &failure{message: text})
	}
	t.report(delta.Get("usage"))
	t.settle(delta.Get("finish_reason"))
	t.p.ended = true
	return t.w.finish(dst, t.reason), nil
}

func (t *cohereReply) end(dst []byte, _ bool) ([]byte, bool) {
	if t.reason == "" {
		return dst, false
	}
	return t.w.end(dst), true
}

// embeddings writes OpenAI's list of Cohere's: one list a type, or of older versions one list.
func (t *cohereReply) embeddings(dst []byte, doc *jsondoc.Doc) ([]byte, *apierror.Error) {
	all := doc.Get("embeddings")
	e := embeddingList{p: t.p}
	dst = e.open(dst)
	list := func(v jsondoc.Value) {
		i := 0
		for one := range v.Elements() {
			dst = e.addAt(dst, i, one)
			i++
		}
	}
	switch {
	case all.IsObject():
		for _, v := range all.Members() {
			list(v)
		}
	case all.IsArray():
		list(all)
	default:
		return nil, t.p.bad("JSON without \"embeddings\"")
	}
	units := doc.Get("meta").Get("billed_units")
	n := units.Get("input_tokens").Count() + units.Get("images").Count()
	t.p.usage, t.p.used = Usage{Prompt: n, Total: n}, units.IsObject()
	dst = e.close(dst)
	if text, images := units.Get("input_tokens"), units.Get("images"); n > 0 {
		dst = append(dst[:len(dst)-2], `,"prompt_tokens_details":{`...)
		if text != "" {
			dst = append(append(dst, `"text_tokens":`...), text...)
		}
		if images != "" {
			if text != "" {
				dst = append(dst, ',')
			}
			dst = append(append(dst, `"image_tokens":`...), images...)
		}
		dst = append(dst, "}}}"...)
	}
	return dst, nil
}
