package testtools

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// Valkey starts a Valkey server that keeps everything in memory: a Restart after Kill comes back empty,
// as a lost Redis would. Its URL is redis://127.0.0.1:port/0.
func Valkey(t testing.TB) *Server {
	t.Helper()
	dir := Dir(t)
	binary, port := tool(t, "valkey-server"), FreePort(t)
	s := &Server{
		t: t, name: "Valkey", Port: port, Socket: filepath.Join(dir, "valkey.sock"),
		URL:     fmt.Sprintf("redis://127.0.0.1:%d/0", port),
		logPath: filepath.Join(dir, "valkey.log"),
	}
	s.command = func() *exec.Cmd {
		return exec.Command(binary,
			"--bind", "127.0.0.1", "--port", strconv.Itoa(port),
			"--unixsocket", s.Socket, "--unixsocketperm", "600",
			"--save", "", "--appendonly", "no", "--dir", dir)
	}
	s.up = func(ctx context.Context) error { return ping(ctx, port) }
	s.begin()
	return s
}

// ping asks a Valkey server whether it is there.
func ping(ctx context.Context, port int) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if line != "+PONG\r\n" {
		return fmt.Errorf("answered %q to PING", line)
	}
	return nil
}

// Pause has a Valkey server hang: connections stay open and nothing is answered, until Resume. It is for
// servers of one process, and so not for PostgreSQL.
func (s *Server) Pause() {
	s.child.Signal(syscall.SIGSTOP)
}

// Resume ends a Pause.
func (s *Server) Resume() {
	s.child.Signal(syscall.SIGCONT)
}
