package extproc

import (
	"context"
	"fmt"
	"strconv"

	"github.com/sluicegw/sluice/adapters"
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

// filled tells whether the deployment of attempt n, which would follow the one under way, has become full since the
// call was planned. The place that the call itself gives up there is not in its way.
func (c *Call) filled(n int) bool {
	d := c.deployment(n)
	if d == nil {
		return false
	}
	decision := c.server.peek(d, c.estimate)
	if decision.Allowed {
		return false
	}
	before := c.deployment(n - 1)
	return decision.Unit != ratelimit.Parallel || before == nil || before.ID != d.ID
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
