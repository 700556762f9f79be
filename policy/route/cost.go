package route

import "math"

// costBased takes the cheapest deployment by the sum of its prices for an input and an output token, as
// LiteLLM does. Those whose price nobody knows come last.
type costBased struct{}

func (costBased) Order(cs []Candidate, want int, r *Round) {
	for i := range cs {
		d := cs[i].Deployment
		cs[i].score = math.Inf(1)
		if d.Priced {
			cs[i].score = d.InputCost + d.OutputCost
		}
	}
	byScore(cs, want, r)
}
