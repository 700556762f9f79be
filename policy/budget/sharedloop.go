package budget

import (
	"context"
	"time"

	"github.com/sluicegw/sluice/internal/money"
)

const (
	beatEvery  = time.Second
	retryEvery = 250 * time.Millisecond // while the server is out of reach
)

// Run keeps the process known to the server, finds a lost one again, and tells one that has lost its data what is
// true, until ctx ends.
func (s *Shared) Run(ctx context.Context) {
	go s.reconcile(ctx)
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
			_ = sleep(ctx, 10*time.Millisecond) // many may have been in trouble at once
		case <-time.After(every):
		}
	}
}

// Beat is one turn of Run.
func (s *Shared) Beat(ctx context.Context) {
	short, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	raw, err := beatScript.Run(short, s.o.Client, []string{processesKey, epochKey}, s.o.ID, givenUp.Microseconds(), touchedPrefix).Slice()
	if err != nil || len(raw) != 2 {
		if ctx.Err() == nil {
			s.late.Store(doubts) // a second is no delay
			_ = s.failed(err)
		}
		return
	}
	epoch, _ := raw[0].(string)
	s.mu.RLock()
	turn, other := s.turn, epoch != s.epoch
	s.mu.RUnlock()
	if other || s.dirty.Load() {
		if err := s.register(ctx, epoch, turn); err != nil {
			_ = s.failed(err)
			return
		}
	}
	s.heard()
	if s.gone.CompareAndSwap(true, false) && s.o.Trouble != nil {
		s.o.Trouble(nil)
	}
}

const (
	// reconciled is how many scopes are compared at a time; map order sees to it that all get their turn.
	reconciled = 200
	// settling is how long a difference has to last: calls settle, and rows are on their way, meanwhile.
	settling = 3 * time.Second

	reconcileEvery = time.Minute
	// afterSumming is how soon counters are compared that were summed anew: rows that were on their way to the database
	// at that moment may count twice.
	afterSumming = 5 * time.Second
)

// reconcile runs Reconcile now and then, and soon after scopes were summed anew.
func (s *Shared) reconcile(ctx context.Context) {
	for waited := time.Duration(0); ; {
		if sleep(ctx, afterSumming) != nil {
			return
		}
		if waited += afterSumming; waited < reconcileEvery && !s.anew.Load() || s.gone.Load() {
			continue
		}
		waited = 0
		s.anew.Store(false)
		repairs, err := s.Reconcile(ctx)
		if err != nil && ctx.Err() == nil && s.o.Trouble != nil {
			_ = s.failed(err)
		}
		for _, r := range repairs {
			if s.o.Repaired != nil {
				s.o.Repaired(r)
			}
		}
	}
}

// Repair is a counter that was put right.
type Repair struct {
	Scope         Scope
	Counter, True money.Amount
}

// Reconcile compares counters with the database and what is on its way there, and puts right those that are off by
// the same amount twice. Of the processes that share the server one does so at a time.
func (s *Shared) Reconcile(ctx context.Context) (repairs []Repair, err error) {
	if first, err := s.o.Client.SetNX(ctx, reconcileKey, s.o.ID, 30*time.Second).Result(); err != nil || !first {
		return nil, err
	}
	suspects := map[Scope]difference{}
	n := 0
	s.own.Range(func(k, _ any) bool {
		scope := k.(Scope)
		var d difference
		if d, err = s.difference(ctx, scope); err == nil && d.off != 0 {
			suspects[scope] = d
		}
		n++
		return err == nil && n < reconciled
	})
	if err != nil || len(suspects) == 0 {
		return nil, err
	}
	if err := sleep(ctx, settling); err != nil {
		return nil, err
	}
	for scope, before := range suspects {
		d, err := s.difference(ctx, scope)
		if err != nil {
			return repairs, err
		}
		if d.off != before.off || d.since != before.since {
			continue
		}
		s.mu.RLock()
		_, err = s.adjust(ctx, scope, d.since, "correct", -d.off, 0, 0)
		s.mu.RUnlock()
		if err != nil {
			return repairs, err
		}
		repairs = append(repairs, Repair{Scope: scope, Counter: d.counter, True: d.counter - d.off})
	}
	return repairs, nil
}

type difference struct {
	since        int64
	counter, off money.Amount
}

// difference is by how much a counter is above what is true. Zero, too, while nobody knows.
func (s *Shared) difference(ctx context.Context, scope Scope) (d difference, err error) {
	v, ok := s.own.Load(scope)
	if !ok {
		return d, nil
	}
	o := v.(*own)
	o.mu.Lock()
	d.since = o.since
	o.mu.Unlock()
	s.mu.RLock()
	found, err := s.adjust(ctx, scope, d.since, "look", 0, 0, 0)
	s.mu.RUnlock()
	if err != nil || len(found) != 3 || found[2] == 0 {
		return d, err
	}
	since := time.Time{}
	if d.since != 0 {
		since = time.UnixMicro(d.since)
	}
	sum, err := s.o.Database(ctx, scope, since)
	d.counter = money.Amount(found[0])
	d.off = d.counter - sum - money.Amount(found[1])
	return d, err
}
