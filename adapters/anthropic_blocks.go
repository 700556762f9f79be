package adapters

import (
	"strconv"
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// place is a part of a message. Its name is put together only for an error.
type place struct {
	message int
	list    string // "content" or "tool_calls"; "" for the message itself
	index   int
}

func (p place) String() string {
	at := "messages[" + strconv.Itoa(p.message) + "]"
	if p.list != "" {
		at += "." + p.list + "[" + strconv.Itoa(p.index) + "]"
	}
	return at
}

func (p place) missing(field string) *apierror.Error {
	at := p.String() + field
	return refused(at, "Missing required parameter: '%s'.", at)
}

// wrong refuses a field: clause says what is wrong with it.
func (p place) wrong(field, clause string) *apierror.Error {
	at := p.String() + field
	return refused(at, "'%s' %s.", at, clause)
}

// block begins a content block of the open turn.
func (w *conversation) block() {
	if len(w.dst) > w.start {
		w.dst = append(w.dst, ',')
	}
}

// emptyText stands for a text without any, which Anthropic refuses.
const emptyText = `"[System: Empty message content sanitised to satisfy protocol]"`

// text writes a text block.
func (w *conversation) text(text, mark jsondoc.Value) {
	if isBlank(text) {
		text = emptyText
	}
	w.block()
	w.dst = append(append(w.dst, `{"type":"text","text":`...), text...)
	w.close(mark)
}

// close ends a block with the cache mark of what it was made of.
func (w *conversation) close(mark jsondoc.Value) {
	if mark.IsObject() {
		w.dst = append(append(w.dst, `,"cache_control":`...), mark...)
	}
	w.dst = append(w.dst, '}')
}

// isBlank tells whether a string holds nothing but white space.
func isBlank(v jsondoc.Value) bool {
	s := v.Inner()
	if s != "" && s[0] > ' ' && s[0] != '\\' && s[0] < 0x80 {
		return false
	}
	return strings.TrimSpace(v.Text()) == ""
}

func (w *conversation) open(name string) (before int) {
	before = len(w.dst)
	if w.turns > 0 {
		w.dst = append(w.dst, ',')
	}
	w.dst = append(append(append(w.dst, `{"role":"`...), name...), `","content":[`...)
	w.start, w.ids = len(w.dst), nil
	return before
}

// endTurn ends a turn. One that came out empty is taken back.
func (w *conversation) endTurn(before int) {
	if len(w.dst) == w.start {
		w.dst = w.dst[:before]
		return
	}
	w.dst = append(w.dst, "]}"...)
	w.turns++
}

// assistant writes messages[i:end] as one assistant turn. The last turn's text may not end in white
// space.
func (w *conversation) assistant(i, end int) *apierror.Error {
	last := end == len(w.messages)
	before := w.open("assistant")
	if end-i > 1 {
		w.ids = map[string]bool{}
	}
	for k := i; k < end; k++ {
		m := &w.messages[k]
		if !hasThinking(m.content) {
			w.thinking(m.thinking)
		}
		switch {
		case m.content.IsString():
			w.assistantText(m.content, m.mark, last)
		case m.content.IsArray():
			if err := w.assistantParts(k, m.content, last); err != nil {
				return err
			}
		case m.refusal.IsString():
			w.assistantText(m.refusal, "", last)
		}
		if err := w.toolCalls(k, m); err != nil {
			return err
		}
	}
	w.endTurn(before)
	return nil
}

func (w *conversation) assistantText(text, mark jsondoc.Value, last bool) {
	if last {
		if t := text.Text(); strings.TrimRight(t, " \t\r\n") != t {
			text = jsondoc.Value(apierror.AppendString(nil, strings.TrimRight(t, " \t\r\n")))
		}
	}
	w.text(text, mark)
}

func (w *conversation) assistantParts(i int, list jsondoc.Value, last bool) *apierror.Error {
	j := 0
	for part := range list.Elements() {
		at := place{i, "content", j}
		j++
		switch kind := part.Get("type").Text(); kind {
		case "text":
			text := part.Get("text")
			if !text.IsString() {
				return at.wrong(".text", "must be a string")
			}
			w.assistantText(text, part.Get("cache_control"), last)
		case "refusal":
			w.assistantText(part.Get("refusal"), "", last)
		case "thinking", "redacted_thinking":
			w.thinkingBlock(part)
		default:
			if kind != "server_tool_use" && !strings.HasSuffix(kind, "_tool_result") {
				return at.wrong(".type", "is none that anthropic takes in an assistant message")
			}
			w.block()
			w.dst = append(w.dst, part...)
		}
	}
	return nil
}

func hasThinking(list jsondoc.Value) bool {
	for part := range list.Elements() {
		if kind := part.Get("type"); kind.Is("thinking") || kind.Is("redacted_thinking") {
			return true
		}
	}
	return false
}

// thinking writes back the thinking of an earlier answer, which has to open its turn.
func (w *conversation) thinking(list jsondoc.Value) {
	for b := range list.Elements() {
		w.thinkingBlock(b)
	}
}

// thinkingBlock writes one block back, if it is Anthropic's: a signature cannot be made up.
func (w *conversation) thinkingBlock(b jsondoc.Value) {
	kind := b.Get("type")
	switch {
	case kind.Is("thinking") && b.Get("thinking").IsString() && len(b.Get("signature")) > len(`""`):
		w.block()
		w.dst = append(append(w.dst, `{"type":"thinking","thinking":`...), b.Get("thinking")...)
		w.dst = append(append(append(w.dst, `,"signature":`...), b.Get("signature")...), '}')
	case kind.Is("redacted_thinking") && len(b.Get("data")) > len(`""`):
		w.block()
		w.dst = append(append(append(w.dst, `{"type":"redacted_thinking","data":`...), b.Get("data")...), '}')
	}
}
