package sdks

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/ssestream"
)

// TestOpenAIReadsRequests: nothing that is sent to OpenAI is unknown to its SDK.
func TestOpenAIReadsRequests(t *testing.T) {
	// The method sets stream. cache_control, the thinking of an earlier answer and the last ones are what clients and
	// deployments may add for another provider behind the same API; the SDK loses a named tool_choice itself.
	but := []string{".stream", ".cache_control", ".reasoning_content", ".thinking_blocks", ".provider_specific_fields",
		".tool_choice.function", ".top_k", ".safety_mode"}
	for _, provider := range []string{"openai", "azure"} {
		eachCase(t, "../testdata/"+provider+"/*.txtar", func(t *testing.T, files map[string]string) {
			path, body := requestOf(files)
			if strings.Contains(body, "1e400") {
				return // a number that Go cannot hold is passed on all the same
			}
			switch {
			case strings.Contains(path, "/chat/completions"):
				roundTrip[openai.ChatCompletionNewParams](t, body, but...)
			case strings.Contains(path, "/completions"):
				roundTrip[openai.CompletionNewParams](t, body, but...)
			case strings.Contains(path, "/embeddings"):
				roundTrip[openai.EmbeddingNewParams](t, body, but...)
			}
		})
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
	usage, roles := false, map[int64]string{}
	for stream.Next() {
		chunk := stream.Current()
		if !acc.AddChunk(chunk) {
			t.Errorf("the accumulator refuses %s", chunk.RawJSON())
		}
		usage = usage || chunk.Usage.TotalTokens > 0
		for _, choice := range chunk.Choices {
			roles[choice.Index] += choice.Delta.Role // as openai-python's accumulator does
		}
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
		if role := roles[choice.Index]; role != "assistant" && (role != "" || choice.Message.Content != "" || len(choice.Message.ToolCalls) > 0) {
			t.Errorf("choice %d's role is %q", choice.Index, role)
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
