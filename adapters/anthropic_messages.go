package adapters

import (
	"slices"
	"strconv"
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// conversation writes OpenAI's messages as Anthropic's turns: user and assistant take turns, results of
// tools belong to the user and open the turn, no text is empty.
type conversation struct {
	a        *anthropicCall
	dst      []byte
	messages []jsondoc.Value
	turns    int
	start    int             // where the open turn's first block would be
	owing    bool            // the open turn had text, but none worth sending
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

func roleOf(m jsondoc.Value) role {
	switch m.Get("role").Text() {
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
	w := conversation{a: a, dst: dst, messages: slices.Collect(a.get("messages").Elements())}
	leading := 0
	for leading < len(w.messages) && roleOf(w.messages[leading]) == roleSystem {
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
	switch roleOf(w.messages[i]) {
	case roleAssistant:
		for end < len(w.messages) && roleOf(w.messages[end]) == roleAssistant {
			end++
		}
		return end, w.assistant(i, end)
	case roleUser, roleSystem:
		for end < len(w.messages) && (roleOf(w.messages[end]) == roleUser || roleOf(w.messages[end]) == roleSystem) {
			end++
		}
		return end, w.user(i, end)
	}
	return i, refused(w.at(i)+".role", "anthropic has no role %q: use user, assistant, system or tool.",
		clipText(w.messages[i].Get("role").Text(), 64))
}

func (w *conversation) at(i int) string { return "messages[" + strconv.Itoa(i) + "]" }

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
		return nil
	}
	w.dst = append(w.dst, ']')
	return nil
}

// texts writes the texts of a system message as blocks.
func (w *conversation) texts(i int) *apierror.Error {
	m := w.messages[i]
	content := m.Get("content")
	if content.IsString() {
		w.text(content, m.Get("cache_control"))
		return nil
	}
	j := 0
	for part := range content.Elements() {
		if text := part.Get("text"); text.IsString() {
			w.text(text, part.Get("cache_control"))
		} else {
			at := w.at(i) + ".content[" + strconv.Itoa(j) + "]"
			return refused(at, "'%s' must be a text: a system message can hold nothing else.", at)
		}
		j++
	}
	return nil
}

// block begins a content block of the open turn.
func (w *conversation) block() {
	if len(w.dst) > w.start {
		w.dst = append(w.dst, ',')
	}
}

// text writes a text block, unless the text is blank: Anthropic refuses those.
func (w *conversation) text(text, mark jsondoc.Value) {
	if isBlank(text) {
		w.owing = true
		return
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
	w.start, w.owing, w.ids = len(w.dst), false, nil
	return before
}

// endTurn ends a turn. One that came out empty is taken back, or filled if the client meant to say
// something with its empty text.
func (w *conversation) endTurn(before int) {
	if len(w.dst) == w.start {
		if !w.owing {
			w.dst = w.dst[:before]
			return
		}
		w.dst = append(w.dst, `{"type":"text","text":"(empty)"}`...)
	}
	w.dst = append(w.dst, "]}"...)
	w.turns++
}

// user writes messages[i:end] as one user turn, the results of tools first.
func (w *conversation) user(i, end int) *apierror.Error {
	// A system message after the user's words, before the assistant's: newer models take it as it is.
	tail := end
	if w.a.m.midSystem() && (end == len(w.messages) || roleOf(w.messages[end]) == roleAssistant) {
		for tail > i && roleOf(w.messages[tail-1]) == roleSystem {
			tail--
		}
		if tail == i {
			tail = end
		}
	}
	before := w.open("user")
	for k := i; k < tail; k++ {
		if m := w.messages[k]; roleOf(m) == roleUser && !m.Get("role").Is("user") {
			if err := w.toolResult(k); err != nil {
				return err
			}
		}
	}
	for k := i; k < tail; k++ {
		var err *apierror.Error
		switch m := w.messages[k]; {
		case m.Get("role").Is("user"):
			err = w.userContent(k)
		case roleOf(m) == roleSystem:
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
	w.owing = false
	w.endTurn(before)
	return nil
}

// note writes a system message amid the conversation as part of a user turn, told apart from the user.
func (w *conversation) note(i int) *apierror.Error {
	before, owing := len(w.dst), w.owing
	w.block()
	w.dst = append(w.dst, `{"type":"text","text":"Instruction from the system, not from the user:"}`...)
	after := len(w.dst)
	if err := w.texts(i); err != nil {
		return err
	}
	if len(w.dst) == after {
		w.dst, w.owing = w.dst[:before], owing
	}
	return nil
}

func (w *conversation) userContent(i int) *apierror.Error {
	m := w.messages[i]
	content := m.Get("content")
	if content.IsString() {
		w.text(content, m.Get("cache_control"))
		return nil
	}
	return w.parts(i, content)
}

// toolResult writes a tool's or function's message as a tool_result block.
func (w *conversation) toolResult(i int) *apierror.Error {
	m := w.messages[i]
	id := m.Get("tool_call_id")
	if !id.IsString() || id == `""` {
		if !m.Get("role").Is("function") {
			return refused(w.at(i)+".tool_call_id", "Missing required parameter: '%s.tool_call_id'.", w.at(i))
		}
		id = functionCallID(m.Get("name"))
	}
	w.block()
	w.dst = append(w.dst, `{"type":"tool_result","tool_use_id":`...)
	w.dst = appendToolID(w.dst, id)
	content := m.Get("content")
	switch {
	case content.IsString():
		w.dst = append(append(w.dst, `,"content":`...), content...)
	case content.IsArray():
		w.dst = append(w.dst, `,"content":[`...)
		start := w.start
		w.start = len(w.dst)
		if err := w.parts(i, content); err != nil {
			return err
		}
		w.start = start
		w.dst = append(w.dst, ']')
	}
	w.close(m.Get("cache_control"))
	return nil
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
		m := w.messages[k]
		content := m.Get("content")
		if !hasThinking(content) {
			w.thinking(m.Get("thinking_blocks"))
		}
		switch {
		case content.IsString():
			w.assistantText(content, m.Get("cache_control"), last)
		case content.IsArray():
			if err := w.assistantParts(k, content, last); err != nil {
				return err
			}
		}
		if refusal := m.Get("refusal"); refusal.IsString() && !content.Exists() {
			w.assistantText(refusal, "", last)
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
		at := w.at(i) + ".content[" + strconv.Itoa(j) + "]"
		j++
		switch kind := part.Get("type").Text(); kind {
		case "text":
			if !part.Get("text").IsString() {
				return refused(at+".text", "'%s.text' must be a string.", at)
			}
			w.assistantText(part.Get("text"), part.Get("cache_control"), last)
		case "refusal":
			w.assistantText(part.Get("refusal"), "", last)
		case "thinking", "redacted_thinking":
			w.thinkingBlock(part)
		default:
			if kind != "server_tool_use" && !strings.HasSuffix(kind, "_tool_result") {
				return refused(at+".type", "anthropic takes no part of type %q in an assistant message.", clipText(kind, 64))
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

// toolCalls writes a message's tool_calls, or its function_call, as tool_use blocks.
func (w *conversation) toolCalls(i int, m jsondoc.Value) *apierror.Error {
	j := 0
	for call := range m.Get("tool_calls").Elements() {
		at := w.at(i) + ".tool_calls[" + strconv.Itoa(j) + "]"
		j++
		f := call.Get("function")
		if !f.Get("name").IsString() || f.Get("name") == `""` {
			return refused(at+".function.name", "Missing required parameter: '%s.function.name'.", at)
		}
		if !call.Get("id").IsString() {
			return refused(at+".id", "Missing required parameter: '%s.id'.", at)
		}
		if err := w.toolUse(at, call.Get("id"), f, call.Get("cache_control")); err != nil {
			return err
		}
	}
	if f := m.Get("function_call"); f.IsObject() {
		return w.toolUse(w.at(i)+".function_call", functionCallID(f.Get("name")), f, "")
	}
	return nil
}

func (w *conversation) toolUse(at string, id, f, mark jsondoc.Value) *apierror.Error {
	if w.ids != nil {
		// Several messages made one turn: a history may repeat a call, Anthropic allows each id once.
		if w.ids[id.Text()] {
			return nil
		}
		w.ids[id.Text()] = true
	}
	w.block()
	w.dst = appendToolID(append(w.dst, `{"type":"tool_use","id":`...), id)
	w.dst = w.a.names.append(append(w.dst, `,"name":`...), f.Get("name"))
	w.dst = append(w.dst, `,"input":`...)
	dst, ok := appendArguments(w.dst, f.Get("arguments"))
	if !ok {
		return refused(at+".function.arguments", "'%s.function.arguments' is not a JSON object.", at)
	}
	w.dst = dst
	w.close(mark)
	return nil
}

// functionCallID pairs the calls and results of OpenAI's old functions, which have no ids.
func functionCallID(name jsondoc.Value) jsondoc.Value {
	return jsondoc.Value(apierror.AppendString(nil, "call_"+cleanName(name.Text())))
}

// appendToolID appends an id with nothing in it but letters, digits, _ and -.
func appendToolID(dst []byte, id jsondoc.Value) []byte {
	s := id.Inner()
	for i := range len(s) {
		if !plainByte(s[i]) {
			return appendCleanID(dst, id.Text())
		}
	}
	if s == "" {
		return append(dst, `"_"`...)
	}
	return append(dst, id...)
}

func appendCleanID(dst []byte, id string) []byte {
	dst = append(dst, '"')
	for _, r := range id {
		if r < 0x80 && plainByte(byte(r)) {
			dst = append(dst, byte(r))
		} else {
			dst = append(dst, '_')
		}
	}
	return append(dst, '"')
}

// appendArguments appends a call's arguments, JSON in a string, as the object they are. None are an
// empty object; ones that were cut off are closed if that makes them whole.
func appendArguments(dst []byte, v jsondoc.Value) ([]byte, bool) {
	if v.IsObject() {
		return append(dst, v...), true // some clients forget to make a string of it
	}
	text := strings.TrimSpace(v.Text())
	if text == "" || text == "null" {
		return append(dst, "{}"...), v == "" || v == "null" || v.IsString()
	}
	var doc jsondoc.Doc
	if doc.Reset([]byte(text), true) == nil {
		return append(dst, text...), true
	}
	closed := closeJSON(text)
	if doc.Reset([]byte(closed), true) == nil {
		return append(dst, closed...), true
	}
	return dst, false
}

// closeJSON adds the quote and brackets that a text which was cut off lacks.
func closeJSON(s string) string {
	var open []byte
	inString, escaped := false, false
	for i := range len(s) {
		c := s[i]
		switch {
		case escaped:
			escaped = false
		case inString && c == '\\':
			escaped = true
		case c == '"':
			inString = !inString
		case inString:
		case c == '{':
			open = append(open, '}')
		case c == '[':
			open = append(open, ']')
		case (c == '}' || c == ']') && len(open) > 0:
			open = open[:len(open)-1]
		}
	}
	if inString {
		s = strings.TrimSuffix(s, `\`) + `"`
	}
	s = strings.TrimRight(s, ", \t\r\n")
	slices.Reverse(open)
	return s + string(open)
}
