package adapters

import (
	"strconv"
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// thinking is the thinking parameter, "" for none, and the max_tokens that go with it.
func (a *anthropicCall) thinking() (jsondoc.Value, int64, *apierror.Error) {
	limit, given := a.get("max_completion_tokens").Int()
	if !given {
		limit, given = a.get("max_tokens").Int()
	}
	fallback := a.m.maxTokens()
	if a.t.aws != nil || strings.Contains(a.model, "@") {
		fallback = 4096 // as LiteLLM has it for Claude by InvokeModel, and for a dated version on Vertex
	}
	thinking := a.get("thinking")
	effort, err := a.effort()
	if err != nil {
		return "", 0, err
	}
	switch {
	case thinking != "" && !thinking.IsObject():
		return "", 0, refused("thinking", "'thinking' must be an object, not %s.", kindOf(thinking))
	case effort == "none":
		thinking = ""
	case effort != "" && a.m.adaptive():
		thinking = `{"type":"adaptive","display":"summarized"}`
	case effort != "":
		thinking = budgetThinking(budgets[effort])
	case thinking.Get("type").Is("adaptive") && !a.m.adaptive():
		thinking = cappedThinking(budgets["medium"], limit, given)
	case thinking.Get("type").Is("enabled") && !a.m.budgets():
		thinking = `{"type":"adaptive"}`
	case thinking.Get("type").Is("disabled") && a.m.alwaysThinks():
		thinking = ""
	}
	if given {
		return thinking, limit, nil
	}
	if budget := thinking.Get("budget_tokens").Count(); budget > 0 {
		return thinking, budget + 4096, nil
	}
	return thinking, fallback, nil
}

// budgets are the tokens that an effort stands for on models without degrees of effort.
var budgets = map[string]int64{
	"minimal": 1024, "low": 1024, "medium": 2048, "high": 4096, "xhigh": 8192, "max": 16384,
}

func budgetThinking(tokens int64) jsondoc.Value {
	return jsondoc.Value(`{"type":"enabled","budget_tokens":` + strconv.FormatInt(tokens, 10) + `}`)
}

// cappedThinking is a budget that stays below the limit, or nothing where that leaves too little.
func cappedThinking(budget, limit int64, given bool) jsondoc.Value {
	switch {
	case given && limit <= budgets["low"]:
		return ""
	case given && budget >= limit:
		budget = limit - 1
	}
	return budgetThinking(budget)
}

// effort is reasoning_effort as one of the words that OpenAI has for it, or "".
func (a *anthropicCall) effort() (string, *apierror.Error) {
	v := a.get("reasoning_effort")
	if v.IsObject() {
		v = v.Get("effort")
	}
	if v == "" {
		return "", nil
	}
	effort := v.Text()
	if effort != "none" && budgets[effort] == 0 {
		return "", refused("reasoning_effort", "'reasoning_effort' must be one of none, minimal, low, medium, high, xhigh and max.")
	}
	return effort, nil
}

// appendOutputConfig appends the effort of models that have degrees of it.
func (a *anthropicCall) appendOutputConfig(dst []byte) []byte {
	config := a.get("output_config")
	if a.t.p.quirks.claudeVersion != "" && !a.m.adaptive() && !(a.m.family == "opus" && a.m.atLeast(4, 5)) {
		config = "" // Vertex refuses it for models that have no degrees of effort
	}
	effort, _ := a.effort()
	if effort == "" && a.get("thinking").Get("type").Is("enabled") && !a.m.budgets() {
		effort = effortFor(a.get("thinking").Get("budget_tokens").Count())
	}
	if effort == "minimal" {
		effort = "low"
	}
	if effort == "xhigh" && !a.m.efforts(effort) {
		effort = "high"
	}
	if effort == "" || effort == "none" || !a.m.adaptive() || config.Get("effort") != "" {
		if config != "" {
			dst = append(append(dst, `,"output_config":`...), config...)
		}
		return dst
	}
	dst = append(dst, `,"output_config":{"effort":`...)
	dst = apierror.AppendString(dst, effort)
	for k, v := range config.Members() {
		dst = append(append(append(append(dst, ','), k...), ':'), v...)
	}
	return append(dst, '}')
}

// effortFor is the effort that comes nearest to a budget.
func effortFor(budget int64) string {
	switch {
	case budget >= budgets["xhigh"]:
		return "xhigh"
	case budget >= budgets["high"]:
		return "high"
	case budget >= budgets["medium"]:
		return "medium"
	}
	return "low"
}
