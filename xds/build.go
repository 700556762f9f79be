package xds

import (
	"crypto/tls"
	"fmt"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/sluicegw/sluice/envoy/names"
)

// Certificate is the listener's certificate chain and key, in PEM.
type Certificate struct{ Chain, Key []byte }

// Build makes all resources of a model, as one snapshot under the given version. An error names what in
// the model is wrong; nothing of it is published then.
func Build(m Model, cert *Certificate, version string) (*cache.Snapshot, error) {
	if err := m.validate(); err != nil {
		return nil, err
	}
	cs, err := clusters(m)
	if err != nil {
		return nil, err
	}
	routes, err := routeConfig(m, version)
	if err != nil {
		return nil, err
	}
	l, err := listener(m)
	if err != nil {
		return nil, err
	}
	resources := map[resource.Type][]types.Resource{
		resource.RouteType:    {routes},
		resource.ListenerType: {l},
	}
	for _, c := range cs {
		resources[resource.ClusterType] = append(resources[resource.ClusterType], c)
	}
	if m.Listener.TLS {
		secret, err := listenerSecret(cert)
		if err != nil {
			return nil, err
		}
		resources[resource.SecretType] = []types.Resource{secret}
	}
	return cache.NewSnapshot(version, resources)
}

// listenerSecret refuses a pair that does not belong together: Envoy would too, but only after the
// publication.
func listenerSecret(cert *Certificate) (*tlsv3.Secret, error) {
	if cert == nil {
		return nil, fmt.Errorf("the listener wants TLS, and there is no certificate")
	}
	if _, err := tls.X509KeyPair(cert.Chain, cert.Key); err != nil {
		return nil, fmt.Errorf("the listener's certificate: %w", err)
	}
	return &tlsv3.Secret{Name: names.SecretListener, Type: &tlsv3.Secret_TlsCertificate{
		TlsCertificate: &tlsv3.TlsCertificate{
			CertificateChain: inline(cert.Chain),
			PrivateKey:       inline(cert.Key),
		}}}, nil
}

func inline(b []byte) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: b}}
}
