package extproc

import (
	"crypto/rand"
	"encoding/hex"
	"sync"
	"time"
)

const shards = 64

// registry finds a call by the id that travels with its attempts. Ids are random and never shown to a
// client, so whoever knows one has been told it by Envoy.
type registry struct {
	shard [shards]struct {
		sync.Mutex
		calls map[string]*Call
	}
}

func (r *registry) init() {
	for i := range r.shard {
		r.shard[i].calls = map[string]*Call{}
	}
}

func (r *registry) of(id string) int {
	if id == "" {
		return 0
	}
	return int(id[len(id)-1]^id[0]<<2) % shards
}

func (r *registry) put(c *Call) {
	s := &r.shard[r.of(c.id)]
	s.Lock()
	s.calls[c.id] = c
	s.Unlock()
}

func (r *registry) get(id string) *Call {
	s := &r.shard[r.of(id)]
	s.Lock()
	defer s.Unlock()
	return s.calls[id]
}

func (r *registry) drop(id string) {
	s := &r.shard[r.of(id)]
	s.Lock()
	delete(s.calls, id)
	s.Unlock()
}

// newCallID is one that begins with the time, in seconds, five digits of it: the ledger finds calls by the first eight
// digits, and those of one moment then stand together in its index instead of on a page each.
func newCallID() string {
	const digits = "0123456789abcdef"
	id := []byte(newID())
	now := time.Now().Unix()
	for i := range 5 {
		id[4-i] = digits[now>>(4*i)&15]
	}
	return string(id)
}

// newID is 128 random bits in hex.
func newID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails, see its documentation
	return hex.EncodeToString(b[:])
}
