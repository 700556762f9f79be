package sdks

import (
	"encoding/json"
	"strings"
	"testing"

	anthropicsdk "github.com/anthropics/anthropic-sdk-go"
	anthropicstream "github.com/anthropics/anthropic-sdk-go/packages/ssestream"
)

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
	p := roundTrip[anthropicsdk.BetaMessageNewParams](t, body, ".stream", ".x_new") // set by the method; an extra_body
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
