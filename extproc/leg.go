package extproc

import (
	"context"
	"sync"
	"time"

	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/policy/ratelimit"
	"github.com/sluicegw/sluice/policy/route"
)

// leg is the attempt of a call that is under way: what the deployment's traffic and limits know of it. The call's
// own goroutine begins the first and ends the last; those of the upstream filter's streams change over between
// them, maybe at the moment when the client leaves.
type leg struct {
	mu    sync.Mutex
	over  bool // the call has ended: no attempt begins any more
	n     int  // from 1; 0: none has begun
	to    *route.Attempt
	began time.Time
	held  *ratelimit.Reservation
	noted int // the attempt that is counted as a retry already

	kept    *ratelimit.Reservation // of the attempt to come, keptFor; 0: none has a place yet
	keptFor int
}

// goesOn counts attempt n, which a failed answer leads to, as a retry before Envoy has waited a moment and sent it:
// in an outage many calls come here at once, and each must see what the others have spent.
func (c *Call) goesOn(n int) {
	l := &c.leg
	l.mu.Lock()
	defer l.mu.Unlock()
	if to := c.attempt(n); to != nil && to.Retry > 0 && !l.failover(n, to) {
		c.server.Health.Retried(to.Group)
		l.noted = n
	}
}

// failover tells whether attempt n is the call's first to another deployment, with the lock held.
func (l *leg) failover(n int, to *route.Attempt) bool {
	return n == 2 && l.to != nil && to.Deployment != l.to.Deployment
}

// depart begins attempt n, which ends the one before it, and takes over the place that is kept for it. What Envoy has
// sent by itself, after an attempt without an answer, has none: it is counted at a deployment that has become full all
// the same, for it can no longer be called back.
func (c *Call) depart(n int) {
	l := &c.leg
	l.mu.Lock()
	defer l.mu.Unlock()
	to := c.attempt(n)
	if l.over || to == nil || n <= l.n {
		return
	}
	free := l.noted == n || l.failover(n, to)
	if l.n > 0 {
		c.server.Health.Over(l.to.Deployment.ID, route.Ending{})
		c.settle(0)
	}
	if limits := c.limitsOf(to.Deployment.ID); l.keptFor == n {
		l.held, l.kept, l.keptFor = l.kept, nil, 0
	} else if n > 1 && len(limits) > 0 {
		c.dropKept()
		l.held, _, _ = c.server.Limiter.Reserve(context.Background(),
			ratelimit.Request{Limits: limits, Tokens: c.estimate, Force: true})
	}
	l.n, l.to, l.began = n, to, time.Now()
	c.server.Health.Sent(to, free)
}

// at is the attempt under way, from 1.
func (l *leg) at() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}

// arrive ends the last attempt, with the call.
func (c *Call) arrive() {
	l := &c.leg
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return
	}
	l.over = true
	c.dropKept()
	if l.n == 0 { // it was never sent
		if c.plan != nil {
			c.server.Health.Unclaim(c.attempt(1).Deployment.ID)
		}
		_ = c.server.Limiter.Cancel(context.Background(), l.held)
		c.endRates(false, 0)
		return
	}
	var e route.Ending
	used := int64(0)
	if c.reply != nil {
		if u, ok := c.reply.Usage(); ok {
			e.OutputTokens, e.Tokens = u.Completion, u.Prompt+u.Completion
			used = e.Tokens
		} else if c.failure == nil && !c.delivered() { // cut off: nobody knows
			used = c.estimate
		}
	}
	if c.failure == nil && c.delivered() && l.n == c.answering {
		e.Took = time.Since(l.began)
		if c.request.Stream() && !c.firstByte.IsZero() {
			e.FirstToken = c.firstByte.Sub(l.began)
		}
	}
	if c.failure == nil && !c.delivered() { // its client left
		c.server.Health.Unclaim(l.to.Deployment.ID)
	}
	c.server.Health.Over(l.to.Deployment.ID, e)
	c.settle(used)
	c.endRates(true, used)
}

// settle ends the reservation of the leg at hand, whose lock is held.
func (c *Call) settle(tokens int64) {
	_ = c.server.Limiter.Settle(context.Background(), c.leg.held, tokens)
	c.leg.held = nil
}

// tokensOf is what an answer has cost in tokens, as far as it says.
func tokensOf(r *adapters.Reply) int64 {
	u, _ := r.Usage()
	return u.Prompt + u.Completion
}

// answeredWell tells of an answer that has begun with a good status.
func (c *Call) answeredWell() {
	if d := c.deployment(c.answering); d != nil && !c.upstreamFailed {
		c.server.Health.Answered(d.ID)
	}
}

func (c *Call) limitsOf(deployment string) []ratelimit.Limit {
	if d := c.snapshot.Deployments[deployment]; d != nil {
		return d.Limits
	}
	return nil
}

// mostPlans is how often a call is planned anew because its first deployment has become full.
const mostPlans = 16

// makePlan asks for a plan, and takes places for the caller and for its first attempt. Between the two another call may have taken the
// last place: then it is asked again.
func (c *Call) makePlan(ask route.Ask) (*route.Plan, *apierror.Error) {
	for range mostPlans {
		plan, err := c.snapshot.Table.Plan(ask, c.server.Health, random)
		if err != nil {
			return nil, err
		}
		again, err := c.reserve(plan)
		if err != nil || again {
			c.server.Health.Unclaim(plan.Attempts[0].Deployment.ID)
		}
		if err != nil {
			return nil, err
		}
		if !again {
			for _, group := range plan.Capped {
				c.server.Metrics.RetriesCapped(group)
			}
			return plan, nil
		}
	}
	return nil, noRoom(ask.Group, time.Second)
}
