package extproc

import (
	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/policy/route"
)

// goesOnAfter moves the call on from attempt n, whose answer is not used, and tells whether another attempt follows.
// That one's request is made here already, and its place taken: what cannot be made, for want of credentials or because
// the provider does not take it, is passed over while Envoy can still be told of another, and so is a deployment that is
// full by now. used is what the answer has cost in tokens.
func (c *Call) goesOnAfter(n int, e *apierror.Error, used int64) bool {
	if !c.way.failed(n, e.Kind, e.RetryAfter) {
		return false
	}
	for {
		kind := apierror.RateLimit
		if c.keepPlace(n+1, used) {
			out, err := c.translate(n + 1)
			if err == nil {
				c.way.prepare(n+1, out)
				c.goesOn(n + 1)
				return true
			}
			c.leavePlace()
			c.unmade(n+1, err)
			kind = err.Kind
		}
		if !c.way.passOver(n+1, kind) {
			c.way.cut(n)
			return false
		}
	}
}

// unmade tells the log and the health tracker of an attempt whose request could not be made.
func (c *Call) unmade(n int, e *apierror.Error) {
	a := c.attempt(n)
	if a == nil { // the call has gone on without it
		return
	}
	c.server.Log.Warn("a deployment was passed over: its request could not be made", "call", c.clientID,
		"deployment", a.Deployment.ID, "error", e)
	if passable(e.Kind) { // the others are about this request
		c.server.Health.Report(route.Outcome{DeploymentID: a.Deployment.ID, Status: e.Status, Kind: e.Kind, RetryAfter: e.RetryAfter})
	}
}

// unsendable ends the call at attempt n, which Envoy has begun by itself after one without an answer: it is too late
// to name another.
func (c *Call) unsendable(n int, e *apierror.Error) *apierror.Error {
	c.unmade(n, e)
	c.way.withdraw(n)
	shown := *e
	shown.Provider = "" // the call is counted for the attempt before, whose deployment has no part in it
	c.way.end(&shown)
	return e
}

// prepare keeps the request of attempt n until it is sent.
func (w *way) prepare(n int, out *adapters.Outgoing) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.begun >= n {
		return
	}
	w.ready, w.readyFor = out, n
}

// prepared is the request of attempt n, once, if it was made before.
func (w *way) prepared(n int) *adapters.Outgoing {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.ready
	w.ready = nil
	if w.readyFor != n {
		return nil
	}
	return out
}

// cut ends the way after attempt n, unless the next has begun.
func (w *way) cut(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.begun <= n {
		w.order = w.order[:min(n, len(w.order))]
	}
}

// withdraw takes out attempt n, which has begun and is not sent.
func (w *way) withdraw(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.order, w.unsent = w.order[:min(n-1, len(w.order))], true
}

// withdrew tells whether the newest attempt was not sent.
func (w *way) withdrew() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.unsent
}
