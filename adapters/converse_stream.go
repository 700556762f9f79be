package adapters

import (
	"strconv"

	"github.com/sluicegw/sluice/adapters/framing"
	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

func (t *converseReply) event(dst []byte, ev framing.Event) ([]byte, *apierror.Error) {
	if ev.Exception {
		return dst, t.p.awsException(ev.Name, ev.Data)
	}
	doc, err := t.p.eventDoc(ev)
	if err != nil {
		return dst, err
	}
	switch ev.Name {
	case "contentBlockDelta":
		return t.delta(dst, doc.Get("delta")), nil
	case "contentBlockStart":
		return t.blockStart(dst, doc.Get("start")), nil
	case "contentBlockStop":
		return t.blockStop(dst), nil
	case "messageStop":
		t.reason = converseFinish(doc.Get("stopReason").Text())
		t.think(doc.Get("additionalModelResponseFields"))
		t.settle()
		return t.finishChunk(t.begin(dst)), nil
	case "metadata":
		t.count(doc.Get("usage"))
		t.aside(doc.Get("serviceTier"), doc.Get("trace"))
		t.usage.estimate(t.thoughts)
		t.report()
		t.p.ended = t.reason != ""
	}
	return dst, nil // what newer versions may add
}

func (t *converseReply) delta(dst []byte, d jsondoc.Value) []byte {
	if text := d.Get("text"); text.IsString() {
		if text == `""` {
			return dst
		}
		t.p.output += int64(len(text) - len(`""`))
		dst = append(append(t.open(dst), `{"content":`...), text...)
		return t.close(append(dst, '}'))
	}
	if use := d.Get("toolUse"); use.IsObject() {
		input := use.Get("input")
		if len(input) <= len(`""`) || !input.IsString() {
			return dst
		}
		return t.argumentsDelta(dst, input)
	}
	if r := d.Get("reasoningContent"); r.IsObject() {
		return t.thoughtDelta(dst, r)
	}
	if c := d.Get("citationsContent"); c.IsObject() {
		dst = append(append(t.open(dst), `{"provider_specific_fields":{"citationsContent":`...), c...)
		return t.close(append(dst, `}}`...))
	}
	return dst
}

// thoughtDelta writes a piece of thinking: text, a signature, or what was blacked out.
func (t *converseReply) thoughtDelta(dst []byte, r jsondoc.Value) []byte {
	t.usage.thought = true
	block := []byte(nil)
	text := jsondoc.Value(`""`)
	switch {
	case r.Get("text").IsString():
		text = r.Get("text")
		t.p.output += int64(len(text) - len(`""`))
		t.usage.thoughtBytes += len(text.Inner())
		if len(t.thoughts)+len(text) <= mostThoughts {
			t.thoughts = append(t.thoughts, text.Inner()...)
		}
		block = append(append(append(block, `{"type":"thinking","thinking":`...), text...), '}')
	case r.Get("signature").IsString():
		block = append(append(append(block, `{"type":"thinking","thinking":"","signature":`...), r.Get("signature")...), '}')
	case r.Get("redactedContent").IsString():
		block = append(append(append(block, `{"type":"redacted_thinking","data":`...), r.Get("redactedContent")...), '}')
	default:
		return dst
	}
	dst = append(append(t.open(dst), `{"reasoning_content":`...), text...)
	t.block = blockThinking
	dst = append(t.p.call.r.appendThought(append(dst, `,"thinking_blocks":[`...), jsondoc.Value(block), t.blocks), ']')
	dst = append(append(dst, `,"provider_specific_fields":{"reasoningContent":`...), r...)
	return t.close(append(dst, `}}`...))
}

// argumentsDelta writes a piece of a tool's arguments: JSON text that was cut anywhere.
func (t *converseReply) argumentsDelta(dst []byte, part jsondoc.Value) []byte {
	t.p.output += int64(len(part) - len(`""`))
	t.arguments = true
	switch t.block {
	case blockSchema:
		dst = append(append(t.open(dst), `{"content":`...), part...)
		return t.close(append(dst, '}'))
	case blockTool:
		dst = append(t.open(dst), `{"tool_calls":[{"index":`...)
		dst = strconv.AppendInt(dst, int64(t.tools-1), 10)
		dst = append(append(dst, `,"function":{"arguments":`...), part...)
		return t.close(append(dst, `}}]}`...))
	}
	return dst
}

func (t *converseReply) blockStart(dst []byte, start jsondoc.Value) []byte {
	t.arguments, t.block = false, blockText
	if r := start.Get("reasoningContent"); r.IsObject() {
		return t.thoughtDelta(dst, r)
	}
	use := start.Get("toolUse")
	if !use.IsObject() {
		return dst
	}
	if t.a.json && use.Get("name").Is(jsonTool) {
		t.block, t.schema = blockSchema, true
		return dst
	}
	t.block = blockTool
	dst = append(t.open(dst), `{"tool_calls":[{"index":`...)
	dst = strconv.AppendInt(dst, int64(t.tools), 10)
	t.tools++
	dst = append(append(dst, `,"id":`...), textOr(use.Get("toolUseId"))...)
	dst = t.a.names.appendBack(append(dst, `,"type":"function","function":{"name":`...), use.Get("name"))
	return t.close(append(dst, `,"arguments":""}}]}`...))
}

// blockStop writes the arguments of a call that had none.
func (t *converseReply) blockStop(dst []byte) []byte {
	if (t.block == blockTool || t.block == blockSchema) && !t.arguments {
		dst = t.argumentsDelta(dst, `"{}"`)
	}
	if t.block == blockThinking {
		t.blocks++
	}
	t.block = blockNone
	return dst
}

// begin tells the role, once.
func (t *converseReply) begin(dst []byte) []byte {
	if t.begun {
		return dst
	}
	t.begun = true
	return t.close(append(t.open(dst), roleDelta...))
}

// open begins an event up to its delta; close ends it. The first is preceded by the role.
func (t *converseReply) open(dst []byte) []byte {
	dst = t.begin(dst)
	return append(t.head(dst), `"choices":[{"index":0,"delta":`...)
}

func (t *converseReply) close(dst []byte) []byte {
	return append(dst, `,"finish_reason":null}]}`+"\n\n"...)
}

// finishChunk tells why the answer ended.
func (t *converseReply) finishChunk(dst []byte) []byte {
	dst = append(t.head(dst), `"choices":[{"index":0,"delta":{},"finish_reason":"`...)
	return append(append(dst, t.reason...), `"}]}`+"\n\n"...)
}

func (t *converseReply) head(dst []byte) []byte {
	dst = append(append(dst, `data: {"id":"`...), t.id...)
	dst = append(dst, `","object":"chat.completion.chunk","created":`...)
	dst = strconv.AppendInt(dst, t.created, 10)
	return append(append(append(dst, `,"model":`...), t.p.alias...), ',')
}

// end owes the usage. A stream that told why it stopped is whole, even if its last event is missing.
func (t *converseReply) end(dst []byte, _ bool) ([]byte, bool) {
	if t.reason == "" {
		return dst, false
	}
	if t.p.call.r.includeUsage && t.usage.told {
		dst = t.appendUsage(append(t.head(dst), `"choices":[],"usage":`...))
		dst = append(t.p.appendCost(dst[:len(dst)-1]), '}')
		dst = append(t.appendAside(dst), "}\n\n"...)
	}
	return dst, true
}
