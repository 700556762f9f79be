package ratelimit_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sluicegw/sluice/internal/testtools"
	"github.com/sluicegw/sluice/policy/ratelimit"
	"github.com/sluicegw/sluice/policy/ratelimit/ratelimittest"
)

func valkey(t testing.TB) (*testtools.Server, *redis.Client) {
	t.Helper()
	s := testtools.Valkey(t)
	o, err := redis.ParseURL(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	o.ContextTimeoutEnabled, o.MaxRetries = true, -1
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return s, c
}

func TestRedis(t *testing.T) {
	_, c := valkey(t)
	ratelimittest.Run(t, func(t *testing.T, clock func() time.Time) ratelimit.Limiter {
		if err := c.FlushAll(context.Background()).Err(); err != nil {
			t.Fatal(err)
		}
		r := ratelimit.NewRedis(c, clock)
		if _, err := r.Beat(context.Background()); err != nil {
			t.Fatal(err)
		}
		return r
	})
}

var (
	background = context.Background()
	everyone   = ratelimit.Scope{Kind: ratelimit.Global}
)

func one(unit ratelimit.Unit, most int64) []ratelimit.Limit {
	return []ratelimit.Limit{{Scope: everyone, Unit: unit, Max: most}}
}

// TestRedisIsShared: what several processes let through together is what one would.
func TestRedisIsShared(t *testing.T) {
	_, c := valkey(t)
	var passed, refused atomic.Int64
	var all sync.WaitGroup
	for range 3 {
		l := ratelimit.NewRedis(c, nil)
		for range 8 {
			all.Go(func() {
				for range 20 {
					_, d, err := l.Reserve(background, ratelimit.Request{Limits: one(ratelimit.Requests, 100)})
					switch {
					case err != nil:
						t.Error(err)
					case d.Allowed:
						passed.Add(1)
					default:
						refused.Add(1)
					}
				}
			})
		}
	}
	all.Wait()
	if passed.Load() != 100 || refused.Load() != 380 {
		t.Errorf("%d passed, %d were refused", passed.Load(), refused.Load())
	}
}

// TestRedisLosesItsData: calls under way are known again after a beat, and ended once only.
func TestRedisLosesItsData(t *testing.T) {
	_, c := valkey(t)
	l := ratelimit.NewRedis(c, nil)
	beat(t, l)
	q := ratelimit.Request{Limits: one(ratelimit.Parallel, 2)}
	a, _, _ := l.Reserve(background, q)
	b, _, _ := l.Reserve(background, q)
	if err := c.FlushAll(background).Err(); err != nil {
		t.Fatal(err)
	}
	beat(t, l)
	if d, err := l.Peek(background, q); err != nil || d.Allowed {
		t.Fatalf("%+v, %v: two calls are under way", d, err)
	}
	_ = l.Settle(background, a, 0)
	if d, _ := l.Peek(background, q); !d.Allowed {
		t.Errorf("%+v: one call is under way", d)
	}
	_ = l.Settle(background, b, 0)
	third, _, _ := l.Reserve(background, q)
	if _, d, _ := l.Reserve(background, q); third == nil || !d.Allowed {
		t.Error("no call is under way, and there is no room for two")
	}
}

// TestRedisCrash: the parallel calls of a process that is gone do not count for ever.
func TestRedisCrash(t *testing.T) {
	_, c := valkey(t)
	crashed, other := ratelimit.NewRedis(c, nil), ratelimit.NewRedis(c, nil)
	beat(t, crashed)
	beat(t, other)
	q := ratelimit.Request{Limits: one(ratelimit.Parallel, 1)}
	if _, d, err := crashed.Reserve(background, q); err != nil || !d.Allowed {
		t.Fatal(d, err)
	}
	if _, d, _ := other.Reserve(background, q); d.Allowed {
		t.Fatal("two calls at once")
	}
	// As if it had been silent for a minute.
	ids, err := c.ZRange(background, "{sluice}:processes", 0, -1).Result()
	if err != nil || len(ids) != 2 {
		t.Fatal(ids, err)
	}
	for _, id := range ids {
		c.ZIncrBy(background, "{sluice}:processes", -60e6, id)
	}
	beat(t, other)
	if _, d, err := other.Reserve(background, q); err != nil || !d.Allowed {
		t.Errorf("%+v, %v: the call of the crashed process still counts", d, err)
	}
}

func beat(t *testing.T, l *ratelimit.Redis) {
	t.Helper()
	if _, err := l.Beat(background); err != nil {
		t.Fatal(err)
	}
}

// TestSharedGoesOnWithoutItsStore cuts the store off and gives it back.
func TestSharedGoesOnWithoutItsStore(t *testing.T) {
	server, c := valkey(t)
	mine, other := ratelimit.NewShared(ratelimit.NewRedis(c, nil), ratelimit.FailLocal), ratelimit.NewRedis(c, nil)
	var told []bool
	mine.Trouble = func(err error) { told = append(told, err != nil) }
	beat(t, other)
	mine.Beat(background)
	requests := ratelimit.Request{Limits: one(ratelimit.Requests, 10)}
	parallel := ratelimit.Request{Limits: one(ratelimit.Parallel, 1)}
	if _, d, err := mine.Reserve(background, requests); err != nil || d.Remaining != 9 {
		t.Fatalf("%+v, %v", d, err)
	}
	lease, _, err := mine.Reserve(background, parallel)
	if err != nil || lease == nil {
		t.Fatal(lease, err)
	}

	server.Pause()
	passed := 0
	for range 20 {
		if _, d, err := mine.Reserve(background, requests); err != nil {
			t.Fatal(err)
		} else if d.Allowed {
			passed++
		}
	}
	if passed != 5 { // a half of ten: there were two processes
		t.Errorf("%d of a share of 5 passed", passed)
	}
	if err := mine.Settle(background, lease, 0); err != nil {
		t.Error(err)
	}
	if mine.Reachable() {
		t.Error("the store is said to answer")
	}

	server.Resume()
	for range 100 {
		if mine.Beat(background); mine.Reachable() {
			break
		}
	}
	if _, d, err := mine.Reserve(background, parallel); err != nil || !d.Allowed {
		t.Errorf("%+v, %v: the call that ended meanwhile still counts", d, err)
	}
	if _, d, err := mine.Reserve(background, requests); err != nil || d.Limit != 10 {
		t.Errorf("%+v, %v", d, err)
	}
	if fmt.Sprint(told) != "[true false]" {
		t.Errorf("told %v", told)
	}
}

func TestSharedFailModes(t *testing.T) {
	server, c := valkey(t)
	server.Kill()
	q := ratelimit.Request{Limits: one(ratelimit.Requests, 0)}
	if _, d, err := ratelimit.NewShared(ratelimit.NewRedis(c, nil), ratelimit.FailOpen).Reserve(background, q); err != nil || !d.Allowed {
		t.Errorf("open: %+v, %v", d, err)
	}
	if _, d, err := ratelimit.NewShared(ratelimit.NewRedis(c, nil), ratelimit.FailClosed).Reserve(background, q); err == nil || d.Allowed {
		t.Errorf("closed: %+v, %v", d, err)
	}
}

func BenchmarkRedisReserveSettle(b *testing.B) {
	_, c := valkey(b)
	l, ls := ratelimit.NewRedis(c, nil), limits(4)
	b.ReportAllocs()
	for b.Loop() {
		r, _, err := l.Reserve(background, ratelimit.Request{Limits: ls, Tokens: 100})
		if err != nil {
			b.Fatal(err)
		}
		_ = l.Settle(background, r, 90)
	}
}

// TestSharedPeek: a limit that refused counts as full for a while, for calls as large.
func TestSharedPeek(t *testing.T) {
	_, c := valkey(t)
	clock := ratelimittest.NewClock()
	s := ratelimit.NewShared(ratelimit.NewRedis(c, clock.Now), ratelimit.FailLocal)
	q := ratelimit.Request{Limits: one(ratelimit.Tokens, 100), Tokens: 80}
	q.Limits[0].Scope = ratelimit.Scope{Kind: ratelimit.Deployment, ID: "d"}
	for range 2 {
		if _, _, err := s.Reserve(background, q); err != nil {
			t.Fatal(err)
		}
	}
	if d, _ := s.Peek(background, q); d.Allowed || d.RetryAfter <= 0 {
		t.Errorf("%+v: it was full just now", d)
	}
	q.Tokens = 10
	if d, _ := s.Peek(background, q); !d.Allowed {
		t.Errorf("%+v: a smaller call may have room", d)
	}
	q.Tokens = 80
	clock.Advance(3 * time.Second)
	if d, _ := s.Peek(background, q); !d.Allowed {
		t.Errorf("%+v: it is time to ask again", d)
	}
}
