package budget

import (
	"context"
	"time"

	"github.com/sluicegw/sluice/internal/money"
)

// Keeper keeps budgets: [Counters] in this process's memory, [Shared] in a Redis for several processes.
type Keeper interface {
	// Hold takes want on all limits at once, or less, but no less than least; or nothing. The error says that what was
	// spent is not known.
	Hold(ctx context.Context, limits []Limit, want, least money.Amount) (*Hold, *Exceeded, error)
	// Extend holds more for a call, on all its scopes or on none.
	Extend(ctx context.Context, h *Hold, more money.Amount) (bool, error)
	// Settle ends a hold with what the call did cost, scope by scope.
	Settle(h *Hold, cost func(Scope) money.Amount)
	// Spent is what a scope has spent in its window, as far as this process knows.
	Spent(s Scope) (spent money.Amount, known bool)
	// Flushed tells which settled costs are in the database now.
	Flushed(costs []Cost)
	// Forget has what a scope has spent loaded anew with its next call.
	Forget(s Scope)
	// Correct sets what a scope has spent, if it is still in the window of since, and returns by how much it was off.
	Correct(s Scope, since time.Time, spent money.Amount) (off money.Amount)
	// All calls f with every scope that this process alone keeps.
	All(f func(State))
	// Sweep forgets what was not used since before and holds nothing.
	Sweep(before time.Time)
	Calendar() Calendar
	Use(Calendar)
}

var (
	_ Keeper = (*Counters)(nil)
	_ Keeper = (*Shared)(nil)
)

// Cost is what one attempt cost a scope.
type Cost struct {
	Scope  Scope
	Began  time.Time // the attempt's call
	Amount money.Amount
}

// Flushed implements [Keeper]: what is on its way to the database is no matter to counters of one process.
func (c *Counters) Flushed([]Cost) {}
