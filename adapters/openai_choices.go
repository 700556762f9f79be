package adapters

import (
	"math/bits"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// message counts what a message or delta says, and tells whether it holds what is not OpenAI's way:
// reasoning under another name, or content as a list of blocks.
func (t *openAIReply) message(m jsondoc.Value) bool {
	foreign, more := false, false
	for k, v := range m.Members() {
		switch k.Inner() {
		case "reasoning":
			foreign = foreign || v.IsString() && !(t.wholly && t.p.call.t.p.quirks.asIs)
			t.p.output += int64(len(v.Inner()))
			t.p.spoken.think(t.p, v)
		case "content":
			foreign = foreign || v.IsArray() || t.unsaid(v)
			more = more || t.gathers() && thoughtInText(v)
			t.p.output += int64(len(v.Inner()))
			for block := range v.Elements() {
				_, thoughts := splitBlocks("[" + block + "]")
				t.p.spoken.think(t.p, thoughts)
			}
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
				more = more || t.unlike(call)
				t.p.output += int64(len(call.At("function", "arguments").Inner()))
			}
		case "executed_tools": // https://console.groq.com/docs/browser-search
			for tool := range v.Elements() {
				if kind := tool.Get("type"); kind.Is("browser_search") || kind.Is("browser.search") || tool.Get("name").Is("browser.search") {
					t.searched |= 1 << (tool.Get("index").Count() & 63) // a stream tells of each twice
				}
			}
			t.p.searches = int64(bits.OnesCount64(t.searched))
			more = more || t.gathers()
		case "token_id":
			more = true
		case "role":
			more = t.delta && t.tellsAgain() || more
		default:
			more = more || v != "null" && t.gathers() && !messageMembers[k.Inner()]
		}
	}
	return more || foreign && !t.p.call.t.p.quirks.reasoning
}

// tellsAgain notes that a delta of the choice in hand names the role, and tells whether an earlier one did: clients add
// the texts of deltas up, so a role belongs into the first.
func (t *openAIReply) tellsAgain() bool {
	if t.told&t.bit == 0 {
		t.told |= t.bit
		return false
	}
	t.again |= t.bit
	return true
}

// choiceBit has one bit set, which is the choice's.
func choiceBit(c jsondoc.Value) uint64 { return 1 << (c.Get("index").Count() & 63) }

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
		t.bit = choiceBit(c)
		dst = append(dst, '{')
		start := len(dst)
		for k, v := range c.Members() {
			if t.gathers() && (k.Is("provider_specific_fields") || !choiceMembers[k.Inner()]) {
				continue
			}
			if len(dst) > start {
				dst = append(dst, ',')
			}
			dst = append(append(dst, k...), ':')
			switch name := k.Inner(); {
			case (name == "message" || name == "delta") && v.IsObject():
				dst = t.editMessage(dst, v)
			case name == "finish_reason":
				dst = t.appendFinish(dst, c, v)
			default:
				dst = append(dst, v...)
			}
		}
		if t.gathers() {
			dst = appendBeside(dst, gather(c, c.Get("provider_specific_fields"), choiceMembers, t.nativeFinish(c)))
		}
		dst = append(dst, '}')
	}
	return jsondoc.Value(append(dst, ']'))
}

// appendFinish appends the finish reason of a choice in OpenAI's word.
func (t *openAIReply) appendFinish(dst []byte, c, reason jsondoc.Value) []byte {
	word := t.finishOf(c, reason)
	switch {
	case t.byTool && word == "tool_calls":
		word = "stop"
	case word == "":
		return append(dst, "null"...)
	}
	return apierror.AppendString(dst, word)
}

func (t *openAIReply) editMessage(dst []byte, m jsondoc.Value) []byte {
	content, reasoning := m.Get("content"), m.Get("reasoning_content")
	if !reasoning.Exists() {
		reasoning = m.Get("reasoning")
	}
	if t.unsaid(content) {
		content = "null"
	}
	thoughts := jsondoc.Value("")
	if content.IsArray() {
		if content, thoughts = splitBlocks(content); thoughts != "" {
			reasoning = thoughts
		}
	}
	if t.gathers() && reasoning == "" {
		reasoning, content = cutThoughts(content)
	}
	calls := m.Get("tool_calls")
	for call := range calls.Elements() {
		if t.unlike(call) {
			calls = t.asOpenAI(calls)
			break
		}
	}
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
		switch name := k.Inner(); {
		case name == "content", name == "reasoning_content", name == "tool_calls", name == "token_id":
		case name == "role" && t.again&t.bit != 0:
		case name == "reasoning" && (t.wholly || !t.p.call.t.p.quirks.reasoningTwice):
		case t.gathers() && (name == "provider_specific_fields" || !messageMembers[name]):
		default:
			add(k, v)
		}
	}
	if t.gathers() {
		add(`"provider_specific_fields"`, gather(m, m.Get("provider_specific_fields"), messageMembers, ""))
	}
	if !t.wholly && thoughts != "" {
		add(`"thinking_blocks"`, t.thoughtBlocks(thoughts))
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
