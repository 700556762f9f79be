package extproc

import (
	"strings"
	"testing"

	"github.com/sluicegw/sluice/adapters/catalog"
	"github.com/sluicegw/sluice/envoy/names"
	"github.com/sluicegw/sluice/internal/money"
)

// TestHeldBesideWords: what a budget holds for a call covers its searches and its audio, too.
func TestHeldBesideWords(t *testing.T) {
	own := catalog.Info{}.With(map[string]float64{
		"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6, "input_cost_per_audio_token": 1e-4, "output_cost_per_audio_token": 1e-3,
	})
	searched, ok := catalog.Lookup("openai", "gpt-4o-search-preview")
	if !ok || searched.Prices.Search == nil {
		t.Fatal("the catalogue does not tell what a search costs")
	}
	gemini, ok := catalog.Lookup("gemini", "gemini-2.5-flash")
	if !ok {
		t.Fatal("the model is not in the catalogue")
	}
	for _, c := range []struct {
		name, with  string
		prices      *catalog.Pricer
		least, most float64 // dollars, of 1000 tokens each way
	}{
		{"words", ``, catalog.NewPricer("openai", own, true), 0.002, 0.002},
		{"audio", `"modalities":["text","audio"],`, catalog.NewPricer("openai", own, true), 1.1, 1.1},
		{"a model that searches", ``, catalog.NewPricer("openai", searched, false), 0.025, 0.05},
		{"no search", ``, catalog.NewPricer("gemini", gemini, false), 0.001, 0.01},
		{"searches, billed as one", `"tools":[{"googleSearch":{}}],`, catalog.NewPricer("gemini", gemini, false), 0.06, 0.07},
	} {
		e := connect(t)
		keepBook(t, e.server)
		for _, d := range e.server.snapshot.Load().Deployments {
			d.Prices = c.prices
		}
		stream := e.open(t.Context(), names.FilterRouter)
		e.ask(stream, goodHeaders())
		sent := e.ask(stream, requestBody(strings.Replace(body, "{", "{"+c.with, 1))).GetRequestBody().GetResponse()
		call := e.server.calls.get(set(sent.GetHeaderMutation(), names.HeaderCall))
		if call == nil {
			t.Fatal(c.name, "was refused")
		}
		if got := call.bound(call.plan.At(0), 1000, 1000); got < money.FromDollars(c.least) || got > money.FromDollars(c.most) {
			t.Errorf("%s: %v is held, want %v to %v dollars", c.name, got, c.least, c.most)
		}
	}
}
