package adapters

import (
	"strconv"

	"github.com/sluicegw/sluice/adapters/framing"
	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

func (t *anthropicReply) event(dst []byte, ev framing.Event) ([]byte, *apierror.Error) {
	doc, err := t.p.eventDoc(ev)
	if err != nil {
		return dst, err
	}
	kind := doc.Get("type")
	switch kind.Inner() {
	case "content_block_delta":
		return t.delta(dst, doc.Get("delta")), nil
	case "content_block_start":
		return t.blockStart(dst, doc.Get("content_block")), nil
	case "content_block_stop":
		return t.blockStop(dst), nil
	case "message_start":
		m := doc.Get("message")
		t.setID(m.Get("id"))
		t.usage.update(m.Get("usage"))
		t.p.answeredBy(m.Get("model"))
		t.p.served(m.Get("usage").Get("service_tier"))
		t.report()
		return dst, nil
	case "message_delta":
		t.usage.update(doc.Get("usage"))
		t.report()
		if stop := doc.Get("delta").Get("stop_reason"); stop.Exists() {
			t.reason = finishReason(stop.Text())
			t.settle()
			return t.finishChunk(dst), nil
		}
	case "message_stop":
		t.p.ended = t.reason != ""
	case "error":
		return dst, t.p.reported(anthropic{}.failure(doc))
	default:
		if doc.Get("error").IsObject() {
			return dst, t.p.reported(anthropic{}.failure(doc))
		}
	}
	return dst, nil // ping, and what newer versions may add
}

// report keeps the usage known while the stream runs, so that one that is cut off is paid for.
func (t *anthropicReply) report() {
	t.p.usage, t.p.used = t.usage.total(), t.usage.told
	t.p.usage.Partial = t.reason == ""
}

func (t *anthropicReply) delta(dst []byte, d jsondoc.Value) []byte {
	switch d.Get("type").Inner() {
	case "text_delta":
		text := d.Get("text")
		if len(text) <= len(`""`) || !text.IsString() {
			return dst
		}
		t.p.output += int64(len(text) - len(`""`))
		dst = t.open(dst)
		dst = append(append(dst, `{"content":`...), text...)
		return t.close(append(dst, '}'))
	case "input_json_delta":
		part := d.Get("partial_json")
		if len(part) <= len(`""`) || !part.IsString() {
			return dst
		}
		return t.argumentsDelta(dst, part)
	case "thinking_delta":
		text := d.Get("thinking")
		if len(text) <= len(`""`) || !text.IsString() {
			return dst
		}
		t.p.output += int64(len(text) - len(`""`))
		t.think(text.Inner())
		dst = t.open(dst)
		dst = append(append(dst, `{"reasoning_content":`...), text...)
		return t.closeThought(dst, `{"type":"thinking","thinking":`+text+`}`)
	case "signature_delta":
		signature := d.Get("signature")
		if !signature.IsString() {
			return dst
		}
		dst = t.open(dst)
		dst = append(dst, `{"reasoning_content":""`...)
		return t.closeThought(dst, `{"type":"thinking","thinking":"","signature":`+signature+`}`)
	case "citations_delta":
		citation := d.Get("citation")
		if !citation.IsObject() {
			return dst
		}
		dst = t.open(dst)
		dst = append(append(dst, `{"provider_specific_fields":{"citation":`...), citation...)
		return t.close(append(dst, `}}`...))
	}
	return dst
}

// argumentsDelta writes a piece of a tool's arguments: JSON text that was cut anywhere.
func (t *anthropicReply) argumentsDelta(dst []byte, part jsondoc.Value) []byte {
	t.p.output += int64(len(part) - len(`""`))
	switch t.block {
	case blockSchema:
		t.arguments = true
		dst = append(append(t.open(dst), `{"content":`...), part...)
		return t.close(append(dst, '}'))
	case blockTool:
		t.arguments = true
		dst = append(t.open(dst), `{"tool_calls":[{"index":`...)
		dst = strconv.AppendInt(dst, int64(t.tools-1), 10)
		dst = append(append(dst, `,"function":{"arguments":`...), part...)
		return t.close(append(dst, `}}]}`...))
	}
	return dst
}

func (t *anthropicReply) blockStart(dst []byte, b jsondoc.Value) []byte {
	t.arguments, t.start = false, ""
	switch b.Get("type").Inner() {
	case "text":
		t.block = blockText
		if text := b.Get("text"); text.IsString() && len(text) > len(`""`) {
			dst = append(append(t.open(dst), `{"content":`...), text...)
			return t.close(append(dst, '}'))
		}
	case "tool_use":
		if input := b.Get("input"); input.IsObject() && next(input) {
			t.start = jsondoc.Value(append([]byte(nil), input...)) // b is gone with its event
		}
		if t.a.schema != "" && b.Get("name").Is(jsonTool) {
			t.block, t.schema = blockSchema, true
			return dst
		}
		t.block = blockTool
		dst = append(t.open(dst), `{"tool_calls":[{"index":`...)
		dst = strconv.AppendInt(dst, int64(t.tools), 10)
		t.tools++
		id := b.Get("id")
		if !id.IsString() {
			id = `""`
		}
		dst = append(append(dst, `,"id":`...), id...)
		dst = append(dst, `,"type":"function","function":{"name":`...)
		dst = t.a.names.appendBack(dst, b.Get("name"))
		return t.close(append(dst, `,"arguments":""}}]}`...))
	case "redacted_thinking":
		t.block, t.usage.thought = blockThinking, true
		if data := b.Get("data"); data.IsString() {
			return t.closeThought(append(t.open(dst), '{'), `{"type":"redacted_thinking","data":`+data+`}`)
		}
	case "thinking":
		t.block, t.usage.thought = blockThinking, true
	default:
		t.block = blockOther
	}
	return dst
}

// blockStop writes the arguments of a call that had none in pieces: those it began with, or {}.
func (t *anthropicReply) blockStop(dst []byte) []byte {
	if (t.block == blockTool || t.block == blockSchema) && !t.arguments {
		arguments := t.start
		if arguments == "" {
			arguments = "{}"
		}
		dst = t.argumentsDelta(dst, jsondoc.Value(apierror.AppendString(nil, string(arguments))))
	}
	if t.block == blockThinking {
		t.blocks++
	}
	t.block = blockNone
	return dst
}

// next tells whether an object has a member.
func next(object jsondoc.Value) bool {
	for range object.Members() {
		return true
	}
	return false
}

// open begins an event up to its delta; close ends it. The first is preceded by the role: as in LiteLLM an answer
// that says nothing has none.
func (t *anthropicReply) open(dst []byte) []byte {
	if !t.begun {
		t.begun = true
		dst = t.close(append(t.open(dst), roleDelta...))
	}
	dst = t.head(dst)
	return append(dst, `"choices":[{"index":0,"delta":`...)
}

func (t *anthropicReply) close(dst []byte) []byte {
	return append(dst, `,"finish_reason":null}]}`+"\n\n"...)
}

// closeThought ends an event with a thinking block, which stands in both places where clients look for it.
func (t *anthropicReply) closeThought(dst []byte, block jsondoc.Value) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = t.p.call.r.appendThought(append(dst, `"thinking_blocks":[`...), block, t.blocks)
	dst = t.p.call.r.appendThought(append(dst, `],"provider_specific_fields":{"thinking_blocks":[`...), block, t.blocks)
	return t.close(append(dst, `]}}`...))
}

func (t *anthropicReply) head(dst []byte) []byte {
	if t.id == "" {
		t.setID("")
	}
	dst = append(append(dst, `data: {"id":"`...), t.id...)
	dst = append(dst, `","object":"chat.completion.chunk","created":`...)
	dst = strconv.AppendInt(dst, t.created, 10)
	return append(append(append(dst, `,"model":`...), t.p.alias...), ',')
}

func (t *anthropicReply) finishChunk(dst []byte) []byte {
	dst = append(t.head(dst), `"choices":[{"index":0,"delta":{},"finish_reason":"`...)
	return append(append(dst, t.reason...), `"}]}`+"\n\n"...)
}

// end owes the usage. A stream that told why it stopped is whole, even if its last event is missing.
func (t *anthropicReply) end(dst []byte, _ bool) ([]byte, bool) {
	if t.reason == "" {
		return dst, false
	}
	if t.p.call.r.includeUsage && t.usage.told {
		t.usage.tier = ""           // it is told of whole answers only
		t.usage.thinkingTold = true // what cannot be counted is none
		dst = t.usage.append(append(t.head(dst), `"choices":[],"usage":`...))
		dst = append(t.p.appendCost(dst[:len(dst)-1]), "}}\n\n"...)
	}
	return dst, true
}
