package xds

import (
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	checkEvery   = 5 * time.Second
	checkIdle    = 15 * time.Second // while no call goes there
	checkAgain   = time.Second      // what is not well, also before the first call: this first wait is waited to its end
	checkTimeout = 2 * time.Second
	// fewerThanHalf keeps a cluster whose name turns out to have one address from losing it: the address that
	// refuses, behind a DNS name, counts as another.
	fewerThanHalf = 49
	// fewerThanAll does so for one whose names stand there twice, see assignment: of 2n+1 less than n are left out.
	fewerThanAll = 33
)

// several makes a cluster of one that may have more than one address. Its health is Envoy's business, beside the
// planner's, which sees the deployment as a whole
// (https://www.envoyproxy.io/docs/envoy/v1.40.0/intro/arch_overview/upstream/outlier).
func several(out *clusterv3.Cluster, c Cluster) {
	out.LbPolicy = clusterv3.Cluster_LEAST_REQUEST
	out.OutlierDetection = &clusterv3.OutlierDetection{
		Consecutive_5Xx:      wrapperspb.UInt32(3),
		Interval:             durationpb.New(time.Second),
		BaseEjectionTime:     durationpb.New(5 * time.Second),
		MaxEjectionPercent:   wrapperspb.UInt32(fewerThanHalf),
		AlwaysEjectOneHost:   wrapperspb.Bool(len(c.More) > 0),
		EnforcingSuccessRate: wrapperspb.UInt32(0), // its statistics want more calls than most models get
	}
	if c.Check != "" && !resolved(c) {
		out.OutlierDetection.MaxEjectionPercent = wrapperspb.UInt32(fewerThanAll)
		out.OutlierDetection.AlwaysEjectOneHost = wrapperspb.Bool(false)
	}
	// As long as one address is well, it gets all: what stands behind a name answers nobody.
	out.LoadAssignment.Policy = &endpointv3.ClusterLoadAssignment_Policy{OverprovisioningFactor: wrapperspb.UInt32(100_000)}
	if c.Check != "" {
		out.HealthChecks = []*corev3.HealthCheck{healthCheck(c)}
	}
}

func healthCheck(c Cluster) *corev3.HealthCheck {
	check := &corev3.HealthCheck{
		Timeout: durationpb.New(checkTimeout), Interval: durationpb.New(checkEvery), NoTrafficHealthyInterval: durationpb.New(checkIdle),
		UnhealthyInterval: durationpb.New(checkAgain), NoTrafficInterval: durationpb.New(checkAgain),
		UnhealthyThreshold: wrapperspb.UInt32(2), HealthyThreshold: wrapperspb.UInt32(1),
		HealthChecker: &corev3.HealthCheck_TcpHealthCheck_{TcpHealthCheck: &corev3.HealthCheck_TcpHealthCheck{}},
	}
	if c.Check != CheckConnect {
		check.HealthChecker = &corev3.HealthCheck_HttpHealthCheck_{HttpHealthCheck: &corev3.HealthCheck_HttpHealthCheck{
			Host: c.Host, Path: c.Check}}
	}
	return check
}

// severalTLS verifies each address by its own name.
func severalTLS(c Cluster, trustedCA string) (*corev3.TransportSocket, error) {
	return transportSocket(&tlsv3.UpstreamTlsContext{
		AutoHostSni: true, AutoSniSanValidation: true,
		CommonTlsContext: &tlsv3.CommonTlsContext{
			AlpnProtocols: []string{"http/1.1"},
			TlsParams:     &tlsv3.TlsParameters{TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_2},
			ValidationContextType: &tlsv3.CommonTlsContext_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
				TrustedCa: &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: trustedCA}}}},
		}})
}
