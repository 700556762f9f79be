package adapters

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"github.com/sluicegw/sluice/adapters/framing"
	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// chatWriter writes OpenAI's chat completions, whole and in chunks, for dialects that build them anew.
type chatWriter struct {
	p       *Reply
	id      string // as the inside of a JSON string; made up when first needed
	created int64
	begun   bool // a chunk has been written
}

func newChatWriter(p *Reply) chatWriter { return chatWriter{p: p, created: clock().Unix()} }

// setID takes the provider's id for the answer.
func (w *chatWriter) setID(id jsondoc.Value) {
	if id.IsString() && id != `""` {
		w.id = "chatcmpl-" + id.Inner()
	}
}

func (w *chatWriter) head(dst []byte, object string) []byte {
	if w.id == "" {
		w.id = "chatcmpl-" + randomID()
	}
	dst = append(append(dst, `{"id":"`...), w.id...)
	dst = append(append(append(dst, `","object":"`...), object...), `","created":`...)
	dst = strconv.AppendInt(dst, w.created, 10)
	return append(append(append(dst, `,"model":`...), w.p.alias...), ',')
}

// whole writes a completion of one choice.
func (w *chatWriter) whole(dst []byte, m *chatMessage, finish string) []byte {
	w.p.finish = finish
	dst = append(w.head(dst, "chat.completion"), `"choices":[{"index":0,"message":{"role":"assistant","content":`...)
	if m.hasText {
		dst = append(append(append(dst, '"'), m.text...), '"')
	} else {
		dst = append(dst, "null"...)
	}
	if len(m.reasoning) > 0 {
		dst = append(append(append(dst, `,"reasoning_content":"`...), m.reasoning...), '"')
	}
	if len(m.calls) > 0 {
		dst = append(append(append(dst, `,"tool_calls":[`...), m.calls[1:]...), ']')
	}
	dst = append(dst, m.more...)
	dst = append(append(append(dst, `},"finish_reason":"`...), finish...), `"}]`...)
	return append(appendUsage(append(dst, `,"usage":`...), w.p.usage), '}')
}

// chatMessage is the one message of a completion: the insides of JSON strings, and tool calls each after
// a comma. more are members that stand after those, each after a comma.
type chatMessage struct {
	text, reasoning, calls, more []byte
	hasText                      bool
	indexed                      bool // tool calls tell their place, as LiteLLM's do for some providers
	count                        int
}

// call adds a tool call; arguments is JSON text.
func (m *chatMessage) call(id string, name jsondoc.Value, arguments string) {
	m.calls = append(m.calls, `,{`...)
	if m.indexed {
		m.calls = append(strconv.AppendInt(append(m.calls, `"index":`...), int64(m.count), 10), ',')
	}
	m.count++
	m.calls = apierror.AppendString(append(m.calls, `"id":`...), id)
	m.calls = append(append(m.calls, `,"type":"function","function":{"name":`...), asString(name)...)
	m.calls = appendQuoted(append(m.calls, `,"arguments":"`...), arguments)
	m.calls = append(m.calls, `"}}`...)
}

func asString(v jsondoc.Value) jsondoc.Value {
	if v.IsString() {
		return v
	}
	return `""`
}

// roleDelta is the first delta of a stream that says anything.
const roleDelta = `{"role":"assistant","content":""}`

// open begins an event up to its delta's members; close ends it. The first delta names the role.
func (w *chatWriter) open(dst []byte) []byte {
	dst = w.head(append(dst, "data: "...), "chat.completion.chunk")
	dst = append(dst, `"choices":[{"index":0,"delta":{`...)
	if !w.begun {
		w.begun = true
		dst = append(dst, `"role":"assistant",`...)
	}
	return dst
}

func (w *chatWriter) close(dst []byte) []byte {
	return append(dst, `},"finish_reason":null}]}`+"\n\n"...)
}

// text writes a chunk whose delta has one text, unless that is empty.
func (w *chatWriter) text(dst []byte, name string, text jsondoc.Value) []byte {
	if !text.IsString() || text == `""` {
		return dst
	}
	w.p.output += int64(len(text) - len(`""`))
	if name == "content" {
		w.p.spoken.say(w.p, text)
	} else {
		w.p.spoken.think(w.p, text)
	}
	dst = append(append(append(w.open(dst), '"'), name...), `":`...)
	return w.close(append(dst, text...))
}

// callStart writes the chunk that opens a tool call; arguments is the inside of a JSON string.
func (w *chatWriter) callStart(dst []byte, index int, id string, name, arguments jsondoc.Value) []byte {
	w.p.spoken.calls = true
	w.p.output += int64(len(arguments.Inner()))
	dst = strconv.AppendInt(append(w.open(dst), `"tool_calls":[{"index":`...), int64(index), 10)
	dst = apierror.AppendString(append(dst, `,"id":`...), id)
	dst = append(append(dst, `,"type":"function","function":{"name":`...), asString(name)...)
	dst = append(append(dst, `,"arguments":`...), asString(arguments)...)
	return w.close(append(dst, `}}]`...))
}

// callMore writes a piece of a tool call's arguments.
func (w *chatWriter) callMore(dst []byte, index int, arguments jsondoc.Value) []byte {
	if !arguments.IsString() || arguments == `""` {
		return dst
	}
	w.p.output += int64(len(arguments) - len(`""`))
	dst = strconv.AppendInt(append(w.open(dst), `"tool_calls":[{"index":`...), int64(index), 10)
	dst = append(append(dst, `,"function":{"arguments":`...), arguments...)
	return w.close(append(dst, `}}]`...))
}

// finish writes the chunk that tells why the answer ended.
func (w *chatWriter) finish(dst []byte, reason string) []byte {
	w.p.finish = reason
	dst = w.head(append(dst, "data: "...), "chat.completion.chunk")
	return append(append(append(dst, `"choices":[{"index":0,"delta":{},"finish_reason":"`...), reason...), `"}]}`+"\n\n"...)
}

// end writes the usage if the client asked for it and it was told.
func (w *chatWriter) end(dst []byte) []byte {
	if !w.p.used {
		return w.p.countUsage(dst)
	}
	if !w.p.call.r.includeUsage {
		return dst
	}
	if n := w.p.thought(); n > 0 {
		w.p.usage.Reasoning = n
	}
	dst = append(w.head(append(dst, "data: "...), "chat.completion.chunk"), `"choices":[],"usage":`...)
	return append(append(dst, w.p.fullUsage(jsondoc.Value(appendUsage(nil, w.p.usage)))...), "}\n\n"...)
}

// appendUsage appends OpenAI's usage object.
func appendUsage(dst []byte, u Usage) []byte {
	dst = strconv.AppendInt(append(dst, `{"prompt_tokens":`...), u.Prompt, 10)
	dst = strconv.AppendInt(append(dst, `,"completion_tokens":`...), u.Completion, 10)
	dst = strconv.AppendInt(append(dst, `,"total_tokens":`...), u.Total, 10)
	if u.CachedRead > 0 {
		dst = strconv.AppendInt(append(dst, `,"prompt_tokens_details":{"cached_tokens":`...), u.CachedRead, 10)
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// eventDoc reads an event's JSON into p.doc, in one line: a line break between two JSON tokens would end
// the line of the client's event.
func (p *Reply) eventDoc(ev framing.Event) (*jsondoc.Doc, *apierror.Error) {
	data := ev.Data
	if !utf8.Valid(data) {
		data = bytes.ToValidUTF8(data, []byte("\uFFFD"))
	}
	if err := p.doc.Reset(data, true); err != nil {
		return nil, p.bad("an event of its stream is not a JSON object: %s", err)
	}
	for i := bytes.IndexByte(data, '\n'); i >= 0; i = bytes.IndexByte(data, '\n') {
		data[i] = ' '
	}
	return &p.doc, nil
}
