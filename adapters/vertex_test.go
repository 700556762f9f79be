package adapters

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegw/sluice/internal/apierror"
)

// serviceAccount is the key of a service account whose tokens come from tokenURI.
func serviceAccount(t *testing.T, tokenURI string) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	out, _ := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "from-the-key", "private_key_id": "1", "private_key": string(text),
		"client_email": "a@b.iam.gserviceaccount.com", "token_uri": tokenURI,
	})
	return string(out)
}

// tokenServer answers as Google's token endpoint; each token is another one, or the status is refused.
func tokenServer(t *testing.T) (url string, status, asked *atomic.Int64) {
	status, asked = new(atomic.Int64), new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := asked.Add(1)
		if s := status.Load(); s != 0 {
			w.WriteHeader(int(s))
			w.Write([]byte(`{"error":"invalid_grant","error_description":"the-secret"}`))
			return
		}
		if r.FormValue("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" || r.FormValue("assertion") == "" {
			t.Errorf("asked for a token with %v", r.Form)
		}
		w.Header().Set("content-type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{"access_token": "token-" + string(rune('0'+n)), "expires_in": 3600, "token_type": "Bearer"})
	}))
	t.Cleanup(server.Close)
	return server.URL + "/token", status, asked
}

func vertexHeader(t *testing.T, target *Target) (string, *apierror.Error) {
	t.Helper()
	r, _ := Parse(Chat, []byte(askWhole))
	out, err := target.Request(r)
	if err != nil {
		return "", err
	}
	for _, h := range out.Headers {
		if h.Name == "authorization" {
			return h.Value, nil
		}
	}
	return "", nil
}

func TestVertexTokens(t *testing.T) {
	url, status, asked := tokenServer(t)
	account := serviceAccount(t, url)
	file := filepath.Join(t.TempDir(), "account.json")
	if err := os.WriteFile(file, []byte(account), 0o600); err != nil {
		t.Fatal(err)
	}
	defer func(before func() time.Time) { clock = before }(clock)
	var offset atomic.Int64
	clock = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }

	target, err := New(Params{Model: "vertex_ai/gemini-2.5-pro", Settings: map[string]string{"vertex_credentials": account}})
	if err != nil {
		t.Fatal(err)
	}
	same, err := New(Params{Model: "vertex_ai/claude-sonnet-4-5", Settings: map[string]string{"vertex_ai_credentials": file}})
	if err != nil {
		t.Fatal(err)
	}
	if target.vertex.project != "from-the-key" || asked.Load() != 0 {
		t.Fatalf("project %q, %d tokens before the first call", target.vertex.project, asked.Load())
	}
	status.Store(503)
	if _, err := vertexHeader(t, target); err == nil || err.Kind != apierror.Unavailable || err.Status != 503 {
		t.Errorf("a token endpoint that is down: %v", err)
	}
	offset.Add(int64(tokenRetry))
	status.Store(400)
	if _, err := vertexHeader(t, target); err == nil || err.Kind != apierror.Unauthenticated || strings.Contains(err.Message, "the-secret") {
		t.Errorf("a token endpoint that refuses: %v", err)
	}
	offset.Add(int64(tokenRetry))
	status.Store(0)
	for _, d := range []*Target{target, same} {
		if got, err := vertexHeader(t, d); err != nil || got != "Bearer token-3" {
			t.Errorf("%s: %q %v", d, got, err)
		}
	}
	// Shortly before its end a token is renewed beside the calls, which go on with it.
	const nearEnd = time.Hour - tokenAhead/2
	offset.Add(int64(nearEnd))
	if got, err := vertexHeader(t, target); err != nil || got != "Bearer token-3" {
		t.Errorf("while it is renewed: %q %v", got, err)
	}
	offset.Add(-int64(nearEnd)) // the next one ends an hour from now as the server has it, and is not to be renewed, too
	deadline := time.Now().Add(10 * time.Second)
	for got := ""; got != "Bearer token-4"; got, _ = vertexHeader(t, target) {
		if time.Now().After(deadline) {
			t.Fatalf("never renewed: %q after %d answers", got, asked.Load())
		}
	}
	if n := asked.Load(); n != 4 {
		t.Errorf("asked for %d tokens", n)
	}
}

func TestVertexRefuses(t *testing.T) {
	const secret = "the-secret-of-the-key"
	for _, c := range []struct {
		name     string
		settings map[string]string
		want     string
	}{
		{"no project", map[string]string{"vertex_credentials": `{"type":"authorized_user"}`}, "vertex_project: missing"},
		{"project", map[string]string{"vertex_project": "a/b"}, "vertex_project: not the id"},
		{"project, query", map[string]string{"vertex_project": "a?b"}, "vertex_project: not the id"},
		{"location", map[string]string{"vertex_project": "p", "vertex_location": "evil.example/"}, "vertex_location: not a location"},
		{"location, upper", map[string]string{"vertex_project": "p", "vertex_location": "US"}, "vertex_location: not a location"},
		{"no file", map[string]string{"vertex_credentials": "/no/such/" + secret}, "neither JSON nor a file"},
		{"no JSON", map[string]string{"vertex_credentials": `{"private_key":"` + secret + "\n\"}"}, "not the JSON of a Google credential"},
		{"no type", map[string]string{"vertex_credentials": `{"private_key":"` + secret + `"}`}, "not the JSON of a Google credential"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := New(Params{Model: "vertex_ai/gemini-2.5-pro", Settings: c.settings})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
}

func TestVertexSettings(t *testing.T) {
	env := map[string]string{"VERTEXAI_PROJECT": "from-env", "VERTEX_LOCATION": "europe-west1"}
	settings := map[string]string{"vertex_ai_project": "p"}
	FromEnvironment("vertex_ai", settings, func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	target, err := New(Params{Model: "vertex_ai_beta/gemini-2.5-pro", Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	if target.vertex.project != "p" || target.Endpoint().Host != "europe-west1-aiplatform.googleapis.com" || !target.Endpoint().HTTP2 {
		t.Errorf("project %q at %+v", target.vertex.project, target.Endpoint())
	}
	own, err := New(Params{Model: "vertex_ai/gemini-2.5-pro", Settings: map[string]string{"vertex_project": "p"}, ExtraHeaders: map[string]string{"Authorization": "Bearer mine"}})
	if err != nil {
		t.Fatal(err)
	}
	if got, e := vertexHeader(t, own); e != nil || got != "Bearer mine" {
		t.Errorf("a deployment with its own header: %q %v", got, e)
	}
}
