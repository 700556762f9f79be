package adapters

import (
	"bytes"
	"encoding/json"
	"testing"
)

// TestNumberedThoughts adds streams of thinking up as OpenAI's library for Python does: by the index of each piece.
func TestNumberedThoughts(t *testing.T) {
	for path, provider := range map[string]string{
		"testdata/anthropic/thinking-stream.txtar": "anthropic",
		"testdata/bedrock/thinking-stream.txtar":   "bedrock",
		"testdata/mistral/stream.txtar":            "mistral",
	} {
		g := load(t, path)
		target, err := New(g.params(provider))
		if err != nil {
			t.Fatal(err)
		}
		for _, numbered := range []bool{true, false} {
			r := g.request()
			if numbered {
				r.NumberThoughts()
			}
			a := g.answer(target, r, func(rest int) int { return rest })
			blocks, said := []string{}, ""
			for line := range bytes.Lines(a.body) {
				var chunk struct {
					Choices []struct {
						Delta struct {
							Reasoning string `json:"reasoning_content"`
							Blocks    []struct {
								Index    *int
								Thinking string
							} `json:"thinking_blocks"`
						}
					}
				}
				if json.Unmarshal(bytes.TrimPrefix(line, []byte("data: ")), &chunk) != nil || len(chunk.Choices) == 0 {
					continue
				}
				said += chunk.Choices[0].Delta.Reasoning
				for _, b := range chunk.Choices[0].Delta.Blocks {
					if !numbered {
						if b.Index != nil {
							t.Errorf("%s: an index that nobody asked for", path)
						}
						continue
					}
					if b.Index == nil || *b.Index > len(blocks) {
						t.Fatalf("%s: piece %q has no place after %d blocks", path, b.Thinking, len(blocks))
					}
					if *b.Index == len(blocks) {
						blocks = append(blocks, "")
					}
					blocks[*b.Index] += b.Thinking
				}
			}
			all := ""
			for _, b := range blocks {
				all += b
			}
			if said == "" || numbered && all != said {
				t.Errorf("%s: the pieces come to %q, the thinking is %q", path, all, said)
			}
		}
	}
}
