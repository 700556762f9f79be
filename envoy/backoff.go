package envoy

import "time"

const (
	// firstBackoff is the pause before the first restart.
	firstBackoff = 100 * time.Millisecond
	// maxBackoff is the longest pause between restarts.
	maxBackoff = 30 * time.Second
	// healthyAfter is how long Envoy must have run for the next crash to count as the first.
	healthyAfter = time.Minute
)

// backoff counts crashes in a row.
type backoff struct{ crashes int }

// next is the pause after a process that ran for so long. random, in [0,1), spreads it over its second
// half, so that many gateways that crashed of one cause don't start in step.
func (b *backoff) next(ran time.Duration, random float64) time.Duration {
	if ran >= healthyAfter {
		b.crashes = 0
	}
	pause := maxBackoff
	// 2^9 × 100 ms is above the maximum already.
	if b.crashes < 9 {
		pause = min(maxBackoff, firstBackoff<<b.crashes)
	}
	b.crashes++
	return pause/2 + time.Duration(random*float64(pause/2))
}
