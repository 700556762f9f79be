package ratelimit

import "time"

// state is how a limit stands before a call.
type state struct {
	used, cost int64
	wait       time.Duration // until cost fits; negative: never
	empty      time.Duration // when all is free, since the origin
}

func (v *view) state(h *holder, l *Limit, tokens int64) state {
	s := state{cost: l.cost(tokens), empty: v.now}
	if l.Unit == Parallel {
		if h != nil {
			s.used = h.parallel
		}
		if s.used+1 > l.Max {
			s.wait = parallelWait
		}
	} else if w := v.window(h, l); w != nil {
		s.used, s.wait, s.empty = w.total, w.wait(v.now, s.cost, l.Max), w.empty(v.now)
	}
	if l.Max <= 0 {
		s.wait = -1
	}
	return s
}

// decide asks every limit, and takes nothing. taking tells whether the caller will take what is allowed.
func (v *view) decide(r *Request, taking bool) Decision {
	j := newJudge(r, v.m.base, taking)
	var h *holder
	for i := range v.limits {
		h = v.holder(i, h)
		j.weigh(i, v.state(h, &v.limits[i], r.Tokens))
	}
	return j.decision(v.now)
}

// judge makes one decision of the states of all limits.
type judge struct {
	limits        []Limit
	standings     []Standing
	tokens        int64
	force, taking bool
	base          time.Time // the origin of the states' times
	d             Decision
	share         float64 // what is left of the tightest limit,
	tight         int     // which is this one
}

// (It has parts of the request, not the request: with a pointer to it, each request would be on the heap.)
func newJudge(r *Request, base time.Time, taking bool) judge {
	j := judge{limits: r.Limits, tokens: r.Tokens, force: r.Force, taking: taking, base: base, d: Decision{Allowed: true}, share: 2}
	if len(r.Standings) == len(r.Limits) {
		j.standings = r.Standings
	}
	return j
}

// weigh takes the state of limit i into account.
func (j *judge) weigh(i int, s state) {
	l := &j.limits[i]
	if j.standings != nil {
		j.standings[i] = Standing{Remaining: max(l.Max-s.used, 0), ResetAt: j.base.Add(s.empty)}
	}
	switch {
	case s.wait != 0 && !j.force:
		if j.d.Allowed || longer(s.wait, j.d.RetryAfter) {
			j.about(l, s)
			j.d.RetryAfter = max(s.wait, 0)
		}
	case j.d.Allowed:
		left := max(l.Max-s.used-s.cost, 0)
		if share := float64(left) / float64(max(l.Max, 1)); share < j.share {
			j.share, j.tight = share, i
			j.about(l, s)
			j.d.Allowed, j.d.Remaining = true, left
		}
	}
}

func (j *judge) about(l *Limit, s state) {
	j.d = Decision{Scope: l.Scope, Unit: l.Unit, Limit: l.Max, Remaining: max(l.Max-s.used, 0), ResetAt: j.base.Add(s.empty)}
}

// decision is what all states come to; now is since the origin.
func (j *judge) decision(now time.Duration) Decision {
	if j.d.Allowed && j.taking {
		j.afterTaking(now)
		if j.d.Unit == Requests || j.d.Unit == Tokens && j.tokens > 0 {
			j.d.ResetAt = j.base.Add(emptyAfter(now, j.limits[j.tight].window()))
		}
	}
	return j.d
}

// longer compares the waits of two refusals, of which 0 or less means for ever.
func longer(a, b time.Duration) bool { return b > 0 && (a < 0 || a > b) }

// afterTaking brings standings to what they will be.
func (j *judge) afterTaking(now time.Duration) {
	for i := range j.standings {
		l, s := &j.limits[i], &j.standings[i]
		cost := l.cost(j.tokens)
		s.Remaining = max(s.Remaining-cost, 0)
		if l.Unit != Parallel && cost > 0 {
			s.ResetAt = j.base.Add(emptyAfter(now, l.window()))
		}
	}
}

// emptyAfter is when a window of that length will be empty that counts something now.
func emptyAfter(now, length time.Duration) time.Duration {
	slot := slotOf(length)
	return time.Duration(int64(now/slot)+Slots+1) * slot
}

// take counts the call in every counter, once in each.
func (v *view) take(tokens int64) {
	var h *holder
	for i := range v.limits {
		l := &v.limits[i]
		if h = v.ensure(i, v.holder(i, h)); v.repeats(i) {
			continue
		}
		if l.Unit == Parallel {
			h.parallel++
		} else {
			v.count(h, l, l.cost(tokens))
		}
	}
}

// ensure is h, or a new holder for the scope of limit i.
func (v *view) ensure(i int, h *holder) *holder {
	if h != nil {
		return h
	}
	return v.m.shards[v.shard[i]].add(v.limits[i].Scope, v.now)
}

// count adds to a window, which is made if need be.
func (v *view) count(h *holder, l *Limit, n int64) {
	w := v.window(h, l)
	if w == nil {
		h.counters = append(h.counters, counter{unit: l.Unit, length: l.window(), window: newWindow(l.window())})
		w = &h.counters[len(h.counters)-1].window
		w.advance(v.now)
	}
	w.add(n)
}

func (v *view) repeats(i int) bool { return repeats(v.limits, i) }

// repeats tells whether a limit before i is kept by the same counter.
func repeats(limits []Limit, i int) bool {
	for j := range i {
		if limits[j].sameCounter(&limits[i]) {
			return true
		}
	}
	return false
}

func (v *view) settle(r *Reservation, tokens int64) {
	var h *holder
	for i := range v.limits {
		l := &v.limits[i]
		h = v.holder(i, h)
		if v.repeats(i) {
			continue
		}
		more := max(tokens, 0) - l.cost(r.Tokens)
		switch {
		case l.Unit == Parallel && h != nil:
			h.parallel = max(h.parallel-1, 0)
		case l.Unit == Tokens && more > 0: // now: a long stream used them meanwhile
			h = v.ensure(i, h)
			v.count(h, l, more)
		case l.Unit == Tokens && more < 0:
			if w := v.window(h, l); w != nil {
				w.sub(r.At.Sub(v.m.base), -more)
			}
		}
	}
}

func (v *view) cancel(r *Reservation) {
	var h *holder
	for i := range v.limits {
		l := &v.limits[i]
		if h = v.holder(i, h); h == nil || v.repeats(i) {
			continue
		}
		if l.Unit == Parallel {
			h.parallel = max(h.parallel-1, 0)
		} else if w := v.window(h, l); w != nil {
			w.sub(r.At.Sub(v.m.base), l.cost(r.Tokens))
		}
	}
}

// sweepAtOnce is how many scopes a new one looks at to find idle ones: more than one, so that a shard shrinks
// faster than it grows.
const sweepAtOnce = 4

// add makes room for a scope, and forgets some idle ones.
func (s *shard) add(scope Scope, now time.Duration) *holder {
	looked := 0
	for old, h := range s.holders { // Go begins at a random one
		if looked++; looked > sweepAtOnce {
			break
		}
		if h.idle(now) {
			delete(s.holders, old)
		}
	}
	h := &holder{}
	s.holders[scope] = h
	return h
}

func (h *holder) idle(now time.Duration) bool {
	if h.parallel > 0 {
		return false
	}
	for i := range h.counters {
		w := &h.counters[i].window
		if w.advance(now); w.total > 0 {
			return false
		}
	}
	return true
}
