package budget

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sluicegw/sluice/internal/money"
	"github.com/sluicegw/sluice/internal/testtools"
)

// books is a ledger for keepers: what was settled.
type books struct {
	mu    sync.Mutex
	spent map[Scope]money.Amount
}

func (b *books) load(_ context.Context, s Scope, _ time.Time) (money.Amount, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.spent[s], nil
}

func (b *books) add(limits []Limit, a money.Amount) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range limits {
		b.spent[l.Scope] += a
	}
}

func newShared(t *testing.T, server *testtools.Server, o Options) *Shared {
	t.Helper()
	parsed, err := redis.ParseURL(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	parsed.MaxRetries, parsed.ContextTimeoutEnabled = -1, true
	c := redis.NewClient(parsed)
	t.Cleanup(func() { _ = c.Close() })
	return NewShared(c, o)
}

// ready waits until holds are granted.
func ready(t *testing.T, all ...*Shared) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		ok := true
		for _, s := range all {
			s.saw(s.beat(t.Context()))
			h, _, err := s.Hold(t.Context(), []Limit{dollars(Scope{Tag, "ready"}, None)}, 0, 0)
			s.Settle(h, same(0))
			ok = ok && err == nil
		}
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("never ready")
		}
	}
}

func TestShared(t *testing.T) {
	if testing.Short() {
		t.Skip("a real Valkey")
	}
	server := testtools.Valkey(t)
	ledger := &books{spent: map[Scope]money.Amount{key: 100}}
	now := time.Now()
	var events []Mark
	o := Options{Load: ledger.load, Now: func() time.Time { return now }, Event: func(e Event) { events = append(events, e.Mark) }}
	a, b := newShared(t, server, o), newShared(t, server, o)
	ready(t, a, b)
	limits := []Limit{{Scope: key, Max: 1000, Soft: 300}, dollars(team, 5000), {Scope: global, Max: None}}

	h, e, err := a.Hold(t.Context(), limits, 600, 600)
	if h == nil {
		t.Fatal(e, err)
	}
	if _, e, _ = b.Hold(t.Context(), limits, 400, 400); e == nil || e.Spent != 100 || e.Held != 600 || !e.Busy || e.Limit.Scope != key {
		t.Fatalf("100 from the ledger and 600 held of 1000: %+v", e)
	}
	less, e, err := b.Hold(t.Context(), limits, 400, 10)
	if less == nil || less.Amount != 300 {
		t.Fatalf("what fits is 300: %+v %+v %v", less, e, err)
	}
	if ok, err := b.Extend(t.Context(), less, 1); ok || err != nil {
		t.Error("more than there is", err)
	}
	b.Settle(less, same(100))
	b.Settle(less, same(100))
	ledger.add(limits, 100)
	if ok, err := a.Extend(t.Context(), h, 100); !ok || err != nil || h.Amount != 700 {
		t.Error(ok, err)
	}
	a.Settle(h, same(650))
	ledger.add(limits, 650)
	if spent, _ := a.Spent(key); spent != 850 {
		t.Errorf("spent %d", spent)
	}
	if len(events) != 2 || events[0] != SoftReached || events[1] != NearlySpent {
		t.Errorf("events %v", events)
	}

	// The server loses its data while a call is under way.
	h, _, _ = a.Hold(t.Context(), limits, 50, 50)
	server.Kill()
	if _, _, err := a.Hold(t.Context(), limits, 1, 1); !errors.Is(err, ErrUnreachable) {
		t.Errorf("without a server: %v", err)
	}
	began := time.Now()
	if _, _, err := a.Hold(t.Context(), limits, 1, 1); !errors.Is(err, ErrUnreachable) || time.Since(began) > 50*time.Millisecond {
		t.Errorf("the next one took %s: %v", time.Since(began), err)
	}
	server.Restart()
	a.saw(a.beat(t.Context()))
	b.saw(b.beat(t.Context()))
	if _, _, err := b.Hold(t.Context(), limits, 1, 1); !errors.Is(err, ErrReopening) {
		t.Errorf("the data was lost, and a call got: %v", err)
	}
	ready(t, a, b)
	if _, e, err := b.Hold(t.Context(), limits, 101, 101); e == nil || e.Spent != 850 || e.Held != 50 {
		t.Errorf("850 spent and 50 held by the other process: %+v %v", e, err)
	}
	a.Settle(h, same(50))

	// A new window begins with nothing, and a call of the old one does not count in it.
	daily := []Limit{{Scope: Scope{User, "u"}, Max: 100, Window: Window{Days: 1}}}
	old, _, _ := a.Hold(t.Context(), daily, 100, 100)
	now = now.Add(24 * time.Hour)
	young, e, err := b.Hold(t.Context(), daily, 100, 100)
	if young == nil {
		t.Fatal(e, err)
	}
	a.Settle(old, same(100))
	b.Settle(young, same(40))
	if _, e, _ := a.Hold(t.Context(), daily, 100, 100); e == nil || e.Spent != 40 || e.Held != 0 {
		t.Errorf("%+v", e)
	}
	// What an administrator sets is known everywhere.
	ledger.mu.Lock()
	ledger.spent[key] = 0
	ledger.mu.Unlock()
	a.Forget(key)
	if h, e, err := b.Hold(t.Context(), limits, 1000, 1000); h == nil {
		t.Error(e, err)
	}
}

// Three processes at once never spend more than there is.
func TestSharedByMany(t *testing.T) {
	if testing.Short() {
		t.Skip("a real Valkey")
	}
	server := testtools.Valkey(t)
	var all []*Shared
	for range 3 {
		all = append(all, newShared(t, server, Options{}))
	}
	ready(t, all...)
	limits := []Limit{dollars(global, None), dollars(key, 1000), dollars(team, 900)}
	var wg sync.WaitGroup
	var total sync.Map
	for i := range 12 {
		wg.Go(func() {
			s, sum := all[i%3], money.Amount(0)
			for range 60 {
				h, e, err := s.Hold(context.Background(), limits, 3, 3)
				if err != nil {
					t.Error(err)
					return
				}
				if e == nil {
					s.Settle(h, same(2))
					sum += 2
				}
			}
			total.Store(i, sum)
		})
	}
	wg.Wait()
	sum := money.Amount(0)
	total.Range(func(_, v any) bool { sum += v.(money.Amount); return true })
	if sum > 900 || sum < 896 {
		t.Errorf("spent %d of 900", sum)
	}
}

func BenchmarkShared(b *testing.B) {
	server := testtools.Valkey(b)
	parsed, _ := redis.ParseURL(server.URL)
	c := redis.NewClient(parsed)
	defer func() { _ = c.Close() }()
	s := NewShared(c, Options{})
	for {
		_ = s.beat(context.Background())
		if _, _, err := s.Hold(context.Background(), []Limit{dollars(key, None)}, 0, 0); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	limits := []Limit{dollars(global, 1<<50), dollars(team, 1<<50), dollars(Scope{User, "u"}, 1<<50), dollars(key, 1<<50)}
	for b.Loop() {
		h, e, err := s.Hold(context.Background(), limits, 3, 3)
		if h == nil {
			b.Fatal(e, err)
		}
		s.Settle(h, same(2))
	}
}
