package testtools

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// nobody is the user that PostgreSQL runs as when the tests run as root, which it refuses to.
const nobody = 65534

// postgresUser is the superuser of the test's server; it needs no password.
const postgresUser = "sluice"

// databases numbers the databases that Database makes.
var databases atomic.Int64

// Postgres starts a PostgreSQL server with an empty database, and gives its URL:
// postgres://sluice@127.0.0.1:port/sluice?sslmode=disable. It does not wait for the disk, but survives
// Kill and Restart.
func Postgres(t testing.TB) *Server {
	t.Helper()
	dir := Dir(t)
	bin := filepath.Join(postgresInstall(t, dir), "bin")
	data, port := filepath.Join(dir, "data"), FreePort(t)
	as := postgresAccount(t, dir)
	run := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(bin, name), args...)
		cmd.Dir = dir
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC", "HOME=" + dir}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
		return cmd
	}
	if out, err := run("initdb", "--pgdata", data, "--username", postgresUser, "--auth", "trust",
		"--encoding", "UTF8", "--no-locale", "--no-sync", "--no-instructions").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	s := &Server{
		t: t, name: "PostgreSQL", Port: port, Socket: filepath.Join(dir, ".s.PGSQL."+strconv.Itoa(port)),
		logPath: filepath.Join(dir, "postgres.log"),
	}
	s.command = func() *exec.Cmd {
		return run("postgres", "-D", data, "-p", strconv.Itoa(port), "-k", dir,
			"-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200", "-c", "shared_buffers=32MB",
			"-c", "fsync=off", "-c", "full_page_writes=off")
	}
	s.up = func(ctx context.Context) error {
		cmd := run("pg_isready", "--quiet", "--host", dir, "--port", strconv.Itoa(port),
			"--username", postgresUser, "--dbname", "postgres", "--timeout", "5")
		return cmd.Run()
	}
	s.begin()
	s.createDatabase = func(name string) error {
		out, err := run("createdb", "--host", dir, "--port", strconv.Itoa(port), "--username", postgresUser, name).CombinedOutput()
		if err != nil {
			return fmt.Errorf("createdb: %w: %s", err, out)
		}
		return nil
	}
	s.query = func(database, sql string) (string, error) {
		out, err := run("psql", "--host", "127.0.0.1", "--port", strconv.Itoa(port), "--username", postgresUser,
			"--no-psqlrc", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1", "--command", sql, database).CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	if err := s.createDatabase(postgresUser); err != nil {
		t.Fatal(err)
	}
	s.URL = s.databaseURL(postgresUser)
	return s
}

// Database makes one more empty database on a PostgreSQL server and gives its URL: cheaper than a server
// of its own.
func (s *Server) Database() string {
	s.t.Helper()
	name := "db" + strconv.FormatInt(databases.Add(1), 10)
	if err := s.createDatabase(name); err != nil {
		s.t.Fatal(err)
	}
	return s.databaseURL(name)
}

// Query runs SQL on a PostgreSQL server's first database with psql and gives what it prints: one line a
// row, columns parted by |.
func (s *Server) Query(sql string) (string, error) { return s.query(postgresUser, sql) }

func (s *Server) databaseURL(name string) string {
	return fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s?sslmode=disable", postgresUser, s.Port, name)
}

// postgresAccount gives dir to the user that PostgreSQL will run as; nil is the current one.
func postgresAccount(t testing.TB, dir string) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: nobody, Gid: nobody, NoSetGroups: true}
}

// postgresInstall is the installation's directory. Root's home may be closed to the other user; then a
// copy is made under dir.
func postgresInstall(t testing.TB, dir string) string {
	t.Helper()
	install := tool(t, "postgres")
	if os.Geteuid() != 0 || openToAll(install) {
		return install
	}
	// Its libraries lie beside the package, and are found by the relative path.
	pkg := filepath.Dir(install)
	for _, part := range []string{pkg, pkg + ".libs"} {
		if _, err := os.Stat(part); err != nil {
			continue
		}
		if err := os.CopyFS(filepath.Join(dir, filepath.Base(part)), os.DirFS(part)); err != nil {
			t.Fatalf("copy PostgreSQL to where another user can run it: %v", err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, filepath.Base(pkg), filepath.Base(install))
}

// openToAll tells whether everybody may pass through all directories down to path.
func openToAll(path string) bool {
	for ; ; path = filepath.Dir(path) {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm()&0o005 != 0o005 {
			return false
		}
		if path == filepath.Dir(path) {
			return true
		}
	}
}
