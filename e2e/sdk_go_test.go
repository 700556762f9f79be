package e2e

import (
	"errors"
	"net/http"
	"slices"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/sluicegw/sluice/envoy/envoytest/provider"
)

// Tools as the providers call them, whole and in pieces.
var (
	openaiTool = provider.JSON(200, `{"id":"c1","object":"chat.completion","created":1700000000,"model":"up","choices":[{"index":0,"finish_reason":"tool_calls","message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Oslo\"}"}}]}}],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}`)
	claudeTool = provider.JSON(200, `{"id":"m1","type":"message","role":"assistant","model":"up","content":[{"type":"tool_use","id":"call_1","name":"weather","input":{"city":"Oslo"}}],"stop_reason":"tool_use","usage":{"input_tokens":3,"output_tokens":4}}`)

	openaiToolStream = provider.SSE(
		`data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"up","choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"weather","arguments":""}}]},"finish_reason":null}]}`+"\n\n",
		`data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"up","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":"}}]},"finish_reason":null}]}`+"\n\n",
		`data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"up","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"Oslo\"}"}}]},"finish_reason":null}]}`+"\n\n",
		`data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"up","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}`+"\n\n",
		"data: [DONE]\n\n")
	claudeToolStream = provider.SSE(
		"event: message_start\ndata: "+`{"type":"message_start","message":{"id":"m1","type":"message","role":"assistant","model":"up","content":[],"stop_reason":null,"usage":{"input_tokens":3,"output_tokens":1}}}`+"\n\n",
		"event: content_block_start\ndata: "+`{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"call_1","name":"weather","input":{}}}`+"\n\n",
		"event: content_block_delta\ndata: "+`{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"city\":"}}`+"\n\n",
		"event: content_block_delta\ndata: "+`{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"\"Oslo\"}"}}`+"\n\n",
		"event: content_block_stop\ndata: "+`{"type":"content_block_stop","index":0}`+"\n\n",
		"event: message_delta\ndata: "+`{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":4}}`+"\n\n",
		"event: message_stop\ndata: "+`{"type":"message_stop"}`+"\n\n")
)

// backend is a kind of provider and the answers it gives in its own format.
type backend struct {
	name                                    string
	model                                   func(testing.TB, ...provider.Reply) string
	chat, stream, tool, toolStream, refusal provider.Reply
}

var backends = []backend{
	{"OpenAI", model, provider.Chat("up", "hello there", few), provider.ChatStream("up", few, "hello", " there"),
		openaiTool, openaiToolStream, provider.Error(401, "invalid_request_error", "invalid_api_key", "bad key")},
	{"Anthropic", claude, provider.Message("up", "hello there", few), provider.MessageStream("up", few, "hello", " there"),
		claudeTool, claudeToolStream, provider.AnthropicError(401, "authentication_error", "bad key")},
}

// TestOpenAIGo: OpenAI's own Go library works unchanged, in front of both kinds of provider.
func TestOpenAIGo(t *testing.T) {
	g := shared(t)
	client := openai.NewClient(option.WithBaseURL(g.url+"/v1"), option.WithAPIKey(masterKey))
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) { goClient(t, client, b) })
	}
	t.Run("models", func(t *testing.T) {
		page, err := client.Models.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(page.Data, func(m openai.Model) bool { return m.ID == "pair" }) {
			t.Errorf("%d models, and pair is not among them", len(page.Data))
		}
		one, err := client.Models.Get(t.Context(), "pair")
		if err != nil || one.ID != "pair" {
			t.Errorf("%+v, %v", one, err)
		}
	})
	t.Run("embeddings", func(t *testing.T) {
		out, err := client.Embeddings.New(t.Context(), openai.EmbeddingNewParams{
			Model: model(t), Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String("hello")}})
		if err != nil || len(out.Data) != 1 || len(out.Data[0].Embedding) != 3 || out.Usage.PromptTokens != 10 {
			t.Errorf("%+v, %v", out, err)
		}
	})
	t.Run("a wrong key", func(t *testing.T) {
		wrong := openai.NewClient(option.WithBaseURL(g.url+"/v1"), option.WithAPIKey(wrongKey))
		_, err := wrong.Chat.Completions.New(t.Context(), params("m0"))
		wantSDKError(t, err, http.StatusUnauthorized, "token_not_found_in_db")
	})
}

func params(model string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{Model: model, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("hello")}}
}

func withTool(p openai.ChatCompletionNewParams) openai.ChatCompletionNewParams {
	p.Tools = []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(openai.FunctionDefinitionParam{
		Name: "weather", Parameters: openai.FunctionParameters{"type": "object",
			"properties": map[string]any{"city": map[string]any{"type": "string"}}}})}
	return p
}

func goClient(t *testing.T, client openai.Client, b backend) {
	m := b.model(t, b.chat)
	out, err := client.Chat.Completions.New(t.Context(), params(m))
	if err != nil {
		t.Fatal(err)
	}
	if out.Choices[0].Message.Content != "hello there" || out.Choices[0].FinishReason != "stop" || out.Model != m || out.Usage.TotalTokens != 7 {
		t.Errorf("%s", out.RawJSON())
	}

	p := params(b.model(t, b.stream))
	p.StreamOptions = openai.ChatCompletionStreamOptionsParam{IncludeUsage: openai.Bool(true)}
	acc := accumulate(t, client, p)
	if acc.Choices[0].Message.Content != "hello there" || acc.Choices[0].FinishReason != "stop" || acc.Usage.TotalTokens != 7 {
		t.Errorf("%+v", acc.ChatCompletion)
	}

	out, err = client.Chat.Completions.New(t.Context(), withTool(params(b.model(t, b.tool))))
	if err != nil {
		t.Fatal(err)
	}
	wantTool(t, out.Choices[0])
	acc = accumulate(t, client, withTool(params(b.model(t, b.toolStream))))
	wantTool(t, acc.Choices[0])

	_, err = client.Chat.Completions.New(t.Context(), params(b.model(t, b.refusal)))
	wantSDKError(t, err, http.StatusUnauthorized, "authentication_error")
	bad := b.model(t, provider.JSON(500, `{}`))
	_, err = client.Chat.Completions.New(t.Context(), params(bad))
	wantSDKError(t, err, http.StatusInternalServerError, "internal_server_error")
	if n := len(received(bad)); n != 1 {
		t.Errorf("the library tried %d times, although x-should-retry is false", n)
	}
	cut := b.stream.CutAfter(3, provider.Complete)
	s := client.Chat.Completions.NewStreaming(t.Context(), params(b.model(t, cut)))
	for s.Next() {
	}
	if s.Err() == nil {
		t.Error("a stream that broke off looks complete to the library")
	}
}

func accumulate(t *testing.T, client openai.Client, p openai.ChatCompletionNewParams) *openai.ChatCompletionAccumulator {
	t.Helper()
	s := client.Chat.Completions.NewStreaming(t.Context(), p)
	acc := &openai.ChatCompletionAccumulator{}
	for s.Next() {
		if !acc.AddChunk(s.Current()) {
			t.Errorf("a chunk that does not fit: %s", s.Current().RawJSON())
		}
	}
	if err := s.Err(); err != nil || len(acc.Choices) == 0 {
		t.Fatalf("%d choices, %v", len(acc.Choices), err)
	}
	return acc
}

func wantTool(t *testing.T, c openai.ChatCompletionChoice) {
	t.Helper()
	calls := c.Message.ToolCalls
	if c.FinishReason != "tool_calls" || len(calls) != 1 || calls[0].ID != "call_1" || calls[0].Function.Name != "weather" {
		t.Fatalf("%s: %+v", c.FinishReason, calls)
	}
	if args := calls[0].Function.Arguments; args != `{"city":"Oslo"}` && args != `{"city": "Oslo"}` {
		t.Errorf("arguments %s", args)
	}
}

func wantSDKError(t *testing.T, err error, status int, typ string) {
	t.Helper()
	e, ok := errors.AsType[*openai.Error](err)
	if !ok || e.StatusCode != status || e.Type != typ || e.Message == "" {
		t.Errorf("%v", err)
	}
}
