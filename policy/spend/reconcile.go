package spend

import (
	"context"
	"time"

	"github.com/sluicegw/sluice/internal/money"
	"github.com/sluicegw/sluice/policy/budget"
	"github.com/sluicegw/sluice/policy/ledger"
)

const (
	reconcileEvery = time.Minute
	// reconciled is how many counters are compared at a time; map order sees to it that all get their turn.
	reconciled = 200
	idle       = 30 * time.Minute
	// backlog is how many calls may wait for the database while counters are compared: each comparison reads them all.
	backlog = 2 * ledger.Batch
)

// Reconcile compares counters with the ledger and what is on its way there, and puts right those that are off.
// Calls settle meanwhile, so only what is off by the same amount in two rounds is.
func (b *Book) Reconcile(ctx context.Context) (corrected int) {
	b.counters.Sweep(b.o.Now().Add(-idle))
	if b.o.Journal.State().Pending > backlog {
		return 0
	}
	n := 0
	suspect := map[budget.Scope]money.Amount{}
	b.counters.All(func(s budget.State) {
		if n++; n > reconciled || ctx.Err() != nil {
			return
		}
		sum, err := b.load(ctx, s.Scope, s.Since)
		if err != nil {
			return
		}
		off := s.Spent - sum
		if off == 0 {
			return
		}
		if b.suspect[s.Scope] != off {
			suspect[s.Scope] = off
			return
		}
		if now, _ := b.counters.Spent(s.Scope); now != s.Spent {
			suspect[s.Scope] = off
			return
		}
		if b.counters.Correct(s.Scope, s.Since, sum) != 0 {
			corrected++
			b.Repaired(budget.Repair{Scope: s.Scope, Counter: s.Spent, True: sum})
		}
	})
	b.suspect = suspect
	return corrected
}
