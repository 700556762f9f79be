package extproc

import (
	"strconv"

	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/envoy/names"
	"github.com/sluicegw/sluice/extproc/wire"
	"github.com/sluicegw/sluice/internal/apierror"
)

// reply makes a reply that changes about n headers.
func reply(to wire.Kind, n int) *wire.Reply {
	return &wire.Reply{To: to, Set: make(wire.Headers, 0, n)}
}

// pass lets a message go on as it is.
func pass(to wire.Kind) *wire.Reply { return &wire.Reply{To: to} }

// immediate ends the call with an error, beside the headers that r sets. Its details begin with "sluice:",
// by which the listener's table of local replies knows to leave it alone.
func immediate(e *apierror.Error, r *wire.Reply) *wire.Reply {
	r.SetHeader("content-type", "application/json")
	if e.RetryAfter > 0 {
		r.SetHeader("retry-after", e.RetryAfterSeconds())
	}
	r.Immediate, r.Body, r.Details = e.Status, e.JSON(), "sluice:"+string(e.Kind)
	return r
}

// outgoing sets one attempt's request line, headers, length and body.
func outgoing(r *wire.Reply, out *adapters.Outgoing) {
	r.SetHeader(":method", out.Method)
	r.SetHeader(":path", out.Path)
	r.SetHeader(":authority", out.Authority)
	for _, header := range out.Headers {
		r.SetHeader(header.Name, header.Value)
	}
	length := strconv.Itoa(len(out.Body))
	r.SetHeader("content-length", length)
	r.SetHeader(names.HeaderLength, length)
	r.Replace, r.Body = true, out.Body
}
