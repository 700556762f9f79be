package keys

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// AllowsModel decides access, so its matching is held against a second, plainer one.
func FuzzAllowsModel(f *testing.F) {
	f.Add("openai/*", "openai/gpt-4o")
	f.Add("a*b*c", "abbc")
	f.Add("ab*ba", "aba")
	f.Add("**x", "x")
	f.Fuzz(func(t *testing.T, pattern, model string) {
		if pattern == "all-proxy-models" || pattern == "all-team-models" || !utf8.ValidString(pattern) || !utf8.ValidString(model) {
			return
		}
		plain := regexp.MustCompile(`(?s)\A` + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, `.*`) + `\z`)
		if got, want := New(master).Allows(&Key{Models: []string{pattern}}, model), plain.MatchString(model); got != want {
			t.Errorf("%q %q: %v", pattern, model, got)
		}
	})
}

func FuzzToken(f *testing.F) {
	f.Add("Bearer sk-1")
	f.Add("AWS4-HMAC-SHA256 Credential=Bearer sk-1/x")
	f.Fuzz(func(t *testing.T, header string) {
		got := FromHeaders(func(name string) string {
			if name == "authorization" {
				return header
			}
			return ""
		})
		if !strings.Contains(header, got) {
			t.Errorf("%q gave %q", header, got)
		}
		if _, err := New("sk-master-key-1234").Authenticate(got); err == nil && got != "sk-master-key-1234" {
			t.Errorf("%q is let in", got)
		}
	})
}
