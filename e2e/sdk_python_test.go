package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sluicegw/sluice/envoy/envoytest/provider"
)

// TestOpenAIPython: OpenAI's own Python library works unchanged: answers, streams, tools, the classes of
// its exceptions, and no retries of its own where the gateway has made all there were.
func TestOpenAIPython(t *testing.T) {
	if testing.Short() {
		t.Skip("the quick checks install no Python libraries")
	}
	g := shared(t)
	libraries := filepath.Join(root(), ".tools", "testpy")
	if _, err := os.Stat(filepath.Join(libraries, "openai")); err != nil {
		t.Fatalf("this test needs OpenAI's Python library: run `make testtools` (%v)", err)
	}
	models := map[string]map[string]string{}
	for _, b := range backends {
		models[b.name] = map[string]string{
			"chat": b.model(t, b.chat), "stream": b.model(t, b.stream), "tool": b.model(t, b.tool),
			"toolStream": b.model(t, b.toolStream), "refusal": b.model(t, b.refusal),
			"limited": b.model(t, provider.Error(429, "rate_limit_error", "", "slow down")),
			"down":    b.model(t, provider.JSON(500, `{}`)),
			"garbage": b.model(t, provider.Garbage()),
			"hang":    b.model(t, provider.NoAnswer(provider.Hang)),
			"cut":     b.model(t, b.stream.CutAfter(3, provider.Complete)),
		}
	}
	given, err := json.Marshal(map[string]any{"url": g.url, "key": masterKey, "wrong": wrongKey, "providers": models})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "python3", filepath.Join("testdata", "client.py"))
	cmd.Env = append(os.Environ(), "PYTHONPATH="+libraries, "PYTHONDONTWRITEBYTECODE=1")
	cmd.Stdin = bytes.NewReader(given)
	out, err := cmd.CombinedOutput()
	_, _ = world.seen.Write(out)
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for name, of := range models {
		for _, once := range []string{"limited", "down", "garbage", "hang"} {
			if n := len(received(of[once])); n != 1 {
				t.Errorf("%s: %s reached the provider %d times: the library retried", name, once, n)
			}
		}
	}
}
