package extproc

import (
	"strconv"
	"time"

	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/envoy/names"
	"github.com/sluicegw/sluice/extproc/wire"
	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/policy/route"
)

// onRequestHeaders answers a bad key before its body is read.
func (c *Call) onRequestHeaders(m *wire.Message) *wire.Reply {
	c.together = m.Together
	if err := c.identify(m.Headers); err != nil {
		return c.refuse(err)
	}
	if m.EndOfStream {
		return c.refuse(apierror.New(apierror.BadRequest, 400, "the request has no body; send a JSON object"))
	}
	n, err := strconv.ParseInt(c.headers.Get("content-length"), 10, 64)
	if err == nil && n > c.server.MaxBody {
		return c.refuse(apierror.New(apierror.TooLarge, 413, "the request body has %d bytes; at most %d are taken", n, c.server.MaxBody))
	}
	if c.together {
		c.length = int(min(max(0, n), names.StreamBody))
		return nil
	}
	return pass(wire.RequestHeaders)
}

// gather takes a piece of the body of a request whose headers wait for it. The last one, or a trailer, admits the call.
func (c *Call) gather(m *wire.Message) *wire.Reply {
	body := m.Body
	if c.gathered != nil || !m.EndOfStream {
		if c.gathered == nil {
			// The length is the client's word: it takes a small part of the memory to send before it has that.
			c.gathered = make([]byte, 0, max(len(body), min(c.length, 4*len(body))))
		}
		before := c.pending
		c.gathered = append(c.gathered, body...)
		body = c.gathered
		m.Forget()
		c.pending = cap(c.gathered)
		if !c.hold(c.pending - before) {
			return c.refuse(heldUp())
		}
	}
	if int64(len(body)) > c.server.MaxBody {
		return c.refuse(apierror.New(apierror.TooLarge, 413, "the request body has more than %d bytes", c.server.MaxBody))
	}
	if !m.EndOfStream && m.Kind != wire.RequestTrailers {
		return nil
	}
	c.hold(-c.pending) // admit holds it from here
	c.gathered, c.pending = nil, 0
	return c.onRequestBody(body)
}

// onRequestBody admits the call and sends its first attempt on its way, translated.
func (c *Call) onRequestBody(body []byte) *wire.Reply {
	if err := c.admit(body); err != nil {
		return c.refuse(err)
	}
	if err := c.reserveMoney(); err != nil {
		return c.refuse(err)
	}
	out, err := c.firstRequest()
	if err != nil {
		return c.refuse(err)
	}
	c.id = newID()
	if c.hurried {
		c.id += markHurried
	}
	r := c.dispatch(out)
	c.server.calls.put(c) // last: from here on other goroutines read the call
	c.sendFirst()
	c.sent = time.Now()
	c.attemptBegan.Store(c.sent.UnixNano())
	c.depart(1)
	c.overhead += c.sent.Sub(c.began)
	c.awaitStream()
	return r
}

// translate makes the request of attempt n.
func (c *Call) translate(n int) (*adapters.Outgoing, *apierror.Error) {
	d := c.deployment(n)
	if d == nil {
		return nil, apierror.New(apierror.Internal, 500, "the plan has no attempt %d", n)
	}
	return c.target(n).Request(c.requestOf(n))
}

// requestOf is what attempt n asks: the client's request, or what one of its own fallbacks makes of it.
func (c *Call) requestOf(n int) *adapters.Request {
	if a := c.attempt(n); a != nil {
		return c.changedBy(a.Override, c.request)
	}
	return c.request
}

// target is the deployment's adapter, for the model that a wildcard stood for.
func (c *Call) target(n int) *adapters.Target {
	a, d := c.attempt(n), c.deployment(n)
	if a.Wildcard == "" {
		return d.Target
	}
	return d.Target.WithModel(a.Expand(d.Target.Model()))
}

// refuse ends the call with an error of sluice's own making.
func (c *Call) refuse(e *apierror.Error) *wire.Reply {
	c.failure, c.refused = e, true
	c.settleMoney()
	r := reply(wire.Other, 6)
	c.ownHeaders(r)
	if e.RetryAfter == 0 {
		r.SetHeader("x-should-retry", "false")
	}
	return immediate(e, r)
}

// dispatch tells Envoy the plan, and the first attempt's request.
func (c *Call) dispatch(out *adapters.Outgoing) *wire.Reply {
	to := wire.RequestBody
	if c.together {
		to = wire.RequestHeaders
	}
	r := reply(to, 11+len(out.Headers))
	c.steer(r)
	outgoing(r, out)
	dropOthers(r, c.headers)
	return r
}

// steer sets the headers by which Envoy's router takes its orders
// (https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/http/http_filters/router_filter).
func (c *Call) steer(r *wire.Reply) {
	longest := c.timeouts()
	r.Steer, r.Group, r.Call, r.Plan = true, c.plan.At(0).Group, c.id, c.clusters()
	r.SetHeader(names.HeaderCall, c.id)
	c.watch = c.watched()
	r.SetHeader(names.HeaderGroup, c.routeKey())
	r.SetHeader("x-envoy-max-retries", strconv.Itoa(c.plan.Longest()-1))
	if longest > 0 {
		r.SetHeader("x-envoy-upstream-rq-per-try-timeout-ms", milliseconds(longest))
	}
	if t := c.snapshot.CallTimeout; t > 0 && !c.request.Stream() { // Envoy's would cut a stream, too
		r.SetHeader("x-envoy-upstream-rq-timeout-ms", milliseconds(t))
	}
	if c.watch != "" {
		r.SetHeader(names.HeaderWatch, c.watch)
	}
}

// clusters are where Envoy goes, attempt by attempt. Where it may make more attempts than are planned, because
// failures of a kind lead to more, what follows the last is one that sluice ends itself.
func (c *Call) clusters() []string {
	n := c.attempts()
	out := make([]string, n, n+1)
	for i := range out {
		out[i] = c.cluster(i + 1)
	}
	if n < c.plan.Longest() {
		out = append(out, names.ClusterAPI)
	}
	return out
}

// routeKey finds the group's route: the one with small buffers, where the request fits into them.
func (c *Call) routeKey() string {
	group := c.plan.At(0).Group
	if c.narrow() {
		return names.StreamKey(group)
	}
	return names.GroupKey(group)
}

// narrow tells whether the call has the route with small buffers.
func (c *Call) narrow() bool { return c.request.Stream() && 2*c.request.Size() <= names.StreamBody }

// timeouts returns the longest that any attempt may take until its answer begins. Envoy has one such
// limit a call; shorter ones are built into a second cluster of their deployments, which serves for
// answers that come whole.
func (c *Call) timeouts() time.Duration {
	var longest time.Duration
	shorter := false
	for i := range c.plan.Len() {
		t := c.limit(c.plan.At(i))
		shorter = shorter || (i > 0 && t != longest)
		longest = max(longest, t)
	}
	c.timed = shorter && !c.request.Stream()
	return longest
}

// attemptTimeout is the limit in time of attempt n.
func (c *Call) attemptTimeout(n int) time.Duration { return c.limit(c.attempt(n)) }

func (c *Call) limit(a *route.Attempt) time.Duration {
	if a != nil && a.Timeout > 0 {
		return a.Timeout
	}
	return c.snapshot.Timeout
}

func milliseconds(d time.Duration) string {
	return strconv.FormatInt(max(1, d.Milliseconds()), 10)
}
