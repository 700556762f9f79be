package extproc

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/policy/ratelimit"
	"github.com/sluicegw/sluice/policy/route"
)

// full says why a deployment has no room for the call, or nil.
func (c *Call) full(d *Deployment) error { return c.server.Full(d, c.estimate) }

// Full says why a deployment has no room for a call of so many tokens, or nil. What it returns is a [route.Full].
func (s *Server) Full(d *Deployment, tokens int64) error {
	decision := s.peek(d, tokens)
	if decision.Allowed {
		return nil
	}
	what := strconv.FormatInt(decision.Limit, 10)
	switch decision.Unit {
	case ratelimit.Parallel:
		what += " parallel requests"
	default:
		what += fmt.Sprintf(" %s a minute", decision.Unit)
	}
	return &route.Full{Reason: "its limit of " + what + " is reached", RetryAfter: decision.RetryAfter}
}

func (s *Server) peek(d *Deployment, tokens int64) ratelimit.Decision {
	if len(d.Limits) == 0 {
		return ratelimit.Decision{Allowed: true}
	}
	decision, err := s.Limiter.Peek(context.Background(), ratelimit.Request{Limits: d.Limits, Tokens: tokens})
	decision.Allowed = decision.Allowed || err != nil
	return decision
}

// keepPlace takes a place for attempt n, which a failed answer leads to, and keeps it until the attempt departs: while
// Envoy is on its way there, other calls fail over, too. used is what the failed answer has cost in tokens. That
// attempt is over, so its own place is given back first, and is not in the way of a retry at the same deployment.
// False: there is no room, or no knowing.
func (c *Call) keepPlace(n int, used int64) bool {
	l := &c.leg
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over || l.n >= n { // its client has left, and nothing follows; or Envoy was faster
		return true
	}
	c.settle(used)
	c.dropKept()
	return c.takePlace(n).Allowed
}

// takePlace keeps one at the deployment of attempt n, if that has room, with the lock of the leg held.
func (c *Call) takePlace(n int) ratelimit.Decision {
	l := &c.leg
	held, d, err := c.server.Limiter.Reserve(context.Background(),
		ratelimit.Request{Limits: c.limitsOf(c.attempt(n).Deployment.ID), Tokens: c.estimate})
	if err != nil {
		return ratelimit.Decision{RetryAfter: time.Second}
	}
	if d.Allowed {
		l.kept, l.keptFor = held, n
	}
	return d
}

// leavePlace gives back what was kept for an attempt that is not made after all.
func (c *Call) leavePlace() {
	c.leg.mu.Lock()
	defer c.leg.mu.Unlock()
	c.dropKept()
}

func (c *Call) dropKept() {
	_ = c.server.Limiter.Cancel(context.Background(), c.leg.kept)
	c.leg.kept, c.leg.keptFor = nil, 0
}

// noRoom is the answer when all deployments that could be asked are full.
func noRoom(group string, wait time.Duration) *apierror.Error {
	e := &apierror.Error{Kind: apierror.RateLimit, Status: 429, RetryAfter: max(wait, time.Second)}
	e.Message = fmt.Sprintf("No deployments available for selected model, Try again in %s seconds. Passed model=%.200s.",
		e.RetryAfterSeconds(), group)
	return e
}

// estimateTokens is what a request will probably use: its prompt, and as much output as it allows.
func estimateTokens(r *adapters.Request) int64 {
	tokens := estimate(r.Body())
	for _, name := range [...]string{"max_completion_tokens", "max_tokens"} {
		if n, err := strconv.ParseInt(string(r.Field(name)), 10, 32); err == nil && n > 0 {
			return tokens + n
		}
	}
	return tokens
}
