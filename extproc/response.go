package extproc

import (
	"errors"
	"strconv"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/envoy/failure"
	"github.com/sluicegw/sluice/envoy/names"
	"github.com/sluicegw/sluice/internal/apierror"
)

// onResponseHeaders learns who answered and how the answer is to be read. After it no attempt follows.
func (c *Call) onResponseHeaders(in *extprocv3.ProcessingRequest, h *extprocv3.HttpHeaders) *extprocv3.ProcessingResponse {
	c.answered = time.Now()
	attrs := in.GetAttributes()[names.AttrFilter].GetFields()
	list := h.GetHeaders().GetHeaders()
	status, _ := strconv.Atoi(headerIn(list, ":status"))
	details := attrs[names.AttrCodeDetails].GetStringValue()
	if details != viaUpstream || c.plan == nil {
		c.answering = min(attempt(attrs), c.attempts())
		return c.refuseLate(failure.Find(uint64(attrs[names.AttrFlags].GetNumberValue()), details, status))
	}
	c.answering = attempt(attrs)
	if c.deployment(c.answering) == nil {
		return c.refuseLate(apierror.New(apierror.Internal, 500, "the plan has no attempt %d", c.answering))
	}
	c.release()
	c.upstreamFailed = status >= 400
	c.reply = c.target(c.answering).Reply(c.request, c.alias)
	c.framing = c.reply.Begin(status, func(name string) string { return headerIn(list, name) })
	defer func() { c.overhead += since(c.answered) }()
	if c.framing == adapters.Events && !h.GetEndOfStream() {
		var set headerSet
		c.answerHeaders(&set, list)
		set.set(":status", "200")
		set.set("content-type", c.reply.ContentType())
		set.set("cache-control", "no-cache")
		set.remove("content-length") // the translation has another
		return responseHeadersStream(&set)
	}
	c.framing = adapters.Whole
	c.providerHeaders = list
	if h.GetEndOfStream() {
		_, err := c.reply.Whole(nil)
		if err == nil {
			err = apierror.New(apierror.BadReply, 500, "the provider's answer has no body")
		}
		return c.refuseLate(err)
	}
	c.awaitBody()
	return responseHeadersPass()
}

func attempt(attrs map[string]*structpb.Value) int {
	return int(attrs[names.AttrAttempt].GetNumberValue())
}

func (c *Call) attempts() int {
	if c.plan == nil {
		return 0
	}
	return len(c.plan.Attempts)
}

// refuseLate ends a call whose attempts are over with an error.
func (c *Call) refuseLate(e *apierror.Error) *extprocv3.ProcessingResponse {
	c.failure = e
	var h headerSet
	c.answerHeaders(&h, nil)
	h.set("x-should-retry", "false")
	return immediate(e, &h)
}

// onResponseBody translates a whole answer, or one piece of a stream.
func (c *Call) onResponseBody(b *extprocv3.HttpBody) (*extprocv3.ProcessingResponse, error) {
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
		return c.streamed(b, began), nil
	}
	return c.whole(b, began), nil
}

func (c *Call) streamed(b *extprocv3.HttpBody, began time.Time) *extprocv3.ProcessingResponse {
	out := c.reply.Events(nil, b.GetBody())
	if b.GetEndOfStream() {
		out = c.reply.End(out)
		c.failure = c.reply.Err()
		c.done = true
		c.overhead += since(began)
		c.finish()
	} else {
		c.overhead += since(began)
	}
	return responseBody(out, nil)
}

func (c *Call) whole(b *extprocv3.HttpBody, began time.Time) *extprocv3.ProcessingResponse {
	var h headerSet
	c.hold(len(b.GetBody()))
	body, err := c.reply.Whole(b.GetBody())
	status, contentType := 200, c.reply.ContentType()
	if err != nil {
		c.failure = err
		status, contentType = err.Status, "application/json"
		body = err.JSON()
	}
	c.overhead += since(began)
	c.answerHeaders(&h, c.providerHeaders)
	if err != nil {
		h.set("x-should-retry", "false")
		if err.RetryAfter > 0 {
			h.set("retry-after", err.RetryAfterSeconds())
		}
	}
	h.set(":status", strconv.Itoa(status))
	h.set("content-type", contentType)
	h.set("content-length", strconv.Itoa(len(body)))
	c.done = true
	c.finish()
	return responseBody(body, &h)
}

// ownHeaders are those that every answer has.
func (c *Call) ownHeaders(h *headerSet) {
	if c.clientID == "" {
		c.clientID = newID()
	}
	h.set("x-litellm-call-id", c.clientID)
	if c.snapshot != nil {
		h.set("x-litellm-version", c.snapshot.Version)
	}
}

// answerHeaders are the contract's headers about who answered and how
// (https://docs.litellm.ai/docs/proxy/response_headers). The provider's own are given under
// llm_provider-, so that none of them can pass for sluice's.
func (c *Call) answerHeaders(h *headerSet, provider []*corev3.HeaderValue) {
	c.ownHeaders(h)
	if d := c.deployment(c.answering); d != nil {
		a := c.plan.Attempts[c.answering-1]
		h.set("x-litellm-model-id", d.ID)
		h.set("x-litellm-model-group", a.Group)
		h.set("x-litellm-model-api-base", d.APIBase)
		h.set("x-litellm-attempted-retries", strconv.Itoa(c.retries()))
		h.set("x-litellm-attempted-fallbacks", strconv.Itoa(a.Fallback))
		h.set("x-litellm-max-retries", strconv.Itoa(len(c.plan.Attempts)-1))
	}
	h.set("x-litellm-response-duration-ms", inMilliseconds(since(c.began)))
	h.set("x-litellm-overhead-duration-ms", inMilliseconds(c.overhead))
	for _, p := range provider {
		if name := p.GetKey(); !hopHeader(name) {
			h.remove(name)
			h.set("llm_provider-"+name, headerIn([]*corev3.HeaderValue{p}, name))
		}
	}
}

// hopHeader tells which of a provider's headers frame the answer; they are set anew or are Envoy's.
func hopHeader(name string) bool {
	switch name {
	case "content-length", "content-type", "transfer-encoding", "connection", "date", "server", "cache-control":
		return true
	}
	return strings.HasPrefix(name, ":") || strings.HasPrefix(name, "x-envoy-") || strings.HasPrefix(name, "x-litellm-")
}

func inMilliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', -1, 64)
}

// viaUpstream is response.code_details of an answer that a provider gave.
const viaUpstream = "via_upstream"
