package route

// leastBusy takes the deployment with the fewest calls under way. Where LiteLLM takes the first of several
// that are equally idle, one of them is drawn here.
type leastBusy struct{}

func (leastBusy) Order(cs []Candidate, want int, r *Round) {
	for i := range cs {
		cs[i].score = float64(cs[i].Traffic.InFlight())
	}
	byScore(cs, want, r)
}
