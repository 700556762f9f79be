package extproc

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"

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

// TestFailoversAtOnce: of calls that fail over at the same moment, no more are led to a deployment than it has room for,
// and nothing of what was kept for them stays behind, however they end.
func TestFailoversAtOnce(t *testing.T) {
	const calls, room = 10, 2
	for _, unit := range []ratelimit.Unit{ratelimit.Parallel, ratelimit.Requests} {
		t.Run(unit.String(), func(t *testing.T) {
			e := connect(t)
			limits := []ratelimit.Limit{{Scope: ratelimit.Scope{Kind: ratelimit.Deployment, ID: "two"}, Unit: unit, Max: room}}
			e.server.snapshot.Load().Deployments["two"].Limits = limits
			var wg sync.WaitGroup
			var led atomic.Int64
			var streams []extprocv3.ExternalProcessor_ProcessClient
			begin := make(chan struct{})
			for range calls {
				stream := e.open(t.Context(), names.FilterRouter)
				e.ask(stream, goodHeaders())
				sent := e.ask(stream, requestBody(body)).GetRequestBody().GetResponse()
				id := set(sent.GetHeaderMutation(), names.HeaderCall)
				wg.Go(func() {
					<-begin
					_, plan, _ := e.judged(watchedHeaders(id, "500", "application/json", "one.hash", 1), "{}")
					if len(plan) > 1 && plan[1] == "two.hash" {
						led.Add(1)
					}
				})
				streams = append(streams, stream)
			}
			close(begin)
			wg.Wait()
			if led.Load() != room {
				t.Errorf("%d calls were led to a deployment with room for %d", led.Load(), room)
			}
			for _, stream := range streams { // before any of them has departed
				_ = stream.CloseSend()
				_, _ = stream.Recv()
			}
			e.idle(calls)
			for range room {
				_, d, err := e.server.Limiter.Reserve(context.Background(), ratelimit.Request{Limits: limits})
				if err != nil || !d.Allowed {
					t.Error("a place stayed behind", d, err)
				}
			}
		})
	}
}
