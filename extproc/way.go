package extproc

import (
	"sync"
	"time"

	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/extproc/wire"
	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/policy/route"
)

// way is how far a call has come in its plan. Envoy moves on by itself after an attempt without an answer; an
// answer that is not used has sluice say what comes next, by the kind of the failure. The streams of both
// filters of an attempt and the call's own read and write it.
type way struct {
	mu     sync.Mutex
	plan   *route.Plan
	order  []int // by attempt, what Envoy was told to try
	walk   *route.Walk
	at     int  // the attempt that walk is at, from 1
	begun  int  // the newest attempt that Envoy has come with, from 2; 0: the first
	unsent bool // that one was not sent, and ended the call

	ready    *adapters.Outgoing // the request of attempt readyFor
	readyFor int

	wait  time.Duration   // what the last failed answer asked for
	least time.Duration   // what the client wants to be waited at least (retry_after)
	ended *apierror.Error // what ends the call, if that is already known
	told  told            // of the answer that it was made of

	room [6]int
}

func (w *way) begin(p *route.Plan) {
	w.plan = p
	w.order = p.Order(w.room[:0])
}

// attempt is the plan's attempt number n, from 1; nil: Envoy was told of none.
func (w *way) attempt(n int) *route.Attempt {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n < 1 || n > len(w.order) {
		return nil
	}
	return w.plan.At(w.order[n-1])
}

// planned is how many attempts Envoy knows of.
func (w *way) planned() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.order)
}

// begins is attempt n, with which Envoy has come, or nil. From here on it stays what it is: a verdict on the answer
// before may still be under way, if Envoy has lost patience with that, and must not put another deployment in its place.
func (w *way) begins(n int) *route.Attempt {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n < 2 || n > len(w.order) {
		return nil
	}
	w.begun = max(w.begun, n)
	return w.plan.At(w.order[n-1])
}

// failed moves on from attempt n, which was answered by a failure of this kind, and tells whether another
// attempt follows.
func (w *way) failed(n int, kind apierror.Kind, wait time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.begun > n {
		return false
	}
	if w.walk == nil {
		walk := w.plan.Walk()
		w.walk, w.at = &walk, 1
	}
	for w.at < n && w.walk.Fail(apierror.Timeout) { // those before had no answer
		w.at++
	}
	if w.at != n || !w.walk.Fail(kind) {
		return false
	}
	w.at, w.wait = n+1, wait
	w.order = w.walk.Rest(append(w.order[:n:n], w.walk.Attempt()))
	return true
}

// passOver takes attempt n out, which the walk is at, before it is made, and tells whether another takes its place.
func (w *way) passOver(n int, kind apierror.Kind) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	walk := w.plan.Walk()
	if w.walk != nil {
		walk = *w.walk
	}
	if w.begun >= n || !walk.Fail(kind) {
		return false
	}
	w.walk, w.at = &walk, n
	w.order = walk.Rest(append(w.order[:n-1], walk.Attempt()))
	return true
}

// repeats tells whether attempt n goes to a deployment that the call has met already, and how long the last
// answer, or the client, asked to let it alone.
func (w *way) repeats(n int) (again bool, wait time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n < 2 || n > len(w.order) {
		return false, 0
	}
	d := w.plan.At(w.order[n-1]).Deployment
	for _, i := range w.order[:n-1] {
		again = again || w.plan.At(i).Deployment == d
	}
	wait = w.wait
	if wait > mostPause { // nobody waits for so long
		wait = 0
	}
	return again, max(wait, w.least)
}

// counts are, of the attempts up to n, those that followed another of their own group, and the groups after the
// first.
func (w *way) counts(n int) (retries, fallbacks int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, at := range w.order[:min(n, len(w.order))] {
		switch a := w.plan.At(at); {
		case a.Retry > 0:
			retries++
		case i == 0:
			fallbacks = a.Fallback // the group itself may have had nothing to offer
		default:
			fallbacks++
		}
	}
	return retries, fallbacks
}

// retriesIn is how many retries the plan has for the group of attempt a.
func retriesIn(p *route.Plan, a *route.Attempt) int {
	n := -1
	for i := range p.Len() {
		if of := p.At(i); of.Fallback == a.Fallback && of.Model == a.Model {
			n++
		}
	}
	return n
}

// end notes what the client is told, unless that is known already.
func (w *way) end(e *apierror.Error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended == nil {
		w.ended = e
	}
}

func (w *way) ending() *apierror.Error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended
}

// told is the provider's answer in whose place Envoy tells the client of an error.
type told struct {
	attempt, status int
	headers         wire.Headers
	reply           *adapters.Reply // what it has cost
}

// endWith ends the call with an answer. False: it has gone on from there.
func (w *way) endWith(e *apierror.Error, t told) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.begun > t.attempt {
		return false
	}
	if w.ended == nil {
		w.ended = e
	}
	w.told = t
	return true
}

func (w *way) wasTold() told {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.told
}
