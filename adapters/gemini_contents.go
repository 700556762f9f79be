package adapters

import (
	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// geminiWriter writes OpenAI's messages as Gemini's contents: user and model take turns, the results of
// tools are turns of the user's of their own.
type geminiWriter struct {
	a        *geminiCall
	dst      []byte
	messages []geminiMessage
	start    int  // where the open content's first part would be
	contents int  // that were written
	text     bool // the open content has a text
	// functions are those that the first messages called, by the ids of the calls; called is how many those are.
	functions map[jsondoc.Value]calledFunction
	called    int
	best      int // the index in resolutions of the highest that an image asks for, from 1
	// resolution is the highest that an image asks for.
	resolution string
}

// conversation writes contents and system_instruction.
func (w *geminiWriter) conversation() *apierror.Error {
	w.messages = readGeminiMessages(w.a.get("messages"))
	system := 0
	for i := range w.messages {
		if w.messages[i].kind == geminiSystem {
			system++
		}
	}
	if system > 0 && !w.a.m.instructs(w.a.t.p.name, w.a.model) {
		system = 0
		for i := range w.messages {
			if w.messages[i].kind == geminiSystem {
				w.messages[i].kind = geminiUser
			}
		}
	}
	w.dst = append(w.dst, `"contents":[`...)
	for i := 0; i < len(w.messages); {
		if w.messages[i].kind == geminiSystem {
			i++
			continue
		}
		end, err := w.turn(i)
		if err != nil {
			return err
		}
		i = end
	}
	if w.contents == 0 {
		// Gemini wants something to answer to.
		text := `" "`
		if system == len(w.messages) {
			text = `"."`
		}
		w.dst = append(append(append(w.dst, `{"role":"user","parts":[{"text":`...), text...), `}]}`...)
	}
	w.dst = append(w.dst, ']')
	if system > 0 {
		return w.system()
	}
	return nil
}

// turn writes the turn that begins with message i and returns the index after its last message. System
// messages are no part of it, wherever they stand.
func (w *geminiWriter) turn(i int) (int, *apierror.Error) {
	kind := w.messages[i].kind
	name := "user"
	switch kind {
	case geminiUnknown:
		return i, place{message: i}.wrong(".role", "is none that Gemini has: use user, assistant, system or tool")
	case geminiAssistant:
		name = "model"
	}
	before := w.open(name)
	end := i
	for ; end < len(w.messages); end++ {
		var err *apierror.Error
		switch k := w.messages[end].kind; {
		case k == geminiSystem:
			continue
		case k != kind:
			w.close(before, kind == geminiUser)
			return end, nil
		case k == geminiUser:
			err = w.user(end)
		case k == geminiAssistant:
			err = w.assistant(end)
		default:
			err = w.toolResult(end)
		}
		if err != nil {
			return 0, err
		}
	}
	w.close(before, kind == geminiUser)
	return end, nil
}

func (w *geminiWriter) open(role string) (before int) {
	before = len(w.dst)
	if w.contents > 0 {
		w.dst = append(w.dst, ',')
	}
	w.dst = append(append(append(w.dst, `{"role":"`...), role...), `","parts":[`...)
	w.start, w.text = len(w.dst), false
	return before
}

// close ends a content. One that came out empty is taken back; a user's without any text gets a blank one,
// for Vertex refuses it otherwise.
func (w *geminiWriter) close(before int, user bool) {
	if len(w.dst) == w.start {
		w.dst = w.dst[:before]
		return
	}
	if user && !w.text {
		w.part()
		w.dst = append(w.dst, `{"text":" "}`...)
	}
	w.dst = append(w.dst, "]}"...)
	w.contents++
}

// part begins a part of the open content.
func (w *geminiWriter) part() {
	if len(w.dst) > w.start {
		w.dst = append(w.dst, ',')
	}
}

func (w *geminiWriter) textPart(text jsondoc.Value) {
	w.part()
	w.dst = append(append(append(w.dst, `{"text":`...), text...), '}')
	w.text = true
}

// system writes the system messages, one part each.
func (w *geminiWriter) system() *apierror.Error {
	w.dst = append(w.dst, `,"system_instruction":{"parts":[`...)
	w.start = len(w.dst)
	for i := range w.messages {
		m := &w.messages[i]
		if m.kind != geminiSystem {
			continue
		}
		switch {
		case m.content.IsString():
			w.textPart(m.content)
		case m.content.IsArray():
			w.part()
			w.dst = append(w.dst, `{"text":"`...)
			j := 0
			for part := range m.content.Elements() {
				text := part.Get("text")
				if !text.IsString() {
					return place{i, "content", j}.wrong("", "must be a text: a system message can hold nothing else")
				}
				w.dst = append(w.dst, text.Inner()...)
				j++
			}
			w.dst = append(w.dst, `"}`...)
		}
	}
	w.dst = append(w.dst, "]}"...)
	return nil
}

func (w *geminiWriter) user(i int) *apierror.Error {
	m := &w.messages[i]
	if m.content.IsString() {
		w.textPart(m.content)
		return nil
	}
	j := 0
	for part := range m.content.Elements() {
		at := place{i, "content", j}
		j++
		if err := w.userPart(at, part); err != nil {
			return err
		}
	}
	return nil
}

// assistant writes an earlier answer: what it thought, said, drew and called.
func (w *geminiWriter) assistant(i int) *apierror.Error {
	m := &w.messages[i]
	if m.reasoning.IsString() {
		w.part()
		w.dst = append(append(append(w.dst, `{"thought":true,"text":`...), m.reasoning...), '}')
	}
	switch {
	case m.content.IsString():
		w.part()
		w.dst = append(append(w.dst, `{"text":`...), m.content...)
		if s := w.textSignature(m); s != "" {
			w.dst = append(append(w.dst, `,"thoughtSignature":`...), s...)
		}
		w.dst = append(w.dst, '}')
	case m.content.IsArray():
		for part := range m.content.Elements() {
			if text := part.Get("text"); text.IsString() {
				w.textPart(text)
			} else if text := part.Get("refusal"); text.IsString() {
				w.textPart(text)
			}
		}
	case m.refusal.IsString():
		w.textPart(m.refusal)
	}
	j := 0
	for image := range m.images.Elements() {
		if err := w.media(place{i, "images", j}, ".image_url", image.Get("image_url"), ""); err != nil {
			return err
		}
		j++
	}
	return w.calls(i, m)
}

// textSignature is the signature of the thoughts before an answer's text, unless a call in it carries it:
// each copy is paid for.
func (w *geminiWriter) textSignature(m *geminiMessage) jsondoc.Value {
	s := first(m.fields.Get("thought_signatures"))
	if len(s) <= len(`""`) || !s.IsString() {
		return ""
	}
	for call := range m.toolCalls.Elements() {
		if callSignature(call) == s {
			return ""
		}
	}
	for t := range m.fields.Get("server_side_tool_invocations").Elements() {
		if t.Get("thought_signature") == s || t.Get("response_thought_signature") == s {
			return ""
		}
	}
	return s
}
