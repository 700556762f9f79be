package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicegw/sluice/envoy/envoytest/provider"
)

// leaks looks for the secrets of this run in everything that was written: logs, answers, metrics. It is
// asked after all tests, too.
func leaks() string {
	var found strings.Builder
	look := func(where, text string) {
		for _, s := range secrets {
			if i := strings.Index(text, s); i >= 0 {
				fmt.Fprintf(&found, "%s: %s…\n", where, text[max(0, i-200):i+8])
			}
		}
	}
	world.mu.Lock()
	defer world.mu.Unlock()
	for _, g := range world.all {
		look("log", g.log.since(0))
	}
	look("answers", world.seen.since(0))
	return found.String()
}

// TestSecretsStay sends secrets wherever a careless log line would pick them up.
func TestSecretsStay(t *testing.T) {
	g := shared(t)
	// Providers repeat the key that they refuse; clients send theirs in wrong places.
	echo := provider.Error(http.StatusUnauthorized, "invalid_request_error", "invalid_api_key", "Incorrect API key provided: "+providerKey)
	wantError(t, chat(t, model(t, echo)), http.StatusUnauthorized)
	chat(t, model(t, provider.HTML(502), provider.Garbage()))
	chat(t, model(t, provider.Reply{Raw: "HTTP/1.1 2\x00 nonsense\r\n\r\n"}))
	post(t, completions, question("m0"), "authorization", "Bearer "+wrongKey)
	post(t, completions+"?key="+clientToken, `{"model":"`+clientToken+`"`, "cookie", "session="+clientToken)
	get(t, "/no/such/path?api_key="+clientToken, "x-api-key", wrongKey, "cookie", clientToken)
	get(t, "/v1/models/none", "authorization", "Bearer "+wrongKey)
	get(t, "/metrics")
	get(t, "/health?model=none", "authorization", "Bearer "+masterKey)
	if found := leaks(); found != "" {
		t.Error(found)
	}
	// The process's own files: configuration for Envoy, whatever it leaves in its directory.
	err := filepath.WalkDir(g.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || d.Name() == "config.yaml" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		for _, s := range secrets {
			if strings.Contains(string(text), s) {
				t.Errorf("%s holds a secret", path)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
