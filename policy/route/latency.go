package route

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// latencyBased takes the fastest deployment, as LiteLLM measures it: the mean of the newest times per output
// token, or of times to the first token for a stream, where there are any. Deployments without a measurement
// are tried first; an attempt that ran into its timeout counts as 1,000 seconds. Of those within the buffer
// of the fastest one is drawn. See https://docs.litellm.ai/docs/routing.
type latencyBased struct {
	ttl        time.Duration
	buffer     float64
	samples    int
	percentile float64
}

func newLatencyBased(a StrategyArgs) latencyBased {
	return latencyBased{
		ttl: cmp.Or(a.TTL, time.Hour), buffer: a.LatencyBuffer,
		samples: min(max(cmp.Or(a.MaxSamples, 10), 1), maxSamples), percentile: min(a.TTFTPercentile, 1),
	}
}

func (l latencyBased) Order(cs []Candidate, want int, r *Round) {
	fastest := math.Inf(1)
	for i := range cs {
		cs[i].score = l.of(cs[i].Traffic, r)
		fastest = min(fastest, cs[i].score)
	}
	if l.buffer > 0 {
		for i := range cs {
			if cs[i].score <= fastest*(1+l.buffer) {
				cs[i].score = fastest
			}
		}
	}
	byScore(cs, want, r)
}

// of is a deployment's latency in seconds; 0: not known.
func (l latencyBased) of(t *Traffic, r *Round) float64 {
	var room [maxSamples]float64
	if r.Stream {
		if samples := t.latencies(room[:0], true, r.Now, l.samples, l.ttl); len(samples) > 0 {
			if l.percentile > 0 {
				slices.Sort(samples)
				return samples[int(math.Ceil(float64(len(samples))*l.percentile))-1]
			}
			return mean(samples)
		}
	}
	return mean(t.latencies(room[:0], false, r.Now, l.samples, l.ttl))
}

func mean(samples []float64) float64 {
	if len(samples) == 0 {
		return 0
	}
	var sum float64
	for _, s := range samples {
		sum += s
	}
	return sum / float64(len(samples))
}
