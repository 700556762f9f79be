package envoy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
)

// Params is what a bootstrap depends on.
type Params struct {
	// NodeID tells this Envoy from all others; NodeCluster is the fleet it belongs to. Both are required.
	NodeID      string
	NodeCluster string
	// Admin is the admin API's address: an absolute socket path (made with mode 0600), or host:port,
	// which has no authentication at all: whoever can dial it can stop Envoy.
	Admin string
	// XDS, ExtProc and ALS are gRPC (HTTP/2), API is HTTP/1.1. XDS and ExtProc are required.
	XDS, ExtProc, ALS, API Upstream
	// TLS is required as soon as one of them is not a socket path.
	TLS *TLS
	// MaxHeap is how many bytes Envoy may use before it sheds load; 0: [DefaultMaxHeap].
	MaxHeap uint64
	// MaxConnections bounds the clients' connections; 0: [DefaultMaxConnections].
	MaxConnections int64
}

// DefaultMaxConnections bounds the connections of clients when nothing else is said. An idle one costs
// Envoy some 30 KB.
const DefaultMaxConnections = 50_000

// Upstream is a cluster that leads to sluice itself.
type Upstream struct {
	// Cluster is its name in Envoy; empty: there is no such cluster.
	Cluster string
	// Addresses are absolute socket paths or host:port. All traffic goes to the first; each further one
	// is used only while those before it can't be reached.
	Addresses []string
}

// Bootstrap is the configuration that Envoy starts with, as JSON for `envoy --config-path`: the way to
// sluice and the limits of the process. Listeners, routes and deployments come over ADS, as incremental
// xDS; until the first of them have come, Envoy does not report itself ready.
// https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/config/bootstrap/v3/bootstrap.proto
func Bootstrap(p Params) ([]byte, error) {
	if p.NodeID == "" || p.NodeCluster == "" {
		return nil, errors.New("envoy bootstrap: the node needs an id and a cluster")
	}
	admin, err := address(p.Admin)
	if err != nil {
		return nil, fmt.Errorf("envoy bootstrap: admin: %w", err)
	}
	if pipe := admin.GetPipe(); pipe != nil {
		pipe.Mode = 0o600
	}
	if p.MaxHeap == 0 {
		p.MaxHeap = DefaultMaxHeap()
	}
	if p.MaxConnections == 0 {
		p.MaxConnections = DefaultMaxConnections
	}
	clusters, err := p.clusters()
	if err != nil {
		return nil, fmt.Errorf("envoy bootstrap: %w", err)
	}
	overload, err := overloadManager(p.MaxHeap, p.MaxConnections)
	if err != nil {
		return nil, fmt.Errorf("envoy bootstrap: %w", err)
	}
	runtime, err := structpb.NewStruct(map[string]any{
		// Patterns over many model names make large programs; the default of 100 refuses them.
		"re2.max_program_size.error_level": 4096,
		"re2.max_program_size.warn_level":  4096,
	})
	if err != nil {
		return nil, fmt.Errorf("envoy bootstrap: %w", err)
	}
	b := &bootstrapv3.Bootstrap{
		Node:             &corev3.Node{Id: p.NodeID, Cluster: p.NodeCluster},
		Admin:            &bootstrapv3.Admin{Address: admin},
		StaticResources:  &bootstrapv3.Bootstrap_StaticResources{Clusters: clusters},
		DynamicResources: dynamicResources(p.XDS.Cluster),
		OverloadManager:  overload,
		LayeredRuntime: &bootstrapv3.LayeredRuntime{Layers: []*bootstrapv3.RuntimeLayer{{
			Name:           "static",
			LayerSpecifier: &bootstrapv3.RuntimeLayer_StaticLayer{StaticLayer: runtime},
		}}},
		StatsConfig: statsConfig(),
		// Nobody is flushed to; reading the admin API is what needs fresh numbers.
		StatsFlush: &bootstrapv3.Bootstrap_StatsFlushOnAdmin{StatsFlushOnAdmin: true},
		// With thousands of deployments, most are never called: their traffic stats need not exist.
		DeferredStatOptions: &bootstrapv3.Bootstrap_DeferredStatOptions{EnableDeferredCreationStats: true},
	}
	if err := b.ValidateAll(); err != nil {
		return nil, fmt.Errorf("envoy bootstrap: %w", err)
	}
	return marshalJSON(b)
}

// marshalJSON writes m with the field names of Envoy's documentation. protojson varies its spaces on
// purpose; equal messages must be equal bytes here, so the spaces are set anew.
func marshalJSON(m proto.Message) ([]byte, error) {
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, text, "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// WriteBootstrap writes a bootstrap where only its owner reads it (mode 0600).
func WriteBootstrap(path string, bootstrap []byte) error {
	// An older file could be wider: start anew.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.WriteFile(path, bootstrap, 0o600)
}

func dynamicResources(xds string) *bootstrapv3.Bootstrap_DynamicResources {
	ads := func() *corev3.ConfigSource {
		return &corev3.ConfigSource{
			ResourceApiVersion:    corev3.ApiVersion_V3,
			ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
			// 0 is forever: serving half a configuration is worse than waiting for the whole.
			InitialFetchTimeout: durationpb.New(0),
		}
	}
	return &bootstrapv3.Bootstrap_DynamicResources{
		LdsConfig: ads(),
		CdsConfig: ads(),
		AdsConfig: &corev3.ApiConfigSource{
			ApiType:                   corev3.ApiConfigSource_DELTA_GRPC,
			TransportApiVersion:       corev3.ApiVersion_V3,
			SetNodeOnFirstMessageOnly: true,
			GrpcServices: []*corev3.GrpcService{{
				TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{
					EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: xds},
				},
			}},
		},
	}
}

func (p Params) clusters() ([]*clusterv3.Cluster, error) {
	var clusters []*clusterv3.Cluster
	seen := map[string]bool{}
	for _, want := range []struct {
		label    string
		upstream Upstream
		grpc     bool
		required bool
	}{
		{"xDS", p.XDS, true, true},
		{"ext_proc", p.ExtProc, true, true},
		{"access log", p.ALS, true, false},
		{"HTTP API", p.API, false, false},
	} {
		name := want.upstream.Cluster
		if name == "" && !want.required {
			continue
		}
		if name == "" || len(want.upstream.Addresses) == 0 {
			return nil, fmt.Errorf("%s: a cluster name and an address are needed", want.label)
		}
		if seen[name] {
			return nil, fmt.Errorf("%s: the cluster name %q is taken already", want.label, name)
		}
		seen[name] = true
		c, err := cluster(want.upstream, p.TLS, want.grpc)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", want.label, err)
		}
		clusters = append(clusters, c)
	}
	return clusters, nil
}

// refreshInterval is how often the overload manager looks at the heap.
const refreshInterval = 250 * time.Millisecond

// connectTimeout is long for a socket on the same machine; it is what a peer elsewhere may take.
const connectTimeout = 2 * time.Second
