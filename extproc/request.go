package extproc

import (
	"strconv"
	"time"

	prioritygroupv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/router/cluster_specifiers/priority_group/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/envoy/names"
	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/policy/route"
)

// onRequestHeaders answers a bad key before its body is read.
func (c *Call) onRequestHeaders(h *extprocv3.HttpHeaders) *extprocv3.ProcessingResponse {
	if err := c.identify(h.GetHeaders().GetHeaders()); err != nil {
		return c.refuse(err)
	}
	if h.GetEndOfStream() {
		return c.refuse(apierror.New(apierror.BadRequest, 400, "the request has no body; send a JSON object"))
	}
	if n, err := strconv.ParseInt(c.headers.get("content-length"), 10, 64); err == nil && n > c.server.MaxBody {
		return c.refuse(apierror.New(apierror.TooLarge, 413, "the request body has %d bytes; at most %d are taken", n, c.server.MaxBody))
	}
	return requestHeadersPass()
}

// onRequestBody admits the call and sends its first attempt on its way, translated.
func (c *Call) onRequestBody(b *extprocv3.HttpBody) *extprocv3.ProcessingResponse {
	if err := c.admit(b.GetBody()); err != nil {
		return c.refuse(err)
	}
	out, err := c.translate(1)
	if err != nil {
		return c.refuse(err)
	}
	c.id = newID()
	c.server.calls.put(c)
	reply := c.dispatch(out)
	c.sent = time.Now()
	c.overhead += c.sent.Sub(c.began)
	return reply
}

// translate makes the request of attempt n.
func (c *Call) translate(n int) (*adapters.Outgoing, *apierror.Error) {
	d := c.deployment(n)
	if d == nil {
		return nil, apierror.New(apierror.Internal, 500, "the plan has no attempt %d", n)
	}
	return c.target(n).Request(c.request)
}

// target is the deployment's adapter, for the model that a wildcard stood for.
func (c *Call) target(n int) *adapters.Target {
	a, d := c.plan.Attempts[n-1], c.deployment(n)
	if a.Wildcard == "" {
		return d.Target
	}
	return d.Target.WithModel(a.Expand(d.Target.Model()))
}

// refuse ends the call with an error of sluice's own making.
func (c *Call) refuse(e *apierror.Error) *extprocv3.ProcessingResponse {
	c.failure = e
	var h headerSet
	c.ownHeaders(&h)
	if e.RetryAfter == 0 {
		h.set("x-should-retry", "false")
	}
	return immediate(e, &h)
}

// dispatch tells Envoy the plan, and the first attempt's request.
func (c *Call) dispatch(out *adapters.Outgoing) *extprocv3.ProcessingResponse {
	var h headerSet
	c.steer(&h)
	outgoing(&h, out)
	dropOthers(&h, c.headers)
	reply := &extprocv3.ProcessingResponse{
		Response: &extprocv3.ProcessingResponse_RequestBody{RequestBody: &extprocv3.BodyResponse{
			Response: &extprocv3.CommonResponse{
				HeaderMutation:  &h.m,
				BodyMutation:    bodyMutation(out.Body),
				ClearRouteCache: true,
			}}},
		DynamicMetadata: &structpb.Struct{Fields: map[string]*structpb.Value{
			names.NamespaceLane: structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{
				names.KeyGroup: structpb.NewStringValue(c.plan.Attempts[0].Group)}})}},
	}
	if plan, err := c.priorities(); err == nil { // without one the call meets the dead end
		reply.TypedDynamicMetadata = map[string]*anypb.Any{names.NamespacePlan: plan}
	}
	return reply
}

// priorities is the plan in the shape that Envoy's cluster specifier reads: one group, of one cluster, an
// attempt.
func (c *Call) priorities() (*anypb.Any, error) {
	override := &prioritygroupv3.PriorityGroupsOverride{
		PriorityGroups: make([]*prioritygroupv3.PriorityGroup, len(c.plan.Attempts))}
	for i := range c.plan.Attempts {
		override.PriorityGroups[i] = &prioritygroupv3.PriorityGroup{Name: attemptNames[i],
			Clusters: []*prioritygroupv3.ClusterWeight{{ClusterName: c.cluster(i + 1), Weight: one}}}
	}
	return anypb.New(override)
}

// steer sets the headers by which Envoy's router takes its orders
// (https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/http/http_filters/router_filter).
func (c *Call) steer(h *headerSet) {
	attempts := c.plan.Attempts
	h.set(names.HeaderCall, c.id)
	h.set(names.HeaderGroup, names.GroupKey(attempts[0].Group))
	h.set("x-envoy-max-retries", strconv.Itoa(len(attempts)-1))
	if severalDeployments(attempts) {
		// Another deployment has other credentials and other models.
		h.set("x-envoy-retriable-status-codes", "401,403,404")
	}
	longest := c.timeouts()
	if longest > 0 {
		h.set("x-envoy-upstream-rq-per-try-timeout-ms", milliseconds(longest))
	}
}

// timeouts returns the longest that any attempt may take until its answer begins. Envoy has one such
// limit a call; shorter ones are built into the clusters of deployments that have their own, which serves
// for answers that come whole.
func (c *Call) timeouts() time.Duration {
	var longest time.Duration
	shorter := false
	for i := range c.plan.Attempts {
		t := c.attemptTimeout(i + 1)
		shorter = shorter || (i > 0 && t != longest)
		longest = max(longest, t)
	}
	c.timed = shorter && !c.request.Stream()
	return longest
}

func (c *Call) attemptTimeout(n int) time.Duration {
	if t := c.plan.Attempts[n-1].Timeout; t > 0 {
		return t
	}
	return c.snapshot.Timeout
}

func severalDeployments(attempts []route.Attempt) bool {
	for _, a := range attempts {
		if a.Deployment != attempts[0].Deployment {
			return true
		}
	}
	return false
}

// outgoing sets one attempt's request line, headers and length.
func outgoing(h *headerSet, out *adapters.Outgoing) {
	h.set(":method", out.Method)
	h.set(":path", out.Path)
	h.set(":authority", out.Authority)
	for _, header := range out.Headers {
		h.set(header.Name, header.Value)
	}
	h.set("content-length", strconv.Itoa(len(out.Body)))
}

func milliseconds(d time.Duration) string {
	return strconv.FormatInt(max(1, d.Milliseconds()), 10)
}

var one = wrapperspb.UInt32(1)

var attemptNames = [...]string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16"}
