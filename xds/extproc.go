package xds

import (
	"time"

	xdscorev3 "github.com/cncf/xds/go/xds/core/v3"
	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	commonmatchingv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/matching/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	codecv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/upstream_codec/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sluicegw/sluice/envoy/names"
)

const filterExtProc = "envoy.filters.http.ext_proc"

type mode = extprocv3.ProcessingMode

// routerProcessor is the ext_proc filter that sees a call once, whatever number of attempts it takes
// (https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/http/http_filters/ext_proc_filter).
func routerProcessor(m Model) *extprocv3.ExternalProcessor {
	p := processor(m, names.FilterRouter)
	p.ProcessingMode = &mode{
		// The headers come before the body is read: a bad key is answered there, and without this message
		// Envoy takes no changes of headers with the body.
		RequestHeaderMode: extprocv3.ProcessingMode_SEND,
		RequestBodyMode:   extprocv3.ProcessingMode_BUFFERED,
		// The reply to an answer's headers changes the body's mode for a whole answer. Were BUFFERED the mode
		// until then, a fast stream could overrun the small buffer of its route before that reply.
		ResponseHeaderMode:  extprocv3.ProcessingMode_SEND,
		ResponseBodyMode:    extprocv3.ProcessingMode_STREAMED,
		RequestTrailerMode:  extprocv3.ProcessingMode_SKIP,
		ResponseTrailerMode: extprocv3.ProcessingMode_SKIP,
	}
	p.AllowModeOverride = true
	p.ResponseAttributes = []string{names.AttrAttempt, names.AttrFlags, names.AttrCodeDetails}
	p.MetadataOptions = &extprocv3.MetadataOptions{
		ReceivingNamespaces: &extprocv3.MetadataOptions_MetadataNamespaces{
			Untyped: []string{names.NamespaceLane},
			Typed:   []string{names.NamespacePlan},
		}}
	return p
}

// together is the mode for requests whose body is known to be small: it is sent to the processor with the headers,
// which saves an exchange, and one reply replaces both. A large one is kept in Envoy until its headers were answered.
func together() *extprocv3.ExtProcPerRoute {
	return &extprocv3.ExtProcPerRoute{Override: &extprocv3.ExtProcPerRoute_Overrides{Overrides: &extprocv3.ExtProcOverrides{
		ProcessingMode: &mode{
			RequestHeaderMode:   extprocv3.ProcessingMode_SEND,
			RequestBodyMode:     extprocv3.ProcessingMode_FULL_DUPLEX_STREAMED,
			RequestTrailerMode:  extprocv3.ProcessingMode_SEND, // this mode wants it
			ResponseHeaderMode:  extprocv3.ProcessingMode_SEND,
			ResponseBodyMode:    extprocv3.ProcessingMode_STREAMED,
			ResponseTrailerMode: extprocv3.ProcessingMode_SKIP,
		}}}}
}

// upstreamProcessor is the ext_proc filter that translates the attempts after the first.
func upstreamProcessor(m Model) *extprocv3.ExternalProcessor {
	p := processor(m, names.FilterUpstream)
	p.ProcessingMode = &mode{
		RequestHeaderMode:   extprocv3.ProcessingMode_SEND,
		RequestBodyMode:     extprocv3.ProcessingMode_NONE,
		ResponseHeaderMode:  extprocv3.ProcessingMode_SKIP,
		ResponseBodyMode:    extprocv3.ProcessingMode_NONE,
		RequestTrailerMode:  extprocv3.ProcessingMode_SKIP,
		ResponseTrailerMode: extprocv3.ProcessingMode_SKIP,
	}
	p.RequestAttributes = []string{names.AttrCluster}
	return p
}

func processor(m Model, filter string) *extprocv3.ExternalProcessor {
	return &extprocv3.ExternalProcessor{
		StatPrefix: filter,
		GrpcService: &corev3.GrpcService{
			TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{
				ClusterName: names.ClusterExtProc}},
			// The gRPC stream lives as long as the call: the call's own timeouts end it.
			Timeout:         durationpb.New(0),
			InitialMetadata: []*corev3.HeaderValue{{Key: names.MetadataFilter, Value: filter}},
		},
		MessageTimeout: durationpb.New(m.Timeouts.Message),
		MutationRules: &mutationv3.HeaderMutationRules{
			AllowAllRouting: wrapperspb.Bool(true), // path, authority and method are the provider's
			AllowEnvoy:      wrapperspb.Bool(true), // timeouts and retries travel as x-envoy-*
		},
		// A processor that is gone must not let a call through to a provider.
		FailureModeAllow:     false,
		DeferredCloseTimeout: durationpb.New(time.Second),
	}
}

// upstreamFilters are the HTTP filters of every attempt: the processor, for attempts after the first only; what
// holds answers back (watch.go); the removal of headers that are between Envoy and sluice; the codec. They
// stand in the router, not in each cluster, so that ten thousand clusters don't repeat them; a cluster with
// filters of its own replaces them
// (https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/extensions/filters/http/router/v3/router.proto).
func upstreamFilters(m Model) ([]*hcmv3.HttpFilter, error) {
	retries, err := onRetries(upstreamProcessor(m))
	if err != nil {
		return nil, err
	}
	verdicts, err := onWatched(verdictProcessor(m))
	if err != nil {
		return nil, err
	}
	whole, err := onWhole(holdWhole())
	if err != nil {
		return nil, err
	}
	return httpFilters(
		named{"sluice.retry_translation", retries},
		// An answer meets these from the end: it is whole before it is judged.
		named{"sluice.verdict", verdicts},
		named{"sluice.whole", whole},
		named{"sluice.between", between()},
		named{"envoy.filters.http.upstream_codec", &codecv3.UpstreamCodec{}},
	)
}

// onRetries runs the filter where Envoy's attempt count is not 1.
func onRetries(p *extprocv3.ExternalProcessor) (*commonmatchingv3.ExtensionWithMatcher, error) {
	return onRetry(filterExtProc, p)
}

func onRetry(name string, config proto.Message) (*commonmatchingv3.ExtensionWithMatcher, error) {
	first, err := headerIs(names.HeaderAttempt, exactly("1"))
	if err != nil {
		return nil, err
	}
	return matched(name, config, not(first))
}

func xdsExtension(name string, config proto.Message) (*xdscorev3.TypedExtensionConfig, error) {
	packed, err := pack(config)
	if err != nil {
		return nil, err
	}
	return &xdscorev3.TypedExtensionConfig{Name: name, TypedConfig: packed}, nil
}

type named struct {
	name   string
	config proto.Message
}

func httpFilters(filters ...named) ([]*hcmv3.HttpFilter, error) {
	out := make([]*hcmv3.HttpFilter, 0, len(filters))
	for _, f := range filters {
		packed, err := pack(f.config)
		if err != nil {
			return nil, err
		}
		out = append(out, &hcmv3.HttpFilter{Name: f.name,
			ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: packed}})
	}
	return out, nil
}
