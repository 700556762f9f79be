package xds

import (
	"strings"
	"time"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	grpclogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/grpc/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	earlyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/early_header_mutation/header_mutation/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sluicegw/sluice/envoy/names"
)

const filterAllowList = "sluice.allow_list"

// clientIdle is the longest silence of a stream before its group is known; a group's route has its own. It
// does not follow the configuration, because nothing in a listener may change.
const clientIdle = 11 * time.Minute

func listener(m Model) (*listenerv3.Listener, error) {
	manager, err := connectionManager(m)
	if err != nil {
		return nil, err
	}
	packed, err := pack(manager)
	if err != nil {
		return nil, err
	}
	chain := &listenerv3.FilterChain{Filters: []*listenerv3.Filter{{
		Name:       "envoy.filters.network.http_connection_manager",
		ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: packed}}}}
	if m.Listener.TLS {
		if chain.TransportSocket, err = downstreamTLS(m.Listener.HTTP1); err != nil {
			return nil, err
		}
		// A client that connects and never finishes its handshake must not hold a connection.
		chain.TransportSocketConnectTimeout = durationpb.New(10 * time.Second)
	}
	return &listenerv3.Listener{
		Name:                          names.Listener,
		Address:                       socketAddress(m.Listener.Address, m.Listener.Port),
		PerConnectionBufferLimitBytes: wrapperspb.UInt32(m.Limits.Connection),
		FilterChains:                  []*listenerv3.FilterChain{chain},
		// Many clients may come back at once after a restart.
		TcpBacklogSize: wrapperspb.UInt32(4096),
	}, nil
}

func downstreamTLS(http1 bool) (*corev3.TransportSocket, error) {
	protocols := []string{"h2", "http/1.1"}
	if http1 {
		protocols = protocols[1:]
	}
	return transportSocket(&tlsv3.DownstreamTlsContext{CommonTlsContext: &tlsv3.CommonTlsContext{
		AlpnProtocols: protocols,
		TlsParams:     &tlsv3.TlsParameters{TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_2},
		TlsCertificateSdsSecretConfigs: []*tlsv3.SdsSecretConfig{{
			Name: names.SecretListener, SdsConfig: adsSource()}},
	}})
}

func adsSource() *corev3.ConfigSource {
	return &corev3.ConfigSource{
		ResourceApiVersion:    corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
	}
}

// connectionManager follows Envoy's advice for the edge
// (https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/best_practices/edge), except where an LLM's
// long silences need more patience.
func connectionManager(m Model) (*hcmv3.HttpConnectionManager, error) {
	filters, err := filterChain(m)
	if err != nil {
		return nil, err
	}
	early, err := extension("sluice.client_only", &earlyv3.HeaderMutation{Mutations: clientOnly()})
	if err != nil {
		return nil, err
	}
	replies, err := localReplies()
	if err != nil {
		return nil, err
	}
	codec := hcmv3.HttpConnectionManager_AUTO
	if m.Listener.HTTP1 {
		codec = hcmv3.HttpConnectionManager_HTTP1
	}
	return &hcmv3.HttpConnectionManager{
		StatPrefix:                    names.StatPrefix,
		CodecType:                     codec,
		RouteSpecifier:                &hcmv3.HttpConnectionManager_Rds{Rds: &hcmv3.Rds{RouteConfigName: names.RouteConfig, ConfigSource: adsSource()}},
		HttpFilters:                   filters,
		EarlyHeaderMutationExtensions: []*corev3.TypedExtensionConfig{early},
		LocalReplyConfig:              replies,
		UseRemoteAddress:              wrapperspb.Bool(true),
		SkipXffAppend:                 true,
		GenerateRequestId:             wrapperspb.Bool(false),
		ServerName:                    "sluice",
		NormalizePath:                 wrapperspb.Bool(true),
		MergeSlashes:                  true,
		StreamIdleTimeout:             durationpb.New(clientIdle),
		RequestTimeout:                durationpb.New(m.Timeouts.Upload),
		RequestHeadersTimeout:         durationpb.New(30 * time.Second),
		DrainTimeout:                  durationpb.New(5 * time.Second),
		DelayedCloseTimeout:           durationpb.New(time.Second),
		CommonHttpProtocolOptions:     &corev3.HttpProtocolOptions{IdleTimeout: durationpb.New(time.Hour)},
		Http2ProtocolOptions: &corev3.Http2ProtocolOptions{
			MaxConcurrentStreams:        wrapperspb.UInt32(1000),
			InitialStreamWindowSize:     wrapperspb.UInt32(256 << 10),
			InitialConnectionWindowSize: wrapperspb.UInt32(1 << 20),
		},
		// Everything before the body was read at the edge: an error of the protocol ends the one stream.
		StreamErrorOnInvalidHttpMessage: wrapperspb.Bool(true),
	}, nil
}

func filterChain(m Model) ([]*hcmv3.HttpFilter, error) {
	upstream, err := upstreamFilters(m)
	if err != nil {
		return nil, err
	}
	attempts, err := attemptLog()
	if err != nil {
		return nil, err
	}
	return httpFilters(
		named{filterAllowList, allowList()}, // off on the API's route
		named{filterExtProc, routerProcessor(m)},
		named{"envoy.filters.http.router", &routerv3.Router{
			UpstreamLog:          []*accesslogv3.AccessLog{attempts},
			UpstreamHttpFilters:  upstream,
			SuppressEnvoyHeaders: true,
			DynamicStats:         wrapperspb.Bool(false),
		}},
	)
}

// attemptLog writes one entry for every attempt that failed; a successful one is seen by the processor.
// (https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/extensions/filters/http/router/v3/router.proto)
func attemptLog() (*accesslogv3.AccessLog, error) {
	config, err := pack(&grpclogv3.HttpGrpcAccessLogConfig{
		CommonConfig: &grpclogv3.CommonGrpcAccessLogConfig{
			LogName: names.AttemptLog,
			GrpcService: &corev3.GrpcService{TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{
				EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: names.ClusterALS}}},
			TransportApiVersion: corev3.ApiVersion_V3,
			BufferFlushInterval: durationpb.New(50 * time.Millisecond),
			BufferSizeBytes:     wrapperspb.UInt32(16 << 10),
		},
		AdditionalResponseHeadersToLog: []string{"retry-after", "retry-after-ms"},
	})
	if err != nil {
		return nil, err
	}
	failed := &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_OrFilter{
		OrFilter: &accesslogv3.OrFilter{Filters: []*accesslogv3.AccessLogFilter{
			statusAtLeast(400),
			{FilterSpecifier: &accesslogv3.AccessLogFilter_ResponseFlagFilter{ResponseFlagFilter: &accesslogv3.ResponseFlagFilter{}}},
		}}}}
	return &accesslogv3.AccessLog{
		Name:       "envoy.access_loggers.http_grpc",
		Filter:     failed,
		ConfigType: &accesslogv3.AccessLog_TypedConfig{TypedConfig: config},
	}, nil
}

func statusAtLeast(code uint32) *accesslogv3.AccessLogFilter {
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_StatusCodeFilter{
		StatusCodeFilter: &accesslogv3.StatusCodeFilter{Comparison: &accesslogv3.ComparisonFilter{
			Op:    accesslogv3.ComparisonFilter_GE,
			Value: &corev3.RuntimeUInt32{DefaultValue: code, RuntimeKey: "sluice.attempt_log_status"},
		}}}}
}

// statName makes a group's name fit for a statistic's name, where dots separate.
func statName(group string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		}
		return '_'
	}, group)
}
