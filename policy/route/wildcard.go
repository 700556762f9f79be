package route

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// pattern is a group name with stars: "openai/*", "*", "bedrock/*.llama*".
type pattern struct {
	text           string
	prefix, suffix string
	many           *regexp.Regexp // set when there is more than one star
}

const maxStars = 8

func newPattern(text string) (*pattern, error) {
	p := &pattern{text: text}
	parts := strings.Split(text, "*")
	if len(parts) > maxStars+1 {
		return nil, fmt.Errorf("it has %d stars: %d are enough", len(parts)-1, maxStars)
	}
	p.prefix, p.suffix = parts[0], parts[len(parts)-1]
	if len(parts) > 2 {
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		// Go's regexp runs in linear time, so a hostile model name costs nothing. Greedy, as LiteLLM's.
		var err error
		if p.many, err = regexp.Compile(`(?s)^` + strings.Join(parts, `(.*)`) + `$`); err != nil {
			return nil, errors.New("it is not valid UTF-8")
		}
	}
	return p, nil
}

// match reports whether name fits, and what the first star stood for.
func (p *pattern) match(name string) (string, bool) {
	if len(name) < len(p.prefix)+len(p.suffix) ||
		!strings.HasPrefix(name, p.prefix) || !strings.HasSuffix(name, p.suffix) {
		return "", false
	}
	if p.many != nil {
		m := p.many.FindStringSubmatch(name)
		if m == nil {
			return "", false
		}
		return m[1], true
	}
	mid := name[len(p.prefix) : len(name)-len(p.suffix)]
	// "openai/" names no model; "gpt-4*" may well mean "gpt-4".
	if mid == "" && (p.prefix == "" || strings.HasSuffix(p.prefix, "/")) {
		return "", false
	}
	return mid, true
}

// expand puts what the stars stood for into template's stars, as LiteLLM does: a template without stars
// is itself, and one with fewer stars than the pattern gives way to the whole name.
func (p *pattern) expand(name, template string) string {
	stars := strings.Count(template, "*")
	if stars == 0 {
		return template
	}
	var segments []string
	if p.many != nil {
		if m := p.many.FindStringSubmatch(name); m != nil {
			segments = m[1:]
		}
	} else if s, ok := p.match(name); ok {
		segments = []string{s}
	}
	if len(segments) > stars {
		return name
	}
	var b strings.Builder
	for _, s := range segments {
		before, after, _ := strings.Cut(template, "*")
		b.WriteString(before)
		b.WriteString(s)
		template = after
	}
	b.WriteString(template)
	return b.String()
}

// moreSpecific orders patterns: the longer literal text first, then the fewer stars.
func moreSpecific(a, b *pattern) int {
	stars := func(p *pattern) int { return strings.Count(p.text, "*") }
	return cmp.Or(
		cmp.Compare(len(b.text)-stars(b), len(a.text)-stars(a)),
		cmp.Compare(stars(a), stars(b)),
	)
}
