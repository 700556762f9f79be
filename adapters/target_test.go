package adapters

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestNewRefuses(t *testing.T) {
	const secret = "sk-secret-0123456789"
	for _, c := range []struct {
		name string
		p    Params
		want string
	}{
		{"no model", Params{}, "model: missing"},
		{"no name", Params{Model: "openai/"}, "no model name after the slash"},
		{"provider alone", Params{Model: "anthropic"}, "write provider/name, such as anthropic/name"},
		{"unknown", Params{Model: "opnai/gpt-4o"}, `unknown provider "opnai": did you mean openai`},
		{"far", Params{Model: "zzzzz/x"}, "for any API in OpenAI's format"},
		{"bare", Params{Model: "llama3"}, "does not tell its provider"},
		{"not built", Params{Model: "watsonx/x"}, "provider watsonx is not built yet"},
		{"no base", Params{Model: "hosted_vllm/x"}, "api_base: provider hosted_vllm has no address of its own"},
		{"bad base", Params{Model: "openai/x", APIBase: "localhost:8000"}, "api_base:"},
		{"no host", Params{Model: "openai/x", APIBase: "http:///v1"}, "api_base:"},
		{"ftp", Params{Model: "openai/x", APIBase: "ftp://a/b"}, "not an http, https or unix URL"},
		{"password", Params{Model: "openai/x", APIBase: "http://u:" + secret + "@h/v1"}, "user and password"},
		{"port", Params{Model: "openai/x", APIBase: "http://h:99999/v1"}, "not a port"},
		{"socket", Params{Model: "demo/x", APIBase: "unix://run/demo.sock"}, "three slashes"},
		{"key", Params{Model: "openai/x", APIKey: secret + "\n"}, "api_key: holds a control character"},
		{"header name", Params{Model: "openai/x", ExtraHeaders: map[string]string{"a b": "c"}}, "not a header name"},
		{"framing header", Params{Model: "openai/x", ExtraHeaders: map[string]string{"Content-Length": "1"}}, "content-length cannot be set"},
		{"header twice", Params{Model: "openai/x", ExtraHeaders: map[string]string{"A": "1", "a": "2"}}, "twice"},
		{"header value", Params{Model: "openai/x", ExtraHeaders: map[string]string{"a": secret + "\r"}}, "control character"},
		{"default", Params{Model: "openai/x", Defaults: map[string]json.RawMessage{"temperature": []byte("hot")}}, "temperature: not valid JSON"},
		{"drop path", Params{Model: "openai/x", AdditionalDropParams: []string{"tools[x].y"}}, "additional_drop_params:"},
		{"drop path, open", Params{Model: "openai/x", AdditionalDropParams: []string{"tools[0"}}, "additional_drop_params:"},
		{"drop path, dots", Params{Model: "openai/x", AdditionalDropParams: []string{"a..b"}}, "additional_drop_params:"},
		{"extra_body", Params{Model: "openai/x", ExtraBody: []byte("[]")}, "extra_body: not a valid JSON object"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := New(c.p)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error tells a secret: %v", err)
			}
			if notBuilt := strings.HasPrefix(c.name, "not built"); errors.Is(err, ErrNotBuilt) != notBuilt {
				t.Errorf("errors.Is(%v, ErrNotBuilt) is %v", err, !notBuilt)
			}
		})
	}
}

func TestResolve(t *testing.T) {
	for _, c := range []struct{ model, base, provider, name string }{
		{"openai/gpt-4o", "", "openai", "gpt-4o"},
		{"gpt-4o", "", "openai", "gpt-4o"},
		{"o3-mini", "", "openai", "o3-mini"},
		{"claude-sonnet-4-5", "", "anthropic", "claude-sonnet-4-5"},
		{"openai/org/name:7b", "", "openai", "org/name:7b"},
		{"openrouter/anthropic/claude-3.5", "", "openrouter", "anthropic/claude-3.5"},
		{"fireworks_ai/llama-v3", "", "fireworks_ai", "accounts/fireworks/models/llama-v3"},
		{"fireworks_ai/accounts/me/models/x", "", "fireworks_ai", "accounts/me/models/x"},
		{"mixtral", "https://api.groq.com/openai/v1", "groq", "mixtral"},
		{"acme/llama", "https://api.groq.com/openai/v1", "groq", "acme/llama"},
	} {
		target, err := New(Params{Model: c.model, APIBase: c.base})
		if err != nil {
			t.Errorf("%s: %v", c.model, err)
			continue
		}
		if target.Provider() != c.provider || target.Model() != c.name {
			t.Errorf("%s is %s %s", c.model, target.Provider(), target.Model())
		}
	}
}

func TestEndpoint(t *testing.T) {
	for _, c := range []struct {
		model, base string
		want        Endpoint
		authority   string
	}{
		{"openai/x", "", Endpoint{Scheme: "https", Host: "api.openai.com", Port: 443, HTTP2: true, Public: true}, "api.openai.com"},
		{"openai/x", "https://api.openai.com/v1", Endpoint{Scheme: "https", Host: "api.openai.com", Port: 443, HTTP2: true, Public: true}, "api.openai.com"},
		{"openai/x", "http://10.0.0.1:8000/v1", Endpoint{Scheme: "http", Host: "10.0.0.1", Port: 8000}, "10.0.0.1:8000"},
		{"openai/x", "https://gw.test", Endpoint{Scheme: "https", Host: "gw.test", Port: 443}, "gw.test"},
		{"openai/x", "http://[::1]:8000/v1", Endpoint{Scheme: "http", Host: "::1", Port: 8000}, "[::1]:8000"},
		{"openai/x", "http://[::1]/v1", Endpoint{Scheme: "http", Host: "::1", Port: 80}, "[::1]"},
		{"demo/x", "unix:///run/demo.sock", Endpoint{Scheme: "http", Socket: "/run/demo.sock"}, "localhost"},
	} {
		target, err := New(Params{Model: c.model, APIBase: c.base})
		if err != nil {
			t.Errorf("%s: %v", c.base, err)
			continue
		}
		if target.Endpoint() != c.want || target.authority() != c.authority {
			t.Errorf("%s: %+v %s", c.base, target.Endpoint(), target.authority())
		}
	}
}

func TestMissingCredential(t *testing.T) {
	for _, c := range []struct {
		p    Params
		want string
	}{
		{Params{Model: "openai/x"}, "OPENAI_API_KEY"},
		{Params{Model: "anthropic/x"}, "ANTHROPIC_API_KEY"},
		{Params{Model: "openai/x", APIKey: "k"}, ""},
		{Params{Model: "openai/x", APIBase: "http://127.0.0.1:1/v1"}, ""},
		{Params{Model: "hosted_vllm/x", APIBase: "http://127.0.0.1:1/v1"}, ""},
		{Params{Model: "openai/x", ExtraHeaders: map[string]string{"Authorization": "Bearer x"}}, ""},
	} {
		target, err := New(c.p)
		if err != nil {
			t.Fatal(err)
		}
		if got := target.MissingCredential(); got != c.want {
			t.Errorf("%+v: %q", c.p, got)
		}
	}
	for _, name := range Providers() {
		if name != "vertex_ai" && EnvKey(name) == "" || EnvKey(name) != "" && !slices.Contains(EnvKeys(name), EnvKey(name)) {
			t.Errorf("provider %s has no variable for its key", name)
		}
	}
	if EnvKey("nobody") != "" || EnvKeys("nobody") != nil {
		t.Error("a key for nobody")
	}
}

func TestWildcard(t *testing.T) {
	for _, c := range []struct{ deployment, asked, want string }{
		{"openai/*", "openai/gpt-4o", "gpt-4o"},
		{"openai/*", "gpt-4o", "gpt-4o"},
		{"openai/gpt-*", "gpt-4o-mini", "gpt-4o-mini"},
		{"openai/ft-*", "mini", "ft-mini"},
		{"openai/gpt-4o", "anything", "gpt-4o"},
	} {
		target, err := New(Params{Model: c.deployment})
		if err != nil {
			t.Fatal(err)
		}
		if got := target.upstream(c.asked); got != c.want {
			t.Errorf("%s asked for %s: %s", c.deployment, c.asked, got)
		}
	}
	target, _ := New(Params{Model: "openai/*"})
	if got := target.WithModel("openai/o3").upstream("other"); got != "o3" || target.Model() != "*" {
		t.Errorf("pinned to %s", got)
	}
}

func TestSupports(t *testing.T) {
	claude, err := New(Params{Model: "anthropic/claude-sonnet-4-5"})
	if err != nil {
		t.Fatal(err)
	}
	r, _ := Parse(Embedding, []byte(`{"model":"m","input":"a"}`))
	if e := claude.Supports(r); e == nil || e.Status != 400 || !strings.Contains(e.Message, "no API for embedding") {
		t.Errorf("%v", e)
	}
	r, _ = Parse(Chat, []byte(`{"model":"m","messages":[{"role":"user","content":"Hi"}],"n":2,"allowed_openai_params":["n"]}`))
	if e := claude.Supports(r); e != nil {
		t.Errorf("allowed by name: %v", e)
	}
	r, _ = Parse(Chat, []byte(`{"model":"m","messages":[{"role":"user","content":"Hi"}],"n":2,"drop_params":true}`))
	if e := claude.Supports(r); e != nil {
		t.Errorf("the client drops: %v", e)
	}
}

func TestTargetIsSafeForConcurrentUse(t *testing.T) {
	var group sync.WaitGroup
	targets, _ := fuzzTargets(t)
	inputs := goldenFiles(t, "testdata/*/*.txtar", "in.json")
	for _, target := range targets {
		for _, in := range inputs {
			r, err := Parse(Chat, in)
			if err != nil {
				continue
			}
			want, wantErr := target.Request(r)
			for range 2 {
				group.Go(func() {
					got, err := target.Request(r)
					if (err == nil) != (wantErr == nil) || err == nil && string(got.Body) != string(want.Body) {
						t.Errorf("%s: different bodies", target.Provider())
					}
				})
			}
		}
	}
	group.Wait()
}

func TestClaudeNames(t *testing.T) {
	for name, want := range map[string]claude{
		"claude-sonnet-4-5-20250929":    {"sonnet", 4, 5},
		"claude-opus-4-20250514":        {"opus", 4, 0},
		"claude-3-7-sonnet-latest":      {"sonnet", 3, 7},
		"claude-3-opus-20240229":        {"opus", 3, 0},
		"claude-sonnet-4.6":             {"sonnet", 4, 6},
		"anthropic.claude-haiku-5-5":    {"haiku", 5, 5},
		"claude-opus-4-1@20250805":      {"opus", 4, 1},
		"claude-mythos-preview":         {"mythos", 0, 0},
		"claude-instant-1.2":            {"instant", 1, 2},
		"my-model":                      {},
		"claude-sonnet-4-5-20250929-v1": {"sonnet", 4, 5},
	} {
		got := claudeOf(name)
		if got != want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestPrintingTellsNoCredential(t *testing.T) {
	const secret = "sk-secret-0123456789"
	target, err := New(Params{Model: "anthropic/claude-sonnet-4-5", APIKey: secret, ExtraHeaders: map[string]string{"x-extra": secret}})
	if err != nil {
		t.Fatal(err)
	}
	r, _ := Parse(Chat, []byte(askWhole))
	out, e := target.Request(r)
	if e != nil {
		t.Fatal(e)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(format+format, target, out.Headers); strings.Contains(s, secret) || !strings.Contains(s, "anthropic-version: 2023-06-01") {
			t.Errorf("%s: %s", format, s)
		}
	}
}
