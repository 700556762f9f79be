package main

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/adapters/catalog"
	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/adapters/tokens"
	"github.com/sluicegw/sluice/internal/money"
	"github.com/sluicegw/sluice/policy/admin"
	"github.com/sluicegw/sluice/policy/budget"
	"github.com/sluicegw/sluice/policy/keys"
)

// scopeOf is a scope of the admin API as budgets know it.
func scopeOf(kind, id string) (budget.Scope, bool) {
	switch kind {
	case keys.KindKey:
		return budget.Scope{Kind: budget.Key, ID: id}, true
	case keys.KindTeam:
		return budget.Scope{Kind: budget.Team, ID: id}, true
	case keys.KindMember:
		return budget.Scope{Kind: budget.Member, ID: id}, true
	case keys.KindUser:
		return budget.Scope{Kind: budget.User, ID: id}, true
	case keys.KindCustomer:
		return budget.Scope{Kind: budget.Customer, ID: id}, true
	}
	return budget.Scope{}, false
}

// owner is what a scope's document says of its budget.
func (r *instance) owner(s budget.Scope) *keys.Scope {
	d := r.directory
	switch s.Kind {
	case budget.Key:
		if k := d.ByHash(s.ID); k != nil {
			return &k.Scope
		}
	case budget.Team:
		if t := d.Team(s.ID); t != nil {
			return &t.Scope
		}
	case budget.User:
		if u := d.User(s.ID); u != nil {
			return &u.Scope
		}
	case budget.Customer:
		if c := d.Customer(s.ID); c != nil {
			return &c.Scope
		}
	}
	return nil
}

// opening is what a scope had spent before the ledger began. It is of one window: the one that was at hand then.
func (r *instance) opening(s budget.Scope) money.Amount {
	o := r.owner(s)
	if o == nil || o.Spent == 0 || o.Budget.Duration != "" && !time.Now().Before(o.Budget.ResetAt) {
		return 0
	}
	return o.Spent
}

// spentOf is what a scope has spent in its window, for the admin API, which asks about many at a time.
func (r *instance) spentOf(kind, id string) (money.Amount, bool) {
	s, ok := scopeOf(kind, id)
	if !ok || r.book == nil {
		return 0, false
	}
	counted, known := r.book.Counters().Spent(s)
	if known && !r.db.Postgres() && r.shared == nil {
		return counted, true
	}
	// Other gateways may have spent since this one last heard of the scope; all of them write to the ledger.
	o := r.owner(s)
	since := time.Time{}
	if o != nil && o.Budget.Duration != "" {
		if w, _, err := budget.ParseWindow(o.Budget.Duration); err == nil {
			since = r.book.Counters().Calendar().Start(w, time.Now())
		}
	}
	if spent, ok := r.totals.of(r, s, since); ok {
		return spent, true
	}
	return counted, known
}

// totals remember, for a moment, what all scopes of a kind have spent: lists ask for each of theirs.
type totals struct {
	mu   sync.Mutex
	seen map[totalsKey]*kindTotals
}

type totalsKey struct {
	kind  budget.Kind
	since time.Time
}

type kindTotals struct {
	at     time.Time
	spent  map[string]money.Amount
	marked map[string]bool
}

const (
	totalsLife  = 500 * time.Millisecond
	totalsLimit = 64
)

func (t *totals) of(r *instance, s budget.Scope, since time.Time) (money.Amount, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := totalsKey{s.Kind, since}
	it := t.seen[key]
	if it == nil || time.Since(it.at) > totalsLife {
		if len(t.seen) > totalsLimit || t.seen == nil {
			t.seen = map[totalsKey]*kindTotals{}
		}
		var err error
		if it, err = readTotals(r, s.Kind, since); err != nil {
			return 0, false
		}
		t.seen[key] = it
	}
	if it.marked[s.ID] {
		ctx, cancel := context.WithTimeout(context.Background(), flushPatience)
		defer cancel()
		spent, err := r.book.Spent(ctx, s, since)
		return spent, err == nil
	}
	return it.spent[s.ID].Plus(r.opening(s)), true
}

func readTotals(r *instance, kind budget.Kind, since time.Time) (*kindTotals, error) {
	ctx, cancel := context.WithTimeout(context.Background(), flushPatience)
	defer cancel()
	if err := r.book.FlushAll(ctx); err != nil {
		return nil, err
	}
	out := &kindTotals{at: time.Now(), marked: map[string]bool{}}
	var err error
	if out.spent, err = r.ledger.Totals(ctx, kind.String(), since); err != nil {
		return nil, err
	}
	ids, err := r.ledger.Marked(ctx, kind.String())
	for _, id := range ids {
		out.marked[id] = true
	}
	return out, err
}

func (r *instance) setSpent(ctx context.Context, kind, id string, to money.Amount) error {
	s, ok := scopeOf(kind, id)
	if !ok {
		return nil
	}
	return r.book.SetSpent(ctx, s, to)
}

// spending is what the HTTP API knows of money.
func (r *instance) spending() *admin.Spending {
	if r.book == nil {
		return nil
	}
	return &admin.Spending{
		Ledger: r.ledger,
		Flush:  r.book.FlushAll,
		Budget: func() *money.Amount {
			a := r.gateway.current.Load()
			if a == nil || a.snapshot.Budgets.Global.Max < 0 {
				return nil
			}
			return &a.snapshot.Budgets.Global.Max
		},
		Calculate: r.calculate,
		Count:     r.countMessages,
		Reset: func(ctx context.Context) error {
			for kind, ids := range map[string][]string{keys.KindKey: r.ids(keys.KindKey), keys.KindTeam: r.ids(keys.KindTeam)} {
				for _, id := range ids {
					if err := r.setSpent(ctx, kind, id, 0); err != nil {
						return err
					}
				}
			}
			return nil
		},
	}
}

func (r *instance) ids(kind string) []string {
	var out []string
	for _, o := range r.directory.List(kind) {
		out = append(out, o.ID)
	}
	return out
}

// calculate is what tokens cost, of a model group, else of any model that the catalogue has.
func (r *instance) calculate(model string, prompt, completion int64) (float64, bool) {
	t := catalog.Tokens{Prompt: prompt, Completion: completion}
	if a := r.gateway.current.Load(); a != nil {
		for _, d := range a.deployments {
			if d.config.Group == model && a.pricers[d.config.ID] != nil {
				return a.pricers[d.config.ID].Info().Prices.Dollars(t)
			}
		}
	}
	provider, name := adapters.NameOf(model, "")
	info, ok := catalog.Lookup(provider, name)
	if !ok {
		return 0, false
	}
	return info.Prices.Dollars(t)
}

// countMessages counts the tokens of messages, by the tokenizer of the model that a group stands for.
func (r *instance) countMessages(model string, messages json.RawMessage) int64 {
	if a := r.gateway.current.Load(); a != nil {
		for _, d := range a.deployments {
			if d.config.Group == model {
				model = d.config.Model
			}
		}
	}
	if !jsondoc.Value(messages).IsArray() {
		return 0
	}
	return int64(tokens.For(model).Chat(jsondoc.Value(messages), "", ""))
}
