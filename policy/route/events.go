package route

import (
	"sync"
	"time"
)

// Event is a change of a deployment's health.
type Event struct {
	At           time.Time
	DeploymentID string
	Group        string
	Kind         EventKind
	Until        time.Time // of Out
	Why          string    // of Out: a phrase such as "429 rate_limit"
	Status       int       // of Out: of the last failure; 0: no answer
	Streak       int       // of Out: how many times in a row; from the second on it rests longer
}

// EventKind is what happened.
type EventKind string

// The kinds of events.
const (
	Out   EventKind = "out"   // it starts to cool down
	Trial EventKind = "trial" // its cooldown is over, and one call is sent to try it
	Back  EventKind = "back"  // the first good answer after a cooldown
)

const keptEvents = 256

// events keeps the newest events.
type events struct {
	mu   sync.Mutex
	ring [keptEvents]Event
	n    int // of all times
}

func (l *events) add(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ring[l.n%keptEvents] = e
	l.n++
}

// Events are the newest events, at most 256, newest first.
func (h *Health) Events() []Event {
	l := &h.log
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]Event, 0, min(l.n, keptEvents))
	for i := l.n - 1; i >= 0 && i >= l.n-keptEvents; i-- {
		out = append(out, l.ring[i%keptEvents])
	}
	return out
}

func (h *Health) emit(e Event) {
	e.At = h.clock()
	h.log.add(e)
	if h.onEvent != nil {
		h.onEvent(e)
	}
}
