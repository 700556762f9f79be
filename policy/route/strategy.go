package route

// SimpleShuffle is the default routing_strategy: a random choice by weights.
const SimpleShuffle = "simple-shuffle"

// View is what a strategy may know of a deployment beyond its settings.
type View interface {
	State(deploymentID string) State
}

// Strategy says in which order to try deployments that may all be used. It is stateless or safe for
// concurrent use; it sees deployments and their health, never requests.
type Strategy interface {
	// Order rearranges ds, best first. Only the first want places matter. rnd is uniform in [0, 1).
	Order(ds []*Deployment, want int, view View, rnd func() float64)
}

// strategies are those that are built; NewTable warns of any other name.
var strategies = map[string]Strategy{
	SimpleShuffle: simpleShuffle{},
}

// simpleShuffle draws without replacement by weight, else rpm, else tpm: by the first of the three that
// any deployment has. Deployments without it get what LiteLLM gives them, nothing, until only they are
// left. See https://docs.litellm.ai/docs/routing#routing-strategies.
type simpleShuffle struct{}

func (simpleShuffle) Order(ds []*Deployment, want int, _ View, rnd func() float64) {
	share := shares(ds)
	for i := 0; i < min(want, len(ds)-1); i++ {
		j := draw(ds[i:], share, rnd)
		ds[i], ds[i+j] = ds[i+j], ds[i]
	}
}

// draw picks an index of ds with a probability in proportion to its share.
func draw(ds []*Deployment, share func(*Deployment) float64, rnd func() float64) int {
	var total float64
	for _, d := range ds {
		total += share(d)
	}
	if total <= 0 { // only deployments without a share are left
		return min(int(rnd()*float64(len(ds))), len(ds)-1)
	}
	x, last := rnd()*total, 0
	for i, d := range ds {
		s := share(d)
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

func shares(ds []*Deployment) func(*Deployment) float64 {
	for _, of := range [...]func(*Deployment) float64{weight, rpm, tpm} {
		for _, d := range ds {
			if of(d) > 0 {
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
