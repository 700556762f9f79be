package budget

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegw/sluice/internal/money"
)

// Loader sums what a scope has spent in calls that began at since or later; the zero time: ever.
type Loader func(ctx context.Context, s Scope, since time.Time) (money.Amount, error)

// Options of Counters.
type Options struct {
	Calendar Calendar
	Load     Loader
	Now      func() time.Time // nil: time.Now
	// Event is told of marks, on the goroutine of the call that reached them: it must not wait. nil: nobody.
	Event func(Event)
}

// Counters hold what scopes have spent and what calls under way may still spend, in this process's memory.
// They are safe for concurrent use.
type Counters struct {
	o        Options
	calendar atomic.Pointer[Calendar]
	order    atomic.Uint64
	seed     maphash.Seed
	shards   [64]struct {
		sync.RWMutex
		m map[Scope]*counter
	}
}

// counter is one scope's. Calls lock all of theirs, in the order of their numbers.
type counter struct {
	scope  Scope
	number uint64

	sync.Mutex
	loaded       bool
	window       Window
	since, until time.Time // of the window at hand; until zero: it never ends
	spent, held  money.Amount
	told         uint8
	used         time.Time
	gone         bool          // swept away: it is nobody's any more
	changed      chan struct{} // somebody waits; nil: nobody does
}

// NewCounters makes counters that know nothing yet.
func NewCounters(o Options) *Counters {
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &Counters{o: o, seed: maphash.MakeSeed()}
	c.calendar.Store(&o.Calendar)
	for i := range c.shards {
		c.shards[i].m = map[Scope]*counter{}
	}
	return c
}

// Use changes the calendar: windows begin by it from their next boundary on.
func (c *Counters) Use(calendar Calendar) { c.calendar.Store(&calendar) }

// Calendar is the one in use.
func (c *Counters) Calendar() Calendar { return *c.calendar.Load() }

func (c *Counters) counter(s Scope) *counter {
	shard := &c.shards[maphash.Comparable(c.seed, s)%uint64(len(c.shards))]
	shard.RLock()
	it := shard.m[s]
	shard.RUnlock()
	if it != nil {
		return it
	}
	shard.Lock()
	defer shard.Unlock()
	if it = shard.m[s]; it == nil {
		it = &counter{scope: s, number: c.order.Add(1)}
		shard.m[s] = it
	}
	return it
}

// part is one scope of a hold.
type part struct {
	counter *counter
	limit   Limit
	since   time.Time // of the window that the call began in
}

// Hold is what a call under way may spend. It belongs to one call, and ends with [Counters.Settle].
type Hold struct {
	Amount  money.Amount
	parts   []part
	room    [6]part // so that the usual hold is one allocation
	begun   bool
	settled bool

	shared  []sharedPart // what [Shared] holds, and
	counted *Hold        // the scopes of the call that are only counted
}

// Hold takes want on all limits at once, or less, but no less than least; or nothing. A call that costs nothing
// (want 0) always gets its hold. Of two limits with the same scope the first counts. The error is the loader's.
func (c *Counters) Hold(ctx context.Context, limits []Limit, want, least money.Amount) (*Hold, *Exceeded, error) {
	now := c.o.Now()
	h := &Hold{Amount: want}
	h.parts = h.room[:0]
	for i := range limits {
		h.parts = append(h.parts, part{counter: c.counter(limits[i].Scope), limit: limits[i]})
	}
	slices.SortStableFunc(h.parts, func(a, b part) int { return cmp.Compare(a.counter.number, b.counter.number) })
	h.parts = slices.CompactFunc(h.parts, func(a, b part) bool { return a.counter == b.counter })
	if err := c.lock(ctx, h, now); err != nil {
		return nil, nil, err
	}
	defer h.unlock()
	if e := h.clamp(want, least); e != nil {
		return nil, e, nil
	}
	for i := range h.parts {
		h.parts[i].counter.held += h.Amount
	}
	return h, nil, nil
}

// clamp finds what all scopes have room for; the caller holds all locks.
func (h *Hold) clamp(want, least money.Amount) *Exceeded {
	if want <= 0 {
		return nil
	}
	for i := range h.parts {
		p := &h.parts[i]
		if p.limit.Max < 0 {
			continue
		}
		it := p.counter
		room := p.limit.Max - it.spent - it.held
		if room >= h.Amount {
			continue
		}
		if room >= least && room > 0 {
			h.Amount = room
			continue
		}
		e := &Exceeded{Limit: p.limit, Spent: it.spent, Held: it.held, Reset: it.until}
		if free := p.limit.Max - it.spent; free > 0 && free >= least && it.held > 0 {
			e.Busy = true
			if it.changed == nil {
				it.changed = make(chan struct{})
			}
			e.Changed = it.changed
		}
		return e
	}
	return nil
}

// Extend holds more for a call, on all its scopes or on none.
func (c *Counters) Extend(ctx context.Context, h *Hold, more money.Amount) (bool, error) {
	if more <= 0 {
		return true, nil
	}
	if err := c.lock(ctx, h, c.o.Now()); err != nil {
		return false, err
	}
	defer h.unlock()
	for i := range h.parts {
		p := &h.parts[i]
		if it := p.counter; p.limit.Max >= 0 && it.since.Equal(p.since) && it.spent+it.held+more > p.limit.Max {
			return false, nil
		}
	}
	for i := range h.parts {
		if p := &h.parts[i]; p.counter.since.Equal(p.since) {
			p.counter.held += more
		}
	}
	h.Amount += more
	return true, nil
}

// Settle ends a hold with what the call did cost: cost tells it for each scope, since a call's attempts may have
// gone to several models and providers. It runs once; later calls do nothing.
func (c *Counters) Settle(h *Hold, cost func(Scope) money.Amount) {
	if h == nil || h.settled {
		return
	}
	h.settled = true
	for i := range h.parts {
		p := &h.parts[i]
		if e := p.settle(h.Amount, cost(p.limit.Scope)); c.o.Event != nil {
			for bit, mark := range markOf {
				if e.bits&(1<<bit) != 0 {
					c.o.Event(Event{Limit: p.limit, Mark: mark, Spent: e.spent, Reset: e.until})
				}
			}
		}
	}
}

type reached struct {
	bits  uint8
	spent money.Amount
	until time.Time
}

func (p *part) settle(held, cost money.Amount) reached {
	it := p.counter
	it.Lock()
	defer it.Unlock()
	if !it.since.Equal(p.since) {
		return reached{} // the budget has begun anew; the call counts in the window before
	}
	it.held -= held
	it.spent = it.spent.Plus(cost)
	it.wake()
	now := p.limit.marks(it.spent)
	e := reached{now &^ it.told, it.spent, it.until}
	it.told |= now
	return e
}

// wake tells whoever waits for room; the caller holds the lock.
func (it *counter) wake() {
	if it.changed != nil {
		close(it.changed)
		it.changed = nil
	}
}

// Spent is what a scope has spent in its window, without what is held; known is false before its first call.
func (c *Counters) Spent(s Scope) (spent money.Amount, known bool) {
	it := c.counter(s)
	it.Lock()
	defer it.Unlock()
	if !it.loaded || !it.until.IsZero() && !c.o.Now().Before(it.until) {
		return 0, it.loaded
	}
	return it.spent, true
}

// lock locks the counters of h in their order, each in the window of now. After an error none is locked.
func (c *Counters) lock(ctx context.Context, h *Hold, now time.Time) error {
	for {
		missing := c.tryLock(h, now)
		if missing == nil {
			return nil
		}
		// The ledger is asked with this one's lock alone, so that others' calls go on meanwhile.
		if err := c.fill(ctx, missing, now); err != nil {
			s := missing.limit.Scope
			if missing.limit.Max < 0 && !h.begun {
				// Nothing bounds it: it is counted when it can be read, from the ledger, which has this call then.
				h.parts = slices.DeleteFunc(h.parts, func(p part) bool { return p.limit.Scope == s })
				continue
			}
			return fmt.Errorf("the spend of %s %s could not be read: %w", s.Kind, s.ID, err)
		}
	}
}

// tryLock locks all counters, or none and returns the one that is not known yet.
func (c *Counters) tryLock(h *Hold, now time.Time) (missing *part) {
	for i := range h.parts {
		p := &h.parts[i]
		p.counter.Lock()
		if p.counter.gone || !c.roll(p, now) {
			for j := range i + 1 {
				h.parts[j].counter.Unlock()
			}
			return p
		}
		if !h.begun {
			p.since = p.counter.since
		}
		p.counter.used = now
	}
	h.begun = true
	return nil
}

func (h *Hold) unlock() {
	for i := range h.parts {
		h.parts[i].counter.Unlock()
	}
}

// tolerated is how far a clock may be set back without the windows following it.
const tolerated = 5 * time.Minute

// roll brings a counter into the window of now, where a new window begins with nothing spent. false: what was
// spent is not known. The caller holds the lock.
func (c *Counters) roll(p *part, now time.Time) bool {
	it := p.counter
	switch {
	case !it.loaded || it.window != p.limit.Window:
		return false
	case now.Before(it.since):
		return it.since.Sub(now) < tolerated
	case !it.until.IsZero() && !now.Before(it.until):
		calendar := c.calendar.Load()
		it.begin(&p.limit, calendar.Start(p.limit.Window, now), calendar.End(p.limit.Window, now), 0)
	}
	return true
}

// fill loads what a scope has spent in the window of now.
func (c *Counters) fill(ctx context.Context, p *part, now time.Time) error {
	if p.counter.gone { // it was swept away between finding and locking it
		p.counter = c.counter(p.limit.Scope)
	}
	it := p.counter
	it.Lock()
	defer it.Unlock()
	if c.roll(p, now) {
		return nil // another call was faster
	}
	calendar := c.calendar.Load()
	since := calendar.Start(p.limit.Window, now)
	var spent money.Amount
	if c.o.Load != nil {
		var err error
		if spent, err = c.o.Load(ctx, it.scope, since); err != nil {
			return err
		}
	}
	it.begin(&p.limit, since, calendar.End(p.limit.Window, now), spent)
	return nil
}

// begin starts a window. What is held stays with calls of the same window only.
func (it *counter) begin(l *Limit, since, until time.Time, spent money.Amount) {
	if !it.since.Equal(since) {
		it.held = 0
	}
	it.loaded, it.window, it.since, it.until, it.spent = true, l.Window, since, until, spent
	it.told = l.marks(spent)
	it.wake()
}
