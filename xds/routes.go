package xds

import (
	"time"

	matchingv3 "github.com/cncf/xds/go/xds/type/matcher/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	previoushostsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	prioritygroupv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/router/cluster_specifiers/priority_group/v3"
	envoymatcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sluicegw/sluice/envoy/names"
)

// ModelPaths are the paths that carry model calls, each also without /v1; reranking also under /v2.
var ModelPaths = []string{"/chat/completions", "/completions", "/embeddings", "/rerank"}

// routeConfig steers in two steps. Before a body is known, a model path only decides how the processor
// reads the call. Afterwards the processor names the model group in dynamic metadata and clears the
// route cache, and from then on the metadata alone decides: a translated path can meet no other route.
func routeConfig(m Model, version string) (*routev3.RouteConfiguration, error) {
	first, err := firstPass(m)
	if err != nil {
		return nil, err
	}
	fallthroughAction, err := xdsExtension("first_pass", &routev3.RouteList{Routes: first})
	if err != nil {
		return nil, err
	}
	onNoMatch := &matchingv3.Matcher_OnMatch{OnMatch: &matchingv3.Matcher_OnMatch_Action{Action: fallthroughAction}}
	matcher := &matchingv3.Matcher{OnNoMatch: onNoMatch}
	if len(m.Groups) > 0 {
		if matcher.MatcherType, err = byGroup(m); err != nil {
			return nil, err
		}
	}
	return &routev3.RouteConfiguration{
		Name: names.RouteConfig,
		VirtualHosts: []*routev3.VirtualHost{{
			Name:                       names.VirtualHost,
			Domains:                    []string{"*"},
			IncludeRequestAttemptCount: true,
			Matcher:                    matcher,
			Metadata: &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{
				// The version makes every publication a change, so that its acknowledgement tells
				// that Envoy has taken all that was sent before it.
				"sluice.version": {Fields: map[string]*structpb.Value{"version": structpb.NewStringValue(version)}}}},
		}},
	}, nil
}

// byGroup finds a group's route in one look-up, however many groups there are. Envoy's route table can
// look up request headers only, so a header is the index; the metadata stays the judge, in each route's
// own match.
func byGroup(m Model) (*matchingv3.Matcher_MatcherTree_, error) {
	input, err := xdsExtension("group", &envoymatcherv3.HttpRequestHeaderMatchInput{HeaderName: names.HeaderGroup})
	if err != nil {
		return nil, err
	}
	routes := make(map[string]*matchingv3.Matcher_OnMatch, len(m.Groups))
	for _, g := range m.Groups {
		for key, limit := range map[string]int64{
			names.GroupKey(g.Name):  m.Limits.Body,
			names.StreamKey(g.Name): min(m.Limits.Body, names.StreamBody),
		} {
			if routes[key], err = onGroup(g, m, limit); err != nil {
				return nil, err
			}
		}
	}
	return &matchingv3.Matcher_MatcherTree_{MatcherTree: &matchingv3.Matcher_MatcherTree{
		Input: input,
		TreeType: &matchingv3.Matcher_MatcherTree_ExactMatchMap{
			ExactMatchMap: &matchingv3.Matcher_MatcherTree_MatchMap{Map: routes}},
	}}, nil
}

func onGroup(g Group, m Model, limit int64) (*matchingv3.Matcher_OnMatch, error) {
	route, err := groupRoute(g, m)
	if err != nil {
		return nil, err
	}
	route.RequestBodyBufferLimit = wrapperspb.UInt64(uint64(limit))
	action, err := xdsExtension("group", route)
	return &matchingv3.Matcher_OnMatch{OnMatch: &matchingv3.Matcher_OnMatch_Action{Action: action}}, err
}

// groupRoute is the route of one model group's calls. Its first priority group is the dead end: without a
// plan in the metadata a call goes nowhere. The others are named, for plans to refer to.
func groupRoute(g Group, m Model) (*routev3.Route, error) {
	groups := []*prioritygroupv3.PriorityGroup{priorityGroup("no_plan", []Member{{Cluster: names.ClusterDeadEnd}})}
	if len(g.Members) > 0 {
		groups = append(groups, priorityGroup(g.Name, g.Members))
	}
	for _, f := range g.Fallbacks {
		if len(f.Members) > 0 {
			groups = append(groups, priorityGroup("fallback:"+f.Group, f.Members))
		}
	}
	specifier, err := extension("plan", &prioritygroupv3.PriorityGroupClusterSpecifier{
		PriorityGroups:            groups,
		OverrideMetadataNamespace: names.NamespacePlan,
	})
	if err != nil {
		return nil, err
	}
	retry, err := retryPolicy(m)
	if err != nil {
		return nil, err
	}
	return &routev3.Route{
		Name:       g.Name,
		StatPrefix: statName(g.Name),
		Match:      inGroup(g.Name),
		// The client's own went with the allow-list, and some providers refuse requests without one.
		RequestHeadersToAdd: []*corev3.HeaderValueOption{{
			Header:       &corev3.HeaderValue{Key: "user-agent", Value: "sluice"},
			AppendAction: corev3.HeaderValueOption_ADD_IF_ABSENT,
		}},
		Action: &routev3.Route_Route{Route: &routev3.RouteAction{
			ClusterSpecifier: &routev3.RouteAction_InlineClusterSpecifierPlugin{
				InlineClusterSpecifierPlugin: &routev3.ClusterSpecifierPlugin{Extension: specifier}},
			Timeout: durationpb.New(0), // the call's deadline travels as a header
			// Beyond the silence that an attempt may keep, so that the attempt's limit is met first.
			IdleTimeout: durationpb.New(m.Timeouts.Idle + time.Minute),
			RetryPolicy: retry,
		}},
	}, nil
}

func priorityGroup(name string, members []Member) *prioritygroupv3.PriorityGroup {
	out := &prioritygroupv3.PriorityGroup{Name: name}
	for _, member := range members {
		out.Clusters = append(out.Clusters, &prioritygroupv3.ClusterWeight{
			ClusterName: member.Cluster, Weight: wrapperspb.UInt32(max(1, member.Weight))})
	}
	return out
}

// retryPolicy moves on after an attempt without an answer, and after an answer that sluice has marked: which
// errors are worth another attempt depends on the call. How often is the plan's length, which travels as
// x-envoy-max-retries
// (https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/http/http_filters/router_filter).
func retryPolicy(m Model) (*routev3.RetryPolicy, error) {
	previous, err := pack(&previoushostsv3.PreviousHostsPredicate{})
	if err != nil {
		return nil, err
	}
	return &routev3.RetryPolicy{
		RetryOn: "reset,connect-failure,refused-stream,retriable-headers",
		RetriableHeaders: []*routev3.HeaderMatcher{{Name: names.HeaderVerdict,
			HeaderMatchSpecifier: &routev3.HeaderMatcher_PresentMatch{PresentMatch: true}}},
		NumRetries:            wrapperspb.UInt32(0),
		RefreshClusterOnRetry: true,
		PerTryIdleTimeout:     durationpb.New(m.Timeouts.Idle),
		RetryBackOff: &routev3.RetryPolicy_RetryBackOff{
			BaseInterval: durationpb.New(m.Timeouts.RetryBase),
			MaxInterval:  durationpb.New(m.Timeouts.RetryMax),
		},
		RetryHostPredicate: []*routev3.RetryPolicy_RetryHostPredicate{{
			Name:       "envoy.retry_host_predicates.previous_hosts",
			ConfigType: &routev3.RetryPolicy_RetryHostPredicate_TypedConfig{TypedConfig: previous}}},
		HostSelectionRetryMaxAttempts: 3,
	}, nil
}

// firstPass are the routes by path. Model paths end in the dead end: should the processor ever fail to
// name a group, nothing leaves.
func firstPass(m Model) ([]*routev3.Route, error) {
	out := []*routev3.Route{lostRoute()}
	together, err := perFilter(map[string]proto.Message{filterExtProc: together()})
	if err != nil {
		return nil, err
	}
	for _, path := range ModelPaths {
		fulls := []string{"/v1" + path, path}
		if path == "/rerank" {
			fulls = append(fulls, "/v2/rerank")
		}
		for _, full := range fulls {
			small := modelRoute(full, min(m.Limits.Body, names.StreamBody), contentLengthUpTo(names.StreamBody/2))
			small.TypedPerFilterConfig = together
			// In this mode Envoy keeps sluice to no limit in time; the silence of a stream is what it has.
			small.GetRoute().IdleTimeout = durationpb.New(m.Timeouts.Message)
			out = append(out, small, modelRoute(full, m.Limits.Body))
		}
	}
	api, err := apiRoute()
	return append(out, api), err
}

// lostRoute is for calls that the processor has steered to a group which has no route. They carry a
// provider's path and credentials by then, and must not be taken for a request to the API.
func lostRoute() *routev3.Route {
	match := anyPath()
	match.Headers = []*routev3.HeaderMatcher{{Name: names.HeaderGroup,
		HeaderMatchSpecifier: &routev3.HeaderMatcher_PresentMatch{PresentMatch: true}}}
	return &routev3.Route{Name: "lost", Match: match, Action: clusterAction(names.ClusterDeadEnd)}
}

// modelRoute is the route of a model call until its group is known. Envoy raises a call's buffer limit when
// another route asks for more, and never lowers it: bodies that are known to be small begin with a small one.
func modelRoute(path string, limit int64, headers ...*routev3.HeaderMatcher) *routev3.Route {
	return &routev3.Route{
		Name: "model:" + path,
		Match: &routev3.RouteMatch{
			PathSpecifier: &routev3.RouteMatch_Path{Path: path},
			Headers:       append(headers, methodIs("POST")),
		},
		Action:                 clusterAction(names.ClusterDeadEnd),
		RequestBodyBufferLimit: wrapperspb.UInt64(uint64(limit)),
	}
}

// routeAPI is the name of the route to sluice's own HTTP server.
const routeAPI = "api"

// apiRoute leads everything else to sluice's own HTTP server, without the processor.
func apiRoute() (*routev3.Route, error) {
	perFilter, err := perFilter(map[string]proto.Message{
		filterExtProc:   &extprocv3.ExtProcPerRoute{Override: &extprocv3.ExtProcPerRoute_Disabled{Disabled: true}},
		filterAllowList: &routev3.FilterConfig{Disabled: true},
	})
	return &routev3.Route{
		Name:                 routeAPI,
		Match:                anyPath(),
		Action:               clusterAction(names.ClusterAPI),
		TypedPerFilterConfig: perFilter,
	}, err
}

func perFilter(configs map[string]proto.Message) (map[string]*anypb.Any, error) {
	out := make(map[string]*anypb.Any, len(configs))
	for name, c := range configs {
		packed, err := pack(c)
		if err != nil {
			return nil, err
		}
		out[name] = packed
	}
	return out, nil
}

func clusterAction(cluster string) *routev3.Route_Route {
	return &routev3.Route_Route{Route: &routev3.RouteAction{
		ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: cluster},
		Timeout:          durationpb.New(0),
	}}
}

func inGroup(group string) *routev3.RouteMatch {
	match := anyPath()
	match.DynamicMetadata = []*envoymatcherv3.MetadataMatcher{{
		Filter: names.NamespaceLane,
		Path: []*envoymatcherv3.MetadataMatcher_PathSegment{{
			Segment: &envoymatcherv3.MetadataMatcher_PathSegment_Key{Key: names.KeyGroup}}},
		Value: &envoymatcherv3.ValueMatcher{MatchPattern: &envoymatcherv3.ValueMatcher_StringMatch{
			StringMatch: &envoymatcherv3.StringMatcher{MatchPattern: &envoymatcherv3.StringMatcher_Exact{Exact: group}}}},
	}}
	return match
}

func anyPath() *routev3.RouteMatch {
	return &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}}
}

func methodIs(method string) *routev3.HeaderMatcher {
	return &routev3.HeaderMatcher{Name: ":method", HeaderMatchSpecifier: &routev3.HeaderMatcher_StringMatch{
		StringMatch: &envoymatcherv3.StringMatcher{MatchPattern: &envoymatcherv3.StringMatcher_Exact{Exact: method}}}}
}

func contentLengthUpTo(n int64) *routev3.HeaderMatcher {
	return &routev3.HeaderMatcher{Name: "content-length", HeaderMatchSpecifier: &routev3.HeaderMatcher_RangeMatch{
		RangeMatch: &typev3.Int64Range{Start: 0, End: n + 1}}}
}
