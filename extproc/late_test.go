package extproc

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/sluicegw/sluice/adapters/catalog"
	"github.com/sluicegw/sluice/envoy/names"
)

// TestLateVerdict: Envoy may lose patience with an answer that is still being judged. What the verdict then comes to
// changes neither where the attempt under way goes nor what the client gets.
func TestLateVerdict(t *testing.T) {
	for name, code := range map[string]string{"would end the call": "400", "would go on": "500"} {
		t.Run(name, func(t *testing.T) {
			e := connect(t)
			stream := e.open(t.Context(), names.FilterRouter)
			e.ask(stream, goodHeaders())
			sent := e.ask(stream, requestBody(body)).GetRequestBody().GetResponse()
			id := set(sent.GetHeaderMutation(), names.HeaderCall)

			verdict := e.open(t.Context(), names.FilterVerdict)
			if err := verdict.Send(watchedHeaders(id, code, "application/json", "one.hash", 1)); err != nil {
				t.Fatal(err)
			}
			m := requestHeaders(names.HeaderCall, id, names.HeaderAttempt, "2")
			m.Attributes = map[string]*structpb.Struct{names.AttrFilter: {Fields: map[string]*structpb.Value{
				names.AttrCluster: structpb.NewStringValue("two.hash")}}}
			upstream := e.open(t.Context(), names.FilterUpstream)
			e.ask(upstream, m)
			out := e.ask(verdict, answerBody("{}", true))
			if set(out.GetResponseHeaders().GetResponse().GetHeaderMutation(), names.HeaderVerdict) != "" || len(out.GetTypedDynamicMetadata()) > 0 {
				t.Errorf("the verdict: %v", out)
			}
			c := e.server.calls.get(id)
			if c.cluster(2) != "two.hash" || c.attempts() < 2 {
				t.Errorf("attempt 2 of %d goes to %s", c.attempts(), c.cluster(2))
			}
			_ = upstream.CloseSend()
			if out := e.ask(stream, answerHeaders("200", "application/json", 2)); out.GetResponseHeaders() == nil {
				t.Errorf("the answer of attempt 2: %v", out)
			}
			_ = stream.CloseSend()
			_, _ = stream.Recv()
			e.idle(1)
		})
	}
}

// TestToldAnswerCosts: an answer in whose place Envoy tells the client of its error has cost what it says all the same.
func TestToldAnswerCosts(t *testing.T) {
	own := catalog.Info{}.With(map[string]float64{"input_cost_per_token": 0.001, "output_cost_per_token": 0.01})
	e := connect(t)
	e.server.snapshot.Load().Deployments["one"].Prices = catalog.NewPricer("openai", own, true)
	stream := e.open(t.Context(), names.FilterRouter)
	e.ask(stream, goodHeaders())
	// A limit of silence has the stream held until its words.
	sent := e.ask(stream, requestBody(strings.Replace(streamBody, "{", `{"stream_timeout":30,`, 1))).GetRequestBody().GetResponse()
	id := set(sent.GetHeaderMutation(), names.HeaderCall)
	verdict := e.open(t.Context(), names.FilterVerdict)
	if err := verdict.Send(watchedHeaders(id, "200", "text/event-stream", "one.hash", 1)); err != nil {
		t.Fatal(err)
	}
	told := e.ask(verdict, answerBody("data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"}}],"+
		"\"usage\":{\"prompt_tokens\":1000,\"completion_tokens\":3}}\n\n"+
		"data: {\"error\":{\"message\":\"no\",\"type\":\"invalid_request_error\",\"code\":400}}\n\n", false)).GetImmediateResponse()
	if told.GetStatus().GetCode() != 400 {
		t.Fatal(told)
	}
	head := localReply("400", told.GetDetails(), 0)
	if out := e.ask(stream, head).GetImmediateResponse(); out.GetStatus().GetCode() != 400 {
		t.Error(out)
	}
	_ = stream.CloseSend()
	_, _ = stream.Recv()
	e.idle(1)
	if in, cost := sum(t, e.server, "litellm_input_tokens_total"), sum(t, e.server, "litellm_spend_total"); in != 1000 || cost < 1.0299 || cost > 1.0301 {
		t.Errorf("%v tokens, %v dollars", in, cost)
	}
}
