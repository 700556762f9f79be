package adapters

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// assistant writes messages[i:end] as one assistant turn: its reasoning, its texts, its calls.
func (w *converseTurns) assistant(i, end int) *apierror.Error {
	w.reasoning, w.text, w.call, w.calls = w.reasoning[:0], w.text[:0], w.call[:0], nil
	for k := i; k < end; k++ {
		m := &w.messages[k]
		if w.toolless && first(m.toolCalls) != "" {
			w.toldCalls(m)
			continue
		}
		for b := range m.thinking.Elements() {
			w.thought(b)
		}
		switch {
		case m.content.IsString():
			w.said(m.content)
			w.callMark(m.mark)
		case m.content.IsArray():
			if err := w.assistantParts(k, m.content); err != nil {
				return err
			}
		case m.refusal.IsString():
			w.said(m.refusal)
		}
		if err := w.toolCalls(k, m); err != nil {
			return err
		}
	}
	if len(w.reasoning)+len(w.text)+len(w.call) == 0 {
		return nil
	}
	w.endUser()
	if w.turns > 0 {
		w.dst = append(w.dst, ',')
	}
	w.turns++
	w.dst = append(w.dst, `{"role":"assistant","content":[`...)
	start := len(w.dst)
	for _, blocks := range [...][]byte{w.reasoning, w.text, w.call} {
		if len(blocks) > 0 && len(w.dst) > start {
			w.dst = append(w.dst, ',')
		}
		w.dst = append(w.dst, blocks...)
	}
	w.dst = append(w.dst, "]}"...)
	return nil
}

// said writes a text of the assistant's, unless it is blank.
func (w *converseTurns) said(text jsondoc.Value) {
	if !isBlank(text) {
		w.text = append(append(append(w.a.comma(w.text), `{"text":`...), text...), '}')
	}
}

// callMark writes a cache point, which stays behind what it follows.
func (w *converseTurns) callMark(mark jsondoc.Value) {
	if mark.IsObject() && w.a.can&canCache != 0 {
		w.call = w.a.cachePoint(w.a.comma(w.call), mark)
	}
}

// thought writes back a block of an earlier answer's thinking. What was not signed is a text for other models.
func (w *converseTurns) thought(b jsondoc.Value) {
	switch signature := b.Get("signature"); {
	case b.Get("type").Is("redacted_thinking"):
		if data := b.Get("data"); len(data) > len(`""`) {
			w.reasoning = append(append(w.a.comma(w.reasoning), `{"reasoningContent":{"redactedContent":`...), data...)
			w.reasoning = append(w.reasoning, "}}"...)
		}
	case len(signature) > len(`""`) && signature.IsString():
		text := b.Get("thinking")
		if !text.IsString() {
			text = `""`
		}
		w.reasoning = append(append(w.a.comma(w.reasoning), `{"reasoningContent":{"reasoningText":{"text":`...), text...)
		w.reasoning = append(append(append(w.reasoning, `,"signature":`...), signature...), "}}}"...)
	case b.Get("thinking").IsString():
		w.said(b.Get("thinking"))
	}
}

func (w *converseTurns) assistantParts(i int, list jsondoc.Value) *apierror.Error {
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
			w.said(text)
		case "refusal":
			w.said(part.Get("refusal"))
		case "thinking", "redacted_thinking":
			w.thought(part)
		case "image_url":
			block, err := w.a.media(at, kind, part)
			if err != nil {
				return err
			}
			w.text = block.append(w.a.comma(w.text))
		default:
			return at.wrong(".type", "is none that bedrock takes in an assistant message")
		}
		w.callMark(part.Get("cache_control"))
	}
	return nil
}

// toolCalls writes a message's calls.
func (w *converseTurns) toolCalls(i int, m *message) *apierror.Error {
	j := 0
	for call := range m.toolCalls.Elements() {
		at := place{i, "tool_calls", j}
		j++
		f := call.Get("function")
		if n := f.Get("name"); !n.IsString() || n == `""` {
			return at.missing(".function.name")
		}
		id := call.Get("id")
		if !id.IsString() {
			return at.missing(".id")
		}
		for n, input := range callInputs(f.Get("arguments")) {
			own := id.Text()
			if n > 0 {
				own += "_" + string(rune('0'+n%10))
			}
			if own = bedrockID(own); w.calls[own] {
				continue // a history may repeat a call, Bedrock allows each id once
			}
			if w.calls == nil {
				w.calls = map[string]bool{}
			}
			w.calls[own] = true
			w.call = append(w.a.comma(w.call), `{"toolUse":{"toolUseId":`...)
			w.call = append(apierror.AppendString(w.call, own), `,"name":`...)
			w.call = w.a.names.append(w.call, f.Get("name"))
			w.call = append(append(append(w.call, `,"input":`...), input...), "}}"...)
		}
		w.callMark(call.Get("cache_control"))
	}
	return nil
}

// callInputs is a call's arguments as the object that Bedrock wants. Some models write several objects at once,
// which are several calls; what is no object is an empty one.
func callInputs(arguments jsondoc.Value) []string {
	if arguments.IsObject() {
		return []string{string(arguments)} // some clients forget to make a string of it
	}
	text := strings.TrimSpace(arguments.Text())
	var doc jsondoc.Doc
	if text != "" && doc.Reset([]byte(text), true) == nil {
		return []string{text}
	}
	var inputs []string
	for d := json.NewDecoder(strings.NewReader(text)); len(inputs) < 10; {
		var next json.RawMessage
		if d.Decode(&next) != nil || doc.Reset(next, true) != nil {
			break
		}
		inputs = append(inputs, string(next))
	}
	if len(inputs) == 0 {
		return []string{"{}"}
	}
	return inputs
}

// bedrockID is a call's id in the letters and the length that Bedrock allows. One that has to be changed gets a
// hash, so that no two become one.
func bedrockID(id string) string {
	const most, digits = 64, 8
	out := []byte(nil)
	for _, r := range id {
		if r < 0x80 && (plainByte(byte(r)) || r == '.' || r == ':') {
			out = append(out, byte(r))
		} else {
			out = append(out, '_')
		}
	}
	if string(out) == id && len(id) <= most {
		if id == "" {
			return "_"
		}
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return string(out[:min(len(out), most-digits-1)]) + "_" + hex.EncodeToString(sum[:])[:digits]
}

// toolResult writes a tool's message as a block of the user's turn.
func (w *converseTurns) toolResult(i int) *apierror.Error {
	m := &w.messages[i]
	if w.toolless {
		w.toldResult(m)
		return nil
	}
	if !m.toolCallID.IsString() || m.toolCallID == `""` {
		return place{message: i}.missing(".tool_call_id")
	}
	id := bedrockID(m.toolCallID.Text())
	mark := m.mark
	content, err := w.resultContent(i, m.content, &mark)
	if err != nil {
		return err
	}
	if w.user && w.results[id] {
		return nil
	}
	w.block()
	if w.results == nil {
		w.results = map[string]bool{}
	}
	w.results[id] = true
	w.dst = append(w.dst, `{"toolResult":{"toolUseId":`...)
	w.dst = append(apierror.AppendString(w.dst, id), `,"content":[`...)
	w.dst = append(append(w.dst, content...), "]}}"...)
	w.userMark(mark)
	return nil
}

// resultContent is the blocks of a tool's result. The mark is the message's, or else the first part's that has one.
func (w *converseTurns) resultContent(i int, content jsondoc.Value, mark *jsondoc.Value) (dst []byte, err *apierror.Error) {
	if content.IsString() {
		return append(append(append(dst, `{"text":`...), content...), '}'), nil
	}
	j := 0
	for part := range content.Elements() {
		at := place{i, "content", j}
		j++
		if m := part.Get("cache_control"); m.IsObject() && !mark.IsObject() {
			*mark = m
		}
		switch kind := part.Get("type").Text(); kind {
		case "text":
			text := part.Get("text")
			if !text.IsString() {
				return nil, at.wrong(".text", "must be a string")
			}
			dst = append(append(append(w.a.comma(dst), `{"text":`...), text...), '}')
		case "image_url", "file", "document", "image":
			block, err := w.a.media(at, kind, part)
			if err != nil {
				return nil, err
			}
			dst = block.append(w.a.comma(dst))
		default:
			return nil, at.wrong(".type", "is none that bedrock takes in a tool's result")
		}
	}
	return dst, nil
}

// toldCalls writes a message with calls as the text that says so.
func (w *converseTurns) toldCalls(m *message) {
	var lines []string
	if text := textOf(m); text != "" {
		lines = append(lines, text)
	}
	for call := range m.toolCalls.Elements() {
		label := "tool call"
		if id := call.Get("id").Text(); id != "" {
			label += " " + id
		}
		f := call.Get("function")
		lines = append(lines, "["+label+": "+firstOf(f.Get("name").Text(), "unknown_tool")+"("+f.Get("arguments").Text()+")]")
	}
	w.said(jsondoc.Value(apierror.AppendString(nil, strings.Join(lines, "\n"))))
}

// toldResult writes a tool's result as the user's text that says so. Nobody vouches for what a tool says: a guardrail
// judges it wherever it stands.
func (w *converseTurns) toldResult(m *message) {
	label := firstOf(m.toolCallID.Text(), m.name.Text(), "unknown")
	text := firstOf(strings.TrimSpace(textOf(m)), "<non-text tool result omitted>")
	told := apierror.AppendString(nil, "[tool result for "+label+": "+text+"]")
	w.block()
	if w.a.get("guardrailConfig").IsObject() {
		w.dst = append(append(append(w.dst, `{"guardContent":{"text":{"text":`...), told...), "}}}"...)
		return
	}
	w.hasText = true
	w.dst = append(append(append(w.dst, `{"text":`...), told...), '}')
}
