package adapters

import (
	"fmt"
	"strings"
	"testing"
)

// benchRequest is a chat request of about size bytes.
func benchRequest(size int) []byte {
	var b strings.Builder
	b.WriteString(`{"model":"fast","stream":true,"temperature":0.7,"max_tokens":500,"messages":[{"role":"system","content":"You are a helpful assistant."}`)
	text := strings.Repeat(`The quick brown fox jumps over the lazy dog, said \"somebody\" to no one.\n`, 12)
	for i := 0; b.Len() < size-300; i++ {
		role := "user"
		if i%2 == 1 {
			role = "assistant"
		}
		fmt.Fprintf(&b, `,{"role":"%s","content":"%s"}`, role, text[:min(len(text), max(15, size-b.Len()-60))/15*15])
	}
	b.WriteString(`,{"role":"user","content":"And then?"}],"tools":[{"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}}]}`)
	return []byte(b.String())
}

func BenchmarkRequest(b *testing.B) {
	for _, model := range []string{"openai/gpt-4o", "anthropic/claude-sonnet-4-5", "mistral/large", "cohere/command-a", "ollama_chat/llama3.2", "ollama/llama3.2", "gemini/gemini-2.5-flash"} {
		target, err := New(Params{Model: model, APIKey: "sk-test"})
		if err != nil {
			b.Fatal(err)
		}
		for _, size := range []int{1 << 10, 100 << 10, 1 << 20} {
			body := benchRequest(size)
			b.Run(fmt.Sprintf("%s/%dKB", target.Provider(), size>>10), func(b *testing.B) {
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					r, err := Parse(Chat, body)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := target.Request(r); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkEvent(b *testing.B) {
	text := strings.Repeat("word ", 8)
	ndjson := `{"model":"llama3.2","created_at":"2025-05-24T02:12:05.859654Z","message":{"role":"assistant","content":"` + text + `"},"done":false}` + "\n"
	for _, c := range []struct{ model, start, event string }{
		{"ollama_chat/llama3.2", "", ndjson},
		{"ollama/llama3.2", "", `{"model":"llama3.2","created_at":"2025-05-24T02:12:05.859654Z","response":"` + text + `","done":false}` + "\n"},
		{"cohere/command-a", "", "event: content-delta\ndata: {\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"text\":\"" + text + "\"}}}}\n\n"},
		{"openai/gpt-4o", "", `data: {"id":"chatcmpl-AbCdEf","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_0123456789","choices":[{"index":0,"delta":{"content":"` + text + `"},"logprobs":null,"finish_reason":null}],"usage":null}` + "\n\n"},
		{
			"anthropic/claude-sonnet-4-5",
			"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"usage\":{\"input_tokens\":1}}}\n\n",
			"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"" + text + "\"}}\n\n",
		},
		{"gemini/gemini-2.5-flash", "", `data: {"candidates":[{"content":{"parts":[{"text":"` + text + `"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":4,"candidatesTokenCount":9,"totalTokenCount":13,"promptTokensDetails":[{"modality":"TEXT","tokenCount":4}]},"modelVersion":"gemini-2.5-flash","responseId":"mAitaLmkHPPlz7IPvtfUqQ4"}` + "\r\n\r\n"},
	} {
		target, err := New(Params{Model: c.model})
		if err != nil {
			b.Fatal(err)
		}
		r, _ := Parse(Chat, []byte(askStream))
		b.Run(target.Provider(), func(b *testing.B) {
			p := target.Reply(r, "fast")
			media := "text/event-stream"
			if strings.HasPrefix(c.event, "{") {
				media = "application/x-ndjson"
			}
			p.Begin(200, headers("content-type", media))
			dst := p.Events(nil, []byte(c.start))
			event := []byte(c.event)
			b.SetBytes(int64(len(event)))
			b.ReportAllocs()
			for b.Loop() {
				dst = p.Events(dst[:0], event)
			}
			if len(dst) == 0 || p.Err() != nil {
				b.Fatal("no event", p.Err())
			}
		})
	}
}

func BenchmarkWhole(b *testing.B) {
	for _, c := range []struct{ model, format string }{
		{"openai/gpt-4o", `{"id":"1","object":"chat.completion","created":1,"model":"x","choices":[{"index":0,"message":{"role":"assistant","content":"%s"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}`},
		{"ollama_chat/llama3.2", `{"model":"x","message":{"role":"assistant","content":"%s"},"done":true,"done_reason":"stop","prompt_eval_count":1,"eval_count":2}`},
		{"ollama/llama3.2", `{"model":"x","response":"%s","done":true,"done_reason":"stop","prompt_eval_count":1,"eval_count":2}`},
		{"cohere/command-a", `{"id":"1","finish_reason":"COMPLETE","message":{"role":"assistant","content":[{"type":"text","text":"%s"}]},"usage":{"tokens":{"input_tokens":1,"output_tokens":2}}}`},
		{"anthropic/claude-sonnet-4-5", `{"id":"msg_1","type":"message","role":"assistant","model":"x","content":[{"type":"text","text":"%s"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":2}}`},
		{"gemini/gemini-2.5-flash", `{"candidates":[{"content":{"parts":[{"text":"%s"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":2,"totalTokenCount":3},"responseId":"x"}`},
	} {
		target, err := New(Params{Model: c.model})
		if err != nil {
			b.Fatal(err)
		}
		r, _ := Parse(Chat, []byte(askWhole))
		for _, size := range []int{1 << 10, 100 << 10, 1 << 20} {
			body := fmt.Appendf(nil, c.format, strings.Repeat(`some words\n`, size/12))
			b.Run(fmt.Sprintf("%s/%dKB", target.Provider(), size>>10), func(b *testing.B) {
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()
				for b.Loop() {
					p := target.Reply(r, "fast")
					p.Begin(200, headers("content-type", "application/json"))
					if _, err := p.Whole(body); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
