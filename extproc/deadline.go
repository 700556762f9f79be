package extproc

import (
	"sync"
	"time"

	"github.com/sluicegw/sluice/envoy/failure"
	"github.com/sluicegw/sluice/extproc/wire"
	"github.com/sluicegw/sluice/internal/apierror"
)

// deadline ends a call whose answer has begun and does not end, or a stream that does not begin. Envoy's own limits
// stop at an answer's headers, or cut the connection after them; a whole answer has not reached the client yet, so the
// client can still be told.
type deadline struct {
	mu    sync.Mutex
	timer *time.Timer
	over  bool // the client has been answered
	begun bool // the provider's answer has
	ended bool // no longer wanted
}

// begin notes that the provider's answer is there; true means that it came too late.
func (d *deadline) begin() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.begun = true
	if d.timer != nil {
		d.timer.Stop()
	}
	return d.over
}

// stop calls the deadline off; true means that it was too late.
func (d *deadline) stop() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
	if d.timer != nil {
		d.timer.Stop()
	}
	return d.over
}

// awaitBody gives a whole answer the rest of the attempt's time.
func (c *Call) awaitBody() {
	limit := c.attemptTimeout(c.answering)
	if limit <= 0 {
		return
	}
	spent := time.Duration(time.Now().UnixNano() - c.attemptBegan.Load())
	c.deadline.timer = time.AfterFunc(max(0, limit-spent), func() { c.server.guard(c.giveUp) })
}

func (c *Call) giveUp() {
	c.deadline.mu.Lock()
	defer c.deadline.mu.Unlock()
	if c.deadline.ended {
		return
	}
	e := apierror.New(apierror.Timeout, 408, "the provider's answer did not end in time")
	e.Provider = c.deployment(c.answering).Target.Provider() // it counts against the deployment
	c.outOfTime(e)
}

// awaitStream keeps a stream to the call's limit in time until it begins. Envoy's own limit would cut it later, too.
func (c *Call) awaitStream() {
	if limit := c.snapshot.CallTimeout; limit > 0 && c.request.Stream() {
		c.deadline.timer = time.AfterFunc(max(0, limit-since(c.began)), func() { c.server.guard(c.overdue) })
	}
}

func (c *Call) overdue() {
	c.deadline.mu.Lock()
	defer c.deadline.mu.Unlock()
	if c.deadline.ended || c.deadline.begun {
		return
	}
	c.answering = min(c.leg.at(), c.attempts())
	c.outOfTime(failure.Find(1<<flagTimeout, "", 0))
}

// outOfTime answers the client in the middle of a call, with the deadline's lock held.
func (c *Call) outOfTime(e *apierror.Error) {
	c.deadline.over = true
	c.failure = e
	c.settleMoney()
	r := reply(wire.Other, 16)
	c.answerHeaders(r, nil)
	r.SetHeader("x-should-retry", "false")
	_ = c.send(immediate(e, r)) // a stream that is gone already has nobody to tell
}

// say sends a reply; only one is sent at a time, and none after the client has been answered.
func (c *Call) say(out *wire.Reply) error {
	c.deadline.mu.Lock()
	defer c.deadline.mu.Unlock()
	if out == nil || c.deadline.over {
		return nil
	}
	return c.send(out)
}
