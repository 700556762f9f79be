package spend

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegw/sluice/internal/money"
	"github.com/sluicegw/sluice/policy/budget"
	"github.com/sluicegw/sluice/policy/ledger"
	"github.com/sluicegw/sluice/policy/ledger/journal"
)

// Options of a Book.
type Options struct {
	Journal  *journal.Journal
	Ledger   *ledger.Ledger
	Database Readiness
	Log      *slog.Logger
	// FailOpen lets calls go that cannot be written down, or whose budgets cannot be read.
	FailOpen bool
	// Wait is how long a call waits for room that calls under way hold; 0: 5 s; below 0: not at all.
	Wait time.Duration
	// FlushEvery is the longest that a settled call waits for the database; 0: 1 s.
	FlushEvery time.Duration
	Calendar   budget.Calendar
	// Keeper makes what keeps the budgets; database tells what a scope has spent without what is on its way there.
	// nil: counters in memory.
	Keeper func(o budget.Options, database budget.Loader) budget.Keeper
	Event  func(budget.Event)
	// Opening is what a scope had spent before the ledger began, as far as it counts in its window; nil: nothing.
	Opening func(budget.Scope) money.Amount
	Now     func() time.Time
}

// Readiness of the database.
type Readiness interface {
	Ready() <-chan struct{}
	Down() error
}

// Book is safe for concurrent use.
type Book struct {
	o        Options
	counters budget.Keeper
	rejoined bool // of Run's goroutine
	failOpen atomic.Bool

	flushing sync.Mutex     // rows are written by one at a time
	doubtful []budget.Scope // guarded by flushing
	wake     chan struct{}
	loose    loose
	unwell   atomic.Pointer[error] // why rows are not written; nil: they are
	flushed  atomic.Int64
	orphans  atomic.Int64
	repaired atomic.Int64
	suspect  map[budget.Scope]money.Amount // the reconciler's
}

// Open makes a book, and settles the calls that an earlier process left open: entries are what the journal had.
func New(o Options, left []journal.Entry) *Book {
	o.Wait = cmp.Or(o.Wait, 5*time.Second)
	o.FlushEvery = cmp.Or(o.FlushEvery, time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	b := &Book{o: o, wake: make(chan struct{}, 1), suspect: map[budget.Scope]money.Amount{}}
	b.failOpen.Store(o.FailOpen)
	options := budget.Options{Calendar: o.Calendar, Load: b.load, Now: o.Now, Event: o.Event}
	if o.Keeper != nil {
		b.counters = o.Keeper(options, b.database)
	} else {
		b.counters = budget.NewCounters(options)
	}
	b.settleOrphans(left)
	return b
}

// Use takes settings that may change while the book is open.
func (b *Book) Use(calendar budget.Calendar, failOpen bool) {
	b.counters.Use(calendar)
	b.failOpen.Store(failOpen)
}

// Counters are the book's, for whoever shows them.
func (b *Book) Counters() budget.Keeper { return b.counters }

// Ask is a call that wants to spend.
type Ask struct {
	// Row is what is known of the call's first attempt: its row if nobody ever ends it.
	Row    ledger.Row
	Limits []budget.Limit
	// Want is the most that the call may cost; a hold of less, but no less than Least, is of use too.
	Want, Least money.Amount
	// Tighter bounds the call more closely, at some price: it is asked once, where Want does not fit. nil: Want is
	// as close as it gets.
	Tighter func() (want, least money.Amount)
	// Patient calls rather wait for Want than take less; AtOnce is for what has happened already: it does not wait.
	Patient, AtOnce bool
}

// Entry is a call in the book, from its opening to its settlement. It belongs to one call.
type Entry struct {
	book *Book
	id   journal.ID
	hold *budget.Hold // nil: there are no budgets, or they could not be read
	bare bool         // not in the journal
	done bool
}

// Refusal is why a call may not spend. One of the fields is set.
type Refusal struct {
	Exceeded *budget.Exceeded
	Journal  error // it cannot be written down
	Database error // what was spent is not known
}

// Open holds an ask's money and writes its intent down. The amount held may be less than was asked for: see
// [Entry.Amount].
func (b *Book) Open(ctx context.Context, a *Ask) (*Entry, *Refusal) {
	e := &Entry{book: b}
	if len(a.Limits) > 0 {
		hold, refusal := b.hold(ctx, a)
		if refusal != nil {
			return nil, refusal
		}
		e.hold = hold
	}
	_, _ = rand.Read(e.id[:]) // never fails
	a.Row.Spend, a.Row.Estimated, a.Row.Orphaned = e.Amount(a.Want), true, true
	if err := b.o.Journal.Intent(e.id, a.Row.Append(nil)); err != nil {
		if !b.failOpen.Load() {
			b.counters.Settle(e.hold, nothing)
			return nil, &Refusal{Journal: err}
		}
		e.bare = true
	}
	return e, nil
}

func nothing(budget.Scope) money.Amount { return 0 }

// hold waits for room if calls under way have it.
func (b *Book) hold(ctx context.Context, a *Ask) (*budget.Hold, *Refusal) {
	least := b.atFirst(a)
	var timeout <-chan time.Time
	for {
		hold, exceeded, err := b.counters.Hold(ctx, a.Limits, a.Want, least)
		if a.Tighter != nil && err == nil && (exceeded != nil || hold != nil && hold.Amount < a.Want) {
			b.counters.Settle(hold, nothing)
			a.Want, a.Least = a.Tighter()
			a.Tighter, least = nil, b.atFirst(a)
			continue
		}
		switch {
		case err != nil && b.failOpen.Load():
			return nil, nil
		case err != nil:
			return nil, &Refusal{Database: err}
		case hold != nil:
			return hold, nil
		case !exceeded.Busy && least > a.Least:
			least = a.Least // nobody to wait for: what fits has to do
			continue
		case !exceeded.Busy || exceeded.Changed == nil || b.o.Wait <= 0 || a.AtOnce:
			return nil, &Refusal{Exceeded: exceeded}
		}
		if timeout == nil {
			t := time.NewTimer(b.o.Wait)
			defer t.Stop()
			timeout = t.C
		}
		select {
		case <-exceeded.Changed:
		case <-ctx.Done():
			return nil, &Refusal{Exceeded: exceeded}
		case <-timeout:
			if least > a.Least {
				least = a.Least
				continue
			}
			return nil, &Refusal{Exceeded: exceeded}
		}
	}
}

// atFirst is the least that an ask takes before it has waited.
func (b *Book) atFirst(a *Ask) money.Amount {
	if a.Patient && b.o.Wait > 0 {
		return a.Want
	}
	return a.Least
}

// Amount is what the entry holds: want, unless the budgets had less.
func (e *Entry) Amount(want money.Amount) money.Amount {
	if e.hold == nil {
		return want
	}
	return e.hold.Amount
}

// Extend holds more: a failed attempt may have cost something, and the next one may cost all that was held.
func (e *Entry) Extend(ctx context.Context, more money.Amount) bool {
	if e.hold == nil {
		return true
	}
	ok, err := e.book.counters.Extend(ctx, e.hold, more)
	return ok || err != nil && e.book.failOpen.Load()
}

// Settle writes down what the call's attempts cost, and gives back what it held beyond that. Rows may be empty:
// nothing reached a provider. It works once; later calls do nothing.
func (e *Entry) Settle(rows []ledger.Row) {
	if e == nil || e.done {
		return
	}
	e.done = true
	b := e.book
	var payload []byte
	for i := range rows {
		payload = rows[i].Append(payload)
	}
	if e.bare {
		b.keep(rows)
	} else if err := b.o.Journal.Settle(e.id, payload); err != nil {
		b.o.Log.Error("a settled call could not be written into the spend journal; it goes to the database at once", "error", err)
		b.keep(rows)
	}
	b.counters.Settle(e.hold, func(s budget.Scope) money.Amount { return Cost(s, rows) })
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// Cost is what rows cost a scope.
func Cost(s budget.Scope, rows []ledger.Row) (sum money.Amount) {
	scope := ledger.Scope{Kind: s.Kind.String(), ID: s.ID}
	for i := range rows {
		if s.Kind == budget.Global || scope.Covers(&rows[i]) {
			sum = sum.Plus(rows[i].Spend)
		}
	}
	return sum
}

// load is what a scope has spent: what the ledger has, and what is on its way there.
func (b *Book) load(ctx context.Context, s budget.Scope, since time.Time) (money.Amount, error) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	// Rows leave the journal, or memory, after the database has them: with the flusher held, each is in one of them.
	b.flushing.Lock()
	defer b.flushing.Unlock()
	scope := ledger.Scope{Kind: s.Kind.String(), ID: s.ID}
	sum, err := b.database(ctx, s, since)
	if err != nil {
		return 0, err
	}
	bad := b.o.Journal.Unflushed(func(payload []byte) {
		for _, r := range readRows(payload) {
			if scope.Covers(&r) && !r.Started.Before(since) {
				sum = sum.Plus(r.Spend)
			}
		}
	})
	b.loose.mu.Lock()
	defer b.loose.mu.Unlock()
	for i := range b.loose.rows {
		if r := &b.loose.rows[i]; scope.Covers(r) && !r.Started.Before(since) {
			sum = sum.Plus(r.Spend)
		}
	}
	return sum, errors.Join(bad, ctx.Err())
}

const loadTimeout = 5 * time.Second

// SetSpent makes what a scope has spent another amount, from now on.
func (b *Book) SetSpent(ctx context.Context, s budget.Scope, to money.Amount) error {
	if err := b.o.Ledger.Mark(ctx, ledger.Scope{Kind: s.Kind.String(), ID: s.ID}, b.o.Now(), true, to); err != nil {
		return err
	}
	b.counters.Forget(s)
	return nil
}

// Spent is what a scope has spent since a time (zero: ever), for whoever shows it.
func (b *Book) Spent(ctx context.Context, s budget.Scope, since time.Time) (money.Amount, error) {
	return b.load(ctx, s, since)
}

func readRows(payload []byte) (rows []ledger.Row) {
	for len(payload) > 0 {
		r, rest, err := ledger.ReadRow(payload)
		if err != nil {
			return rows
		}
		rows, payload = append(rows, r), rest
	}
	return rows
}
