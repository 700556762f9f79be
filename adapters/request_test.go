package adapters

import (
	"bytes"
	"strings"
	"testing"
)

func TestParseRefuses(t *testing.T) {
	hi := `"messages":[{"role":"user","content":"Hi"}]`
	for _, c := range []struct{ name, body, param, message string }{
		{"not JSON", `{"model":`, "", "not a valid JSON object"},
		{"array", `[]`, "", "not a valid JSON object"},
		{"duplicate", `{"model":"a",` + hi + `,"model":"b"}`, "", `duplicate key "model"`},
		{"no model", `{` + hi + `}`, "model", "You must provide a 'model'"},
		{"null model", `{"model":null,` + hi + `}`, "model", "You must provide a 'model'"},
		{"model a number", `{"model":4,` + hi + `}`, "model", "must be a string, not the number 4"},
		{"empty model", `{"model":"",` + hi + `}`, "model", "must not be empty"},
		{"no messages", `{"model":"m"}`, "messages", "Missing required parameter: 'messages'"},
		{"messages a string", `{"model":"m","messages":"Hi"}`, "messages", "must be an array, not a string"},
		{"no message", `{"model":"m","messages":[]}`, "messages", "at least one"},
		{"message a string", `{"model":"m","messages":[{"role":"user"},"Hi"]}`, "messages[1]", "must be an object"},
		{"no role", `{"model":"m","messages":[{"content":"Hi"}]}`, "messages[0].role", "Missing"},
		{"role a number", `{"model":"m","messages":[{"role":1}]}`, "messages[0].role", "must be a string"},
		{"empty role", `{"model":"m","messages":[{"role":""}]}`, "messages[0].role", "must not be empty"},
		{"content a number", `{"model":"m","messages":[{"role":"user","content":1}]}`, "messages[0].content", "must be a string or an array"},
		{"stream", `{"model":"m",` + hi + `,"stream":"yes"}`, "stream", "must be true or false, not a string"},
		{"stream_options", `{"model":"m",` + hi + `,"stream_options":1}`, "stream_options", "must be an object"},
		{"include_usage", `{"model":"m",` + hi + `,"stream_options":{"include_usage":1}}`, "stream_options.include_usage", "must be true or false"},
		{"max_tokens", `{"model":"m",` + hi + `,"max_tokens":1.5}`, "max_tokens", "must be an integer"},
		{"negative", `{"model":"m",` + hi + `,"max_completion_tokens":-1}`, "max_completion_tokens", "too small"},
		{"n", `{"model":"m",` + hi + `,"n":0}`, "n", "too small"},
		{"tools", `{"model":"m",` + hi + `,"tools":{}}`, "tools", "must be an array"},
		{"api_base", `{"model":"m",` + hi + `,"api_base":"http://x"}`, "api_base", "may not be set"},
		{"base_url", `{"model":"m",` + hi + `,"base\u005furl":"http://x"}`, "base_url", "may not be set"},
		{"api_key", `{"model":"m",` + hi + `,"api_key":"sk"}`, "api_key", "may not be set"},
		{"hidden model", `{"model":"m",` + hi + `,"extra_body":{"model":"dear"}}`, "extra_body.model", "may not be set"},
		{"hidden limit", `{"model":"m",` + hi + `,"extra_body":{"max_\u0074okens":9}}`, "extra_body.max_tokens", "may not be set"},
		{"extra_body", `{"model":"m",` + hi + `,"extra_body":[]}`, "extra_body", "must be an object"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse(Chat, []byte(c.body))
			if err == nil || err.Status != 400 || err.Param != c.param || !strings.Contains(err.Message, c.message) {
				t.Errorf("got %v (param %q), want a 400 about %q with %q", err, err.Param, c.param, c.message)
			}
		})
	}
	for _, c := range []struct {
		op          Op
		body, param string
	}{
		{Completion, `{"model":"m"}`, "prompt"},
		{Completion, `{"model":"m","prompt":1}`, "prompt"},
		{Embedding, `{"model":"m"}`, "input"},
		{Embedding, `{"model":"m","input":[]}`, "input"},
		{Embedding, `{"model":"m","input":{}}`, "input"},
	} {
		if _, err := Parse(c.op, []byte(c.body)); err == nil || err.Param != c.param {
			t.Errorf("%s %s: %v", c.op, c.body, err)
		}
	}
}

func TestRequest(t *testing.T) {
	body := []byte(`{"model":"a\/b","messages":[{"role":"user","content":"Hi"}],"stream":true,"stream_options":{"include_usage":true},"num_retries": 3,"tags":null}`)
	r, err := Parse(Chat, body)
	if err != nil {
		t.Fatal(err)
	}
	if r.Model() != "a/b" || !r.Stream() || !r.IncludeUsage() || r.Op() != Chat || r.Size() != len(body) {
		t.Errorf("%q %v %v", r.Model(), r.Stream(), r.IncludeUsage())
	}
	if got := r.Field("num_retries"); !bytes.Equal(got, []byte("3")) || r.Field("nope") != nil || string(r.Field("tags")) != "null" {
		t.Errorf("field %q", got)
	}
	if cap(r.Field("num_retries")) != 1 {
		t.Error("an append to a field would write into the request")
	}
	for op, name := range map[Op]string{Chat: "chat", Completion: "completion", Embedding: "embedding", 9: "Op(9)"} {
		if op.String() != name {
			t.Error(op.String())
		}
	}
}
