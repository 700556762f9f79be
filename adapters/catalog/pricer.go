package catalog

import "sync/atomic"

// Pricer tells what the calls of one deployment cost. It is safe for concurrent use.
//
// As in LiteLLM the model that a provider says has answered counts: behind an alias, and behind an Azure
// deployment's name, is a snapshot with prices of its own. Where the deployment has prices or a base_model
// of its own, those hold.
type Pricer struct {
	provider string
	info     Info
	fixed    bool
	regional bool
	last     [2]atomic.Pointer[priced] // the models that answered and were asked for
}

// priced remembers a model's prices: the next call's are nearly always the same.
type priced struct {
	model string
	info  Info
	known bool
}

// NewPricer makes the Pricer of a deployment of a provider. info is what is known of its own model; fixed
// tells that no answer's model changes that.
func NewPricer(provider string, info Info, fixed bool) *Pricer {
	info.Prices.joint = provider == "perplexity"
	return &Pricer{provider: provider, info: info, fixed: fixed}
}

// Regional tells that the deployment is at an endpoint of one region, which some of Google's models cost more
// at (https://cloud.google.com/vertex-ai/generative-ai/pricing), before the Pricer is used.
func (p *Pricer) Regional() { p.regional, p.info.Prices.regional = true, true }

// Info is what is known of the deployment's own model.
func (p *Pricer) Info() *Info { return &p.info }

// Fixed reports whether the deployment's own prices hold, whatever a provider says of a call.
func (p *Pricer) Fixed() bool { return p.fixed }

// For are the prices of a call that was sent to a model, and answered by one that the provider named;
// either may be empty.
func (p *Pricer) For(asked, answered string) *Prices {
	if p.fixed {
		return &p.info.Prices
	}
	for i, model := range [...]string{answered, asked} {
		if model == "" {
			continue
		}
		if found := p.find(&p.last[i], model); found != nil {
			return found
		}
	}
	return &p.info.Prices
}

// Knows reports whether a model that a provider says has answered has prices.
func (p *Pricer) Knows(answered string) bool {
	return p.fixed || answered != "" && p.find(&p.last[0], answered) != nil
}

func (p *Pricer) find(in *atomic.Pointer[priced], model string) *Prices {
	last := in.Load()
	if last == nil || last.model != model {
		last = &priced{model: model}
		last.info, last.known = Lookup(p.provider, model)
		last.info.Prices.regional, last.info.Prices.joint = p.regional, p.info.Prices.joint
		in.Store(last)
	}
	if !last.known || !last.info.Prices.Known() {
		return nil
	}
	return &last.info.Prices
}
