package spend

import (
	"context"
	"sync"
	"time"

	"github.com/sluicegw/sluice/policy/budget"
	"github.com/sluicegw/sluice/policy/ledger"
	"github.com/sluicegw/sluice/policy/ledger/journal"
)

const (
	flushRows    = ledger.Batch
	flushTimeout = 30 * time.Second
	mostWait     = 5 * time.Second
	// mostLoose bounds the rows that are in memory alone.
	mostLoose = 100_000
)

// loose are rows that the journal could not take.
type loose struct {
	mu      sync.Mutex
	rows    []ledger.Row
	dropped int64
}

// keep holds rows in memory until the database has them.
func (b *Book) keep(rows []ledger.Row) {
	b.loose.mu.Lock()
	defer b.loose.mu.Unlock()
	if len(b.loose.rows)+len(rows) > mostLoose {
		if b.loose.dropped == 0 {
			b.o.Log.Error("neither the spend journal nor the database takes rows: spend is being lost")
		}
		b.loose.dropped += int64(len(rows))
		return
	}
	b.loose.rows = append(b.loose.rows, rows...)
}

// settleOrphans ends the calls that nobody ended, at what they held.
func (b *Book) settleOrphans(left []journal.Entry) {
	n := 0
	for _, e := range left {
		if e.Settled != nil || e.Intent == nil {
			continue
		}
		if err := b.o.Journal.Settle(e.ID, e.Intent); err != nil {
			b.o.Log.Error("a call that an earlier process left open could not be settled", "error", err)
			continue
		}
		n++
		for _, r := range readRows(e.Intent) {
			b.doubtful = append(b.doubtful, scopesOf(&r)...)
		}
	}
	b.orphans.Store(int64(n))
	if n > 0 {
		b.o.Log.Warn("calls of a process that ended suddenly were settled at their reservations", "calls", n)
	}
}

// scopesOf are all scopes that a row may count in.
func scopesOf(r *ledger.Row) []budget.Scope {
	all := []budget.Scope{
		{}, {Kind: budget.Key, ID: r.Key}, {Kind: budget.Team, ID: r.Team}, {Kind: budget.User, ID: r.User}, {Kind: budget.Customer, ID: r.Customer},
		{Kind: budget.Member, ID: r.Team + "\x1f" + r.User}, {Kind: budget.KeyModel, ID: r.Key + "/" + r.Group}, {Kind: budget.Provider, ID: r.Provider},
	}
	for _, tag := range r.Tags {
		all = append(all, budget.Scope{Kind: budget.Tag, ID: tag})
	}
	return all
}

// settleDoubts has budgets read anew that an earlier process's calls count in: whoever keeps them for several processes
// knows of those calls only from the ledger.
func (b *Book) settleDoubts() {
	b.flushing.Lock()
	doubtful := b.doubtful
	b.doubtful = nil
	b.flushing.Unlock()
	seen := map[budget.Scope]bool{}
	for _, s := range doubtful {
		if !seen[s] {
			seen[s] = true
			b.counters.Forget(s)
		}
	}
}

// Run flushes and reconciles until ctx ends.
func (b *Book) Run(ctx context.Context) {
	reconcile := time.NewTicker(reconcileEvery)
	defer reconcile.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.o.Database.Ready():
		}
		err := b.FlushAll(ctx)
		if err == nil {
			b.rejoin(ctx)
		}
		wait := b.o.FlushEvery
		if err != nil {
			wait = mostWait
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		case <-reconcile.C:
			t.Stop()
			b.Reconcile(ctx)
			continue
		}
		select { // nothing settled since: nothing to do
		case <-b.wake:
		default:
			if err == nil && b.o.Journal.State().Pending == 0 {
				select {
				case <-ctx.Done():
					return
				case <-b.wake:
				case <-reconcile.C:
					b.Reconcile(ctx)
				}
			}
		}
	}
}

// FlushAll writes everything that is settled. The error is the newest; what it was about is tried again next time.
func (b *Book) FlushAll(ctx context.Context) (err error) {
	for {
		n, fault := b.flush(ctx)
		if fault != nil {
			err = fault
		}
		if n == 0 {
			break
		}
	}
	b.told(err)
	if err == nil {
		b.settleDoubts()
	}
	return err
}

// told says once that rows are not written, and once that they are again.
func (b *Book) told(err error) {
	switch {
	case err == nil:
		if b.unwell.Swap(nil) != nil {
			b.o.Log.Info("spend is written to the database again")
		}
	case b.unwell.Swap(&err) == nil:
		b.o.Log.Error("spend cannot be written to the database; the journal keeps it", "error", err)
	}
}

// flush writes one batch.
func (b *Book) flush(ctx context.Context) (n int, err error) {
	b.flushing.Lock()
	defer b.flushing.Unlock()
	entries, err := b.o.Journal.Pending(flushRows)
	if err != nil {
		b.o.Journal.Return(entries)
		return 0, err
	}
	rows := b.readAll(entries)
	b.loose.mu.Lock()
	own := b.loose.rows
	b.loose.rows = nil
	b.loose.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	rows = append(rows, own...)
	if err := b.o.Ledger.Write(ctx, rows); err != nil {
		b.keep(own)
		return b.flushSingly(ctx, entries, err)
	}
	b.written(entries, rows)
	return len(entries), nil
}

func (b *Book) readAll(entries []journal.Entry) (rows []ledger.Row) {
	for _, e := range entries {
		got := readRows(e.Settled)
		if len(got) == 0 {
			b.o.Log.Error("a settled call in the spend journal cannot be read", "bytes", len(e.Settled))
		}
		rows = append(rows, got...)
	}
	return rows
}

// written forgets what the database has.
func (b *Book) written(entries []journal.Entry, rows []ledger.Row) {
	b.o.Journal.Flushed(entries)
	b.flushed.Add(int64(len(rows)))
	if _, ok := b.counters.(shared); ok {
		b.counters.Flushed(flushedCosts(rows))
	}
}

// mostRefused is after how many refusals in a row the fault is taken for the database's.
const mostRefused = 8

// flushSingly writes the calls of a batch that failed one by one: what a database does not take of one call, for
// whatever reason, must not keep the others' spend from it. What it refuses stays in the journal, behind the others.
func (b *Book) flushSingly(ctx context.Context, entries []journal.Entry, err error) (n int, _ error) {
	var refused, rest []journal.Entry
	inARow := 0
	for i := range entries {
		if len(entries) == 1 || inARow == mostRefused || b.o.Database.Down() != nil || ctx.Err() != nil {
			rest = entries[i:]
			break
		}
		rows := b.readAll(entries[i : i+1])
		if fault := b.o.Ledger.Write(ctx, rows); fault != nil {
			refused, err = append(refused, entries[i]), fault
			inARow++
			continue
		}
		inARow = 0
		b.written(entries[i:i+1], rows)
		n++
	}
	b.o.Journal.Return(rest)
	b.o.Journal.Postpone(refused)
	if len(rest)+len(refused) == 0 {
		return n, nil
	}
	return n, err
}

// State is what the book is doing.
type State struct {
	Journal  journal.State
	Flushed  int64 // rows written
	Orphans  int64 // calls that an earlier process left open
	Repaired int64 // counters that were put right
	Lost     int64 // rows that nobody could take
	Unwell   error // why rows are not written; nil: they are
}

// State tells what the book is doing.
func (b *Book) State() State {
	s := State{Journal: b.o.Journal.State(), Flushed: b.flushed.Load(), Orphans: b.orphans.Load(), Repaired: b.repaired.Load()}
	if err := b.unwell.Load(); err != nil {
		s.Unwell = *err
	}
	b.loose.mu.Lock()
	s.Lost = b.loose.dropped
	b.loose.mu.Unlock()
	return s
}
