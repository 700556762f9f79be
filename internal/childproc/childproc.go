// Package childproc starts a process that never outlives its parent, however the parent ends.
//
// On Linux the kernel itself kills the child when the parent is gone, a SIGKILL or an out-of-memory kill
// of the parent included. Elsewhere there is no such promise, and only an orderly stop ends the child.
// It knows nothing of what it runs, and restarts nothing.
package childproc

import (
	"os/exec"
	"runtime"
)

// Child is a started process.
type Child struct {
	// PID is the process id; it may be reused by the kernel once Done is closed.
	PID  int
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

// Start starts cmd, which must be new, and waits for it in the background.
//
// The kernel's promise is tied to the thread that forks, not to the process: should that thread end, the
// child is killed. So the fork happens on a goroutine that keeps its thread until the child is gone.
func Start(cmd *exec.Cmd) (*Child, error) {
	dieWithParent(cmd)
	c := &Child{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with this goroutine, after the child did.
		runtime.LockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		c.PID = cmd.Process.Pid
		started <- nil
		c.err = cmd.Wait()
		close(c.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

// Done is closed when the process has ended and its output was read to the end.
func (c *Child) Done() <-chan struct{} { return c.done }

// Err is how the process ended, as [exec.Cmd.Wait] tells it; it blocks until Done is closed.
func (c *Child) Err() error {
	<-c.done
	return c.err
}
