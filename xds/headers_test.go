package xds

import (
	"regexp"
	"testing"

	"github.com/sluicegw/sluice/envoy/names"
)

func TestNoneOfMatchesEverythingElse(t *testing.T) {
	words := append([]string{"a", "ab", "content-type", "host"}, names.ClientHeaders...)
	re := regexp.MustCompile(noneOf(words))
	for _, w := range words {
		if re.MatchString(w) {
			t.Errorf("%q is kept, yet it matches", w)
		}
		for _, other := range []string{w + "x", w + "-", "x" + w, w[:len(w)-1] + "~"} {
			if !re.MatchString(other) {
				t.Errorf("%q is not on the list, yet it does not match", other)
			}
		}
	}
	for name, match := range map[string]bool{
		":path": false, ":authority": false, "": false,
		"cookie": true, "x-envoy-max-retries": true, "b": true, "x": true, "authorizatio": true,
	} {
		if got := re.MatchString(name); got != match {
			t.Errorf("%q: matches %v, want %v", name, got, match)
		}
	}
}
