package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/sluicegw/sluice/envoy/envoytest/provider"
)

// heldConfig has answers held: m's streams until their first event, n's answers until they are whole, and every
// failed one, after which two more attempts follow.
const heldConfig = `model_list:
  - {model_name: m, litellm_params: {model: openai/x, api_base: "%s/v1", api_key: %s}}
  - {model_name: n, litellm_params: {model: openai/y, api_base: "%[1]s/v1", api_key: %[2]s}}
  - {model_name: last, litellm_params: {model: openai/z, api_base: "%[1]s/v1", api_key: %[2]s}}
router_settings:
  num_retries: 1
  stream_timeout: 60
  fallbacks: [{m: [last]}, {n: [last]}]
  content_policy_fallbacks: [{n: [last]}]
  disable_cooldowns: true
  retry_budget_floor: 1000000
general_settings: {master_key: %s}
`

// TestHeldAnswers: what was held passes whole, many at once and much faster than it is read, and Envoy lives on.
func TestHeldAnswers(t *testing.T) {
	up := provider.New(t, provider.Options{Keep: 4})
	g := start(t, fmt.Sprintf(heldConfig, up.URL, providerKey, masterKey))
	defer g.stop()
	g.showOnFailure(t)
	const many = 8
	sizes, rounds := []int{10 << 10, 300 << 10, 1 << 20, 8 << 20}, 3
	if testing.Short() {
		sizes, rounds = sizes[:3], 1
	}
	for _, size := range sizes {
		large := strings.Repeat("0123456789abcde ", size/16)
		events := pieces(large, 16<<10)
		for _, tt := range []struct {
			name, model, stream string
			reply               provider.Reply
			rounds              int
		}{
			{"stream", "m", `"stream":true`, provider.ChatStream("up", few, events...), rounds},
			{"stream whose answer is judged", "n", `"stream":true`, provider.ChatStream("up", few, events...), 1},
			{"answer", "n", `"stream":false`, provider.Chat("up", large, few), rounds},
			{"failure", "m", `"stream":false`, failure(500, events), rounds},
			{"failure of a stream", "m", `"stream":true`, failure(429, events), 1},
			{"refusal", "m", `"stream":true`, failure(400, events), 1},
		} {
			t.Run(fmt.Sprintf("%s of %d bytes", tt.name, size), func(t *testing.T) {
				if size > 1<<20 {
					tt.rounds = 1
				}
				up.Always(tt.reply)
				for range tt.rounds {
					var wg sync.WaitGroup
					for range many {
						wg.Go(func() { g.wantHeld(t, tt.model, tt.stream, tt.reply.Status, large) })
					}
					wg.Wait()
				}
				g.alive(t)
			})
		}
	}
}

// wantHeld asks, and wants all of the text, or the failure.
func (g *gateway) wantHeld(t *testing.T, model, stream string, failed int, text string) {
	a := g.ask(t, masterKey, completions, question(model, stream))
	switch {
	case failed >= 400:
		if a.status != failed || a.header.Get("content-type") != "application/json" {
			t.Errorf("status %d, want %d: %.300s", a.status, failed, a.body)
		}
	case stream == `"stream":true`:
		if got := wantStream(t, a); got.text != text || !got.done {
			t.Errorf("%d of %d bytes came: %v", len(got.text), len(text), got.err)
		}
	default:
		if got := wantChat(t, a); got != text {
			t.Errorf("%d of %d bytes came", len(got), len(text))
		}
	}
}

// failure is an error of many pieces.
func failure(status int, text []string) provider.Reply {
	out := provider.Reply{Status: status, Header: map[string]string{"Content-Type": "application/json"},
		Chunks: []provider.Chunk{{Data: `{"error":{"message":"`}}}
	for _, piece := range text {
		out.Chunks = append(out.Chunks, provider.Chunk{Data: piece})
	}
	out.Chunks = append(out.Chunks, provider.Chunk{Data: `"}}`})
	if status == http.StatusTooManyRequests {
		out.Header["Retry-After"] = "0"
	}
	return out
}
