package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicegw/sluice/cmd/sluice/config"
	"github.com/sluicegw/sluice/extproc"
	"github.com/sluicegw/sluice/policy/route"
)

// A running gateway knows who is out and until when.
func TestExplainWithHealth(t *testing.T) {
	c, err := config.Load(write(t, `
model_list:
  - {model_name: chat, litellm_params: {model: openai/a, api_key: sk-a}, model_info: {id: one}}
  - {model_name: chat, litellm_params: {model: openai/b, api_key: sk-b}, model_info: {id: two}}
router_settings: {routing_strategy: p2c}
`), env())
	if err != nil {
		t.Fatal(err)
	}
	a, err := assemble(c, surroundings{})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	health := route.NewHealth(func() time.Time { return now }, nil)
	health.Apply(a.snapshot.Table)
	health.Report(route.Outcome{DeploymentID: "one", Status: 429, RetryAfter: 42 * time.Second})
	var full func(*extproc.Deployment) error
	text := func() string {
		var b strings.Builder
		if err := explain(&b, a, &moment{health: health, full: full}, "chat", now); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	got := text()
	for _, want := range []string{
		"A call to chat would try this, as long as attempts fail, in the order of p2c:", " 1. openai/b",
		"one of two that are drawn; not measured lately, 0 under way",
		"Left out:\n      openai/a (one): cooling down after 429 rate_limit, for 42s more, until 03:04:47\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	full = func(d *extproc.Deployment) error {
		return &route.Full{Reason: "its limit of 7 requests a minute is reached", RetryAfter: 9 * time.Second}
	}
	got = text()
	for _, want := range []string{"A call would be refused: 429", "openai/b (two): its limit of 7 requests a minute is reached, for 9s more, until 03:04:14\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	full = nil
	health.Report(route.Outcome{DeploymentID: "two", Status: 401})
	got = text()
	for _, want := range []string{"A call would be refused: 429", "(two): cooling down after 401 unauthenticated, for 5s more"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	now = now.Add(time.Minute)
	for range 3 { // looking claims nothing
		if got = text(); !strings.Contains(got, "one call tries it, for its cooldown is over") || strings.Contains(got, "refused") {
			t.Error(got)
		}
	}
}

func TestExplainRemote(t *testing.T) {
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("authorization") != "Bearer sk-master-key-1234" {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte("the plan of " + r.URL.Path + " " + r.URL.Query().Get("model")))
	}))
	defer gateway.Close()
	o := options{command: "check", explain: "a/b c", url: gateway.URL + "/"}
	var stdout, stderr strings.Builder
	if status := runCheck(o, &stdout, &stderr, env("LITELLM_MASTER_KEY", "sk-master-key-1234")); status != 0 {
		t.Fatal(stderr.String())
	}
	if got := stdout.String(); got != "the plan of /health/explain a/b c" {
		t.Error(got)
	}
	o.config = write(t, "general_settings: {master_key: sk-master-key-1234}\nmodel_list: []\n")
	if status := runCheck(o, &stdout, &stderr, env()); status != 0 {
		t.Error(stderr.String())
	}
	o.config = ""
	if status := runCheck(o, &stdout, &stderr, env()); status != 1 || !strings.Contains(stderr.String(), "401 Unauthorized: who are you?") {
		t.Error(stderr.String())
	}
	gateway.Close()
	stderr.Reset()
	if status := runCheck(o, &stdout, &stderr, env()); status != 1 || !strings.Contains(stderr.String(), "does not answer") {
		t.Error(stderr.String())
	}
}

// write makes a configuration file.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
