// Package catalog knows models: what they cost, how much they take and what they can do.
//
// It leaves alone what a call used (package adapters reads that) and who pays for it.
package catalog

// Prices of one model, in US dollars. A nil price is unknown, which is not the same as free.
type Prices struct {
	Input, Output           *float64 // a token
	CachedRead              *float64 // a token read from the provider's prompt cache; nil: as Input
	CacheWrite              *float64 // a token written to it; nil: as Input
	Reasoning               *float64 // a token of reasoning; nil: as Output
	PerRequest              *float64
	InputImage              *float64 // an image in the prompt
	OutputImage             *float64 // an image that was made
	InputSecond             *float64 // a second of audio or of the call, as the provider bills
	OutputSecond            *float64
	InputAudio              *float64 // a token of audio
	OutputAudio             *float64
	InputAbove, OutputAbove *float64 // a token, all of them, once the prompt has more than Above tokens
	Above                   int64
}

// Known reports whether a call's cost in tokens can be told.
func (p Prices) Known() bool { return p.Input != nil || p.Output != nil || p.PerRequest != nil }

// Tokens is what a call used. Prompt includes CachedRead, CacheWrite and PromptAudio; Completion includes
// Reasoning and CompletionAudio.
type Tokens struct {
	Prompt, CachedRead, CacheWrite, PromptAudio int64
	Completion, Reasoning, CompletionAudio      int64
}
