package route

// simpleShuffle draws without replacement by weight, else rpm, else tpm: by the first of the three that
// any deployment has. Deployments without it get what LiteLLM gives them, nothing, until only they are
// left. See https://docs.litellm.ai/docs/routing#routing-strategies.
type simpleShuffle struct{}

func (simpleShuffle) Order(cs []Candidate, want int, r *Round) {
	share := shares(cs)
	for i := range cs {
		cs[i].score = share(cs[i].Deployment)
	}
	for i := 0; i < min(want, len(cs)-1); i++ {
		j := draw(cs[i:], r.Rand)
		cs[i], cs[i+j] = cs[i+j], cs[i]
	}
}

// draw picks an index of cs with a probability in proportion to its score.
func draw(cs []Candidate, rnd func() float64) int {
	var total float64
	for i := range cs {
		total += cs[i].score
	}
	if total <= 0 { // only deployments without a share are left
		return min(int(rnd()*float64(len(cs))), len(cs)-1)
	}
	x, last := rnd()*total, 0
	for i := range cs {
		s := cs[i].score
		if s <= 0 {
			continue
		}
		if x < s {
			return i
		}
		x, last = x-s, i
	}
	return last // rounding took x past the end
}

func shares(cs []Candidate) func(*Deployment) float64 {
	for _, of := range [...]func(*Deployment) float64{weight, rpm, tpm} {
		for i := range cs {
			if of(cs[i].Deployment) > 0 {
				return of
			}
		}
	}
	return even
}

func weight(d *Deployment) float64 { return d.Weight }
func rpm(d *Deployment) float64    { return d.RPM }
func tpm(d *Deployment) float64    { return d.TPM }
func even(*Deployment) float64     { return 1 }
