package budget

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sluicegw/sluice/internal/money"
)

// SharedOptions of a [Shared].
type SharedOptions struct {
	Options
	Client redis.UniversalClient
	// ID is this process's name among those that share the server; the same after a restart, so that it finds
	// what it held before.
	ID string
	// Database sums what a scope has spent by the database alone, without what is on its way there.
	Database Loader
	// Trust is for how long a server that has lost its data is not asked; 0: 3 s.
	Trust time.Duration
	// Patience is how long the server may take to answer; 0: 45 ms. An answer takes a millisecond. A server that
	// answered within the last second gets 300 ms: a busy machine is not a Redis that is gone.
	Patience time.Duration
	// Trouble is told when the server goes, with the error, and when it is back, with nil. nil: nobody is.
	Trouble func(error)
	// Repaired is told of counters that were put right. nil: nobody is.
	Repaired func(Repair)
}

const (
	// whileHeard is the least patience within a second of the server's last answer.
	whileHeard = 300 * time.Millisecond
	// doubts is how many answers in a row may be late until the server counts as gone.
	doubts = 3
	// warmest is how long a call waits for a server that has lost its data.
	warmest = 10 * time.Second
	// givenUp is after how long a silence what a process held is given back.
	givenUp = 10 * time.Minute
)

// ErrUnreachable is Hold's error while the server does not answer.
var ErrUnreachable = errors.New("the shared budgets are out of reach")

// Shared keeps budgets that several processes share, in a Redis or Valkey (7 or later): a hold on all of a call's
// scopes is one script. Scopes without a budget, of which only the spend is shown, stay in this process's memory.
//
// The server has counters only; what was spent is in the database, and what calls hold is known to their
// processes. So it can lose everything: then no budget is asked until every process had the time to write what it
// holds and what it has not brought to the database, and each scope is summed anew when it is asked for. While it is
// out of reach, Hold gives [ErrUnreachable] at once. [Shared.Run] has to run beside it.
type Shared struct {
	o        SharedOptions
	local    *Counters
	calendar atomic.Pointer[Calendar]

	mu    sync.RWMutex // held to write while own is brought to the server
	own   sync.Map     // Scope → *own
	epoch string       // of the server, when own was brought there
	turn  int64        // this process's generation: it grows with each time, and over restarts

	late atomic.Int32 // answers in a row
	// lastHeard is when the last answer came, in nanoseconds since 1970.
	lastHeard atomic.Int64
	gone      atomic.Bool
	dirty     atomic.Bool // some own is
	wake      chan struct{}
	anew      atomic.Bool // scopes were summed anew since the last reconciliation
}

// own is what this process knows of a scope.
type own struct {
	mu        sync.Mutex
	since     int64 // of the window, in microseconds since 1970
	held      money.Amount
	unflushed money.Amount // settled, and not in the database
	spent     money.Amount // when the server was asked last
	limit     Limit
	used      time.Time
	dirty     bool // the server may know something else
}

// NewShared makes a keeper.
func NewShared(o SharedOptions) *Shared {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Trust = cmp.Or(o.Trust, 3*time.Second)
	o.Patience = cmp.Or(o.Patience, 45*time.Millisecond)
	s := &Shared{o: o, local: NewCounters(o.Options), wake: make(chan struct{}, 1), turn: time.Now().UnixMicro()}
	s.calendar.Store(&o.Calendar)
	return s
}

// sharedPart is one scope of a hold that the server has.
type sharedPart struct {
	limit Limit
	since int64
}

// isShared tells whether a limit is kept by the server.
func isShared(l *Limit) bool { return l.Max >= 0 || l.Soft > 0 }

// Hold implements [Keeper].
func (s *Shared) Hold(ctx context.Context, limits []Limit, want, least money.Amount) (*Hold, *Exceeded, error) {
	parts, counted := s.divide(limits)
	if len(parts) == 0 {
		return s.local.Hold(ctx, counted, want, least)
	}
	h := &Hold{Amount: want, shared: parts}
	exceeded, err := s.take(ctx, h, want, least)
	if err != nil || exceeded != nil {
		return nil, exceeded, err
	}
	if len(counted) > 0 {
		only, _, err := s.local.Hold(ctx, counted, h.Amount, h.Amount)
		if err != nil {
			s.Settle(h, func(Scope) money.Amount { return 0 })
			return nil, nil, err
		}
		h.counted = only
	}
	return h, nil, nil
}

// divide tells the limits that are shared, each scope once, from those that are only counted.
func (s *Shared) divide(limits []Limit) (parts []sharedPart, counted []Limit) {
	now := s.o.Now()
	for i := range limits {
		l := &limits[i]
		if !isShared(l) {
			counted = append(counted, *l)
			continue
		}
		if !slices.ContainsFunc(parts, func(p sharedPart) bool { return p.limit.Scope == l.Scope }) {
			parts = append(parts, sharedPart{limit: *l, since: s.start(l.Window, now)})
		}
	}
	return parts, counted
}

// start is when the window of now began.
func (s *Shared) start(w Window, now time.Time) int64 {
	since := s.calendar.Load().Start(w, now)
	if since.IsZero() {
		return 0
	}
	return since.UnixMicro()
}

// take asks the server until it knows all scopes.
func (s *Shared) take(ctx context.Context, h *Hold, want, least money.Amount) (*Exceeded, error) {
	until := time.Now().Add(warmest)
	for {
		if s.gone.Load() {
			return nil, ErrUnreachable
		}
		r, err := s.hold(ctx, h, want, least)
		if err != nil {
			return nil, err
		}
		switch r.what {
		case "ok":
			return nil, nil
		case "full":
			return s.exceeded(&h.shared[r.n[0]-1].limit, h.shared[r.n[0]-1].since, money.Amount(r.n[1]), money.Amount(r.n[2]), least), nil
		case "unknown":
			if err := s.seed(ctx, &h.shared[r.n[0]-1], r.n[1], r.n[2], r.n[3]); err != nil {
				return nil, err
			}
		case "epoch":
			if err := s.register(ctx, r.epoch, r.turn); err != nil {
				return nil, s.failed(err)
			}
		case "warming":
			if time.Now().After(until) {
				return nil, ErrUnreachable
			}
			if err := sleep(ctx, time.Duration(r.n[0])*time.Microsecond+time.Millisecond); err != nil {
				return nil, err
			}
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// exceeded says which budget has no room.
func (s *Shared) exceeded(l *Limit, since int64, spent, held, least money.Amount) *Exceeded {
	e := &Exceeded{Limit: *l, Spent: spent, Held: held, Reset: s.calendar.Load().End(l.Window, time.UnixMicro(since))}
	if free := l.Max - spent; free > 0 && free >= least && held > 0 {
		e.Busy = true
		changed := make(chan struct{}) // nobody tells what other processes do: look again soon
		time.AfterFunc(20*time.Millisecond+rand.N(30*time.Millisecond), func() { close(changed) })
		e.Changed = changed
	}
	return e
}

// seed tells the server what a scope has spent: what the database has, and what processes have not brought there.
// What was counted there meanwhile stays.
func (s *Shared) seed(ctx context.Context, p *sharedPart, spent, unflushed, version int64) error {
	since := time.Time{}
	if p.since != 0 {
		since = time.UnixMicro(p.since)
	}
	sum, err := s.o.Database(ctx, p.limit.Scope, since)
	if err != nil {
		return err
	}
	total := sum + money.Amount(unflushed)
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, err = s.adjust(ctx, p.limit.Scope, p.since, "seed", total-money.Amount(spent), p.limit.marks(total), version)
	return s.failed(err)
}

// Extend implements [Keeper].
func (s *Shared) Extend(ctx context.Context, h *Hold, more money.Amount) (bool, error) {
	if more <= 0 {
		return true, nil
	}
	if len(h.shared) == 0 {
		return s.local.Extend(ctx, h, more)
	}
	further := &Hold{shared: slices.Clone(h.shared)}
	exceeded, err := s.take(ctx, further, more, more)
	if err != nil || exceeded != nil {
		return false, err
	}
	if h.counted != nil {
		_, _ = s.local.Extend(ctx, h.counted, more) // it has no limit
	}
	h.Amount += more
	s.releaseNewer(h, further)
	return true, nil
}

// releaseNewer gives back what an extension holds in windows that began after the call did: its settlement gives
// back, and costs, what is in its own windows.
func (s *Shared) releaseNewer(h, further *Hold) {
	newer := &Hold{Amount: further.Amount}
	for i := range further.shared {
		if further.shared[i].since != h.shared[i].since {
			newer.shared = append(newer.shared, further.shared[i])
		}
	}
	if len(newer.shared) > 0 {
		s.settle(newer, make([]money.Amount, len(newer.shared)))
	}
}

// Settle implements [Keeper].
func (s *Shared) Settle(h *Hold, cost func(Scope) money.Amount) {
	if h == nil || h.settled {
		return
	}
	if len(h.shared) == 0 {
		s.local.Settle(h, cost)
		return
	}
	h.settled = true
	s.local.Settle(h.counted, cost)
	costs := make([]money.Amount, len(h.shared))
	for i := range h.shared {
		costs[i] = cost(h.shared[i].limit.Scope)
	}
	for i, e := range s.settle(h, costs) {
		for bit, mark := range markOf {
			if e.bits&(1<<bit) != 0 && s.o.Event != nil {
				l := h.shared[i].limit
				s.o.Event(Event{Limit: l, Mark: mark, Spent: e.spent, Reset: s.calendar.Load().End(l.Window, time.UnixMicro(h.shared[i].since))})
			}
		}
	}
}

// Flushed implements [Keeper].
func (s *Shared) Flushed(costs []Cost) {
	type window struct {
		scope Scope
		since int64
	}
	sums := map[window]money.Amount{}
	s.mu.RLock() // what is written anew meanwhile would be taken off twice
	defer s.mu.RUnlock()
	for _, c := range costs {
		v, ok := s.own.Load(c.Scope)
		if !ok {
			continue
		}
		o := v.(*own)
		o.mu.Lock()
		if c.Began.UnixMicro() >= o.since && o.unflushed > 0 {
			n := min(c.Amount, o.unflushed)
			o.unflushed -= n
			sums[window{c.Scope, o.since}] += n
		}
		o.mu.Unlock()
	}
	for w, n := range sums {
		if s.gone.Load() {
			s.doubt(w.scope)
			continue
		}
		if _, err := s.adjust(context.Background(), w.scope, w.since, "flushed", n, 0, 0); err != nil {
			s.doubt(w.scope)
			_ = s.failed(err)
		}
	}
}

// Spent implements [Keeper]: of a shared scope it is what the server said last.
func (s *Shared) Spent(scope Scope) (money.Amount, bool) {
	if v, ok := s.own.Load(scope); ok {
		o := v.(*own)
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.since == s.start(o.limit.Window, s.o.Now()) {
			return o.spent, true
		}
		return 0, true
	}
	return s.local.Spent(scope)
}

// Forget implements [Keeper], for all processes.
func (s *Shared) Forget(scope Scope) {
	s.local.Forget(scope)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	pipe := s.o.Client.TxPipeline()
	pipe.HIncrBy(ctx, scope.key(), "v", 1)
	pipe.HDel(ctx, scope.key(), "k")
	if _, err := pipe.Exec(ctx); err != nil {
		_ = s.failed(err)
		s.doubt(scope)
	}
}

// Calendar implements [Keeper].
func (s *Shared) Calendar() Calendar { return *s.calendar.Load() }

// Use implements [Keeper].
func (s *Shared) Use(calendar Calendar) {
	s.calendar.Store(&calendar)
	s.local.Use(calendar)
}

// Sweep implements [Keeper].
func (s *Shared) Sweep(before time.Time) {
	s.local.Sweep(before)
	s.mu.Lock()
	defer s.mu.Unlock()
	scopes := 0
	s.own.Range(func(any, any) bool { scopes++; return true })
	before = keptSince(before, s.o.Now(), scopes)
	s.own.Range(func(k, v any) bool {
		o := v.(*own)
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.held == 0 && o.unflushed == 0 && !o.dirty && o.used.Before(before) {
			s.own.Delete(k)
		}
		return true
	})
}

// All implements [Keeper].
func (s *Shared) All(f func(State)) { s.local.All(f) }

// Correct implements [Keeper].
func (s *Shared) Correct(scope Scope, since time.Time, spent money.Amount) money.Amount {
	return s.local.Correct(scope, since, spent)
}

// Reachable tells whether the server answers.
func (s *Shared) Reachable() bool { return !s.gone.Load() }
