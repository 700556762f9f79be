package catalog

import (
	"math"
	"testing"
)

// TestPieces: what LiteLLM's calculator makes of the same usage.
func TestPieces(t *testing.T) {
	for _, c := range []struct {
		provider, model string
		tokens          Tokens
		want            float64
	}{
		{"gemini", "gemini-2.5-flash", Tokens{Searches: 3}, 0.035},
		{"gemini", "gemini-2.5-flash", Tokens{Searches: 1, Lookups: 2}, 0.06},
		{"gemini", "gemini-3-flash-preview", Tokens{Searches: 3, Lookups: 2}, 0.07},
		{"vertex_ai", "gemini-2.0-flash-001", Tokens{Searches: 2}, 0.035},
		{"vertex_ai", "claude-fable-5", Tokens{Searches: 2}, 0.02},
		{"anthropic", "claude-sonnet-4-5", Tokens{Prompt: 1000, Searches: 2}, 0.003 + 0.02},
		{"openai", "gpt-4o-search-preview", Tokens{Searches: 1}, 0.025},
		{"openai", "gpt-3.5-turbo", Tokens{Searches: 1}, 0},
		{"xai", "grok-4.3", Tokens{Searches: 2}, 0.01},
		{"bedrock", "amazon.titan-embed-image-v1", Tokens{Prompt: 10, Images: 2}, 10*8e-7 + 2*6e-5},
		{"vertex_ai", "text-embedding-005", Tokens{Prompt: 10, Characters: 40}, 40 * 2.5e-8},
		{"gemini", "gemini-2.5-flash", Tokens{Prompt: 100, CachedRead: 100, CachedAudio: 40}, 60*3e-8 + 40*1e-7},
	} {
		info, ok := Lookup(c.provider, c.model)
		got, known := info.Prices.Dollars(c.tokens)
		if !ok || !known || math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s/%s %+v: %v, want %v", c.provider, c.model, c.tokens, got, c.want)
		}
	}
}
