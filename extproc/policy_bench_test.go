package extproc

import (
	"encoding/json"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/sluicegw/sluice/internal/money"
	"github.com/sluicegw/sluice/policy/budget"
	"github.com/sluicegw/sluice/policy/keys"
	"github.com/sluicegw/sluice/policy/ledger"
	"github.com/sluicegw/sluice/policy/ledger/journal"
	"github.com/sluicegw/sluice/policy/spend"
	"github.com/sluicegw/sluice/policy/store"
)

// BenchmarkPolicy is all that policy does for one call: key, limits, plan, reservation and intent, settlement. cpu-ns/op is
// what the process spent on it, whatever else the machine does; its aim is 15 µs. A row's way from the journal to the
// database is package ledger's BenchmarkWrite.
func BenchmarkPolicy(b *testing.B) {
	for _, limited := range []bool{false, true} {
		name := "plain key"
		if limited {
			name = "key, team and user with budgets and limits"
		}
		b.Run(name, func(b *testing.B) {
			p := newPolicy(b, limited)
			before := processorTime()
			b.ReportAllocs()
			for b.Loop() {
				p.call(b)
			}
			b.ReportMetric(float64((processorTime()-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}

func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

const benchKey = "sk-bench-0123456789abcdef"

// policy is a server with all that a call needs of package policy.
type policy struct{ server *Server }

func newPolicy(b *testing.B, limited bool) *policy {
	s := testServer(b)
	more := map[string]any{}
	if limited {
		more = map[string]any{"max_budget": 1e6, "budget_duration": "30d", "rpm_limit": 1 << 40, "tpm_limit": 1 << 40, "max_parallel_requests": 1 << 40}
	}
	object := func(kind, id string, fields map[string]any) store.Object {
		for k, v := range more {
			fields[k] = v
		}
		text, err := json.Marshal(fields)
		if err != nil {
			b.Fatal(err)
		}
		return store.Object{Kind: kind, ID: id, Version: 1, Doc: text}
	}
	d := keys.NewDirectory(nil)
	d.Apply([]store.Object{
		object(keys.KindUser, "u", map[string]any{}), object(keys.KindTeam, "t", map[string]any{}),
		object(keys.KindKey, keys.Hash(benchKey), map[string]any{"user_id": "u", "team_id": "t", "models": []string{"group"}}),
	}, true)
	snapshot := *s.snapshot.Load()
	snapshot.Keys = keys.NewRing(keys.Options{Master: testKey, Directory: d})
	snapshot.Budgets = &Budgets{Global: budget.Limit{Max: money.Dollar * 1_000_000}, UsersOfTeams: true}
	if !limited {
		snapshot.Budgets.Global.Max = budget.None
	}
	s.Use(&snapshot)
	keepBook(b, s)
	return &policy{server: s}
}

// keepBook gives a server a book of what its calls cost.
func keepBook(b testing.TB, s *Server) {
	b.Helper()
	dir := b.TempDir()
	db, err := store.Open(b.Context(), store.Options{Path: filepath.Join(dir, "db")})
	if err != nil {
		b.Fatal(err)
	}
	j, left, err := journal.Open(journal.Options{Dir: filepath.Join(dir, "journal"), MaxPending: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _, _ = j.Close(), db.Close() })
	s.Book = spend.New(spend.Options{Journal: j, Ledger: ledger.New(db), Database: db}, left)
}

// call is one call's policy from its key to its settlement.
func (p *policy) call(b *testing.B) {
	s := p.server
	c := s.begin()
	key, err := c.snapshot.Keys.Authenticate(benchKey)
	if err != nil {
		b.Fatal(err)
	}
	c.key, c.clientID = key, "0b9e1c34-93bb-4b8e-a5a9-5d8a0a3c8f11"
	if err := c.admit([]byte(body)); err != nil {
		b.Fatal(err)
	}
	if err := c.reserveMoney(); err != nil {
		b.Fatal(err)
	}
	r := c.purse.row
	c.fill(&r, 1)
	r.Spend, r.Prompt, r.Completion = money.Cent/100, 10, 20
	c.purse.tries.settled = true
	c.purse.entry.Settle([]ledger.Row{r})
	c.endRates(true, 30)
	s.active.Add(-1)
}
