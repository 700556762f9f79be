package adapters

import "testing"

// No product of what a client writes may pass for a cheap call.
func TestEnormousAnswersAreCounted(t *testing.T) {
	for _, fields := range []string{`"n":2,"max_tokens":4611686018427387904`, `"n":9223372036854775807,"max_tokens":9223372036854775807`, `"n":4,"max_completion_tokens":1e18`} {
		r, err := Parse(Chat, []byte(`{"model":"m","messages":[{"role":"user","content":"x"}],`+fields+`}`))
		if err != nil {
			continue // refused is as good
		}
		n, named := r.MaxTokens()
		if total := n * r.Choices(); !named || total < 1<<40 {
			t.Errorf("%s: %d tokens", fields, total)
		}
	}
}
