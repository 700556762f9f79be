package main

import (
	"strings"

	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/adapters/catalog"
	"github.com/sluicegw/sluice/cmd/sluice/config"
)

// routePrices are what a deployment's tokens cost, as far as choosing the cheapest is concerned. A model that is no
// longer in the price list is compared by what it cost last, or costs elsewhere: a retired Gemini Flash is still
// cheaper than GPT-4o mini. No bill is made by that.
func (a *assembly) routePrices(d *config.Deployment) (input, output float64, known bool) {
	if p := a.pricers[d.ID]; p != nil {
		if input, output, known = p.Info().Prices.PerToken(); known {
			return input, output, known
		}
	}
	provider, name := adapters.NameOf(fullModel(d), d.APIBase)
	if last, ok := lastPrices[provider+"/"+name]; ok {
		return last[0] / 1e6, last[1] / 1e6, true
	}
	for _, s := range sameModel(provider, name) {
		if info, ok := catalog.Lookup(s[0], s[1]); ok {
			if input, output, known = info.Prices.PerToken(); known {
				return input, output, known
			}
		}
	}
	return 0, 0, false
}

// lastPrices are those of models that the list has dropped and Vertex AI sells for more, as Google published them last:
// US dollars for a million tokens of input and of output (https://ai.google.dev/gemini-api/docs/pricing).
var lastPrices = map[string][2]float64{
	"gemini/gemini-2.0-flash":      {0.10, 0.40},
	"gemini/gemini-2.0-flash-001":  {0.10, 0.40},
	"gemini/gemini-2.0-flash-lite": {0.075, 0.30},
	"gemini/gemini-1.5-flash":      {0.075, 0.30},
	"gemini/gemini-1.5-flash-8b":   {0.0375, 0.15},
	"gemini/gemini-1.5-pro":        {1.25, 5.00},
}

// sameModel is a model at other providers, by provider and name.
func sameModel(provider, name string) [][2]string {
	switch provider {
	case "gemini":
		return [][2]string{{"vertex_ai", name}}
	case "vertex_ai":
		return [][2]string{{"gemini", name}}
	case "openai":
		return [][2]string{{"azure", name}}
	case "azure":
		return [][2]string{{"openai", name}}
	case "anthropic":
		return [][2]string{{"bedrock", "anthropic." + name + "-v1:0"}, {"vertex_ai", name}}
	case "bedrock", "bedrock_converse":
		if own, ok := strings.CutPrefix(name, "anthropic."); ok {
			own, _, _ = strings.Cut(own, "-v")
			return [][2]string{{"anthropic", own}}
		}
	}
	return nil
}
