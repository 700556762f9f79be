package catalog

import "github.com/sluicegw/sluice/internal/money"

// Prices of one model, in US dollars. A nil price is unknown, which is not the same as free.
type Prices struct {
	Rates          // of the standard tier of service
	Steps []Step   // dearer rates of long prompts, in ascending order
	Flex  *Service // of service_tier flex; nil: as standard
	// Priority is that of service_tier priority; nil: as standard.
	Priority *Service

	InputAudio      *float64 // a token of audio; nil: as Input
	OutputAudio     *float64 // nil: as Output
	CachedReadAudio *float64 // nil: as CachedRead
	InputImageToken *float64 // a token of an image in the prompt; nil: as Input
	// OutputImageToken is a token of an image that was made; nil: as Output.
	OutputImageToken *float64

	PerRequest     *float64
	PerSecond      *float64 // of the call's duration, where tokens have no price
	InputSecond    *float64 // the same, by an older name
	OutputSecond   *float64 // the same
	InputImage     *float64 // an image in the input of an embedding, beside its tokens
	InputQuery     *float64 // a query of a reranker
	InputCharacter *float64 // of an input whose characters the provider counted, in place of its tokens
	Search         *float64 // a web search, or a prompt that was answered with some
	Lookup         *float64 // the same of Google Maps
	// SearchEach, where it is not nil, says that each of a prompt's searches is billed, not the prompt; it counts
	// for Google's models.
	SearchEach *float64
	// InputAudioTime and OutputImage are known but not billed: no call here has a second of audio or an image as
	// its unit.
	InputAudioTime, OutputImage *float64
	// Regional is what all token prices are multiplied with at an endpoint of Vertex AI that is not the global one.
	Regional *float64
	// Unasked is how many searches the model is paid for with every answer, whether one was asked for or not.
	Unasked  int64
	regional bool // the deployment is at such an endpoint
	once     bool // a prompt's searches are billed as one
	joint    bool // reasoning without a price of its own is counted with the rest: Perplexity's, as LiteLLM adds it up
}

// Rates are prices of a token.
type Rates struct {
	Input, Output  *float64
	CachedRead     *float64 // a token read from the provider's prompt cache; nil: as Input
	CacheWrite     *float64 // a token written to it; nil: as Input
	CacheWriteHour *float64 // the same, kept for an hour; nil: as CacheWrite
	Reasoning      *float64 // a token of reasoning; nil: as Output
}

// Step is the rates of all tokens of a call whose prompt has more than Above of them; nil: as below it.
type Step struct {
	Above int64
	Rates
}

// Service is the rates of a tier of service; nil: as the standard one's.
type Service struct {
	Rates
	Steps []Step
}

// Known reports whether a call's cost can be told.
func (p *Prices) Known() bool {
	return p.Input != nil || p.Output != nil || p.PerRequest != nil || p.perSecond() != nil
}

func (p *Prices) perSecond() *float64 { return first(p.PerSecond, p.InputSecond, p.OutputSecond) }

// PerToken is what a token of a short prompt costs, and one of an answer; a price that is not known counts as
// nothing if the other one is.
func (p *Prices) PerToken() (input, output float64, known bool) {
	return or(p.Input, 0), or(p.Output, 0), p.Input != nil || p.Output != nil
}

// ServiceTier is how fast the provider served a call, by which some prices differ.
type ServiceTier uint8

// The tiers of service that have prices of their own.
const (
	StandardTier ServiceTier = iota
	PriorityTier
	FlexTier
)

// TierOf reads a service_tier of a provider's answer (https://platform.openai.com/docs/guides/priority-processing).
func TierOf(name string) ServiceTier {
	switch name {
	case "priority", "fast":
		return PriorityTier
	case "flex":
		return FlexTier
	}
	return StandardTier
}

// Tokens is what a call used. Prompt includes CachedRead, CacheWrite, PromptAudio and PromptImage; CacheWrite
// includes CacheWriteHour; Completion includes Reasoning, CompletionAudio and CompletionImage.
type Tokens struct {
	Prompt, CachedRead, CacheWrite, CacheWriteHour, PromptAudio, PromptImage int64
	Completion, Reasoning, CompletionAudio, CompletionImage                  int64
	Queries                                                                  int64 // of a reranker
	Images                                                                   int64 // in the input of an embedding
	Characters                                                               int64 // of the input, where the provider counts those
	CachedAudio                                                              int64 // the part of CachedRead that is audio
	Searches, Lookups                                                        int64 // in the web and in Google Maps
	Tier                                                                     ServiceTier
	Seconds                                                                  float64 // that the call took, for models billed by time
}

// Cost is what a call costs. known is false if the prices do not tell; the amount is then zero. It
// allocates nothing.
func (p *Prices) Cost(t Tokens) (amount money.Amount, known bool) {
	dollars, known := p.Dollars(t)
	return money.FromDollars(dollars), known
}

// Dollars is Cost before it is rounded.
func (p *Prices) Dollars(t Tokens) (float64, bool) {
	if !p.Known() {
		return 0, false
	}
	input, output := p.split(t)
	return input + output + p.pieces(t), true
}

// split is what the prompt and the answer cost.
func (p *Prices) split(t Tokens) (input, output float64) {
	if or(p.Input, 0) <= 0 && or(p.Output, 0) <= 0 && p.Steps == nil {
		if rate := p.perSecond(); rate != nil {
			return *rate * max(0, t.Seconds), 0
		}
	}
	r := p.rates(t)
	in := or(r.Input, 0)
	read, write := or(r.CachedRead, in), or(r.CacheWrite, in)

	// Counts that do not add up bill nobody twice: what the cache covered comes first.
	cached := atLeast0(min(t.CachedRead, t.Prompt))
	written := atLeast0(min(t.CacheWrite, t.Prompt-cached))
	hour := atLeast0(min(t.CacheWriteHour, written))
	rest := atLeast0(t.Prompt - cached - written)
	audio := atLeast0(min(t.PromptAudio, rest))
	image := atLeast0(min(t.PromptImage, rest-audio))
	heard := atLeast0(min(t.CachedAudio, cached))
	text := float64(rest-audio-image) * in
	if p.InputCharacter != nil && t.Characters > 0 {
		text = float64(t.Characters) * *p.InputCharacter
	}
	// The order of the additions is LiteLLM's, so that the last digits are.
	input = text + float64(cached-heard)*read + float64(heard)*or(p.CachedReadAudio, read) +
		float64(audio)*or(p.InputAudio, in) + float64(image)*or(p.InputImageToken, in) +
		(float64(written-hour)*write + float64(hour)*or(r.CacheWriteHour, write))

	out := or(r.Output, 0)
	if out == 0 { // models that make images may have no other price
		out = or(p.OutputImageToken, 0)
	}
	completion := atLeast0(t.Completion)
	reasoning := atLeast0(min(t.Reasoning, completion))
	if p.joint && r.Reasoning == nil {
		reasoning = 0
	}
	spoken := atLeast0(min(t.CompletionAudio, completion-reasoning))
	drawn := atLeast0(min(t.CompletionImage, completion-reasoning-spoken))
	output = float64(completion-reasoning-spoken-drawn)*out + float64(spoken)*or(p.OutputAudio, out) +
		float64(reasoning)*or(r.Reasoning, out) + float64(drawn)*or(p.OutputImageToken, out)
	return input * p.uplift(), output * p.uplift()
}

func (p *Prices) uplift() float64 {
	if p.regional {
		return or(p.Regional, 1)
	}
	return 1
}

// rates are those of the call's tier of service and length of prompt.
func (p *Prices) rates(t Tokens) Rates {
	r := p.Rates
	service := p.service(t.Tier)
	if service != nil {
		if service.Output != nil && service.Reasoning == nil {
			r.Reasoning = nil // as this tier's output
		}
		r.over(service.Rates)
	}
	for i := range p.Steps {
		if t.Prompt <= p.Steps[i].Above {
			break
		}
		r.over(p.Steps[i].Rates)
		if service != nil {
			for j := range service.Steps {
				if service.Steps[j].Above == p.Steps[i].Above {
					r.over(service.Steps[j].Rates)
				}
			}
		}
	}
	return r
}

func (p *Prices) service(t ServiceTier) *Service {
	switch t {
	case PriorityTier:
		return p.Priority
	case FlexTier:
		return p.Flex
	}
	return nil
}

// over replaces the rates that o has.
func (r *Rates) over(o Rates) {
	r.Input, r.Output = first(o.Input, r.Input), first(o.Output, r.Output)
	r.CachedRead, r.CacheWrite = first(o.CachedRead, r.CachedRead), first(o.CacheWrite, r.CacheWrite)
	r.CacheWriteHour, r.Reasoning = first(o.CacheWriteHour, r.CacheWriteHour), first(o.Reasoning, r.Reasoning)
}

func first(prices ...*float64) *float64 {
	for _, p := range prices {
		if p != nil {
			return p
		}
	}
	return nil
}

func or(p *float64, otherwise float64) float64 {
	if p == nil {
		return otherwise
	}
	return *p
}

func atLeast0(n int64) int64 { return max(0, n) }
