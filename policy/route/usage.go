package route

import "math"

// usageBased takes the deployment with the most room: that which has used the smallest share of its rpm or
// tpm, whichever is used more, within the last minute. Deployments without limits are compared as LiteLLM
// compares all of them, by the tokens of the last minute, then by requests: if one of a group has no limit,
// nobody's share says anything about it. Those that are full are not among the candidates.
//
// usage-based-routing and -v2 differ in LiteLLM only in how they count with several replicas.
type usageBased struct{}

func (usageBased) Order(cs []Candidate, want int, r *Round) {
	limited := true
	for i := range cs {
		d := cs[i].Deployment
		limited = limited && (d.RPM > 0 || d.TPM > 0)
	}
	for i := range cs {
		d := cs[i].Deployment
		requests, tokens := cs[i].Traffic.Usage(r.Now)
		if limited {
			cs[i].score = max(part(requests, d.RPM), part(tokens, d.TPM))
		} else { // requests under way have no tokens yet
			cs[i].score = tokens + min(requests, math.MaxInt32)*1e-12
		}
	}
	byScore(cs, want, r)
}

func part(used, limit float64) float64 {
	if limit <= 0 {
		return 0
	}
	return used / limit
}
