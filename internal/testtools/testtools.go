// Package testtools starts a real PostgreSQL or Valkey for a test, from the binaries that `make tools`
// installs, and ends it afterwards.
//
// Each call starts a server of its own, so that a test may kill it. Nothing here speaks their protocols
// beyond asking whether they are up: clients are the tests' own.
package testtools

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/sluicegw/sluice/internal/childproc"
)

// upWithin is how long a server may take to answer on a busy machine.
const upWithin = 60 * time.Second

// Server is a running database server.
type Server struct {
	// URL is what clients are configured with. It stays the same across Restart.
	URL string
	// Port is its TCP port on 127.0.0.1, Socket its Unix socket.
	Port   int
	Socket string

	t       testing.TB
	name    string
	logPath string
	command func() *exec.Cmd
	up      func(context.Context) error
	child   *childproc.Child
	// PostgreSQL's own.
	createDatabase func(name string) error
	query          func(database, sql string) (string, error)
}

// tool is the path of an installed binary; a missing one fails the test.
func tool(t testing.TB, name string) string {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	dir := os.Getenv("SLUICE_TOOLS")
	if dir == "" {
		dir = filepath.Join(filepath.Dir(file), "..", "..", ".tools")
	}
	path, err := filepath.EvalSymlinks(filepath.Join(dir, name))
	if err != nil {
		t.Fatalf("this test needs a real %s: run `make tools` (%v)", name, err)
	}
	return path
}

// Dir is a temporary directory with a path short enough for Unix sockets, private (0700), and removed
// after the test. [testing.TB.TempDir] holds the test's name and soon is too long.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := MkdirTemp("st")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// MkdirTemp is [os.MkdirTemp] in a place whose path is short: /tmp where the system's own, TMPDIR, is not. The
// caller removes it.
func MkdirTemp(pattern string) (string, error) {
	const most = 20
	parent := ""
	if len(os.TempDir()) > most {
		parent = "/tmp"
	}
	return os.MkdirTemp(parent, pattern)
}

// FreePort is a TCP port on 127.0.0.1 that nobody listened on a moment ago.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// start starts the process and waits until it answers.
func (s *Server) start() error {
	log, err := os.OpenFile(s.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd := s.command()
	cmd.Stdout, cmd.Stderr = log, log
	s.child, err = childproc.Start(cmd)
	_ = log.Close()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), upWithin)
	defer cancel()
	for {
		err := s.up(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.child.Done():
			return fmt.Errorf("%s ended at once: %w", s.name, s.child.Err())
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w", s.name, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// begin starts the server and arranges its end.
func (s *Server) begin() {
	s.t.Helper()
	s.t.Cleanup(func() {
		if s.child != nil {
			s.child.Signal(os.Kill)
			<-s.child.Done()
		}
		if s.t.Failed() {
			text, _ := os.ReadFile(s.logPath)
			s.t.Logf("%s's log:\n%s", s.name, text[max(0, len(text)-16<<10):])
		}
	})
	if err := s.start(); err != nil {
		s.t.Fatal(err)
	}
}

// Kill ends the server at once, as a crash would.
func (s *Server) Kill() {
	s.t.Helper()
	s.child.Signal(os.Kill)
	<-s.child.Done()
}

// Restart starts a killed server again, at the same addresses, with the data it had on disk.
func (s *Server) Restart() {
	s.t.Helper()
	// A killed PostgreSQL's own children take a moment to notice, and until then it refuses to start.
	var err error
	for deadline := time.Now().Add(upWithin); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err = s.start(); err == nil {
			return
		}
	}
	s.t.Fatal(err)
}

// LiteLLMMigrations are the SQL migrations of LiteLLM's database, in their order, as the package litellm-proxy-extras
// ships them.
func LiteLLMMigrations(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(tool(t, "testpy"), "litellm_proxy_extras", "migrations", "*", "migration.sql"))
	if err != nil || len(files) < 100 {
		t.Fatalf("this test needs LiteLLM's migrations: run `make testtools` (%d files, %v)", len(files), err)
	}
	out := make([]string, len(files)) // in the order of their names, which begin with their time
	for i, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out[i] = string(text)
	}
	return out
}
