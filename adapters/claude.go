package adapters

import (
	"slices"
	"strings"
)

// claude is what a Claude model can do, read off its name, so that a model newer than this program is
// treated like its neighbours.
//
// https://docs.anthropic.com/en/docs/about-claude/models/overview
type claude struct {
	family       string // sonnet, opus, haiku, …
	major, minor int    // 0, 0: the name tells no version
}

// claudeOf reads claude-sonnet-4-5-20250929, claude-opus-4-20250514, claude-3-7-sonnet-latest and the
// like, with any prefix and with dots for dashes.
func claudeOf(model string) claude {
	_, rest, ok := strings.Cut(strings.ToLower(model), "claude-")
	if !ok {
		return claude{}
	}
	var c claude
	numbers := 0
	for part := range strings.FieldsFuncSeq(rest, func(r rune) bool { return r == '-' || r == '.' || r == '_' || r == '@' || r == ':' }) {
		n, digits := smallNumber(part)
		switch {
		case digits && n >= 0 && numbers == 0:
			c.major = n
			numbers++
		case digits && n >= 0 && numbers == 1:
			c.minor = n
			numbers++
		case digits: // a date
			numbers = 2
		case c.family == "":
			c.family = part
		}
	}
	return c
}

// smallNumber reads one or two digits; longer numbers are dates and give -1.
func smallNumber(s string) (n int, digits bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
		if i >= 2 {
			n = -1
			break
		}
	}
	if n == -1 {
		return -1, strings.Trim(s, "0123456789") == ""
	}
	return n, s != ""
}

func (c claude) atLeast(major, minor int) bool {
	return c.major > major || c.major == major && c.minor >= minor
}

// maxTokens is sent where the client names no limit, for Anthropic wants one in every request: the model's own,
// or 4096 for those before 4.5, as LiteLLM has it.
func (c claude) maxTokens() int64 {
	switch {
	case c.family == "mythos", c.atLeast(4, 6):
		return 128000
	case c.atLeast(4, 5):
		return 64000
	}
	return 4096
}

// reasons: the model can think before it answers.
func (c claude) reasons() bool {
	return c.major >= 4 || c.major == 3 && c.minor >= 7 || c.family == "mythos"
}

// adaptive: thinking is set by effort and not by a budget of tokens.
func (c claude) adaptive() bool { return c.atLeast(4, 6) || c.family == "mythos" }

// budgets: thinking may be set by a budget of tokens.
func (c claude) budgets() bool { return !c.adaptive() || c.major == 4 && c.minor == 6 }

// alwaysThinks: thinking cannot be turned off.
func (c claude) alwaysThinks() bool {
	return c.family == "fable" || c.family == "mythos" || c.atLeast(5, 5) && c.family != "haiku"
}

// samples: temperature, top_p and top_k are the client's to choose.
func (c claude) samples() bool { return !c.atLeast(4, 7) && c.family != "mythos" }

// forcesTools: a tool can be made to be called.
func (c claude) forcesTools() bool {
	switch c.family {
	case "fable", "mythos":
		return !c.atLeast(5, 1)
	case "haiku":
		return true
	}
	return !c.atLeast(5, 5)
}

// structured: the model takes a JSON schema for its answer.
func (c claude) structured() bool { return c.atLeast(4, 5) || c.family == "mythos" }

// midSystem: a system message may stand between the turns.
func (c claude) midSystem() bool { return c.atLeast(4, 8) }

// efforts are the values of output_config.effort.
func (c claude) efforts(effort string) bool {
	if effort == "xhigh" {
		return c.atLeast(4, 7) || c.family == "mythos"
	}
	return slices.Contains([]string{"low", "medium", "high", "max"}, effort)
}
