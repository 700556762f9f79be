// Package envoytest runs the real Envoy in other packages' tests: it checks configurations, starts
// Envoy with them, and shows its log when a test fails.
//
// Package provider beside it plays the upstream. Neither configures anything: a test brings its own
// bootstrap.
package envoytest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicegw/sluice/envoy"
	"github.com/sluicegw/sluice/internal/childproc"
	"github.com/sluicegw/sluice/internal/testtools"
)

// readyWithin is how long a started Envoy may take on a busy machine.
const readyWithin = 30 * time.Second

var (
	findOnce sync.Once
	found    envoy.Binary
	findErr  error
)

// Path is the Envoy to test with: ENVOY_PATH, or what `make tools` installed. Without one the test
// fails; it never skips, lest nobody notice.
func Path(t testing.TB) string {
	t.Helper()
	findOnce.Do(func() {
		explicit := os.Getenv("ENVOY_PATH")
		if explicit == "" {
			explicit = filepath.Join(root(), ".tools", "envoy")
		}
		found, findErr = envoy.Find(context.Background(), explicit, nil, nil)
	})
	if findErr != nil {
		t.Fatalf("this test needs the real Envoy: run `make tools` (%v)", findErr)
	}
	return found.Path
}

// root is the module's directory.
func root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// Dir is a temporary directory for sockets: see [testtools.Dir].
func Dir(t testing.TB) string { t.Helper(); return testtools.Dir(t) }

// FreePort is a free TCP port: see [testtools.FreePort].
func FreePort(t testing.TB) int { t.Helper(); return testtools.FreePort(t) }

// Validate runs `envoy --mode validate` on a bootstrap in JSON or YAML and fails the test with Envoy's
// words if it is refused.
func Validate(t testing.TB, bootstrap []byte) {
	t.Helper()
	if out, err := validate(t, bootstrap); err != nil {
		t.Errorf("Envoy refuses this configuration: %v\n%s\n%s", err, out, numbered(bootstrap))
	}
}

// Refused is the opposite of Validate: it returns what Envoy says against a bootstrap, and fails the
// test if Envoy takes it.
func Refused(t testing.TB, bootstrap []byte) string {
	t.Helper()
	out, err := validate(t, bootstrap)
	if err == nil {
		t.Errorf("Envoy accepts this configuration:\n%s", numbered(bootstrap))
	}
	return out
}

func validate(t testing.TB, bootstrap []byte) (string, error) {
	t.Helper()
	path := write(t, Dir(t), bootstrap)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, Path(t), "--mode", "validate", "--config-path", path,
		"--log-level", "error", "--concurrency", "1").CombinedOutput()
	return string(out), err
}

// write names the file by what it holds, because Envoy goes by the extension.
func write(t testing.TB, dir string, bootstrap []byte) string {
	t.Helper()
	name := "envoy.yaml"
	if bytes.HasPrefix(bytes.TrimSpace(bootstrap), []byte("{")) {
		name = "envoy.json"
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, bootstrap, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Instance is a running Envoy.
type Instance struct {
	Admin *envoy.Admin
	PID   int
	// LogPath is the file that Envoy logs to.
	LogPath string
	child   *childproc.Child
}

// Start starts Envoy with a bootstrap whose admin address is admin (a socket path or host:port), waits
// until it is ready, and kills it after the test. When the test has failed, Envoy's log is shown. The
// environment variable ENVOY_LOG sets its level (default: warning).
func Start(t testing.TB, bootstrap []byte, admin string) *Instance {
	t.Helper()
	i := StartOnly(t, bootstrap, admin)
	ctx, cancel := context.WithTimeout(t.Context(), readyWithin)
	defer cancel()
	for {
		err := i.Admin.Ready(ctx)
		if err == nil {
			return i
		}
		select {
		case <-i.child.Done():
			t.Fatalf("Envoy ended at once: %v", i.child.Err())
		case <-ctx.Done():
			t.Fatalf("Envoy was not ready after %v: %v", readyWithin, err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// StartOnly is Start without waiting: for an Envoy whose control plane the test starts later.
func StartOnly(t testing.TB, bootstrap []byte, admin string) *Instance {
	t.Helper()
	dir := Dir(t)
	level := os.Getenv("ENVOY_LOG")
	if level == "" {
		level = "warning"
	}
	logPath := filepath.Join(dir, "envoy.log")
	logFile, err := os.Create(logPath)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(Path(t), "--config-path", write(t, dir, bootstrap), "--disable-hot-restart",
		"--concurrency", "1", "--log-level", level, "--drain-strategy", "immediate")
	cmd.Stdout, cmd.Stderr = logFile, logFile
	child, err := childproc.Start(cmd)
	_ = logFile.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		child.Signal(os.Kill)
		<-child.Done()
		if t.Failed() {
			text, _ := os.ReadFile(logPath)
			t.Logf("Envoy's log:\n%s", tail(text, 64<<10))
		}
	})
	return &Instance{Admin: envoy.NewAdmin(admin), PID: child.PID, LogPath: logPath, child: child}
}

// Kill ends Envoy at once, as a crash would.
func (i *Instance) Kill() {
	i.child.Signal(os.Kill)
	<-i.child.Done()
}

func tail(text []byte, most int) []byte {
	return text[max(0, len(text)-most):]
}

// numbered shows a configuration with line numbers, which Envoy's complaints refer to.
func numbered(text []byte) string {
	var b strings.Builder
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		fmt.Fprintf(&b, "%5d  %s", n, line)
		if b.Len() > 64<<10 {
			b.WriteString("\n… cut\n")
			break
		}
	}
	return b.String()
}
