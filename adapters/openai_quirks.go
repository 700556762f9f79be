package adapters

import (
	"slices"
	"strings"

	"github.com/sluicegw/sluice/adapters/catalog"
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
	if c.r.op == Embedding && q.embedTakes != nil {
		return c.unsupported(func(name string) bool {
			return slices.Contains(embeddingParams, name) && !slices.Contains(q.embedTakes, name)
		})
	}
	if c.r.op == Embedding && q.embedSpecial != nil {
		q.embedSpecial(c)
	}
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
	if err := c.refuse(q); err != nil {
		return err
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
	if tools := c.get("tools"); !c.markingCache() && strings.Contains(string(tools), `"cache_control"`) {
		c.set("tools", jsondoc.Value(appendWithout(nil, tools, "cache_control")))
	}
	if q.wholeJSON && c.r.stream && c.get("response_format") != "" && !c.get("response_format").Get("type").Is("text") {
		c.whole = true
		c.set("stream", "")
	}
	if q.jsonByTool != nil && q.jsonByTool(c.model) {
		return c.schemaAsTool()
	}
	return nil
}

// embeddingParams are the optional parameters of OpenAI's embeddings API.
var embeddingParams = []string{"encoding_format", "dimensions", "user"}

// refuse takes out what the provider or the model does not take, or refuses the call because of it.
func (c *call) refuse(q *quirks) *apierror.Error {
	if q.refuses == nil && q.reasons == nil {
		return nil
	}
	return c.unsupported(func(name string) bool {
		return slices.Contains(q.refuses, name) ||
			(name == "reasoning_effort" || name == "thinking") && q.reasons != nil && !q.reasons(c)
	})
}

// reasons tells whether the model is known to reason.
func (c *call) reasons() bool { return c.can(catalog.Reasoning) }

// can tells what the model can do, by what the catalogue or the deployment's model_info says. As in LiteLLM one that
// nobody knows cannot: allowed_openai_params vouches for it.
func (c *call) can(a catalog.Ability) bool {
	if c.t.prices != nil && c.t.prices.Info().Can(a) {
		return true
	}
	info, _ := catalog.Lookup(c.t.p.name, c.model)
	return info.Can(a)
}

// mistralReasons: Magistral does nothing else.
func mistralReasons(c *call) bool { return strings.Contains(c.model, "magistral") || c.reasons() }

// togetherReasons knows some that the catalogue does not say it of.
func togetherReasons(c *call) bool {
	return namesAny(c.model, []string{"openai/gpt-oss-", "deepseek-ai/DeepSeek-V4-Pro"}) || c.reasons()
}

// namesAny tells whether a model's name holds one of the parts.
func namesAny(model string, parts []string) bool {
	return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(model, p) })
}

// markingCache tells whether cache_control marks are sent.
func (c *call) markingCache() bool {
	q := &c.t.p.quirks
	return q.markCache && (q.markModels == nil || namesAny(strings.ToLower(c.model), q.markModels)) ||
		q.markOwn && !c.t.endpoint.Public
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

// vllm takes an effort for thinking, and schemas without what its tool parsers stumble over.
//
// https://docs.vllm.ai/en/latest/features/reasoning_outputs/
func vllm(c *call) *apierror.Error {
	c.set("user", "")
	if thinking := c.get("thinking"); thinking != "" {
		c.set("thinking", "")
		if thinking.Get("type").Is("enabled") && c.get("reasoning_effort") == "" {
			c.set("reasoning_effort", jsondoc.Value(`"`+vllmEffort(thinking.Get("budget_tokens").Count())+`"`))
		}
	}
	if tools := c.get("tools"); tools != "" {
		c.set("tools", jsondoc.Value(appendWithout(nil, tools, "strict", closed)))
	}
	return c.unsupported(func(name string) bool { return name == "verbosity" })
}

// vllmEmbed makes a list of one text, for some versions take nothing else.
func vllmEmbed(c *call) {
	if in := c.get("input"); in.IsString() {
		c.set("input", jsondoc.Value("["+string(in)+"]"))
	}
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

// mistral has parameters of its own and refuses what it does not know. Magistral always reasons.
//
// https://docs.mistral.ai/api/
func mistral(c *call) *apierror.Error {
	if c.get("tool_choice").Is("required") {
		c.set("tool_choice", `"any"`)
	}
	if tools := c.get("tools"); tools != "" {
		c.set("tools", jsondoc.Value(appendWithout(nil, tools, "$id", "$schema", "cache_control")))
	}
	if !strings.Contains(c.model, "magistral") {
		if err := c.unsupported(func(name string) bool { return name == "thinking" }); err != nil {
			return err
		}
	}
	switch effort := c.get("reasoning_effort"); {
	case strings.Contains(c.model, "magistral"):
		c.set("reasoning_effort", "")
		c.set("thinking", "")
	case strings.Contains(c.model, "mistral-") && slices.Contains(degrees, effort.Text()):
		c.set("reasoning_effort", `"high"`) // the only degree that these models have: never less than was asked for
	}
	return nil
}

// degrees are the words for an effort, apart from none and high.
var degrees = []string{"minimal", "low", "medium", "xhigh", "max"}

// fireworks calls a choice that has to be made any. Some of its models are known not to call tools.
//
// https://docs.fireworks.ai/guides/function-calling
func fireworks(c *call) *apierror.Error {
	calls := !namesAny(c.model, fireworksNoTools)
	if err := c.unsupported(func(name string) bool {
		return !calls && (name == "tools" || name == "parallel_tool_calls") || name == "tool_choice" && !(calls && c.can(catalog.ToolChoice))
	}); err != nil {
		return err
	}
	if c.get("tool_choice").Is("required") {
		c.set("tool_choice", `"any"`)
	}
	if tools := c.get("tools"); strings.Contains(string(tools), `"strict"`) {
		c.cutAt(&strictOfTools)
	}
	if c.r.facts&hasFile != 0 {
		return refused("messages", "fireworks_ai takes no files: send the pages of a PDF as images to a model that sees, or its text.")
	}
	return nil
}

// strictOfTools is a member of tools that some refuse; in a schema it may be a property's name.
var strictOfTools, _ = parseDropPath("tools[*].function.strict")

// fireworksNoTools are parts of the names of the models that are known not to call tools.
//
// https://docs.fireworks.ai/guides/function-calling
var fireworksNoTools = []string{"llama-v3p1-8b-", "llama-v3p2-", "deepseek-coder-v2-instruct", "qwen2-72b-", "qwen2p5-coder-32b-instruct", "yi-large"}

// xai refuses stop and frequency_penalty for its reasoning models.
//
// https://docs.x.ai/docs/guides/reasoning
func xai(c *call) *apierror.Error {
	if tools := c.get("tools"); tools != "" {
		c.set("tools", jsondoc.Value(appendWithout(nil, tools, "strict")))
	}
	reasoning := namesAny(c.model, []string{"grok-4", "grok-code-fast"})
	return c.unsupported(func(name string) bool {
		return name == "stop" && (reasoning || strings.Contains(c.model, "grok-3-mini")) ||
			name == "frequency_penalty" && reasoning
	})
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
	if c.get("thinking").Get("type").Is("enabled") && !strings.HasSuffix(c.model, "-chat") {
		c.set("messages", reasoned(c.get("messages")))
	}
	return nil
}

// reasoned is the messages with a reasoning_content on all of the assistant's: DeepSeek refuses to think on a
// conversation that lacks it.
func reasoned(list jsondoc.Value) jsondoc.Value {
	return jsondoc.Value(appendElements(make([]byte, 0, len(list)+64), list, func(dst []byte, m jsondoc.Value) []byte {
		if r := m.Get("reasoning_content"); !m.Get("role").Is("assistant") || r.Exists() && r != `""` {
			return append(dst, m...)
		}
		stored := m.At("provider_specific_fields", "reasoning_content")
		if !stored.IsString() || stored == `""` {
			stored = `" "`
		}
		dst = append(append(dst, `{"reasoning_content":`...), stored...)
		for k, v := range m.Members() {
			if !k.Is("reasoning_content") {
				dst = append(appendKey(append(dst, ','), k), v...)
			}
		}
		return append(dst, '}')
	}))
}

// openRouter calls the highest effort xhigh, and tells what a call cost if it is asked to.
//
// https://openrouter.ai/docs/use-cases/usage-accounting
func openRouter(c *call) *apierror.Error {
	if c.get("usage") == "" {
		c.set("usage", `{"include":true}`)
	}
	if c.get("reasoning_effort").Is("max") {
		c.set("reasoning_effort", `"xhigh"`)
	}
	return nil
}

// closed stands for additionalProperties: false in [appendWithout].
const closed = "additionalProperties: false"

// appendWithout appends v without the members of the given names, at any depth.
func appendWithout(dst []byte, v jsondoc.Value, names ...string) []byte {
	switch {
	case v.IsObject():
		return appendMembers(dst, v, func(dst []byte, k, m jsondoc.Value) []byte {
			if slices.Contains(names, k.Inner()) || m == "false" && k.Is("additionalProperties") && slices.Contains(names, closed) {
				return dst
			}
			return appendWithout(appendKey(dst, k), m, names...)
		})
	case v.IsArray():
		return appendElements(dst, v, func(dst []byte, e jsondoc.Value) []byte { return appendWithout(dst, e, names...) })
	}
	return append(dst, v...)
}
