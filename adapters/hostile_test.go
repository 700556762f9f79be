package adapters

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestHostileCalls drops and replaces, by the fields that steer a call, what every translation relies on.
func TestHostileCalls(t *testing.T) {
	targets, _ := fuzzTargets(t)
	for _, steer := range []string{
		`"additional_drop_params":["input","messages","prompt","query","documents","model","stream"]`,
		`"additional_drop_params":["messages[0].role","messages[*].content","input[0]"]`,
		`"extra_body":{"tool_choice":[],"response_format":"x","stop":{}}`,
		`"extra_body":{"thinking":[],"reasoning_effort":{},"functions":{},"web_search_options":4}`,
		`"extra_body":{"generationConfig":4,"toolConfig":[],"guardrailConfig":"x","model_id":7,"messages ":1}`,
		`"extra_body":{"input_type":7,"dimensions":"x","encoding_format":{},"top_n":"x"}`,
	} {
		for op, body := range map[Op]string{
			Chat:       `{"model":"m","messages":[{"role":"user","content":"Hi"}],` + steer + `}`,
			Completion: `{"model":"m","prompt":"Hi",` + steer + `}`,
			Embedding:  `{"model":"m","input":["Hi"],` + steer + `}`,
			Rerank:     `{"model":"m","query":"Hi","documents":["a"],` + steer + `}`,
		} {
			r, err := Parse(op, []byte(body))
			if err != nil {
				t.Fatalf("%s: %v", body, err)
			}
			for _, target := range targets {
				if out, err := target.Request(r); err == nil && !json.Valid(out.Body) {
					t.Errorf("%s: %s: %s", target, body, out.Body)
				}
			}
		}
	}
}

// TestMessagesWithoutContent: whoever's they are, what is made of them is JSON.
func TestMessagesWithoutContent(t *testing.T) {
	targets, _ := fuzzTargets(t)
	for _, role := range []string{"system", "developer", "user", "assistant", "tool", "function", "x"} {
		for _, more := range []string{"", `,"content":null`, `,"content":[]`, `,"content":[{}]`, `,"content":[null]`, `,"content":[7]`} {
			r, err := Parse(Chat, []byte(`{"model":"m","messages":[{"role":"`+role+`"`+more+`},{"role":"user","content":"Hi"},{"role":"`+role+`"`+more+`}]}`))
			if err != nil {
				continue
			}
			for _, target := range targets {
				if out, err := target.Request(r); err == nil && !json.Valid(out.Body) {
					t.Errorf("%s: %s%s: %s", target, role, more, out.Body)
				}
			}
		}
	}
}

// TestCallsWithoutNames: an earlier call that names no function is refused, or left to the provider.
func TestCallsWithoutNames(t *testing.T) {
	targets, _ := fuzzTargets(t)
	for _, call := range []string{`"function_call":{"arguments":"{}"}`, `"function_call":{"name":7,"arguments":"{}"}`,
		`"tool_calls":[{"id":"1","type":"function","function":{"arguments":"{}"}}]`, `"tool_calls":[{}]`, `"tool_calls":[7]`} {
		r, err := Parse(Chat, []byte(`{"model":"m","messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":null,`+call+`}]}`))
		if err != nil {
			t.Fatal(err)
		}
		for _, target := range targets {
			out, err := target.Request(r)
			if err == nil && !json.Valid(out.Body) || err != nil && !strings.HasPrefix(err.Param, "messages[1]") && !strings.HasPrefix(err.Message, target.p.name) {
				t.Errorf("%s: %s: %v %+v", target, call, out, err)
			}
		}
	}
}

// TestReferencesGrowLittle: schemas whose definitions name each other twice stand for a million times their size. What is
// written of them is bounded for the call, not for each tool.
func TestReferencesGrowLittle(t *testing.T) {
	var tools strings.Builder
	for i := range 40 {
		if i > 0 {
			tools.WriteByte(',')
		}
		fmt.Fprintf(&tools, `{"type":"function","function":{"name":"f%d","parameters":{"type":"object","properties":{"x":{"$ref":"#/$defs/d0"}},"$defs":{`, i)
		for d := range 14 {
			fmt.Fprintf(&tools, `"d%d":{"type":"object","properties":{"a":{"$ref":"#/$defs/d%d"},"b":{"$ref":"#/$defs/d%d"}}},`, d, d+1, d+1)
		}
		tools.WriteString(`"d14":{"type":"string"}}}}}`)
	}
	body := `{"model":"m","messages":[{"role":"user","content":"Hi"}],"tools":[` + tools.String() + `]}`
	r, err := Parse(Chat, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	targets, _ := fuzzTargets(t)
	for _, target := range targets {
		out, err := target.Request(r)
		if strings.Contains(target.String(), "nova") && (err == nil || err.Param != "tools") {
			t.Errorf("%s: %v", target, err)
		}
		if err == nil && len(out.Body) > 2*len(body)+2*(leastGrowth+8*len(body)) {
			t.Errorf("%s: %d bytes of %d", target, len(out.Body), len(body))
		}
	}
}

func TestDropsNothingVital(t *testing.T) {
	for path, fine := range map[string]bool{
		"messages": true, "messages[*].name": true, "tools[0]": true,
		"messages[0]": false, "messages[*].role": false, "input[*]": false, "documents[1]": false,
	} {
		if _, err := New(Params{Model: "openai/gpt-4o", APIKey: "k", AdditionalDropParams: []string{path}}); (err == nil) != fine {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestStrangeErrorsInStreams: an error in no known shape ends a stream as any other does.
func TestStrangeErrorsInStreams(t *testing.T) {
	ask, _ := Parse(Chat, []byte(askStream))
	targets, media := fuzzTargets(t)
	for i, target := range targets {
		if media[i] == awsMedia {
			continue
		}
		for _, e := range []string{`{"error":5}`, `{"error":true,"message":{}}`, `{"error":[]}`} {
			event := "data: " + e + "\n\n"
			if media[i] == ndjsonMedia {
				event = e + "\n"
			}
			p := target.Reply(ask, "m")
			p.Begin(200, headers("content-type", media[i]))
			checkStream(t, target.String(), p.End(p.Events(nil, []byte(event))))
			if p.Err() == nil {
				t.Errorf("%s: %s is no error", target, e)
			}
		}
	}
}

// TestInvokedTextStreams: bytes that are no text do not reach the client, and an exception is an error.
func TestInvokedTextStreams(t *testing.T) {
	target, err := New(Params{Model: "bedrock/amazon.titan-text-express-v1", APIKey: "k"})
	if err != nil {
		t.Fatal(err)
	}
	ask, _ := Parse(Chat, []byte(askStream))
	p := target.Reply(ask, "m")
	p.Begin(200, headers("content-type", awsMedia))
	out := p.End(p.Events(nil, framesOf(t, "chunk {\"outputText\":\"a\xffb\"}")))
	p = target.Reply(ask, "m")
	if !utf8.Valid(out) || !strings.Contains(string(out), "a\uFFFDb") {
		t.Errorf("%q", out)
	}
	p.Begin(200, headers("content-type", "application/vnd.amazon.eventstream"))
	p.Events(nil, framesOf(t, `!throttlingException {"message":"slow down"}`))
	if e := p.Err(); e == nil || e.Status != 429 {
		t.Errorf("%v", e)
	}
}

// TestNamesAreOneStep: a deployment that a client names leads nowhere else.
func TestNamesAreOneStep(t *testing.T) {
	target, err := New(Params{Model: "azure/*", APIKey: "k", APIBase: "https://x.openai.azure.com"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"..": "/%2E%2E/", ".": "/%2E/", "a/../b": "/a%2F..%2Fb/", "a?x#y": "/a%3Fx%23y/"} {
		r, _ := Parse(Chat, []byte(`{"model":"azure/`+name+`","messages":[{"role":"user","content":"Hi"}]}`))
		if out, err := target.Request(r); err != nil || !strings.Contains(out.Path, "/deployments"+want+"chat") {
			t.Errorf("%s: %v %v", name, out, err)
		}
	}
	if _, err := New(Params{Model: "azure/x", APIKey: "k", APIBase: "https://x.openai.azure.com", APIVersion: "1&x=2"}); err == nil {
		t.Error("a version with a query in it was taken")
	}
}

// TestHalfCredentials: no error ends in the middle of a credential; those that are no key are known, too.
func TestHalfCredentials(t *testing.T) {
	target, err := New(Params{Model: "azure/x", APIBase: "https://x.openai.azure.com?code=hush-code-0123", Settings: map[string]string{"azure_ad_token": "hush-token-0123456789"}})
	if err != nil {
		t.Fatal(err)
	}
	r, _ := Parse(Chat, []byte(askWhole))
	for _, secret := range []string{"hush-token-0123456789", "hush-code-0123"} {
		for _, body := range []string{
			`{"error":{"message":"` + strings.Repeat("x", 4090) + secret + `"}}`,
			strings.Repeat("x", 295) + secret, `{"error":{"x":"` + strings.Repeat("x", 280) + secret + `"}}`,
		} {
			p := target.Reply(r, "m")
			p.Begin(401, headers())
			if _, err := p.Whole([]byte(body)); err == nil || strings.Contains(err.Message, "hush") {
				t.Errorf("%v", err)
			}
		}
	}
}
