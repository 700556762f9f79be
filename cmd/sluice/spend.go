package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/sluicegw/sluice/cmd/sluice/config"
	"github.com/sluicegw/sluice/extproc"
	"github.com/sluicegw/sluice/internal/money"
	"github.com/sluicegw/sluice/policy/budget"
	"github.com/sluicegw/sluice/policy/ledger"
	"github.com/sluicegw/sluice/policy/ledger/journal"
	"github.com/sluicegw/sluice/policy/observe"
	"github.com/sluicegw/sluice/policy/spend"
)

const (
	// flushPatience is how long a start, and a stop, wait for the database to take what the journal holds.
	flushPatience = 10 * time.Second
	retainEvery   = time.Hour
)

// openBook opens the spend journal, takes over what earlier processes left in it, and brings it to the database.
func (r *instance) openBook(ctx context.Context, c *config.Config) error {
	dir, err := r.options.dataFolder(os.Getenv)
	if err != nil {
		return err
	}
	j, left, err := journal.Open(journal.Options{Dir: filepath.Join(dir, "journal"), Log: r.log})
	if err != nil {
		return fmt.Errorf("%w; name a folder that can be written to with --data-dir", err)
	}
	r.journal = j
	r.ledger = ledger.New(r.db)
	r.alerts = observe.NewAlerts(r.log)
	o := spend.Options{
		Journal: j, Ledger: r.ledger, Database: r.db, Log: r.log, FailOpen: failOpen(c),
		Calendar: calendar(c), Event: r.budgetEvent, Opening: r.opening,
	}
	if err := r.shareBudgets(ctx, &o, dir); err != nil {
		return err
	}
	r.book = spend.New(o, left)
	r.useBudgets(c)
	select {
	case <-r.db.Ready():
		flushing, cancel := context.WithTimeout(ctx, flushPatience)
		defer cancel()
		if err := r.book.FlushAll(flushing); err != nil {
			r.log.Warn("what the spend journal holds is not in the database yet", "error", err)
		}
	default:
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx)) // calls go on while the instance drains
	r.stopBook = stop
	if r.shared != nil {
		go r.shared.Run(running)
	}
	go r.book.Run(running)
	go r.alerts.Run(running)
	go r.retain(running)
	return nil
}

// closeBook brings everything to the database, as far as it is there, and lets the journal go.
func (r *instance) closeBook() {
	if r.book == nil {
		return
	}
	r.stopBook()
	ctx, cancel := context.WithTimeout(context.Background(), flushPatience)
	defer cancel()
	if err := r.book.FlushAll(ctx); err != nil {
		r.log.Warn("the spend journal keeps what the database could not take, until the next start", "error", err)
	}
	if err := r.journal.Close(); err != nil {
		r.log.Warn("the spend journal could not be closed", "error", err)
	}
}

// useBudgets takes what a configuration says of money and may change while calls are under way.
func (r *instance) useBudgets(c *config.Config) {
	r.book.Use(calendar(c), failOpen(c))
	r.retention.Store(int64(c.Budgets.Retention))
	url := ""
	if c.Budgets.Webhook {
		url, _ = c.LookupEnv("WEBHOOK_URL")
	}
	r.alerts.Use(url)
}

// failOpen tells whether calls go whose money cannot be written down, or not be known.
func failOpen(c *config.Config) bool { return c.Budgets.FailOpen || c.General.Fail.Budgets == "open" }

func calendar(c *config.Config) budget.Calendar {
	return budget.Calendar{Zone: c.Budgets.Zone, At: c.Budgets.At}
}

// budgets are those that the configuration sets.
func budgets(c *config.Config) *extproc.Budgets {
	b := &extproc.Budgets{
		Global: budget.Limit{Max: budget.None}, Status: c.Budgets.Status, UsersOfTeams: c.Budgets.UsersOfTeams,
		Tags: named(budget.Tag, c.Budgets.Tags), Providers: named(budget.Provider, c.Budgets.Providers),
	}
	b.CustomerBudget = c.Budgets.CustomerBudget
	if most := c.Budgets.CustomerMax; most != nil {
		amount := money.FromDollars(*most)
		b.CustomerMax = &amount
	}
	if most := c.General.MaxBudget; most != nil && *most > 0 { // 0 is LiteLLM's "none"
		b.Global.Max = money.FromDollars(*most)
		b.Global.Window = windowOf(c.General.BudgetDuration)
	}
	return b
}

func named(kind budget.Kind, from map[string]config.ScopeBudget) map[string]budget.Limit {
	out := make(map[string]budget.Limit, len(from))
	for name, s := range from {
		out[name] = budget.Limit{Scope: budget.Scope{Kind: kind, ID: name}, Max: money.FromDollars(s.Max), Window: s.Window}
	}
	return out
}

func windowOf(d config.Duration) budget.Window {
	if d.Months > 0 || d.Span == 0 {
		return budget.Window{Months: d.Months}
	}
	w, _, err := budget.ParseWindow(fmt.Sprintf("%ds", max(1, int64(d.Span/time.Second))))
	if err != nil { // longer than a hundred years
		return budget.Window{}
	}
	return w
}

// retain removes rows that are past their retention.
func (r *instance) retain(ctx context.Context) {
	tick := time.NewTicker(retainEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		keep := time.Duration(r.retention.Load())
		if keep <= 0 || r.db.Down() != nil {
			continue
		}
		n, err := r.ledger.Retain(ctx, time.Now().Add(-keep))
		if err != nil {
			r.log.Warn("old rows of spend could not be removed", "error", err)
		} else if n > 0 {
			r.log.Info("rows of spend that are past their retention were removed", "rows", n)
		}
	}
}

// budgetEvent tells of budgets that reach a mark.
func (r *instance) budgetEvent(e budget.Event) {
	r.log.Warn("a budget has reached a mark", "mark", string(e.Mark), "scope", e.Limit.Scope.Kind.String(), "id", e.Limit.Scope.ID,
		"name", e.Limit.Name, "spend", e.Spent.String(), "max_budget", e.Limit.Max.String(), "soft_budget", e.Limit.Soft.String())
	r.alerts.Send(budgetAlert(e))
}

// spendRecord is a row as the metrics count it.
func spendRecord(row *ledger.Row) observe.SpendRecord {
	return observe.SpendRecord{Group: row.Group, Team: row.Team, Dollars: row.Spend.Dollars(), Estimated: row.Estimated}
}

// watchBook shows the state of the books in the metrics.
func (r *instance) watchBook(m *observe.Metrics) {
	for name, w := range map[string]struct {
		help  string
		value func(spend.State) float64
	}{
		"sluice_spend_journal_calls":         {"Calls under way, or settled and not in the database yet.", func(s spend.State) float64 { return float64(s.Journal.Live) }},
		"sluice_spend_journal_pending":       {"Settled calls that are not in the database yet.", func(s spend.State) float64 { return float64(s.Journal.Pending) }},
		"sluice_spend_journal_bytes":         {"Bytes of the spend journal.", func(s spend.State) float64 { return float64(s.Journal.Bytes) }},
		"sluice_spend_journal_writable":      {"1 while calls can be written down.", func(s spend.State) float64 { return one(s.Journal.Err == nil) }},
		"sluice_spend_rows_written":          {"Rows written to the ledger by this process.", func(s spend.State) float64 { return float64(s.Flushed) }},
		"sluice_spend_rows_lost":             {"Rows that neither the journal nor the database could take.", func(s spend.State) float64 { return float64(s.Lost) }},
		"sluice_spend_orphaned_calls":        {"Calls that an earlier process left open.", func(s spend.State) float64 { return float64(s.Orphans) }},
		"sluice_spend_counters_repaired":     {"Budget counters that were put right by the ledger.", func(s spend.State) float64 { return float64(s.Repaired) }},
		"sluice_spend_database_takes_writes": {"1 while rows can be written to the ledger.", func(s spend.State) float64 { return one(s.Unwell == nil) }},
	} {
		m.Watch(name, w.help, func() float64 { return w.value(r.book.State()) })
	}
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
