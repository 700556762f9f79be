package spend

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluicegw/sluice/internal/money"
	"github.com/sluicegw/sluice/policy/budget"
	"github.com/sluicegw/sluice/policy/ledger"
	"github.com/sluicegw/sluice/policy/ledger/journal"
	"github.com/sluicegw/sluice/policy/store"
)

// database is SQLite that can be taken away.
type database struct {
	*store.DB
	away atomic.Bool
}

var errAway = errors.New("the database is away")

func (d *database) Tx(ctx context.Context, f func(*sql.Tx) error) error {
	if d.away.Load() {
		return errAway
	}
	return d.DB.Tx(ctx, f)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// desk is a book with what it stands on.
type desk struct {
	*Book
	db  *database
	j   *journal.Journal
	dir string
}

func open(t testing.TB, dir string, o Options) *desk {
	t.Helper()
	db, err := store.Open(context.Background(), store.Options{Path: filepath.Join(dir, "db")})
	must(t, err)
	d := &desk{db: &database{DB: db}, dir: dir}
	j, left, err := journal.Open(journal.Options{Dir: filepath.Join(dir, "journal"), SyncEvery: -1})
	must(t, err)
	d.j = j
	o.Journal, o.Ledger, o.Database = j, ledger.New(d.db), d.db
	d.Book = New(o, left)
	return d
}

func (d *desk) close() { _, _ = d.j.Close(), d.db.Close() }

func (d *desk) total(t testing.TB, s ledger.Scope) money.Amount {
	t.Helper()
	sum, err := d.o.Ledger.Sum(context.Background(), s, time.Time{})
	must(t, err)
	return sum
}

var key = budget.Scope{Kind: budget.Key, ID: "k"}

func limits(max money.Amount) []budget.Limit {
	return []budget.Limit{{Scope: key, Max: max}, {Scope: budget.Scope{}, Max: budget.None}}
}

func call(n int) ledger.Row {
	return ledger.Row{ID: fmt.Sprint("call-", n), RequestID: fmt.Sprint(n), Key: "k", Started: time.Now().UTC(), Group: "g"}
}

func cost(r ledger.Row, a money.Amount) []ledger.Row {
	r.Spend, r.Ended = a, time.Now()
	return []ledger.Row{r}
}

func TestThroughTheBook(t *testing.T) {
	d := open(t, t.TempDir(), Options{Wait: -1})
	defer d.close()
	one, refusal := d.Open(t.Context(), &Ask{Row: call(1), Limits: limits(100), Want: 60, Least: 60})
	if refusal != nil || one.Amount(60) != 60 {
		t.Fatal(refusal)
	}
	_, refusal = d.Open(t.Context(), &Ask{Row: call(2), Limits: limits(100), Want: 60, Least: 60})
	if refusal == nil || refusal.Exceeded == nil {
		t.Fatal("120 of 100")
	}
	tighter := 0
	two, refusal := d.Open(t.Context(), &Ask{Row: call(2), Limits: limits(100), Want: 60, Least: 60, Tighter: func() (money.Amount, money.Amount) {
		tighter++
		return 40, 40
	}})
	if refusal != nil || two.Amount(0) != 40 || tighter != 1 {
		t.Fatal(refusal, tighter)
	}
	one.Settle(cost(call(1), 50))
	one.Settle(cost(call(1), 50))
	two.Settle(nil) // nothing reached a provider
	spent, err := d.Spent(t.Context(), key, time.Time{})
	if spent != 50 || err != nil {
		t.Errorf("before it is flushed: %d, %v", spent, err)
	}
	must(t, d.FlushAll(t.Context()))
	if sum := d.total(t, ledger.Scope{Kind: "key", ID: "k"}); sum != 50 {
		t.Errorf("in the ledger: %d", sum)
	}
	if s := d.State(); s.Flushed != 1 || s.Journal.Live != 0 {
		t.Errorf("%+v", s)
	}
	must(t, d.SetSpent(t.Context(), key, 5))
	if three, refusal := d.Open(t.Context(), &Ask{Row: call(3), Limits: limits(100), Want: 95, Least: 95}); refusal != nil {
		t.Error("95 of 95", refusal.Exceeded)
	} else {
		three.Settle(nil)
	}
}

// A call waits for what others hold, and takes less only when waiting was in vain.
func TestWaiting(t *testing.T) {
	d := open(t, t.TempDir(), Options{Wait: time.Minute})
	defer d.close()
	one, _ := d.Open(t.Context(), &Ask{Row: call(1), Limits: limits(100), Want: 60, Least: 60})
	got := make(chan *Entry)
	go func() {
		e, _ := d.Open(context.Background(), &Ask{Row: call(2), Limits: limits(100), Want: 90, Least: 10, Patient: true})
		got <- e
	}()
	select {
	case <-got:
		t.Fatal("it did not wait")
	case <-time.After(20 * time.Millisecond):
	}
	one.Settle(cost(call(1), 30))
	if e := <-got; e.Amount(90) != 70 { // nobody is left to wait for
		t.Errorf("got %d", e.Amount(90))
	}
	ctx, leave := context.WithCancel(t.Context())
	leave()
	if _, refusal := d.Open(ctx, &Ask{Row: call(3), Limits: limits(100), Want: 60, Least: 60}); refusal == nil {
		t.Error("a client that has left got money")
	}
}

// Rows that the journal could not take are spent, too.
func TestLooseRowsCount(t *testing.T) {
	d := open(t, t.TempDir(), Options{})
	defer d.close()
	d.keep(cost(call(1), 5))
	if spent, err := d.Spent(t.Context(), key, time.Time{}); spent != 5 || err != nil {
		t.Error(spent, err)
	}
	must(t, d.FlushAll(t.Context()))
	if spent, err := d.Spent(t.Context(), key, time.Time{}); spent != 5 || err != nil {
		t.Error(spent, err)
	}
}

// What has happened already waits for nobody.
func TestAtOnce(t *testing.T) {
	d := open(t, t.TempDir(), Options{Wait: time.Hour})
	defer d.close()
	_, refusal := d.Open(t.Context(), &Ask{Row: call(1), Limits: limits(100), Want: 100, Least: 100})
	if refusal != nil {
		t.Fatal(refusal)
	}
	if _, refusal = d.Open(t.Context(), &Ask{Row: call(2), Limits: limits(100), Want: 5, AtOnce: true}); refusal == nil || refusal.Exceeded == nil {
		t.Error("there was room")
	}
	if e, refusal := d.Open(t.Context(), &Ask{Row: call(2), Limits: limits(100), AtOnce: true}); refusal != nil || e.Amount(0) != 0 {
		t.Error(refusal)
	}
}

func TestDatabaseAway(t *testing.T) {
	d := open(t, t.TempDir(), Options{})
	defer d.close()
	d.db.away.Store(true)
	for n := range 10 {
		e, refusal := d.Open(t.Context(), &Ask{Row: call(n), Limits: limits(100), Want: 5, Least: 5})
		if refusal != nil {
			t.Fatal(refusal)
		}
		e.Settle(cost(call(n), 5))
	}
	if err := d.FlushAll(t.Context()); !errors.Is(err, errAway) || d.State().Unwell == nil || d.State().Journal.Pending != 10 {
		t.Errorf("%v %+v", err, d.State())
	}
	d.db.away.Store(false)
	must(t, d.FlushAll(t.Context()))
	if sum := d.total(t, ledger.Scope{Kind: "global"}); sum != 50 || d.State().Unwell != nil {
		t.Error(sum)
	}
}

// Calls that a database does not take keep no others from it, and stay in the journal.
func TestRefusedCalls(t *testing.T) {
	d := open(t, t.TempDir(), Options{})
	defer d.close()
	_, err := d.db.SQL().Exec(`CREATE TRIGGER refusing BEFORE INSERT ON sluice_spend_daily WHEN NEW.model_group = 'bad' BEGIN SELECT RAISE(ABORT, 'no'); END`)
	must(t, err)
	const bad = mostRefused + 3
	for n := range 60 {
		row := call(n)
		if n < bad {
			row.Group = "bad"
		}
		e, _ := d.Open(t.Context(), &Ask{Row: row, Limits: limits(1000), Want: 1, Least: 1})
		e.Settle(cost(row, 1))
	}
	for range 3 {
		if d.FlushAll(t.Context()) == nil {
			t.Fatal("no error")
		}
	}
	if sum, s := d.total(t, ledger.Scope{Kind: "global"}), d.State(); sum != 60-bad || s.Journal.Pending != bad || s.Unwell == nil {
		t.Errorf("%d %+v", sum, s)
	}
	_, err = d.db.SQL().Exec("DROP TRIGGER refusing")
	must(t, err)
	must(t, d.FlushAll(t.Context()))
	if sum := d.total(t, ledger.Scope{Kind: "global"}); sum != 60 || d.State().Unwell != nil {
		t.Error(sum)
	}
}

func TestReconcile(t *testing.T) {
	d := open(t, t.TempDir(), Options{})
	defer d.close()
	e, _ := d.Open(t.Context(), &Ask{Row: call(1), Limits: limits(100), Want: 5, Least: 5})
	e.Settle(cost(call(1), 5))
	live, _ := d.Open(t.Context(), &Ask{Row: call(2), Limits: limits(100), Want: 7, Least: 7})
	d.counters.Correct(key, time.Time{}, 50) // something went wrong
	if n := d.Reconcile(t.Context()); n != 0 {
		t.Error("put right at first sight")
	}
	if n := d.Reconcile(t.Context()); n != 1 || d.State().Repaired != 1 {
		t.Error("not put right")
	}
	if spent, _ := d.counters.Spent(key); spent != 5 {
		t.Error(spent)
	}
	live.Settle(cost(call(2), 7))
	if spent, _ := d.counters.Spent(key); spent != 12 {
		t.Error(spent)
	}
}

// A journal that takes nothing refuses calls; open, they go, and what they cost goes to the database from memory.
func TestFailMode(t *testing.T) {
	d := open(t, t.TempDir(), Options{})
	defer d.close()
	must(t, d.j.Close())
	if _, refusal := d.Open(t.Context(), &Ask{Row: call(1), Limits: limits(100), Want: 5, Least: 5}); refusal == nil || refusal.Journal == nil {
		t.Fatal("a call that cannot be written down was let through")
	}
	if h, _, _ := d.counters.Hold(t.Context(), limits(100), 100, 100); h == nil {
		t.Error("what the refused call held was not given back")
	} else {
		d.counters.Settle(h, nothing)
	}
	d.Use(budget.Calendar{}, true)
	e, refusal := d.Open(t.Context(), &Ask{Row: call(2), Limits: limits(100), Want: 5, Least: 5})
	if refusal != nil {
		t.Fatal(refusal)
	}
	e.Settle(cost(call(2), 5))
	_ = d.FlushAll(t.Context())
	if sum := d.total(t, ledger.Scope{Kind: "key", ID: "k"}); sum != 5 {
		t.Error(sum)
	}
}

// Any sequence of calls, flushes, crashes and outages: each call that was settled is in the ledger once, with its cost;
// each that was not is in it once, at what it held; and the budget is never overspent.
func TestAnySequence(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		d := open(t, dir, Options{Wait: -1})
		defer func() { d.close() }()
		const most = 1000
		type open1 struct {
			n    int
			e    *Entry
			held money.Amount
		}
		var live []open1
		want := map[string]money.Amount{}
		n := 0
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"open", "open", "settle", "settle", "cancel", "flush", "away", "crash", "reconcile"}).Draw(rt, "do") {
			case "open":
				n++
				amount := money.Amount(rapid.IntRange(0, 300).Draw(rt, "want"))
				e, refusal := d.Open(t.Context(), &Ask{Row: call(n), Limits: limits(most), Want: amount, Least: amount / 2})
				if refusal != nil && refusal.Exceeded == nil {
					rt.Fatalf("%+v", refusal)
				}
				if e != nil {
					live = append(live, open1{n, e, e.Amount(amount)})
				}
			case "settle":
				if len(live) > 0 {
					o := live[0]
					live = live[1:]
					a := money.Amount(rapid.IntRange(0, int(o.held)).Draw(rt, "cost"))
					o.e.Settle(cost(call(o.n), a))
					want[fmt.Sprint("call-", o.n)] = a
				}
			case "cancel":
				if len(live) > 0 {
					live[0].e.Settle(nil)
					live = live[1:]
				}
			case "flush":
				_ = d.FlushAll(t.Context())
			case "away":
				d.db.away.Store(!d.db.away.Load())
			case "reconcile":
				d.Reconcile(t.Context())
			case "crash":
				d.close() // the journal's Close writes nothing that a crash would not leave
				for _, o := range live {
					want[fmt.Sprint("call-", o.n)] = o.held
				}
				live = nil
				d = open(t, dir, Options{Wait: -1})
				must(t, d.FlushAll(t.Context()))
			}
		}
		d.db.away.Store(false)
		for _, o := range live {
			o.e.Settle(nil)
		}
		must(t, d.FlushAll(t.Context()))
		got, sum := map[string]money.Amount{}, money.Zero
		must(t, d.o.Ledger.Each(t.Context(), ledger.Filter{}, func(r *ledger.Row) { got[r.ID] = r.Spend; sum += r.Spend }))
		if fmt.Sprint(got) != fmt.Sprint(want) || sum > most {
			rt.Fatalf("in the ledger (%d):\n%v\nwant:\n%v", sum, got, want)
		}
		if spent, _ := d.counters.Spent(key); spent != sum && len(got) > 0 {
			if real, _ := d.Spent(t.Context(), key, time.Time{}); real != sum {
				rt.Fatalf("counted %d, in the ledger %d", spent, sum)
			}
		}
	})
}

// BenchmarkCall is a call's whole money: hold on four budgets, intent, settlement, and its part of a flush.
func BenchmarkCall(b *testing.B) {
	d := open(b, b.TempDir(), Options{})
	defer d.close()
	of := []budget.Limit{{Scope: key, Max: 1 << 60, Window: budget.Window{Months: 1}}, {Scope: budget.Scope{Kind: budget.Team, ID: "t"}, Max: 1 << 60},
		{Scope: budget.Scope{Kind: budget.User, ID: "u"}, Max: 1 << 60}, {Scope: budget.Scope{}, Max: 1 << 60}}
	d.db.away.Store(true) // the flusher's work is another benchmark's
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		r := call(n)
		e, refusal := d.Open(context.Background(), &Ask{Row: r, Limits: of, Want: 100, Least: 100})
		if refusal != nil {
			b.Fatal(refusal)
		}
		e.Settle(cost(r, 50))
	}
}

// BenchmarkWithoutBudgets is the same where nobody has a budget.
func BenchmarkWithoutBudgets(b *testing.B) {
	d := open(b, b.TempDir(), Options{})
	defer d.close()
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		r := call(n)
		e, refusal := d.Open(context.Background(), &Ask{Row: r, Want: 100})
		if refusal != nil {
			b.Fatal(refusal)
		}
		e.Settle(cost(r, 50))
	}
}
