package ratelimit

import (
	"context"
	"hash/maphash"
	"math/bits"
	"sync"
	"time"
)

const shards = 64 // a bit of a mask each

// Memory is the [Limiter] of a single process. It asks nobody and never returns an error but
// [ErrTooManyLimits]. Scopes that are idle for a window are forgotten.
//
// A scope's counters are in one of 64 shards. A call locks the shards of its scopes, in their order, so that
// what it sees of them all is of one moment.
type Memory struct {
	clock  func() time.Time
	base   time.Time
	seed   maphash.Seed
	shards [shards]shard
}

type shard struct {
	mu      sync.Mutex
	holders map[Scope]*holder
}

// holder is what is known of a scope.
type holder struct {
	parallel int64
	counters []counter
}

type counter struct {
	unit   Unit
	length time.Duration
	window window
}

// NewMemory makes an empty one. A nil clock is time.Now.
func NewMemory(clock func() time.Time) *Memory {
	if clock == nil {
		clock = time.Now
	}
	m := &Memory{clock: clock, base: clock(), seed: maphash.MakeSeed()}
	for i := range m.shards {
		m.shards[i].holders = map[Scope]*holder{}
	}
	return m
}

var _ Limiter = (*Memory)(nil)

// Reserve implements [Limiter].
func (m *Memory) Reserve(_ context.Context, r Request) (*Reservation, Decision, error) {
	if len(r.Limits) == 0 {
		return nil, Decision{Allowed: true}, nil
	}
	if len(r.Limits) > MaxLimits {
		return nil, Decision{}, ErrTooManyLimits
	}
	v := m.open(r.Limits)
	d := v.decide(&r, true)
	if !d.Allowed {
		v.close()
		return nil, d, nil
	}
	v.take(r.Tokens)
	v.close()
	return &Reservation{Limits: r.Limits, Tokens: r.Tokens, At: m.base.Add(v.now)}, d, nil
}

// Peek implements [Limiter].
func (m *Memory) Peek(_ context.Context, r Request) (Decision, error) {
	if len(r.Limits) == 0 {
		return Decision{Allowed: true}, nil
	}
	if len(r.Limits) > MaxLimits {
		return Decision{}, ErrTooManyLimits
	}
	v := m.open(r.Limits)
	d := v.decide(&r, false)
	v.close()
	return d, nil
}

// Settle implements [Limiter].
func (m *Memory) Settle(_ context.Context, r *Reservation, tokens int64) error {
	if r.End() {
		v := m.open(r.Limits)
		v.settle(r, tokens)
		v.close()
	}
	return nil
}

// Cancel implements [Limiter].
func (m *Memory) Cancel(_ context.Context, r *Reservation) error {
	if r.End() {
		v := m.open(r.Limits)
		v.cancel(r)
		v.close()
	}
	return nil
}

// Holders is how many scopes are remembered.
func (m *Memory) Holders() (n int) {
	for i := range m.shards {
		m.shards[i].mu.Lock()
		n += len(m.shards[i].holders)
		m.shards[i].mu.Unlock()
	}
	return n
}

// view is the limits of one call with their shards locked.
type view struct {
	m      *Memory
	limits []Limit
	shard  [MaxLimits]uint8
	locked uint64
	now    time.Duration
}

func (m *Memory) open(limits []Limit) (v view) {
	v.m, v.limits = m, limits
	for i := range limits {
		if i > 0 && limits[i].Scope == limits[i-1].Scope {
			v.shard[i] = v.shard[i-1]
			continue
		}
		v.shard[i] = uint8(maphash.Comparable(m.seed, limits[i].Scope) % shards)
		v.locked |= 1 << v.shard[i]
	}
	for rest := v.locked; rest != 0; rest &= rest - 1 { // in their order: no two calls wait for each other
		m.shards[bits.TrailingZeros64(rest)].mu.Lock()
	}
	v.now = m.clock().Sub(m.base)
	return v
}

func (v *view) close() {
	for rest := v.locked; rest != 0; rest &= rest - 1 {
		v.m.shards[bits.TrailingZeros64(rest)].mu.Unlock()
	}
}

// holder finds the scope of limit i, which may be that of the limit before; nil: nothing is known of it.
func (v *view) holder(i int, before *holder) *holder {
	if i > 0 && v.limits[i].Scope == v.limits[i-1].Scope {
		return before
	}
	return v.m.shards[v.shard[i]].holders[v.limits[i].Scope]
}

// window finds the window of a limit, brought up to now.
func (v *view) window(h *holder, l *Limit) *window {
	if h == nil {
		return nil
	}
	for i := range h.counters {
		if c := &h.counters[i]; c.unit == l.Unit && c.length == l.window() {
			c.window.advance(v.now)
			return &c.window
		}
	}
	return nil
}
