package extproc

import (
	"errors"
	"strconv"
	"time"

	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/envoy/failure"
	"github.com/sluicegw/sluice/extproc/wire"
	"github.com/sluicegw/sluice/internal/apierror"
)

// onResponseHeaders learns who answered and how the answer is to be read. After it no attempt follows.
func (c *Call) onResponseHeaders(m *wire.Message) *wire.Reply {
	if c.deadline.begin() {
		return nil // the client has been answered: Envoy is closing this stream
	}
	c.answered = time.Now()
	status, _ := strconv.Atoi(m.Headers.Get(":status"))
	if m.Attributes.CodeDetails != viaUpstream || c.plan == nil {
		c.answering = min(m.Attributes.Attempt, c.attempts())
		c.unreached = m.Attributes.Flags&neverSent != 0
		if e := c.way.ending(); e != nil {
			if t := c.way.wasTold(); t.attempt == c.answering {
				c.upstreamFailed, c.providerHeaders, c.reply = t.status >= 400, t.headers, t.reply
			}
			return c.refuseLate(e)
		}
		return c.refuseLate(failure.Find(m.Attributes.Flags, m.Attributes.CodeDetails, status))
	}
	c.answering = m.Attributes.Attempt
	if c.deployment(c.answering) == nil {
		e := apierror.New(apierror.Internal, 500, "the plan has no attempt %d", c.answering)
		c.answering = 0 // nobody's
		return c.refuseLate(e)
	}
	c.release()
	c.upstreamFailed = status >= 400
	if e := c.way.ending(); e != nil {
		return c.refuseLate(e)
	}
	if status < 300 {
		c.answeredWell()
	}
	c.reply = c.target(c.answering).Reply(c.requestOf(c.answering), c.alias)
	c.framing = c.reply.Begin(status, m.Headers.Get)
	c.overhead += since(c.answered) // before awaitBody: the deadline reads it
	if c.framing == adapters.Events && !m.EndOfStream {
		r := reply(wire.ResponseHeaders, 16+len(m.Headers))
		c.answerHeaders(r, m.Headers)
		r.SetHeader(":status", "200")
		r.SetHeader("content-type", c.reply.ContentType())
		r.SetHeader("cache-control", "no-cache")
		r.Remove = append(r.Remove, "content-length") // the translation has another
		return r
	}
	c.framing = adapters.Whole
	c.providerHeaders = m.Headers
	if m.EndOfStream {
		_, err := c.reply.Whole(nil)
		if err == nil {
			err = apierror.New(apierror.BadReply, 500, "the provider's answer has no body")
		}
		return c.refuseLate(err)
	}
	c.awaitBody()
	return &wire.Reply{To: wire.ResponseHeaders, Whole: true}
}

func (c *Call) attempts() int {
	if c.plan == nil {
		return 0
	}
	return c.way.planned()
}

// refuseLate ends a call whose attempts are over with an error.
func (c *Call) refuseLate(e *apierror.Error) *wire.Reply {
	c.failure, c.refused = e, true
	c.settleMoney()
	r := reply(wire.Other, 16+len(c.providerHeaders))
	c.answerHeaders(r, c.providerHeaders)
	r.SetHeader("x-should-retry", "false")
	return immediate(e, r)
}

// onResponseBody translates a whole answer, or one piece of a stream.
func (c *Call) onResponseBody(m *wire.Message) (*wire.Reply, error) {
	if c.reply == nil {
		return nil, errors.New("a response body came before its headers")
	}
	if c.deadline.stop() {
		return nil, nil // the client has been answered: Envoy is closing this stream
	}
	began := time.Now()
	if c.firstByte.IsZero() {
		c.firstByte = began
	}
	if c.framing == adapters.Events {
		return c.streamed(m, began), nil
	}
	return c.whole(m, began), nil
}

func (c *Call) streamed(m *wire.Message, began time.Time) *wire.Reply {
	out := c.reply.Events(nil, m.Body)
	if m.EndOfStream {
		out = c.reply.End(out)
		c.done = true
	}
	c.failure = c.reply.Err()
	c.overhead += since(began)
	if c.reply.Over() { // what is in out may be all that the client waits for
		c.settleMoney()
	}
	if c.done {
		c.finish()
	}
	return &wire.Reply{To: wire.ResponseBody, Replace: true, Body: out}
}

func (c *Call) whole(m *wire.Message, began time.Time) *wire.Reply {
	c.hold(len(m.Body))
	body, err := c.reply.Whole(m.Body)
	status, contentType := 200, c.reply.ContentType()
	if err != nil {
		c.failure = err
		status, contentType = err.Status, "application/json"
		body = err.JSON()
	}
	c.done = true
	c.settleMoney()
	c.overhead += since(began)
	r := reply(wire.ResponseBody, 19+len(c.providerHeaders))
	c.answerHeaders(r, c.providerHeaders)
	if err != nil {
		r.SetHeader("x-should-retry", "false")
		if err.RetryAfter > 0 {
			r.SetHeader("retry-after", err.RetryAfterSeconds())
		}
	}
	if cost, known := c.cost(); known && err == nil && c.purse.entry == nil {
		r.SetHeader("x-litellm-response-cost", inDollars(cost))
	}
	r.SetHeader(":status", strconv.Itoa(status))
	r.SetHeader("content-type", contentType)
	r.SetHeader("content-length", strconv.Itoa(len(body)))
	r.Replace, r.Body = true, body
	c.finish()
	return r
}

// ownHeaders are those that every answer has.
func (c *Call) ownHeaders(r *wire.Reply) {
	if c.clientID == "" {
		c.clientID = newCallID()
	}
	r.SetHeader("x-litellm-call-id", c.clientID)
	if c.snapshot != nil {
		r.SetHeader("x-litellm-version", c.snapshot.Version)
	}
	c.rateHeaders(r)
}

// answerHeaders are the contract's headers about who answered and how
// (https://docs.litellm.ai/docs/proxy/response_headers). The provider's own are given under
// llm_provider-, so that none of them can pass for sluice's.
func (c *Call) answerHeaders(r *wire.Reply, provider wire.Headers) {
	c.ownHeaders(r)
	if d := c.deployment(c.answering); d != nil {
		a := c.attempt(c.answering)
		retries, fallbacks := c.way.counts(c.answering)
		r.SetHeader("x-litellm-model-id", d.ID)
		r.SetHeader("x-litellm-model-group", a.Group)
		r.SetHeader("x-litellm-model-api-base", d.APIBase)
		r.SetHeader("x-litellm-attempted-retries", strconv.Itoa(retries))
		r.SetHeader("x-litellm-attempted-fallbacks", strconv.Itoa(fallbacks))
		r.SetHeader("x-litellm-max-retries", strconv.Itoa(retriesIn(c.plan, a)))
	}
	if c.failure != nil && c.plan != nil && len(c.plan.Denied) > 0 {
		// How many, not which: a key is not told of groups that it may not use. The log names them at debug.
		r.SetHeader("x-sluice-fallbacks-denied", strconv.Itoa(len(c.plan.Denied)))
	}
	c.moneyHeaders(r)
	r.SetHeader("x-litellm-response-duration-ms", inMilliseconds(since(c.began)))
	r.SetHeader("x-litellm-overhead-duration-ms", inMilliseconds(c.overhead))
	for i := range provider {
		p := &provider[i]
		if hopHeader(p.Name) {
			continue
		}
		r.Remove = append(r.Remove, p.Name)
		if !gatewayHeader(p.Name) && len(r.Set) < mostSet {
			r.SetHeader("llm_provider-"+p.Name, p.Value)
		}
	}
}

// mostSet is up to how many headers those of the provider are told: Envoy makes an error of a reply that sets more than
// 100 (max_headers_count), and sluice's own, of which a caller with many limits has dozens, come first. Some more follow.
const mostSet = 85

func inMilliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', -1, 64)
}

// neverSent are the bits of response.flags that say that the last attempt did not reach a provider: UF, DF, NC, UH,
// NR, UO, OM.
const neverSent = 1<<5 | 1<<26 | 1<<24 | 1<<1 | 1<<8 | 1<<7 | 1<<25

// viaUpstream is response.code_details of an answer that a provider gave.
const viaUpstream = "via_upstream"
