package ratelimit

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// FailMode is what happens while a shared store is out of reach.
type FailMode string

// The modes.
const (
	FailLocal  FailMode = "local"  // each process lets through its share: the limit divided by how many there were
	FailOpen   FailMode = "open"   // no limits
	FailClosed FailMode = "closed" // Reserve returns the error
)

// patience is how long a store may take to answer before it counts as out of reach. An answer takes a
// millisecond; a call shall not wait for what does not come.
const patience = 40 * time.Millisecond

// Shared is a [Redis] that goes on without its server. While it is out of reach, calls do not wait for it; a
// background loop ([Shared.Run]) finds out when it is back.
type Shared struct {
	redis *Redis
	local *Memory
	mode  FailMode
	// Trouble is told when the store goes, with the error, and when it is back, with nil. nil: nobody is.
	Trouble func(error)

	gone     atomic.Bool
	replicas atomic.Int64
	wake     chan struct{}
	full     sync.Map // fullCounter → full
}

// NewShared makes one. [Shared.Run] has to run beside it.
func NewShared(r *Redis, mode FailMode) *Shared {
	s := &Shared{redis: r, local: NewMemory(r.clock), mode: mode, wake: make(chan struct{}, 1)}
	s.replicas.Store(1)
	return s
}

var _ Limiter = (*Shared)(nil)

const (
	beatEvery  = 3 * time.Second        // several within the silence of a dead process
	retryEvery = 250 * time.Millisecond // while the store is out of reach
)

// Run keeps the process known to the store, and finds a lost one again, until ctx ends.
func (s *Shared) Run(ctx context.Context) {
	for {
		s.Beat(ctx)
		every := beatEvery
		if s.gone.Load() {
			every = retryEvery
		}
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-time.After(every):
		}
	}
}

// Beat is one turn of Run.
func (s *Shared) Beat(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	n, err := s.redis.Beat(ctx)
	if err != nil {
		s.lost(err)
		return
	}
	s.replicas.Store(int64(n))
	if s.gone.CompareAndSwap(true, false) && s.Trouble != nil {
		s.Trouble(nil)
	}
}

// Reachable tells whether the store answers.
func (s *Shared) Reachable() bool { return !s.gone.Load() }

// Replicas is how many processes shared the store at the last beat, this one included.
func (s *Shared) Replicas() int { return int(s.replicas.Load()) }

// lost is told of an answer that did not come.
func (s *Shared) lost(err error) {
	s.redis.Doubt()
	if !s.gone.CompareAndSwap(false, true) {
		return
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
	if s.Trouble != nil {
		s.Trouble(err)
	}
}

// Reserve implements [Limiter].
func (s *Shared) Reserve(ctx context.Context, q Request) (*Reservation, Decision, error) {
	var err error
	if len(q.Limits) == 0 || len(q.Limits) > MaxLimits {
		return s.local.Reserve(ctx, q)
	}
	if !s.gone.Load() {
		var r *Reservation
		var d Decision
		if r, d, err = s.reserve(ctx, q); err == nil {
			s.remember(&q, &d)
			return r, d, nil
		}
		if ctx.Err() != nil { // the call's own end, not the store's fault
			return nil, d, err
		}
		s.lost(err)
	}
	switch s.mode {
	case FailOpen:
		return nil, Decision{Allowed: true}, nil
	case FailClosed:
		if err == nil {
			err = errGone
		}
		return nil, Decision{}, err
	}
	q.Limits = s.share(q.Limits)
	return s.local.Reserve(ctx, q)
}

func (s *Shared) reserve(ctx context.Context, q Request) (*Reservation, Decision, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.redis.Reserve(ctx, q)
}

// share is what one process may let through of limits that all share.
func (s *Shared) share(limits []Limit) []Limit {
	n := s.replicas.Load()
	out := make([]Limit, len(limits))
	for i, l := range limits {
		if l.Max > 0 {
			l.Max = max(l.Max/n, 1)
		}
		out[i] = l
	}
	return out
}

// Peek implements [Limiter], but asks nobody: it knows which limits were full when this process last met them,
// and until when. Whoever looks at many candidates cannot have a round trip for each; [Shared.Reserve] is what
// counts.
func (s *Shared) Peek(ctx context.Context, q Request) (Decision, error) {
	if s.gone.Load() {
		if s.mode != FailLocal {
			return Decision{Allowed: true}, nil
		}
		q.Limits = s.share(q.Limits)
		return s.local.Peek(ctx, q)
	}
	now := s.now()
	d := Decision{Allowed: true}
	for i := range q.Limits {
		l := &q.Limits[i]
		v, ok := s.full.Load(counterOf(l))
		if !ok {
			continue
		}
		f := v.(full)
		if !now.Before(f.until) || q.Tokens < f.tokens {
			if !now.Before(f.until) {
				s.full.CompareAndDelete(counterOf(l), v)
			}
			continue
		}
		if wait := f.until.Sub(now); d.Allowed || wait > d.RetryAfter {
			d = Decision{Scope: l.Scope, Unit: l.Unit, Limit: l.Max, RetryAfter: wait, ResetAt: f.until}
		}
	}
	return d, nil
}

// full is what is known of a limit that had no room.
type full struct {
	until  time.Time
	tokens int64 // how large the call was
}

// fullCounter is what limits are known by. Few are full at a time, and those that no longer are go when somebody
// looks or when others come.
type fullCounter struct {
	Scope
	unit Unit
}

func counterOf(l *Limit) fullCounter { return fullCounter{l.Scope, l.Unit} }

// longestFull is how long a limit counts as full without being asked again: others may end their calls before.
const longestFull = 2 * time.Second

// remember notes a deployment's limit that refused a call. (Others are not looked at without being asked.)
func (s *Shared) remember(q *Request, d *Decision) {
	if d.Allowed || d.RetryAfter <= 0 || d.Scope.Kind != Deployment {
		return
	}
	now := s.now()
	s.full.Range(func(k, v any) bool {
		if !now.Before(v.(full).until) {
			s.full.CompareAndDelete(k, v)
		}
		return true
	})
	s.full.Store(fullCounter{d.Scope, d.Unit}, full{until: now.Add(min(d.RetryAfter, longestFull)), tokens: q.Tokens})
}

func (s *Shared) now() time.Time {
	if s.redis.clock != nil {
		return s.redis.clock()
	}
	return time.Now()
}

// Settle implements [Limiter].
func (s *Shared) Settle(ctx context.Context, r *Reservation, tokens int64) error {
	return s.end(ctx, r, func(ctx context.Context, l Limiter) error { return l.Settle(ctx, r, tokens) })
}

// Cancel implements [Limiter].
func (s *Shared) Cancel(ctx context.Context, r *Reservation) error {
	return s.end(ctx, r, func(ctx context.Context, l Limiter) error { return l.Cancel(ctx, r) })
}

// end gives a reservation back to where it was made. With the store out of reach its end is remembered, and the
// store hears of it once it is back: that is not an error.
//
// Nobody waits for windows to be corrected. A parallel call's end is waited for: its client may make the next one as
// soon as it has the answer.
func (s *Shared) end(ctx context.Context, r *Reservation, do func(context.Context, Limiter) error) error {
	if r == nil || r.ID == "" {
		return do(ctx, s.local)
	}
	if s.gone.Load() {
		s.redis.forget(r)
		return nil
	}
	tell := func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		if err := do(ctx, s.redis); err != nil {
			s.lost(err)
		}
	}
	if r.holdsPlace() {
		tell()
	} else {
		go tell()
	}
	return nil
}

// holdsPlace tells whether the reservation is of a parallel call.
func (r *Reservation) holdsPlace() bool {
	for i := range r.Limits {
		if r.Limits[i].Unit == Parallel {
			return true
		}
	}
	return false
}
