package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluicegw/sluice/envoy/envoytest/provider"
)

const (
	anthropicBusy = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n"
	openaiBusy    = "data: {\"error\":{\"message\":\"Slow down\",\"type\":\"rate_limit_error\",\"code\":\"rate_limit_exceeded\"}}\n\n"
	geminiBusy    = "data: {\"error\":{\"code\":503,\"message\":\"The service is busy\",\"status\":\"UNAVAILABLE\"}}\n\n"
)

// TestStreamsThatBeginWithAnError: the next attempt, by the error's kind, and where there is none the status that the
// stream should have had; an error that comes later is an event.
func TestStreamsThatBeginWithAnError(t *testing.T) {
	up := provider.New(t, provider.Options{Keep: 100})
	g := start(t, fmt.Sprintf(`model_list:
  - {model_name: openai, litellm_params: {model: openai/o, api_base: "%s/v1", api_key: %s}}
  - {model_name: claude, litellm_params: {model: anthropic/a, api_base: "%[1]s", api_key: %[2]s}}
  - {model_name: gemini, litellm_params: {model: gemini/g, api_base: "%[1]s/v1beta", api_key: %[2]s}}
  - {model_name: safe-openai, litellm_params: {model: openai/o, api_base: "%[1]s/v1", api_key: %[2]s}}
  - {model_name: safe-claude, litellm_params: {model: anthropic/a, api_base: "%[1]s", api_key: %[2]s}}
  - {model_name: safe-gemini, litellm_params: {model: gemini/g, api_base: "%[1]s/v1beta", api_key: %[2]s}}
  - {model_name: other, litellm_params: {model: openai/other, api_base: "%[1]s/v1", api_key: %[2]s}}
router_settings:
  num_retries: 0
  disable_cooldowns: true
  fallbacks: [{safe-openai: [other]}, {safe-claude: [other]}, {safe-gemini: [other]}]
general_settings: {master_key: %s}
`, up.URL, providerKey, masterKey))
	defer g.stop()
	g.showOnFailure(t)
	up.On(provider.Match{Model: "other"}, provider.ChatStream("other", few, "from the other"))
	for _, tt := range []struct {
		model  string
		match  provider.Match
		event  string
		status int
		good   provider.Reply // what it says before it fails late
	}{
		{"openai", provider.Match{Model: "o"}, openaiBusy, 429, provider.ChatStream("o", few, "words")},
		{"claude", provider.Match{Model: "a"}, anthropicBusy, 500, provider.MessageStream("a", few, "words")},
		{"gemini", provider.Match{Path: "/v1beta/*"}, geminiBusy, 503, provider.SSE("data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"words\"}]}}]}\n\n", "")},
	} {
		t.Run(tt.model, func(t *testing.T) {
			up.On(tt.match, provider.SSE(tt.event))
			wantError(t, g.ask(t, masterKey, completions, question(tt.model, `"stream":true`)), tt.status)
			got := wantStream(t, g.ask(t, masterKey, completions, question("safe-"+tt.model, `"stream":true`)))
			if got.text != "from the other" || !got.done || got.err != nil {
				t.Errorf("a stream of %q, %v", got.text, got.err)
			}
			late := tt.good
			last := len(late.Chunks) - 1
			if tt.model == "openai" {
				last = 2 // after the words
			}
			late.Chunks = append(late.Chunks[:last:last], provider.Chunk{After: provider.Duration(50 * time.Millisecond), Data: tt.event})
			up.On(tt.match, late)
			got = wantStream(t, g.ask(t, masterKey, completions, question("safe-"+tt.model, `"stream":true`)))
			if !strings.HasPrefix(got.text, "words") || !got.done || got.err == nil {
				t.Errorf("a stream that fails late: %q, done %v, %v", got.text, got.done, got.err)
			}
		})
	}
	g.alive(t)
}
