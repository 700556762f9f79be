package adapters

import (
	"github.com/sluicegw/sluice/adapters/jsondoc"
)

// appendMessages appends the messages as the provider takes them. Mostly nothing needs a change, which
// the facts noted at parsing tell, and they go through in one copy.
func appendMessages(dst []byte, c *call, list jsondoc.Value) []byte {
	e := messageEditor{q: &c.t.p.quirks, keepDeveloper: c.t.p.quirks.reasoning && isOSeries(c.model)}
	if !e.needed(c) {
		return append(dst, list...)
	}
	dst = append(dst, '[')
	start := len(dst)
	for m := range list.Elements() {
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = e.message(dst, m)
	}
	return append(dst, ']')
}

// messageEditor writes messages without what is not OpenAI's or not the provider's.
type messageEditor struct {
	q             *quirks
	keepDeveloper bool
	joinText      bool
	cacheMarks    bool
}

func (e *messageEditor) needed(c *call) bool {
	f := c.r.facts
	e.joinText = e.q.plainText && f&hasImage == 0
	e.cacheMarks = e.q.markCache || !c.t.endpoint.Public
	return f&hasDeveloper != 0 && !e.keepDeveloper ||
		f&hasCacheMark != 0 && !e.cacheMarks ||
		f&(hasReasoning|hasImageText) != 0 ||
		f&hasName != 0 && e.q.noNames ||
		f&hasNull != 0 && e.q.noNulls ||
		f&hasParts != 0 && e.joinText
}

func (e *messageEditor) message(dst []byte, m jsondoc.Value) []byte {
	role := m.Get("role")
	dst = append(dst, '{')
	start := len(dst)
	for k, v := range m.Members() {
		name := k.Inner()
		if e.drops(name, role, v) {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(append(dst, k...), ':')
		switch {
		case name == "role" && v.Is("developer") && !e.keepDeveloper:
			dst = append(dst, `"system"`...)
		case name == "content" && v.IsArray():
			dst = e.parts(dst, v)
		default:
			dst = append(dst, v...)
		}
	}
	return append(dst, '}')
}

// drops tells whether a member of a message is left out: what a gateway added to an earlier answer and
// the client sent back, and what this provider refuses.
func (e *messageEditor) drops(name string, role, v jsondoc.Value) bool {
	switch name {
	case "thinking_blocks", "provider_specific_fields":
		return true
	case "reasoning_content":
		return e.q.noReasoningBack
	case "cache_control":
		return !e.cacheMarks
	case "name":
		return e.q.noNames && !role.Is("tool")
	}
	return v == "null" && e.q.noNulls
}

func (e *messageEditor) parts(dst []byte, list jsondoc.Value) []byte {
	if e.joinText {
		if joined, ok := joinText(dst, list); ok {
			return joined
		}
	}
	dst = append(dst, '[')
	start := len(dst)
	for part := range list.Elements() {
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = e.part(dst, part)
	}
	return append(dst, ']')
}

func (e *messageEditor) part(dst []byte, part jsondoc.Value) []byte {
	if !part.IsObject() {
		return append(dst, part...)
	}
	dst = append(dst, '{')
	start := len(dst)
	for k, v := range part.Members() {
		name := k.Inner()
		if name == "cache_control" && !e.cacheMarks {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(append(dst, k...), ':')
		switch {
		case name == "image_url" && v.IsString():
			dst = append(append(append(dst, `{"url":`...), v...), '}')
		case name == "image_url" && v.IsObject():
			dst = appendWithout(dst, v, "format")
		default:
			dst = append(dst, v...)
		}
	}
	return append(dst, '}')
}

// joinText appends a list of text parts as one string; ok is false if a part is no text.
func joinText(dst []byte, list jsondoc.Value) (out []byte, ok bool) {
	dst = append(dst, '"')
	for part := range list.Elements() {
		if part.IsString() {
			dst = append(dst, part.Inner()...)
			continue
		}
		text := part.Get("text")
		if !text.IsString() {
			return nil, false
		}
		dst = append(dst, text.Inner()...)
	}
	return append(dst, '"'), true
}
