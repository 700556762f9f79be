package adapters

import (
	"strings"

	"github.com/sluicegw/sluice/adapters/framing"
	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// ollamaReply turns an answer of Ollama's, whole or line by line, into OpenAI's completion.
type ollamaReply struct {
	w     chatWriter
	p     *Reply
	d     ollama
	calls int // tool calls so far, over all lines
	// held is text that waits for the answer's end, because it may be a call of a tool: the inside of a JSON
	// string. holding: the call has tools that the model was told of in its prompt, and asks for no other JSON.
	held    []byte
	holding bool
	tags    thinkTags
	reason  string // OpenAI's finish_reason; "" until the answer's end has come
}

func (d ollama) translator(c *call, p *Reply) translator {
	return &ollamaReply{w: newChatWriter(p), p: p, d: d, holding: d.generate && c.r.op == Chat && ollamaTools(c) != "" && schemaOf(c) == ""}
}

// failure reads {"error":"…"}.
func (ollama) failure(doc *jsondoc.Doc) *failure {
	if doc.Get("message").IsObject() || doc.Get("response") != "" {
		if e := doc.Get("error"); !e.Exists() {
			return nil
		}
	}
	return openAIFailure(doc)
}

// content is what a line or the whole answer says.
func (d ollama) content(doc *jsondoc.Doc) (text, thinking, calls jsondoc.Value) {
	if d.generate {
		return doc.Get("response"), doc.Get("thinking"), ""
	}
	m := doc.Get("message")
	return m.Get("content"), m.Get("thinking"), m.Get("tool_calls")
}

// settle takes why the answer ended and what it cost.
func (t *ollamaReply) settle(doc *jsondoc.Doc) {
	t.reason = "stop" // stop, load, unload
	if doc.Get("done_reason").Is("length") {
		t.reason = "length"
	}
	if t.calls > 0 {
		t.reason = "tool_calls"
	}
	in, out := doc.Get("prompt_eval_count"), doc.Get("eval_count")
	if in == "" && out == "" {
		return
	}
	t.p.usage = Usage{Prompt: in.Count(), Completion: out.Count(), Total: in.Count() + out.Count()}
	t.p.used = true
}

func (t *ollamaReply) whole(dst []byte, doc *jsondoc.Doc) ([]byte, *apierror.Error) {
	if t.p.call.r.op == Embedding {
		return t.embeddings(dst, doc)
	}
	text, thinking, calls := t.d.content(doc)
	if !t.d.generate && !doc.Get("message").IsObject() {
		return nil, t.p.bad("JSON without \"message\"")
	}
	if t.d.generate && text == "" {
		return nil, t.p.bad("JSON without \"response\"")
	}
	if !thinking.IsString() || thinking == `""` {
		thinking, text, _ = splitThinking(text)
	}
	var m chatMessage
	m.reasoning = append(m.reasoning, thinking.Inner()...)
	for call := range calls.Elements() {
		f := call.Get("function")
		m.call(callID(call), f.Get("name"), argumentsText(f.Get("arguments")))
		t.calls++
	}
	name, arguments, called := jsondoc.Value(""), "", false
	if t.holding {
		name, arguments, called = textAsCall(text.Text())
	}
	if called {
		m.call("call_"+randomID(), name, arguments)
		t.calls++
	} else if text.IsString() {
		m.text, m.hasText = append(m.text, text.Inner()...), true
	}
	t.p.output += int64(len(m.text) + len(m.reasoning) + len(m.calls))
	t.settle(doc)
	return t.w.whole(dst, &m, t.reason), nil
}

// callID is the id of a tool call, which Ollama may leave out.
func callID(call jsondoc.Value) string {
	if id := call.Get("id").Text(); id != "" {
		return id
	}
	return "call_" + randomID()
}

// argumentsText is a tool call's arguments as JSON text: Ollama writes an object, some models a string.
func argumentsText(v jsondoc.Value) string {
	if v.IsString() {
		return v.Text()
	}
	if !v.Exists() {
		return "{}"
	}
	return string(v)
}

// textAsCall reads a text as the call of a tool that the prompt asked for: {"name": …, "arguments": {…}},
// perhaps fenced.
func textAsCall(text string) (name jsondoc.Value, arguments string, ok bool) {
	text = strings.TrimSpace(text)
	if inner, fenced := strings.CutPrefix(text, "```"); fenced {
		text = strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(inner, "json"), "```"))
	}
	doc, err := jsondoc.Parse([]byte(text))
	if err != nil || !doc.Get("name").IsString() || doc.Get("arguments") == "" {
		return "", "", false
	}
	return doc.Get("name"), argumentsText(doc.Get("arguments")), true
}

func (t *ollamaReply) event(dst []byte, ev framing.Event) ([]byte, *apierror.Error) {
	doc, err := t.p.eventDoc(ev)
	if err != nil {
		return dst, err
	}
	if doc.Get("error").Exists() {
		return dst, t.p.reported(openAIFailure(doc))
	}
	text, thinking, calls := t.d.content(doc)
	dst = t.w.text(dst, "reasoning_content", thinking)
	if t.holding {
		t.held = append(t.held, text.Inner()...)
		t.p.output += int64(len(text.Inner()))
		if len(t.held) > mostHeldText { // no model calls a tool with so much
			dst, t.holding = t.release(dst), false
		}
	} else if text.IsString() && text != `""` {
		reasoning, rest := t.tags.split(text)
		dst = t.w.text(dst, "reasoning_content", reasoning)
		dst = t.w.text(dst, "content", rest)
	}
	for call := range calls.Elements() {
		f := call.Get("function")
		arguments := jsondoc.Value(apierror.AppendString(nil, argumentsText(f.Get("arguments"))))
		dst = t.w.callStart(dst, t.calls, callID(call), f.Get("name"), arguments)
		t.calls++
	}
	if doc.Get("done") == "true" {
		dst = t.release(dst)
		t.settle(doc)
		dst = t.w.finish(dst, t.reason)
		t.p.ended = true
	}
	return dst, nil
}

// mostHeldText bounds the text that is held back because it may be a call, in bytes.
const mostHeldText = 1 << 20

// release writes the text that was held.
func (t *ollamaReply) release(dst []byte) []byte {
	if len(t.held) == 0 {
		return dst
	}
	text := jsondoc.Value(append(append([]byte{'"'}, t.held...), '"'))
	t.p.output -= int64(len(t.held)) // it is counted again below
	t.held = nil
	if name, arguments, ok := textAsCall(text.Text()); ok {
		if !t.w.begun { // as with LiteLLM the call stands beside an empty text
			dst = t.w.close(append(t.w.open(dst), `"content":""`...))
		}
		dst = t.w.callStart(dst, t.calls, "call_"+randomID(), name, jsondoc.Value(apierror.AppendString(nil, arguments)))
		t.calls++
		return dst
	}
	return t.w.text(dst, "content", text)
}

func (t *ollamaReply) end(dst []byte, _ bool) ([]byte, bool) {
	if t.reason == "" {
		return dst, false
	}
	return t.w.end(dst), true
}

// thinkTags follows <think> and </think> through a stream's texts.
type thinkTags struct{ inside, done bool }

// split tells what of a text is thinking and what is the answer, by a tag in it.
func (t *thinkTags) split(text jsondoc.Value) (thinking, content jsondoc.Value) {
	s := text.Inner()
	if !t.inside && !t.done {
		if i := strings.Index(s, "<think>"); i >= 0 {
			t.inside = true
			s = s[:i] + s[i+len("<think>"):]
		}
	}
	if !t.inside {
		return "", jsondoc.Value(`"` + s + `"`)
	}
	before, after, closed := strings.Cut(s, "</think>")
	if !closed {
		return jsondoc.Value(`"` + s + `"`), ""
	}
	t.inside, t.done = false, true
	return jsondoc.Value(`"` + before + `"`), jsondoc.Value(`"` + after + `"`)
}

// embeddings writes OpenAI's list of Ollama's: {"embeddings":[[…]]}, of older versions {"embedding":[…]}.
func (t *ollamaReply) embeddings(dst []byte, doc *jsondoc.Doc) ([]byte, *apierror.Error) {
	list := doc.Get("embeddings")
	if one := doc.Get("embedding"); list == "" && one.IsArray() {
		list = "[" + one + "]"
	}
	if !list.IsArray() {
		return nil, t.p.bad("JSON without \"embeddings\"")
	}
	e := embeddingList{p: t.p}
	dst = e.open(dst)
	for v := range list.Elements() {
		dst = e.add(dst, v)
	}
	n := doc.Get("prompt_eval_count")
	t.p.usage, t.p.used = Usage{Prompt: n.Count(), Total: n.Count()}, n != ""
	return e.close(dst), nil
}
