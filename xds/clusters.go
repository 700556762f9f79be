package xds

import (
	"net/netip"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	dnscommonv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/common/dns/v3"
	dnsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dns/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	upstreamsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sluicegw/sluice/envoy/names"
)

const (
	defaultConnectTimeout = 5 * time.Second
	unlimited             = 1 << 30
	// providerIdle is below the shortest idle timeout that a known provider has (60 s at its load
	// balancer), so that a call rarely meets a connection that is just being closed.
	providerIdle = 50 * time.Second
)

// clusters makes a cluster for every deployment, and the dead end.
func clusters(m Model) ([]*clusterv3.Cluster, error) {
	out := make([]*clusterv3.Cluster, 0, len(m.Clusters)+1)
	out = append(out, deadEnd())
	for _, c := range m.Clusters {
		built, err := cluster(c, m)
		if err != nil {
			return nil, err
		}
		out = append(out, built)
	}
	return out, nil
}

// deadEnd is a cluster without endpoints: 503 "no healthy upstream", which Envoy does not retry.
func deadEnd() *clusterv3.Cluster {
	return &clusterv3.Cluster{
		Name:                 names.ClusterDeadEnd,
		ConnectTimeout:       durationpb.New(time.Second),
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
		LoadAssignment:       &endpointv3.ClusterLoadAssignment{ClusterName: names.ClusterDeadEnd},
	}
}

func cluster(c Cluster, m Model) (*clusterv3.Cluster, error) {
	connect := c.ConnectTimeout
	if connect == 0 {
		connect = defaultConnectTimeout
	}
	out := &clusterv3.Cluster{
		Name:                          c.Name,
		ConnectTimeout:                durationpb.New(connect),
		PerConnectionBufferLimitBytes: wrapperspb.UInt32(m.Limits.Connection),
		CircuitBreakers:               noBreakers(),
		LoadAssignment:                assignment(c),
	}
	if resolved(c) {
		out.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
	} else {
		dns, err := byDNS()
		if err != nil {
			return nil, err
		}
		out.ClusterDiscoveryType = &clusterv3.Cluster_ClusterType{ClusterType: dns}
		if m.WarmWithoutDNS {
			out.WaitForWarmOnInit = wrapperspb.Bool(false)
		}
	}
	if c.Several {
		several(out, c)
	}
	options, err := protocolOptions(c)
	if err != nil {
		return nil, err
	}
	out.TypedExtensionProtocolOptions = map[string]*anypb.Any{
		"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options}
	if c.TLS {
		out.TransportSocket, err = upstreamTLS(c, m.TrustedCA)
	}
	return out, err
}

// byDNS takes every address of the name as a host of its own (what was STRICT_DNS): only so can a second
// priority stand behind it, see assignment.
func byDNS() (*clusterv3.Cluster_CustomClusterType, error) {
	config, err := pack(&dnsv3.DnsCluster{
		DnsLookupFamily: dnscommonv3.DnsLookupFamily_V4_PREFERRED,
		RespectDnsTtl:   true,
		DnsRefreshRate:  durationpb.New(15 * time.Second),
		DnsFailureRefreshRate: &dnsv3.DnsCluster_RefreshRate{
			BaseInterval: durationpb.New(time.Second), MaxInterval: durationpb.New(10 * time.Second)},
	})
	return &clusterv3.Cluster_CustomClusterType{Name: "envoy.clusters.dns", TypedConfig: config}, err
}

func resolved(c Cluster) bool {
	if c.Socket != "" {
		return true
	}
	for _, place := range c.More {
		if !isAddress(place.Host) {
			return false
		}
	}
	return isAddress(c.Host)
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// assignment puts the endpoint at priority 0, and behind a DNS name, at the last priority, an address where
// nothing listens. A name that does not resolve leaves priority 0 empty; without the last one Envoy would
// answer "no healthy upstream", which it never retries, while a refused connection moves on to the next
// attempt (https://www.envoyproxy.io/docs/envoy/v1.40.0/intro/arch_overview/upstream/load_balancing/priority).
//
// Where Envoy asks the addresses whether they are well, names stand at priority 1 once more, unasked. If none
// is well, calls try them all the same, as they try those of a cluster without names: Envoy's panic alone would
// spread them over all priorities, so that every so many calls met the address that refuses.
func assignment(c Cluster) *endpointv3.ClusterLoadAssignment {
	out := &endpointv3.ClusterLoadAssignment{ClusterName: c.Name}
	out.Endpoints = append(out.Endpoints, own(c, 0))
	if resolved(c) {
		return out
	}
	if c.Check != "" {
		out.Endpoints = append(out.Endpoints, unchecked(own(c, 1)))
	}
	refusing := locality(uint32(len(out.Endpoints)), socketAddress(names.RefusingHost, names.RefusingPort))
	if c.Check != "" {
		unchecked(refusing)
	}
	out.Endpoints = append(out.Endpoints, refusing)
	return out
}

// own are all addresses of the cluster.
func own(c Cluster, priority uint32) *endpointv3.LocalityLbEndpoints {
	out := locality(priority, address(c))
	for _, place := range c.More {
		out.LbEndpoints = append(out.LbEndpoints, locality(priority, socketAddress(place.Host, place.Port)).LbEndpoints...)
	}
	return out
}

// unchecked keeps the cluster's health check from endpoints, which then count as well.
func unchecked(l *endpointv3.LocalityLbEndpoints) *endpointv3.LocalityLbEndpoints {
	for _, e := range l.LbEndpoints {
		e.GetEndpoint().HealthCheckConfig = &endpointv3.Endpoint_HealthCheckConfig{DisableActiveHealthCheck: true}
	}
	return l
}

func locality(priority uint32, a *corev3.Address) *endpointv3.LocalityLbEndpoints {
	return &endpointv3.LocalityLbEndpoints{
		Priority: priority,
		LbEndpoints: []*endpointv3.LbEndpoint{{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{
			Endpoint: &endpointv3.Endpoint{Address: a}}}},
	}
}

func address(c Cluster) *corev3.Address {
	if c.Socket != "" {
		return &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: c.Socket}}}
	}
	return socketAddress(c.Host, c.Port)
}

func socketAddress(host string, port uint32) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: host, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port}}}}
}

// noBreakers lifts Envoy's default limits (1,024 requests, 3 parallel retries), which would kill
// fallbacks in the middle of an outage: limits are the planner's
// (https://www.envoyproxy.io/docs/envoy/v1.40.0/intro/arch_overview/upstream/circuit_breaking).
func noBreakers() *clusterv3.CircuitBreakers {
	return &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
		MaxConnections:     wrapperspb.UInt32(unlimited),
		MaxPendingRequests: wrapperspb.UInt32(unlimited),
		MaxRequests:        wrapperspb.UInt32(unlimited),
		MaxRetries:         wrapperspb.UInt32(unlimited),
	}}}
}

func protocolOptions(c Cluster) (*anypb.Any, error) {
	common := &corev3.HttpProtocolOptions{IdleTimeout: durationpb.New(providerIdle)}
	if c.MaxDuration > 0 {
		common.MaxStreamDuration = durationpb.New(c.MaxDuration)
	}
	out := &upstreamsv3.HttpProtocolOptions{CommonHttpProtocolOptions: common}
	if c.TLS && c.HTTP2 {
		out.UpstreamProtocolOptions = &upstreamsv3.HttpProtocolOptions_AutoConfig{
			AutoConfig: &upstreamsv3.HttpProtocolOptions_AutoHttpConfig{
				Http2ProtocolOptions: http2Options()}}
	} else {
		out.UpstreamProtocolOptions = &upstreamsv3.HttpProtocolOptions_ExplicitHttpConfig_{
			ExplicitHttpConfig: &upstreamsv3.HttpProtocolOptions_ExplicitHttpConfig{
				ProtocolConfig: &upstreamsv3.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{
					HttpProtocolOptions: &corev3.Http1ProtocolOptions{}}}}
	}
	return pack(out)
}

func http2Options() *corev3.Http2ProtocolOptions {
	return &corev3.Http2ProtocolOptions{
		InitialStreamWindowSize:     wrapperspb.UInt32(1 << 20),
		InitialConnectionWindowSize: wrapperspb.UInt32(16 << 20),
		// A dead connection must not eat calls until TCP notices.
		ConnectionKeepalive: &corev3.KeepaliveSettings{
			Interval: durationpb.New(30 * time.Second),
			Timeout:  durationpb.New(10 * time.Second),
		},
	}
}

func upstreamTLS(c Cluster, trustedCA string) (*corev3.TransportSocket, error) {
	sanType := tlsv3.SubjectAltNameMatcher_DNS
	sni := c.Host
	if resolved(c) {
		sanType, sni = tlsv3.SubjectAltNameMatcher_IP_ADDRESS, ""
	}
	if len(c.More) > 0 {
		return severalTLS(c, trustedCA)
	}
	common := &tlsv3.CommonTlsContext{
		TlsParams: &tlsv3.TlsParameters{TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_2},
		ValidationContextType: &tlsv3.CommonTlsContext_ValidationContext{
			ValidationContext: &tlsv3.CertificateValidationContext{
				TrustedCa: &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: trustedCA}},
				MatchTypedSubjectAltNames: []*tlsv3.SubjectAltNameMatcher{{
					SanType: sanType,
					Matcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: c.Host}},
				}},
			}},
	}
	if !c.HTTP2 {
		common.AlpnProtocols = []string{"http/1.1"}
	}
	return transportSocket(&tlsv3.UpstreamTlsContext{Sni: sni, CommonTlsContext: common})
}
