package main

import (
	"encoding/json"
	"testing"

	"github.com/sluicegw/sluice/policy/admin"
)

// The wanted counts are LiteLLM's.
func TestCountTokens(t *testing.T) {
	text := "Hello, world"
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	for _, c := range []struct {
		model string
		p     admin.Prompt
		want  int
		param string
	}{
		{"gpt-4o", admin.Prompt{Text: &text}, 3, ""},
		{"gpt-4o", admin.Prompt{Messages: raw(`[{"role":"user","content":"Hello, world"}]`)}, 10, ""},
		{"gpt-4o", admin.Prompt{Text: &text, System: raw(`"Be brief."`)}, 17, ""},
		{"gpt-4o", admin.Prompt{Messages: raw(`[{"role":"user","content":"Hello, world"}]`), System: raw(`"Be brief."`)}, 17, ""},
		{"gemini-2.5-pro", admin.Prompt{Contents: raw(`[{"parts":[{"text":"Hello, world"}]}]`)}, 3, ""},
		{"gpt-4o", admin.Prompt{Messages: raw(`[]`)}, 3, ""},
		{"gpt-4o", admin.Prompt{Messages: raw(`{}`)}, 0, "messages"},
		{"gpt-4o", admin.Prompt{Messages: raw(`[1,"a",null]`)}, 12, ""},
		{"gpt-4o", admin.Prompt{Text: &text, Tools: raw(`1`)}, 0, "tools"},
	} {
		got, err := tokenCounter{}.CountTokens(c.model, c.p)
		if (err != nil) != (c.param != "") || err != nil && err.Param != c.param || err == nil && got != c.want {
			t.Errorf("%+v: %d %v", c.p, got, err)
		}
	}
}
