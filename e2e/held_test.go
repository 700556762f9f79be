package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/sluicegw/sluice/envoy/envoytest/provider"
)

// TestHeldStreams: streams that are held until their first event pass whole, many at once, and Envoy lives on.
func TestHeldStreams(t *testing.T) {
	up := provider.New(t, provider.Options{Keep: 4})
	g := start(t, fmt.Sprintf(`model_list:
  - {model_name: m, litellm_params: {model: openai/x, api_base: "%s/v1", api_key: %s}}
  - {model_name: n, litellm_params: {model: openai/y, api_base: "%[1]s/v1", api_key: %[2]s}}
router_settings: {num_retries: 1, stream_timeout: 20, fallbacks: [{m: [n]}]}
general_settings: {master_key: %s}
`, up.URL, providerKey, masterKey))
	defer g.stop()
	g.showOnFailure(t)
	// Above Envoy's watermarks such a stream must be paced: docs/adr/0025-verdicts.md tells of a fault of Envoy 1.40.
	for _, size := range []int{10 << 10, 100 << 10} {
		large := strings.Repeat("0123456789abcde\n", size/16)
		up.Always(provider.ChatStream("up", few, pieces(large, 16<<10)...))
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				a := g.ask(t, masterKey, completions, question("m", `"stream":true`))
				if got := wantStream(t, a); got.text != large || !got.done {
					t.Errorf("%d of %d bytes came: %v", len(got.text), len(large), got.err)
				}
			})
		}
		wg.Wait()
		t.Logf("%d bytes pass", size)
	}
	g.alive(t)
}
