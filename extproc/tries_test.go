package extproc

import (
	"sync"
	"testing"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/adapters/catalog"
	"github.com/sluicegw/sluice/envoy/names"
	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/policy/ledger"
)

// priced is a server with a ledger, whose deployments cost a tenth of a cent a token in and a cent a token out.
func priced(t *testing.T) *envoySide {
	t.Helper()
	e := connect(t)
	keepBook(t, e.server)
	own := catalog.Info{}.With(map[string]float64{"input_cost_per_token": 0.001, "output_cost_per_token": 0.01})
	for _, d := range e.server.snapshot.Load().Deployments {
		d.Prices = catalog.NewPricer("openai", own, true)
	}
	return e
}

// TestUnreachedCostsNothing: what never reached its provider costs nothing, whenever the attempt log tells of it: before
// the next attempt has begun, or after.
func TestUnreachedCostsNothing(t *testing.T) {
	refused := tryOutcome{unreached: true, status: 500, kind: apierror.Unavailable}
	for _, late := range []bool{false, true} {
		e := priced(t)
		var rows []ledger.Row
		e.server.Spent = func(r *ledger.Row) { rows = append(rows, *r) }
		stream := e.open(t.Context(), names.FilterRouter)
		e.ask(stream, goodHeaders())
		sent := e.ask(stream, requestBody(body)).GetRequestBody().GetResponse()
		id := set(sent.GetHeaderMutation(), names.HeaderCall)
		clusters := []string{"", "one.hash", "two.hash", "one.hash", "two.hash"}
		attempt := func(n string, cluster string) {
			m := requestHeaders(names.HeaderCall, id, names.HeaderAttempt, n)
			m.Attributes = map[string]*structpb.Struct{names.AttrFilter: {Fields: map[string]*structpb.Value{
				names.AttrCluster: structpb.NewStringValue(cluster)}}}
			e.ask(e.open(t.Context(), names.FilterUpstream), m)
		}
		told := func(cluster string) { e.server.failed(id, cluster, refused) }
		for i, n := range []string{"2", "3", "4"} {
			if !late {
				told(clusters[i+1])
			}
			attempt(n, clusters[i+2])
		}
		if late {
			told("one.hash")
			told("two.hash")
			told("one.hash")
		}
		e.ask(stream, answerHeaders("200", "application/json", 4))
		e.ask(stream, answerBody(answerOK, true))
		_ = stream.CloseSend()
		_, _ = stream.Recv()
		if len(rows) != 4 {
			t.Fatalf("late %v: %d rows", late, len(rows))
		}
		for _, r := range rows {
			if free := r.Spend == 0 && r.Prompt == 0; free != (r.Attempt < 4) {
				t.Errorf("late %v: attempt %d has %d tokens and cost %v", late, r.Attempt, r.Prompt, r.Spend)
			}
		}
	}
}

// TestLogOfJudged: the log's entry of an answer that a verdict has told of already is not taken for another attempt's,
// and an answer with a good status, which the log does not tell of, has none.
func TestLogOfJudged(t *testing.T) {
	for _, answered := range []int{200, 500} {
		e := connect(t)
		keepBook(t, e.server)
		stream := e.open(t.Context(), names.FilterRouter)
		e.ask(stream, goodHeaders())
		sent := e.ask(stream, requestBody(body)).GetRequestBody().GetResponse()
		c := e.server.calls.get(set(sent.GetHeaderMutation(), names.HeaderCall))
		for n := 2; n <= 4; n++ {
			if !c.sendAgain(t.Context(), n) {
				t.Fatal("no room for", n)
			}
		}
		// Attempts 1 and 3 are at the same deployment.
		c.unused(1, answered, apierror.New(apierror.Internal, 500, "no"), c.target(1).Reply(c.request, ""))
		first, third := tryOutcome{status: 500, kind: apierror.Internal}, tryOutcome{status: 408, kind: apierror.Timeout}
		if answered >= 400 {
			e.server.failed(c.id, "one.hash", first)
		}
		e.server.failed(c.id, "one.hash", third)
		if all := c.purse.tries.attempts(); all[1].outcome.kind != first.kind || all[3].outcome.kind != third.kind {
			t.Errorf("%d: %+v, %+v", answered, all[1], all[3])
		}
		_ = stream.CloseSend()
		_, _ = stream.Recv()
	}
}

// TestUnsendableCostsBefore: when an attempt cannot be made and so ends the call, the one before it, which had no answer,
// has cost what such an attempt may cost, and is not blamed.
func TestUnsendableCostsBefore(t *testing.T) {
	e := priced(t)
	var rows []ledger.Row
	e.server.Spent = func(r *ledger.Row) { rows = append(rows, *r) }
	target, err := adapters.New(adapters.Params{Model: "bedrock/anthropic.claude-3-haiku-20240307-v1:0",
		Settings: map[string]string{"aws_region_name": "us-east-1", "aws_profile_name": "nobody"}})
	if err != nil {
		t.Fatal(err)
	}
	e.server.snapshot.Load().Deployments["two"].Target = target
	stream := e.open(t.Context(), names.FilterRouter)
	e.ask(stream, goodHeaders())
	sent := e.ask(stream, requestBody(body)).GetRequestBody().GetResponse()
	id := set(sent.GetHeaderMutation(), names.HeaderCall)
	e.server.failed(id, "one.hash", tryOutcome{status: 408, kind: apierror.Timeout})
	m := requestHeaders(names.HeaderCall, id, names.HeaderAttempt, "2")
	m.Attributes = map[string]*structpb.Struct{names.AttrFilter: {Fields: map[string]*structpb.Value{
		names.AttrCluster: structpb.NewStringValue("two.hash")}}}
	told := e.ask(e.open(t.Context(), names.FilterUpstream), m).GetImmediateResponse()
	if told.GetStatus().GetCode() != 401 {
		t.Fatal(told)
	}
	head := localReply("401", told.GetDetails(), 0)
	head.Attributes = attributes(told.GetDetails(), 2, 0)
	out := e.ask(stream, head).GetImmediateResponse()
	if set(out.GetHeaders(), "x-litellm-model-id") != "one" {
		t.Error(out)
	}
	_ = stream.CloseSend()
	_, _ = stream.Recv()
	if len(rows) != 1 || rows[0].Spend == 0 || rows[0].Status != 408 {
		t.Errorf("%+v", rows)
	}
}

// TestLastUnreachedCostsNothing: of the last attempt, after which Envoy would go on though nothing is planned, the log
// tells as well whether it reached its provider.
func TestLastUnreachedCostsNothing(t *testing.T) {
	for _, tt := range []struct {
		name string
		log  tryOutcome
		when string
		free bool
	}{
		{"told at once", tryOutcome{unreached: true, status: 500, kind: apierror.Unavailable}, "before", true},
		{"told after the call's end", tryOutcome{unreached: true, status: 500, kind: apierror.Unavailable}, "after", true},
		{"out of time", tryOutcome{status: 408, kind: apierror.Timeout}, "after", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := priced(t)
			var rows []ledger.Row
			var mu sync.Mutex
			e.server.Spent = func(r *ledger.Row) { mu.Lock(); rows = append(rows, *r); mu.Unlock() }
			stream := e.open(t.Context(), names.FilterRouter)
			e.ask(stream, goodHeaders())
			sent := e.ask(stream, requestBody(body)).GetRequestBody().GetResponse()
			id := set(sent.GetHeaderMutation(), names.HeaderCall)
			c := e.server.calls.get(id)
			c.way.cut(1) // of a plan whose other attempts only failures of a kind lead to
			if tt.when == "before" {
				e.server.failed(id, "one.hash", tt.log)
			}
			m := requestHeaders(names.HeaderCall, id, names.HeaderAttempt, "2")
			m.Attributes = map[string]*structpb.Struct{names.AttrFilter: {Fields: map[string]*structpb.Value{
				names.AttrCluster: structpb.NewStringValue(names.ClusterAPI)}}}
			told := e.ask(e.open(t.Context(), names.FilterUpstream), m).GetImmediateResponse()
			head := localReply("500", told.GetDetails(), 0)
			head.Attributes = attributes(told.GetDetails(), 2, 0)
			if out := e.ask(stream, head).GetImmediateResponse(); out.GetStatus().GetCode() != 500 {
				t.Error(out)
			}
			_ = stream.CloseSend()
			_, _ = stream.Recv()
			if tt.when == "after" {
				e.server.failed(id, "one.hash", tt.log)
			}
			mu.Lock()
			defer mu.Unlock()
			if len(rows) != 1 || (rows[0].Spend == 0) != tt.free || rows[0].Status != tt.log.status {
				t.Errorf("%+v", rows)
			}
			if n := len(e.server.late.calls); n != 0 {
				t.Errorf("%d calls are still waited for", n)
			}
		})
	}
}
