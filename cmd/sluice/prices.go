package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/adapters/catalog"
	"github.com/sluicegw/sluice/cmd/sluice/config"
)

// pricer tells what a deployment's calls cost: by its own prices in litellm_params, else model_info, else
// by the catalogue, under the name of base_model or its own
// (https://docs.litellm.ai/docs/proxy/custom_pricing).
func pricer(d *config.Deployment) *catalog.Pricer {
	provider, named := adapters.NameOf(fullModel(d), d.APIBase)
	if d.Info.BaseModel != "" {
		named = d.Info.BaseModel
	}
	if region := d.ProviderParams["aws_region_name"].Reveal(); region != "" {
		named = region + "/" + named // prices differ between regions; without its own it is the model's
	}
	info, ok := catalog.Lookup(provider, named)
	if prefix, rest, slash := strings.Cut(d.Info.BaseModel, "/"); !ok && slash {
		// azure/gpt-4o behind another provider's name is still that model.
		if info, ok = catalog.Lookup(provider, rest); !ok {
			info, _ = catalog.Lookup(prefix, rest)
		}
	}
	own := maps.Clone(d.Info.Numbers)
	if own == nil {
		own = map[string]float64{}
	}
	maps.Copy(own, d.Prices)
	if d.Info.Mode != "" {
		info.Mode = d.Info.Mode
	}
	p := catalog.NewPricer(provider, info.With(own), d.Info.BaseModel != "" || priced(own))
	if provider == "vertex_ai" && regional(d) {
		p.Regional()
	}
	return p
}

// regional tells whether a deployment on Vertex AI names a location other than the global one.
func regional(d *config.Deployment) bool {
	for _, location := range [...]string{
		d.ProviderParams["vertex_location"].Reveal(), d.ProviderParams["vertex_ai_location"].Reveal(),
		os.Getenv("VERTEXAI_LOCATION"), os.Getenv("VERTEX_LOCATION"),
	} {
		if location != "" {
			return !strings.EqualFold(location, "global")
		}
	}
	return false
}

func priced(own map[string]float64) bool {
	for name := range own {
		if strings.Contains(name, "cost") {
			return true
		}
	}
	return false
}

// fullModel is the model with its provider, as far as the configuration says it.
func fullModel(d *config.Deployment) string {
	if d.Provider == "" {
		return d.Model
	}
	return d.Provider + "/" + strings.TrimPrefix(d.Model, d.Provider+"/")
}

// ownModels are providers of models that people run themselves, and for which nobody has a price.
var ownModels = map[string]bool{"demo": true, "ollama": true, "ollama_chat": true, "vllm": true, "hosted_vllm": true, "lm_studio": true,
	"llamafile": true, "xinference": true, "lemonade": true, "docker_model_runner": true, "oobabooga": true, "infinity": true}

// shownUnpriced is how many models the warning names.
const shownUnpriced = 5

// unpriced warns of models that no budget bounds, because nobody has said what they cost.
func (a *assembly) unpriced() []string {
	var without []*config.Deployment
	priced := map[string]bool{} // groups in which others have a price
	for i := range a.config.Deployments {
		d := &a.config.Deployments[i]
		provider, _ := adapters.NameOf(fullModel(d), d.APIBase)
		if ownModels[provider] || strings.Contains(d.Model, "*") || a.pricers[d.ID].Info().Prices.Known() {
			priced[d.Group] = true
			continue
		}
		without = append(without, d)
	}
	var names []string
	for _, d := range without {
		name := d.Group
		if priced[d.Group] {
			name = d.Name()
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	more := ""
	if n := len(names) - shownUnpriced; n > 0 {
		names, more = names[:shownUnpriced], fmt.Sprintf(" and %d more", n)
	}
	return []string{fmt.Sprintf("no price is known of %s%s: calls cost nothing, and no budget bounds them; give input_cost_per_token and output_cost_per_token, or model_info.base_model",
		strings.Join(names, ", "), more)}
}
