package demo

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
)

func client(t *testing.T) openai.Client {
	t.Helper()
	s := httptest.NewServer(&Handler{Now: func() time.Time { return time.Unix(1, 0) }})
	t.Cleanup(s.Close)
	return openai.NewClient(option.WithBaseURL(s.URL+"/v1"), option.WithAPIKey("none"), option.WithMaxRetries(0))
}

func params(text string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{Model: Model, Messages: []openai.ChatCompletionMessageParamUnion{
		openai.SystemMessage("be brief"), openai.UserMessage("first"), openai.AssistantMessage("yes"), openai.UserMessage(text),
	}}
}

func TestChat(t *testing.T) {
	c := client(t)
	got, err := c.Chat.Completions.New(context.Background(), params("what is \"sluice\"?"))
	if err != nil {
		t.Fatal(err)
	}
	text := got.Choices[0].Message.Content
	if !strings.Contains(text, "not a language model") || !strings.Contains(text, `You said: what is "sluice"?`) || strings.Contains(text, "first") {
		t.Errorf("answer: %s", text)
	}
	if got.Choices[0].FinishReason != "stop" || got.Created != 1 || got.Usage.PromptTokens != 7 || got.Usage.TotalTokens != got.Usage.PromptTokens+got.Usage.CompletionTokens {
		t.Errorf("%+v", got)
	}
	p := params("hello")
	p.MaxTokens = openai.Int(3)
	if got, err = c.Chat.Completions.New(context.Background(), p); err != nil || got.Choices[0].FinishReason != "length" || got.Usage.CompletionTokens != 3 {
		t.Errorf("with max_tokens: %+v, %v", got, err)
	}
}

func TestChatStream(t *testing.T) {
	c := client(t)
	p := params("hello")
	p.StreamOptions.IncludeUsage = openai.Bool(true)
	s := c.Chat.Completions.NewStreaming(context.Background(), p)
	var acc openai.ChatCompletionAccumulator
	chunks := 0
	for s.Next() {
		chunks++
		if !acc.AddChunk(s.Current()) {
			t.Fatal("chunks do not add up")
		}
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	whole, err := c.Chat.Completions.New(context.Background(), params("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if acc.Choices[0].Message.Content != whole.Choices[0].Message.Content || acc.Usage.TotalTokens != whole.Usage.TotalTokens || chunks < 20 {
		t.Errorf("%d chunks: %+v", chunks, acc.ChatCompletion)
	}
}

func TestCompletionAndModels(t *testing.T) {
	c := client(t)
	got, err := c.Completions.New(context.Background(), openai.CompletionNewParams{Model: Model, Prompt: openai.CompletionNewParamsPromptUnion{OfString: openai.String("polly")}})
	if err != nil || !strings.Contains(got.Choices[0].Text, "You said: polly") {
		t.Errorf("%+v, %v", got, err)
	}
	page, err := c.Models.List(context.Background())
	if err != nil || len(page.Data) != 1 || page.Data[0].OwnedBy != OwnedBy {
		t.Errorf("%+v, %v", page, err)
	}
}

func TestAnyBody(t *testing.T) {
	h := &Handler{}
	for _, tt := range []struct {
		method, path, body string
		status             int
		contains           string
	}{
		{"POST", "/v1/chat/completions", `{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url"}]}]}`, 200, "You said: a"},
		{"POST", "/chat/completions", `{"messages":[{"role":"system","content":null}]}`, 200, "no text from a user"},
		{"POST", "/v1/chat/completions", `{"messages":[]}`, 400, `"param":"messages"`},
		{"POST", "/v1/chat/completions", `not json`, 400, "not a valid request"},
		{"POST", "/v1/completions", `{"prompt":["a","b"],"stream":true,"max_tokens":0}`, 200, "[DONE]"},
		{"POST", "/v1/chat/completions", `{"messages":[{"role":"user","content":"` + strings.Repeat("x", maxEcho+1) + `"}]}`, 200, "x…"},
		{"POST", "/v1/chat/completions", strings.Repeat(" ", maxBody+1), 413, "MiB"},
		{"GET", "/v1/chat/completions", "", 405, "takes POST"},
		{"POST", "/v1/embeddings", "{}", 404, "serves"},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body)))
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.contains) {
			t.Errorf("%s %s %.60s: %d %.300s", tt.method, tt.path, tt.body, w.Code, w.Body)
		}
		if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") && !json.Valid(w.Body.Bytes()) {
			t.Errorf("not JSON: %s", w.Body)
		}
	}
}

func TestStreamEndsWithItsClient(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	h := &Handler{Pace: time.Hour}
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/chat/completions", strings.NewReader(`{"stream":true,"messages":[{"role":"user","content":"a"}]}`))
	h.ServeHTTP(httptest.NewRecorder(), r)
}
