package adapters

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"
)

// entra is a token endpoint that answers what it is told and notes what it was asked.
type entra struct {
	*httptest.Server
	mu     sync.Mutex
	asked  []string
	status int
	body   string
}

func newEntra(t *testing.T, status int, body string) *entra {
	e := &entra{status: status, body: body}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		e.mu.Lock()
		e.asked = append(e.asked, r.URL.Path+"?"+r.Form.Encode()+" "+r.Header.Get("X-Identity-Header"))
		e.mu.Unlock()
		w.Header().Set("content-type", "application/json")
		w.WriteHeader(e.status)
		_, _ = w.Write([]byte(e.body))
	}))
	t.Cleanup(e.Close)
	return e
}

const entraToken = `{"access_token":"eyJ.fresh","token_type":"Bearer","expires_in":3600}`

func TestWhereAzureTokensComeFrom(t *testing.T) {
	federated := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(federated, []byte("eyJ.federated\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	expires := `{"access_token":"eyJ.machine","expires_on":"4102444800"}`
	for _, c := range []struct {
		name string
		set  map[string]string
		body string
		want []string // in what the endpoint was asked
		auth string
	}{
		{"secret", map[string]string{"tenant_id": "t-1", "client_id": "c-1", "client_secret": "s-1"}, entraToken,
			[]string{"/t-1/oauth2/v2.0/token?", "client_id=c-1", "client_secret=s-1", "grant_type=client_credentials", "scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default"}, "Bearer eyJ.fresh"},
		{"workload identity", map[string]string{"tenant_id": "t-2", "client_id": "c-2", "azure_federated_token_file": federated}, entraToken,
			[]string{"client_assertion=eyJ.federated", "jwt-bearer"}, "Bearer eyJ.fresh"},
		{"oidc file", map[string]string{"tenant_id": "t-3", "client_id": "c-3", "azure_ad_token": "oidc/file/" + federated}, entraToken,
			[]string{"client_assertion=eyJ.federated"}, "Bearer eyJ.fresh"},
		{"app service", map[string]string{"azure_managed_identity": "true", "identity_endpoint": "SERVER/msi", "identity_header": "h-1"}, expires,
			[]string{"/msi?api-version=2019-08-01", "resource=https%3A%2F%2Fcognitiveservices.azure.com", "h-1"}, "Bearer eyJ.machine"},
		{"as it is", map[string]string{"azure_ad_token": "eyJ.given"}, "", nil, "Bearer eyJ.given"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEntra(t, 200, c.body)
			c.set["azure_authority_host"] = e.URL
			if c.set["identity_endpoint"] != "" {
				c.set["identity_endpoint"] = e.URL + "/msi"
			}
			target, err := New(Params{Model: "azure/d", APIBase: "https://x.openai.azure.com", Settings: c.set})
			if err != nil || target.MissingCredential() != "" {
				t.Fatal(err, target.MissingCredential())
			}
			r, _ := Parse(Chat, []byte(askWhole))
			for range 3 {
				out, err := target.Request(r)
				if err != nil {
					t.Fatal(err)
				}
				if got := headerOf(out, "authorization"); got != c.auth || headerOf(out, "api-key") != "" {
					t.Fatalf("authorization %q", got)
				}
			}
			if asked := len(e.asked); c.want != nil && asked != 1 {
				t.Fatalf("asked %d times", asked)
			}
			for _, part := range c.want {
				if !strings.Contains(e.asked[0], part) {
					t.Errorf("%q is not in %q", part, e.asked[0])
				}
			}
		})
	}
}

func headerOf(out *Outgoing, name string) string {
	for _, h := range out.Headers {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

func TestAzureWithoutCredentials(t *testing.T) {
	target, err := New(Params{Model: "azure/d", APIBase: "https://x.openai.azure.com"})
	if err != nil || target.MissingCredential() != "AZURE_API_KEY" {
		t.Errorf("%v, missing %q", err, target.MissingCredential())
	}
	for set, want := range map[string]string{"oidc/github": "only oidc/file/", "oidc/file/x": "tenant_id and client_id", "a\nb": "control character"} {
		_, err := New(Params{Model: "azure/d", APIBase: "https://x.openai.azure.com", Settings: map[string]string{"azure_ad_token": set}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", set, err)
		}
	}
}

func TestRefusedAzureCredentials(t *testing.T) {
	e := newEntra(t, 401, `{"error":"invalid_client","error_description":"AADSTS7000215: wrong secret s-secret-1234"}`)
	target, err := New(Params{Model: "azure/d", APIBase: "https://x.openai.azure.com", Settings: map[string]string{
		"tenant_id": "t-9", "client_id": "c-9", "client_secret": "s-secret-1234", "azure_authority_host": e.URL}})
	if err != nil {
		t.Fatal(err)
	}
	r, _ := Parse(Chat, []byte(askWhole))
	for range 3 { // a refusal is not asked for again at once
		_, refusal := target.Request(r)
		if refusal == nil || refusal.Status != 401 || strings.Contains(refusal.Message, "s-secret") || !strings.Contains(refusal.Message, "invalid_client") {
			t.Fatalf("%+v", refusal)
		}
	}
	if len(e.asked) > 2 { // oauth2 tries both places for a secret when told to find out; here it is told
		t.Errorf("asked %d times", len(e.asked))
	}
}

// TestTokensAreRenewedAhead: one call waits for the first token, none for the next.
func TestTokensAreRenewedAhead(t *testing.T) {
	now := time.Unix(1700000000, 0)
	var mu sync.Mutex
	old := clock
	clock = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	defer func() { clock = old }()
	step := func(d time.Duration) { mu.Lock(); now = now.Add(d); mu.Unlock() }

	fetched, gate := make(chan struct{}, 8), make(chan struct{}, 8)
	n := 0
	s := &tokenSource{fetch: func(context.Context) (*oauth2.Token, error) {
		<-gate
		n++
		fetched <- struct{}{}
		return &oauth2.Token{AccessToken: strings.Repeat("x", n), Expiry: clock().Add(time.Hour)}, nil
	}}
	gate <- struct{}{}
	if tok, err := s.token(); err != nil || tok != "x" {
		t.Fatal(tok, err)
	}
	<-fetched
	step(56 * time.Minute)
	for range 5 { // the renewal has begun, and waits at the gate: nobody else does
		if tok, err := s.token(); err != nil || tok != "x" {
			t.Fatal(tok, err)
		}
	}
	gate <- struct{}{}
	<-fetched
	func() { // until the renewal has ended
		s.mu.Lock()
		defer s.mu.Unlock()
	}()
	if tok, err := s.token(); err != nil || tok != "xx" {
		t.Fatal(tok, err)
	}
}

func TestTokensThatCannotBeHad(t *testing.T) {
	s := &tokenSource{fetch: func(context.Context) (*oauth2.Token, error) { return nil, errors.New("no route to secret-host") }}
	_, err := s.token()
	if err == nil || err.Status != 503 || strings.Contains(err.Message, "secret-host") {
		t.Errorf("%+v", err)
	}
	s = &tokenSource{fetch: func(context.Context) (*oauth2.Token, error) { return &oauth2.Token{AccessToken: "a\nb"}, nil }}
	if _, err := s.token(); err == nil {
		t.Error("a token that breaks out of its header was taken")
	}
	if _, err := machineToken([]byte(`{"access_token":"x"}`)); err == nil {
		t.Error("a token without an end was taken")
	}
}
