package keys

import (
	"hash/maphash"
	"maps"
	"sync/atomic"
)

// table is a map that is read without locks. A writer replaces one of its shards, so that a change costs a few
// hundred entries, not all of them; writers are one at a time.
type table[K comparable, V any] struct {
	shards [256]atomic.Pointer[map[K]*V]
}

var seed = maphash.MakeSeed()

func (t *table[K, V]) shard(key K) *atomic.Pointer[map[K]*V] {
	return &t.shards[maphash.Comparable(seed, key)&0xff]
}

func (t *table[K, V]) get(key K) *V {
	m := t.shard(key).Load()
	if m == nil {
		return nil
	}
	return (*m)[key]
}

// set puts or, with nil, removes.
func (t *table[K, V]) set(key K, v *V) {
	shard := t.shard(key)
	before := shard.Load()
	size := 1
	if before != nil {
		size += len(*before)
	}
	after := make(map[K]*V, size)
	if before != nil {
		maps.Copy(after, *before)
	}
	if v == nil {
		delete(after, key)
	} else {
		after[key] = v
	}
	shard.Store(&after)
}

// replace makes all the only content.
func (t *table[K, V]) replace(all map[K]*V) {
	var shards [256]map[K]*V
	for k, v := range all {
		i := maphash.Comparable(seed, k) & 0xff
		if shards[i] == nil {
			shards[i] = make(map[K]*V, len(all)/256+8)
		}
		shards[i][k] = v
	}
	for i := range shards {
		t.shards[i].Store(&shards[i])
	}
}

// all is a copy of everything.
func (t *table[K, V]) all() map[K]*V {
	out := map[K]*V{}
	for i := range t.shards {
		if m := t.shards[i].Load(); m != nil {
			maps.Copy(out, *m)
		}
	}
	return out
}
