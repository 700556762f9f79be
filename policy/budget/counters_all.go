package budget

import (
	"time"

	"github.com/sluicegw/sluice/internal/money"
)

// Correct sets what a scope has spent to what the ledger says, and returns by how much it was off. since is the
// window that the sum is for; if the counter is in another one, nothing is changed.
func (c *Counters) Correct(s Scope, since time.Time, spent money.Amount) (off money.Amount) {
	it := c.counter(s)
	it.Lock()
	defer it.Unlock()
	if !it.loaded || !it.since.Equal(since) {
		return 0
	}
	off = it.spent - spent
	it.spent = spent
	if off != 0 {
		it.wake()
	}
	return off
}

// State is one counter as a reconciler sees it.
type State struct {
	Scope        Scope
	Since, Until time.Time
	Spent, Held  money.Amount
}

// All calls f with every counter that is in use.
func (c *Counters) All(f func(State)) {
	for i := range c.shards {
		shard := &c.shards[i]
		shard.RLock()
		all := make([]*counter, 0, len(shard.m))
		for _, it := range shard.m {
			all = append(all, it)
		}
		shard.RUnlock()
		for _, it := range all {
			it.Lock()
			s := State{it.scope, it.since, it.until, it.spent, it.held}
			loaded := it.loaded
			it.Unlock()
			if loaded {
				f(s)
			}
		}
	}
}

// Forget has what a scope has spent loaded anew with its next call. What calls under way hold stays held.
func (c *Counters) Forget(s Scope) {
	it := c.counter(s)
	it.Lock()
	defer it.Unlock()
	it.loaded = false
	it.wake()
}

const (
	// crowd is how many scopes may be remembered for as long as whoever sweeps likes. Ids of end users are their
	// clients' to choose, so above it only those count that were used a moment ago.
	crowd   = 100_000
	aMoment = time.Minute
)

// keptSince is which scopes of so many stay: those that were used then or later.
func keptSince(before, now time.Time, scopes int) time.Time {
	if latest := now.Add(-aMoment); scopes > crowd && before.Before(latest) {
		return latest
	}
	return before
}

// Sweep forgets counters that were not used since before and hold nothing: they are loaded again when needed.
func (c *Counters) Sweep(before time.Time) {
	scopes := 0
	for i := range c.shards {
		c.shards[i].RLock()
		scopes += len(c.shards[i].m)
		c.shards[i].RUnlock()
	}
	before = keptSince(before, c.o.Now(), scopes)
	for i := range c.shards {
		shard := &c.shards[i]
		shard.Lock()
		for s, it := range shard.m {
			it.Lock()
			if it.held == 0 && it.used.Before(before) && s.Kind != Global {
				it.gone = true
				delete(shard.m, s)
			}
			it.Unlock()
		}
		shard.Unlock()
	}
}
