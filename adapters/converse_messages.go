package adapters

import (
	"strconv"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// converseTurns writes OpenAI's messages as Converse's turns: user and assistant take turns, results of tools
// belong to the user, no text is empty, an assistant's calls come last.
type converseTurns struct {
	a        *converseCall
	dst      []byte
	messages []message
	turns    int

	user       bool // a user's turn is open
	start      int  // where its first block would be
	last       int  // where its last block begins
	lastMark   bool // its last block is a cache point
	hasText    bool
	hasFile    bool
	results    map[string]bool // ids of its results
	files      map[string]int  // names of documents: no two of a request may be the same
	guarded    int             // from this message on the guardrail judges the user's texts
	toolless   bool            // calls and results are told as text: Bedrock takes none without tools
	reasoning  []byte          // of the open assistant's turn
	text, call []byte
	calls      map[string]bool
}

// systemNote leads a system message amid the conversation, which Converse takes as the user's only.
const systemNote = "Operator note (not from the user): the following was originally a mid-conversation system-role reminder."

// appendConversation appends messages and system. The system messages that open the conversation become the system
// prompt; later ones keep their place, so that what was cached up to there stays cached.
func (a *converseCall) appendConversation(dst []byte) ([]byte, *apierror.Error) {
	w := converseTurns{a: a, messages: readMessages(a.get("messages"))}
	w.toolless = a.r.facts&hasToolCalls != 0 && first(a.get("tools")) == ""
	leading := 0
	for leading < len(w.messages) && w.messages[leading].kind == roleSystem {
		leading++
	}
	if leading == len(w.messages) {
		return nil, refused("messages", "bedrock needs at least one message that is not a system message.")
	}
	w.guarded = len(w.messages)
	if a.get("guardrailConfig").IsObject() {
		for w.guarded > leading && (w.messages[w.guarded-1].role.Is("user") || w.messages[w.guarded-1].kind == roleSystem) {
			w.guarded--
		}
	}
	w.dst = append(dst, `"messages":[`...)
	for i := leading; i < len(w.messages); {
		end, err := w.next(i)
		if err != nil {
			return nil, err
		}
		i = end
	}
	w.endUser()
	w.dst = append(w.dst, ']')
	return w.system(leading)
}

// system appends the first n messages as the system prompt.
func (w *converseTurns) system(n int) ([]byte, *apierror.Error) {
	before := len(w.dst)
	dst := append(w.dst, `,"system":[`...)
	start := len(dst)
	add := func(text, mark jsondoc.Value) {
		if !text.IsString() || text == `""` {
			return
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, `{"text":`...), text...), '}')
		if mark.IsObject() && w.a.can&canCache != 0 {
			dst = w.a.cachePoint(append(dst, ','), mark)
		}
	}
	for i := range n {
		m := &w.messages[i]
		add(m.content, m.mark)
		j := 0
		for part := range m.content.Elements() {
			if !part.Get("text").IsString() {
				return nil, place{i, "content", j}.wrong("", "must be a text: a system message can hold nothing else")
			}
			j++
			add(part.Get("text"), part.Get("cache_control"))
		}
	}
	if len(dst) == start {
		return dst[:before], nil
	}
	return append(dst, ']'), nil
}

// next writes message i, or the messages from i on that make one turn, and returns the index of the next.
func (w *converseTurns) next(i int) (int, *apierror.Error) {
	m := &w.messages[i]
	switch {
	case m.kind == roleAssistant:
		end := i
		for end < len(w.messages) && w.messages[end].kind == roleAssistant {
			end++
		}
		return end, w.assistant(i, end)
	case m.role.Is("user"):
		return i + 1, w.userMessage(i)
	case m.role.Is("tool"), w.toolless && m.role.Is("function"):
		return i + 1, w.toolResult(i)
	case m.kind == roleSystem:
		return w.notes(i)
	}
	return i, place{message: i}.wrong(".role", "is none that bedrock has: use user, assistant, system or tool")
}

// notes writes the system messages from i on as the user's, after the results of tools that follow them: nothing may
// stand between a call and its result.
func (w *converseTurns) notes(i int) (int, *apierror.Error) {
	end := i
	for end < len(w.messages) && w.messages[end].kind == roleSystem {
		end++
	}
	after := end
	if i > 0 && w.messages[i-1].toolCalls != "" {
		for after < len(w.messages) && w.messages[after].role.Is("tool") {
			if err := w.toolResult(after); err != nil {
				return 0, err
			}
			after++
		}
	}
	for k := i; k < end; k++ {
		if err := w.note(k); err != nil {
			return 0, err
		}
	}
	return after, nil
}

func (w *converseTurns) note(i int) *apierror.Error {
	m := &w.messages[i]
	noted := false
	add := func(text, mark jsondoc.Value) {
		if !text.IsString() || text == `""` {
			return
		}
		if !noted {
			w.userText(i, `"`+systemNote+`"`)
			noted = true
		}
		w.userText(i, text)
		w.userMark(mark)
	}
	add(m.content, m.mark)
	for part := range m.content.Elements() {
		add(part.Get("text"), part.Get("cache_control"))
	}
	return nil
}

// block begins a block of the user's turn, which it opens if need be.
func (w *converseTurns) block() {
	if !w.user {
		if w.turns > 0 {
			w.dst = append(w.dst, ',')
		}
		w.dst = append(w.dst, `{"role":"user","content":[`...)
		w.user, w.start = true, len(w.dst)
		w.hasText, w.hasFile, w.results = false, false, nil
		w.turns++
	}
	if len(w.dst) > w.start {
		w.dst = append(w.dst, ',')
	}
	w.last, w.lastMark = len(w.dst), false
}

// endUser ends the user's turn. A document has to have a text beside it.
func (w *converseTurns) endUser() {
	if !w.user {
		return
	}
	const filler = `{"text":"."}`
	switch {
	case !w.hasFile || w.hasText:
	case w.lastMark:
		mark := string(w.dst[w.last:])
		w.dst = append(append(append(w.dst[:w.last], filler...), ','), mark...)
	default:
		w.dst = append(append(w.dst, ','), filler...)
	}
	w.dst = append(w.dst, "]}"...)
	w.user = false
}

// userText writes a text of message i.
func (w *converseTurns) userText(i int, text jsondoc.Value) {
	w.block()
	if i >= w.guarded && !w.guardsItself(i) {
		w.dst = append(append(append(w.dst, `{"guardContent":{"text":{"text":`...), text...), "}}}"...)
		return
	}
	w.hasText = true
	w.dst = append(append(append(w.dst, `{"text":`...), text...), '}')
}

// guardsItself tells whether the client chose what the guardrail judges.
func (w *converseTurns) guardsItself(i int) bool {
	for part := range w.messages[i].content.Elements() {
		if part.Get("type").Is("guarded_text") {
			return true
		}
	}
	return false
}

func (w *converseTurns) userMark(mark jsondoc.Value) {
	if mark.IsObject() && w.a.can&canCache != 0 {
		w.block()
		w.dst = w.a.cachePoint(w.dst, mark)
		w.lastMark = true
	}
}

func (w *converseTurns) userMessage(i int) *apierror.Error {
	m := &w.messages[i]
	if m.content.IsString() {
		if m.content != `""` {
			w.userText(i, m.content)
			w.userMark(m.mark)
		}
		return nil
	}
	j := 0
	for part := range m.content.Elements() {
		at := place{i, "content", j}
		j++
		text := part.Get("text")
		switch kind := part.Get("type").Text(); kind {
		case "text", "grounding_source", "query":
			if !text.IsString() {
				return at.wrong(".text", "must be a string")
			}
			if isBlank(text) && kind == "text" {
				continue
			}
			w.userText(i, text)
		case "guarded_text":
			if !text.IsString() {
				return at.wrong(".text", "must be a string")
			}
			w.block()
			w.dst = append(append(append(w.dst, `{"guardContent":{"text":{"text":`...), text...), "}}}"...)
		case "image_url", "file", "document", "image", "video_url":
			block, err := w.a.media(at, kind, part)
			if err != nil {
				return err
			}
			w.block()
			if block.kind == "document" {
				w.hasFile = true
				block.name = w.unique(block.name)
			}
			w.dst = block.append(w.dst)
		default:
			return at.wrong(".type", "is none that bedrock takes")
		}
		w.userMark(part.Get("cache_control"))
	}
	return nil
}

// unique is a document's name, with a number if it is taken.
func (w *converseTurns) unique(name string) string {
	if w.files == nil {
		w.files = map[string]int{}
	}
	w.files[name]++
	if n := w.files[name]; n > 1 {
		return name + "_" + strconv.Itoa(n)
	}
	return name
}
