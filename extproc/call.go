package extproc

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/adapters/tokens"
	"github.com/sluicegw/sluice/extproc/wire"
	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/policy/keys"
	"github.com/sluicegw/sluice/policy/observe"
	"github.com/sluicegw/sluice/policy/route"
)

// Call is one client's call, from its first message to its end. The goroutine of the router's stream
// owns it; the upstream filter's streams read only what is set before the call is registered.
type Call struct {
	server   *Server
	snapshot *Snapshot
	id       string // travels with the attempts; never shown to a client
	clientID string // x-litellm-call-id

	key     *keys.Key
	headers wire.Headers
	op      adapters.Op

	estimate int64 // of the tokens that it will use; 0: nobody asks

	// Set by admit, then read by the upstream filter's streams too.
	request *adapters.Request
	alias   string
	aliased string // the model as the client wrote it, where the key or its team means another by it
	plan    *route.Plan
	way     way
	leg     leg
	windows bool                // prompts are counted before a deployment is planned whose context window is known
	changed []*adapters.Request // by number of the client's own fallbacks: the request with their fields
	timed   bool                // the call may use clusters with a timeout built in
	counted struct {            // the prompt that was counted last
		request *adapters.Request
		by      tokens.Counter
		tokens  int64
	}
	watch   string // what of good answers is held back, see names.HeaderWatch
	hurried bool   // the limit in time is the client's own

	pretends bool // the client has the model that it asks for count as failed

	answering       int // the attempt that answered, from 1; 0: none yet
	reply           *adapters.Reply
	providerHeaders wire.Headers // of a whole answer, until its body is there; of one that failed
	framing         adapters.Framing
	upstreamFailed  bool            // the answering attempt had a status of 400 or more
	unreached       bool            // the last attempt never reached its provider
	failure         *apierror.Error // what the client was told, if it was an error
	together        bool            // the request's headers are answered with its body
	length          int             // that its client says the body has
	gathered        []byte          // pieces of that body, until its last has come
	pending         int             // bytes that are held for them
	refused         bool            // sluice itself has answered: no message may follow
	done            bool            // the answer's last byte has been handed over
	last            wire.Kind       // of the message before

	began, sent, answered, firstByte time.Time
	overhead                         time.Duration
	held                             int64
	finished                         bool

	// attemptBegan is when the newest attempt was sent, in nanoseconds since 1970: the first by the call's own
	// goroutine, the others by those of the upstream filter's streams.
	attemptBegan atomic.Int64

	deadline deadline
	purse    purse
	rates    rates
	ctx      context.Context // of the router filter's stream: done when Envoy or its client has left
	send     func(*wire.Reply) error
}

func (s *Server) begin() *Call {
	s.active.Add(1)
	s.Metrics.InFlight(1)
	return &Call{server: s, snapshot: s.snapshot.Load(), began: time.Now(), ctx: context.Background()}
}

// finish runs exactly once, however the call ended.
func (c *Call) finish() {
	if c.finished {
		return
	}
	c.finished = true
	c.deadline.stop()
	c.release()
	c.arrive()
	c.settleMoney()
	c.server.held.Add(-c.held)
	c.server.active.Add(-1)
	c.server.Metrics.InFlight(-1)
	if c.key == nil && c.failure == nil {
		return // the client left before sluice learned anything
	}
	c.record()
}

// release lets go of what only further attempts need: after this no attempt of the call is translated.
func (c *Call) release() {
	if c.id != "" {
		c.server.calls.drop(c.id)
	}
}

// hold counts n bytes against what all calls together may keep in memory.
func (c *Call) hold(n int) bool {
	c.held += int64(n)
	return c.server.held.Add(int64(n)) <= c.server.MaxHeld
}

// deployment is the deployment of the plan's attempt n, counted from 1.
func (c *Call) deployment(n int) *Deployment {
	a := c.attempt(n)
	if a == nil {
		return nil
	}
	return c.snapshot.Deployments[a.Deployment.ID]
}

// attempt is attempt n of the way that the call takes through its plan; nil: there is none.
func (c *Call) attempt(n int) *route.Attempt {
	if c.plan == nil {
		return nil
	}
	return c.way.attempt(n)
}

// cluster is where attempt n goes.
func (c *Call) cluster(n int) string {
	d := c.deployment(n)
	if c.timed && d.Timed != "" {
		return d.Timed
	}
	return d.Cluster
}

// record tells the metrics and the health tracker how the call ended.
func (c *Call) record() {
	r := observe.CallRecord{
		Stream:   c.framing == adapters.Events,
		Status:   200,
		Duration: since(c.began),
		Upstream: since(c.sent),
		Overhead: c.overhead,
	}
	if r.Stream && !c.firstByte.IsZero() {
		r.FirstToken = c.firstByte.Sub(c.sent)
	}
	if c.key != nil {
		r.KeyHash, r.KeyAlias = c.key.Hash, c.key.Alias
	}
	switch {
	case c.failure != nil:
		r.Status, r.Kind = c.failure.Status, c.failure.Kind
	case !c.delivered():
		r.Status, r.Kind = statusClientLeft, apierror.Cancelled
	}
	if c.plan != nil {
		r.RequestedModel = c.alias
		r.Group = c.plan.At(0).Group
		c.recordAttempts(&r)
		if c.purse.entry != nil {
			r.Spend = c.purse.cost.Dollars()
		}
	}
	c.server.Metrics.Call(r)
	c.log(r)
}

// log is one line a call, for whoever asked for debugging; it has nothing of the call's content.
func (c *Call) log(r observe.CallRecord) {
	if c.server.Log == nil || !c.server.Log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	var denied []string
	if c.failure != nil && c.plan != nil {
		denied = c.plan.Denied
	}
	c.server.Log.Debug("call", "call", c.clientID, "op", c.op.String(), "model", r.Group, "deployment", r.Deployment,
		"status", r.Status, "kind", string(r.Kind), "stream", r.Stream, "attempt", c.answering,
		"duration", r.Duration.Round(time.Microsecond), "input_tokens", r.InputTokens, "output_tokens", r.OutputTokens, "fallbacks_denied", denied)
}

// delivered tells whether the client has all of its answer. Of a stream it has when the last event was handed
// over: many clients leave at [DONE], before the provider has closed its side.
func (c *Call) delivered() bool {
	return c.done || c.framing == adapters.Events && c.reply != nil && c.reply.Over()
}

// statusClientLeft is how a call is counted whose client went before its end (nginx's 499).
const statusClientLeft = 499

func (c *Call) recordAttempts(r *observe.CallRecord) {
	if c.answering == 0 {
		return
	}
	attempt := c.attempt(min(c.answering, c.attempts()))
	d := c.deployment(min(c.answering, c.attempts()))
	r.Retries, r.Fallbacks = c.way.counts(c.answering)
	r.Deployment, r.Group = d.ID, attempt.Group
	if c.reply != nil {
		if u, ok := c.reply.Usage(); ok {
			r.InputTokens, r.OutputTokens = int(u.Prompt), int(u.Completion)
			r.Spend, _ = c.cost()
		}
	}
	// A failed attempt is in the per-attempt log already; what only the answer's body shows is not.
	// This is told once, so it need not be remembered by its call's id.
	outcome := route.Outcome{DeploymentID: d.ID, Status: r.Status, Kind: r.Kind,
		ClientTimeout: c.hurried && r.Kind == apierror.Timeout}
	if (r.Status < 400 || c.bodyFault()) && r.Kind != apierror.Cancelled {
		c.server.Health.Report(outcome)
		c.server.Metrics.Attempt(observe.AttemptRecord{Deployment: d.ID, RequestedModel: c.alias,
			KeyHash: r.KeyHash, KeyAlias: r.KeyAlias, Status: r.Status, Kind: r.Kind})
	}
}

// bodyFault tells whether the provider answered with a good status and a body that was no answer.
func (c *Call) bodyFault() bool {
	return c.failure != nil && c.failure.Provider != "" && !c.upstreamFailed
}
