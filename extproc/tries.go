package extproc

import (
	"context"
	"sync"
	"time"

	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/internal/money"
	"github.com/sluicegw/sluice/policy/ledger"
	"github.com/sluicegw/sluice/policy/spend"
)

// tries is what is known of a call's attempts one by one. The call's own goroutine, those of the upstream filter's
// streams and that of the attempt log use it.
type tries struct {
	mu      sync.Mutex
	id      string                 // begins the ids of the call's rows
	sent    int                    // the newest attempt
	first   time.Time              // when the first began
	all     *[mostAttempts + 1]try // nil until there is a second
	settled bool
	over    bool // the newest has ended without an answer, and none follows
}

// try is one attempt.
type try struct {
	began   time.Time
	outcome tryOutcome
	logged  bool // the attempt log has told of it, or never will
}

// attempts are all attempts, by their number, with the lock held.
func (t *tries) attempts() *[mostAttempts + 1]try {
	if t.all == nil { // most calls have one attempt
		t.all = new([mostAttempts + 1]try)
		t.all[1].began = t.first
	}
	return t.all
}

const mostAttempts = 16

// tryOutcome is how a failed attempt ended, as the attempt log tells it.
type tryOutcome struct {
	known     bool
	unreached bool // no connection to the provider was made
	status    int
	kind      apierror.Kind
	usage     *adapters.Usage // of an answer that was held back and not used
}

// sendFirst notes that attempt 1 is on its way.
func (c *Call) sendFirst() {
	t := &c.purse.tries
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent, t.first = 1, time.Now().UTC()
}

// sendAgain notes that attempt n is on its way, and holds what the one before may have cost. false: no budget has
// room for another attempt.
func (c *Call) sendAgain(ctx context.Context, n int) bool {
	p := &c.purse
	if p.entry == nil {
		return true
	}
	p.tries.mu.Lock()
	defer p.tries.mu.Unlock()
	if p.tries.settled || n > mostAttempts {
		return false
	}
	if !p.entry.Extend(ctx, c.bound(c.attempt(n-1), p.guess, 0)) {
		return false
	}
	p.tries.sent, p.tries.attempts()[n].began = n, time.Now().UTC()
	c.server.late.watch(c)
	return true
}

// noneFollows notes that the newest attempt has ended without an answer and was the last: only the attempt log can tell
// whether it ever reached its provider.
func (c *Call) noneFollows() {
	t := &c.purse.tries
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.purse.entry == nil || t.settled {
		return
	}
	t.over = true
	c.server.late.watch(c)
}

// failedRow is the row of an attempt that was followed by another, or ended the call without an answer; known: how it
// failed is, too. The caller holds
// the lock.
func (c *Call) failedRow(n int) (r ledger.Row, known bool) {
	t := &c.purse.tries
	r = c.purse.row
	c.fill(&r, n)
	all := t.attempts()
	r.Started = all[n].began
	if n < mostAttempts {
		r.Ended = all[n+1].began
	}
	if r.Ended.IsZero() { // none has begun after it
		r.Ended = time.Now().UTC()
	}
	r.Prompt, r.Estimated = c.purse.guess, true
	r.Status, r.Failure = 500, string(apierror.Unavailable)
	if t.over && n == t.sent && c.failure != nil {
		r.Status, r.Failure = c.failure.Status, string(c.failure.Kind)
	}
	c.price(&r, n, adapters.Usage{}, nil)
	o := all[n].outcome
	if o.usage != nil { // an answer that was held back and not used
		c.take(&r, *o.usage)
		c.price(&r, n, *o.usage, nil)
		r.Estimated, r.Status, r.Failure = o.usage.Partial, o.status, string(o.kind)
	} else if o.known {
		o.apply(&r)
	}
	return r, o.known
}

// apply makes of a row what the attempt log says of its attempt.
func (o tryOutcome) apply(r *ledger.Row) {
	r.Status, r.Failure = o.status, string(o.kind)
	if o.unreached || freeOf(o.status, o.kind, o.kind != apierror.Timeout) {
		r.Prompt, r.Spend, r.Estimated = 0, 0, false
	}
}

// unused notes that the answer to attempt n, which had this status, was judged, and another attempt follows.
func (c *Call) unused(n, answered int, e *apierror.Error, reply *adapters.Reply) {
	t := &c.purse.tries
	t.mu.Lock()
	defer t.mu.Unlock()
	if n < 1 || n > mostAttempts {
		return
	}
	o := tryOutcome{known: true, status: e.Status, kind: e.Kind}
	if u, ok := reply.Usage(); ok {
		o.usage = &u
	}
	it := &t.attempts()[n]
	it.outcome, it.logged = o, it.logged || answered < 400
}

// latecomers are failed attempts of which the attempt log has not told yet how they failed, of calls under way and
// of calls that have ended. The log may lose them: they are then settled as if they had cost their prompt.
type latecomers struct {
	mu    sync.Mutex
	calls map[string]*lateCall // by the id that travels with attempts
}

type lateCall struct {
	call *Call     // under way; nil once it has ended: its bodies need not be kept
	left []lateTry // of a call that has ended
}

type lateTry struct {
	n       int
	cluster string
	row     ledger.Row
	entry   *spend.Entry
}

// lateAfter is how long the attempt log is waited for: it is sent every 50 ms.
const lateAfter = 5 * time.Second

// mostLate bounds what is waited for.
const mostLate = 50_000

func (l *latecomers) watch(c *Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.calls == nil {
		l.calls = map[string]*lateCall{}
	}
	if l.calls[c.id] == nil && len(l.calls) < mostLate {
		l.calls[c.id] = &lateCall{call: c}
	}
}

// add opens an account of its own for a failed attempt of a call that has ended. false: there can be none, and what is
// assumed of the attempt has to do.
func (l *latecomers) add(c *Call, n int, r ledger.Row) bool {
	ask := spend.Ask{Row: r, Limits: c.purse.limits, Want: r.Spend, AtOnce: true}
	entry, refusal := c.server.Book.Open(context.Background(), &ask)
	if refusal != nil && refusal.Exceeded != nil { // it has cost that all the same
		ask.Want = money.Zero
		entry, refusal = c.server.Book.Open(context.Background(), &ask)
	}
	if refusal != nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	it := l.calls[c.id]
	if it == nil { // too many
		entry.Settle(nil)
		return false
	}
	it.call = nil
	it.left = append(it.left, lateTry{n, c.cluster(n), r, entry})
	server, id := c.server, c.id
	time.AfterFunc(lateAfter, func() { server.guard(func() { server.expire(id, n) }) })
	return true
}

// failed takes in how an attempt of a call failed.
func (s *Server) failed(id, cluster string, o tryOutcome) {
	t, call := s.late.take(id, func(t *lateTry) bool { return t.cluster == cluster })
	switch {
	case t != nil:
		o.apply(&t.row)
		s.settleLate(id, t)
	case call != nil:
		call.failed(cluster, o)
	default: // no second attempt is under way yet
		if call := s.calls.get(id); call != nil {
			call.failed(cluster, o)
		}
	}
}

// take gives out a failed attempt of a call that has ended, once, or the call if it is under way.
func (l *latecomers) take(id string, is func(*lateTry) bool) (*lateTry, *Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	it := l.calls[id]
	if it == nil {
		return nil, nil
	}
	for i := range it.left {
		if t := it.left[i]; is(&t) {
			it.left = append(it.left[:i], it.left[i+1:]...)
			return &t, nil
		}
	}
	return nil, it.call
}

// failed notes the outcome of an attempt at a cluster: the log tells of a call's attempts in their order, often before
// the next has begun.
func (c *Call) failed(cluster string, o tryOutcome) {
	t := &c.purse.tries
	t.mu.Lock()
	defer t.mu.Unlock()
	for n := 1; n <= t.sent; n++ {
		it := &t.attempts()[n]
		if it.logged || c.attempt(n) == nil || c.cluster(n) != cluster {
			continue
		}
		it.logged = true
		if !it.outcome.known {
			o.known = true
			it.outcome = o
		}
		return
	}
}

// expire settles an attempt that the log has not told of.
func (s *Server) expire(id string, n int) {
	if t, _ := s.late.take(id, func(t *lateTry) bool { return t.n == n }); t != nil {
		s.settleLate(id, t)
	}
}

func (s *Server) settleLate(id string, t *lateTry) {
	t.entry.Settle([]ledger.Row{t.row})
	if s.Spent != nil {
		s.Spent(&t.row)
	}
	s.late.forget(id)
}

// forget lets go of a call that nothing more is to come for.
func (l *latecomers) forget(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if it := l.calls[id]; it != nil && len(it.left) == 0 {
		delete(l.calls, id)
	}
}
