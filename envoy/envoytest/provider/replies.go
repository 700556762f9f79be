package provider

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// Usage is the tokens that a reply claims.
type Usage struct{ Input, Output int }

const (
	jsonType = "application/json"
	sseType  = "text/event-stream"
)

// JSON is a JSON body, as given.
func JSON(status int, body string) Reply {
	return Reply{Status: status, Header: map[string]string{"Content-Type": jsonType}, Chunks: []Chunk{{Data: body}}}
}

// SSE is an event stream; each of events is sent as it is, in a chunk of its own.
func SSE(events ...string) Reply {
	r := Reply{Header: map[string]string{"Content-Type": sseType, "Cache-Control": "no-cache"}}
	for _, e := range events {
		r.Chunks = append(r.Chunks, Chunk{Data: e})
	}
	return r
}

// Chat is an OpenAI chat completion.
// https://platform.openai.com/docs/api-reference/chat/object
func Chat(model, content string, u Usage) Reply {
	return JSON(http.StatusOK, fmt.Sprintf(`{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":%s,"choices":[{"index":0,"message":{"role":"assistant","content":%s,"refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":%s}`,
		quote(model), quote(content), u.openai()))
}

// ChatStream is an OpenAI chat completion stream with one event a piece, the usage and [DONE].
// https://platform.openai.com/docs/api-reference/chat-streaming
func ChatStream(model string, u Usage, pieces ...string) Reply {
	event := func(choices, usage string) string {
		return fmt.Sprintf("data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":%s,\"choices\":[%s],\"usage\":%s}\n\n", quote(model), choices, usage)
	}
	events := []string{event(`{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}`, "null")}
	for _, piece := range pieces {
		events = append(events, event(fmt.Sprintf(`{"index":0,"delta":{"content":%s},"finish_reason":null}`, quote(piece)), "null"))
	}
	return SSE(append(events,
		event(`{"index":0,"delta":{},"finish_reason":"stop"}`, "null"),
		event("", u.openai()),
		"data: [DONE]\n\n")...)
}

// Filtered is a chat completion that the provider's filter has taken the content of.
func Filtered(model string, u Usage) Reply {
	r := Chat(model, "", u)
	r.Chunks[0].Data = strings.Replace(r.Chunks[0].Data, `"finish_reason":"stop"`, `"finish_reason":"content_filter"`, 1)
	return r
}

// FilteredStream is a stream whose first event says the same.
func FilteredStream(model string) Reply {
	return SSE(fmt.Sprintf("data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":%s,\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"content_filter\"}]}\n\n", quote(model)), "data: [DONE]\n\n")
}

// ErrorStream is a stream whose first event is an error.
func ErrorStream(kind, code, message string) Reply {
	return SSE(fmt.Sprintf("data: {\"error\":{\"message\":%s,\"type\":%s,\"param\":null,\"code\":%s}}\n\n", quote(message), quote(kind), quote(code)))
}

// Message is an Anthropic message.
// https://docs.anthropic.com/en/api/messages
func Message(model, text string, u Usage) Reply {
	return JSON(http.StatusOK, fmt.Sprintf(`{"id":"msg_1","type":"message","role":"assistant","model":%s,"content":[{"type":"text","text":%s}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":%d,"output_tokens":%d}}`,
		quote(model), quote(text), u.Input, u.Output))
}

// MessageStream is an Anthropic message stream with one text delta a piece.
// https://docs.anthropic.com/en/docs/build-with-claude/streaming
func MessageStream(model string, u Usage, pieces ...string) Reply {
	event := func(name, data string) string { return "event: " + name + "\ndata: " + data + "\n\n" }
	events := []string{
		event("message_start", fmt.Sprintf(`{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":%s,"content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":%d,"output_tokens":1}}}`, quote(model), u.Input)),
		event("content_block_start", `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`),
		event("ping", `{"type":"ping"}`),
	}
	for _, piece := range pieces {
		events = append(events, event("content_block_delta", fmt.Sprintf(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":%s}}`, quote(piece))))
	}
	return SSE(append(events,
		event("content_block_stop", `{"type":"content_block_stop","index":0}`),
		event("message_delta", fmt.Sprintf(`{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":%d}}`, u.Output)),
		event("message_stop", `{"type":"message_stop"}`))...)
}

// Embedding is an OpenAI embedding of one input.
func Embedding(model string, input int, vector ...float64) Reply {
	numbers, _ := json.Marshal(vector) // finite numbers always marshal
	if len(vector) == 0 {
		numbers = []byte("[]")
	}
	return JSON(http.StatusOK, fmt.Sprintf(`{"object":"list","data":[{"object":"embedding","index":0,"embedding":%s}],"model":%s,"usage":{"prompt_tokens":%d,"total_tokens":%d}}`,
		numbers, quote(model), input, input))
}

// Error is an error in OpenAI's shape.
func Error(status int, kind, code, message string) Reply {
	return JSON(status, fmt.Sprintf(`{"error":{"message":%s,"type":%s,"param":null,"code":%s}}`, quote(message), quote(kind), quote(code)))
}

// AnthropicError is an error in Anthropic's shape.
func AnthropicError(status int, kind, message string) Reply {
	return JSON(status, fmt.Sprintf(`{"type":"error","error":{"type":%s,"message":%s}}`, quote(kind), quote(message)))
}

// HTML is what a load balancer in front of a provider says.
func HTML(status int) Reply {
	r := JSON(status, fmt.Sprintf("<html>\r\n<head><title>%d %s</title></head>\r\n<body><center><h1>%[1]d %[2]s</h1></center></body>\r\n</html>\r\n", status, http.StatusText(status)))
	return r.With("Content-Type", "text/html")
}

// Garbage claims to be JSON and is not.
func Garbage() Reply { return JSON(http.StatusOK, "{\"choices\": [\x00\xff\xfe nonsense") }

// Defaults are the answers to requests that no rule matches. They are made once, so that serving one
// costs little.
type Defaults struct {
	Chat, ChatStream, Message, MessageStream, Embedding, NotFound Reply
}

// NewDefaults makes short answers of 10 tokens in and 20 out.
func NewDefaults() *Defaults {
	u := Usage{Input: 10, Output: 20}
	words := strings.SplitAfter("Hello from the scripted provider.", " ")
	text := strings.Join(words, "")
	return &Defaults{
		Chat:          Chat("gpt-4o", text, u),
		ChatStream:    ChatStream("gpt-4o", u, words...),
		Message:       Message("claude-sonnet-4-5", text, u),
		MessageStream: MessageStream("claude-sonnet-4-5", u, words...),
		Embedding:     Embedding("text-embedding-3-small", u.Input, 0.25, -0.5, 0.75),
		NotFound:      Error(http.StatusNotFound, "invalid_request_error", "unknown_url", "the scripted provider has no answer for this path"),
	}
}

func (d *Defaults) reply(r *Request) Reply {
	switch {
	case strings.HasSuffix(r.Path, "/chat/completions") && r.Stream:
		return d.ChatStream
	case strings.HasSuffix(r.Path, "/chat/completions"):
		return d.Chat
	case strings.HasSuffix(r.Path, "/messages") && r.Stream:
		return d.MessageStream
	case strings.HasSuffix(r.Path, "/messages"):
		return d.Message
	case strings.HasSuffix(r.Path, "/embeddings"):
		return d.Embedding
	default:
		return d.NotFound
	}
}

func (u Usage) openai() string {
	return fmt.Sprintf(`{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}`, u.Input, u.Output, u.Input+u.Output)
}

func quote(s string) string {
	text, _ := json.Marshal(s) // a string always marshals
	return string(text)
}
