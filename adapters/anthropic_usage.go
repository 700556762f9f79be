package adapters

import (
	"strconv"
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/adapters/tokens"
)

// anthropicUsage is a usage object of Anthropic's. A stream tells it in parts: later counts are totals,
// not additions.
type anthropicUsage struct {
	told                            bool
	input, output, read, write      int64
	thinking                        int64
	thinkingTold, thought           bool
	thoughtBytes                    int
	shortCache, longCache, searches int64
	split                           bool   // what was written was told by how long it is kept
	tier                            string // service_tier, as JSON
}

func (u *anthropicUsage) update(v jsondoc.Value) {
	if !v.IsObject() {
		return
	}
	u.told = true
	for k, n := range v.Members() {
		if !n.Exists() {
			continue
		}
		switch k.Inner() {
		case "input_tokens":
			u.input = n.Count()
		case "output_tokens":
			u.output = n.Count()
		case "cache_read_input_tokens":
			u.read = n.Count()
		case "cache_creation_input_tokens":
			u.write = n.Count()
		case "cache_creation":
			u.split = true
			u.shortCache = n.Get("ephemeral_5m_input_tokens").Count()
			u.longCache = n.Get("ephemeral_1h_input_tokens").Count()
		case "service_tier":
			u.tier = strings.Clone(string(n))
		case "output_tokens_details":
			if d := n.Get("thinking_tokens"); d.Exists() {
				u.thinking, u.thinkingTold = d.Count(), true
			}
		case "server_tool_use":
			u.searches = n.Get("web_search_requests").Count()
		}
	}
}

// estimate counts the thinking, where Anthropic did not tell how much of the output it was, as LiteLLM does:
// with OpenAI's tokenizer. What was redacted cannot be counted.
func (u *anthropicUsage) estimate(thoughts []byte) {
	if u.thinkingTold || len(thoughts) == 0 || !u.told {
		return
	}
	n := int64(tokens.For("").Text(jsondoc.Value(`"` + string(thoughts) + `"`).Text()))
	n = n * int64(u.thoughtBytes) / int64(len(thoughts))
	u.thinking, u.thinkingTold = min(n, u.output), true
}

// total is the usage in OpenAI's terms, where the prompt includes what was read from and written to the
// cache.
func (u *anthropicUsage) total() Usage {
	prompt := u.input + u.read + u.write
	return Usage{
		Prompt: prompt, Completion: u.output, Total: prompt + u.output,
		CachedRead: u.read, CacheWrite: u.write, CacheWriteHour: min(u.longCache, u.write), Reasoning: min(u.thinking, u.output),
		Searches: u.searches,
	}
}

func (u *anthropicUsage) append(dst []byte) []byte { return u.appendTotal(dst, u.total().Total) }

// appendTotal appends the usage with a total that the provider counted itself.
func (u *anthropicUsage) appendTotal(dst []byte, total int64) []byte {
	t := u.total()
	t.Total = total
	field := func(name string, n int64) {
		dst = append(append(append(dst, '"'), name...), `":`...)
		dst = strconv.AppendInt(dst, n, 10)
	}
	dst = append(dst, '{')
	field("prompt_tokens", t.Prompt)
	dst = append(dst, ',')
	field("completion_tokens", t.Completion)
	dst = append(dst, ',')
	field("total_tokens", t.Total)
	dst = append(dst, `,"prompt_tokens_details":{`...)
	field("cached_tokens", u.read)
	dst = append(dst, ',')
	field("cache_creation_tokens", u.write)
	dst = append(dst, ',')
	field("cache_write_tokens", u.write)
	dst = append(dst, ',')
	field("text_tokens", u.input)
	if u.split || u.shortCache+u.longCache > 0 {
		dst = append(dst, `,"cache_creation_token_details":{`...)
		field("ephemeral_5m_input_tokens", u.shortCache)
		dst = append(dst, ',')
		field("ephemeral_1h_input_tokens", u.longCache)
		dst = append(dst, '}')
	}
	dst = append(dst, '}')
	if u.thinkingTold || !u.thought { // how much of it was thinking is not guessed
		dst = append(dst, `,"completion_tokens_details":{`...)
		field("reasoning_tokens", t.Reasoning)
		dst = append(dst, ',')
		field("text_tokens", u.output-t.Reasoning)
		dst = append(dst, '}')
	}
	dst = append(dst, ',')
	field("cache_creation_input_tokens", u.write)
	dst = append(dst, ',')
	field("cache_read_input_tokens", u.read)
	if u.tier != "" {
		dst = append(append(dst, `,"service_tier":`...), u.tier...)
	}
	if u.searches > 0 {
		dst = append(dst, `,"server_tool_use":{`...)
		field("web_search_requests", u.searches)
		dst = append(dst, '}')
	}
	return append(dst, '}')
}
