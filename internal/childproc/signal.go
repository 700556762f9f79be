package childproc

import (
	"context"
	"os"
	"syscall"
)

// Signal sends sig; a process that has already ended is not an error.
func (c *Child) Signal(sig os.Signal) {
	// os.Process never signals a process that was waited for, so a reused id is safe.
	_ = c.cmd.Process.Signal(sig)
}

// Stop asks the process to end with SIGTERM and kills it once ctx is done. It returns when the process
// has ended.
func (c *Child) Stop(ctx context.Context) {
	c.Signal(syscall.SIGTERM)
	select {
	case <-c.done:
	case <-ctx.Done():
		c.Signal(os.Kill)
		<-c.done
	}
}
