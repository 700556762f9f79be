package adapters

import (
	"strconv"
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// MaxTokens is the most tokens that an answer may have, a choice, as the client set it: max_completion_tokens, else
// max_tokens; ok is false if it set neither.
func (r *Request) MaxTokens() (n int64, ok bool) {
	for _, name := range [...]string{"max_completion_tokens", "max_tokens"} {
		if v := r.doc.Get(name); v.Exists() {
			if n := v.Count(); n > 0 {
				return n, true
			}
		}
	}
	return 0, false
}

// mostChoices is more answers than any provider makes at a time: times the largest count of tokens it is far from
// overflow.
const mostChoices = 1 << 20

// Choices is how many answers the provider makes: n, or best_of where that is more. At least 1, at most 2^20.
func (r *Request) Choices() int64 {
	return min(max(1, r.doc.Get("n").Count(), r.doc.Get("best_of").Count()), mostChoices)
}

// Tokens that a prompt may have beside what its text makes of them: the most that an image counts for the usual
// models, and what providers say to a model that has tools.
const (
	mostPerImage = 2000
	mostForTools = 700
)

// InputBound is more tokens than the prompt can have: no tokenizer makes more of them than the text has bytes.
func (r *Request) InputBound() int64 { return int64(len(r.body)) + r.InputExtra() }

// InputExtra is the most tokens that the prompt can have beside what its text makes of them.
func (r *Request) InputExtra() int64 {
	var n int64
	if r.facts&hasImage != 0 {
		n += mostPerImage * int64(strings.Count(r.doc.Text(), `"image_url"`))
	}
	if r.doc.Get("tools").Exists() || r.doc.Get("response_format").Exists() {
		n += mostForTools
	}
	return n
}

// InputEstimate is about how many tokens the prompt has, where nobody counted them: four bytes of the client's texts
// make one.
func (r *Request) InputEstimate() int64 {
	var n int
	for _, name := range [...]string{"messages", "prompt", "input", "tools", "system"} {
		n += len(r.doc.Get(name))
	}
	return int64(n+3) / 4
}

// OutputEstimate is about how many tokens n bytes of an answer are.
func OutputEstimate(n int64) int64 { return (n + 3) / 4 }

// WithMaxTokens is the request with another limit of the answer's length.
func (r *Request) WithMaxTokens(n int64) (*Request, *apierror.Error) {
	name := "max_tokens"
	if r.doc.Get("max_completion_tokens").Exists() {
		name = "max_completion_tokens"
	}
	var patch jsondoc.Patch
	patch.Set(name, jsondoc.Value(strconv.FormatInt(n, 10)))
	return Parse(r.op, patch.Append(make([]byte, 0, len(r.body)+32), &r.doc))
}
