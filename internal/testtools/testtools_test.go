package testtools

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPostgresAnswers(t *testing.T) {
	s := Postgres(t)
	for _, step := range []struct{ sql, want string }{
		{"create table t (x int)", "CREATE TABLE"},
		{"insert into t values (1), (2)", "INSERT 0 2"},
		{"select sum(x) from t", "3"},
	} {
		if got, err := s.Query(step.sql); err != nil || got != step.want {
			t.Fatalf("%s: %q, %v", step.sql, got, err)
		}
	}
	s.Kill()
	if got, err := s.Query("select 1"); err == nil {
		t.Errorf("a killed server answers %q", got)
	}
	s.Restart()
	if got, err := s.Query("select sum(x) from t"); err != nil || got != "3" {
		t.Errorf("after a restart: %q, %v", got, err)
	}
	if first, second := s.Database(), s.Database(); first == second || !strings.Contains(s.URL, "/sluice?") {
		t.Errorf("URLs %s, %s, %s", s.URL, first, second)
	}
	if _, err := net.Dial("unix", s.Socket); err != nil {
		t.Error(err)
	}
}

func TestPostgresWhereOnlyRootMayGo(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root runs PostgreSQL as somebody else")
	}
	closed := filepath.Join(t.TempDir(), "closed")
	if err := os.MkdirAll(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	pkg := filepath.Dir(tool(t, "postgres"))
	for _, part := range []string{pkg, pkg + ".libs"} {
		if err := os.CopyFS(filepath.Join(closed, filepath.Base(part)), os.DirFS(part)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(closed, filepath.Base(pkg), "pginstall"), filepath.Join(closed, "postgres")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SLUICE_TOOLS", closed)
	if got, err := Postgres(t).Query("select 40 + 2"); err != nil || got != "42" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestValkeyAnswers(t *testing.T) {
	s := Valkey(t)
	if err := ping(t.Context(), s.Port); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(s.URL, "redis://127.0.0.1:") {
		t.Error(s.URL)
	}
	info, err := os.Stat(s.Socket)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
	s.Pause()
	hung, err := net.Dial("unix", s.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = hung.Close() }()
	if _, err := hung.Write([]byte("PING\r\n")); err != nil {
		t.Fatal(err)
	}
	_ = hung.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	answer := make([]byte, 7)
	if n, err := hung.Read(answer); err == nil {
		t.Errorf("a paused server says %q", answer[:n])
	}
	s.Resume()
	_ = hung.SetReadDeadline(time.Now().Add(upWithin))
	if n, err := hung.Read(answer); err != nil || string(answer[:n]) != "+PONG\r\n" {
		t.Errorf("%q, %v", answer[:n], err)
	}
	s.Kill()
	if err := ping(context.Background(), s.Port); err == nil {
		t.Error("a killed server answers")
	}
	s.Restart()
	if err := ping(t.Context(), s.Port); err != nil {
		t.Error(err)
	}
}
