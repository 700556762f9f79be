package adapters

import (
	"fmt"
	"strings"
	"testing"
)

var benchKeys = map[string]string{"aws_access_key_id": "AKID", "aws_secret_access_key": "secret", "aws_region_name": "us-east-1"}

// BenchmarkBedrockRequest includes the signature, which is over the whole body.
func BenchmarkBedrockRequest(b *testing.B) {
	for _, c := range []struct {
		name string
		p    Params
	}{
		{"converse-signed", Params{Model: "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0", Settings: benchKeys}},
		{"converse", Params{Model: "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0", APIKey: "key"}},
		{"invoke", Params{Model: "bedrock/invoke/us.anthropic.claude-sonnet-4-5-20250929-v1:0", APIKey: "key"}},
		{"titan", Params{Model: "bedrock/amazon.titan-text-express-v1", APIKey: "key", DropParams: true}},
	} {
		target, err := New(c.p)
		if err != nil {
			b.Fatal(err)
		}
		for _, size := range []int{1 << 10, 100 << 10, 1 << 20} {
			body := benchRequest(size)
			b.Run(fmt.Sprintf("%s/%dKB", c.name, size>>10), func(b *testing.B) {
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

func BenchmarkBedrockEvent(b *testing.B) {
	text := strings.Repeat("word ", 8)
	for _, c := range []struct{ name, model, start, event string }{
		{"converse", "bedrock/amazon.nova-pro-v1:0", `messageStart {"role":"assistant"}`,
			`contentBlockDelta {"contentBlockIndex":0,"delta":{"text":"` + text + `"},"p":"abcdefghijklmn"}`},
		{"invoke", "bedrock/invoke/anthropic.claude-opus-4-8", `chunk {"type":"message_start","message":{"id":"msg_1","usage":{"input_tokens":1}}}`,
			`chunk {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"` + text + `"}}`},
		{"titan", "bedrock/amazon.titan-text-express-v1", `chunk {"outputText":"a"}`, `chunk {"outputText":"` + text + `","index":0,"completionReason":null}`},
	} {
		target, err := New(Params{Model: c.model, APIKey: "k"})
		if err != nil {
			b.Fatal(err)
		}
		r, _ := Parse(Chat, []byte(askStream))
		b.Run(c.name, func(b *testing.B) {
			p := target.Reply(r, "fast")
			p.Begin(200, headers("content-type", "application/vnd.amazon.eventstream"))
			dst := p.Events(nil, framesOf(b, c.start))
			event := framesOf(b, c.event)
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

func BenchmarkBedrockWhole(b *testing.B) {
	for _, c := range []struct{ name, model, format string }{
		{"converse", "bedrock/amazon.nova-pro-v1:0", `{"output":{"message":{"role":"assistant","content":[{"text":"%s"}]}},"stopReason":"end_turn","usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3}}`},
		{"invoke", "bedrock/invoke/anthropic.claude-opus-4-8", `{"id":"msg_1","type":"message","role":"assistant","model":"x","content":[{"type":"text","text":"%s"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":2}}`},
		{"titan", "bedrock/amazon.titan-text-express-v1", `{"inputTextTokenCount":1,"results":[{"tokenCount":2,"outputText":"%s","completionReason":"FINISH"}]}`},
	} {
		target, err := New(Params{Model: c.model, APIKey: "k"})
		if err != nil {
			b.Fatal(err)
		}
		r, _ := Parse(Chat, []byte(askWhole))
		for _, size := range []int{1 << 10, 100 << 10, 1 << 20} {
			body := fmt.Appendf(nil, c.format, strings.Repeat(`some words\n`, size/12))
			b.Run(fmt.Sprintf("%s/%dKB", c.name, size>>10), func(b *testing.B) {
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
