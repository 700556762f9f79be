package route

// p2c draws two deployments and takes the one that promises the shorter wait: its latency times the calls
// that would then be under way. Latency is a peak-EWMA: it rises with one slow answer at once and falls
// slowly, so a deployment in trouble is left alone before it fails
// (https://twitter.github.io/finagle/guide/Clients.html#power-of-two-choices-p2c-least-loaded). Two draws
// instead of the best of all keep everybody from running to the same one. A weight makes a deployment be
// drawn more often.
type p2c struct{}

func (p p2c) Order(cs []Candidate, want int, r *Round) {
	share := even
	for i := range cs {
		if cs[i].Deployment.Weight > 0 {
			share = weight
			break
		}
	}
	for i := range cs {
		cs[i].score = share(cs[i].Deployment)
	}
	for i := 0; i < min(want, len(cs)-1); i++ {
		rest := cs[i:]
		a := draw(rest, r.Rand)
		rest[0], rest[a] = rest[a], rest[0]
		b := 1 + draw(rest[1:], r.Rand)
		// A share of 0 is for when nobody else is left.
		if rest[b].score > 0 && p.cost(&rest[b], r) < p.cost(&rest[0], r) {
			rest[0], rest[b] = rest[b], rest[0]
		}
	}
}

// untried is the cost of a deployment that has been asked and has not answered yet: one call at a time finds
// out what it is like.
const untried = 1e9

func (p p2c) cost(c *Candidate, r *Round) float64 {
	waiting := float64(c.Traffic.InFlight())
	latency := c.Traffic.Peak(r.Now, r.Stream)
	if latency == 0 && waiting > 0 {
		return untried + waiting
	}
	return latency * (waiting + 1)
}
