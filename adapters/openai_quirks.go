package adapters

import (
	"slices"
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// openAIParams are the optional parameters of OpenAI's chat API. Those that a provider's quirks do not
// list as taken are refused or dropped; anything not in this list is the provider's own and passes.
var openAIParams = []string{
	"functions", "function_call", "temperature", "top_p", "n", "stop", "max_tokens",
	"max_completion_tokens", "modalities", "prediction", "audio", "presence_penalty",
	"frequency_penalty", "logit_bias", "response_format", "seed", "tools", "tool_choice",
	"parallel_tool_calls", "logprobs", "top_logprobs", "reasoning_effort", "thinking",
	"web_search_options", "service_tier", "safety_identifier", "prompt_cache_key",
	"prompt_cache_retention", "verbosity", "store", "context_management",
}

// applyQuirks brings the call's fields into the shape that the provider takes.
func (c *call) applyQuirks() *apierror.Error {
	q := &c.t.p.quirks
	if c.r.op != Chat {
		return nil
	}
	if q.reasoning {
		if err := c.reasoningRules(); err != nil {
			return err
		}
	}
	if q.takes != nil {
		if err := c.unsupported(func(name string) bool {
			return slices.Contains(openAIParams, name) && !slices.Contains(q.takes, name) && !slices.Contains(q.also, name)
		}); err != nil {
			return err
		}
	}
	for _, name := range q.silent {
		c.set(name, "")
	}
	for _, r := range q.rename {
		c.rename(r.from, r.to)
	}
	if tools := c.get("tools"); first(tools) == "" && first(c.get("functions")) == "" {
		// OpenAI refuses a tool_choice without tools; clients send "auto" all the same.
		c.set("tool_choice", "")
	}
	if q.special != nil {
		if err := q.special(c); err != nil {
			return err
		}
	}
	if q.jsonByTool != nil && q.jsonByTool(c.model) {
		return c.schemaAsTool()
	}
	return nil
}

// schemaAsTool asks for the answer that a JSON schema describes as the arguments of a forced tool.
func (c *call) schemaAsTool() *apierror.Error {
	schema := c.get("response_format").At("json_schema", "schema")
	if !schema.IsObject() {
		return nil
	}
	if c.get("tools") != "" {
		return refused("response_format", "Model %s has no structured outputs: with %s, a json_schema cannot be combined with tools.", c.model, c.t.p.name)
	}
	c.byTool = true
	c.set("response_format", "")
	c.set("tools", `[{"type":"function","function":{"name":"`+jsonTool+`","parameters":`+schema+`}}]`)
	c.set("tool_choice", `{"type":"function","function":{"name":"`+jsonTool+`"}}`)
	return nil
}

// renaming is one parameter's name at OpenAI and at a provider.
type renaming struct{ from, to string }

// isOSeries tells whether a model is one of OpenAI's o-series: o1, o3-mini, ….
func isOSeries(model string) bool {
	name := model[strings.LastIndexByte(model, '/')+1:]
	return len(name) > 1 && name[0] == 'o' && name[1] >= '0' && name[1] <= '9'
}

// isGPT5 tells whether a model is of the gpt-5 or gpt-6 series, which reason.
func isGPT5(model string) bool {
	name := model[strings.LastIndexByte(model, '/')+1:]
	return (strings.Contains(name, "gpt-5") || strings.Contains(name, "gpt-6")) && !strings.Contains(name, "gpt-5-chat")
}

var (
	notOSeries = []string{
		"logprobs", "top_logprobs", "top_p", "presence_penalty", "frequency_penalty", "parallel_tool_calls",
		"thinking", "verbosity",
	}
	notGPT5 = []string{
		"logprobs", "top_logprobs", "top_p", "presence_penalty", "frequency_penalty", "stop",
		"logit_bias", "modalities", "prediction", "audio", "web_search_options", "thinking",
	}
	// notPlain are what OpenAI's models that do not reason refuse.
	notPlain = []string{"thinking", "verbosity", "reasoning_effort"}
)

// isPlainGPT tells whether a model is one of OpenAI's own that do not reason. Other names are those of
// servers that only speak OpenAI's language, and may take anything.
func isPlainGPT(model string) bool {
	name := strings.TrimPrefix(model[strings.LastIndexByte(model, '/')+1:], "ft:")
	return strings.HasPrefix(name, "gpt-3.5") || strings.HasPrefix(name, "gpt-4") || strings.HasPrefix(name, "chatgpt-")
}

// isOwnChat tells whether a model is one of OpenAI's own that only chat.
func isOwnChat(model string) bool {
	return !strings.Contains(model, "instruct") && (isPlainGPT(model) || isGPT5(model) || isOSeries(model))
}

// isFirstGPT5 tells whether a model is of the first gpt-5 series, which always reasons.
func isFirstGPT5(model string) bool {
	name := model[strings.LastIndexByte(model, '/')+1:]
	return name == "gpt-5" || strings.HasPrefix(name, "gpt-5-")
}

// reasoningRules are those of OpenAI's reasoning models: a limit includes the reasoning and has its own
// name, and sampling is not the client's to choose.
//
// https://platform.openai.com/docs/guides/reasoning
func (c *call) reasoningRules() *apierror.Error {
	var not []string
	switch {
	case isOSeries(c.model):
		not = notOSeries
	case isGPT5(c.model):
		not = notGPT5
		if e := c.get("reasoning_effort").Get("effort"); e != "" {
			c.set("reasoning_effort", e)
		}
		if e := c.get("reasoning_effort"); isFirstGPT5(c.model) && (e.Is("none") || e.Is("xhigh")) {
			if err := c.unsupportedField("reasoning_effort"); err != nil {
				return err
			}
		}
		if c.get("reasoning_effort").Is("none") {
			// Without reasoning these models sample like others.
			c.rename("max_tokens", "max_completion_tokens")
			return nil
		}
	case isPlainGPT(c.model):
		return c.unsupported(func(name string) bool { return slices.Contains(notPlain, name) })
	default:
		return nil
	}
	c.rename("max_tokens", "max_completion_tokens")
	if t, ok := c.get("temperature").Float(); ok && t != 1 {
		c.set("temperature", "")
	}
	return c.unsupported(func(name string) bool { return slices.Contains(not, name) })
}

// vllm takes an effort for thinking, and schemas without what its tool parsers stumble over.
//
// https://docs.vllm.ai/en/latest/features/reasoning_outputs/
func vllm(c *call) *apierror.Error {
	if thinking := c.get("thinking"); thinking != "" {
		c.set("thinking", "")
		if thinking.Get("type").Is("enabled") && c.get("reasoning_effort") == "" {
			c.set("reasoning_effort", jsondoc.Value(`"`+vllmEffort(thinking.Get("budget_tokens").Count())+`"`))
		}
	}
	if tools := c.get("tools"); tools != "" {
		c.set("tools", jsondoc.Value(appendWithout(nil, tools, "strict", "additionalProperties")))
	}
	return c.unsupported(func(name string) bool { return name == "verbosity" })
}

// vllmEffort is the effort for a budget of tokens, at LiteLLM's thresholds.
func vllmEffort(budget int64) string {
	switch {
	case budget >= budgets["high"]:
		return "high"
	case budget >= budgets["medium"]:
		return "medium"
	case budget >= budgets["low"]:
		return "low"
	}
	return "minimal"
}

// mistral has parameters of its own and refuses what it does not know.
//
// https://docs.mistral.ai/api/
func mistral(c *call) *apierror.Error {
	if choice := c.get("tool_choice"); choice.IsObject() || choice.Is("required") {
		c.set("tool_choice", `"any"`)
	}
	if tools := c.get("tools"); tools != "" {
		c.set("tools", jsondoc.Value(appendWithout(nil, tools, "$id", "$schema", "strict", "cache_control")))
	}
	return nil
}

// deepSeek has thinking on or off, without degrees.
//
// https://api-docs.deepseek.com/guides/thinking_mode
func deepSeek(c *call) *apierror.Error {
	effort, thinking := c.get("reasoning_effort"), c.get("thinking")
	c.set("reasoning_effort", "")
	if e := effort.Get("effort"); e != "" {
		effort = e
	}
	switch kind := thinking.Get("type"); {
	case kind.Is("enabled"), kind.Is("disabled"):
		c.set("thinking", `{"type":`+kind+`}`)
	case effort.Is("none"):
		c.set("thinking", `{"type":"disabled"}`)
	case effort != "":
		c.set("thinking", `{"type":"enabled"}`)
	default:
		c.set("thinking", "")
	}
	return nil
}

// openRouter calls the highest effort xhigh.
func openRouter(c *call) *apierror.Error {
	if c.get("reasoning_effort").Is("max") {
		c.set("reasoning_effort", `"xhigh"`)
	}
	return nil
}

// appendWithout appends v without the members of the given names, at any depth.
func appendWithout(dst []byte, v jsondoc.Value, names ...string) []byte {
	switch {
	case v.IsObject():
		dst = append(dst, '{')
		start := len(dst)
		for k, m := range v.Members() {
			if slices.Contains(names, k.Inner()) {
				continue
			}
			if len(dst) > start {
				dst = append(dst, ',')
			}
			dst = append(append(dst, k...), ':')
			dst = appendWithout(dst, m, names...)
		}
		return append(dst, '}')
	case v.IsArray():
		dst = append(dst, '[')
		start := len(dst)
		for e := range v.Elements() {
			if len(dst) > start {
				dst = append(dst, ',')
			}
			dst = appendWithout(dst, e, names...)
		}
		return append(dst, ']')
	}
	return append(dst, v...)
}
