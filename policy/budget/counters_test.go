package budget

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluicegw/sluice/internal/money"
)

var (
	key    = Scope{Key, "k"}
	team   = Scope{Team, "t"}
	global = Scope{}
)

func same(a money.Amount) func(Scope) money.Amount { return func(Scope) money.Amount { return a } }

func dollars(s Scope, max money.Amount) Limit { return Limit{Scope: s, Max: max} }

func TestAllOrNothing(t *testing.T) {
	c := NewCounters(Options{})
	limits := []Limit{dollars(key, 10), dollars(team, 5), dollars(global, None)}
	h, e, err := c.Hold(t.Context(), limits, 4, 4)
	if err != nil || e != nil || h.Amount != 4 {
		t.Fatal(h, e, err)
	}
	_, e, _ = c.Hold(t.Context(), limits, 4, 2)
	if e == nil || e.Limit.Scope != team || e.Held != 4 || !e.Busy {
		t.Fatalf("the team has room for 1, of 2: %+v", e)
	}
	small, e, _ := c.Hold(t.Context(), limits, 4, 1)
	if e != nil || small.Amount != 1 {
		t.Fatalf("what fits is 1: %+v", e)
	}
	c.Settle(small, same(0))
	select {
	case <-func() <-chan struct{} { _, e, _ := c.Hold(t.Context(), limits, 4, 2); return e.Changed }():
		t.Error("told of a change before one")
	default:
	}
	_, e, _ = c.Hold(t.Context(), limits, 4, 2)
	c.Settle(h, same(3))
	c.Settle(h, same(3)) // nothing
	<-e.Changed
	for scope, want := range map[Scope]money.Amount{key: 3, team: 3, global: 3} {
		if got, known := c.Spent(scope); got != want || !known {
			t.Errorf("%v has spent %d, want %d", scope, got, want)
		}
	}
	if _, e, _ = c.Hold(t.Context(), limits, 4, 3); e == nil || e.Busy {
		t.Errorf("room for 2, of 3, and nobody to wait for: %+v", e)
	}
	if h, _, _ := c.Hold(t.Context(), []Limit{dollars(team, 0)}, 0, 0); h == nil {
		t.Error("a call that costs nothing was refused")
	}
	if h, e, _ := c.Hold(t.Context(), []Limit{dollars(Scope{Tag, "a"}, 3), dollars(Scope{Tag, "a"}, 3)}, 2, 2); h == nil {
		t.Errorf("the same scope twice: %+v", e)
	} else {
		c.Settle(h, same(2))
	}
	if got, _ := c.Spent(Scope{Tag, "a"}); got != 2 {
		t.Errorf("counted %d, want once", got)
	}
}

func TestLoad(t *testing.T) {
	broken := true
	c := NewCounters(Options{Load: func(_ context.Context, s Scope, _ time.Time) (money.Amount, error) {
		if broken {
			return 0, errors.New("the database is down")
		}
		return 7, nil
	}})
	if _, _, err := c.Hold(t.Context(), []Limit{dollars(key, 10)}, 1, 1); err == nil {
		t.Fatal("what was spent is not known, and the call may go")
	}
	broken = false
	if _, e, err := c.Hold(t.Context(), []Limit{dollars(key, 10)}, 4, 4); e == nil || e.Spent != 7 || err != nil {
		t.Fatal(e, err)
	}
	c.Sweep(time.Now().Add(time.Hour))
	if _, known := c.Spent(key); known {
		t.Error("an idle counter was not swept")
	}
	if h, _, _ := c.Hold(t.Context(), []Limit{dollars(key, 10)}, 3, 3); h == nil {
		t.Error("a swept counter is loaded again")
	}
}

func TestEvents(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var got string
	c := NewCounters(Options{Now: func() time.Time { return now }, Event: func(e Event) { got += fmt.Sprintf("%s %s; ", e.Mark, e.Spent) }})
	limits := []Limit{{Scope: key, Max: 100 * money.Cent, Soft: 50 * money.Cent, Window: Window{Days: 1}}}
	for range 2 {
		for range 10 {
			h, e, err := c.Hold(t.Context(), limits, 10*money.Cent, 10*money.Cent)
			if e != nil || err != nil {
				t.Fatal(e, err)
			}
			c.Settle(h, same(10*money.Cent))
		}
		now = now.Add(24 * time.Hour)
	}
	const window = "soft_budget 0.5; threshold_80 0.8; budget_exceeded 1; "
	if got != window+window {
		t.Error(got)
	}
}

// A call counts in the window that it began in, and a clock that is set back does not bring money back.
func TestClock(t *testing.T) {
	now := time.Date(2026, 1, 1, 23, 59, 0, 0, time.UTC)
	loaded := 0
	c := NewCounters(Options{Now: func() time.Time { return now },
		Load: func(context.Context, Scope, time.Time) (money.Amount, error) { loaded++; return 1, nil }})
	limits := []Limit{{Scope: key, Max: 10, Window: Window{Days: 1}}}
	hold := func() *Hold {
		t.Helper()
		h, e, err := c.Hold(t.Context(), limits, 5, 5)
		if e != nil || err != nil {
			t.Fatal(e, err)
		}
		return h
	}
	before := hold()
	now = now.Add(2 * time.Minute) // midnight
	after := hold()
	c.Settle(before, same(5))
	if got, _ := c.Spent(key); got != 0 {
		t.Errorf("yesterday's call counts today: %d", got)
	}
	if ok, _ := c.Extend(t.Context(), after, 6); ok {
		t.Error("more than there is")
	}
	if ok, _ := c.Extend(t.Context(), after, 1); !ok || after.Amount != 6 {
		t.Error("there is room for 1 more")
	}
	c.Settle(after, same(6))
	now = now.Add(-3 * time.Minute) // back over midnight, a little
	if _, e, _ := c.Hold(t.Context(), limits, 5, 5); e == nil || e.Spent != 6 {
		t.Errorf("a clock set back a little begins another window: %+v", e)
	}
	now = now.AddDate(1, 0, 0)
	c.Settle(hold(), same(9))
	now = now.AddDate(-1, 0, 0) // back by a year: the ledger is asked
	hold()
	if got, _ := c.Spent(key); got != 1 || loaded != 2 {
		t.Errorf("spent %d, loaded %d times", got, loaded)
	}
}

// Any sequence of holds, settlements, cancels, window changes and corrections: nobody overspends, and nothing
// stays held.
func TestInvariants(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		ledger := map[Scope]map[time.Time]money.Amount{}
		c := NewCounters(Options{Now: func() time.Time { return now },
			Load: func(_ context.Context, s Scope, since time.Time) (sum money.Amount, _ error) {
				for at, a := range ledger[s] {
					if !at.Before(since) {
						sum += a
					}
				}
				return sum, nil
			}})
		limits := []Limit{
			{Scope: global, Max: 300, Window: Window{Days: 1}}, {Scope: team, Max: 200}, {Scope: key, Max: 100, Window: Window{Span: 6 * time.Hour}},
		}
		type call struct {
			*Hold
			began time.Time
		}
		var live []call
		check := func() {
			c.All(func(s State) {
				for _, l := range limits {
					if l.Scope == s.Scope && (s.Spent+s.Held > l.Max || s.Held < 0 || s.Spent < 0) {
						rt.Fatalf("%v: spent %d and held %d of %d", s.Scope, s.Spent, s.Held, l.Max)
					}
				}
			})
		}
		finish := func(i int, cost money.Amount) {
			h := live[i]
			live = append(live[:i], live[i+1:]...)
			c.Settle(h.Hold, same(cost))
			for _, p := range h.parts {
				if ledger[p.limit.Scope] == nil {
					ledger[p.limit.Scope] = map[time.Time]money.Amount{}
				}
				ledger[p.limit.Scope][h.began] += cost
			}
		}
		for range rapid.IntRange(1, 80).Draw(rt, "steps") {
			now = now.Add(time.Second)
			switch rapid.SampledFrom([]string{"hold", "hold", "hold", "settle", "settle", "cancel", "extend", "later", "sweep", "crash"}).Draw(rt, "do") {
			case "hold":
				from := rapid.IntRange(0, 2).Draw(rt, "from")
				want := money.Amount(rapid.IntRange(0, 60).Draw(rt, "want"))
				h, e, _ := c.Hold(t.Context(), limits[from:], want, want/2)
				if (h == nil) == (e == nil) || h != nil && (h.Amount > want || h.Amount < want/2) {
					rt.Fatalf("%+v %+v", h, e)
				}
				if h != nil {
					live = append(live, call{h, now})
				}
			case "settle":
				if len(live) > 0 {
					i := rapid.IntRange(0, len(live)-1).Draw(rt, "call")
					finish(i, money.Amount(rapid.IntRange(0, int(live[i].Amount)).Draw(rt, "cost")))
				}
			case "cancel":
				if len(live) > 0 {
					finish(0, 0)
				}
			case "extend":
				if len(live) > 0 {
					_, _ = c.Extend(t.Context(), live[0].Hold, money.Amount(rapid.IntRange(0, 20).Draw(rt, "more")))
				}
			case "later":
				now = now.Add(time.Duration(rapid.IntRange(0, 30).Draw(rt, "hours")) * time.Hour)
			case "sweep":
				c.Sweep(now)
			case "crash": // what was under way is settled at what it held, as the journal has it
				for len(live) > 0 {
					finish(0, live[0].Amount)
				}
				c = NewCounters(c.o)
			}
			check()
		}
		for len(live) > 0 {
			finish(0, 0)
		}
		c.All(func(s State) {
			if s.Held != 0 {
				rt.Fatalf("%v: %d stays held", s.Scope, s.Held)
			}
		})
	})
}

func TestManyAtOnce(t *testing.T) {
	c := NewCounters(Options{})
	limits := []Limit{dollars(global, None), dollars(key, 1000), dollars(team, 900)}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 200 {
				h, e, _ := c.Hold(context.Background(), limits, 3, 3)
				if e == nil {
					c.Settle(h, same(2))
				}
			}
		})
	}
	wg.Wait()
	if got, _ := c.Spent(team); got > 900 || got < 896 {
		t.Errorf("spent %d of 900", got)
	}
}

func BenchmarkHoldSettle(b *testing.B) {
	c := NewCounters(Options{})
	limits := []Limit{dollars(global, 1<<60), dollars(team, 1<<60), dollars(Scope{User, "u"}, 1<<60), {Scope: key, Max: 1 << 60, Window: Window{Months: 1}}}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			h, _, _ := c.Hold(context.Background(), limits, 3, 3)
			c.Settle(h, same(2))
		}
	})
}

// However many ids clients make up, those that nobody has used for a moment are forgotten.
func TestACrowdIsForgotten(t *testing.T) {
	now := time.Now()
	c := NewCounters(Options{Now: func() time.Time { return now }})
	for n := range crowd + 10 {
		h, _, err := c.Hold(t.Context(), []Limit{{Scope: Scope{Customer, strconv.Itoa(n)}, Max: money.Cent}}, 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		c.Settle(h, func(Scope) money.Amount { return 0 })
	}
	left := func() (n int) { c.All(func(State) { n++ }); return n }
	c.Sweep(now.Add(-time.Hour))
	if n := left(); n != crowd+10 {
		t.Errorf("%d of those in use are left", n)
	}
	now = now.Add(2 * aMoment)
	c.Sweep(now.Add(-time.Hour))
	if n := left(); n != 0 {
		t.Errorf("%d are left", n)
	}
}

// While what was spent cannot be read, calls go on that no budget bounds.
func TestUnboundedWithoutTheLedger(t *testing.T) {
	away := errors.New("away")
	c := NewCounters(Options{Load: func(context.Context, Scope, time.Time) (money.Amount, error) { return 5, away }})
	free, bounded := Limit{Scope: Scope{Key, "free"}, Max: None}, Limit{Scope: Scope{Team, "t"}, Max: money.Dollar}
	h, exceeded, err := c.Hold(t.Context(), []Limit{free}, 1, 1)
	if err != nil || exceeded != nil || h.Amount != 1 {
		t.Fatalf("%+v %v %v", h, exceeded, err)
	}
	c.Settle(h, func(Scope) money.Amount { return 1 })
	if _, known := c.Spent(free.Scope); known {
		t.Error("what nobody could read is known")
	}
	if _, _, err := c.Hold(t.Context(), []Limit{free, bounded}, 1, 1); !errors.Is(err, away) {
		t.Errorf("a budget that cannot be read is open: %v", err)
	}
	away = nil
	h, _, err = c.Hold(t.Context(), []Limit{free}, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	c.Settle(h, func(Scope) money.Amount { return 1 })
	if spent, known := c.Spent(free.Scope); !known || spent != 6 {
		t.Errorf("%v are spent", spent)
	}
}
