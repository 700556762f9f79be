// Package ratelimittest holds the tests that every ratelimit.Limiter passes, whatever keeps its counters. It leaves
// alone how an implementation does so, and what happens when its store is gone.
package ratelimittest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegw/sluice/policy/ratelimit"
)

// Clock is a time that only the test moves. It is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock begins in the middle of a second, a minute and a day.
func NewClock() *Clock { return &Clock{now: time.Unix(1_700_000_123, 456_000_000)} }

// Now is the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock on.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Run runs the tests. make makes an empty limiter that goes by clock; it is called for each test.
func Run(t *testing.T, make func(t *testing.T, clock func() time.Time) ratelimit.Limiter) {
	for _, c := range []struct {
		name string
		test func(*fixture)
	}{
		{"requests", requests}, {"no minute holds more", noMinuteHoldsMore}, {"retry-after is true", retryAfter},
		{"all or none", allOrNone}, {"tokens", tokens}, {"estimate above the limit", bigEstimate},
		{"a long call's tokens", longCall}, {"parallel", parallel}, {"ends once", endsOnce}, {"cancel", cancel}, {"split", split},
		{"force", force}, {"standings", standings}, {"scopes are apart", apart}, {"two windows", twoWindows},
		{"same counter twice", twice}, {"nothing allowed", zero}, {"peek takes nothing", peek},
		{"which limit", which}, {"bounds", bounds}, {"concurrently", concurrently},
	} {
		t.Run(c.name, func(t *testing.T) {
			clock := NewClock()
			c.test(&fixture{T: t, clock: clock, limiter: make(t, clock.Now)})
		})
	}
}

type fixture struct {
	*testing.T
	clock   *Clock
	limiter ratelimit.Limiter
}

var (
	ctx  = context.Background()
	key  = ratelimit.Scope{Kind: ratelimit.Key, ID: "k1"}
	team = ratelimit.Scope{Kind: ratelimit.Team, ID: "t1"}
)

func limit(s ratelimit.Scope, u ratelimit.Unit, n int64) ratelimit.Limit {
	return ratelimit.Limit{Scope: s, Unit: u, Max: n}
}

// ask reserves and fails the test on an error.
func (f *fixture) ask(tokens int64, limits ...ratelimit.Limit) (*ratelimit.Reservation, ratelimit.Decision) {
	f.Helper()
	r, d, err := f.limiter.Reserve(ctx, ratelimit.Request{Limits: limits, Tokens: tokens})
	if err != nil {
		f.Fatal(err)
	}
	if (r != nil) != (d.Allowed && len(limits) > 0) {
		f.Fatalf("a reservation: %v, allowed: %v", r != nil, d.Allowed)
	}
	return r, d
}

func (f *fixture) allowed(tokens int64, limits ...ratelimit.Limit) *ratelimit.Reservation {
	f.Helper()
	r, d := f.ask(tokens, limits...)
	if !d.Allowed {
		f.Fatalf("refused: %+v", d)
	}
	return r
}

func (f *fixture) refused(tokens int64, limits ...ratelimit.Limit) ratelimit.Decision {
	f.Helper()
	_, d := f.ask(tokens, limits...)
	if d.Allowed {
		f.Fatalf("allowed: %+v", d)
	}
	return d
}

func (f *fixture) settle(r *ratelimit.Reservation, tokens int64) {
	f.Helper()
	if err := f.limiter.Settle(ctx, r, tokens); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) cancel(r *ratelimit.Reservation) {
	f.Helper()
	if err := f.limiter.Cancel(ctx, r); err != nil {
		f.Fatal(err)
	}
}

func requests(f *fixture) {
	l := limit(key, ratelimit.Requests, 3)
	for i := range 3 {
		_, d := f.ask(0, l)
		if !d.Allowed || d.Remaining != int64(2-i) || d.Limit != 3 || d.Unit != ratelimit.Requests || d.Scope != key {
			f.Errorf("call %d: %+v", i, d)
		}
	}
	d := f.refused(0, l)
	if d.Remaining != 0 || d.Limit != 3 || d.RetryAfter < 59*time.Second || d.RetryAfter > 62*time.Second {
		f.Errorf("%+v", d)
	}
}

// noMinuteHoldsMore drives a limiter with bursts and looks at every minute that there was.
func noMinuteHoldsMore(f *fixture) {
	const most = 20
	l := limit(key, ratelimit.Requests, most)
	var passed []time.Time
	for i := range 400 { // gaps from nothing to 40 s
		f.clock.Advance(time.Duration(i*i%41) * 997 * time.Millisecond / 10 * time.Duration(i%11))
		for range 7 {
			r, d := f.ask(0, l)
			if d.Allowed {
				passed = append(passed, f.clock.Now())
				f.settle(r, 0)
			}
		}
	}
	from := 0
	for to := range passed {
		for passed[to].Sub(passed[from]) >= time.Minute {
			from++
		}
		if n := to - from + 1; n > most {
			f.Fatalf("%d calls within the minute before %v", n, passed[to])
		}
	}
	if len(passed) < 10*most {
		f.Errorf("only %d calls passed", len(passed))
	}
}

func retryAfter(f *fixture) {
	l := limit(key, ratelimit.Requests, 4)
	for range 4 {
		f.allowed(0, l)
		f.clock.Advance(7 * time.Second)
	}
	for range 4 {
		wait := f.refused(0, l).RetryAfter
		if wait <= 0 || wait > 62*time.Second {
			f.Fatalf("wait of %v", wait)
		}
		f.clock.Advance(wait - 20*time.Millisecond)
		f.refused(0, l)
		f.clock.Advance(20 * time.Millisecond)
		f.allowed(0, l)
	}
}

func allOrNone(f *fixture) {
	wide, narrow := limit(team, ratelimit.Requests, 10), limit(key, ratelimit.Requests, 2)
	slot := limit(team, ratelimit.Parallel, 100)
	for range 2 {
		f.allowed(5, wide, slot, narrow)
	}
	for range 30 {
		if d := f.refused(5, wide, slot, narrow); d.Scope != key {
			f.Fatalf("refused by %v", d.Scope)
		}
	}
	_, d := f.ask(5, wide)
	if !d.Allowed || d.Remaining != 7 {
		f.Errorf("what was refused was counted elsewhere: %+v", d)
	}
	if _, d = f.ask(0, slot); d.Remaining != 97 {
		f.Errorf("what was refused is held elsewhere: %+v", d)
	}
}

func tokens(f *fixture) {
	l := limit(key, ratelimit.Tokens, 1000)
	r := f.allowed(800, l)
	if d := f.refused(300, l); d.Remaining != 200 || d.Unit != ratelimit.Tokens {
		f.Errorf("%+v", d)
	}
	f.settle(r, 100) // less than thought
	r = f.allowed(800, l)
	f.settle(r, 950) // more than thought: 1050 of 1000
	if d := f.refused(1, l); d.Remaining != 0 {
		f.Errorf("%+v", d)
	}
	f.clock.Advance(62 * time.Second)
	f.allowed(1000, l)
}

func bigEstimate(f *fixture) {
	l := limit(key, ratelimit.Tokens, 100)
	f.settle(f.allowed(10, l), 10)
	f.refused(5000, l)
	f.clock.Advance(62 * time.Second)
	f.settle(f.allowed(5000, l), 20)
	f.allowed(80, l)
	f.refused(1, l)
}

func longCall(f *fixture) {
	l := limit(key, ratelimit.Tokens, 100)
	r := f.allowed(10, l)
	f.clock.Advance(10 * time.Minute)
	other := limit(team, ratelimit.Tokens, 100)
	for range 20 { // others come and go meanwhile
		f.settle(f.allowed(0, other), 0)
	}
	f.settle(r, 95)
	f.refused(20, l)
	f.clock.Advance(62 * time.Second)
	r = f.allowed(100, l)
	f.clock.Advance(10 * time.Minute)
	f.settle(r, 5) // nothing is left to give back, and nothing goes below zero
	f.allowed(100, l)
	f.refused(1, l)
}

func parallel(f *fixture) {
	l := limit(key, ratelimit.Parallel, 2)
	a, b := f.allowed(0, l), f.allowed(0, l)
	f.clock.Advance(30 * time.Minute) // long calls keep their place
	if d := f.refused(0, l); d.Unit != ratelimit.Parallel || d.RetryAfter <= 0 || d.RetryAfter > 2*time.Second {
		f.Errorf("%+v", d)
	}
	f.settle(a, 0)
	c := f.allowed(0, l)
	f.refused(0, l)
	f.cancel(b)
	f.settle(c, 0)
	f.allowed(0, l)
	f.allowed(0, l)
	f.refused(0, l)
}

func endsOnce(f *fixture) {
	p, n := limit(key, ratelimit.Parallel, 2), limit(key, ratelimit.Tokens, 100)
	a := f.allowed(50, p, n)
	f.allowed(50, p, n)
	f.settle(a, 50)
	f.settle(a, 0)
	f.cancel(a)
	f.allowed(0, p)
	f.refused(0, p)
	f.refused(1, n)
	f.settle(nil, 5)
	f.cancel(nil)
}

func cancel(f *fixture) {
	ls := []ratelimit.Limit{limit(key, ratelimit.Requests, 1), limit(key, ratelimit.Tokens, 10), limit(team, ratelimit.Parallel, 1)}
	for range 5 {
		f.cancel(f.allowed(10, ls...))
	}
	f.settle(f.allowed(10, ls...), 10)
	f.refused(10, ls...)
}

func split(f *fixture) {
	a, b := limit(key, ratelimit.Parallel, 1), limit(team, ratelimit.Parallel, 1)
	first, others := f.allowed(0, a, b).Split(1)
	f.settle(others, 0)
	f.allowed(0, b)
	f.refused(0, a)
	f.settle(first, 0)
	f.allowed(0, a)
	if first, others = f.allowed(0, limit(key, ratelimit.Requests, 5)).Split(1); first == nil || others != nil {
		f.Errorf("%v, %v", first, others)
	}
}

func force(f *fixture) {
	ls := []ratelimit.Limit{limit(key, ratelimit.Requests, 1), limit(key, ratelimit.Parallel, 1)}
	a := f.allowed(0, ls...)
	b, d, err := f.limiter.Reserve(ctx, ratelimit.Request{Limits: ls, Force: true})
	if err != nil || !d.Allowed || b == nil || d.Remaining != 0 {
		f.Fatalf("%+v, %v", d, err)
	}
	f.settle(a, 0)
	f.refused(0, ls[1])
	f.settle(b, 0)
	f.allowed(0, ls[1])
	f.clock.Advance(62 * time.Second)
	f.allowed(0, ls[0])
}

func standings(f *fixture) {
	ls := []ratelimit.Limit{limit(key, ratelimit.Requests, 5), limit(team, ratelimit.Tokens, 100), limit(team, ratelimit.Parallel, 3)}
	st := make([]ratelimit.Standing, len(ls))
	now := f.clock.Now()
	if _, _, err := f.limiter.Reserve(ctx, ratelimit.Request{Limits: ls, Tokens: 30, Standings: st}); err != nil {
		f.Fatal(err)
	}
	if st[0].Remaining != 4 || st[1].Remaining != 70 || st[2].Remaining != 2 {
		f.Errorf("%+v", st)
	}
	if in := st[0].ResetAt.Sub(now); in < time.Minute || in > 62*time.Second {
		f.Errorf("reset in %v", in)
	}
	f.clock.Advance(20 * time.Second)
	if _, err := f.limiter.Peek(ctx, ratelimit.Request{Limits: ls, Tokens: 99, Standings: st}); err != nil {
		f.Fatal(err)
	}
	if st[0].Remaining != 4 || st[1].Remaining != 70 || st[2].Remaining != 2 {
		f.Errorf("after a look: %+v", st)
	}
	if in := st[1].ResetAt.Sub(now); in < time.Minute || in > 62*time.Second {
		f.Errorf("reset in %v", in)
	}
}

func apart(f *fixture) {
	scopes := []ratelimit.Scope{
		key, {Kind: ratelimit.Key, ID: "k2"}, {Kind: ratelimit.User, ID: "k1"}, {Kind: ratelimit.Key, ID: "k1", Model: "m"},
		{Kind: ratelimit.Key, ID: "k1:m"}, {Kind: ratelimit.Key, ID: "k1", Model: "m:n"}, {Kind: ratelimit.Global},
	}
	for _, s := range scopes {
		f.allowed(0, limit(s, ratelimit.Requests, 1))
		f.allowed(1, limit(s, ratelimit.Tokens, 1))
	}
	for _, s := range scopes {
		f.refused(0, limit(s, ratelimit.Requests, 1))
	}
}

func twoWindows(f *fixture) {
	minute, day := limit(key, ratelimit.Requests, 2), limit(key, ratelimit.Requests, 3)
	day.Window = 24 * time.Hour
	f.allowed(0, minute, day)
	f.allowed(0, minute, day)
	if d := f.refused(0, minute, day); d.RetryAfter > 62*time.Second {
		f.Errorf("%+v", d)
	}
	f.clock.Advance(62 * time.Second)
	f.allowed(0, minute, day)
	if d := f.refused(0, minute, day); d.RetryAfter < 23*time.Hour || d.Limit != 3 {
		f.Errorf("%+v", d)
	}
}

func twice(f *fixture) {
	// One counter under two limits, the smaller of which holds.
	a, b := limit(key, ratelimit.Requests, 4), limit(key, ratelimit.Requests, 2)
	f.settle(f.allowed(0, a, b), 0)
	f.settle(f.allowed(0, a, b), 0)
	if d := f.refused(0, a, b); d.Limit != 2 {
		f.Errorf("%+v", d)
	}
	f.allowed(0, a)
	f.allowed(0, a)
	f.refused(0, a)
}

func zero(f *fixture) {
	for _, u := range []ratelimit.Unit{ratelimit.Requests, ratelimit.Tokens, ratelimit.Parallel} {
		if d := f.refused(1, limit(key, u, 0)); d.RetryAfter != 0 || d.Limit != 0 {
			f.Errorf("%v: %+v", u, d)
		}
	}
	if d := f.refused(1, limit(team, ratelimit.Requests, 0), limit(key, ratelimit.Parallel, 0)); d.RetryAfter != 0 {
		f.Errorf("waiting is said to help: %+v", d)
	}
}

func peek(f *fixture) {
	l := limit(key, ratelimit.Requests, 1)
	for range 3 {
		if d, err := f.limiter.Peek(ctx, ratelimit.Request{Limits: []ratelimit.Limit{l}}); err != nil || !d.Allowed {
			f.Fatalf("%+v, %v", d, err)
		}
	}
	f.allowed(0, l)
	if d, err := f.limiter.Peek(ctx, ratelimit.Request{Limits: []ratelimit.Limit{l}}); err != nil || d.Allowed || d.RetryAfter <= 0 {
		f.Fatalf("%+v, %v", d, err)
	}
}

func which(f *fixture) {
	// Of two in the way, the one that is longer so; of none, the one with least left.
	soon, late := limit(key, ratelimit.Requests, 1), limit(team, ratelimit.Requests, 1)
	f.allowed(0, soon)
	f.clock.Advance(30 * time.Second)
	f.allowed(0, late)
	if d := f.refused(0, soon, late); d.Scope != team {
		f.Errorf("%+v", d)
	}
	if d := f.refused(0, late, soon); d.Scope != team {
		f.Errorf("%+v", d)
	}
	f.clock.Advance(2 * time.Minute)
	_, d := f.ask(60, limit(key, ratelimit.Requests, 10), limit(team, ratelimit.Tokens, 100))
	if d.Unit != ratelimit.Tokens || d.Remaining != 40 {
		f.Errorf("%+v", d)
	}
}

func bounds(f *fixture) {
	many := make([]ratelimit.Limit, ratelimit.MaxLimits+1)
	for i := range many {
		many[i] = limit(ratelimit.Scope{Kind: ratelimit.Tag, ID: string(rune('a' + i))}, ratelimit.Requests, 1)
	}
	if _, _, err := f.limiter.Reserve(ctx, ratelimit.Request{Limits: many}); err == nil {
		f.Error("65 limits were taken")
	}
	f.allowed(0, many[:ratelimit.MaxLimits]...)
	if r, d := f.ask(7); r != nil || !d.Allowed {
		f.Errorf("no limits: %v, %+v", r, d)
	}
	huge := limit(key, ratelimit.Tokens, 1<<40)
	f.settle(f.allowed(1<<30, huge), 1<<31)
	f.allowed(-5, limit(team, ratelimit.Tokens, 1))
	f.allowed(1, limit(team, ratelimit.Tokens, 1))
}

func concurrently(f *fixture) {
	const most = 50
	a, b := limit(key, ratelimit.Requests, most), limit(team, ratelimit.Parallel, 4)
	var passed, inside, tooMany atomic.Int64
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for range 100 {
				limits := []ratelimit.Limit{a, b}
				if w%2 == 0 {
					limits[0], limits[1] = b, a
				}
				r, d, err := f.limiter.Reserve(ctx, ratelimit.Request{Limits: limits})
				if err != nil {
					f.Error(err)
					return
				}
				if !d.Allowed {
					continue
				}
				passed.Add(1)
				if inside.Add(1) > 4 {
					tooMany.Add(1)
				}
				inside.Add(-1)
				if err := f.limiter.Settle(ctx, r, 0); err != nil {
					f.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for range most { // whatever was refused for want of a place
		if r, d := f.ask(0, a, b); d.Allowed {
			passed.Add(1)
			f.settle(r, 0)
		}
	}
	if passed.Load() != most || tooMany.Load() > 0 {
		f.Errorf("%d passed of %d; %d times more than 4 at once", passed.Load(), most, tooMany.Load())
	}
}
