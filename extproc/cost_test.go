package extproc

import (
	"strings"
	"testing"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"

	"github.com/sluicegw/sluice/adapters/catalog"
	"github.com/sluicegw/sluice/envoy/names"
)

// TestCost: the header of whole answers, and the metrics of all, tell what the call cost.
func TestCost(t *testing.T) {
	mini, ok := catalog.Lookup("openai", "gpt-4o-mini")
	if !ok {
		t.Fatal("the catalogue does not have gpt-4o-mini")
	}
	own := catalog.Info{}.With(map[string]float64{"input_cost_per_token": 0.001, "output_cost_per_token": 0.01})
	answer := func(model, usage string) string {
		return strings.NewReplacer(`"up"`, `"`+model+`"`, `{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}`, usage).Replace(answerOK)
	}
	const small = `{"prompt_tokens":1000,"completion_tokens":10,"total_tokens":1010,"prompt_tokens_details":{"cached_tokens":400}}`
	for _, c := range []struct {
		name, answer, kind string
		prices             *catalog.Pricer
		header             string
		spend              float64
	}{
		{"the deployment's model", answer("mine", small), "application/json", catalog.NewPricer("openai", mini, false), "0.000126", 0.000126},
		{"the model that answered", answer("gpt-4o-2024-05-13", small), "application/json", catalog.NewPricer("openai", mini, false), "0.00515", 0.00515},
		{"prices of its own", answer("gpt-4o-2024-05-13", small), "application/json", catalog.NewPricer("openai", own, true), "1.1", 1.1},
		{"tiny", answer("mine", `{"prompt_tokens":1,"completion_tokens":0}`), "application/json", catalog.NewPricer("openai", mini, false), "1.5e-07", 1.5e-07},
		{"the provider's word", answer("mine", `{"prompt_tokens":1,"completion_tokens":0,"cost":0.25}`), "application/json", catalog.NewPricer("openai", mini, false), "0.25", 0.25},
		{"free", answer("mine", small), "application/json",
			catalog.NewPricer("openai", catalog.Info{}.With(map[string]float64{"input_cost_per_token": 0}), true), "0.0", 0},
		{"nobody knows", answer("mine", small), "application/json", catalog.NewPricer("openai", catalog.Info{}, false), "", 0},
		{"no usage", answer("mine", "null"), "application/json", catalog.NewPricer("openai", mini, false), "", 0},
		{"an error", `{"error":{"message":"no"}}`, "application/json", catalog.NewPricer("openai", mini, false), "", 0},
		{"a stream", "data: {\"model\":\"gpt-4o-2024-05-13\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}]}\n\n" +
			"data: {\"model\":\"gpt-4o-2024-05-13\",\"choices\":[],\"usage\":" + small + "}\n\ndata: [DONE]\n\n", "text/event-stream",
			catalog.NewPricer("openai", mini, false), "", 0.00515},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := connect(t)
			e.server.snapshot.Load().Deployments["one"].Prices = c.prices
			stream := e.open(t.Context(), names.FilterRouter)
			request := body
			if c.kind == "text/event-stream" {
				request = streamBody
			}
			var last *extprocv3.ProcessingResponse
			for _, m := range []*extprocv3.ProcessingRequest{goodHeaders(), requestBody(request), answerHeaders("200", c.kind, 1), answerBody(c.answer, true)} {
				last = e.ask(stream, m)
			}
			_ = stream.CloseSend()
			_, _ = stream.Recv()
			e.idle(1)
			got := ""
			for _, h := range last.GetResponseBody().GetResponse().GetHeaderMutation().GetSetHeaders() {
				if h.GetHeader().GetKey() == "x-litellm-response-cost" {
					got = string(h.GetHeader().GetRawValue())
				}
			}
			if got != c.header {
				t.Errorf("the header says %q, want %q", got, c.header)
			}
			for _, metric := range []string{"litellm_spend_total", "litellm_spend_metric_total"} {
				if got := sum(t, e.server, metric); got < c.spend*0.999999 || got > c.spend*1.000001 {
					t.Errorf("%s is %v, want %v", metric, got, c.spend)
				}
			}
		})
	}
}

func TestInDollars(t *testing.T) {
	for d, want := range map[float64]string{0: "0.0", 1: "1.0", 0.1 + 0.2: "0.3", 1.25e-5: "1.25e-05", 0.0125: "0.0125", 1e-4: "0.0001", 12345.678: "12345.678"} {
		if got := inDollars(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
