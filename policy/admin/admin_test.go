package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/policy/keys"
)

const master = "sk-master-key-1234"

// ring has a key that may use some models only, besides the master key.
type ring struct{ *keys.Keyring }

func (r ring) Authenticate(token string) (*keys.Key, *apierror.Error) {
	if token == "sk-only-gpt" {
		return &keys.Key{Hash: keys.Hash(token), Role: keys.InternalUser, Models: []string{"gpt", "openai/*", "small"}}, nil
	}
	return r.Keyring.Authenticate(token)
}

var deployments = []Deployment{
	{ID: "d1", Group: "gpt", Model: "openai/gpt-4o", Provider: "openai", APIBase: "https://one"},
	{ID: "d2", Group: "gpt", Model: "azure/gpt-4o", Provider: "azure", APIBase: "https://two"},
	{ID: "d3", Group: "claude", Model: "anthropic/claude", Provider: "anthropic"},
	{ID: "d4", Group: "nokey", Model: "groq/llama", Provider: "groq", Unusable: "GROQ_API_KEY is not set"},
	{ID: "d5", Group: "openai/*", Model: "openai/*", Provider: "openai"},
	{ID: "d6", Group: "mistral/large", Model: "mistral/large", Provider: "mistral", Hidden: true},
	{ID: "d7", Group: "demo", Model: "demo/parrot", Provider: "demo", OwnedBy: "sluice-demo (not a language model)"},
}

func snapshot() *Snapshot {
	return &Snapshot{
		Keys: ring{keys.New(master)}, Deployments: deployments,
		Aliases: map[string]string{"small": "gpt", "gone": "nokey", "demo": "gpt", "opus": "claude"},
	}
}

type prober func(ctx context.Context, id string) error

func (p prober) Probe(ctx context.Context, id string) error { return p(ctx, id) }

func options() Options {
	return Options{
		Snapshot: snapshot, Version: "1.2.3",
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "up 1\n") }),
	}
}

// get asks the server; token may be empty.
func get(s *Server, method, path, token string) (*http.Response, string) {
	r := httptest.NewRequest(method, path, nil)
	if token != "" {
		r.Header.Set("authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	b, _ := io.ReadAll(w.Result().Body)
	return w.Result(), string(b)
}

func TestAnswers(t *testing.T) {
	list := func(names ...string) string {
		var b strings.Builder
		for i, n := range names {
			if i > 0 {
				b.WriteByte(',')
			}
			owner := "openai"
			if n == "demo" {
				owner = "sluice-demo (not a language model)"
			}
			b.WriteString(`{"id":"` + n + `","object":"model","created":1677610602,"owned_by":"` + owner + `"}`)
		}
		return `{"data":[` + b.String() + `],"object":"list"}`
	}
	tests := []struct {
		name, method, path, token string
		status                    int
		body                      string // all of it, or with "…" at an end a part
	}{
		{"liveliness", "GET", "/health/liveliness", "", 200, `"I'm alive!"`},
		{"liveness", "GET", "/health/liveness", "", 200, `"I'm alive!"`},
		{"trailing slash", "GET", "/health/liveness/", "", 200, `"I'm alive!"`},
		{"readiness", "GET", "/health/readiness", "", 200, `{"status":"healthy","db":"Not connected"}`},
		{"options", "OPTIONS", "/health/readiness", "", 200, ""},
		{"models of the master key", "GET", "/v1/models", master, 200, list("gpt", "claude", "openai/*", "demo", "opus", "small")},
		{"models of a key", "GET", "/models", "sk-only-gpt", 200, list("gpt", "openai/*", "small")},
		{"models without key", "GET", "/v1/models", "", 401, "…No api key passed in.…"},
		{"models with a wrong key", "GET", "/v1/models", "sk-wrong-wrong-wrong", 401, "…token_not_found_in_db…"},
		{"model", "GET", "/v1/models/claude", master, 200, `{"id":"claude","object":"model","created":1677610602,"owned_by":"openai"}`},
		{"model with a slash", "GET", "/models/openai/*", master, 200, `{"id":"openai/*",…`},
		{"model not for this key", "GET", "/v1/models/claude", "sk-only-gpt", 404,
			"{\"error\":{\"message\":\"The model `claude` does not exist or is not accessible\",\"type\":\"invalid_request_error\",\"param\":\"model\",\"code\":\"404\"}}"},
		{"hidden model", "GET", "/v1/models/mistral/large", master, 404, "…does not exist…"},
		{"metrics", "GET", "/metrics", "", 200, "up 1\n"},
		{"root", "GET", "/", "", 200, `{"name":"sluice","version":"1.2.3","paths":[…`},
		{"unknown path", "GET", "/nope", "", 404, `{"error":{"message":"There is no /nope here. GET / lists what there is.","type":"invalid_request_error","param":null,"code":"404"}}`},
		{"LiteLLM's path", "POST", "/organization/new", master, 404, "…/organization/new is part of LiteLLM's API, but this version of sluice does not have it.…"},
		{"hostile path", "GET", "/%0a%3Cscript%3E\u202e", "", 404, "…There is no /.<script>. here.…"},
		{"wrong method", "POST", "/v1/models", master, 405, `{"error":{"message":"POST is not a method of /v1/models: use GET.","type":"invalid_request_error","param":null,"code":"405"}}`},
	}
	s := New(options())
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, body := get(s, tt.method, tt.path, tt.token)
			part, want := false, tt.body
			if strings.HasPrefix(want, "…") || strings.HasSuffix(want, "…") {
				part, want = true, strings.Trim(want, "…")
			}
			if w.StatusCode != tt.status || (part && !strings.Contains(body, want)) || (!part && body != want) {
				t.Errorf("%d %s", w.StatusCode, body)
			}
			if strings.HasPrefix(body, "{") && (w.Header.Get("content-type") != "application/json" || !json.Valid([]byte(body))) {
				t.Errorf("not JSON: %v", w.Header)
			}
			if tt.status == 405 && w.Header.Get("allow") == "" {
				t.Error("no allow header")
			}
		})
	}
}

func TestPage(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("accept", "text/html,*/*")
	w := httptest.NewRecorder()
	New(options()).ServeHTTP(w, r)
	if body := w.Body.String(); w.Code != 200 || !strings.Contains(body, "sluice 1.2.3") || !strings.Contains(body, "/v1/chat/completions") ||
		!strings.HasPrefix(w.Header().Get("content-type"), "text/html") {
		t.Errorf("%d %s", w.Code, body)
	}
}

func TestReadiness(t *testing.T) {
	tests := []struct {
		name          string
		state         State
		db            func(context.Context) (string, bool)
		ready, live   int
		body, aliveAs string
	}{
		{"starting", Starting, nil, 503, 200, `{"status":"unhealthy","reason":"waiting for Envoy"}`, `"I'm alive!"`},
		{"ready", Ready, nil, 200, 200, `{"status":"healthy","db":"Not connected"}`, `"I'm alive!"`},
		{"draining", Draining, nil, 503, 503, `{"status":"shutting_down"}`, `{"status":"shutting_down"}`},
		{"database", Ready, func(context.Context) (string, bool) { return "connected", true }, 200, 200,
			`{"status":"healthy","db":"connected"}`, `"I'm alive!"`},
		{"database down", Ready, func(context.Context) (string, bool) { return "disconnected", false }, 503, 200,
			`{"status":"healthy","db":"disconnected"}`, `"I'm alive!"`},
	}
	for _, tt := range tests {
		o := options()
		o.Database = tt.db
		o.State = func() (State, string) { return tt.state, "waiting for Envoy" }
		s := New(o)
		if w, body := get(s, "GET", "/health/readiness", ""); w.StatusCode != tt.ready || body != tt.body {
			t.Errorf("%s: %d %s", tt.name, w.StatusCode, body)
		}
		if w, body := get(s, "GET", "/health/liveliness", ""); w.StatusCode != tt.live || body != tt.aliveAs {
			t.Errorf("%s: %d %s", tt.name, w.StatusCode, body)
		}
	}
}

func TestHealth(t *testing.T) {
	tests := []struct {
		name, path, token string
		status            int
		healthy, unwell   string // "model error" of each, by commas
	}{
		{"master key", "/health", master, 200,
			"d1 https://one,d3 ,d5 ,d6 ,d7 ", "d2 https://two 401 Unauthorized from the provider,d4  GROQ_API_KEY is not set"},
		{"key sees its own, not where they are", "/health", "sk-only-gpt", 200, "d1 ,d5 ", "d2  401 Unauthorized from the provider"},
		{"by group", "/health?model=claude", master, 200, "d3 ", ""},
		{"by provider's model", "/health?model=openai/gpt-4o", master, 200, "d1 https://one", ""},
		{"by id", "/health?model_id=d2", master, 503, "", "d2 https://two 401 Unauthorized from the provider"},
		{"by a group of others", "/health?model=claude", "sk-only-gpt", 503, "", ""},
		{"unknown", "/health?model=nope", master, 503, "", ""},
	}
	o := options()
	o.Prober = prober(func(_ context.Context, id string) error {
		if id == "d2" {
			return errors.New("401 Unauthorized\n\tfrom the provider")
		}
		return nil
	})
	s := New(o)
	line := func(es []endpoint) string {
		var out []string
		for _, e := range es {
			line := e.ModelID + " " + e.APIBase
			if e.Error != "" {
				line += " " + e.Error
			}
			out = append(out, line)
		}
		return strings.Join(out, ",")
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, body := get(s, "GET", tt.path, tt.token)
			var got healthReport
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatal(err, body)
			}
			if w.StatusCode != tt.status || line(got.Healthy) != tt.healthy || line(got.Unhealthy) != tt.unwell ||
				got.HealthyCount != len(got.Healthy) || got.UnhealthyCount != len(got.Unhealthy) {
				t.Errorf("%d %s", w.StatusCode, body)
			}
			if !strings.Contains(body, `"healthy_endpoints":[`) || !strings.Contains(body, `"unhealthy_endpoints":[`) {
				t.Errorf("no lists: %s", body)
			}
		})
	}
}

func TestHealthWithoutKey(t *testing.T) {
	o := options()
	o.Prober = prober(func(context.Context, string) error {
		t.Error("a stranger made us call a provider")
		return nil
	})
	o.Seen = func(id string) (Seen, bool) {
		return Seen{Healthy: id != "d1", At: time.Unix(1, 0)}, id != "d3"
	}
	s := New(o)
	w, body := get(s, "GET", "/health", "")
	if want := `{"healthy_endpoints":[],"unhealthy_endpoints":[],"healthy_count":5,"unhealthy_count":2}`; w.StatusCode != 200 || body != want {
		t.Errorf("%d %s", w.StatusCode, body)
	}
	if w, body := get(s, "GET", "/health", "sk-wrong-wrong-wrong"); w.StatusCode != 401 {
		t.Errorf("%d %s", w.StatusCode, body)
	}
}

func TestHealthOfAnOpenServer(t *testing.T) {
	var asked atomic.Int32
	o := options()
	o.Snapshot = func() *Snapshot { return &Snapshot{Keys: keys.New(""), Deployments: deployments} }
	o.Prober = prober(func(context.Context, string) error { asked.Add(1); return nil })
	if w, body := get(New(o), "GET", "/health", ""); w.StatusCode != 200 || asked.Load() != 6 {
		t.Errorf("%d %s, %d asked", w.StatusCode, body, asked.Load())
	}
}

func TestHealthLimits(t *testing.T) {
	var now, most atomic.Int32
	o := options()
	o.ProbeConcurrency, o.ProbeTimeout = 2, time.Millisecond
	o.Prober = prober(func(ctx context.Context, id string) error {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		if id == "d3" {
			panic("boom")
		}
		<-ctx.Done()
		return ctx.Err()
	})
	s := New(o)
	w, body := get(s, "GET", "/health", master)
	if w.StatusCode != 200 || strings.Count(body, "no answer within 1ms") != 5 || strings.Count(body, "sluice failed to ask") != 1 ||
		strings.Contains(body, "boom") {
		t.Errorf("%d %s", w.StatusCode, body)
	}
	if most.Load() > 2 {
		t.Errorf("%d at once", most.Load())
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for range cap(s.probes) { // others are using all of them
		s.probes <- struct{}{}
	}
	rec := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/health", nil).WithContext(ctx)
	r.Header.Set("x-api-key", master)
	s.ServeHTTP(rec, r)
	if strings.Count(rec.Body.String(), "not asked") != 6 {
		t.Error(rec.Body.String())
	}
}

func TestBeforeTheFirstSnapshot(t *testing.T) {
	o := options()
	o.Snapshot = func() *Snapshot { return nil }
	s := New(o)
	for _, path := range []string{"/v1/models", "/health", "/models/x"} {
		w, body := get(s, "GET", path, master)
		if w.StatusCode != 503 || w.Header.Get("retry-after") != "1" || !strings.Contains(body, `{"error":`) {
			t.Errorf("%s: %d %s", path, w.StatusCode, body)
		}
	}
}

func TestReloadIsSeen(t *testing.T) {
	now := snapshot()
	o := options()
	o.Snapshot = func() *Snapshot { return now }
	s := New(o)
	now = &Snapshot{Keys: keys.New("sk-another-master-key"), Deployments: deployments[2:3]}
	if w, _ := get(s, "GET", "/v1/models", master); w.StatusCode != 401 {
		t.Errorf("the old key still works: %d", w.StatusCode)
	}
	if w, body := get(s, "GET", "/v1/models", "sk-another-master-key"); w.StatusCode != 200 || strings.Count(body, `"id"`) != 1 {
		t.Errorf("%d %s", w.StatusCode, body)
	}
}

func TestPanicIsAnswered(t *testing.T) {
	o := options()
	o.Metrics = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("sk-secret in a panic") })
	w, body := get(New(o), "GET", "/metrics", "")
	if w.StatusCode != 500 || !strings.Contains(body, `"type":"internal_server_error"`) || strings.Contains(body, "secret") {
		t.Errorf("%d %s", w.StatusCode, body)
	}
}

func TestServeOnASocket(t *testing.T) {
	path := t.TempDir() + "/http.sock"
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := New(options())
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}}
	resp, err := client.Get("http://sluice/health/liveliness")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if string(body) != `"I'm alive!"` {
		t.Errorf("%s", body)
	}
	head, err := client.Head("http://sluice/v1/models")
	if err != nil || head.StatusCode != 401 {
		t.Errorf("%v %v", head, err)
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}

func TestMetricsMayNeedAKey(t *testing.T) {
	snap := &Snapshot{Keys: keys.New("sk-1234567890"), MetricsNeedKey: true}
	s := New(Options{Snapshot: func() *Snapshot { return snap },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("figures")) })})
	get := func(key string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		if key != "" {
			r.Header.Set("authorization", "Bearer "+key)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w
	}
	for key, want := range map[string]int{"": 401, "sk-wrong67890": 401, "sk-1234567890": 200} {
		if got := get(key).Code; got != want {
			t.Errorf("key %q: status %d, want %d", key, got, want)
		}
	}
	snap.MetricsNeedKey = false
	if got := get("").Code; got != 200 {
		t.Errorf("open: status %d", got)
	}
}

func TestModelPathsSayHowToCallThem(t *testing.T) {
	s := New(Options{Snapshot: func() *Snapshot { return nil }})
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{http.MethodGet, "/v1/chat/completions", 405}, {http.MethodPut, "/embeddings", 405},
		{http.MethodPost, "/v1/chat/completions/", 404}, {http.MethodOptions, "/completions", 200},
	} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		if w.Code != c.status {
			t.Errorf("%s %s: status %d, want %d", c.method, c.path, w.Code, c.status)
		}
	}
}
