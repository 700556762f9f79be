package adapters

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// rep joins n texts.
func rep(n int, sep string, f func(i int) string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(sep)
		}
		b.WriteString(f(i))
	}
	return b.String()
}

// TestManyOfOne makes requests of about a megabyte of one thing each. What looks everything up for everything takes
// minutes for them, and the test its timeout; it takes seconds.
func TestManyOfOne(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	targets, _ := fuzzTargets(t)
	hi := `"model":"m","messages":[{"role":"user","content":"Hi"}]`
	cases := map[string]string{
		"extra_body": `{` + hi + `,"extra_body":{` + rep(4000, ",", func(i int) string { return fmt.Sprintf(`"k%d":1`, i) }) + `}}`,
		"drops":      `{` + hi + `,"additional_drop_params":[` + rep(256, ",", func(i int) string { return `"ab"` }) + `],` + rep(4000, ",", func(i int) string { return fmt.Sprintf(`"k%d":1`, i) }) + `}`,
		"droppaths":  `{` + hi + `,"additional_drop_params":[` + rep(32, ",", func(i int) string { return `"tools[*].b"` }) + `],"tools":[` + rep(10000, ",", func(i int) string { return `{"type":"function","function":{"name":"f"}}` }) + `]}`,
		"allowed":    `{` + hi + `,"allowed_openai_params":[` + rep(256, ",", func(i int) string { return `"ab"` }) + `],` + rep(4000, ",", func(i int) string { return fmt.Sprintf(`"k%d":1`, i) }) + `}`,
		"calls": `{"model":"m","messages":[{"role":"user","content":"Hi"},{"role":"assistant","tool_calls":[` + rep(6000, ",", func(i int) string {
			return fmt.Sprintf(`{"id":"c%d","type":"function","function":{"name":"f","arguments":"{}"}}`, i)
		}) + `]},` +
			rep(6000, ",", func(i int) string { return fmt.Sprintf(`{"role":"tool","tool_call_id":"c%d","content":"x"}`, i) }) + `]}`,
		"turns": `{"model":"m","messages":[{"role":"user","content":"Hi"},` + rep(5000, ",", func(i int) string {
			return fmt.Sprintf(`{"role":"assistant","tool_calls":[{"id":"c%d","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c%d","content":"x"}`, i, i)
		}) + `]}`,
		"turns-reversed": `{"model":"m","messages":[{"role":"user","content":"Hi"},` + rep(6000, ",", func(i int) string {
			return fmt.Sprintf(`{"role":"assistant","tool_calls":[{"id":"c%d","type":"function","function":{"name":"f","arguments":"{}"}}]}`, i)
		}) + "," + rep(6000, ",", func(i int) string { return fmt.Sprintf(`{"role":"tool","tool_call_id":"c%d","content":"x"}`, i) }) + `]}`,
		"systems":      `{"model":"m","messages":[` + rep(20000, ",", func(i int) string { return `{"role":"system","content":"a"}` }) + `,{"role":"user","content":"Hi"}]}`,
		"roles":        `{"model":"m","messages":[` + rep(12000, ",", func(i int) string { return `{"role":"user","content":"a"},{"role":"system","content":"a"}` }) + `]}`,
		"tools":        `{` + hi + `,"tools":[` + rep(12000, ",", func(i int) string { return fmt.Sprintf(`{"type":"function","function":{"name":"bad name %d"}}`, i) }) + `]}`,
		"sametools":    `{` + hi + `,"tools":[` + rep(12000, ",", func(i int) string { return `{"type":"function","function":{"name":"bad name"}}` }) + `]}`,
		"refs":         `{` + hi + `,"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{` + rep(12000, ",", func(i int) string { return fmt.Sprintf(`"p%d":{"$ref":"#/$defs/d%d"}`, i, 11999-i) }) + `},"$defs":{` + rep(12000, ",", func(i int) string { return fmt.Sprintf(`"d%d":{"type":"string"}`, i) }) + `}}}}]}`,
		"norefs":       `{` + hi + `,"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{` + rep(12000, ",", func(i int) string { return fmt.Sprintf(`"p%d":{"$ref":"#/$defs/d%d"}`, i, i) }) + `}}}}]}`,
		"schemarefs":   `{` + hi + `,"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object","properties":{` + rep(12000, ",", func(i int) string { return fmt.Sprintf(`"p%d":{"$ref":"#/$defs/d%d"}`, i, 11999-i) }) + `},"$defs":{` + rep(12000, ",", func(i int) string { return fmt.Sprintf(`"d%d":{"type":"string"}`, i) }) + `}}}}}`,
		"props":        `{` + hi + `,"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object","properties":{` + rep(20000, ",", func(i int) string { return fmt.Sprintf(`"p%d":{"type":"string"}`, i) }) + `},"required":[` + rep(20000, ",", func(i int) string { return fmt.Sprintf(`"p%d"`, i) }) + `]}}}}`,
		"toolprops":    `{` + hi + `,"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{` + rep(20000, ",", func(i int) string { return fmt.Sprintf(`"p%d":{"type":"string"}`, i) }) + `},"required":[` + rep(20000, ",", func(i int) string { return fmt.Sprintf(`"p%d"`, i) }) + `]}}}]}`,
		"nestedkey":    `{` + hi + `,"tools":[{"type":"function","function":{"name":"f","parameters":` + strings.Repeat(`{"type":"object","properties":{"a":`, 55) + `{"type":"string","description":"` + strings.Repeat("x", 900000) + `"}` + strings.Repeat(`}}`, 55) + `}}]}`,
		"nestedschema": `{` + hi + `,"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":` + strings.Repeat(`{"type":"object","properties":{"a":`, 55) + `{"type":"string","$ref":"` + strings.Repeat("x", 900000) + `"}` + strings.Repeat(`}}`, 55) + `}}}`,
		"stops":        `{` + hi + `,"stop":[` + rep(200000, ",", func(i int) string { return `"a"` }) + `]}`,
		"parts":        `{"model":"m","messages":[{"role":"user","content":[` + rep(25000, ",", func(i int) string { return `{"type":"text","text":"a"}` }) + `]}]}`,
		"args":         `{"model":"m","messages":[{"role":"user","content":"Hi"},{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"` + rep(100000, "", func(i int) string { return `{}` }) + `"}}]},{"role":"tool","tool_call_id":"a","content":"x"}]}`,
		"metadata":     `{` + hi + `,"metadata":{` + rep(60000, ",", func(i int) string { return fmt.Sprintf(`"k%d":1`, i) }) + `},"logit_bias":{` + rep(30000, ",", func(i int) string { return fmt.Sprintf(`"%d":1`, i) }) + `}}`,
	}
	for name, body := range cases {
		r, err := Parse(Chat, []byte(body))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, target := range targets {
			if out, err := target.Request(r); err == nil && !json.Valid(out.Body) {
				t.Errorf("%s: %s", name, target)
			}
		}
	}
}

// TestManyAreRefused: what is looked up for each parameter has few members.
func TestManyAreRefused(t *testing.T) {
	for name, list := range map[string]string{
		"extra_body":              "{" + rep(5000, ",", func(i int) string { return fmt.Sprintf(`"k%d":1`, i) }) + "}",
		"additional_drop_params":  "[" + rep(300, ",", func(int) string { return `"a"` }) + "]",
		"additional_drop_params ": "[" + rep(40, ",", func(int) string { return `"tools[0].a"` }) + "]",
		"allowed_openai_params":   "[" + rep(300, ",", func(int) string { return `"a"` }) + "]",
	} {
		param := strings.TrimSpace(name)
		_, err := Parse(Chat, []byte(`{"model":"m","messages":[{"role":"user","content":"Hi"}],"`+param+`":`+list+`}`))
		if err == nil || err.Status != 400 || err.Param != param {
			t.Errorf("%s: %v", param, err)
		}
	}
}

// TestToolsThatShareTypes: a client's many tools with types of their own, as generators write them, are no attack.
func TestToolsThatShareTypes(t *testing.T) {
	schema := `{"type":"object","$defs":{"Address":{"type":"object","properties":{"street":{"type":"string","description":"` +
		strings.Repeat("d", 300) + `"},"geo":{"$ref":"#/$defs/Geo"}}},"Geo":{"type":"object","properties":{"lat":{"type":"number"}}}},"properties":{` +
		rep(20, ",", func(i int) string { return fmt.Sprintf(`"p%d":{"$ref":"#/$defs/Address"}`, i) }) + `}}`
	body := `{"model":"m","messages":[{"role":"user","content":"Hi"}],"tools":[` + rep(128, ",", func(i int) string {
		return fmt.Sprintf(`{"type":"function","function":{"name":"f%d","parameters":%s}}`, i, schema)
	}) + `]}`
	r, err := Parse(Chat, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []Params{{Model: "gemini/gemini-2.5-flash", APIKey: "k"}, {Model: "bedrock/amazon.nova-pro-v1:0", APIKey: "k"}} {
		target, e := New(p)
		if e != nil {
			t.Fatal(e)
		}
		out, err := target.Request(r)
		if err != nil {
			t.Errorf("%s: %v", p.Model, err)
		} else if strings.Contains(string(out.Body), "$ref") {
			t.Errorf("%s: references are left", p.Model)
		}
	}
}
