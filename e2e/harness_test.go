package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sluicegw/sluice/envoy/envoytest"
	"github.com/sluicegw/sluice/internal/testtools"
)

// What no log, metric or answer may ever show.
const (
	masterKey   = "sk-e2e-master-0123456789abcdef"
	providerKey = "sk-e2e-provider-fedcba9876543210"
	wrongKey    = "sk-e2e-wrong-aaaabbbbccccddddeeee"
	clientToken = "e2e-cookie-token-1122334455667788"
)

var secrets = []string{masterKey, providerKey, wrongKey, clientToken}

// patience bounds every wait that ends by itself when all is well.
const patience = 30 * time.Second

// world is what all tests share.
var world struct {
	dir    string
	once   sync.Once
	binary string
	build  sync.Once
	err    error

	gateway *gateway
	pool    *pool
	all     []*gateway // everything that was started, for the look at the logs in the end
	showing sync.Map   // tests that show the log when they fail
	seen    transcript // every answer that a client got
	mu      sync.Mutex
}

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := testtools.MkdirTemp("e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	world.dir = dir
	code := m.Run()
	if g := world.gateway; g != nil {
		g.stop()
	}
	if found := leaks(); found != "" {
		fmt.Fprintln(os.Stderr, "FAIL: a secret was written:\n"+found)
		return 1
	}
	return code
}

// executable builds the gateway once.
func executable(t testing.TB) string {
	t.Helper()
	world.build.Do(func() {
		world.binary = filepath.Join(world.dir, "sluice")
		sources()
		cmd := exec.Command("go", "build", "-o", world.binary, "./cmd/sluice")
		cmd.Dir = root()
		if out, err := cmd.CombinedOutput(); err != nil {
			world.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	if world.err != nil {
		t.Fatal(world.err)
	}
	return world.binary
}

// sources looks at every source file, so that go test knows what its cached result depends on.
func sources() {
	_ = filepath.WalkDir(root(), func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".go") {
			_, _ = os.Stat(path)
		}
		return nil
	})
}

func root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(file))
}

// gateway is a running sluice with its Envoy.
type gateway struct {
	url, addr string
	pid       int
	dir       string
	log       *transcript
	cmd       *exec.Cmd
	ended     chan struct{}
}

// shared is the gateway that most tests use, with a pool of models. When the test fails, what the
// gateway has logged since its start is shown.
func shared(t testing.TB) *gateway {
	t.Helper()
	world.once.Do(func() {
		world.pool = newPool(t)
		world.gateway = start(t, world.pool.config())
	})
	g := world.gateway
	if g == nil {
		t.Fatal("the shared gateway did not start: see the first test that failed")
	}
	g.showOnFailure(t)
	return g
}

func (g *gateway) showOnFailure(t testing.TB) {
	if _, again := world.showing.LoadOrStore(t.Name(), true); again {
		return
	}
	from := g.log.len()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the gateway's log meanwhile:\n%s", g.log.since(from))
		}
	})
}

// start runs the binary with a configuration and more flags, and waits until it is ready.
func start(t testing.TB, config string, flags ...string) *gateway {
	t.Helper()
	return startWith(t, nil, config, flags...)
}

// startWith is start with more environment variables.
func startWith(t testing.TB, env []string, config string, flags ...string) *gateway {
	t.Helper()
	dir, err := os.MkdirTemp(world.dir, "g")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	port := envoytest.FreePort(t)
	g := &gateway{addr: fmt.Sprintf("127.0.0.1:%d", port), log: &transcript{}, dir: dir, ended: make(chan struct{})}
	g.url = "http://" + g.addr
	args := append([]string{"--config", file, "--host", "127.0.0.1", "--port", fmt.Sprint(port),
		"--envoy-path", envoytest.Path(t), "--debug"}, flags...)
	g.cmd = exec.Command(executable(t), args...)
	g.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir}, env...)
	g.cmd.Stdout, g.cmd.Stderr = g.log, g.log
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	g.pid = g.cmd.Process.Pid
	go func() {
		_ = g.cmd.Wait() // the log tells
		close(g.ended)
	}()
	world.mu.Lock()
	world.all = append(world.all, g)
	world.mu.Unlock()
	g.awaitReady(t)
	return g
}

func (g *gateway) awaitReady(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, g.url+"/health/readiness", nil)
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-g.ended:
			t.Fatalf("the gateway ended:\n%s", g.log.since(0))
		case <-ctx.Done():
			g.stop()
			t.Fatalf("the gateway was not ready in time (%v):\n%s", err, g.log.since(0))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stop asks the gateway to end, and makes it if it does not.
func (g *gateway) stop() {
	_ = g.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-g.ended:
	case <-time.After(patience / 2):
		_ = g.cmd.Process.Kill()
		<-g.ended
	}
}

// alive fails the test if the gateway has ended or its Envoy was started anew.
func (g *gateway) alive(t testing.TB) {
	t.Helper()
	select {
	case <-g.ended:
		t.Fatalf("the gateway ended:\n%s", g.log.since(0))
	default:
	}
	for _, word := range []string{"panic", "SIGSEGV", "will be started again", "fault of sluice's own", "assert failure"} {
		if strings.Contains(g.log.since(0), word) {
			t.Errorf("the gateway's log has %q in it:\n%s", word, g.log.since(0))
		}
	}
}

// transcript is what was written, safe for many writers.
type transcript struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *transcript) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Len()
}

func (t *transcript) since(n int) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b.Bytes()[n:])
}
