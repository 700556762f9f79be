package ratelimit

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// MaxLimits is how many limits one call may have.
const MaxLimits = 64

// ErrTooManyLimits is returned for a request with more than [MaxLimits] limits: nothing was taken.
var ErrTooManyLimits = errors.New("ratelimit: a call has more than 64 limits")

var errGone = errors.New("ratelimit: the shared store is out of reach")

// Limiter keeps limits. It is safe for concurrent use. [Memory] is the one for a single process; every
// implementation passes the tests of package ratelimittest.
//
// An error means that the store could not be asked. It is never a refusal: whether the call then goes on is the
// caller's to decide. Methods take no longer than ctx allows, but once begun, what Settle and Cancel do is not
// undone by the client's leaving: give them a context without its cancellation.
type Limiter interface {
	// Reserve takes what the request needs from every limit, or nothing from any. When the decision says
	// Allowed, the reservation must be ended exactly once, by Settle or by Cancel. It is nil when nothing was
	// taken, which Settle and Cancel accept.
	Reserve(ctx context.Context, r Request) (*Reservation, Decision, error)

	// Peek says what Reserve would decide, and takes nothing.
	Peek(ctx context.Context, r Request) (Decision, error)

	// Settle ends a call that went out: tokens is what it used in truth. The reserved request stays counted,
	// the tokens are corrected, the parallel request is over. A second end of a reservation changes nothing.
	Settle(ctx context.Context, r *Reservation, tokens int64) error

	// Cancel ends a call that reached nobody: everything is given back.
	Cancel(ctx context.Context, r *Reservation) error
}

// Request is what one call asks of its limits.
type Request struct {
	Limits []Limit // of all scopes at once; must not change until the reservation has ended
	Tokens int64   // an estimate of what the call will use; at least 0

	// Force takes what there is no room for, too, and is never refused: for what happens anyway, such as a
	// retry that is on its way already, so that at least later calls know of it.
	Force bool

	// Standings, if it has the length of Limits, is filled with how each of them stands after the decision.
	Standings []Standing
}

// Standing is how one limit stands, as response headers tell it.
type Standing struct {
	Remaining int64     // at least 0
	ResetAt   time.Time // when all of it is free again, if nothing more is taken; now, if it is. Of Parallel: now
}

// Decision is the answer to a call. The fields after RetryAfter are about one limit: of a refusal, the one that
// is longest in the way; otherwise the one with the smallest share left. Without limits they are zero.
type Decision struct {
	Allowed bool
	// RetryAfter is how long until the same request would pass, if nobody else takes anything meanwhile. 0 with
	// a refusal: waiting does not help. For a limit of parallel requests nobody knows, and it is a second.
	RetryAfter time.Duration

	Scope     Scope
	Unit      Unit
	Limit     int64
	Remaining int64 // after this call, if it was allowed
	ResetAt   time.Time
}

// parallelWait is how soon to try again when another call must end first.
const parallelWait = time.Second

// Reservation is what one call holds. Its fields are for implementations.
type Reservation struct {
	ID     string // of a shared store's lease; empty in memory
	Limits []Limit
	Tokens int64
	At     time.Time // when it was made, by the store's clock

	ended atomic.Bool
}

// End marks the reservation as ended and tells whether this was the first time. Implementations call it before
// they give anything back; nil was never begun.
func (r *Reservation) End() (first bool) { return r != nil && !r.ended.Swap(true) }

// Split makes two of a reservation, of its first n limits and of the others, each of which must be ended by
// itself. The reservation itself must not be ended then. nil is split into nothing.
func (r *Reservation) Split(n int) (first, others *Reservation) {
	if r == nil {
		return nil, nil
	}
	part := func(limits []Limit) *Reservation {
		if len(limits) == 0 {
			return nil
		}
		return &Reservation{ID: r.ID, Limits: limits, Tokens: r.Tokens, At: r.At}
	}
	return part(r.Limits[:n:n]), part(r.Limits[n:])
}
