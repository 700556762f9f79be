package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSecretIsNeverPrinted(t *testing.T) {
	s := struct {
		Key  Secret
		Many map[string]Secret
		Ptr  *Secret
	}{Key: "hush", Many: map[string]Secret{"a": "hush"}}
	j, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("m", "k", s.Key, "s", s)
	slog.New(slog.NewTextHandler(&logged, nil)).Info("m", "k", s.Key, "s", s)
	out := fmt.Sprintf("%v %+v %#v %s %q %x %d %s %s", s, s, s, s.Key, s.Key, s.Key, s.Key, j, logged.String())
	if strings.Contains(out, "hush") || strings.Contains(out, fmt.Sprintf("%x", "hush")) {
		t.Errorf("seen: %s", out)
	}
	if s.Key.Reveal() != "hush" {
		t.Error("Reveal does not reveal")
	}
}

func TestParseDuration(t *testing.T) {
	for s, want := range map[string]Duration{
		"30s": {Span: 30 * time.Second}, "5m": {Span: 5 * time.Minute}, "1h": {Span: time.Hour}, "7d": {Span: 168 * time.Hour},
		"2w": {Span: 336 * time.Hour}, "1mo": {Months: 1}, "30": {Span: 30 * time.Second}, "0.5": {Span: time.Second / 2},
		" 10 s ": {Span: 10 * time.Second}, "1e2": {Span: 100 * time.Second}, "0": {},
	} {
		if got, err := ParseDuration(s); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %+v, %v; want %+v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "s", "-1", "1y", "1 fortnight", "nan", "inf", "1e30", "0x10", "1.5mo", "9999mo", "1ms", "1h30m"} {
		if got, err := ParseDuration(s); err == nil {
			t.Errorf("ParseDuration(%q) = %+v, want an error", s, got)
		}
	}
}

func TestDurationAddTo(t *testing.T) {
	from := time.Date(2025, 1, 31, 10, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		d    Duration
		want string
	}{
		{Duration{Months: 1}, "2025-02-28"}, {Duration{Months: 13}, "2026-02-28"}, {Duration{Months: 2}, "2025-03-31"},
		{Duration{Span: 24 * time.Hour}, "2025-02-01"},
	} {
		if got := tt.d.AddTo(from).Format(time.DateOnly); got != tt.want {
			t.Errorf("%s + %+v = %s, want %s", from, tt.d, got, tt.want)
		}
	}
}

const fullModel = `
credential_list:
  - credential_name: shared
    credential_values: {api_key: from-credential, api_base: https://elsewhere.example}
model_list:
  - model_name: g
    litellm_params:
      model: openai/gpt-4o
      api_key: os.environ/KEY
      api_base: https://api.example/v1
      rpm: "4000"
      tpm: 4e5
      weight: 0.5
      order: 1
      timeout: 30
      stream_timeout: 5s
      max_retries: "4"
      cooldown_time: 1m
      allowed_fails: 0
      max_parallel_requests: 7
      tags: [paid]
      drop_params: "no"
      temperature: os.environ/TEMP
      stop: ["END", yes]
      stream: on
      reasoning_effort: off
      max_tokens: 1_000
      my_field: {b: 1, a: [~, 0x10]}
      extra_body: {z: 1}
      extra_headers: {X-A: os.environ/KEY}
      input_cost_per_token: 3e-06
      aws_region_name: eu-west-1
      vertex_credentials: {type: service_account}
    model_info: {id: 42, access_groups: premium, base_model: gpt-4o, mode: chat, note: x}
  - model_name: shared
    litellm_params: {model: openai/a, litellm_credential_name: shared, api_base: https://own.example}
litellm_settings: {drop_params: true}
`

func TestModelFields(t *testing.T) {
	c := mustLoad(t, fullModel, "KEY=key \nTEMP=0.7")
	d := c.Deployments[0]
	if d.ID != "42" || d.APIKey.Reveal() != "key" || !d.APIKeySet || d.RPM != 4000 || d.TPM != 400000 || *d.Weight != 0.5 || d.Order != 1 {
		t.Errorf("%+v", d)
	}
	if d.Timeout != 30*time.Second || d.StreamTimeout != 5*time.Second || *d.NumRetries != 4 || *d.Cooldown != time.Minute || *d.AllowedFails != 0 || d.MaxParallelRequests != 7 {
		t.Errorf("%+v", d)
	}
	if d.DropParams || !slices.Equal(d.Tags, []string{"paid"}) || string(d.ExtraBody) != `{"z":1}` || d.ExtraHeaders["X-A"].Reveal() != "key" {
		t.Errorf("%+v", d)
	}
	if d.Prices["input_cost_per_token"] != 3e-06 || d.ProviderParams["aws_region_name"] != "eu-west-1" ||
		d.ProviderParams["vertex_credentials"] != `{"type":"service_account"}` {
		t.Errorf("%+v", d)
	}
	if d.Info.Mode != "chat" || d.Info.BaseModel != "gpt-4o" || !slices.Equal(d.Info.AccessGroups, []string{"premium"}) || !strings.Contains(string(d.Info.Raw), `"note":"x"`) {
		t.Errorf("%+v", d.Info)
	}
	want := map[string]string{
		"temperature": "0.7", "stop": `["END",true]`, "stream": "true", "reasoning_effort": `"off"`, "max_tokens": "1000",
		"my_field": `{"a":[null,16],"b":1}`,
	}
	for name, w := range want {
		if got := string(d.Defaults[name]); got != w {
			t.Errorf("default %s = %s, want %s", name, got, w)
		}
	}
	if len(d.Defaults) != len(want) {
		t.Errorf("defaults: %v", sortedNames(d.Defaults))
	}
	if s := c.Deployments[1]; s.APIKey.Reveal() != "from-credential" || s.APIBase != "https://own.example" || !s.DropParams {
		t.Errorf("%+v", s)
	}
}

func TestIDs(t *testing.T) {
	id := func(yaml, env string) string { return mustLoad(t, yaml, env).Deployments[0].ID }
	base := id("model_list: [{model_name: a, litellm_params: {model: openai/a, api_key: os.environ/K, rpm: 1}}]", "K=1")
	for name, same := range map[string]string{
		"another order": id("model_list: [{litellm_params: {rpm: 1, api_key: os.environ/K, model: openai/a}, model_name: a}]", "K=1"),
		"a new key":     id("model_list: [{model_name: a, litellm_params: {model: openai/a, api_key: os.environ/K, rpm: 1}}]", "K=2"),
		"another place": id("# c\n\nmodel_list:\n- model_name: a\n  litellm_params: {model: openai/a, api_key: os.environ/K, rpm: 1}", "K=1"),
	} {
		if same != base {
			t.Errorf("%s changes the id", name)
		}
	}
	for name, other := range map[string]string{
		"model_name": id("model_list: [{model_name: b, litellm_params: {model: openai/a, api_key: os.environ/K, rpm: 1}}]", "K=1"),
		"rpm":        id("model_list: [{model_name: a, litellm_params: {model: openai/a, api_key: os.environ/K, rpm: 2}}]", "K=1"),
		"key":        id("model_list: [{model_name: a, litellm_params: {model: openai/a, api_key: os.environ/J, rpm: 1}}]", "J=1"),
	} {
		if other == base {
			t.Errorf("another %s keeps the id", name)
		}
	}
	c := mustLoad(t, "model_list: [{model_name: a, litellm_params: {model: openai/a, organization: [o1, o2]}}, {model_name: a, litellm_params: {model: openai/a}}, {model_name: a, litellm_params: {model: openai/a}}]", "")
	if len(c.Deployments) != 4 || c.Deployments[1].Organization != "o2" || c.Deployments[3].ID != c.Deployments[2].ID+"-2" {
		t.Errorf("%+v", c.Deployments)
	}
}

func TestRouterPrecedence(t *testing.T) {
	const models = "model_list: [{model_name: a, litellm_params: {model: openai/a}}, {model_name: b, litellm_params: {model: openai/b}}]\n"
	d := mustLoad(t, models, "").Router
	if d.NumRetries != 2 || d.MaxFallbacks != 5 || d.Cooldown != 5*time.Second || d.Timeout != 6000*time.Second || d.AllowedFails != nil || d.Strategy != "simple-shuffle" {
		t.Errorf("defaults: %+v", d)
	}
	rt := mustLoad(t, models+`
router_settings: {num_retries: 0, timeout: 60, fallbacks: [], default_fallbacks: [b], model_group_alias: {c: {model: a, hidden: yes}}}
litellm_settings: {num_retries: 3, request_timeout: 20, allowed_fails: 4, cooldown_time: 9, fallbacks: [{a: b}, {"*": [a]}], content_policy_fallbacks: [{model_name: a, fallback_models: c}]}
`, "").Router
	if rt.NumRetries != 0 || rt.Timeout != 20*time.Second || *rt.AllowedFails != 4 || rt.Cooldown != 9*time.Second {
		t.Errorf("%+v", rt)
	}
	if !slices.Equal(rt.Fallbacks["a"], []string{"b"}) || !slices.Equal(rt.Fallbacks["*"], []string{"b"}) || !slices.Equal(rt.ContentPolicyFallbacks["a"], []string{"c"}) {
		t.Errorf("%+v", rt.Fallbacks)
	}
	if rt.Aliases["c"] != (Alias{Group: "a", Hidden: true}) {
		t.Errorf("%+v", rt.Aliases)
	}
}

func TestEnvironmentSection(t *testing.T) {
	c := mustLoad(t, `
environment_variables: {A: literal, B: os.environ/REAL, C: os.environ/A, PORT: 1}
model_list: [{model_name: a, litellm_params: {model: openai/a, api_key: os.environ/C}}]
`, "REAL=r\nA=process\nD=d")
	for name, want := range map[string]string{"A": "literal", "B": "r", "C": "literal", "PORT": "1", "D": "d"} {
		if got, ok := c.LookupEnv(name); !ok || got != want {
			t.Errorf("%s = %q, %v; want %q", name, got, ok, want)
		}
	}
	if c.Deployments[0].APIKey.Reveal() != "literal" {
		t.Error("the section does not come before the process's environment")
	}
}

func TestWildcard(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "x", true}, {"openai/*", "openai/gpt", true}, {"openai/*", "anthropic/x", false}, {"a*b*c", "aXbYc", true},
		{"a*b*c", "ac", false}, {"a*a", "a", false}, {"*x", "yx", true},
	} {
		if got := wildcard(tt.pattern, tt.name); got != tt.want {
			t.Errorf("wildcard(%q, %q) = %v", tt.pattern, tt.name, got)
		}
	}
}

func TestNear(t *testing.T) {
	names := []string{"port", "num_retries", "model_list", "tpm"}
	for name, want := range map[string]string{
		"prot": "port", "num_retrys": "num_retries", "modellist": "model_list", "rpm": "tpm", "xyz": "", "": "", "NUM_RETRIES": "num_retries",
		"something_else": "",
	} {
		if got := Near(name, names); got != want {
			t.Errorf("Near(%q) = %q, want %q", name, got, want)
		}
	}
}
