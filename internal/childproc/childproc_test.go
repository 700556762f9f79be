package childproc_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluicegw/sluice/internal/childproc"
)

// TestMain lets the test binary play the parent that is killed: see TestKilledParent.
func TestMain(m *testing.M) {
	if os.Getenv("CHILDPROC_PARENT") != "" {
		child, err := childproc.Start(exec.Command("sleep", "600"))
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(child.PID)
		select {}
	}
	os.Exit(m.Run())
}

func TestKilledParent(t *testing.T) {
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), "CHILDPROC_PARENT=1")
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
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	if !goneWithin(pid, 10*time.Second) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
		t.Fatalf("process %d outlived its killed parent", pid)
	}
}

func TestStop(t *testing.T) {
	for name, tt := range map[string]struct {
		script string
		limit  time.Duration
	}{
		"obeys":   {"echo ready; exec sleep 600", time.Minute},
		"ignores": {"trap '' TERM; echo ready; while :; do sleep 1; done", time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command("sh", "-c", tt.script)
			out, in, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd.Stdout = in
			child, err := childproc.Start(cmd)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), tt.limit)
			defer cancel()
			child.Stop(ctx)
			if child.Err() == nil {
				t.Error("ended by a signal, but Err is nil")
			}
			child.Signal(os.Kill) // harmless once it is gone
		})
	}
}

func TestStartMissing(t *testing.T) {
	if _, err := childproc.Start(exec.Command("/no/such/program")); err == nil {
		t.Fatal("no error")
	}
}

func goneWithin(pid int, limit time.Duration) bool {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err != nil || strings.Contains(string(state), ") Z ") {
			return true
		}
	}
	return false
}
