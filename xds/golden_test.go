package xds

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"flag"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/rogpeppe/go-internal/txtar"
	"go.yaml.in/yaml/v4"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/sluicegw/sluice/envoy"
	"github.com/sluicegw/sluice/envoy/envoytest"
	"github.com/sluicegw/sluice/envoy/names"
)

var update = flag.Bool("update", false, "rewrite the goldens in testdata")

// TestGoldens builds the model in each file of testdata, compares the resources with those that stand in
// the file, and has the real Envoy validate them.
func TestGoldens(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no goldens in testdata (%v)", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if len(archive.Files) == 0 || archive.Files[0].Name != "in.yaml" {
				t.Fatalf("%s: the first part must be in.yaml", file)
			}
			snapshot := buildYAML(t, archive.Files[0].Data)
			got := outYAML(t, snapshot)
			if *update {
				archive.Files = append(archive.Files[:1], txtar.File{Name: "want.yaml", Data: got})
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if len(archive.Files) != 2 || !bytes.Equal(archive.Files[1].Data, got) {
				t.Errorf("the resources are not those of %s (-update rewrites it): %s", file, firstDifference(string(archive.Files[1].Data), string(got)))
			}
			if !testing.Short() {
				envoytest.Validate(t, asBootstrap(t, snapshot))
			}
		})
	}
}

func buildYAML(t *testing.T, text []byte) *cache.Snapshot {
	t.Helper()
	var m Model
	loader, err := yaml.NewLoader(bytes.NewReader(text), yaml.WithKnownFields())
	if err != nil {
		t.Fatal(err)
	}
	if err := loader.Load(&m); err != nil {
		t.Fatal(err)
	}
	if m.TrustedCA == "" {
		m.TrustedCA = "/etc/ssl/certs/ca-certificates.crt"
	}
	var cert *Certificate
	if m.Listener.TLS {
		cert = newCertificate(t)
	}
	snapshot, err := Build(m, cert, "golden")
	if err != nil {
		t.Fatal(err)
	}
	return snapshot
}

var kinds = []struct{ name, typeURL string }{
	{"clusters", resource.ClusterType}, {"routes", resource.RouteType}, {"listeners", resource.ListenerType}, {"secrets", resource.SecretType},
}

// outYAML is a snapshot for people: Envoy's own names, sorted, with certificates left out.
func outYAML(t *testing.T, s *cache.Snapshot) []byte {
	t.Helper()
	out := map[string][]any{}
	for _, kind := range kinds {
		for _, r := range inOrder(s, kind.typeURL) {
			if secret, ok := r.(*tlsv3.Secret); ok {
				secret = proto.Clone(secret).(*tlsv3.Secret)
				secret.GetTlsCertificate().CertificateChain = inline([]byte("chain"))
				secret.GetTlsCertificate().PrivateKey = inline([]byte("key"))
				r = secret
			}
			text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			var plain any
			if err := json.Unmarshal(text, &plain); err != nil {
				t.Fatal(err)
			}
			out[kind.name] = append(out[kind.name], plain)
		}
	}
	text, err := yaml.Dump(out, yaml.WithIndent(2))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func inOrder(s *cache.Snapshot, typeURL string) []types.Resource {
	all := s.GetResources(typeURL)
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	out := make([]types.Resource, 0, len(all))
	for _, name := range names {
		out = append(out, all[name])
	}
	return out
}

// asBootstrap puts everything that would come over ADS into static resources, which is where Envoy's
// validation looks.
func asBootstrap(t *testing.T, s *cache.Snapshot) []byte {
	t.Helper()
	dir := envoytest.Dir(t)
	at := func(cluster string) envoy.Upstream {
		return envoy.Upstream{Cluster: cluster, Addresses: []string{filepath.Join(dir, "s.sock")}}
	}
	text, err := envoy.Bootstrap(envoy.Params{
		NodeID: "golden", NodeCluster: "golden", Admin: filepath.Join(dir, "a.sock"),
		XDS: at(names.ClusterXDS), ExtProc: at(names.ClusterExtProc), ALS: at(names.ClusterALS), API: at(names.ClusterAPI)})
	if err != nil {
		t.Fatal(err)
	}
	var b bootstrapv3.Bootstrap
	if err := protojson.Unmarshal(text, &b); err != nil {
		t.Fatal(err)
	}
	b.DynamicResources.LdsConfig, b.DynamicResources.CdsConfig = nil, nil
	for _, r := range inOrder(s, resource.ClusterType) {
		b.StaticResources.Clusters = append(b.StaticResources.Clusters, r.(*clusterv3.Cluster))
	}
	for _, r := range inOrder(s, resource.SecretType) {
		b.StaticResources.Secrets = append(b.StaticResources.Secrets, r.(*tlsv3.Secret))
	}
	routes := inOrder(s, resource.RouteType)[0].(*routev3.RouteConfiguration)
	for _, r := range inOrder(s, resource.ListenerType) {
		b.StaticResources.Listeners = append(b.StaticResources.Listeners, withRoutes(t, r.(*listenerv3.Listener), routes))
	}
	if text, err = protojson.Marshal(&b); err != nil {
		t.Fatal(err)
	}
	return text
}

// withRoutes is a listener whose routes stand in it.
func withRoutes(t *testing.T, l *listenerv3.Listener, routes *routev3.RouteConfiguration) *listenerv3.Listener {
	t.Helper()
	l = proto.Clone(l).(*listenerv3.Listener)
	var manager hcmv3.HttpConnectionManager
	filter := l.GetFilterChains()[0].GetFilters()[0]
	if err := filter.GetTypedConfig().UnmarshalTo(&manager); err != nil {
		t.Fatal(err)
	}
	manager.RouteSpecifier = &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: routes}
	packed, err := pack(&manager)
	if err != nil {
		t.Fatal(err)
	}
	filter.ConfigType = &listenerv3.Filter_TypedConfig{TypedConfig: packed}
	return l
}

func firstDifference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return "want " + strings.TrimSpace(a[i]) + ", got " + strings.TrimSpace(b[i])
		}
	}
	return "one goes on where the other ends"
}

// newCertificate makes a pair for localhost.
func newCertificate(t testing.TB) *Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return &Certificate{
		Chain: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:   pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}
}
