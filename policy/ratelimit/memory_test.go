package ratelimit_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/sluicegw/sluice/policy/ratelimit"
	"github.com/sluicegw/sluice/policy/ratelimit/ratelimittest"
)

func TestMemory(t *testing.T) {
	ratelimittest.Run(t, func(_ *testing.T, clock func() time.Time) ratelimit.Limiter { return ratelimit.NewMemory(clock) })
}

func TestMemoryForgetsIdleScopes(t *testing.T) {
	clock := ratelimittest.NewClock()
	m := ratelimit.NewMemory(clock.Now)
	for i := range 100_000 {
		r, _, err := m.Reserve(context.Background(), ratelimit.Request{Limits: []ratelimit.Limit{
			{Scope: ratelimit.Scope{Kind: ratelimit.Customer, ID: fmt.Sprint(i)}, Unit: ratelimit.Requests, Max: 5}}})
		if err != nil || r == nil {
			t.Fatal(err)
		}
		clock.Advance(10 * time.Millisecond) // 6,000 a minute
	}
	if n := m.Holders(); n > 15_000 {
		t.Errorf("%d scopes are remembered", n)
	}
}

func TestScopeText(t *testing.T) {
	for s, want := range map[ratelimit.Scope]string{
		{Kind: ratelimit.Global}:                                "global:",
		{Kind: ratelimit.Key, ID: "ab"}:                         "key:ab",
		{Kind: ratelimit.Key, ID: "a:b{c}%", Model: "openai/*"}: "key:a%3Ab%7Bc%7D%25:openai/*",
		{Kind: ratelimit.Kind(99), ID: "x"}:                     "unknown:x",
	} {
		if got := s.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func limits(scopes int) []ratelimit.Limit {
	var ls []ratelimit.Limit
	for i := range scopes {
		s := ratelimit.Scope{Kind: ratelimit.Kind(i + 1), ID: "0123456789abcdef0123456789abcdef"}
		ls = append(ls,
			ratelimit.Limit{Scope: s, Unit: ratelimit.Requests, Max: 1 << 40},
			ratelimit.Limit{Scope: s, Unit: ratelimit.Tokens, Max: 1 << 40},
			ratelimit.Limit{Scope: s, Unit: ratelimit.Parallel, Max: 1 << 40})
	}
	return ls
}

func BenchmarkReserveSettle(b *testing.B) {
	for _, scopes := range []int{1, 4} {
		b.Run(fmt.Sprint(scopes, " scopes"), func(b *testing.B) {
			m, ls := ratelimit.NewMemory(nil), limits(scopes)
			ctx := context.Background()
			b.ReportAllocs()
			for b.Loop() {
				r, _, _ := m.Reserve(ctx, ratelimit.Request{Limits: ls, Tokens: 100})
				_ = m.Settle(ctx, r, 90)
			}
		})
	}
}

func BenchmarkPeek(b *testing.B) {
	m, ls := ratelimit.NewMemory(nil), limits(1)
	ctx := context.Background()
	_, _, _ = m.Reserve(ctx, ratelimit.Request{Limits: ls, Tokens: 100})
	b.ReportAllocs()
	for b.Loop() {
		_, _ = m.Peek(ctx, ratelimit.Request{Limits: ls, Tokens: 100})
	}
}
