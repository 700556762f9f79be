package adapters

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sluicegw/sluice/adapters/jsondoc"
)

// bodyFor is what goes to Anthropic for a request's members, or the error.
func bodyFor(t *testing.T, model, members string, dropping bool) (jsondoc.Value, string) {
	t.Helper()
	target, err := New(Params{Model: model, DropParams: dropping})
	if err != nil {
		t.Fatal(err)
	}
	r, e := Parse(Chat, []byte(`{"model":"m",`+members+`}`))
	if e != nil {
		t.Fatal(e)
	}
	out, e := target.Request(r)
	if e != nil {
		return "", e.Param + ": " + e.Message
	}
	return jsondoc.Value(out.Body), ""
}

func TestAnthropicRefuses(t *testing.T) {
	user := func(part string) string { return `"messages":[{"role":"user","content":[` + part + `]}]` }
	hi := `"messages":[{"role":"user","content":"Hi"}],`
	for _, c := range []struct{ name, members, want string }{
		{"text", user(`{"type":"text"}`), "messages[0].content[0].text: "},
		{"part", user(`{"type":"text","text":"a"},{"type":"video"}`), "messages[0].content[1].type: "},
		{"image", user(`{"type":"image_url","image_url":{}}`), "messages[0].content[0].image_url.url: "},
		{"data URL", user(`{"type":"image_url","image_url":"data:image/png;base64,a\"b"}`), "messages[0].content[0].image_url: "},
		{"no type", user(`{"type":"image_url","image_url":"data:;base64,AAAA"}`), "messages[0].content[0].image_url: "},
		{"file", user(`{"type":"file"}`), "messages[0].content[0].file: Missing"},
		{"file data", user(`{"type":"file","file":{"filename":"a"}}`), "messages[0].content[0].file: "},
		{"text file", user(`{"type":"file","file":{"file_data":"data:text/plain;base64,/w=="}}`), "messages[0].content[0].file.file_data: "},
		{"role", `"messages":[{"role":"user","content":"a"},{"role":"critic","content":"b"}]`, "messages[1].role: "},
		{"system", `"messages":[{"role":"system","content":[{"type":"image_url"}]},{"role":"user","content":"a"}]`, "messages[0].content[0]: "},
		{"assistant part", `"messages":[{"role":"assistant","content":[{"type":"image_url"}]}]`, "messages[0].content[0].type: "},
		{"assistant text", `"messages":[{"role":"assistant","content":[{"type":"text","text":1}]}]`, "messages[0].content[0].text: "},
		{"tool_call_id", `"messages":[{"role":"tool","content":"a"}]`, "messages[0].tool_call_id: Missing"},
		{"call name", `"messages":[{"role":"assistant","tool_calls":[{"id":"a","function":{}}]}]`, "messages[0].tool_calls[0].function.name: Missing"},
		{"call id", `"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f"}}]}]`, "messages[0].tool_calls[0].id: Missing"},
		{"function arguments", `"messages":[{"role":"assistant","function_call":{"name":"f","arguments":"[1]"}}]`, "messages[0].function_call.arguments: "},
		{"empty", `"messages":[{"role":"user","content":null}]`, "messages: anthropic needs at least one message with content"},
		{"tool", hi + `"tools":["f"]`, "tools[0]: "},
		{"tool name", hi + `"tools":[{"type":"function","function":{}}]`, "tools[0].function.name: Missing"},
		{"tool parameters", hi + `"tools":[{"type":"function","function":{"name":"f","parameters":[]}}]`, "tools[0].function.parameters: "},
		{"hosted tool", hi + `"tools":[{"type":"bash_20250124"}]`, "tools[0].name: Missing"},
		{"tool type", hi + `"tools":[{"type":"file_search"}]`, "tools[0].type: anthropic has no tools of type"},
		{"effort", hi + `"reasoning_effort":"huge"`, "reasoning_effort: "},
		{"thinking", hi + `"thinking":true`, "thinking: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			body, err := bodyFor(t, "anthropic/claude-sonnet-4-5", c.members, false)
			if !strings.HasPrefix(err, c.want) {
				t.Errorf("got %q %s, want %q", err, body, c.want)
			}
		})
	}
}

func TestClaudeByModel(t *testing.T) {
	hi := `"messages":[{"role":"user","content":"Hi"}],`
	tool := `"tools":[{"type":"function","function":{"name":"f"}}],`
	for _, c := range []struct{ name, model, members, field, want string }{
		{"limit", "claude-sonnet-4-5", hi + `"n":1`, "max_tokens", "64000"},
		{"limit, newer", "claude-opus-4-6", hi + `"n":1`, "max_tokens", "128000"},
		{"limit, opus 4", "claude-opus-4-1-20250805", hi + `"n":1`, "max_tokens", "4096"},
		{"limit, unknown", "my-claude", hi + `"n":1`, "max_tokens", "4096"},
		{"both limits", "claude-sonnet-4-5", hi + `"max_tokens":5,"max_completion_tokens":6`, "max_tokens", "6"},
		{"low", "claude-sonnet-4-5", hi + `"reasoning_effort":"low"`, "thinking", `{"type":"enabled","budget_tokens":1024}`},
		{"high", "claude-sonnet-4-5", hi + `"reasoning_effort":"high"`, "max_tokens", "8192"},
		{"none", "claude-sonnet-4-5", hi + `"reasoning_effort":"none"`, "thinking", ""},
		{"no room to think", "claude-sonnet-4-5", hi + `"thinking":{"type":"adaptive"},"max_tokens":1000`, "thinking", ""},
		{"little room", "claude-sonnet-4-5", hi + `"thinking":{"type":"adaptive"},"max_tokens":2000`, "thinking", `{"type":"enabled","budget_tokens":1999}`},
		{"effort", "claude-opus-4-6", hi + `"reasoning_effort":"minimal"`, "output_config", `{"effort":"low"}`},
		{"effort too high", "claude-opus-4-6", hi + `"reasoning_effort":"xhigh"`, "output_config", `{"effort":"high"}`},
		{"effort and more", "claude-opus-4-7", hi + `"reasoning_effort":"max","output_config":{"x":1}`, "output_config", `{"effort":"max","x":1}`},
		{"budget is legacy", "claude-opus-4-8", hi + `"thinking":{"type":"enabled","budget_tokens":9000}`, "output_config", `{"effort":"xhigh"}`},
		{"budget is legacy, 2", "claude-opus-4-8", hi + `"thinking":{"type":"enabled","budget_tokens":2048}`, "thinking", `{"type":"adaptive"}`},
		{"budget, 4.6", "claude-opus-4-6", hi + `"thinking":{"type":"enabled","budget_tokens":9000}`, "thinking", `{"type":"enabled","budget_tokens":9000}`},
		{"adaptive for an old one", "claude-sonnet-4-5", hi + `"thinking":{"type":"adaptive"}`, "thinking", `{"type":"enabled","budget_tokens":2048}`},
		{"cannot stop thinking", "claude-opus-5-5", hi + `"thinking":{"type":"disabled"}`, "thinking", ""},
		{"can stop thinking", "claude-haiku-5-5", hi + `"thinking":{"type":"disabled"}`, "thinking", `{"type":"disabled"}`},
		{"forced tool", "claude-sonnet-4-5", hi + tool + `"tool_choice":"required"`, "tool_choice", `{"type":"any"}`},
		{"forced tool, dropped", "claude-opus-5-5", hi + tool + `"tool_choice":"required"`, "tool_choice", `{"type":"auto"}`},
		{"forced tool, mythos", "claude-mythos-5-1", hi + tool + `"tool_choice":{"type":"function","function":{"name":"f"}}`, "tool_choice", `{"type":"auto"}`},
		{"choice as object", "claude-sonnet-4-5", hi + tool + `"tool_choice":{"type":"none"}`, "tool_choice", `{"type":"none"}`},
		{"parallel alone", "claude-sonnet-4-5", hi + tool + `"parallel_tool_calls":true`, "tool_choice", `{"type":"auto","disable_parallel_tool_use":false}`},
		{"choice without tools", "claude-sonnet-4-5", hi + `"tool_choice":"auto"`, "tool_choice", `{"type":"auto"}`},
		{"temperature 1", "claude-opus-4-8", hi + `"temperature":1.0`, "temperature", "1.0"},
		{"temperature dropped", "claude-opus-4-8", hi + `"temperature":0.5`, "temperature", ""},
		{"user", "claude-sonnet-4-5", hi + `"user":"u-1"`, "metadata", `{"user_id":"u-1"}`},
		{"e-mail", "claude-sonnet-4-5", hi + `"user":"a.b@example.com"`, "metadata", ""},
		{"telephone", "claude-sonnet-4-5", hi + `"user":"+49 (30) 123456"`, "metadata", ""},
		{"metadata's user", "claude-sonnet-4-5", hi + `"user":"u-1","metadata":{"user_id":"u-2"}`, "metadata", `{"user_id":"u-2"}`},
		{"stops", "claude-sonnet-4-5", hi + `"stop":["a","\n","b"]`, "stop_sequences", `["a","\n","b"]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			body, err := bodyFor(t, "anthropic/"+c.model, c.members, true)
			if err != "" || string(body.Get(c.field)) != c.want {
				t.Errorf("%s is %s %s, want %s", c.field, body.Get(c.field), err, c.want)
			}
		})
	}
}

func TestArguments(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`"{\"a\":1.0}"`, `{"a":1.0}`},
		{`""`, `{}`}, {`" "`, `{}`}, {`null`, `{}`}, {``, `{}`}, {`"null"`, `{}`},
		{`{"a":1}`, `{"a":1}`},
		{`"{\"a\":[1,{\"b\":\"c"`, `{"a":[1,{"b":"c"}]}`},
		{`"{\"a\":1,"`, `{"a":1}`},
		{`"{\"a\":\"\\"`, `{"a":""}`},
		{`"{\"a\":1,\"a\":2}"`, `{"a":1,"a":2}`},
		{`"[1]"`, "refused"}, {`"x"`, "refused"}, {`"{a:1}"`, "refused"}, {`5`, "refused"},
	} {
		got := "refused"
		if dst, ok := appendArguments(nil, jsondoc.Value(c.in), true); ok {
			got = string(dst)
			if !json.Valid(dst) {
				t.Errorf("%s: invalid JSON %s", c.in, got)
			}
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.in, got, c.want)
		}
	}
}
