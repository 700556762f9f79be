package adapters

import (
	"strconv"

	"github.com/sluicegw/sluice/adapters/catalog"
	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/adapters/tokens"
)

// Tokens is the usage in the catalogue's words, for [catalog.Prices.Cost]; tier is what [Reply.ServiceTier]
// says.
func (u Usage) Tokens(tier string) catalog.Tokens {
	return catalog.Tokens{
		Prompt: u.Prompt, CachedRead: u.CachedRead, CacheWrite: u.CacheWrite, CacheWriteHour: u.CacheWriteHour,
		PromptAudio: u.PromptAudio, PromptImage: u.PromptImage,
		Queries: u.Queries, Images: u.Images, Characters: u.Characters, CachedAudio: u.CachedAudio,
		Searches: u.Searches, Lookups: u.Lookups,
		Completion: u.Completion, Reasoning: u.Reasoning, CompletionAudio: u.CompletionAudio, CompletionImage: u.CompletionImage,
		Tier: catalog.TierOf(tier),
	}
}

// appendCost appends the member "cost" to a usage object of a stream that is open: a stream's headers are gone
// when its cost is known, so LiteLLM tells it there. Costs of nothing, and those nobody knows, are not told.
func (p *Reply) appendCost(dst []byte) []byte {
	prices := p.call.t.prices
	if prices == nil || !p.used {
		return dst
	}
	asked := p.call.model
	if p.call.t.p.quirks.costAnswered {
		if asked = ""; !prices.Knows(p.answered) {
			return dst
		}
	}
	u, _ := p.Usage()
	dollars, known := prices.For(asked, p.answered).Dollars(u.Tokens(p.tier))
	if !known || dollars <= 0 {
		return dst
	}
	return strconv.AppendFloat(append(dst, `,"cost":`...), dollars, 'g', -1, 64)
}

// usageMembers are what a stream tells of its usage; as with LiteLLM, what only one provider counts is left out.
var usageMembers = setOf("prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "completion_tokens_details",
	"cache_creation_input_tokens", "cache_read_input_tokens", "server_tool_use", "cost")

// fullUsage is a streamed usage object of OpenAI's as LiteLLM gives it to clients: with details of the
// completion, where the provider told none and there was thinking or no tool was called, and with the cost.
func (p *Reply) fullUsage(usage jsondoc.Value) jsondoc.Value {
	dst := append(make([]byte, 0, len(usage)+96), '{')
	thought := p.thought()
	detailed, priced := p.spoken.calls && thought == 0, false
	for k, v := range usage.Members() {
		switch {
		case v == "null", !usageMembers[k.Inner()]:
			continue
		case k.Is("cost") && v.IsObject():
			priced, v = true, v.Get("total_cost")
			if !v.IsNumber() {
				priced = false
				continue
			}
		case k.Is("completion_tokens_details"):
			detailed = true
		case k.Is("cost"):
			priced = true
		}
		dst = append(append(append(append(dst, k...), ':'), v...), ',')
	}
	if !detailed {
		dst = strconv.AppendInt(append(dst, `"completion_tokens_details":{"reasoning_tokens":`...), thought, 10)
		dst = append(strconv.AppendInt(append(dst, `,"text_tokens":`...), p.usage.Completion-thought, 10), "},"...)
	}
	if len(dst) == 1 {
		return "{}"
	}
	if dst = dst[:len(dst)-1]; !priced {
		dst = p.appendCost(dst)
	}
	return jsondoc.Value(append(dst, '}'))
}

// spoken is what a stream said and thought, as the insides of JSON strings, for as long as it may have to be
// counted here.
type spoken struct {
	said, thought []byte
	calls         bool // tools were called
}

// mostCounted bounds a prompt or an answer whose tokens are counted here, in bytes.
const mostCounted = 256 << 10

func (s *spoken) say(p *Reply, text jsondoc.Value) {
	if p.call.r.stream && p.call.r.includeUsage && !p.used && len(s.said) < mostCounted {
		s.said = append(s.said, text.Inner()...)
	}
}

func (s *spoken) think(p *Reply, text jsondoc.Value) {
	if p.call.r.stream && p.call.r.includeUsage && len(s.thought) < mostCounted {
		s.thought = append(s.thought, text.Inner()...)
	}
}

// countUsage writes the usage that a client asked for and the provider did not tell, counted with the model's
// tokenizer. It is no report: what the call costs does not follow from it.
func (p *Reply) countUsage(dst []byte) []byte {
	messages := p.call.r.doc.Get("messages")
	if p.used || !p.call.r.includeUsage || p.call.r.op != Chat || len(messages) > mostCounted || len(p.spoken.said) >= mostCounted {
		return dst
	}
	count := tokens.For(p.call.model)
	u := Usage{
		Prompt:     int64(count.Chat(messages, p.call.r.doc.Get("tools"), p.call.r.doc.Get("tool_choice"))),
		Completion: countText(count, p.spoken.said),
	}
	u.Total = u.Prompt + u.Completion
	p.usage, p.used = u, true
	w := newChatWriter(p)
	dst = append(w.head(append(dst, "data: "...), "chat.completion.chunk"), `"choices":[],"usage":`...)
	dst = append(append(dst, p.fullUsage(jsondoc.Value(appendUsage(nil, u)))...), "}\n\n"...)
	p.usage, p.used = Usage{}, false
	return dst
}

// thought is how many tokens a stream's thinking has, by OpenAI's tokenizer, or what was told of it.
func (p *Reply) thought() int64 {
	n := countText(tokens.For(""), p.spoken.thought)
	if n == 0 {
		n = p.usage.Reasoning
	}
	return min(n, p.usage.Completion)
}

// countText counts the inside of a JSON string.
func countText(count *tokens.Counter, inner []byte) int64 {
	if len(inner) == 0 {
		return 0
	}
	return int64(count.Text(jsondoc.Value(`"` + string(inner) + `"`).Text()))
}
