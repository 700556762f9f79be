package envoy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// TLS is how an Envoy elsewhere proves itself to sluice, and sluice to it: mutual TLS 1.3 with PEM files
// on Envoy's machine.
type TLS struct {
	Cert, Key, CA string
	// ServerName is sent as SNI and must be a DNS name in sluice's certificate.
	ServerName string
	// SecretsDir, when set, is a folder on Envoy's machine that holds what [TLS.Secrets] returns: Envoy
	// then takes up renewed certificates while it runs. Without it they are read once, at its start.
	SecretsDir string
}

const (
	secretIdentity = "sluice_client"
	secretTrust    = "sluice_ca"
)

// Secrets are the files that belong into SecretsDir, by name. They hold paths, no keys.
func (t *TLS) Secrets() (map[string][]byte, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	identity := t.identity()
	identity.WatchedDirectory = &corev3.WatchedDirectory{Path: filepath.Dir(t.Cert)}
	trust := t.trust()
	trust.WatchedDirectory = &corev3.WatchedDirectory{Path: filepath.Dir(t.CA)}
	files := map[string][]byte{}
	for _, secret := range []*tlsv3.Secret{
		{Name: secretIdentity, Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: identity}},
		{Name: secretTrust, Type: &tlsv3.Secret_ValidationContext{ValidationContext: trust}},
	} {
		packed, err := anypb.New(secret)
		if err != nil {
			return nil, err
		}
		text, err := marshalJSON(&discoveryv3.DiscoveryResponse{Resources: []*anypb.Any{packed}})
		if err != nil {
			return nil, err
		}
		files[secret.GetName()+".json"] = text
	}
	return files, nil
}

// WriteSecrets writes Secrets into SecretsDir; for an Envoy on this machine, or a folder both mount.
func (t *TLS) WriteSecrets() error {
	if t.SecretsDir == "" {
		return errors.New("no folder for the secrets' description was named")
	}
	files, err := t.Secrets()
	if err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(t.SecretsDir, name), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (t *TLS) check() error {
	for name, value := range map[string]string{"certificate": t.Cert, "key": t.Key, "CA": t.CA} {
		if !filepath.IsAbs(value) {
			return fmt.Errorf("mutual TLS: the %s file must be an absolute path, not %q", name, value)
		}
	}
	if t.ServerName == "" {
		return errors.New("mutual TLS: the name in sluice's certificate is needed (server name)")
	}
	return nil
}

func (t *TLS) identity() *tlsv3.TlsCertificate {
	return &tlsv3.TlsCertificate{CertificateChain: file(t.Cert), PrivateKey: file(t.Key)}
}

func (t *TLS) trust() *tlsv3.CertificateValidationContext {
	return &tlsv3.CertificateValidationContext{
		TrustedCa: file(t.CA),
		MatchTypedSubjectAltNames: []*tlsv3.SubjectAltNameMatcher{{
			SanType: tlsv3.SubjectAltNameMatcher_DNS,
			Matcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: t.ServerName}},
		}},
	}
}

// transportSocket is the client side of the mutual TLS.
func (t *TLS) transportSocket(grpc bool) (*corev3.TransportSocket, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	common := &tlsv3.CommonTlsContext{
		TlsParams:     &tlsv3.TlsParameters{TlsMinimumProtocolVersion: tlsv3.TlsParameters_TLSv1_3, TlsMaximumProtocolVersion: tlsv3.TlsParameters_TLSv1_3},
		AlpnProtocols: []string{"http/1.1"},
	}
	if grpc {
		common.AlpnProtocols = []string{"h2"}
	}
	if t.SecretsDir == "" {
		common.TlsCertificates = []*tlsv3.TlsCertificate{t.identity()}
		common.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContext{ValidationContext: t.trust()}
	} else {
		common.TlsCertificateSdsSecretConfigs = []*tlsv3.SdsSecretConfig{t.sds(secretIdentity)}
		common.ValidationContextType = &tlsv3.CommonTlsContext_ValidationContextSdsSecretConfig{ValidationContextSdsSecretConfig: t.sds(secretTrust)}
	}
	packed := new(anypb.Any)
	err := anypb.MarshalFrom(packed, &tlsv3.UpstreamTlsContext{Sni: t.ServerName, CommonTlsContext: common}, proto.MarshalOptions{Deterministic: true})
	if err != nil {
		return nil, err
	}
	return &corev3.TransportSocket{
		Name:       "envoy.transport_sockets.tls",
		ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: packed},
	}, nil
}

func (t *TLS) sds(name string) *tlsv3.SdsSecretConfig {
	return &tlsv3.SdsSecretConfig{
		Name: name,
		SdsConfig: &corev3.ConfigSource{
			ResourceApiVersion: corev3.ApiVersion_V3,
			ConfigSourceSpecifier: &corev3.ConfigSource_PathConfigSource{
				PathConfigSource: &corev3.PathConfigSource{Path: filepath.Join(t.SecretsDir, name+".json")},
			},
		},
	}
}

func file(path string) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_Filename{Filename: path}}
}
