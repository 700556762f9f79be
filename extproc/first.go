package extproc

import (
	"context"

	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/policy/ratelimit"
)

// firstRequest translates the first attempt of the plan that can be made at all. A deployment whose credentials
// cannot be had at the moment, say, is passed over: its fault is no reason to refuse a call that others can answer.
// If none can be made, the first's error is told.
func (c *Call) firstRequest() (*adapters.Outgoing, *apierror.Error) {
	var first *apierror.Error
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
		if !c.passOver(err.Kind) {
			return nil, first
		}
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

// passOver takes the first attempt out of the call's way, with its place at its deployment, and takes one at the
// next. False: there is none.
func (c *Call) passOver(kind apierror.Kind) bool {
	l := &c.leg
	l.mu.Lock()
	defer l.mu.Unlock()
	before := c.attempt(1).Deployment
	if !c.way.passOver(1, kind) {
		return false
	}
	c.server.Health.Unclaim(before.ID)
	_ = c.server.Limiter.Cancel(context.Background(), l.held)
	l.held = nil
	if limits := c.limitsOf(c.attempt(1).Deployment.ID); len(limits) > 0 {
		l.held, _, _ = c.server.Limiter.Reserve(context.Background(),
			ratelimit.Request{Limits: limits, Tokens: c.estimate, Force: true})
	}
	return true
}
