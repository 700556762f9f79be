package spend

import (
	"context"
	"time"

	"github.com/sluicegw/sluice/internal/money"
	"github.com/sluicegw/sluice/policy/budget"
	"github.com/sluicegw/sluice/policy/ledger"
)

// shared is what budgets that several processes keep want to be told beyond a [budget.Keeper].
type shared interface {
	Rejoin(context.Context) error
}

// rejoin tells shared budgets that everything an earlier process of this journal left is in the database. It does so
// until it is heard.
func (b *Book) rejoin(ctx context.Context) {
	s, ok := b.counters.(shared)
	if !ok || b.rejoined {
		return
	}
	if err := s.Rejoin(ctx); err == nil {
		b.rejoined = true
	}
}

// Repaired tells that a counter was put right.
func (b *Book) Repaired(r budget.Repair) {
	b.repaired.Add(1)
	b.o.Log.Warn("a budget's counter was not what the ledger says, and was put right", "scope", r.Scope.Kind.String(),
		"id", r.Scope.ID, "counter", r.Counter.String(), "ledger", r.True.String())
}

// flushedCosts are what rows cost each scope that they count for. Orphans are left out: no counter knew them.
func flushedCosts(rows []ledger.Row) (out []budget.Cost) {
	for i := range rows {
		r := &rows[i]
		if r.Orphaned || r.Spend == 0 {
			continue
		}
		add := func(kind budget.Kind, id string) {
			out = append(out, budget.Cost{Scope: budget.Scope{Kind: kind, ID: id}, Began: r.Started, Amount: r.Spend})
		}
		add(budget.Global, "")
		for _, s := range []struct {
			kind budget.Kind
			id   string
		}{{budget.Team, r.Team}, {budget.User, r.User}, {budget.Customer, r.Customer}, {budget.Key, r.Key}, {budget.Provider, r.Provider}} {
			if s.id != "" {
				add(s.kind, s.id)
			}
		}
		if r.Team != "" && r.User != "" {
			add(budget.Member, r.Team+"\x1f"+r.User)
		}
		if r.Key != "" {
			add(budget.KeyModel, r.Key+"/"+r.Group)
		}
		for _, tag := range r.Tags {
			add(budget.Tag, tag)
		}
	}
	return out
}

// database is what a scope has spent without what is on its way to the ledger.
func (b *Book) database(ctx context.Context, s budget.Scope, since time.Time) (money.Amount, error) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	sum, set, err := b.o.Ledger.Since(ctx, ledger.Scope{Kind: s.Kind.String(), ID: s.ID}, since)
	if err == nil && !set && b.o.Opening != nil {
		sum = sum.Plus(b.o.Opening(s))
	}
	return sum, err
}
