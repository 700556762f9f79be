package ratelimit

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestWindow compares the window with a list of all events.
func TestWindow(t *testing.T) {
	type event struct {
		at time.Duration
		n  int64
	}
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		w := newWindow(time.Minute)
		var all []event
		now := time.Duration(0)
		for range 2000 {
			now += time.Duration(rnd.Int64N(int64(3 * time.Second)))
			if rnd.IntN(200) == 0 {
				now += 5 * time.Minute
			}
			w.advance(now)
			n := rnd.Int64N(10)
			w.add(n)
			all = append(all, event{now, n})
			var atLeast, atMost int64 // of the last 60 s, and of the last 61
			for _, e := range all[max(0, len(all)-500):] {
				if now-e.at < time.Minute {
					atLeast += e.n
				}
				if now-e.at <= time.Minute+time.Second {
					atMost += e.n
				}
			}
			if w.total < atLeast || w.total > atMost {
				t.Fatalf("counted %d, there were %d to %d", w.total, atLeast, atMost)
			}
			most := w.total + 3
			if wait := w.wait(now, 8, most); wait > 0 {
				probe := w
				probe.advance(now + wait)
				if probe.total+8 > most {
					t.Fatalf("after %v there is no room", wait)
				}
				probe = w
				probe.advance(now + wait - 1)
				if probe.total+8 <= most {
					t.Fatalf("there was room before %v", wait)
				}
			}
			if rnd.IntN(4) == 0 {
				e := all[len(all)-1]
				w.sub(e.at, e.n)
				all = all[:len(all)-1]
			}
		}
		probe := w
		probe.advance(w.empty(now))
		if probe.total != 0 {
			t.Fatal("not empty when it should be")
		}
	}
}

func TestWindowSurvivesOddTimes(t *testing.T) {
	w := newWindow(time.Minute)
	w.advance(-5 * time.Minute)
	w.add(3)
	w.advance(-time.Hour)
	w.sub(-5*time.Minute, 9)
	w.sub(time.Hour, 9)
	w.add(1 << 40) // bounded
	if w.total < 0 || w.total > 1<<31 {
		t.Error(w.total)
	}
	w.advance(1 << 62)
	if w.total != 0 {
		t.Error(w.total)
	}
	tiny := newWindow(1)
	tiny.advance(5)
	tiny.add(1)
	if tiny.wait(5, 1, 1) <= 0 {
		t.Error("no wait")
	}
}
