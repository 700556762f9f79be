package extproc

import (
	"context"
	"slices"
	"time"

	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/internal/apierror"
)

// firstRequest translates the first attempt of the plan that can be made at all. A deployment whose credentials
// cannot be had at the moment, say, is passed over: its fault is no reason to refuse a call that others can answer.
// If none can be made, the first's error is told, or how long to wait for one that is full.
func (c *Call) firstRequest() (*adapters.Outgoing, *apierror.Error) {
	var first *apierror.Error
	var full []time.Duration
	for {
		out, err := c.translate(1)
		switch {
		case err == nil:
			return out, nil
		case first == nil:
			first = err
		}
		if !passable(err.Kind) {
			return nil, first
		}
		c.unmade(1, err)
		if c.passOver(err.Kind, &full) {
			continue
		}
		if len(full) > 0 {
			return nil, noRoom(c.plan.At(0).Group, slices.Min(full))
		}
		return nil, first
	}
}

// passable tells whether another deployment may be able to do what this one cannot.
func passable(k apierror.Kind) bool {
	switch k {
	case apierror.Unauthenticated, apierror.Forbidden, apierror.Unavailable, apierror.Timeout, apierror.Overloaded, apierror.Internal:
		return true
	}
	return false
}

// passOver takes the first attempt out of the call's way, with its place at its deployment, and takes one at the next
// that has room; of the others it notes how long they have none. False: there is no next.
func (c *Call) passOver(kind apierror.Kind, full *[]time.Duration) bool {
	l := &c.leg
	l.mu.Lock()
	defer l.mu.Unlock()
	before := c.attempt(1).Deployment
	for c.way.passOver(1, kind) {
		if before != nil {
			c.server.Health.Unclaim(before.ID)
			_ = c.server.Limiter.Cancel(context.Background(), l.held)
			before, l.held = nil, nil
		}
		d := c.takePlace(1)
		if d.Allowed {
			l.held, l.kept, l.keptFor = l.kept, nil, 0
			return true
		}
		*full = append(*full, d.RetryAfter)
		kind = apierror.RateLimit
	}
	return false
}
