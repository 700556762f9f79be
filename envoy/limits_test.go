package envoy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicegw/sluice/envoy"
	"github.com/sluicegw/sluice/envoy/envoytest"
	"github.com/sluicegw/sluice/envoy/envoytest/provider"
)

// TestLimits shows that the limits of the bootstrap are those that Envoy keeps.
func TestLimits(t *testing.T) {
	upstream := provider.New(t)
	t.Run("heap", func(t *testing.T) {
		dir := envoytest.Dir(t)
		p := params(dir)
		p.MaxHeap = 1 << 20 // less than an idle Envoy uses
		i := envoytest.Start(t, withListener(t, p, upstream.Addr), p.Admin)
		address := listener(t, i.Admin)
		eventually(t, "requests are turned away", func() bool {
			res, err := http.Get("http://" + address)
			if err != nil {
				return false
			}
			text, _ := io.ReadAll(res.Body)
			_ = res.Body.Close()
			return res.StatusCode == http.StatusServiceUnavailable && strings.Contains(string(text), "overload")
		})
	})
	t.Run("connections", func(t *testing.T) {
		dir := envoytest.Dir(t)
		p := params(dir)
		p.MaxConnections = 1
		i := envoytest.Start(t, withListener(t, p, upstream.Addr), p.Admin)
		address := listener(t, i.Admin)
		var conns []net.Conn
		for range 2 {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			conns = append(conns, conn)
			if len(conns) == 1 {
				eventually(t, "the first is counted", func() bool {
					stats, err := i.Admin.Stats(t.Context(), `downstream_cx_active$`)
					return err == nil && stats["http.main.downstream_cx_active"] == 1
				})
			}
		}
		if _, err := conns[1].Read(make([]byte, 1)); err == nil {
			t.Error("a second connection is served")
		}
	})
}

func listener(t *testing.T, admin *envoy.Admin) string {
	t.Helper()
	all, err := admin.Listeners(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("listeners %v, %v", all, err)
	}
	return all[0].Address
}

// TestWarming has a cluster whose endpoints never come, since nobody answers as the control plane.
func TestWarming(t *testing.T) {
	dir := envoytest.Dir(t)
	p := params(dir)
	text, err := envoy.Bootstrap(p)
	if err != nil {
		t.Fatal(err)
	}
	cds := filepath.Join(dir, "cds.json")
	resources := `{"resources":[{"@type":"type.googleapis.com/envoy.config.cluster.v3.Cluster","name":"slow","type":"EDS","eds_cluster_config":{"eds_config":{"ads":{},"resource_api_version":"V3","initial_fetch_timeout":"0s"}}}]}`
	if err := os.WriteFile(cds, []byte(resources), 0o600); err != nil {
		t.Fatal(err)
	}
	var b map[string]any
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatal(err)
	}
	b["dynamic_resources"].(map[string]any)["cds_config"] = map[string]any{
		"resource_api_version": "V3", "path_config_source": map[string]any{"path": cds},
	}
	if text, err = json.Marshal(b); err != nil {
		t.Fatal(err)
	}
	i := envoytest.StartOnly(t, text, p.Admin)
	eventually(t, "the cluster is warming", func() bool {
		warming, err := i.Admin.WarmingClusters(t.Context())
		return err == nil && len(warming) == 1 && warming[0] == "slow"
	})
	if err := i.Admin.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "INITIALIZING") {
		t.Errorf("Ready: %v", err)
	}
}

// TestStopBeforeReady stops an Envoy whose control plane never came.
func TestStopBeforeReady(t *testing.T) {
	dir := envoytest.Dir(t)
	p := params(dir)
	bootstrap, err := envoy.Bootstrap(p)
	if err != nil {
		t.Fatal(err)
	}
	s, err := envoy.Start(envoy.Config{
		Binary: envoytest.Path(t), Dir: dir, Bootstrap: bootstrap, Admin: p.Admin, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the admin API answers", func() bool {
		_, err := s.Admin().Version(t.Context())
		return err == nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.WaitReady(ctx); err == nil {
		t.Error("ready without a control plane")
	}
	limited, stop := context.WithTimeout(t.Context(), limit)
	defer stop()
	if err := s.Stop(limited); err != nil {
		t.Error(err)
	}
}

// TestBootstrapHoldsNoKeyMaterial looks for the private key where only its path belongs.
func TestBootstrapHoldsNoKeyMaterial(t *testing.T) {
	text, err := envoy.Bootstrap(remote(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, []byte("PRIVATE KEY")) || !bytes.Contains(text, []byte("tls.key")) {
		t.Errorf("%s", text)
	}
}
