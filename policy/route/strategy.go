package route

import (
	"slices"
	"strings"
	"time"
)

// The values of routing_strategy. The first seven are LiteLLM's (https://docs.litellm.ai/docs/routing).
const (
	SimpleShuffle   = "simple-shuffle"
	LeastBusy       = "least-busy"
	UsageBased      = "usage-based-routing"
	UsageBasedV2    = "usage-based-routing-v2"
	LatencyBased    = "latency-based-routing"
	CostBased       = "cost-based-routing"
	P2C             = "p2c"
	SessionAffinity = "session-affinity"
)

// Strategies are the names of the strategies.
func Strategies() []string {
	return []string{SimpleShuffle, LeastBusy, UsageBased, UsageBasedV2, LatencyBased, CostBased, P2C, SessionAffinity}
}

// StrategyNamed is the strategy's name for a name as people write it: with _ for -, or in capitals. "" when
// there is none.
func StrategyNamed(name string) string {
	name = strings.ReplaceAll(strings.ToLower(strings.TrimSpace(name)), "_", "-")
	if name == "power-of-two-choices" {
		return P2C
	}
	if slices.Contains(Strategies(), name) {
		return name
	}
	return ""
}

// Strategy says in which order to try deployments that may all be used. It is stateless or safe for
// concurrent use; it sees deployments and their traffic, never requests.
type Strategy interface {
	// Order rearranges cs, best first. Only the first want places matter.
	Order(cs []Candidate, want int, r *Round)
}

// Candidate is a deployment that may be used.
type Candidate struct {
	Deployment *Deployment
	Traffic    *Traffic // nil: nothing is known of it, which its methods take for no traffic

	score float64 // lower is better
	tier  int
	probe bool // its cooldown is over and nobody has tried it since
}

// Round is what a strategy may know of one choice beside the candidates.
type Round struct {
	Now    time.Duration  // for Traffic's methods
	Stream bool           // the answer will be streamed
	Rand   func() float64 // uniform in [0, 1)

	// Session is what ties calls together: the same for calls that should meet the same deployment. 0: nothing
	// does. It may cost time to find out, so it is only called by whom it concerns.
	Session func(by Affinity) uint64
}

// StrategyArgs is routing_strategy_args. The zero value is LiteLLM's defaults.
type StrategyArgs struct {
	// Of latency-based-routing:
	TTL            time.Duration // how long a measurement counts; 0: an hour
	LatencyBuffer  float64       // lowest_latency_buffer: 0.1 takes whoever is within 10 % of the fastest for as good
	MaxSamples     int           // max_latency_list_size: the newest that count; 0: 10
	TTFTPercentile float64       // of times to the first token; 0: their mean
}

// newStrategy makes a strategy by its name, nil for an unknown one.
func newStrategy(name string, a StrategyArgs) Strategy {
	switch name {
	case SimpleShuffle:
		return simpleShuffle{}
	case LeastBusy:
		return leastBusy{}
	case UsageBased, UsageBasedV2:
		return usageBased{}
	case LatencyBased:
		return newLatencyBased(a)
	case CostBased:
		return costBased{}
	case P2C:
		return p2c{}
	case SessionAffinity:
		return affinity{by: BySession | ByUser | ByPrompt, otherwise: p2c{}}
	}
	return nil
}

// byScore brings the want candidates with the lowest scores to the front, those with equal scores in random
// order: nobody shall always be first only because the file names it first.
func byScore(cs []Candidate, want int, r *Round) {
	for i := 0; i < min(want, len(cs)-1); i++ {
		best, equal := i, 1
		for j := i + 1; j < len(cs); j++ {
			switch {
			case cs[j].score < cs[best].score:
				best, equal = j, 1
			case cs[j].score == cs[best].score:
				if equal++; r.Rand()*float64(equal) < 1 {
					best = j
				}
			}
		}
		cs[i], cs[best] = cs[best], cs[i]
	}
}
