package adapters

import (
	"github.com/sluicegw/sluice/adapters/jsondoc"
)

// message counts what a message or delta says, and tells whether it holds what is not OpenAI's way:
// reasoning under another name, or content as a list of blocks.
func (t *openAIReply) message(m jsondoc.Value) (foreign bool) {
	for k, v := range m.Members() {
		switch k.Inner() {
		case "reasoning":
			foreign = foreign || v.IsString()
			t.p.output += int64(len(v.Inner()))
			t.p.spoken.think(t.p, v)
		case "content":
			foreign = foreign || v.IsArray() || t.unsaid(v)
			t.p.output += int64(len(v.Inner()))
			t.p.spoken.say(t.p, v)
		case "reasoning_content":
			t.p.output += int64(len(v.Inner()))
			t.p.spoken.think(t.p, v)
		case "annotations":
			for a := range v.Elements() {
				t.p.cites = t.p.cites || a.Get("type").Is("url_citation")
			}
		case "refusal":
			t.p.output += int64(len(v.Inner()))
		case "tool_calls":
			for call := range v.Elements() {
				t.p.spoken.calls = true
				t.p.output += int64(len(call.At("function", "arguments").Inner()))
			}
		}
	}
	return foreign && !t.p.call.t.p.quirks.reasoning
}

// unsaid tells whether a content is an empty text that stands for none.
func (t *openAIReply) unsaid(content jsondoc.Value) bool {
	return content == `""` && t.p.call.t.p.quirks.emptyIsNull && !t.p.call.r.stream
}

// editChoices is the choices with their messages or deltas in OpenAI's way.
func (t *openAIReply) editChoices(choices jsondoc.Value) jsondoc.Value {
	dst := append(make([]byte, 0, len(choices)+64), '[')
	for c := range choices.Elements() {
		if len(dst) > 1 {
			dst = append(dst, ',')
		}
		dst = append(dst, '{')
		start := len(dst)
		for k, v := range c.Members() {
			if len(dst) > start {
				dst = append(dst, ',')
			}
			dst = append(append(dst, k...), ':')
			switch name := k.Inner(); {
			case (name == "message" || name == "delta") && v.IsObject():
				dst = t.editMessage(dst, v)
			case name == "finish_reason" && t.byTool && v.Is("tool_calls"):
				dst = append(dst, `"stop"`...)
			default:
				dst = append(dst, v...)
			}
		}
		dst = append(dst, '}')
	}
	return jsondoc.Value(append(dst, ']'))
}

func (t *openAIReply) editMessage(dst []byte, m jsondoc.Value) []byte {
	content, reasoning := m.Get("content"), m.Get("reasoning_content")
	if !reasoning.Exists() {
		reasoning = m.Get("reasoning")
	}
	if t.unsaid(content) {
		content = "null"
	}
	if content.IsArray() {
		var thoughts jsondoc.Value
		content, thoughts = splitBlocks(content)
		if thoughts != "" {
			reasoning = thoughts
		}
	}
	calls := m.Get("tool_calls")
	if t.byTool && calls.IsArray() {
		if a := first(calls).At("function", "arguments"); a.IsString() {
			content = a
		}
		calls = ""
	}
	dst = append(dst, '{')
	start := len(dst)
	add := func(k, v jsondoc.Value) {
		if v == "" {
			return
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, k...), ':'), v...)
	}
	for k, v := range m.Members() {
		switch k.Inner() {
		case "content", "reasoning_content", "reasoning", "tool_calls":
		default:
			add(k, v)
		}
	}
	add(`"content"`, content)
	add(`"reasoning_content"`, reasoning)
	add(`"tool_calls"`, calls)
	return append(dst, '}')
}

// splitBlocks makes one text of a list of blocks, and one of the thinking in it.
func splitBlocks(list jsondoc.Value) (content, thoughts jsondoc.Value) {
	text, thinking := []byte{'"'}, []byte{'"'}
	for b := range list.Elements() {
		switch {
		case b.Get("type").Is("thinking"):
			thinking = append(thinking, b.Get("thinking").Inner()...)
			for part := range b.Get("thinking").Elements() {
				thinking = append(thinking, part.Get("text").Inner()...)
			}
		default:
			text = append(text, b.Get("text").Inner()...)
		}
	}
	if len(thinking) > 1 {
		thoughts = jsondoc.Value(append(thinking, '"'))
	}
	return jsondoc.Value(append(text, '"')), thoughts
}
