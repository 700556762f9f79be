package route

import (
	"hash/maphash"
	"sync"
)

// seen remembers which attempts were reported. It keeps two generations a shard and drops the older one
// when the newer is full, so it holds at least the last shardSize reports of each shard and never more
// than twice that: a log that is sent again comes within seconds, not after a hundred thousand calls.
type seen struct {
	seed   maphash.Seed
	shards [seenShards]seenShard
}

const (
	seenShards = 16
	shardSize  = 4096
)

type seenShard struct {
	mu       sync.Mutex
	now, old map[uint64]struct{}
}

func newSeen() *seen {
	s := &seen{seed: maphash.MakeSeed()}
	for i := range s.shards {
		s.shards[i].now = make(map[uint64]struct{})
		s.shards[i].old = make(map[uint64]struct{})
	}
	return s
}

// add reports whether the attempt is new.
func (s *seen) add(call string, attempt int) bool {
	// The attempt is mixed in by a large odd factor, so that attempts of one call stay apart.
	key := maphash.String(s.seed, call) ^ uint64(attempt)*0x9e3779b97f4a7c15
	sh := &s.shards[key%seenShards]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if _, ok := sh.now[key]; ok {
		return false
	}
	if _, ok := sh.old[key]; ok {
		return false
	}
	if len(sh.now) >= shardSize {
		sh.now, sh.old = sh.old, sh.now
		clear(sh.now)
	}
	sh.now[key] = struct{}{}
	return true
}
