package adapters

import (
	"bytes"
	"strconv"

	"github.com/sluicegw/sluice/adapters/framing"
	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// assembly puts the chunks of a client's stream together.
type assembly struct {
	p       *Reply
	head    []byte // the members that all chunks share
	usage   []byte
	text    bool // the chunks are of a completion, not of a chat
	choices []*choice
}

type choice struct {
	index              int64
	text               []byte // of a completion, or a message's content
	reasoning, refusal []byte
	role, finish       []byte
	hasText            bool
	thinking, thought  []byte // finished blocks, each after a comma; the text of the open one
	thinks             bool   // a block is open
	calls              []*toolCall
}

type toolCall struct {
	index              int64
	id, name, fragment []byte
}

// Bounds for what a provider may make us hold: OpenAI's own limit on both is 128.
const maxChoices, maxCalls = 128, 1024

func (a *assembly) assemble(stream []byte) ([]byte, *apierror.Error) {
	var split framing.SSE
	for {
		ev, rest, ok, err := split.Next(stream)
		if err != nil {
			return nil, a.p.bad("%s", err)
		}
		if !ok {
			return a.append(), nil
		}
		stream = rest
		if bytes.Equal(ev.Data, []byte("[DONE]")) {
			continue
		}
		if err := a.p.doc.Reset(ev.Data, true); err != nil {
			return nil, a.p.bad("%s", err)
		}
		if e := a.chunk(&a.p.doc); e != nil {
			return nil, e
		}
	}
}

func (a *assembly) chunk(doc *jsondoc.Doc) *apierror.Error {
	if a.head == nil {
		a.text = doc.Get("object").Is("text_completion")
		for _, m := range doc.Members() {
			switch m.Name {
			case "choices", "usage", "object":
			default:
				a.head = append(append(a.head, doc.Text()[m.Key:m.End]...), ',')
			}
		}
	}
	if u := doc.Get("usage"); u.IsObject() {
		a.usage = append(a.usage[:0], u...)
	}
	for v := range doc.Get("choices").Elements() {
		c := a.choice(v.Get("index").Count())
		if c == nil {
			return a.p.bad("more than %d choices", maxChoices)
		}
		if f := v.Get("finish_reason"); f.IsString() {
			c.finish = append(c.finish[:0], f...)
		}
		if text := v.Get("text"); text.IsString() {
			c.text, c.hasText = append(c.text, text.Inner()...), true
		}
		if !c.delta(v.Get("delta")) {
			return a.p.bad("more than %d tool calls", maxCalls)
		}
	}
	return nil
}

func (a *assembly) choice(index int64) *choice {
	for _, c := range a.choices {
		if c.index == index {
			return c
		}
	}
	if len(a.choices) == maxChoices {
		return nil
	}
	c := &choice{index: index}
	a.choices = append(a.choices, c)
	return c
}

func (c *choice) delta(d jsondoc.Value) bool {
	for k, v := range d.Members() {
		switch k.Inner() {
		case "role":
			c.role = append(c.role[:0], v...)
		case "content":
			if v.IsString() {
				c.text, c.hasText = append(c.text, v.Inner()...), true
			}
		case "reasoning_content":
			c.reasoning = append(c.reasoning, v.Inner()...)
		case "refusal":
			c.refusal = append(c.refusal, v.Inner()...)
		case "thinking_blocks":
			for b := range v.Elements() {
				c.thinkingBlock(b)
			}
		case "tool_calls":
			for t := range v.Elements() {
				if !c.toolCall(t) {
					return false
				}
			}
		}
	}
	return true
}

// thinkingBlock joins the pieces of a block: text, text, …, signature.
func (c *choice) thinkingBlock(b jsondoc.Value) {
	if !b.Get("type").Is("thinking") {
		c.endThought("")
		c.thinking = append(append(c.thinking, ','), b...)
		return
	}
	c.thought, c.thinks = append(c.thought, b.Get("thinking").Inner()...), true
	if s := b.Get("signature"); s.IsString() && s != `""` {
		c.endThought(s)
	}
}

// endThought closes the block whose text has been collected.
func (c *choice) endThought(signature jsondoc.Value) {
	if !c.thinks {
		return
	}
	c.thinking = append(append(c.thinking, `,{"type":"thinking","thinking":"`...), c.thought...)
	c.thinking = append(c.thinking, '"')
	if signature != "" {
		c.thinking = append(append(c.thinking, `,"signature":`...), signature...)
	}
	c.thinking = append(c.thinking, '}')
	c.thought, c.thinks = c.thought[:0], false
}

func (c *choice) toolCall(v jsondoc.Value) bool {
	index := v.Get("index").Count()
	var t *toolCall
	for _, known := range c.calls {
		if known.index == index {
			t = known
		}
	}
	if t == nil {
		if len(c.calls) == maxCalls {
			return false
		}
		t = &toolCall{index: index}
		c.calls = append(c.calls, t)
	}
	if id := v.Get("id"); id.IsString() && t.id == nil {
		t.id = append(t.id, id...)
	}
	f := v.Get("function")
	if name := f.Get("name"); name.IsString() && t.name == nil {
		t.name = append(t.name, name...)
	}
	t.fragment = append(t.fragment, f.Get("arguments").Inner()...)
	return true
}

func (a *assembly) append() []byte {
	dst := append([]byte{'{'}, a.head...)
	if a.text {
		dst = append(dst, `"object":"text_completion","choices":[`...)
	} else {
		dst = append(dst, `"object":"chat.completion","choices":[`...)
	}
	for i, c := range a.choices {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = c.append(dst, a.text)
	}
	dst = append(dst, ']')
	if a.usage != nil {
		dst = append(append(dst, `,"usage":`...), a.usage...)
	}
	return append(dst, '}')
}

func (c *choice) append(dst []byte, text bool) []byte {
	dst = strconv.AppendInt(append(dst, `{"index":`...), c.index, 10)
	quoted := func(name string, text []byte) {
		dst = append(append(append(dst, name...), '"'), text...)
		dst = append(dst, '"')
	}
	if text {
		quoted(`,"text":`, c.text)
	} else {
		dst = append(dst, `,"message":{"role":"assistant","content":`...)
		if c.hasText && (len(c.text) > 0 || len(c.calls) == 0) {
			quoted("", c.text)
		} else {
			dst = append(dst, "null"...)
		}
		if c.reasoning != nil {
			quoted(`,"reasoning_content":`, c.reasoning)
		}
		if c.refusal != nil {
			quoted(`,"refusal":`, c.refusal)
		}
		c.endThought("")
		if len(c.thinking) > 0 {
			dst = append(append(append(dst, `,"thinking_blocks":[`...), c.thinking[1:]...), ']')
		}
		dst = c.appendCalls(dst)
		dst = append(dst, '}')
	}
	finish := c.finish
	if finish == nil {
		finish = []byte("null")
	}
	return append(append(append(dst, `,"finish_reason":`...), finish...), '}')
}

func (c *choice) appendCalls(dst []byte) []byte {
	if len(c.calls) == 0 {
		return dst
	}
	dst = append(dst, `,"tool_calls":[`...)
	for i, t := range c.calls {
		if i > 0 {
			dst = append(dst, ',')
		}
		id, name := t.id, t.name
		if id == nil {
			id = []byte(`""`)
		}
		if name == nil {
			name = []byte(`""`)
		}
		dst = append(append(append(dst, `{"id":`...), id...), `,"type":"function","function":{"name":`...)
		dst = append(append(append(dst, name...), `,"arguments":"`...), t.fragment...)
		dst = append(dst, `"}}`...)
	}
	return append(dst, ']')
}
