package adapters

import "testing"

// TestLikely: the status of an error that came with a good one.
func TestLikely(t *testing.T) {
	for _, tt := range []struct {
		f    failure
		want int
	}{
		{failure{message: "busy"}, 500},
		{failure{typ: "server_error"}, 500},
		{failure{typ: "overloaded_error"}, 400}, // its kind makes it a 500
		{failure{typ: "invalid_request_error"}, 400},
		{failure{typ: "authentication_error"}, 401},
		{failure{typ: "invalid_request_error", code: "invalid_api_key"}, 401},
		{failure{code: "insufficient_quota"}, 429},
		{failure{message: "This model's maximum context length is 10 tokens"}, 400},
	} {
		if got := likely(&tt.f); got != tt.want {
			t.Errorf("%+v: %d, want %d", tt.f, got, tt.want)
		}
	}
}
