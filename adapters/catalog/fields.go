package catalog

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// rateFields are the rates: their codes in models.txt and LiteLLM's names.
var rateFields = []struct {
	code, name string
	of         func(*Rates) **float64
}{
	{"i", "input_cost_per_token", func(r *Rates) **float64 { return &r.Input }},
	{"o", "output_cost_per_token", func(r *Rates) **float64 { return &r.Output }},
	{"r", "cache_read_input_token_cost", func(r *Rates) **float64 { return &r.CachedRead }},
	{"w", "cache_creation_input_token_cost", func(r *Rates) **float64 { return &r.CacheWrite }},
	{"W", "cache_creation_input_token_cost_above_1hr", func(r *Rates) **float64 { return &r.CacheWriteHour }},
	{"t", "output_cost_per_reasoning_token", func(r *Rates) **float64 { return &r.Reasoning }},
}

// priceFields are the prices that exist once a model.
var priceFields = []struct {
	code, name string
	of         func(*Prices) **float64
}{
	{"a", "input_cost_per_audio_token", func(p *Prices) **float64 { return &p.InputAudio }},
	{"A", "output_cost_per_audio_token", func(p *Prices) **float64 { return &p.OutputAudio }},
	{"ra", "cache_read_input_audio_token_cost", func(p *Prices) **float64 { return &p.CachedReadAudio }},
	{"g", "input_cost_per_image_token", func(p *Prices) **float64 { return &p.InputImageToken }},
	{"G", "output_cost_per_image_token", func(p *Prices) **float64 { return &p.OutputImageToken }},
	{"ii", "input_cost_per_image", func(p *Prices) **float64 { return &p.InputImage }},
	{"oi", "output_cost_per_image", func(p *Prices) **float64 { return &p.OutputImage }},
	{"s", "cost_per_second", func(p *Prices) **float64 { return &p.PerSecond }},
	{"is", "input_cost_per_second", func(p *Prices) **float64 { return &p.InputSecond }},
	{"os", "output_cost_per_second", func(p *Prices) **float64 { return &p.OutputSecond }},
	{"ia", "input_cost_per_audio_per_second", func(p *Prices) **float64 { return &p.InputAudioTime }},
	{"q", "input_cost_per_query", func(p *Prices) **float64 { return &p.InputQuery }},
	{"p", "input_cost_per_request", func(p *Prices) **float64 { return &p.PerRequest }},
	{"c", "input_cost_per_character", func(p *Prices) **float64 { return &p.InputCharacter }},
	{"h", searchField, func(p *Prices) **float64 { return &p.Search }},
	{"hm", "google_maps_grounding_cost_per_query", func(p *Prices) **float64 { return &p.Lookup }},
	{"hq", searchUnit, func(p *Prices) **float64 { return &p.SearchEach }},
	{"u", "regional_endpoint_uplift_multiplier", func(p *Prices) **float64 { return &p.Regional }},
}

// LiteLLM gives what a search costs by the size of its context, which makes no difference where it is billed here, and
// says in a word what is billed.
const (
	searchField = "search_context_cost_per_query"
	searchUnit  = "web_search_billing_unit"
)

var limitFields = []struct {
	code, name string
	of         func(*Info) *int64
}{
	{"I", "max_input_tokens", func(i *Info) *int64 { return &i.MaxInputTokens }},
	{"O", "max_output_tokens", func(i *Info) *int64 { return &i.MaxOutputTokens }},
	{"M", "max_tokens", func(i *Info) *int64 { return &i.MaxTokens }},
	{"d", "output_vector_size", func(i *Info) *int64 { return &i.Dimensions }},
}

// services are the tiers of service: their letters and LiteLLM's suffixes.
var services = []struct {
	letter, suffix string
	of             func(*Prices) **Service
}{
	{"p", "priority", func(p *Prices) **Service { return &p.Priority }},
	{"f", "flex", func(p *Prices) **Service { return &p.Flex }},
}

// set puts the value of a field of models.txt where it belongs: code, @ and the tier of service, > and the
// number of tokens above which it holds.
func (i *Info) set(code string, v *float64) {
	base, above, stepped := strings.Cut(code, ">")
	base, letter, tiered := strings.Cut(base, "@")
	for _, f := range rateFields {
		if f.code != base {
			continue
		}
		var tokens int64
		if stepped {
			n, err := strconv.ParseInt(above, 10, 64)
			if err != nil {
				return
			}
			tokens = n
		}
		if r := i.Prices.ratesAt(letter, tiered, tokens, stepped); r != nil {
			*f.of(r) = v
		}
		return
	}
	for _, f := range priceFields {
		if f.code == base {
			*f.of(&i.Prices) = v
			return
		}
	}
	for _, f := range limitFields {
		if f.code == base && *v >= 0 && *v < math.MaxInt64/2 {
			*f.of(i) = int64(*v)
			return
		}
	}
}

// ratesAt finds or makes the rates of a tier of service above a number of tokens.
func (p *Prices) ratesAt(letter string, tiered bool, above int64, stepped bool) *Rates {
	rates, steps := &p.Rates, &p.Steps
	if tiered {
		rates = nil
		for _, s := range services {
			if s.letter == letter {
				service := s.of(p)
				if *service == nil {
					*service = new(Service)
				}
				rates, steps = &(*service).Rates, &(*service).Steps
			}
		}
	}
	if rates == nil || !stepped {
		return rates
	}
	at, found := slices.BinarySearchFunc(*steps, above, func(s Step, n int64) int { return int(s.Above - n) })
	if !found {
		*steps = slices.Insert(*steps, at, Step{Above: above})
	}
	return &(*steps)[at].Rates
}

// With is a deployment's view of a model: prices (US dollars), limits (tokens) and abilities (0: it has it
// not) of its own, by LiteLLM's names, over the catalogue's. Who names a price of input knows what input costs: the catalogue's prices
// for cached, audio and long input go, unless they are named as well. The same holds for output.
func (i Info) With(own map[string]float64) Info {
	set := map[string]*float64{}
	for name, v := range own {
		if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
			continue
		}
		set[name] = &v
	}
	i.Prices = i.Prices.copy()
	p := &i.Prices
	if set["input_cost_per_token"] != nil || set["output_cost_per_token"] != nil {
		p.Regional = nil
		p.Steps, p.Flex, p.Priority, p.PerRequest = nil, nil, nil, nil
	}
	if set["input_cost_per_token"] != nil {
		p.CachedRead, p.CacheWrite, p.CacheWriteHour = nil, nil, nil
		p.InputAudio, p.InputImageToken, p.CachedReadAudio = nil, nil, nil
	}
	if set["output_cost_per_token"] != nil {
		p.Reasoning, p.OutputAudio, p.OutputImageToken = nil, nil, nil
	}
	if named := first(set["input_cost_per_second"], set["output_cost_per_second"], set["cost_per_second"]); named != nil &&
		set["input_cost_per_token"] == nil && set["output_cost_per_token"] == nil {
		*p = Prices{} // billed by time, not by tokens
	}
	for name, v := range set {
		for _, a := range abilities {
			if a.name == name && *v == 0 {
				i.Abilities &^= a.is
			} else if a.name == name {
				i.Abilities |= a.is
			}
		}
		if code := codeOf(name); code != "" {
			i.set(code, v)
		}
	}
	return i
}

// copy shares nothing that With writes to.
func (p Prices) copy() Prices {
	p.Steps = slices.Clone(p.Steps)
	for _, s := range services {
		if service := s.of(&p); *service != nil {
			*service = &Service{Rates: (*service).Rates, Steps: slices.Clone((*service).Steps)}
		}
	}
	return p
}

// codeOf is the code of LiteLLM's name of a field; empty: it has none here.
func codeOf(name string) string {
	suffix := ""
	for _, s := range services {
		if base, ok := strings.CutSuffix(name, "_"+s.suffix); ok {
			name, suffix = base, "@"+s.letter
		}
	}
	above := ""
	if base, ok := strings.CutSuffix(name, "_tokens"); ok && strings.Contains(base, "_above_") {
		at := strings.LastIndex(base, "_above_")
		digits, thousands := strings.CutSuffix(base[at+len("_above_"):], "k")
		n, err := strconv.ParseInt(digits, 10, 32)
		if err != nil {
			return ""
		}
		if thousands {
			n *= 1000
		}
		name, above = base[:at], ">"+strconv.FormatInt(n, 10)
	}
	for _, f := range rateFields {
		if f.name == name {
			return f.code + suffix + above
		}
	}
	if suffix+above != "" {
		return ""
	}
	for _, f := range priceFields {
		if f.name == name {
			return f.code
		}
	}
	for _, f := range limitFields {
		if f.name == name {
			return f.code
		}
	}
	return ""
}

// Fields gives what is known by LiteLLM's names, as GET /model/info shows it: numbers, texts and true. The
// key "key" is the name in the catalogue.
func (i *Info) Fields() map[string]any {
	out := map[string]any{}
	for name, text := range map[string]string{"key": i.Name, "litellm_provider": i.Provider, "mode": i.Mode} {
		if text != "" {
			out[name] = text
		}
	}
	for _, f := range limitFields {
		if n := *f.of(i); n > 0 {
			out[f.name] = n
		}
	}
	for _, f := range priceFields {
		switch v := *f.of(&i.Prices); {
		case v == nil:
		case f.name == searchField:
			out[f.name] = map[string]float64{"search_context_size_low": *v, "search_context_size_medium": *v, "search_context_size_high": *v}
		case f.name == searchUnit:
			out[f.name] = "per_query"
		default:
			out[f.name] = *v
		}
	}
	i.Prices.Rates.fields(out, "")
	for _, s := range i.Prices.Steps {
		s.fields(out, s.suffix())
	}
	for _, s := range services {
		if service := *s.of(&i.Prices); service != nil {
			service.fields(out, "_"+s.suffix)
			for _, step := range service.Steps {
				step.fields(out, step.suffix()+"_"+s.suffix)
			}
		}
	}
	for _, a := range abilities {
		if i.Can(a.is) {
			out[a.name] = true
		}
	}
	return out
}

func (r *Rates) fields(out map[string]any, suffix string) {
	for _, f := range rateFields {
		if v := *f.of(r); v != nil {
			out[f.name+suffix] = *v
		}
	}
}

// suffix is LiteLLM's way to name a step: in thousands, rounded up, for some begin one token earlier.
func (s *Step) suffix() string {
	if n := s.Above; n%1000 != 0 && n%1000 != 999 {
		return "_above_" + strconv.FormatInt(n, 10) + "_tokens"
	}
	return "_above_" + strconv.FormatInt((s.Above+999)/1000, 10) + "k_tokens"
}
