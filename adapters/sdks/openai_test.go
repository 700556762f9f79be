package sdks

import (
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	anthropicsdk "github.com/anthropics/anthropic-sdk-go"
	anthropicstream "github.com/anthropics/anthropic-sdk-go/packages/ssestream"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/rogpeppe/go-internal/txtar"
)

func eachCase(t *testing.T, pattern string, f func(t *testing.T, files map[string]string)) {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no file matches %s", pattern)
	}
	for _, path := range paths {
		a, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files := map[string]string{}
		for _, file := range a.Files {
			files[file.Name] = string(file.Data)
		}
		t.Run(strings.TrimSuffix(strings.TrimPrefix(path, "../testdata/"), ".txtar"), func(t *testing.T) { f(t, files) })
	}
}

func streamOf(body string) *http.Response {
	return &http.Response{
		StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}},
		Body: io.NopCloser(strings.NewReader(body)),
	}
}

func TestOpenAIReadsEveryAnswer(t *testing.T) {
	eachCase(t, "../testdata/*/*.txtar", func(t *testing.T, files map[string]string) {
		if strings.TrimSpace(files["op"]) != "" {
			return
		}
		if body, ok := files["want.json"]; ok {
			var c openai.ChatCompletion
			if err := json.Unmarshal([]byte(body), &c); err != nil {
				t.Fatal(err)
			}
			if len(c.Choices) == 0 || c.Choices[0].FinishReason == "" || c.Model == "" || c.Object != "chat.completion" {
				t.Errorf("not a whole completion: %s", body)
			}
			for _, call := range c.Choices[0].Message.ToolCalls {
				if !json.Valid([]byte(call.Function.Arguments)) {
					t.Errorf("arguments of %s: %q", call.Function.Name, call.Function.Arguments)
				}
			}
		}
		if body, ok := files["want.sse"]; ok {
			readChunks(t, body, files)
		}
	})
}

func readChunks(t *testing.T, body string, files map[string]string) {
	stream := ssestream.NewStream[openai.ChatCompletionChunk](ssestream.NewDecoder(streamOf(body)), nil)
	acc := openai.ChatCompletionAccumulator{}
	usage := false
	for stream.Next() {
		chunk := stream.Current()
		if !acc.AddChunk(chunk) {
			t.Errorf("the accumulator refuses %s", chunk.RawJSON())
		}
		usage = usage || chunk.Usage.TotalTokens > 0
	}
	failed := strings.Contains(files["want.usage"], "error ")
	if err := stream.Err(); (err != nil) != failed {
		t.Fatalf("reading the stream: %v", err)
	}
	if failed {
		return
	}
	for _, choice := range acc.Choices {
		if choice.FinishReason == "" {
			t.Errorf("choice %d never finished", choice.Index)
		}
		for _, call := range choice.Message.ToolCalls {
			if call.ID == "" || call.Function.Name == "" || !json.Valid([]byte(call.Function.Arguments)) {
				t.Errorf("tool call %q %q %q", call.ID, call.Function.Name, call.Function.Arguments)
			}
		}
	}
	if asked := strings.Contains(files["in.json"], `"include_usage":true`); asked != usage {
		t.Errorf("usage asked for: %v, told: %v", asked, usage)
	}
}

func TestAnthropicReadsFixturesAndRequests(t *testing.T) {
	eachCase(t, "../testdata/anthropic/*.txtar", func(t *testing.T, files map[string]string) {
		if body, ok := files["want.request"]; ok && !strings.HasPrefix(body, "refused") {
			_, body, _ = strings.Cut(body, "\n\n")
			readParams(t, body)
		}
		if body, ok := files["upstream.json"]; ok && files["want.json"] != "" {
			var m sdkMessage
			if err := json.Unmarshal([]byte(body), &m); err != nil || m.StopReason == "" {
				t.Errorf("upstream.json: %v", err)
			}
		}
		if body, ok := files["upstream.sse"]; ok && !strings.Contains(files["want.usage"], "error ") {
			var m sdkMessage
			stream := anthropicstream.NewStream[sdkEvent](anthropicstream.NewDecoder(streamOf(body)), nil)
			for stream.Next() {
				if err := m.Accumulate(stream.Current()); err != nil {
					t.Errorf("upstream.sse: %v", err)
				}
			}
			if stream.Err() != nil || m.StopReason == "" {
				t.Errorf("upstream.sse: %v, stopped %q", stream.Err(), m.StopReason)
			}
		}
	})
}

// Shorter names for the types above.
type (
	sdkMessage = anthropicsdk.Message
	sdkEvent   = anthropicsdk.MessageStreamEventUnion
)

func readParams(t *testing.T, body string) {
	var p anthropicsdk.BetaMessageNewParams
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("want.request: %v", err)
	}
	if p.Model == "" || p.MaxTokens < 1 || len(p.Messages) == 0 {
		t.Fatalf("want.request: model %q, max_tokens %d, %d messages", p.Model, p.MaxTokens, len(p.Messages))
	}
	for i, m := range p.Messages {
		if m.Role == "" || len(m.Content) == 0 {
			t.Errorf("message %d: role %q, %d blocks", i, m.Role, len(m.Content))
		}
		for j, block := range m.Content {
			if block.GetType() == nil || *block.GetType() == "" {
				t.Errorf("message %d: block %d is none that the SDK knows", i, j)
			}
		}
	}
	for i, tool := range p.Tools {
		if tool.GetName() == nil || *tool.GetName() == "" {
			t.Errorf("tool %d is none that the SDK knows", i)
		}
	}
}
