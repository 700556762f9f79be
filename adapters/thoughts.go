package adapters

import (
	"strconv"

	"github.com/sluicegw/sluice/adapters/jsondoc"
)

// NumberThoughts makes a stream tell with every piece of thinking which block it is of, before the Request is used. The
// stream helper of OpenAI's library for Python adds lists up by the index of their members, and fails on members
// without one; other clients, as LiteLLM's, know none.
func (r *Request) NumberThoughts() { r.numbered = true }

// appendThought appends a piece of the n-th block of thinking in a stream.
func (r *Request) appendThought(dst []byte, block jsondoc.Value, n int) []byte {
	if !r.numbered {
		return append(dst, block...)
	}
	dst = strconv.AppendInt(append(dst, `{"index":`...), int64(n), 10)
	return append(append(dst, ','), block[1:]...)
}
