package envoy_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sluicegw/sluice/envoy"
	"github.com/sluicegw/sluice/envoy/envoytest"
)

// limit bounds what a test waits for on a busy machine; nothing takes nearly as long.
const limit = 30 * time.Second

// TestMain lets the test binary play the parent that is killed: see TestKilledParentTakesEnvoyAlong.
func TestMain(m *testing.M) {
	if dir := os.Getenv("ENVOY_TEST_PARENT"); dir != "" {
		s, err := envoy.Start(envoy.Config{
			Binary: os.Getenv("ENVOY_PATH"), Dir: dir,
			Bootstrap: []byte("{}"), Admin: filepath.Join(dir, "admin.sock"),
		})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(s.PID())
		select {}
	}
	os.Exit(m.Run())
}

// withListener is a bootstrap that needs no control plane: a listener that passes everything to upstream.
func withListener(t *testing.T, p envoy.Params, upstream string) []byte {
	t.Helper()
	text, err := envoy.Bootstrap(p)
	if err != nil {
		t.Fatal(err)
	}
	var b map[string]any
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatal(err)
	}
	delete(b, "dynamic_resources")
	host, port, err := net.SplitHostPort(upstream)
	if err != nil {
		t.Fatal(err)
	}
	resources := b["static_resources"].(map[string]any)
	resources["clusters"] = append(resources["clusters"].([]any), map[string]any{
		"name": "upstream", "type": "STATIC", "connect_timeout": "1s",
		"load_assignment": map[string]any{"cluster_name": "upstream", "endpoints": []any{map[string]any{"lb_endpoints": []any{
			map[string]any{"endpoint": map[string]any{"address": map[string]any{"socket_address": map[string]any{"address": host, "port_value": json.Number(port)}}}},
		}}}},
	})
	resources["listeners"] = []any{map[string]any{
		"name":    "main",
		"address": map[string]any{"socket_address": map[string]any{"address": "127.0.0.1", "port_value": 0}},
		"filter_chains": []any{map[string]any{"filters": []any{map[string]any{
			"name": "hcm",
			"typed_config": map[string]any{
				"@type":       "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
				"stat_prefix": "main",
				"route_config": map[string]any{"virtual_hosts": []any{map[string]any{"name": "v", "domains": []any{"*"}, "routes": []any{
					map[string]any{"match": map[string]any{"prefix": "/"}, "route": map[string]any{"cluster": "upstream", "timeout": "0s"}},
				}}}},
				"http_filters": []any{map[string]any{"name": "router", "typed_config": map[string]any{
					"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}},
			},
		}}}},
	}}
	if text, err = json.Marshal(b); err != nil {
		t.Fatal(err)
	}
	return text
}

// start runs a supervised Envoy in front of upstream and returns it, its address and its log.
func start(t *testing.T, upstream string) (*envoy.Supervisor, string, *logBuffer) {
	t.Helper()
	dir := envoytest.Dir(t)
	log := &logBuffer{}
	s, err := envoy.Start(envoy.Config{
		Binary: envoytest.Path(t), Dir: dir, Bootstrap: withListener(t, params(dir), upstream),
		Admin: filepath.Join(dir, "admin.sock"), Concurrency: 1,
		Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.Stop(ctx)
		if t.Failed() {
			t.Logf("log:\n%s", log)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := s.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	listeners, err := s.Admin().Listeners(ctx)
	if err != nil || len(listeners) != 1 || listeners[0].Name != "main" {
		t.Fatalf("listeners %v, %v", listeners, err)
	}
	return s, listeners[0].Address, log
}

func TestAdmin(t *testing.T) {
	upstream := httptest.NewServer(http.NotFoundHandler())
	defer upstream.Close()
	s, _, _ := start(t, upstream.Listener.Addr().String())
	ctx := t.Context()
	if v, err := s.Admin().Version(ctx); err != nil || v.Less(envoy.MinVersion) {
		t.Errorf("version %v, %v", v, err)
	}
	if m, err := s.Admin().Memory(ctx); err != nil || m.Allocated == 0 || m.Heap == 0 {
		t.Errorf("memory %+v, %v", m, err)
	}
	if warming, err := s.Admin().WarmingClusters(ctx); err != nil || len(warming) != 0 {
		t.Errorf("warming %v, %v", warming, err)
	}
	if n, err := s.Admin().ActiveRequests(ctx); err != nil || n != 0 {
		t.Errorf("active %d, %v", n, err)
	}
	stats, err := s.Admin().Stats(ctx, `^cluster\.ext_proc\.`)
	if err != nil || len(stats) == 0 {
		t.Errorf("stats %v, %v", stats, err)
	}
	for name := range stats {
		if strings.Contains(name, "circuit_breakers") || !strings.HasPrefix(name, "cluster.ext_proc.") {
			t.Errorf("stat %s", name)
		}
	}
	if _, err := s.Admin().Stats(ctx, "("); err == nil {
		t.Error("a broken pattern is accepted")
	}
	// The admin API asks nobody who he is: its socket must be its owner's alone.
	if info, err := os.Stat(s.Admin().Address()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the admin socket: %v, %v", info, err)
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", s.PID()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(limits)) {
		if f := strings.Fields(line); strings.HasPrefix(line, "Max open files") && f[3] != f[4] {
			t.Errorf("Envoy may open %s files of %s", f[3], f[4])
		}
	}
}

func TestKilledEnvoyComesBack(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello")
	}))
	defer upstream.Close()
	s, _, log := start(t, upstream.Listener.Addr().String())
	first := s.PID()
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a second Envoy serves", func() bool {
		return s.PID() != first && s.Restarts() == 1 && s.Admin().Ready(t.Context()) == nil
	})
	listeners, err := s.Admin().Listeners(t.Context())
	if err != nil || len(listeners) != 1 {
		t.Fatal(listeners, err)
	}
	res, err := http.Get("http://" + listeners[0].Address)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if string(body) != "hello" {
		t.Errorf("body %q", body)
	}
	if !strings.Contains(log.String(), "signal: killed") {
		t.Error("the log does not say why Envoy was started again")
	}
}

func TestStopDrains(t *testing.T) {
	for name, finish := range map[string]bool{"a call that finishes": true, "a call that does not": false} {
		t.Run(name, func(t *testing.T) {
			release, arrived := make(chan struct{}), make(chan struct{})
			upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, "first,")
				w.(http.Flusher).Flush()
				close(arrived)
				select {
				case <-release:
					_, _ = io.WriteString(w, "last")
				case <-r.Context().Done():
				}
			}))
			defer upstream.Close()
			s, address, _ := start(t, upstream.Listener.Addr().String())
			body := make(chan string, 1)
			go func() {
				res, err := http.Get("http://" + address)
				if err != nil {
					body <- err.Error()
					return
				}
				text, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				body <- fmt.Sprintf("%s %v", text, err)
			}()
			<-arrived
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			stopped := make(chan error, 1)
			go func() { stopped <- s.Stop(ctx) }()
			eventually(t, "new connections are refused", func() bool {
				conn, err := net.Dial("tcp", address)
				if err == nil {
					_ = conn.Close()
				}
				return err != nil
			})
			if n, err := s.Admin().ActiveRequests(t.Context()); err != nil || n != 1 {
				t.Errorf("%d requests under way (%v), want 1", n, err)
			}
			if finish {
				close(release)
			} else {
				cancel()
			}
			err := <-stopped
			text := <-body
			if finish && (err != nil || text != "first,last <nil>") {
				t.Errorf("Stop: %v, body %q", err, text)
			}
			if !finish && (err == nil || !strings.Contains(err.Error(), "1 requests were still under way")) {
				t.Errorf("Stop: %v", err)
			}
			if err := syscall.Kill(s.PID(), 0); err == nil {
				t.Error("Envoy still runs")
			}
			if err := s.Stop(t.Context()); err != nil {
				t.Errorf("a second Stop: %v", err)
			}
		})
	}
}

func TestRefusedConfiguration(t *testing.T) {
	dir := envoytest.Dir(t)
	s, err := envoy.Start(envoy.Config{
		Binary: envoytest.Path(t), Dir: dir, Bootstrap: []byte(`{"nonsense": 1}`), Admin: filepath.Join(dir, "admin.sock"),
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := s.WaitReady(ctx); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("error %v does not name the field", err)
	}
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
	if err := s.WaitReady(ctx); err == nil {
		t.Error("a stopped Envoy is ready")
	}
}

func TestStartRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, tt := range map[string]struct {
		cfg  envoy.Config
		want string
	}{
		"no binary":   {envoy.Config{Binary: "/no/envoy", Dir: dir}, "/no/envoy"},
		"no dir":      {envoy.Config{Binary: "/no/envoy", Dir: "/no/dir"}, "/no/dir"},
		"trace level": {envoy.Config{Binary: "/no/envoy", Dir: dir, LogLevel: "trace"}, "credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := envoy.Start(tt.cfg); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestKilledParentTakesEnvoyAlong(t *testing.T) {
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), "ENVOY_TEST_PARENT="+envoytest.Dir(t), "ENVOY_PATH="+envoytest.Path(t))
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatalf("the parent said %q", line)
	}
	eventually(t, "the process is Envoy", func() bool { // its new command line shows a moment after its start
		name, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		return err == nil && bytes.Contains(name, []byte("--disable-hot-restart"))
	})
	_ = parent.Process.Kill()
	_ = parent.Wait()
	eventually(t, "Envoy is gone", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || bytes.Contains(stat, []byte(") Z "))
	})
}

// eventually polls for a state of another process, which nothing announces.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so after %v: %s", limit, what)
		}
	}
}

// logBuffer is a buffer that several goroutines write to.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestStartDrainTurnsClientsAway shows that clients are served and asked to leave, by the first response.
func TestStartDrainTurnsClientsAway(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer upstream.Close()
	s, address, _ := start(t, upstream.Listener.Addr().String())
	for _, draining := range []bool{false, true} {
		if draining {
			if err := s.Admin().StartDrain(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		res, err := http.Get("http://" + address)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK || res.Close != draining {
			t.Errorf("draining %v: status %d, connection: close is %v", draining, res.StatusCode, res.Close)
		}
	}
}
