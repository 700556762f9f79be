package adapters

import (
	"strconv"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// thinkingConfig is reasoning_effort, or thinking in Anthropic's form, as Google's; "" for neither. Models
// before Gemini 3 think by a budget of tokens, the others by a level.
//
// https://ai.google.dev/gemini-api/docs/thinking
func thinkingConfig(c *call, m geminiModel) (jsondoc.Value, *apierror.Error) {
	effort, thinking := c.get("reasoning_effort"), c.get("thinking")
	if effort.IsObject() {
		effort = effort.Get("effort")
	}
	out := jsondoc.Value("")
	if effort.Exists() {
		if out = effortConfig(effort.Text(), m); out == "" {
			return "", refused("reasoning_effort", "'reasoning_effort' must be one of none, disable, minimal, low, medium and high for model %s.", c.model)
		}
	}
	switch {
	case thinking == "":
		return out, nil
	case !thinking.IsObject():
		return "", refused("thinking", "'thinking' must be an object, not %s.", kindOf(thinking))
	case m.three && out != "":
		return "", refused("thinking", "'thinking' and 'reasoning_effort' cannot be set together for model %s.", c.model)
	}
	enabled, budget := thinking.Get("type").Is("enabled"), thinking.Get("budget_tokens")
	n, told := budget.Int()
	switch {
	case m.three && enabled && !(told && n == 0):
		return `{"includeThoughts":true}`, nil
	case m.three:
		return `{"includeThoughts":false}`, nil
	case enabled && told && n == 0:
		return `{"thinkingBudget":0}`, nil
	case enabled && told:
		return `{"includeThoughts":true,"thinkingBudget":` + budget + `}`, nil
	case enabled:
		return `{"includeThoughts":true}`, nil
	case told:
		return `{"thinkingBudget":` + budget + `}`, nil
	}
	return "{}", nil
}

// effortConfig is the thinkingConfig for an effort, "" if it is none.
func effortConfig(effort string, m geminiModel) jsondoc.Value {
	least := "low"
	if m.minimal() {
		least = "minimal"
	}
	switch effort {
	case "none", "disable":
		if m.three { // which cannot do without thinking
			return jsondoc.Value(`{"thinkingLevel":"` + least + `","includeThoughts":false}`)
		}
		return `{"thinkingBudget":0,"includeThoughts":false}`
	case "minimal":
		if m.three {
			return jsondoc.Value(`{"thinkingLevel":"` + least + `","includeThoughts":true}`)
		}
		return budgetConfig(m.leastBudget())
	case "low", "medium", "high":
		if m.three {
			return jsondoc.Value(`{"thinkingLevel":"` + effort + `","includeThoughts":true}`)
		}
		return budgetConfig(budgets[effort])
	}
	return ""
}

func budgetConfig(tokens int64) jsondoc.Value {
	return jsondoc.Value(`{"thinkingBudget":` + strconv.FormatInt(tokens, 10) + `,"includeThoughts":true}`)
}
