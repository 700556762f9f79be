package adapters

import (
	"slices"
	"strings"

	"github.com/sluicegw/sluice/internal/apierror"
)

var (
	notOSeries = []string{
		"logprobs", "top_logprobs", "top_p", "presence_penalty", "frequency_penalty", "parallel_tool_calls",
		"thinking", "verbosity",
	}
	notGPT5 = []string{
		"presence_penalty", "frequency_penalty", "stop", "logit_bias", "modalities", "prediction", "audio", "web_search_options", "thinking",
	}
	// notPlain are what OpenAI's models that do not reason refuse; notOther, what LiteLLM sends to no other name.
	notPlain = []string{"thinking", "verbosity", "reasoning_effort"}
	notOther = []string{"thinking", "verbosity"}
)

// sampling is what the gpt-5 series takes without reasoning only, like a temperature.
var sampling = []string{"logprobs", "top_logprobs", "top_p"}

// reasoningRules are those of OpenAI's reasoning models: a limit includes the reasoning and has its own
// name, and sampling is not the client's to choose.
//
// https://platform.openai.com/docs/guides/reasoning
func (c *call) reasoningRules() *apierror.Error {
	var not []string
	samples := false
	switch {
	case isOSeries(c.model):
		not = notOSeries
		if o1 := strings.TrimPrefix(c.model, "openai/"); o1 == "o1-2024-12-17" {
			not = slices.DeleteFunc(slices.Clone(not), func(s string) bool { return s == "parallel_tool_calls" })
		}
	case isGPT5(c.model):
		not = notGPT5
		var err *apierror.Error
		if samples, err = c.gpt5Effort(c.model); err != nil {
			return err
		}
	case isPlainGPT(c.model):
		old := c.model == "gpt-4" || c.model == "gpt-3.5-turbo-16k" // they are older than any format
		return c.unsupported(func(name string) bool {
			return slices.Contains(notPlain, name) || old && name == "response_format"
		})
	default:
		c.set("user", "") // other names are other servers', which need not know it
		return c.unsupported(func(name string) bool { return slices.Contains(notOther, name) })
	}
	c.rename("max_tokens", "max_completion_tokens")
	return c.unsupported(func(name string) bool {
		return slices.Contains(not, name) || !samples && (slices.Contains(sampling, name) || name == "temperature" && !isOne(c.get(name)))
	})
}

// hasSystem tells the models of the o-series that take a system message; to the others it is the user's.
func hasSystem(model string) bool {
	return strings.HasSuffix(model, "o1") || strings.HasSuffix(model, "o1-2024-12-17")
}

// gpt5 is what a model of the gpt-5 or gpt-6 series does with efforts, as OpenAI's pages on models have it.
type gpt5 struct {
	// plain: it takes none, and then samples like others; byDefault: it does so where no effort is given.
	plain, byDefault bool
	refuses          []string // efforts
}

func gpt5Of(model string) gpt5 {
	name := model[strings.LastIndexByte(model, '/')+1:]
	is := func(prefixes ...string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
	}
	pro := strings.Contains(name, "-pro")
	switch {
	case strings.Contains(name, "-chat"), is("gpt-5.3-codex-"):
	case is("gpt-5.3-codex"):
		return gpt5{plain: true, refuses: []string{"minimal"}}
	case strings.Contains(name, "codex"), strings.Contains(name, "cyber"):
	case is("gpt-5.2-pro"):
		return gpt5{refuses: []string{"none"}}
	case is("gpt-5.4-pro"):
		return gpt5{refuses: []string{"none", "minimal"}}
	case is("gpt-5.5-pro"):
		return gpt5{refuses: []string{"none", "minimal", "low"}}
	case pro && !is("gpt-5-"):
	case is("gpt-5.1"):
		return gpt5{plain: true, byDefault: true, refuses: []string{"minimal", "xhigh"}}
	case is("gpt-5.2", "gpt-5.4"):
		return gpt5{plain: true, byDefault: true, refuses: []string{"minimal"}}
	case is("gpt-5.5", "gpt-5.6", "gpt-6-sol", "gpt-6-luna"):
		return gpt5{plain: true, refuses: []string{"minimal"}}
	case is("gpt-6"):
		return gpt5{refuses: []string{"none", "minimal"}}
	case name == "gpt-5", is("gpt-5-"):
		return gpt5{refuses: []string{"none", "xhigh"}}
	}
	return gpt5{refuses: []string{"xhigh"}} // opt-in
}

// gpt5Effort brings the effort into the shape of the gpt-5 series and tells whether the model samples like
// others, which it does without reasoning.
func (c *call) gpt5Effort(model string) (samples bool, err *apierror.Error) {
	if e := c.get("reasoning_effort").Get("effort"); e != "" {
		c.set("reasoning_effort", e)
	}
	m := gpt5Of(model)
	if slices.Contains(m.refuses, c.get("reasoning_effort").Text()) {
		if err := c.unsupportedField("reasoning_effort"); err != nil {
			return false, err
		}
	}
	effort := c.get("reasoning_effort")
	return m.plain && (effort.Is("none") || effort == "" && m.byDefault), nil
}
