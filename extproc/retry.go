package extproc

import (
	"strconv"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sluicegw/sluice/envoy/failure"
	"github.com/sluicegw/sluice/envoy/names"
	"github.com/sluicegw/sluice/extproc/wire"
	"github.com/sluicegw/sluice/internal/apierror"
)

// upstream translates one attempt after the first: Envoy has moved the call to the next cluster of its
// plan and asks what to send there. A call that is not known, or a cluster that the plan does not name,
// fails the attempt: what attempt 1 carried must never go to somebody else.
func (s *Server) upstream(stream extprocv3.ExternalProcessor_ProcessServer) error {
	var in wire.Message
	if err := stream.RecvMsg(&in); err != nil {
		return ended(err)
	}
	out, err := s.retranslate(stream, &in)
	if err != nil {
		s.Log.Error("an attempt could not be translated and was stopped", "error", err)
		return err
	}
	if err := stream.SendMsg(out); err != nil {
		return ended(err)
	}
	// Envoy ends the stream when it needs no more; until then there is nothing to say.
	return ended(stream.RecvMsg(&in))
}

func (s *Server) retranslate(stream extprocv3.ExternalProcessor_ProcessServer, in *wire.Message) (*wire.Reply, error) {
	n, err := strconv.Atoi(in.Headers.Get(names.HeaderAttempt))
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, "the attempt has no count")
	}
	c := s.calls.get(in.Headers.Get(names.HeaderCall))
	if c == nil {
		return nil, status.Error(codes.NotFound, "no call of this id is under way")
	}
	cluster := in.Attributes.Cluster
	if n == c.attempts()+1 && cluster == names.ClusterAPI {
		return c.exhausted(), nil
	}
	if c.way.begins(n) == nil || cluster != c.cluster(n) {
		return nil, status.Errorf(codes.FailedPrecondition, "attempt %d went to cluster %q, which is not the plan's", n, cluster)
	}
	c.pause(stream, n)
	if t := c.snapshot.CallTimeout; t > 0 && time.Since(c.began) >= t {
		e := failure.Find(1<<flagTimeout, "", 0)
		c.way.end(e)
		return immediate(e, reply(wire.Other, 2)), nil
	}
	out := c.way.prepared(n)
	if out == nil {
		var e *apierror.Error
		if out, e = c.translate(n); e != nil {
			return immediate(c.unsendable(n, e), reply(wire.Other, 2)), nil
		}
	}
	if !c.sendAgain(stream.Context(), n) {
		e := apierror.New(apierror.BudgetExceeded, c.snapshot.Budgets.status(), "%s", noneLeft)
		e.Type = "budget_exceeded"
		c.way.end(e)
		return immediate(e, reply(wire.Other, 2)), nil
	}
	c.attemptBegan.Store(time.Now().UnixNano())
	c.depart(n)
	r := reply(wire.RequestHeaders, 6+len(out.Headers))
	outgoing(r, out)
	// The header map is the one that the attempt before has filled: its credentials go.
	dropOthers(r, in.Headers)
	if c.watch != "" {
		r.SetHeader(names.HeaderWatch, c.watch) // the attempt before has used it up
	}
	return r, nil
}

const noneLeft = "Budget has been exceeded! What earlier attempts of this call may have cost leaves too little for another one"

// exhausted ends a call whose last planned attempt had no answer, where Envoy would go on.
func (c *Call) exhausted() *wire.Reply {
	e := failure.Find(1<<flagBrokenOff, "", 0)
	e.Message = "the provider could not be reached, or hung up before it answered" // the attempt log may know later
	spent := time.Duration(time.Now().UnixNano() - c.attemptBegan.Load())
	// Envoy has counted from a little earlier: from when it had a connection.
	if limit := c.attemptTimeout(c.attempts()); limit > 0 && spent >= limit*3/4 {
		e = failure.Find(1<<flagTimeout, "", 0)
	}
	c.noneFollows()
	c.way.end(e)
	return immediate(e, reply(wire.Other, 2))
}

// Bits of response.flags, by which package failure knows what Envoy's own answers mean.
const (
	flagTimeout   = 2 // UT
	flagBrokenOff = 6 // UC
)

// mostPause bounds the wait before a deployment is asked again.
const mostPause = time.Minute

// pause waits before attempt n, if that asks a deployment again: for as long as retry_after says and, within
// a minute, as the deployment itself has asked for. Another deployment is asked at once, as LiteLLM does.
func (c *Call) pause(stream extprocv3.ExternalProcessor_ProcessServer, n int) {
	again, wait := c.way.repeats(n)
	if !again {
		return
	}
	wait = min(max(wait, c.snapshot.RetryAfter), mostPause)
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-stream.Context().Done():
	}
}
