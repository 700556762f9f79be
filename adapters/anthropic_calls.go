package adapters

import (
	"slices"
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// toolResult writes a tool's or function's message as a tool_result block.
func (w *conversation) toolResult(i int) *apierror.Error {
	m := &w.messages[i]
	id := m.toolCallID
	if !id.IsString() || id == `""` {
		if !m.role.Is("function") {
			return place{message: i}.missing(".tool_call_id")
		}
		id = functionCallID(m.name)
	}
	w.block()
	w.dst = append(w.dst, `{"type":"tool_result","tool_use_id":`...)
	w.dst = appendToolID(w.dst, id)
	switch {
	case m.content.IsString():
		w.dst = append(append(w.dst, `,"content":`...), m.content...)
	case m.content.IsArray():
		w.dst = append(w.dst, `,"content":[`...)
		start := w.start
		w.start = len(w.dst)
		if err := w.parts(i, m.content); err != nil {
			return err
		}
		w.start = start
		w.dst = append(w.dst, ']')
	}
	w.close(m.mark)
	return nil
}

// toolCalls writes a message's tool_calls, or its function_call, as tool_use blocks.
func (w *conversation) toolCalls(i int, m *message) *apierror.Error {
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
		if !w.toolUse(id, f, call.Get("cache_control")) {
			return at.wrong(".function.arguments", "is not a JSON object")
		}
	}
	if f := m.function; f.IsObject() {
		if n := f.Get("name"); !n.IsString() || n == `""` {
			return place{message: i}.missing(".function_call.name")
		}
		if !w.toolUse(functionCallID(f.Get("name")), f, "") {
			return place{message: i}.wrong(".function_call.arguments", "is not a JSON object")
		}
	}
	return nil
}

// toolUse writes one call; ok is false if its arguments are no JSON object.
func (w *conversation) toolUse(id, f, mark jsondoc.Value) (ok bool) {
	if w.ids != nil {
		// Several messages made one turn: a history may repeat a call, Anthropic allows each id once.
		if w.ids[id.Text()] {
			return true
		}
		w.ids[id.Text()] = true
	}
	w.block()
	w.dst = appendToolID(append(w.dst, `{"type":"tool_use","id":`...), id)
	w.dst = w.a.names.append(append(w.dst, `,"name":`...), f.Get("name"))
	w.dst = append(w.dst, `,"input":`...)
	if w.dst, ok = appendArguments(w.dst, f.Get("arguments"), false); ok {
		w.close(mark)
	}
	return ok
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
// empty object; ones that were cut off are mended, on request, if closing them makes them whole.
func appendArguments(dst []byte, v jsondoc.Value, mend bool) ([]byte, bool) {
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
	if !mend {
		return dst, false
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
