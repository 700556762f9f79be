// Package demo is the model "demo/parrot": an HTTP handler with OpenAI's API that answers without a
// provider, so that a fresh gateway can be tried before any key is at hand.
//
// It says of itself, in every answer, that it is no language model. It serves the same three paths as any
// OpenAI-format provider: POST /v1/chat/completions (https://platform.openai.com/docs/api-reference/chat),
// POST /v1/completions and GET /v1/models. It calls no tools, keeps nothing and talks to nobody.
package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sluicegw/sluice/internal/apierror"
)

const (
	// Model is the name of the only model.
	Model = "parrot"
	// OwnedBy is what /v1/models says of it.
	OwnedBy = "sluice-demo (not a language model)"

	maxBody = 8 << 20
	// maxEcho is how much of a message comes back, in characters: a demo need not repeat a book.
	maxEcho = 600
)

// Handler serves the demo model. It is safe for concurrent use.
type Handler struct {
	// Pace is the time between two words of a stream; zero: as fast as possible.
	Pace time.Duration
	// Now is the clock of the field created; nil: time.Now.
	Now func() time.Time

	calls atomic.Int64
}

// ServeHTTP implements http.Handler. Paths may come with or without /v1.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/v1")
	method := http.MethodPost
	serve := h.chat
	switch path {
	case "/chat/completions":
	case "/completions":
		serve = h.completion
	case "/models":
		method, serve = http.MethodGet, h.models
	default:
		fail(w, apierror.New(apierror.NotFound, http.StatusNotFound, "the demo model serves /v1/chat/completions, /v1/completions and /v1/models, not %s", r.URL.Path))
		return
	}
	if r.Method != method {
		w.Header().Set("Allow", method)
		fail(w, apierror.New(apierror.BadRequest, http.StatusMethodNotAllowed, "%s takes %s", r.URL.Path, method))
		return
	}
	serve(w, r)
}

// request is what the demo reads of a call; all else is accepted and ignored, as a parrot would.
type request struct {
	Messages []struct {
		Role    string          `json:"role"`
		Content json.RawMessage `json:"content"`
	} `json:"messages"`
	Prompt        json.RawMessage `json:"prompt"`
	Stream        bool            `json:"stream"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	MaxTokens           *int `json:"max_tokens"`
	MaxCompletionTokens *int `json:"max_completion_tokens"`
}

func read(w http.ResponseWriter, r *http.Request) (*request, bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			fail(w, apierror.New(apierror.TooLarge, http.StatusRequestEntityTooLarge, "the demo model reads at most %d MiB", maxBody>>20))
		}
		return nil, false
	}
	var q request
	if err := json.Unmarshal(body, &q); err != nil {
		fail(w, apierror.New(apierror.BadRequest, http.StatusBadRequest, "the body is not a valid request: %s", err))
		return nil, false
	}
	return &q, true
}

func fail(w http.ResponseWriter, e *apierror.Error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.Status)
	_, _ = w.Write(e.JSON())
}

func (h *Handler) now() int64 {
	if h.Now != nil {
		return h.Now().Unix()
	}
	return time.Now().Unix()
}

func (h *Handler) id(prefix string) string {
	return prefix + "-demo-" + strconv.FormatInt(h.calls.Add(1), 10)
}

func (h *Handler) models(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"object":"list","data":[{"id":%q,"object":"model","created":%d,"owned_by":%q}]}`, Model, h.now(), OwnedBy)
}

func (h *Handler) chat(w http.ResponseWriter, r *http.Request) {
	q, ok := read(w, r)
	if !ok {
		return
	}
	if len(q.Messages) == 0 {
		fail(w, &apierror.Error{Kind: apierror.BadRequest, Status: http.StatusBadRequest, Param: "messages", Message: "messages is missing or empty"})
		return
	}
	prompt, said := 0, ""
	for _, m := range q.Messages {
		t := contentText(m.Content)
		prompt += tokens(t)
		if m.Role == "user" {
			said = t
		}
	}
	a := h.answer(q, said, prompt)
	a.id, a.object = h.id("chatcmpl"), "chat.completion"
	a.choice = func(text, finish string, stream, first bool) string {
		role := ""
		if first {
			role = `"role":"assistant",`
		}
		field := "message"
		if stream {
			field = "delta"
			if text == "" && finish != "null" {
				return fmt.Sprintf(`{"index":0,"delta":{},"logprobs":null,"finish_reason":%s}`, finish)
			}
		}
		return fmt.Sprintf(`{"index":0,%q:{%s"content":%s},"logprobs":null,"finish_reason":%s}`, field, role, quote(text), finish)
	}
	h.reply(w, r, q, a)
}

func (h *Handler) completion(w http.ResponseWriter, r *http.Request) {
	q, ok := read(w, r)
	if !ok {
		return
	}
	said := contentText(q.Prompt)
	a := h.answer(q, said, tokens(said))
	a.id, a.object = h.id("cmpl"), "text_completion"
	a.choice = func(text, finish string, _, _ bool) string {
		return fmt.Sprintf(`{"index":0,"text":%s,"logprobs":null,"finish_reason":%s}`, quote(text), finish)
	}
	h.reply(w, r, q, a)
}

// contentText is the text of a message: a string, or the text parts of a list.
func contentText(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var parts []json.RawMessage
	if json.Unmarshal(raw, &parts) != nil {
		return ""
	}
	var texts []string
	for _, p := range parts {
		var part struct {
			Text string `json:"text"`
		}
		if json.Unmarshal(p, &s) == nil {
			texts = append(texts, s)
		} else if json.Unmarshal(p, &part) == nil && part.Text != "" {
			texts = append(texts, part.Text)
		}
	}
	return strings.Join(texts, "\n")
}

func quote(s string) string { return string(apierror.AppendString(nil, s)) }
