package catalog

import "strings"

// pieces is what a call costs beside its tokens: by the request, the query, the image and the search.
func (p *Prices) pieces(t Tokens) float64 {
	return or(p.PerRequest, 0) + or(p.InputQuery, 0)*float64(atLeast0(t.Queries)) + or(p.InputImage, 0)*float64(atLeast0(t.Images)) +
		or(p.Search, 0)*p.billed(t.Searches) + or(p.Lookup, 0)*p.billed(t.Lookups)
}

// billed is how many of a prompt's searches cost something.
func (p *Prices) billed(n int64) float64 {
	if p.once && n > 1 {
		n = 1
	}
	return float64(atLeast0(n))
}

// What a search costs where the catalogue does not tell, as LiteLLM has it
// (https://ai.google.dev/gemini-api/docs/pricing).
const (
	googleSearch     = 0.035
	googleLookup     = 0.025
	googleLookupEach = 0.014
	xaiSearch        = 0.005 // https://docs.x.ai/docs/models#tools-pricing
)

// grounded completes the prices of searches with models whose providers count them. Google bills prompts, unless a
// model bills each search.
func (i *Info) grounded() {
	p := &i.Prices
	if p.Search != nil && (i.Provider == "perplexity" || strings.Contains(i.Name, "-search")) {
		p.Unasked = 1
	}
	if i.Provider == "xai" && p.Search == nil {
		price := xaiSearch
		p.Search = &price
		return
	}
	if i.Provider != "gemini" && !strings.HasPrefix(i.Provider, "vertex_ai") || strings.Contains(i.Provider, "anthropic") {
		return
	}
	search, lookup := googleSearch, googleLookup
	if p.SearchEach == nil {
		p.once = true
	} else {
		lookup = googleLookupEach
	}
	p.Search, p.Lookup = first(p.Search, &search), first(p.Lookup, &lookup)
}
