package extproc

import (
	"sync"
	"time"

	"github.com/sluicegw/sluice/extproc/wire"
	"github.com/sluicegw/sluice/internal/apierror"
)

// deadline ends a call whose answer has begun and does not end. Envoy's own limits stop at an answer's
// headers, or cut the connection after them; a whole answer has not reached the client yet, so the client
// can still be told.
type deadline struct {
	mu    sync.Mutex
	timer *time.Timer
	over  bool // the client has been answered
	ended bool // no longer wanted
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
	c.deadline.over = true
	e := apierror.New(apierror.Timeout, 408, "the provider's answer did not end in time")
	e.Provider = c.deployment(c.answering).Target.Provider() // it counts against the deployment
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
