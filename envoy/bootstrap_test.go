package envoy_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicegw/sluice/envoy"
	"github.com/sluicegw/sluice/envoy/envoytest"
)

// params leads all four clusters to sockets in dir.
func params(dir string) envoy.Params {
	return envoy.Params{
		NodeID: "node-1", NodeCluster: "sluice", Admin: filepath.Join(dir, "admin.sock"),
		XDS:     envoy.Upstream{Cluster: "xds", Addresses: []string{filepath.Join(dir, "xds.sock")}},
		ExtProc: envoy.Upstream{Cluster: "ext_proc", Addresses: []string{filepath.Join(dir, "ext_proc.sock")}},
		ALS:     envoy.Upstream{Cluster: "als", Addresses: []string{filepath.Join(dir, "als.sock")}},
		API:     envoy.Upstream{Cluster: "api", Addresses: []string{filepath.Join(dir, "api.sock")}},
	}
}

// remote leads them to another machine.
func remote(t *testing.T, secretsDir string) envoy.Params {
	dir := t.TempDir()
	cert, key := selfSigned(t, dir)
	p := params(dir)
	p.Admin = "127.0.0.1:0"
	for _, u := range []*envoy.Upstream{&p.XDS, &p.ExtProc, &p.ALS, &p.API} {
		u.Addresses = []string{"sluice-0.sluice:4010", "sluice-1.sluice:4010"}
	}
	p.TLS = &envoy.TLS{Cert: cert, Key: key, CA: cert, ServerName: "sluice.internal", SecretsDir: secretsDir}
	return p
}

func TestBootstrapIsValid(t *testing.T) {
	secrets := t.TempDir()
	withSecrets := remote(t, secrets)
	if err := withSecrets.TLS.WriteSecrets(); err != nil {
		t.Fatal(err)
	}
	small := params(envoytest.Dir(t))
	small.ALS, small.API, small.MaxHeap, small.MaxConnections = envoy.Upstream{}, envoy.Upstream{}, 64<<20, 100
	addresses := remote(t, "")
	addresses.XDS.Addresses = []string{"10.0.0.1:4010", "[::1]:4010"}
	for name, p := range map[string]envoy.Params{
		"sockets":       params(envoytest.Dir(t)),
		"least":         small,
		"remote":        remote(t, ""),
		"addresses":     addresses,
		"renewed certs": withSecrets,
	} {
		t.Run(name, func(t *testing.T) {
			text, err := envoy.Bootstrap(p)
			if err != nil {
				t.Fatal(err)
			}
			envoytest.Validate(t, text)
			again, err := envoy.Bootstrap(p)
			if err != nil || !bytes.Equal(text, again) {
				t.Errorf("the same parameters gave other bytes (%v)", err)
			}
		})
	}
}

func TestBootstrapSays(t *testing.T) {
	text, err := envoy.Bootstrap(params("/run/s"))
	if err != nil {
		t.Fatal(err)
	}
	var b struct {
		Admin struct {
			Address struct {
				Pipe struct {
					Path string
					Mode int
				}
			}
		}
		Dynamic struct {
			ADS struct {
				Type    string `json:"api_type"`
				Version string `json:"transport_api_version"`
			} `json:"ads_config"`
			LDS struct {
				Version string `json:"resource_api_version"`
			} `json:"lds_config"`
		} `json:"dynamic_resources"`
	}
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%s %o %s %s %s", b.Admin.Address.Pipe.Path, b.Admin.Address.Pipe.Mode, b.Dynamic.ADS.Type, b.Dynamic.ADS.Version, b.Dynamic.LDS.Version)
	if want := "/run/s/admin.sock 600 DELTA_GRPC V3 V3"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestBootstrapRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(*envoy.Params)
		want  string
	}{
		"no node":         {func(p *envoy.Params) { p.NodeID = "" }, "the node needs an id"},
		"no admin":        {func(p *envoy.Params) { p.Admin = "" }, "admin: address"},
		"no xds":          {func(p *envoy.Params) { p.XDS = envoy.Upstream{} }, "xDS: a cluster name and an address"},
		"same name":       {func(p *envoy.Params) { p.ALS.Cluster = "xds" }, `"xds" is taken`},
		"no address":      {func(p *envoy.Params) { p.API.Addresses = nil }, "HTTP API: a cluster name and an address"},
		"plain TCP":       {func(p *envoy.Params) { p.ExtProc.Addresses = []string{"10.0.0.1:4010"} }, "mutual TLS is needed"},
		"bad port":        {func(p *envoy.Params) { p.XDS.Addresses = []string{"h:70000"} }, "a port from 0 to 65535"},
		"long path":       {func(p *envoy.Params) { p.XDS.Addresses = []string{"/" + strings.Repeat("x", 120)} }, "more than the 103"},
		"relative path":   {func(p *envoy.Params) { p.XDS.Addresses = []string{"xds.sock"} }, "neither an absolute socket path nor host:port"},
		"name and socket": {func(p *envoy.Params) { p.XDS.Addresses = []string{"/run/x", "host:1"} }, "can't share a cluster"},
		"TLS without a name": {func(p *envoy.Params) {
			p.XDS.Addresses = []string{"h:1"}
			p.TLS = &envoy.TLS{Cert: "/c", Key: "/k", CA: "/a"}
		}, "server name"},
		"relative key": {func(p *envoy.Params) {
			p.XDS.Addresses = []string{"h:1"}
			p.TLS = &envoy.TLS{Cert: "/c", Key: "k", CA: "/a", ServerName: "s"}
		}, "key file must be an absolute path"},
	} {
		t.Run(name, func(t *testing.T) {
			p := params("/run/s")
			tt.spoil(&p)
			_, err := envoy.Bootstrap(p)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestWriteBootstrapIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "envoy.json")
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := envoy.WriteBootstrap(path, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %o", info.Mode().Perm())
	}
}
