package ratelimit

import (
	"math"
	"time"
)

// Slots is into how many parts a window is divided.
const Slots = 60

// window counts what happened in the last span of time, to a slot: a sixtieth of it, a second of a minute. An
// event counts until its whole slot is older than the window, so that no stretch of the window's length ever
// holds more than was allowed; the price is that it counts for up to one slot longer.
//
// (A fixed minute lets twice the limit through around its end, and a token bucket, GCRA included, lets through a
// full bucket and then what flows in: up to twice the limit within a minute.)
//
// It is pure arithmetic: times are durations since an origin that the caller chooses and keeps.
type window struct {
	slot   time.Duration // length of one
	newest int64         // index of the newest slot: time since the origin, in slots
	total  int64
	counts [Slots + 1]int32 // the newest is not over, so one more than Slots are needed to cover the window
}

func newWindow(length time.Duration) window { return window{slot: slotOf(length)} }

func slotOf(length time.Duration) time.Duration { return max(length/Slots, 1) }

// advance forgets what is too old at now. A clock that goes back changes nothing.
func (w *window) advance(now time.Duration) {
	at := int64(now / w.slot)
	if at <= w.newest {
		return
	}
	if at-w.newest > Slots || w.total == 0 {
		if w.total != 0 {
			w.counts, w.total = [Slots + 1]int32{}, 0
		}
		w.newest = at
		return
	}
	for w.newest < at {
		w.newest++
		c := &w.counts[index(w.newest)]
		w.total -= int64(*c)
		*c = 0
	}
}

// index is a slot's place in counts; slots before the origin have places, too.
func index(slot int64) int {
	i := int(slot % (Slots + 1))
	if i < 0 {
		i += Slots + 1
	}
	return i
}

// add counts n now, which must be the time of the last advance. A slot holds up to 2³¹-1.
func (w *window) add(n int64) {
	c := &w.counts[index(w.newest)]
	n = min(n, math.MaxInt32-int64(*c))
	*c += int32(n)
	w.total += n
}

// sub takes back up to n of what was counted at a time before. What is too old to count is gone already.
func (w *window) sub(at time.Duration, n int64) {
	slot := int64(at / w.slot)
	if slot > w.newest || w.newest-slot > Slots {
		return
	}
	c := &w.counts[index(slot)]
	n = min(n, int64(*c))
	*c -= int32(n)
	w.total -= n
}

// wait is how long after now it is until n more fit under most: 0 if they do, negative if they never will.
// now must be the time of the last advance.
func (w *window) wait(now time.Duration, n, most int64) time.Duration {
	over := w.total + n - most
	if over <= 0 {
		return 0
	}
	if n > most {
		return -1
	}
	for slot := w.newest - Slots; slot <= w.newest; slot++ {
		if over -= int64(w.counts[index(slot)]); over <= 0 {
			return w.gone(slot) - now
		}
	}
	return -1
}

// empty is when the last event will have gone; now, if there is none.
func (w *window) empty(now time.Duration) time.Duration {
	if w.total == 0 {
		return now
	}
	for slot := w.newest; slot >= w.newest-Slots; slot-- {
		if w.counts[index(slot)] != 0 {
			return w.gone(slot)
		}
	}
	return now
}

// gone is when a slot no longer counts.
func (w *window) gone(slot int64) time.Duration { return time.Duration(slot+Slots+1) * w.slot }
