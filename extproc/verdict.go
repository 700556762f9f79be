package extproc

import (
	"encoding/json"
	"strconv"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"

	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/envoy/names"
	"github.com/sluicegw/sluice/extproc/wire"
	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/policy/observe"
	"github.com/sluicegw/sluice/policy/route"
)

// mostHeld bounds what is held of a stream that says nothing for long, in bytes.
const mostHeld = names.StreamBody / 2

// mostDropped is up to which length Envoy is told to forget a failed answer, in bytes. Of a longer one it may have
// asked the provider to pause, which it would take back from a connection that is no longer the answer's.
const mostDropped = names.StreamBody / 2

// verdict is one answer that Envoy holds back: its headers have no reply until it is known whether the client
// gets it or the next attempt follows.
type verdict struct {
	stream  extprocv3.ExternalProcessor_ProcessServer
	call    *Call // nil: not known, or already answered; the answer passes
	n       int   // the attempt
	status  int
	headers wire.Headers
	reply   *adapters.Reply
	framing adapters.Framing
	pieces  [][]byte // of the body, so far
	size    int
	ended   bool // the last piece is among them
	looks   int  // for an end that has not been told
}

// judge serves the filter that holds answers back, for one answer.
func (s *Server) judge(stream extprocv3.ExternalProcessor_ProcessServer) error {
	var in wire.Message
	if err := stream.RecvMsg(&in); err != nil {
		return ended(err)
	}
	v := s.beginVerdict(stream, &in)
	defer func() { s.held.Add(-int64(v.size)) }()
	failure, err := v.hear(in.EndOfStream)
	if err != nil || stream.Context().Err() != nil { // the attempt is over, maybe by its limit in time
		return ended(err)
	}
	// With the stream's end Envoy lets go what it holds, and the rest of the answer never comes this way.
	return ended(stream.SendMsg(v.sentence(failure)))
}

func (s *Server) beginVerdict(stream extprocv3.ExternalProcessor_ProcessServer, in *wire.Message) *verdict {
	v := &verdict{stream: stream, n: in.Attributes.Attempt, headers: in.Headers}
	v.status, _ = strconv.Atoi(in.Headers.Get(":status"))
	c := s.calls.get(in.Call)
	if c == nil || c.attempt(v.n) == nil || c.cluster(v.n) != in.Attributes.Cluster {
		return v
	}
	v.call = c
	v.reply = c.target(v.n).Reply(c.requestOf(v.n), c.alias)
	v.framing = v.reply.Begin(v.status, in.Headers.Get)
	return v
}

// hear reads the answer for as long as it takes to judge it, and returns what is wrong with it, or nil.
func (v *verdict) hear(over bool) (*apierror.Error, error) {
	v.ended = over
	if v.call == nil {
		return nil, nil
	}
	var in wire.Message
	for !v.ended {
		if err := v.stream.RecvMsg(&in); err != nil {
			return nil, err
		}
		if in.Kind != wire.ResponseBody {
			v.ended = true // trailers; the end of the body they are
			break
		}
		v.size += len(in.Body)
		v.ended = in.EndOfStream
		if held := v.call.server.held.Add(int64(len(in.Body))); held > v.call.server.MaxHeld || int64(v.size) > v.call.server.MaxBody {
			return nil, nil // too much to be held twice: the client gets what there is
		}
		if v.framing == adapters.Events {
			if v.decided(v.reply.Events(nil, in.Body)) {
				break
			}
			continue
		}
		v.pieces = append(v.pieces, in.Body)
		if v.complete() {
			break
		}
		if v.size > mostDropped && v.call.narrow() && !v.ended { // Envoy stops reading before it has all of it
			if v.status < 400 {
				return nil, nil
			}
			break
		}
	}
	return v.fault(), nil
}

// decided tells whether a stream has been heard for long enough, after events that made out for the client.
func (v *verdict) decided(out []byte) bool {
	r := v.reply
	return r.Err() != nil || r.Produced() > 0 || r.FinishReason() != "" || r.Over() || v.size > mostHeld ||
		len(out) > 0 && !v.call.untilWords()
}

// complete tells that a body is all there though its end has not come: Envoy does not say here that trailers end it.
func (v *verdict) complete() bool {
	last := v.pieces[len(v.pieces)-1]
	if v.ended || v.size > mostGuessed || len(last) == 0 || last[len(last)-1] != '}' || v.looks == mostLooks {
		return false
	}
	v.looks++
	return json.Valid(v.body())
}

// mostGuessed is up to which length a body is looked at for its end, in bytes, and mostLooks how often: pieces that all
// look like ends must not cost more than the body is long, many times over.
const (
	mostGuessed = 64 << 10
	mostLooks   = 32
)

// fault is what is wrong with the answer as far as it was heard.
func (v *verdict) fault() *apierror.Error {
	if v.framing == adapters.Events {
		if v.ended {
			v.reply.End(nil)
		}
	} else if _, err := v.reply.Whole(v.body()); err != nil {
		return err
	}
	if err := v.reply.Err(); err != nil {
		return err
	}
	if v.call.plan.OnContent() && v.reply.FinishReason() == "content_filter" && (v.framing == adapters.Whole || v.reply.Produced() == 0) {
		e := apierror.New(apierror.ContentPolicy, 400, "the provider filtered the answer")
		e.Provider = v.call.target(v.n).Provider()
		return e
	}
	return nil
}

func (v *verdict) body() []byte {
	if len(v.pieces) == 1 {
		return v.pieces[0]
	}
	out := make([]byte, 0, v.size)
	for _, p := range v.pieces {
		out = append(out, p...)
	}
	return out
}

// sentence is the reply to the answer's headers: it goes on to the client, or Envoy to the next attempt, or that's it.
func (v *verdict) sentence(e *apierror.Error) *wire.Reply {
	r := pass(wire.ResponseHeaders)
	if e == nil {
		return r
	}
	c := v.call
	id := c.attempt(v.n).Deployment.ID
	if c.goesOnAfter(v.n, e, tokensOf(v.reply)) {
		c.unused(v.n, v.status, e, v.reply)
		r.SetHeader(names.HeaderVerdict, string(e.Kind))
		r.Plan = c.clusters()
		r.Drop = v.ended && v.size <= mostDropped
		if v.status < 400 { // what only the body shows is not in the attempt log
			c.server.Health.Report(route.Outcome{DeploymentID: id, Status: e.Status, Kind: e.Kind, RetryAfter: e.RetryAfter})
			c.server.Metrics.Attempt(observe.AttemptRecord{Deployment: id, Status: e.Status, Kind: e.Kind})
		}
		return r
	}
	if v.status >= 400 || e.Kind != apierror.ContentPolicy && (v.framing == adapters.Whole || v.reply.Produced() == 0) {
		// Nothing was said yet: the client can have the status that it should have had.
		return v.last(e)
	}
	return r
}

// last ends the call with what is wrong with its last answer. Envoy answers in the provider's place, for the answer's
// own headers may meet a client that is behind with another answer: see docs/adr/0040-held-answers.md. So the attempt
// log has no entry of it.
func (v *verdict) last(e *apierror.Error) *wire.Reply {
	c := v.call
	if !c.way.endWith(e, told{attempt: v.n, status: v.status, headers: v.headers, reply: v.reply}) {
		return pass(wire.ResponseHeaders) // to an attempt that is over
	}
	if v.status >= 400 { // what only the body shows is told at the call's end
		c.server.attemptFailed(route.Outcome{DeploymentID: c.attempt(v.n).Deployment.ID, Status: v.status,
			Kind: apierror.KindFor(v.status), RetryAfter: e.RetryAfter}, "")
	}
	return immediate(e, reply(wire.Other, 2))
}
