package route

import (
	mathbits "math/bits"

	"github.com/sluicegw/sluice/internal/apierror"
)

// class is which of a group's fallbacks a failure takes.
type class uint8

const (
	ordinary class = iota
	context        // the prompt is too long for the model
	policy         // the content was refused
	classes
)

func classOf(kind apierror.Kind) class {
	switch kind {
	case apierror.ContextLength:
		return context
	case apierror.ContentPolicy:
		return policy
	}
	return ordinary
}

// node is a model group in a plan: its attempts, and the groups that follow when they have failed.
type node struct {
	to       target
	first, n int              // its attempts, counted through Attempts and Others
	base     int              // how many of them an error without a rule in retry_policy may use
	granted  RetryPolicy      // nil: none
	empty    apierror.Kind    // why it has no attempts, if it has none
	next     [classes][]uint8 // the groups that follow
	known    [classes]bool    // next has been looked up
}

// At is attempt i, counted from 0 through Attempts and then Others.
func (p *Plan) At(i int) *Attempt {
	if i < len(p.Attempts) {
		return &p.Attempts[i]
	}
	return &p.Others[i-len(p.Attempts)]
}

// Len is how many attempts the plan knows, of which one call makes only some: see [Plan.Longest].
func (p *Plan) Len() int { return len(p.Attempts) + len(p.Others) }

// Longest bounds the attempts of one call.
func (p *Plan) Longest() int {
	if len(p.Others) == 0 {
		return len(p.Attempts)
	}
	return min(p.Len(), maxAttempts)
}

// OnContent tells whether a refusal of content, which may come as a good answer, has somewhere to go.
func (p *Plan) OnContent() bool { return p.content }

// Walk is one call's way through its plan. It is a value: a copy can be tried ahead.
type Walk struct {
	plan    *Plan
	at      int // the attempt at hand; -1: none is left
	in      int // its node
	used    int // retries within the node
	visited uint64
	entered int     // fallback groups
	refused uint64  // attempts whose deployments would refuse this call again
	pending []uint8 // groups to come, nearest first
}

// Walk begins at the plan's first attempt.
func (p *Plan) Walk() Walk {
	w := Walk{plan: p, at: -1}
	w.enter(0)
	return w
}

// Attempt is the index of the attempt at hand, for [Plan.At]; -1: none is left.
func (w *Walk) Attempt() int { return w.at }

// Fail says how the attempt at hand ended and moves on to the next, if one is left.
func (w *Walk) Fail(kind apierror.Kind) bool {
	if w.at < 0 {
		return false
	}
	if i := w.plan.nodes[w.in].retry(w, kind); i >= 0 && !w.overBudget(i) {
		w.at, w.used = i, w.used+1
		return true
	}
	w.leave(kind)
	return w.at >= 0
}

// Rest appends the attempts that follow if each of them fails without an answer.
func (w *Walk) Rest(dst []int) []int {
	ahead := *w
	for ahead.Fail(apierror.Timeout) {
		dst = append(dst, ahead.at)
	}
	return dst
}

// enter goes to a group; one without attempts fails at once.
func (w *Walk) enter(i int) {
	n := &w.plan.nodes[i]
	w.visited |= 1 << i
	w.in, w.used = i, 0
	if n.n > 0 {
		w.at = n.first
		return
	}
	w.leave(n.empty)
}

// leave goes to the next group, depth first, as LiteLLM does: a fallback that fails is followed by its own
// fallbacks before the next of the list it came from. A group is visited once, so cycles end.
func (w *Walk) leave(kind apierror.Kind) {
	of := classOf(kind)
	if !w.plan.own[of] {
		of = ordinary
	}
	if list := w.plan.nodes[w.in].next[of]; len(list) > 0 {
		w.pending = append(append(make([]uint8, 0, len(list)+len(w.pending)), list...), w.pending...)
	}
	for len(w.pending) > 0 && w.entered < w.plan.most {
		next := int(w.pending[0])
		w.pending = w.pending[1:]
		if w.visited&(1<<next) == 0 {
			w.entered++
			w.enter(next)
			return
		}
	}
	w.at = -1
}

// retry is the next attempt within the group after an error of this kind; -1: none.
func (n *node) retry(w *Walk, kind apierror.Kind) int {
	next, last := w.at+1, n.first+n.base
	failed := w.plan.At(w.at).Deployment
	skip := func(*Deployment) bool { return false }
	limit, ruled := n.granted.For(kind)
	switch {
	case ruled && w.used < limit:
		last = n.first + n.n
	case ruled: // what is left are deployments of a higher order
		skip = func(d *Deployment) bool { return sameOrder(d, failed) }
	default:
		switch kind {
		case apierror.ContextLength, apierror.ContentPolicy, apierror.BadRequest, apierror.TooLarge:
			return -1 // what is wrong is the request: the group's others would say the same
		case apierror.Unauthenticated, apierror.Forbidden, apierror.NotFound, apierror.BudgetExceeded:
			// Another deployment has other credentials and other models; this one would say the same.
			w.refused |= 1 << w.at
		}
	}
	for next < last && (skip(w.plan.At(next).Deployment) || w.hasRefused(next)) {
		next++
	}
	if next < last {
		return next
	}
	return -1
}

// hasRefused tells whether attempt i goes to a deployment that has refused this call.
func (w *Walk) hasRefused(i int) bool {
	d := w.plan.At(i).Deployment
	for bits := w.refused; bits != 0; bits &= bits - 1 {
		if w.plan.At(mathbits.TrailingZeros64(bits)).Deployment == d {
			return true
		}
	}
	return false
}

func sameOrder(a, b *Deployment) bool {
	if a.Order == nil || b.Order == nil {
		return a.Order == b.Order
	}
	return *a.Order == *b.Order
}
