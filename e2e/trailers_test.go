package e2e

import (
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestTrailers: a provider on HTTP/2 may end its answers with trailers, which Envoy does not tell of while it holds one.
func TestTrailers(t *testing.T) {
	large := strings.Repeat("0123456789abcde ", 64<<10)
	up := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request, _ := io.ReadAll(r.Body)
		w.Header().Set("Trailer", "x-sum")
		defer w.Header().Set("x-sum", "1")
		flush := func() { _ = http.NewResponseController(w).Flush() }
		switch {
		case strings.Contains(string(request), `"model":"broken"`):
			w.Header().Set("content-type", "application/json")
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, `{"error":{"message":"broken"}}`)
			flush()
		case strings.Contains(string(request), `"stream":true`):
			w.Header().Set("content-type", "text/event-stream")
			for _, piece := range pieces(large, 16<<10) {
				fmt.Fprintf(w, "data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":%q}}]}\n\n", piece)
				flush()
			}
			_, _ = io.WriteString(w, "data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
		default:
			w.Header().Set("content-type", "application/json")
			_, _ = io.WriteString(w, `{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"fine"},"finish_reason":"stop"}]}`)
			flush()
		}
	}))
	up.EnableHTTP2 = true
	up.StartTLS()
	defer up.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: up.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	g := startWith(t, []string{"SSL_CERT_FILE=" + ca}, fmt.Sprintf(`model_list:
  - {model_name: m, litellm_params: {model: openai/m, api_base: "%s/v1", api_key: %s}}
  - {model_name: broken, litellm_params: {model: openai/broken, api_base: "%[1]s/v1", api_key: %[2]s}}
router_settings: {num_retries: 1, disable_cooldowns: true, fallbacks: [{broken: [m]}], content_policy_fallbacks: [{m: [broken]}]}
general_settings: {master_key: %s}
`, up.URL, providerKey, masterKey))
	defer g.stop()
	g.showOnFailure(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, model := range []string{"m", "broken"} {
				if got := wantChat(t, g.ask(t, masterKey, completions, question(model, `"stream":false`))); got != "fine" {
					t.Errorf("%s: %q", model, got)
				}
				got := wantStream(t, g.ask(t, masterKey, completions, question(model, `"stream":true`)))
				if got.text != large || !got.done || got.err != nil {
					t.Errorf("%s: %d of %d bytes came: %v", model, len(got.text), len(large), got.err)
				}
			}
		})
	}
	wg.Wait()
	g.alive(t)
}
