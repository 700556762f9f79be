package route

import (
	"strings"
	"testing"
)

// A pattern that matches a name gives that name back when it is expanded into itself.
func FuzzPattern(f *testing.F) {
	for _, seed := range [][2]string{
		{"openai/*", "openai/gpt-4o"}, {"*", "x"}, {"a*b*c", "a--b--c"}, {"**", "xy"}, {"gpt-4*", "gpt-4"}, {"*\n(", "\xff\n("},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		if !strings.Contains(text, "*") {
			return
		}
		p, err := newPattern(text)
		if err != nil {
			return
		}
		if _, ok := p.match(name); !ok {
			return
		}
		if got := p.expand(name, text); got != name {
			t.Errorf("%q matches %q and expands to %q", text, name, got)
		}
		if got := p.expand(name, "fixed"); got != "fixed" {
			t.Errorf("a template without stars became %q", got)
		}
	})
}
