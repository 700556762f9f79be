package route

import (
	"math"

	"github.com/cespare/xxhash/v2"
)

// Affinity is what may tie calls together, the first of it that a call has.
type Affinity uint8

// What ties calls together.
const (
	BySession Affinity = 1 << iota // x-litellm-session-id
	ByUser                         // the user that the request names
	ByPrompt                       // how the conversation begins
	ByKey                          // the caller's key
)

// affinity sends calls that belong together to the same deployment, so that the provider's prompt cache, or
// the model's own, already has what they begin with. The deployments' places are drawn from the session itself
// (rendezvous hashing): every replica of the gateway draws the same without a word, and when a deployment comes
// or goes only its own sessions move. Weights make shares of sessions. A deployment that is out or full is not
// among the candidates: its sessions go to their second choice, and come back.
type affinity struct {
	by        Affinity
	otherwise Strategy // for calls that belong to nothing
}

func (a affinity) Order(cs []Candidate, want int, r *Round) {
	var session uint64
	if r.Session != nil {
		session = r.Session(a.by)
	}
	if session == 0 {
		a.otherwise.Order(cs, want, r)
		return
	}
	share := shares(cs)
	for i := range cs {
		cs[i].score = place(session, cs[i].Deployment, share(cs[i].Deployment))
	}
	byScore(cs, want, r)
}

// place is a draw from the exponential distribution with the rate share: of several such draws, each is the
// least with a probability in proportion to its share.
func place(session uint64, d *Deployment, share float64) float64 {
	if share <= 0 {
		return math.MaxFloat64 * (0.5 + unit(mix(session^d.hash))/2) // after everybody with a share
	}
	return -math.Log(unit(mix(session^d.hash))) / share
}

// unit makes of 64 random bits a number in (0, 1).
func unit(bits uint64) float64 { return (float64(bits>>11) + 0.5) / (1 << 53) }

// mix is the finalizer of SplitMix64: every bit of x moves half of the result's.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// SessionKey makes of what ties calls together the number for [Round.Session], the same in every process. kind
// keeps a user from meeting the session of the same name. It is never 0.
func SessionKey[T string | []byte](kind Affinity, id T) uint64 {
	var h uint64
	switch id := any(id).(type) {
	case string:
		h = xxhash.Sum64String(id)
	case []byte:
		h = xxhash.Sum64(id)
	}
	return mix(h+uint64(kind)*0x9e3779b97f4a7c15) | 1
}
