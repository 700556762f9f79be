package adapters

import (
	"slices"
	"testing"
)

func TestClientHeaders(t *testing.T) {
	target, err := New(Params{
		Model: "openai/gpt-4o", APIKey: "sk-upstream-0123", ExtraHeaders: map[string]string{"X-Team": "search"},
	})
	if err != nil {
		t.Fatal(err)
	}
	r, bad := Parse(Chat, []byte(`{"model":"m","messages":[{"role":"user","content":"Hi"}],"extra_headers":{
		"X-Own":"yes","x-team":"mine","Authorization":"Bearer stolen","x-envoy-max-retries":"9","x-sluice-group":"other",
		"host":"evil","x-line":"a\r\nb","bad name":"x","x-number":1}}`))
	if bad != nil {
		t.Fatal(bad)
	}
	c := newCall(target, r)
	want := []Header{{"x-team", "search"}, {"x-own", "yes"}}
	if got := c.headers(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if len(target.headers) != 1 {
		t.Error("the deployment's own headers changed")
	}
}

func TestReasoningModels(t *testing.T) {
	for _, c := range []struct {
		model, members string
		ok             bool
	}{
		{"gpt-5", `"temperature":0.5`, false},
		{"gpt-5", `"temperature":1`, true},
		{"gpt-5", `"reasoning_effort":"xhigh"`, false},
		{"gpt-5.1", `"temperature":0.5`, true},
		{"gpt-5.1", `"temperature":0.5,"reasoning_effort":"low"`, false},
		{"gpt-5.1", `"reasoning_effort":"minimal"`, false},
		{"gpt-5.2", `"reasoning_effort":"xhigh"`, true},
		{"gpt-5.5", `"top_p":0.5`, false},
		{"gpt-5.5", `"top_p":0.5,"reasoning_effort":"none"`, true},
		{"o3-mini", `"temperature":0.5`, false},
		{"o3-mini", `"temperature":0.5,"drop_params":true`, true},
		{"gpt-4o", `"temperature":0.5`, true},
		{"my-own", `"verbosity":"low"`, false},
		{"my-own", `"reasoning_effort":"low"`, true},
	} {
		target, err := New(Params{Model: "openai/" + c.model, APIKey: "sk-x"})
		if err != nil {
			t.Fatal(err)
		}
		r, bad := Parse(Chat, []byte(`{"model":"m","messages":[{"role":"user","content":"Hi"}],`+c.members+`}`))
		if bad != nil {
			t.Fatal(bad)
		}
		if _, bad := target.begin(r); (bad == nil) != c.ok {
			t.Errorf("%s with %s: %v", c.model, c.members, bad)
		}
	}
}
