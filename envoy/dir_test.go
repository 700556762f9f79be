package envoy_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicegw/sluice/envoy"
	"github.com/sluicegw/sluice/envoy/envoytest"
)

func TestDirAndSocketsArePrivate(t *testing.T) {
	dir, err := envoy.NewDir(envoytest.Dir(t))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "a.sock")
	for range 2 { // the second time a stale socket is in the way
		l, err := envoy.Listen(path)
		if err != nil {
			t.Fatal(err)
		}
		l.(*net.UnixListener).SetUnlinkOnClose(false)
		_ = l.Close()
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, path: 0o600} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %o", path, info.Mode(), err, want)
		}
	}
	if _, err := envoy.Listen(filepath.Join(dir, strings.Repeat("x", 100))); err == nil || !strings.Contains(err.Error(), "shorter runtime directory") {
		t.Errorf("a long path: %v", err)
	}
	regular := filepath.Join(dir, "file")
	if err := os.WriteFile(regular, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := envoy.Listen(regular); err == nil {
		t.Error("a regular file was replaced")
	}
	if _, err := envoy.NewDir("/no/such/folder"); err == nil || !strings.Contains(err.Error(), "private directory") {
		t.Error(err)
	}
}

// TestLongTemporaryDirectory: sockets have a place even where TMPDIR is too deep for them.
func TestLongTemporaryDirectory(t *testing.T) {
	deep := filepath.Join(t.TempDir(), strings.Repeat("d", 80))
	if err := os.Mkdir(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", deep)
	t.Setenv("XDG_RUNTIME_DIR", "")
	dir, err := envoy.NewDir("")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	l, err := envoy.Listen(filepath.Join(dir, "admin-sluice-4194304.sock"))
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
}

// TestMutualTLS has the real Envoy dial an ADS server with its certificate, in both ways of naming it.
func TestMutualTLS(t *testing.T) {
	for name, secretsDir := range map[string]string{"read once": "", "renewed": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			p := remote(t, secretsDir)
			pair, err := tls.LoadX509KeyPair(p.TLS.Cert, p.TLS.Key)
			if err != nil {
				t.Fatal(err)
			}
			roots := x509.NewCertPool()
			ca, err := os.ReadFile(p.TLS.CA)
			if err != nil || !roots.AppendCertsFromPEM(ca) {
				t.Fatal(err)
			}
			l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
				Certificates: []tls.Certificate{pair}, ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert,
				MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = l.Close() }()
			for _, u := range []*envoy.Upstream{&p.XDS, &p.ExtProc, &p.ALS, &p.API} {
				u.Addresses = []string{l.Addr().String()}
			}
			if secretsDir != "" {
				if err := p.TLS.WriteSecrets(); err != nil {
					t.Fatal(err)
				}
			}
			p.Admin = filepath.Join(envoytest.Dir(t), "admin.sock")
			bootstrap, err := envoy.Bootstrap(p)
			if err != nil {
				t.Fatal(err)
			}
			envoytest.StartOnly(t, bootstrap, p.Admin)
			conn, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if err := conn.(*tls.Conn).HandshakeContext(t.Context()); err != nil {
				t.Fatal(err)
			}
			state := conn.(*tls.Conn).ConnectionState()
			if state.NegotiatedProtocol != "h2" || state.ServerName != "sluice.internal" || len(state.PeerCertificates) == 0 {
				t.Errorf("protocol %q, name %q, %d certificates", state.NegotiatedProtocol, state.ServerName, len(state.PeerCertificates))
			}
		})
	}
}
