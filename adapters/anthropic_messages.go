package adapters

import (
	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// conversation writes OpenAI's messages as Anthropic's turns: user and assistant take turns, results of
// tools belong to the user and open the turn, no text is empty.
type conversation struct {
	a        *anthropicCall
	dst      []byte
	messages []message
	turns    int
	start    int             // where the open turn's first block would be
	ids      map[string]bool // tool calls of the open turn; nil while it is one message
}

// role is who a message belongs to in Anthropic's sense.
type role uint8

const (
	roleUser role = iota // user, tool, function
	roleAssistant
	roleSystem
	roleUnknown
)

// message is one message taken apart in a single pass.
type message struct {
	kind                            role
	role, content, mark, name       jsondoc.Value
	toolCalls, toolCallID, function jsondoc.Value
	thinking, refusal, reasoning    jsondoc.Value
}

// readMessages takes a validated list of messages apart.
func readMessages(list jsondoc.Value) []message {
	out := make([]message, 0, 16)
	list.Rows(func(i int, k, v jsondoc.Value) bool {
		if i == len(out) {
			out = append(out, message{kind: roleUnknown})
		}
		m := &out[i]
		switch name(k) {
		case "role":
			m.role, m.kind = v, roleOf(v)
		case "content":
			m.content = v
		case "cache_control":
			m.mark = v
		case "name":
			m.name = v
		case "tool_calls":
			m.toolCalls = v
		case "tool_call_id":
			m.toolCallID = v
		case "function_call":
			m.function = v
		case "thinking_blocks":
			m.thinking = v
		case "refusal":
			m.refusal = v
		case "reasoning_content", "reasoning":
			m.reasoning = v
		}
		return true
	})
	return out
}

func roleOf(v jsondoc.Value) role {
	switch name(v) {
	case "user", "tool", "function":
		return roleUser
	case "assistant":
		return roleAssistant
	case "system", "developer":
		return roleSystem
	}
	return roleUnknown
}

// appendConversation appends system and messages. The system messages that open the conversation become
// the system prompt; later ones keep their place, so that what was cached up to there stays cached.
func (a *anthropicCall) appendConversation(dst []byte) ([]byte, *apierror.Error) {
	w := conversation{a: a, dst: dst, messages: readMessages(a.get("messages"))}
	leading := 0
	for leading < len(w.messages) && w.messages[leading].kind == roleSystem {
		leading++
	}
	if leading == len(w.messages) {
		return nil, refused("messages", "anthropic needs at least one message that is not a system message.")
	}
	if err := w.system(leading); err != nil {
		return nil, err
	}
	w.dst = append(w.dst, `,"messages":[`...)
	for i := leading; i < len(w.messages); {
		end, err := w.turn(i)
		if err != nil {
			return nil, err
		}
		i = end
	}
	if w.turns == 0 {
		return nil, refused("messages", "anthropic needs at least one message with content.")
	}
	return append(w.dst, ']'), nil
}

// turn writes the turn that begins with message i and returns the index after its last message. System
// messages amid a user's belong to that turn.
func (w *conversation) turn(i int) (int, *apierror.Error) {
	end := i
	switch w.messages[i].kind {
	case roleAssistant:
		for end < len(w.messages) && w.messages[end].kind == roleAssistant {
			end++
		}
		return end, w.assistant(i, end)
	case roleUser, roleSystem:
		for end < len(w.messages) && (w.messages[end].kind == roleUser || w.messages[end].kind == roleSystem) {
			end++
		}
		return end, w.user(i, end)
	}
	return i, place{message: i}.wrong(".role", "is none that anthropic has: use user, assistant, system or tool")
}

// system writes the first n messages as the system prompt.
func (w *conversation) system(n int) *apierror.Error {
	before := len(w.dst)
	w.dst = append(w.dst, `,"system":[`...)
	w.start = len(w.dst)
	for i := range n {
		if err := w.texts(i); err != nil {
			return err
		}
	}
	if len(w.dst) == w.start {
		w.dst = w.dst[:before]
		if own := w.a.get("system"); own != "" { // Anthropic's own, where the conversation has none
			w.dst = append(append(w.dst, `,"system":`...), own...)
		}
		return nil
	}
	w.dst = append(w.dst, ']')
	return nil
}

// texts writes the texts of a system message as blocks, unless they are blank.
func (w *conversation) texts(i int) *apierror.Error {
	m := &w.messages[i]
	write := func(text, mark jsondoc.Value) {
		if !isBlank(text) {
			w.text(text, mark)
		}
	}
	if m.content.IsString() {
		write(m.content, m.mark)
		return nil
	}
	j := 0
	for part := range m.content.Elements() {
		if text := part.Get("text"); text.IsString() {
			write(text, part.Get("cache_control"))
		} else {
			return place{i, "content", j}.wrong("", "must be a text: a system message can hold nothing else")
		}
		j++
	}
	return nil
}

// user writes messages[i:end] as one user turn, the results of tools first.
func (w *conversation) user(i, end int) *apierror.Error {
	// A system message after the user's words, before the assistant's: newer models take it as it is.
	tail := end
	if w.a.m.midSystem() && (end == len(w.messages) || w.messages[end].kind == roleAssistant) {
		for tail > i && w.messages[tail-1].kind == roleSystem {
			tail--
		}
		if tail == i {
			tail = end
		}
	}
	before := w.open("user")
	for k := i; k < tail; k++ {
		if m := &w.messages[k]; m.kind == roleUser && !m.role.Is("user") {
			if err := w.toolResult(k); err != nil {
				return err
			}
		}
	}
	for k := i; k < tail; k++ {
		var err *apierror.Error
		switch m := &w.messages[k]; {
		case m.role.Is("user"):
			err = w.userContent(k)
		case m.kind == roleSystem:
			err = w.note(k)
		}
		if err != nil {
			return err
		}
	}
	turns := w.turns
	w.endTurn(before)
	if tail == end {
		return nil
	}
	if w.turns == turns {
		return w.user(tail, end)
	}
	before = w.open("system")
	for k := tail; k < end; k++ {
		if err := w.texts(k); err != nil {
			return err
		}
	}
	w.endTurn(before)
	return nil
}

// note writes a system message amid the conversation as part of a user turn, told apart from the user.
func (w *conversation) note(i int) *apierror.Error {
	before := len(w.dst)
	w.block()
	w.dst = append(w.dst, `{"type":"text","text":"Operator note (not from the user): the following was originally a mid-conversation system-role reminder."}`...)
	after := len(w.dst)
	if err := w.texts(i); err != nil {
		return err
	}
	if len(w.dst) == after {
		w.dst = w.dst[:before]
	}
	return nil
}

func (w *conversation) userContent(i int) *apierror.Error {
	m := &w.messages[i]
	if m.content.IsString() {
		w.text(m.content, m.mark)
		return nil
	}
	return w.parts(i, m.content)
}
