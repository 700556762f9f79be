package adapters

import (
	"strconv"
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
)

// geminiFound is what a candidate's parts hold, ready to be pasted. Lists begin with a comma.
type geminiFound struct {
	text, thoughts           []byte // the insides of JSON strings
	said, thought            bool
	served                   bool // one of Google's own tools was used
	calls, blocks, images    []byte
	function                 []byte // the call of one of the client's old functions, an object
	signatures, audio, notes []byte
	invocations              []byte
}

// read takes a candidate's parts apart.
func (t *geminiReply) read(c *geminiCandidate) geminiFound {
	m := geminiFound{text: t.words[:0]}
	for part := range c.parts.Elements() {
		t.readPart(&m, part)
	}
	t.words = m.text
	if c.grounding != "" {
		m.notes = appendAnnotations(nil, c.grounding)
	}
	if m.served {
		m.invocations = appendInvocations(nil, c.parts)
	}
	return m
}

func (t *geminiReply) readPart(m *geminiFound, part jsondoc.Value) {
	var text, signature, call, inline jsondoc.Value
	thought := false
	for k, v := range part.Members() {
		switch k.Inner() {
		case "text":
			text = v
		case "thought":
			thought = v == "true"
		case "thoughtSignature":
			signature = v
		case "functionCall":
			call = v
		case "inlineData":
			inline = v
		case "toolCall":
			m.served = true
		}
	}
	if signature.IsString() {
		m.signatures = append(append(m.signatures, ','), signature...)
	}
	switch inner := text.Inner(); {
	case thought:
		if inner != "" {
			m.thoughts, m.thought = append(m.thoughts, inner...), true
		}
		m.blocks = append(append(m.blocks, `,{"type":"thinking","thinking":"`...), inner...)
		m.blocks = append(m.blocks, '"')
		if signature.IsString() {
			m.blocks = append(append(m.blocks, `,"signature":`...), signature...)
		}
		m.blocks = append(m.blocks, '}')
		t.p.output += int64(len(inner))
	case inner != "":
		m.text, m.said = append(m.text, inner...), true
		t.p.output += int64(len(inner))
	}
	switch {
	case !call.IsObject():
	case !t.legacy:
		m.calls = t.call(append(m.calls, ','), call, signature)
	case m.function == nil: // there is room for one
		m.function = t.functionCall(call, signature)
	}
	if inline.IsObject() {
		m.inline(inline)
	}
}

// call appends a tool call. Its id carries the signature, for that is what comes back.
func (t *geminiReply) call(dst []byte, call, signature jsondoc.Value) []byte {
	dst = strconv.AppendInt(append(dst, `{"index":`...), int64(t.calls), 10)
	t.calls++
	dst = append(dst, `,"id":"`...)
	if id := call.Get("id").Inner(); id != "" {
		dst = append(dst, id...)
	} else {
		dst = append(append(dst, "call_"...), randomID()...)
	}
	signed := signature.IsString() && signature != `""`
	if signed {
		dst = append(append(dst, signatureMark...), signature.Inner()...)
	}
	dst = append(t.called(append(dst, `","type":"function","function":`...), call), '}')
	if signed {
		dst = appendSigned(dst, signature)
	}
	return append(dst, '}')
}

// called appends the name and the arguments of a call, an object whose end is open.
func (t *geminiReply) called(dst []byte, call jsondoc.Value) []byte {
	name, args := call.Get("name"), call.Get("args")
	if !name.IsString() {
		name = `""`
	}
	if !args.IsObject() {
		args = "{}"
	}
	t.p.output += int64(len(args))
	dst = append(append(append(dst, `{"name":`...), name...), `,"arguments":"`...)
	return append(appendQuoted(dst, string(args)), '"')
}

// functionCall is a call for a client that offered functions instead of tools, as they were called before.
func (t *geminiReply) functionCall(call, signature jsondoc.Value) []byte {
	t.calls++
	dst := t.called(nil, call)
	if signature.IsString() && signature != `""` {
		dst = appendSigned(dst, signature)
	}
	return append(dst, '}')
}

func appendSigned(dst []byte, signature jsondoc.Value) []byte {
	return append(append(append(dst, `,"provider_specific_fields":{"thought_signature":`...), signature...), '}')
}

// inline notes bytes: an image, sound, or another file, which becomes a data URL in the text.
func (m *geminiFound) inline(v jsondoc.Value) {
	kind, data := v.Get("mimeType").Inner(), v.Get("data").Inner()
	switch {
	case strings.HasPrefix(kind, "image/"):
		m.images = append(append(append(m.images, `,{"type":"image_url","index":0,"image_url":{"url":"data:`...), kind...), ";base64,"...)
		m.images = append(append(m.images, data...), `","detail":"auto"}}`...)
	case strings.HasPrefix(kind, "audio/"):
		if m.audio == nil {
			m.audio = append(append(append(m.audio, `{"id":"audio_`...), randomID()...), `","data":"`...)
			m.audio = append(append(m.audio, data...), `","transcript":"","expires_at":`...)
			m.audio = strconv.AppendInt(m.audio, clock().Unix()+24*60*60, 10)
			m.audio = append(m.audio, '}')
		}
	default:
		m.text = append(append(append(m.text, "data:"...), kind...), ";base64,"...)
		m.text, m.said = append(m.text, data...), true
	}
}

// bare: there is nothing beside text.
func (m *geminiFound) bare() bool {
	return !m.thought && m.audio == nil && m.function == nil && len(m.calls)+len(m.images)+len(m.notes)+len(m.signatures)+len(m.invocations) == 0
}

// append appends what a message or delta holds beside its content. Blocks of thinking are told in a whole
// answer; a stream tells the thoughts as they come.
func (m *geminiFound) append(dst []byte, whole bool) []byte {
	list := func(name string, items []byte) {
		if len(items) > 0 {
			dst = append(append(append(dst, name...), '['), items[1:]...)
			dst = append(dst, ']')
		}
	}
	if m.thought {
		dst = append(append(append(dst, `,"reasoning_content":"`...), m.thoughts...), '"')
	}
	list(`,"tool_calls":`, m.calls)
	if m.function != nil {
		dst = append(append(dst, `,"function_call":`...), m.function...)
	}
	if whole {
		list(`,"thinking_blocks":`, m.blocks)
	}
	list(`,"images":`, m.images)
	if m.audio != nil {
		dst = append(append(dst, `,"audio":`...), m.audio...)
	}
	list(`,"annotations":`, m.notes)
	if len(m.signatures)+len(m.invocations) > 0 {
		dst = append(dst, `,"provider_specific_fields":{`...)
		list(`"thought_signatures":`, m.signatures)
		if len(m.signatures) > 0 && len(m.invocations) > 0 {
			dst = append(dst, ',')
		}
		list(`"server_side_tool_invocations":`, m.invocations)
		dst = append(dst, '}')
	}
	return dst
}
