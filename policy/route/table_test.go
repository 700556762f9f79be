package route

import (
	"slices"
	"strings"
	"testing"
)

func TestWildcards(t *testing.T) {
	s := DefaultSettings()
	s.NumRetries = 0
	s.InferProvider = func(m string) string {
		if strings.HasPrefix(m, "gpt-") {
			return "openai"
		}
		return ""
	}
	s.Fallbacks = map[string][]string{"openai/gpt-5": {"plain"}, "openai/*": {"anthropic/claude-3"}}
	tab := table(t, s, members("openai/*", 1), members("openai/gpt-4*", 1), members("plain", 1),
		members("anthropic/*", 1), members("*meta.llama*:v*", 1))
	tests := []struct {
		ask, group, wildcard, template, expands string
		plan                                    string
	}{
		{"openai/o3", "openai/*", "o3", "openai/*", "openai/o3", "openai/*/1 anthropic/*/1"},
		{"openai/gpt-4o", "openai/gpt-4*", "o", "azure/my-*", "azure/my-o", "openai/gpt-4*/1"},
		{"openai/gpt-4", "openai/gpt-4*", "", "openai/gpt-4*", "openai/gpt-4", "openai/gpt-4*/1"},
		{"openai/gpt-5", "openai/*", "gpt-5", "fixed", "fixed", "openai/*/1 plain/1"},
		{"gpt-3.5", "openai/*", "gpt-3.5", "openai/*", "openai/gpt-3.5", "openai/*/1 anthropic/*/1"},
		{"plain", "plain", "", "openai/x", "openai/x", "plain/1"},
		{"us.meta.llama3:v1", "*meta.llama*:v*", "us.", "bedrock/*meta.llama*:v*", "bedrock/us.meta.llama3:v1", "*meta.llama*:v*/1"},
		{"us.meta.llama3:v1", "*meta.llama*:v*", "us.", "bedrock/*", "us.meta.llama3:v1", "*meta.llama*:v*/1"},
		{"openai/*", "openai/*", "*", "openai/*", "openai/*", "openai/*/1 anthropic/*/1"},
	}
	for _, tt := range tests {
		p, err := tab.Plan(Ask{Group: tt.ask}, nil, first)
		if err != nil {
			t.Errorf("%s: %v", tt.ask, err)
			continue
		}
		a := p.Attempts[0]
		if a.Group != tt.group || a.Wildcard != tt.wildcard || a.Expand(tt.template) != tt.expands || ids(p) != tt.plan {
			t.Errorf("%s: group %s, wildcard %q, expands to %s, plan %s", tt.ask, a.Group, a.Wildcard, a.Expand(tt.template), ids(p))
		}
	}
	for _, unknown := range []string{"openai/", "mistral/x", "o3", ""} {
		if p, err := tab.Plan(Ask{Group: unknown}, nil, first); err == nil {
			t.Errorf("%q: got %s", unknown, ids(p))
		}
	}
	if group, ok := tab.Resolve("openai/gpt-4.1"); !ok || group != "openai/gpt-4*" {
		t.Errorf("Resolve: %s", group)
	}
}

func TestCatchAll(t *testing.T) {
	tab := table(t, DefaultSettings(), members("*", 1), members("openai/*", 1))
	for ask, want := range map[string]string{"openai/x": "openai/*", "anything": "*", "a/b": "*"} {
		if got, _ := tab.Resolve(ask); got != want {
			t.Errorf("%s: %s, want %s", ask, got, want)
		}
	}
	if _, ok := tab.Resolve(""); ok {
		t.Error("a missing model name must not be served by *")
	}
}

func TestNewTableFaults(t *testing.T) {
	_, err := NewTable([]Deployment{
		{Group: "a"}, {ID: "x"}, {ID: "y", Group: "a"}, {ID: "y", Group: "b"}, {ID: "z", Group: "b", RPM: -1},
		{ID: "s", Group: strings.Repeat("*", 9)}, {ID: "u", Group: "\xff**"},
	}, DefaultSettings())
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`deployment 0 of group "a" has no id`, `deployment "x" has no model group`,
		`deployment id "y" is used twice`, `deployment "z": rpm is -1`,
		`of deployment "s": it has 9 stars: 8 are enough`, `of deployment "u": it is not valid UTF-8`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%v", want, err)
		}
	}
}

func TestNewTableWarnings(t *testing.T) {
	s := DefaultSettings()
	s.Strategy = "round-robin"
	s.Fallbacks = map[string][]string{"a": {"b", "nope"}, "typo": {"a"}, "gpt": {"a"}}
	s.Aliases = map[string]Alias{"x": {Group: "a"}, "y": {Group: "nope"}, "z": {Group: "a", Hidden: true}}
	tab := table(t, s, members("a", 1), members("b", 1), members("openai/gpt", 1))
	want := []string{
		`model_group_alias "y" has no effect: "nope" is no model group`,
		`fallback "nope" of "a" is skipped: no model group has that name`,
		`fallbacks of "typo" have no effect: no model group has that name`,
		`routing_strategy "round-robin" is not known: simple-shuffle is used instead`,
	}
	if got := tab.Warnings(); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if tab.Strategy() != SimpleShuffle {
		t.Error(tab.Strategy())
	}
	if names, groups := tab.Aliases(); !slices.Equal(names, []string{"x"}) || groups["x"] != "a" {
		t.Error(names, groups)
	}
}

func TestGroups(t *testing.T) {
	s := DefaultSettings()
	s.Fallbacks = map[string][]string{"a": {"raw/x", "b/*"}}
	tab := table(t, s, members("a", 2), []Deployment{{ID: "h", Group: "raw/x", Hidden: true}}, members("b/*", 1))
	got := tab.Groups()
	if len(got) != 3 || got[0].Name != "a" || len(got[0].Deployments) != 2 ||
		!slices.Equal(got[0].Fallbacks, []string{"raw/x", "b/*"}) || !got[1].Hidden || got[0].Hidden || !got[2].Wildcard {
		t.Errorf("%+v", got)
	}
}
