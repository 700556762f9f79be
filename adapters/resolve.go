package adapters

import (
	"fmt"
	"slices"
	"strings"
)

// resolve finds the provider of a model string and the model's name there.
func resolve(model, base string) (*provider, string, error) {
	if strings.TrimSpace(model) == "" {
		return nil, "", fmt.Errorf("missing: write it as provider/name, such as openai/gpt-4o")
	}
	name, rest, slash := strings.Cut(model, "/")
	if !slash {
		return resolveBare(model, base)
	}
	if p := byName(name); p != nil {
		if rest == "" {
			return nil, "", fmt.Errorf("%q has no model name after the slash", model)
		}
		if p.quirks.prefix != "" && !strings.Contains(rest, "/") && rest != "*" {
			rest = p.quirks.prefix + rest
		}
		return p, rest, nil
	}
	if slices.Contains(notBuilt, name) {
		return nil, "", fmt.Errorf("provider %s is %w", name, ErrNotBuilt)
	}
	if p := byBase(base); p != nil {
		return p, model, nil
	}
	return nil, "", fmt.Errorf("unknown provider %q%s", name, suggestion(name))
}

// resolveBare finds the provider of a name without a prefix: by what the name begins with, or by the
// api_base if that is a known provider's.
func resolveBare(model, base string) (*provider, string, error) {
	for _, rule := range bareNames {
		for _, prefix := range rule.prefixes {
			if !strings.HasPrefix(model, prefix) {
				continue
			}
			if p := byName(rule.provider); p != nil {
				return p, model, nil
			}
			return nil, "", fmt.Errorf("%s is a model of provider %s, which is %w", model, rule.provider, ErrNotBuilt)
		}
	}
	if isOSeries(model) {
		return byName("openai"), model, nil
	}
	if p := byBase(base); p != nil {
		return p, model, nil
	}
	hint := "such as openai/" + model
	if byName(model) != nil {
		hint = "such as " + model + "/name"
	}
	return nil, "", fmt.Errorf("%q does not tell its provider: write provider/name, %s", model, hint)
}

var bareNames = []struct {
	provider string
	prefixes []string
}{
	{"openai", []string{"gpt-", "chatgpt-", "ft:gpt-", "text-embedding-", "davinci-", "babbage-", "omni-moderation-", "codex-"}},
	{"anthropic", []string{"claude-"}},
	{"gemini", []string{"gemini-"}},
	{"bedrock", []string{"anthropic.claude-", "amazon.titan-", "amazon.nova-", "meta.llama", "cohere.command-", "cohere.embed-",
		"us.anthropic.", "us.amazon.", "us.meta.", "eu.anthropic.", "eu.amazon.", "eu.meta.", "apac.anthropic.", "apac.amazon.",
		"global.anthropic.", "global.amazon."}},
	{"cohere_chat", []string{"command-"}},
	{"deepseek", []string{"deepseek-chat", "deepseek-reasoner"}},
}

// byBase is the provider whose own host an api_base names.
func byBase(base string) *provider {
	host := hostOf(base)
	if host == "" {
		return nil
	}
	for i := range providers {
		p := &providers[i]
		if strings.HasPrefix(p.base, "https://") && strings.EqualFold(hostOf(p.base), host) {
			return p
		}
	}
	return nil
}

// suggestion names the providers whose names come near a wrong one.
func suggestion(name string) string {
	var near []string
	lower := strings.ToLower(name)
	for _, known := range Providers() {
		if distance(lower, known) <= 2 || len(lower) > 2 && (strings.HasPrefix(known, lower) || strings.HasPrefix(lower, known)) {
			near = append(near, known)
		}
	}
	if len(near) == 0 {
		return ": for any API in OpenAI's format, write openai/" + name + "/… and set api_base"
	}
	return ": did you mean " + strings.Join(near, " or ") + "?"
}

// distance is the edit distance between two short names.
func distance(a, b string) int {
	if len(a) > 40 || len(b) > 40 {
		return 40
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
