package budget_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sluicegw/sluice/internal/money"
	"github.com/sluicegw/sluice/internal/testtools"
	"github.com/sluicegw/sluice/policy/budget"
)

// database is what processes have brought to their common database.
type database struct {
	mu  sync.Mutex
	sum map[budget.Scope]money.Amount
}

func (d *database) add(s budget.Scope, n money.Amount) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sum == nil {
		d.sum = map[budget.Scope]money.Amount{}
	}
	d.sum[s] += n
}

func (d *database) load(_ context.Context, s budget.Scope, _ time.Time) (money.Amount, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sum[s], nil
}

// patience is more than any machine needs.
const patience = 20 * time.Second

type sharedFixture struct {
	*testing.T
	server *testtools.Server
	client *redis.Client
	db     database
}

func newShared(t *testing.T) *sharedFixture {
	t.Helper()
	f := &sharedFixture{T: t, server: testtools.Valkey(t)}
	o, err := redis.ParseURL(f.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	o.ContextTimeoutEnabled, o.MaxRetries = true, -1
	f.client = redis.NewClient(o)
	t.Cleanup(func() { _ = f.client.Close() })
	return f
}

func (f *sharedFixture) process(id string, more ...func(*budget.SharedOptions)) *budget.Shared {
	o := budget.SharedOptions{Options: budget.Options{Load: f.db.load}, Client: f.client, ID: id, Database: f.db.load, Trust: time.Millisecond, Patience: patience}
	for _, m := range more {
		m(&o)
	}
	s := budget.NewShared(o)
	s.Beat(f.Context())
	return s
}

var theKey = budget.Scope{Kind: budget.Key, ID: "k"}

func dollar() []budget.Limit { return []budget.Limit{{Scope: theKey, Max: money.Dollar}} }

// hold holds a cent, waiting for others' calls, and fails the test on an error.
func (f *sharedFixture) hold(s *budget.Shared) *budget.Hold {
	f.Helper()
	for {
		h, exceeded, err := s.Hold(f.Context(), dollar(), money.Cent, money.Cent)
		switch {
		case err != nil:
			f.Fatal(err)
		case exceeded != nil && exceeded.Busy:
			<-exceeded.Changed
			continue
		}
		return h
	}
}

func costs(n money.Amount) func(budget.Scope) money.Amount {
	return func(budget.Scope) money.Amount { return n }
}

// TestSharedDollar: three processes spend a dollar, and not a cent more or less.
func TestSharedDollar(t *testing.T) {
	f := newShared(t)
	var spent atomic.Int64
	var all sync.WaitGroup
	for i := range 3 {
		s := f.process(fmt.Sprint("p", i))
		for range 20 {
			all.Go(func() {
				for range 5 {
					if h := f.hold(s); h != nil {
						s.Settle(h, costs(h.Amount))
						spent.Add(int64(h.Amount))
					}
				}
			})
		}
	}
	all.Wait()
	if got := money.Amount(spent.Load()); got != money.Dollar {
		t.Errorf("$%s were spent", got)
	}
}

// TestSharedLosesItsData: a server that comes back empty is told what is held, what was settled and what the
// database has.
func TestSharedLosesItsData(t *testing.T) {
	f := newShared(t)
	a, b := f.process("a"), f.process("b")
	held := f.hold(a)
	for range 30 {
		a.Settle(f.hold(a), costs(money.Cent))
	}
	f.db.add(theKey, 10*money.Cent) // ten of a's thirty
	a.Flushed([]budget.Cost{{Scope: theKey, Began: time.Now(), Amount: 10 * money.Cent}})
	if err := f.client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	a.Beat(t.Context())
	b.Beat(t.Context())
	n := 0
	for {
		h, exceeded, err := b.Hold(t.Context(), dollar(), money.Cent, money.Cent)
		if err != nil {
			t.Fatal(err)
		}
		if exceeded != nil {
			if !exceeded.Busy || exceeded.Held != money.Cent || exceeded.Spent != 99*money.Cent {
				t.Errorf("%+v", exceeded)
			}
			break
		}
		b.Settle(h, costs(money.Cent))
		n++
	}
	if n != 69 {
		t.Errorf("%d cents were left of a dollar with 30 spent and one held", n)
	}
	a.Settle(held, costs(0))
	if h := f.hold(b); h == nil {
		t.Error("what was given back is not there")
	}
}

// TestSharedIsNotTrustedAtOnce: a server that has just lost its data is not asked before others could tell it theirs.
func TestSharedIsNotTrustedAtOnce(t *testing.T) {
	f := newShared(t)
	trust := func(o *budget.SharedOptions) { o.Trust = 300 * time.Millisecond }
	began := time.Now()
	s := f.process("a", trust)
	f.hold(s)
	if waited := time.Since(began); waited < 250*time.Millisecond {
		t.Errorf("asked after %v", waited)
	}
}

// TestSharedAfterACrash: what a killed process held is there again once it is back, and its settled costs count.
func TestSharedAfterACrash(t *testing.T) {
	f := newShared(t)
	crashed, other := f.process("a"), f.process("b")
	for range 50 {
		crashed.Settle(f.hold(crashed), costs(money.Cent))
	}
	for range 50 {
		f.hold(crashed) // nobody ends these
	}
	if _, exceeded, err := other.Hold(t.Context(), dollar(), money.Cent, money.Cent); err != nil || exceeded == nil {
		t.Fatalf("%+v, %v", exceeded, err)
	}
	f.db.add(theKey, 50*money.Cent+20*money.Cent) // its journal: what was settled, and orphans at less than they held
	again := f.process("a")
	if err := again.Rejoin(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; n < 100; n++ {
		if h, exceeded, err := other.Hold(t.Context(), dollar(), money.Cent, money.Cent); err != nil || exceeded != nil {
			break
		} else {
			other.Settle(h, costs(money.Cent))
		}
	}
	if n != 30 {
		t.Errorf("%d cents were left of 30", n)
	}
}

// TestSharedOutOfReach: holds fail at once, calls under way end, and what they did cost counts later.
func TestSharedOutOfReach(t *testing.T) {
	f := newShared(t)
	var told []bool
	s := f.process("a", func(o *budget.SharedOptions) {
		o.Trouble, o.Patience = func(err error) { told = append(told, err != nil) }, time.Second
	})
	held := f.hold(s)
	f.server.Pause()
	for range 3 { // one late answer is a busy machine
		if _, _, err := s.Hold(t.Context(), dollar(), money.Cent, money.Cent); !errors.Is(err, budget.ErrUnreachable) {
			t.Fatal(err)
		}
	}
	if s.Reachable() {
		t.Error("the server is said to answer")
	}
	s.Settle(held, costs(60*money.Cent))
	f.server.Resume()
	for i := 0; !s.Reachable(); i++ {
		if s.Beat(t.Context()); i > 100 {
			t.Fatal("it is not found again")
		}
	}
	h, exceeded, err := s.Hold(t.Context(), dollar(), money.Dollar, money.Cent)
	if err != nil || exceeded != nil || h.Amount != 40*money.Cent {
		t.Errorf("%+v, %+v, %v: 40 cents are left", h, exceeded, err)
	}
	if fmt.Sprint(told) != "[true false]" {
		t.Errorf("told %v", told)
	}
}

// TestSharedWindow: a budget begins anew, and calls that began before do not count in it.
func TestSharedWindow(t *testing.T) {
	f := newShared(t)
	now := time.Date(2026, 11, 25, 23, 50, 0, 0, time.UTC)
	s := f.process("a", func(o *budget.SharedOptions) { o.Now = func() time.Time { return now } })
	daily := []budget.Limit{{Scope: theKey, Max: money.Dollar, Window: budget.Window{Days: 1}}}
	late, _, err := s.Hold(t.Context(), daily, money.Dollar, money.Dollar)
	if err != nil || late == nil {
		t.Fatal(late, err)
	}
	now = now.Add(time.Hour)
	next, exceeded, err := s.Hold(t.Context(), daily, money.Dollar, money.Dollar)
	if err != nil || exceeded != nil {
		t.Fatalf("%+v, %v: a new day", exceeded, err)
	}
	s.Settle(late, costs(money.Dollar))
	s.Settle(next, costs(30*money.Cent))
	if h, exceeded, err := s.Hold(t.Context(), daily, money.Dollar, money.Cent); err != nil || exceeded != nil || h.Amount != 70*money.Cent {
		t.Errorf("%+v, %+v, %v: 70 cents are left of the new day", h, exceeded, err)
	}
}

// A call that is extended after its window has ended holds nothing in the next one.
func TestSharedExtendedIntoANewWindow(t *testing.T) {
	f := newShared(t)
	now := time.Date(2026, 11, 25, 23, 50, 0, 0, time.UTC)
	s := f.process("a", func(o *budget.SharedOptions) { o.Now = func() time.Time { return now } })
	daily := []budget.Limit{{Scope: theKey, Max: money.Dollar, Window: budget.Window{Days: 1}}}
	late, _, err := s.Hold(t.Context(), daily, 50*money.Cent, 50*money.Cent)
	if err != nil || late == nil {
		t.Fatal(late, err)
	}
	now = now.Add(time.Hour)
	next, _, err := s.Hold(t.Context(), daily, money.Cent, money.Cent)
	if err != nil || next == nil {
		t.Fatal(next, err)
	}
	if ok, err := s.Extend(t.Context(), late, 30*money.Cent); !ok || err != nil {
		t.Fatal(ok, err)
	}
	s.Settle(late, costs(80*money.Cent))
	s.Settle(next, costs(0))
	if h, exceeded, err := s.Hold(t.Context(), daily, money.Dollar, money.Dollar); err != nil || exceeded != nil {
		t.Errorf("%+v, %+v, %v: all of the new day is free", h, exceeded, err)
	}
}

// TestSharedMarks: each mark is told once, whichever process reaches it.
func TestSharedMarks(t *testing.T) {
	f := newShared(t)
	var mu sync.Mutex
	told := map[budget.Mark]int{}
	event := func(o *budget.SharedOptions) {
		o.Event = func(e budget.Event) { mu.Lock(); told[e.Mark]++; mu.Unlock() }
	}
	a, b := f.process("a", event), f.process("b", event)
	limits := []budget.Limit{{Scope: theKey, Max: money.Dollar, Soft: 50 * money.Cent}}
	for i := range 10 {
		s := []*budget.Shared{a, b}[i%2]
		h, _, err := s.Hold(t.Context(), limits, 10*money.Cent, 0)
		if err != nil || h == nil {
			t.Fatal(err)
		}
		s.Settle(h, costs(10*money.Cent))
	}
	if told[budget.SoftReached] != 1 || told[budget.NearlySpent] != 1 || told[budget.AllSpent] != 1 {
		t.Errorf("%v", told)
	}
}

// TestSharedReconcile: a counter that is off is put right, and one that is right is left.
func TestSharedReconcile(t *testing.T) {
	if testing.Short() {
		t.Skip("a difference has to last for some seconds")
	}
	f := newShared(t)
	s := f.process("a")
	for range 10 {
		s.Settle(f.hold(s), costs(money.Cent))
	}
	f.db.add(theKey, 4*money.Cent)
	s.Flushed([]budget.Cost{{Scope: theKey, Began: time.Now(), Amount: 4 * money.Cent}})
	if repairs, err := s.Reconcile(t.Context()); err != nil || len(repairs) != 0 {
		t.Errorf("%v, %v", repairs, err)
	}
	f.client.Del(t.Context(), "{sluice}:budget-reconciler")
	f.client.HIncrBy(t.Context(), "{sluice}:budget:key:k", "s", int64(7*money.Cent))
	repairs, err := s.Reconcile(t.Context())
	if err != nil || len(repairs) != 1 || repairs[0].Counter != 17*money.Cent || repairs[0].True != 10*money.Cent {
		t.Errorf("%v, %v", repairs, err)
	}
	if h, _, _ := s.Hold(t.Context(), dollar(), money.Dollar, money.Cent); h == nil || h.Amount != 90*money.Cent {
		t.Errorf("%+v: 90 cents are left", h)
	}
}

// TestSharedCountsOnly: a scope without a budget stays in the process.
func TestSharedCountsOnly(t *testing.T) {
	f := newShared(t)
	s := f.process("a")
	only := []budget.Limit{{Scope: theKey, Max: budget.None}}
	h, _, err := s.Hold(t.Context(), only, money.Cent, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.Settle(h, costs(money.Cent))
	if spent, known := s.Spent(theKey); !known || spent != money.Cent {
		t.Errorf("%s, %v", spent, known)
	}
	if n := f.client.Exists(t.Context(), "{sluice}:budget:key:k").Val(); n != 0 {
		t.Error("it is on the server")
	}
}

func BenchmarkSharedHoldSettle(b *testing.B) {
	server := testtools.Valkey(b)
	o, _ := redis.ParseURL(server.URL)
	o.ContextTimeoutEnabled = true
	client := redis.NewClient(o)
	defer func() { _ = client.Close() }()
	var db database
	s := budget.NewShared(budget.SharedOptions{Options: budget.Options{Load: db.load}, Client: client, ID: "a", Database: db.load, Trust: time.Nanosecond})
	s.Beat(b.Context())
	limits := []budget.Limit{
		{Scope: budget.Scope{Kind: budget.Global}, Max: money.Most}, {Scope: budget.Scope{Kind: budget.Team, ID: "t"}, Max: money.Most},
		{Scope: theKey, Max: money.Most},
	}
	for b.Loop() {
		h, _, err := s.Hold(b.Context(), limits, money.Cent, 0)
		if err != nil {
			b.Fatal(err)
		}
		s.Settle(h, costs(1))
	}
}
