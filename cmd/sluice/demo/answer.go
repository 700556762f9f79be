package demo

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

// answer is a reply before it is whole or streamed.
type answer struct {
	id, object string
	created    int64
	words      []string // with the space that follows each
	finish     string   // JSON
	prompt     int      // tokens
	// choice renders a part of the text, or all of it, as an element of choices.
	choice func(text, finish string, stream, first bool) string
}

// answer says what this is, what it was told, and how to go on. A limit on tokens cuts it, as a model
// would: here a token is a word.
func (h *Handler) answer(q *request, said string, prompt int) *answer {
	var b strings.Builder
	b.WriteString("This is sluice's built-in demo, not a language model. Your call came through the gateway. ")
	if said = strings.TrimSpace(said); said == "" {
		b.WriteString("It held no text from a user. ")
	} else {
		fmt.Fprintf(&b, "You said: %s\n\n", shorten(said))
	}
	b.WriteString("For real answers set a provider's key, such as OPENAI_API_KEY, start sluice again and name one of the models at /v1/models.")
	a := &answer{created: h.now(), words: strings.SplitAfter(b.String(), " "), finish: `"stop"`, prompt: prompt}
	limit := q.MaxCompletionTokens
	if limit == nil {
		limit = q.MaxTokens
	}
	if limit != nil && *limit >= 0 && *limit < len(a.words) {
		a.words, a.finish = a.words[:*limit], `"length"`
	}
	return a
}

// shorten keeps the beginning of s.
func shorten(s string) string {
	if utf8.RuneCountInString(s) <= maxEcho {
		return s
	}
	return string([]rune(s)[:maxEcho]) + "…"
}

// tokens counts words: good enough for a number that costs nothing.
func tokens(s string) int { return len(strings.Fields(s)) }

func (a *answer) usage() string {
	return fmt.Sprintf(`{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}`, a.prompt, len(a.words), a.prompt+len(a.words))
}

func (a *answer) render(object, choices, usage string) string {
	if usage != "" {
		usage = `,"usage":` + usage
	}
	return fmt.Sprintf(`{"id":%q,"object":%q,"created":%d,"model":%q,"choices":[%s]%s}`, a.id, object, a.created, Model, choices, usage)
}

func (h *Handler) reply(w http.ResponseWriter, r *http.Request, q *request, a *answer) {
	if !q.Stream {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, a.render(a.object, a.choice(strings.Join(a.words, ""), a.finish, false, true), a.usage()))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	object := a.object
	if object == "chat.completion" {
		object = "chat.completion.chunk"
	}
	send := func(data string) bool {
		_, err := io.WriteString(w, "data: "+data+"\n\n")
		return err == nil && http.NewResponseController(w).Flush() == nil
	}
	for i, word := range a.words {
		if !send(a.render(object, a.choice(word, "null", true, i == 0), "")) || !h.wait(r) {
			return
		}
	}
	if !send(a.render(object, a.choice("", a.finish, true, len(a.words) == 0), "")) {
		return
	}
	if q.StreamOptions.IncludeUsage && !send(a.render(object, "", a.usage())) {
		return
	}
	send("[DONE]")
}

// wait keeps the pace of a stream. It is false when the client has left.
func (h *Handler) wait(r *http.Request) bool {
	if h.Pace <= 0 {
		return r.Context().Err() == nil
	}
	t := time.NewTimer(h.Pace)
	defer t.Stop()
	select {
	case <-r.Context().Done():
		return false
	case <-t.C:
		return true
	}
}
