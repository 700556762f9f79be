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

// FlushAll writes everything that is settled.
func (b *Book) FlushAll(ctx context.Context) error {
	for {
		n, err := b.flush(ctx)
		b.told(err)
		if err == nil && n == 0 {
			b.settleDoubts()
		}
		if err != nil || n == 0 {
			return err
		}
	}
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
	var rows []ledger.Row
	for _, e := range entries {
		got := readRows(e.Settled)
		if len(got) == 0 {
			b.o.Log.Error("a settled call in the spend journal cannot be read", "bytes", len(e.Settled))
		}
		rows = append(rows, got...)
	}
	b.loose.mu.Lock()
	own := b.loose.rows
	b.loose.rows = nil
	b.loose.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	rows = append(rows, own...)
	if err := b.o.Ledger.Write(ctx, rows); err != nil {
		b.o.Journal.Return(entries)
		b.keep(own)
		return 0, err
	}
	b.o.Journal.Flushed(entries)
	b.flushed.Add(int64(len(rows)))
	if _, ok := b.counters.(shared); ok {
		b.counters.Flushed(flushedCosts(rows))
	}
	return len(entries), nil
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
