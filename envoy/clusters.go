package envoy

import (
	"fmt"
	"math"
	"net"
	"path/filepath"
	"strconv"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// cluster is the static cluster of one of sluice's own servers.
func cluster(u Upstream, tls *TLS, grpc bool) (*clusterv3.Cluster, error) {
	endpoints, remote, named, err := endpoints(u.Addresses)
	if err != nil {
		return nil, err
	}
	protocol, err := protocolOptions(grpc, remote)
	if err != nil {
		return nil, err
	}
	c := &clusterv3.Cluster{
		Name:                          u.Cluster,
		ConnectTimeout:                durationpb.New(connectTimeout),
		ClusterDiscoveryType:          &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		LoadAssignment:                &endpointv3.ClusterLoadAssignment{ClusterName: u.Cluster, Endpoints: endpoints},
		CircuitBreakers:               unlimited(),
		PerConnectionBufferLimitBytes: wrapperspb.UInt32(noWatermark),
		TypedExtensionProtocolOptions: map[string]*anypb.Any{
			"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": protocol,
		},
		// With a single host there is nothing better to choose than it, healthy or not.
		CommonLbConfig: &clusterv3.Cluster_CommonLbConfig{
			HealthyPanicThreshold: &typev3.Percent{Value: 0},
		},
	}
	if named {
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STRICT_DNS}
	}
	if len(u.Addresses) > 1 {
		c.HealthChecks = connectChecks()
	}
	if remote {
		if tls == nil {
			return nil, fmt.Errorf("%v is not a socket on this machine: mutual TLS is needed (certificate, key and CA files)", u.Addresses)
		}
		if c.TransportSocket, err = tls.transportSocket(grpc); err != nil {
			return nil, err
		}
		c.UpstreamConnectionOptions = &clusterv3.UpstreamConnectionOptions{
			TcpKeepalive: &corev3.TcpKeepalive{KeepaliveTime: wrapperspb.UInt32(30), KeepaliveInterval: wrapperspb.UInt32(5), KeepaliveProbes: wrapperspb.UInt32(3)},
		}
	}
	return c, nil
}

// noWatermark, in bytes, is more than a connection to sluice ever has waiting. Envoy 1.40 dies of a segmentation
// fault when the stream of a filter that holds answers back is behind and its watermark is reached: eight watched
// answers of 512 KB at once were enough.
const noWatermark = 1<<31 - 1

// endpoints gives each address a priority of its own, so that a further one is a spare, not a share.
func endpoints(addresses []string) (localities []*endpointv3.LocalityLbEndpoints, remote, named bool, err error) {
	for i, text := range addresses {
		a, err := address(text)
		if err != nil {
			return nil, false, false, err
		}
		if s := a.GetSocketAddress(); s != nil {
			remote = true
			named = named || net.ParseIP(s.GetAddress()) == nil
		}
		localities = append(localities, &endpointv3.LocalityLbEndpoints{
			Priority: uint32(i),
			LbEndpoints: []*endpointv3.LbEndpoint{{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{
				Endpoint: &endpointv3.Endpoint{Address: a},
			}}},
		})
	}
	if named && len(addresses) > 0 {
		for _, text := range addresses {
			if filepath.IsAbs(text) {
				return nil, false, false, fmt.Errorf("%v: host names and socket paths can't share a cluster", addresses)
			}
		}
	}
	return localities, remote, named, nil
}

// address is an absolute socket path or host:port as Envoy writes it.
func address(text string) (*corev3.Address, error) {
	if filepath.IsAbs(text) {
		if err := checkSocketPath(text); err != nil {
			return nil, err
		}
		return &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: text}}}, nil
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return nil, fmt.Errorf("address %q is neither an absolute socket path nor host:port", text)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || host == "" {
		return nil, fmt.Errorf("address %q: host and a port from 0 to 65535 are needed", text)
	}
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address:       host,
		PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(n)},
	}}}, nil
}

// protocolOptions picks HTTP/2 for gRPC and HTTP/1.1 for the API.
func protocolOptions(grpc, remote bool) (*anypb.Any, error) {
	explicit := &httpv3.HttpProtocolOptions_ExplicitHttpConfig{}
	if grpc {
		h2 := &corev3.Http2ProtocolOptions{
			InitialStreamWindowSize: wrapperspb.UInt32(noWatermark), InitialConnectionWindowSize: wrapperspb.UInt32(noWatermark)}
		if remote {
			// A machine that vanished sends no FIN: find out within seconds.
			h2.ConnectionKeepalive = &corev3.KeepaliveSettings{
				Interval: durationpb.New(10 * time.Second),
				Timeout:  durationpb.New(5 * time.Second),
			}
		}
		explicit.ProtocolConfig = &httpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{Http2ProtocolOptions: h2}
	} else {
		explicit.ProtocolConfig = &httpv3.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{HttpProtocolOptions: &corev3.Http1ProtocolOptions{}}
	}
	options := &httpv3.HttpProtocolOptions{
		UpstreamProtocolOptions: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_{ExplicitHttpConfig: explicit},
	}
	// Deterministic, so that the same parameters give the same bytes.
	packed := new(anypb.Any)
	err := anypb.MarshalFrom(packed, options, proto.MarshalOptions{Deterministic: true})
	return packed, err
}

// unlimited lifts the circuit breakers: limits on calls are the planner's, and Envoy's defaults (1024
// requests, 3 retries) would cut calls that it admitted.
func unlimited() *clusterv3.CircuitBreakers {
	most := wrapperspb.UInt32(math.MaxUint32)
	var thresholds []*clusterv3.CircuitBreakers_Thresholds
	for _, priority := range []corev3.RoutingPriority{corev3.RoutingPriority_DEFAULT, corev3.RoutingPriority_HIGH} {
		thresholds = append(thresholds, &clusterv3.CircuitBreakers_Thresholds{
			Priority: priority, MaxConnections: most, MaxPendingRequests: most, MaxRequests: most, MaxRetries: most,
		})
	}
	return &clusterv3.CircuitBreakers{Thresholds: thresholds}
}

// connectChecks tells a living peer from a gone one by connecting, TLS included.
func connectChecks() []*corev3.HealthCheck {
	return []*corev3.HealthCheck{{
		Timeout:            durationpb.New(time.Second),
		Interval:           durationpb.New(time.Second),
		NoTrafficInterval:  durationpb.New(2 * time.Second),
		UnhealthyThreshold: wrapperspb.UInt32(2),
		HealthyThreshold:   wrapperspb.UInt32(2),
		HealthChecker:      &corev3.HealthCheck_TcpHealthCheck_{TcpHealthCheck: &corev3.HealthCheck_TcpHealthCheck{}},
	}}
}
