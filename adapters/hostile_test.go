package adapters

import "testing"

// TestHostileCalls drops and replaces, by the fields that steer a call, what every translation relies on.
func TestHostileCalls(t *testing.T) {
	targets, _ := formatTargets(t)
	targets = append(targets, fuzzTargets(t)...)
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
				if out, err := target.Request(r); err == nil && !validJSON(out.Body) {
					t.Errorf("%s: %s: %s", target, body, out.Body)
				}
			}
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
