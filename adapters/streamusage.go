package adapters

import (
	"strconv"

	"github.com/sluicegw/sluice/adapters/catalog"
	"github.com/sluicegw/sluice/adapters/jsondoc"
)

// Tokens is the usage in the catalogue's words, for [catalog.Prices.Cost]; tier is what [Reply.ServiceTier]
// says.
func (u Usage) Tokens(tier string) catalog.Tokens {
	return catalog.Tokens{
		Prompt: u.Prompt, CachedRead: u.CachedRead, CacheWrite: u.CacheWrite, CacheWriteHour: u.CacheWriteHour,
		PromptAudio: u.PromptAudio, PromptImage: u.PromptImage,
		Queries:    u.Queries,
		Completion: u.Completion, Reasoning: u.Reasoning, CompletionAudio: u.CompletionAudio, CompletionImage: u.CompletionImage,
		Tier: catalog.TierOf(tier),
	}
}

// appendCost appends the member "cost" to a usage object of a stream that is open: a stream's headers are gone
// when its cost is known, so LiteLLM tells it there. Costs of nothing, and those nobody knows, are not told.
func (p *Reply) appendCost(dst []byte) []byte {
	prices := p.call.t.prices
	if prices == nil || !p.used || p.call.t.p.quirks.costUntold {
		return dst
	}
	dollars, known := prices.For(p.call.model, p.answered).Dollars(p.usage.Tokens(p.tier))
	if !known || dollars <= 0 {
		return dst
	}
	return strconv.AppendFloat(append(dst, `,"cost":`...), dollars, 'g', -1, 64)
}

// fullUsage is a streamed usage object of OpenAI's as LiteLLM gives it to clients: with details of the
// completion, where the provider told none and no tool was called, and with the cost.
func (p *Reply) fullUsage(usage jsondoc.Value, details bool) jsondoc.Value {
	dst := append(make([]byte, 0, len(usage)+96), '{')
	detailed, priced := !details, false
	for k, v := range usage.Members() {
		switch {
		case v == "null":
			continue
		case k.Is("completion_tokens_details"):
			detailed = true
		case k.Is("cost"):
			priced = true
		}
		dst = append(append(append(append(dst, k...), ':'), v...), ',')
	}
	if !detailed {
		dst = strconv.AppendInt(append(dst, `"completion_tokens_details":{"reasoning_tokens":`...), p.usage.Reasoning, 10)
		dst = append(strconv.AppendInt(append(dst, `,"text_tokens":`...), max(0, p.usage.Completion-p.usage.Reasoning), 10), "},"...)
	}
	if dst = dst[:len(dst)-1]; !priced {
		dst = p.appendCost(dst)
	}
	return jsondoc.Value(append(dst, '}'))
}
