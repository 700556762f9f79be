package route

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// maxSamples bounds max_latency_list_size.
const maxSamples = 32

// timeoutPenalty is what LiteLLM takes an attempt for that ran into its timeout.
const timeoutPenalty = 1000 * time.Second

// Traffic is what is known of the calls to one deployment: those under way, those of the last minute, and how
// long they took. It is safe for concurrent use; its lock is of one deployment and held for nanoseconds. A nil
// Traffic has none.
type Traffic struct {
	inFlight atomic.Int64

	mu     sync.Mutex
	usage  usage
	whole  pace // seconds per output token, or the whole where there are none
	stream pace // seconds to the first token
}

// InFlight is how many calls are under way.
func (t *Traffic) InFlight() int64 {
	if t == nil {
		return 0
	}
	return t.inFlight.Load()
}

// Usage is what was asked and used within the last minute.
func (t *Traffic) Usage(now time.Duration) (requests, tokens float64) {
	if t == nil {
		return 0, 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.usage.roll(now)
	return float64(t.usage.requests), float64(t.usage.tokens)
}

// Peak is the peak-EWMA of latencies in seconds; 0: never measured, or long ago.
func (t *Traffic) Peak(now time.Duration, stream bool) float64 {
	if t == nil {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.pace(stream)
	if p.count == 0 {
		p = t.pace(!stream) // better than nothing
	}
	return p.peak(now)
}

// latencies appends the newest n samples that are younger than ttl, in seconds.
func (t *Traffic) latencies(to []float64, stream bool, now time.Duration, n int, ttl time.Duration) []float64 {
	if t == nil {
		return to
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.pace(stream)
	for i := 1; i <= min(n, p.count); i++ {
		s := &p.samples[(p.next-i+maxSamples)%maxSamples]
		if now-s.at > ttl {
			break
		}
		to = append(to, s.seconds)
	}
	return to
}

func (t *Traffic) pace(stream bool) *pace {
	if stream {
		return &t.stream
	}
	return &t.whole
}

func (t *Traffic) sent(now time.Duration) {
	t.inFlight.Add(1)
	t.mu.Lock()
	t.usage.roll(now)
	t.usage.slots[t.usage.newest%usageSlots].requests++
	t.usage.requests++
	t.mu.Unlock()
}

// over ends a call that sent began.
func (t *Traffic) over(now time.Duration, e *Ending) {
	t.inFlight.Add(-1)
	t.mu.Lock()
	defer t.mu.Unlock()
	if e.Tokens > 0 {
		t.usage.roll(now)
		t.usage.slots[t.usage.newest%usageSlots].tokens += e.Tokens
		t.usage.tokens += e.Tokens
	}
	if e.Took > 0 {
		per := e.Took.Seconds()
		if e.OutputTokens > 0 {
			per /= float64(e.OutputTokens)
		}
		t.whole.add(now, per, per)
		if e.FirstToken > 0 {
			t.stream.add(now, e.FirstToken.Seconds(), e.FirstToken.Seconds())
		}
	}
}

// timedOut notes an attempt that ran into its timeout. How long it would have taken nobody knows: the peaks
// double, so that others are preferred for a while.
func (t *Traffic) timedOut(now time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.whole.add(now, timeoutPenalty.Seconds(), 2*max(t.whole.ewma, 1))
	if t.stream.count > 0 {
		t.stream.raise(now, 2*max(t.stream.ewma, 1))
	}
}

// usage counts in slots of five seconds, the newest twelve of which are the last minute.
type usage struct {
	newest           int64
	requests, tokens int64
	slots            [usageSlots]struct{ requests, tokens int64 }
}

const (
	usageSlots = 12
	usageSlot  = time.Minute / usageSlots
)

func (u *usage) roll(now time.Duration) {
	at := int64(max(now, 0) / usageSlot)
	for gone := 0; u.newest < at && gone < usageSlots; gone++ {
		u.newest++
		s := &u.slots[u.newest%usageSlots]
		u.requests -= s.requests
		u.tokens -= s.tokens
		s.requests, s.tokens = 0, 0
	}
	u.newest = max(u.newest, at)
}

// pace is how long calls took: the newest samples, and a peak-EWMA.
type pace struct {
	count, next int
	samples     [maxSamples]struct {
		at      time.Duration
		seconds float64
	}
	ewma float64
	at   time.Duration // of ewma
}

// add takes a sample, and what the peak-EWMA is to see of it.
func (p *pace) add(now time.Duration, sample, peak float64) {
	s := &p.samples[p.next]
	s.at, s.seconds = now, sample
	p.next = (p.next + 1) % maxSamples
	p.count = min(p.count+1, maxSamples)
	if peak > p.ewma {
		p.ewma = peak
	} else {
		w := decayed(now - p.at)
		p.ewma = p.ewma*w + peak*(1-w)
	}
	p.at = now
}

// raise lifts the peak alone.
func (p *pace) raise(now time.Duration, to float64) { p.ewma, p.at = max(p.ewma, to), now }

// peak falls with the time that nothing was measured, so that who was slow is asked again.
func (p *pace) peak(now time.Duration) float64 {
	if p.ewma == 0 {
		return 0
	}
	return p.ewma * decayed(now-p.at)
}

// decayed is what is left after a time of which ten seconds leave a third (1/e), as in Finagle.
func decayed(d time.Duration) float64 { return math.Exp(-max(d, 0).Seconds() / 10) }
