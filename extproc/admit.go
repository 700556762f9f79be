package extproc

import (
	"strconv"
	"strings"
	"time"

	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/envoy/names"
	"github.com/sluicegw/sluice/extproc/wire"
	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/policy/route"
)

// opOf is the call that a path stands for.
func opOf(path string) (adapters.Op, *apierror.Error) {
	if path == "/v2/rerank" { // Cohere's clients have their own version
		return adapters.Rerank, nil
	}
	switch strings.TrimPrefix(path, "/v1") {
	case "/chat/completions":
		return adapters.Chat, nil
	case "/completions":
		return adapters.Completion, nil
	case "/embeddings":
		return adapters.Embedding, nil
	case "/rerank":
		return adapters.Rerank, nil
	}
	return 0, apierror.New(apierror.NotFound, 404, "there is no %s here", path)
}

// answersInText tells the calls whose answers are written by a model, and billed by their length.
func answersInText(op adapters.Op) bool { return op == adapters.Chat || op == adapters.Completion }

// identify is the part of admission that needs no body: who calls, and what for.
func (c *Call) identify(h wire.Headers) *apierror.Error {
	c.headers = h
	c.clientID = callID(h.Get("x-litellm-call-id"))
	if c.snapshot == nil {
		e := apierror.New(apierror.Overloaded, 503, "sluice is starting; try again in a moment")
		e.RetryAfter = time.Second
		return e
	}
	key, err := c.snapshot.Keys.Authenticate(c.snapshot.Keys.Token(h.Get))
	if err != nil {
		return err
	}
	c.key = key
	if err := c.snapshot.Keys.Route(key, pathOf(h)); err != nil {
		return err
	}
	op, err := opOf(pathOf(h))
	c.op = op
	return err
}

// callID takes a client's own id for its call if it is one that can stand in logs and headers.
func callID(own string) string {
	if own == "" || len(own) > 128 {
		return newCallID()
	}
	for i := range len(own) {
		if own[i] <= ' ' || own[i] > '~' {
			return newCallID()
		}
	}
	return own
}

// admit decides everything about a call before it costs anything: is the body a request, may this key
// use the model, and which attempts are to be made in which order.
func (c *Call) admit(body []byte) *apierror.Error {
	if !c.hold(len(body)) {
		return heldUp()
	}
	request, err := c.parse(body)
	if err != nil {
		return err
	}
	if err := nameable("model", request.Model()); err != nil {
		return err
	}
	ask, err := c.ask(request)
	if err != nil {
		return err
	}
	c.request, c.alias = request, request.Model()
	if e := c.endUser(); e != nil && e.Blocked {
		return invalid("user", "User blocked from making LLM API Calls. User=%.200s", e.ID)
	}
	c.rates.limits = c.callerLimits(ask.Group)
	if c.snapshot.CountTokens || tokensLimited(c.rates.limits) {
		c.estimate = estimateTokens(request)
	}
	plan, err := c.makePlan(ask)
	if err != nil {
		return c.whoDenied(err, ask.Group)
	}
	c.plan = plan
	c.way.begin(plan)
	return nil
}

// parse reads a request of the client's, or one that its own fallbacks make of it.
func (c *Call) parse(body []byte) (*adapters.Request, *apierror.Error) {
	r, err := adapters.Parse(c.op, body)
	// How openai-python names its helper that adds a stream up (with "beta." before version 1.92).
	if err == nil && strings.HasSuffix(c.headers.Get(names.HeaderHelper), "chat.completions.stream") {
		r.NumberThoughts()
	}
	return r, err
}

// heldUp refuses a call that there is no memory for at the moment.
func heldUp() *apierror.Error {
	e := apierror.New(apierror.Overloaded, 503, "sluice holds as many bytes of requests as it may; try again")
	e.RetryAfter = time.Second
	return e
}

// ask puts the request's own wishes into the planner's words. Headers count where the body is silent
// (https://docs.litellm.ai/docs/proxy/request_headers).
func (c *Call) ask(r *adapters.Request) (route.Ask, *apierror.Error) {
	a := route.Ask{
		Group:   c.key.ModelFor(r.Model()),
		Stream:  r.Stream(),
		Allowed: c.allows,
		Can:     func(d *route.Deployment) error { return c.can(d, r) },
		CanOwn:  func(d *route.Deployment, own int) error { return c.can(d, c.changedBy(own, r)) },
	}
	if a.Group != r.Model() {
		c.aliased = r.Model()
	}
	var err *apierror.Error
	if c.snapshot.Table.FiltersTags() {
		a.Tags = c.tagsWith(r)
	}
	if c.snapshot.Table.HasAffinity() {
		a.Session = func(by route.Affinity) uint64 { return c.session(r, by) }
	}
	if a.NumRetries, err = wishedRetries(r.Field("num_retries"), c.headers.Get("x-litellm-num-retries")); err != nil {
		return a, err
	}
	if a.Timeout, err = wishedTimeout("timeout", r.Field("timeout"), c.headers.Get("x-litellm-timeout")); err != nil {
		return a, err
	}
	if a.StreamTimeout, err = wishedTimeout("stream_timeout", r.Field("stream_timeout"), c.headers.Get("x-litellm-stream-timeout")); err != nil {
		return a, err
	}
	c.hurried = a.Timeout > 0 || a.Stream && a.StreamTimeout > 0
	if err = c.ownFallbacks(r, &a); err != nil {
		return a, err
	}
	if err = c.mayFallBack(&a); err != nil {
		return a, err
	}
	c.windows = c.snapshot.Windows || len(a.Lists.Context) > 0
	if a.MaxFallbacks, err = wishedCount("max_fallbacks", r.Field("max_fallbacks"), ""); err != nil {
		return a, err
	}
	if c.way.least, err = wishedWait(r.Field("retry_after")); err != nil {
		return a, err
	}
	a.Pretend = pretended(r)
	c.pretends = a.Pretend != ""
	if string(r.Field("disable_fallbacks")) == "true" {
		a.Fallbacks = []route.Override{} // none, which replaces the configured ones
	}
	return a, nil
}

// allows asks about a model, or about the alias that led to it, which may be allowed by itself.
func (c *Call) allows(model string) bool {
	keys := c.snapshot.Keys
	return keys.Allows(c.key, model) || c.aliased != "" && model == c.key.ModelFor(c.aliased) && keys.Allows(c.key, c.aliased)
}

// whoDenied tells a model that the team refuses from one that the key does.
func (c *Call) whoDenied(err *apierror.Error, model string) *apierror.Error {
	if err.Kind == apierror.Forbidden {
		if denied := c.snapshot.Keys.AccessError(c.key, model); denied != nil {
			return denied
		}
	}
	return err
}

// can says why a deployment cannot take this call.
func (c *Call) can(d *route.Deployment, r *adapters.Request) error {
	own := c.snapshot.Deployments[d.ID]
	if own == nil {
		return apierror.New(apierror.Unavailable, 503, "the deployment is not in service")
	}
	if own.Out != "" {
		return apierror.New(apierror.Unavailable, 503, "model %s is configured, but out of service: %s", r.Model(), own.Out)
	}
	if !c.server.Warm(own.Cluster) || (own.Timed != "" && !c.server.Warm(own.Timed)) {
		return apierror.New(apierror.Unavailable, 503, "the deployment is not ready yet")
	}
	if err := own.Target.Supports(r); err != nil {
		return err
	}
	if err := c.tooLong(d, r); err != nil {
		return err
	}
	return c.full(own)
}

// longestModel is the most bytes that a model's name may have. Where a wildcard serves any name, it stands in the
// ledger, whose indexes have an end.
const longestModel = 512

// nameable refuses a model's name that cannot be written down.
func nameable(param, model string) *apierror.Error {
	if len(model) > longestModel {
		return invalid(param, "a model's name has at most %d bytes, not %d", longestModel, len(model))
	}
	return nil
}

const mostRetries = 10

func wishedRetries(field []byte, header string) (*int, *apierror.Error) {
	n, err := wishedCount("num_retries", field, header)
	if n != nil {
		*n = min(*n, mostRetries)
	}
	return n, err
}

func wishedCount(name string, field []byte, header string) (*int, *apierror.Error) {
	text := header
	if field != nil {
		text = string(field)
	}
	if text == "" || text == "null" {
		return nil, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return nil, invalid(name, "%s must be a whole number, 0 or more, not %.40s", name, text)
	}
	return &n, nil
}

// wishedWait reads retry_after: seconds to wait at least before a deployment is asked again.
func wishedWait(field []byte) (time.Duration, *apierror.Error) {
	text := strings.Trim(string(field), `"`)
	if n, err := strconv.ParseFloat(text, 64); text == "" || text == "null" || err == nil && n == 0 { // none
		return 0, nil
	}
	return wishedSeconds("retry_after", text, mostPause)
}

// wishedTimeout reads seconds.
func wishedTimeout(name string, field []byte, header string) (time.Duration, *apierror.Error) {
	text := header
	if field != nil {
		text = strings.Trim(string(field), `"`)
	}
	if text == "" || text == "null" {
		return 0, nil
	}
	return wishedSeconds(name, text, 24*time.Hour)
}

func wishedSeconds(name, text string, most time.Duration) (time.Duration, *apierror.Error) {
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || !(seconds > 0) || seconds > most.Seconds() {
		return 0, invalid(name, "%s must be a number of seconds between 0 and %g, not %.40s", name, most.Seconds(), text)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

func invalid(param, format string, args ...any) *apierror.Error {
	e := apierror.New(apierror.BadRequest, 400, format, args...)
	e.Param = param
	return e
}
