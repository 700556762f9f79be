package route

import (
	"sync"
	"time"
)

// Of a call's attempts within one group those after the first are retries. Their number is bounded: within a
// minute, a group has as many as a share of its calls, and a few more so that quiet groups have any. When a
// provider is down, all of its calls fail, and would else be made again two, three or ten times, just when
// there is least to take them. The first failover of a call, to another deployment or another group, is always
// made: that is what a second deployment is for.
const (
	DefaultRetryBudget = 0.2 // a fifth of the calls
	DefaultRetryFloor  = 20  // a minute
)

// budget counts the calls and retries of a group.
type budget struct {
	mu sync.Mutex
	u  usage // requests: calls; tokens: retries
}

func (b *budget) note(now time.Duration, calls, retries int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.u.roll(now)
	s := &b.u.slots[b.u.newest%usageSlots]
	s.requests += calls
	s.tokens += retries
	b.u.requests += calls
	b.u.tokens += retries
}

// spent tells whether no further retry may be planned.
func (b *budget) spent(now time.Duration, share float64, floor int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.u.roll(now)
	return float64(b.u.tokens) >= float64(floor)+share*float64(b.u.requests+1) // with the call at hand
}

// budget cuts what visit has planned for a group to what is exempt, if the group's retry budget is spent.
func (p *planner) budget(g *group, first int) {
	made := p.plan.Attempts[first:]
	if p.health == nil || len(made) < 2 {
		return
	}
	b := p.health.budget(g.name)
	if b == nil || !b.spent(p.now, p.table.settings.RetryBudget, p.table.settings.RetryFloor) {
		return
	}
	keep := 1
	if first == 0 {
		for i := range made { // deployments of the group come before any again
			if made[i].Deployment != made[0].Deployment {
				made[1], keep = made[i], 2
				made[1].Retry = 1
				break
			}
		}
	}
	if keep == len(made) {
		return
	}
	p.plan.Attempts = p.plan.Attempts[:first+keep]
	p.plan.Capped = append(p.plan.Capped, g.name)
	p.skip(Skip{Group: g.name, Reason: "its retry budget is spent: further retries are left out"})
}

// overBudget tells whether attempt i, a retry of the group at hand, is one too many now.
func (w *Walk) overBudget(i int) bool {
	p := w.plan
	if p.health == nil || w.exempt(i) {
		return false
	}
	b := p.health.budget(p.At(i).Group)
	return b != nil && b.spent(p.health.now(), p.share, p.floor)
}

// exempt is a call's first failover to another deployment.
func (w *Walk) exempt(i int) bool {
	return w.used == 0 && w.entered == 0 && w.plan.At(i).Deployment != w.plan.At(w.at).Deployment
}

// Sent tells that attempt a is on its way to its deployment. A retry is counted, unless it is free: exempt, or
// counted already.
func (h *Health) Sent(a *Attempt, free bool) {
	now := h.now()
	switch {
	case a.Retry > 0 && !free:
		h.Retried(a.Group)
	case a.Retry == 0:
		if b := h.budget(a.Group); b != nil {
			b.note(now, 1, 0)
		}
	}
	if e := h.entry(a.Deployment.ID); e != nil {
		e.traffic.sent(now)
		if state, _ := e.standing(now); state == halfOpen { // a failover
			e.claim(now)
		}
	}
}

// Retried counts a retry of a group that will be sent.
func (h *Health) Retried(group string) {
	if b := h.budget(group); b != nil {
		b.note(h.now(), 0, 1)
	}
}

// Ending is how an attempt that was sent ended, as far as traffic is concerned.
type Ending struct {
	Took         time.Duration // from sending to the end of the answer; 0: there was none, and nothing was measured
	FirstToken   time.Duration // of a stream, to its first event; 0: not a stream
	OutputTokens int64
	Tokens       int64 // input and output
}

// Over ends what Sent began. A deployment that is no longer known is not noted.
func (h *Health) Over(deploymentID string, e Ending) {
	if t := h.entry(deploymentID); t != nil {
		t.traffic.over(h.now(), &e)
	}
}
