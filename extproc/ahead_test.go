package extproc

import (
	"context"
	"strings"
	"testing"

	"github.com/sluicegw/sluice/envoy/names"
	"github.com/sluicegw/sluice/policy/ratelimit"
)

// TestFilledMeanwhile: a deployment that has become full since the call was planned is passed over; the one that the
// call gives up its own place at is not.
func TestFilledMeanwhile(t *testing.T) {
	for name, tt := range map[string]struct {
		taken, plan string
		unit        ratelimit.Unit
	}{
		"room":              {"", "one.hash two.hash one.hash", ratelimit.Parallel},
		"the next is full":  {"two", "one.hash one.hash two.hash", ratelimit.Parallel},
		"used up meanwhile": {"two", "one.hash one.hash two.hash", ratelimit.Requests},
	} {
		t.Run(name, func(t *testing.T) {
			e := connect(t)
			snapshot := e.server.snapshot.Load()
			for id, d := range snapshot.Deployments {
				d.Limits = []ratelimit.Limit{{Scope: ratelimit.Scope{Kind: ratelimit.Deployment, ID: id}, Unit: tt.unit, Max: 1}}
				if tt.unit == ratelimit.Requests && id == "one" {
					d.Limits[0].Max = 9
				}
			}
			stream := e.open(t.Context(), names.FilterRouter)
			e.ask(stream, goodHeaders())
			sent := e.ask(stream, requestBody(body)).GetRequestBody().GetResponse()
			if tt.taken != "" {
				limits := snapshot.Deployments[tt.taken].Limits
				if _, d, err := e.server.Limiter.Reserve(context.Background(), ratelimit.Request{Limits: limits}); err != nil || !d.Allowed {
					t.Fatal(d, err)
				}
			}
			id := set(sent.GetHeaderMutation(), names.HeaderCall)
			verdict, plan, _ := e.judged(watchedHeaders(id, "500", "application/json", "one.hash", 1), "{}")
			if got := strings.Join(plan, " "); verdict == "" || !strings.HasPrefix(got, tt.plan) {
				t.Errorf("verdict %q, plan %s, want %s", verdict, got, tt.plan)
			}
			_ = stream.CloseSend()
			_, _ = stream.Recv()
			e.idle(1)
		})
	}
}
