package extproc

import (
	"testing"

	"google.golang.org/protobuf/types/known/structpb"

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
