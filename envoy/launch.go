package envoy

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/sluicegw/sluice/internal/childproc"
)

const (
	bootstrapFile = "envoy.json"
	readyPoll     = 10 * time.Millisecond
	// killAfter is how long Envoy may take to end after SIGTERM; it needs milliseconds.
	killAfter = 5 * time.Second
)

// launch starts one Envoy and makes it the current one.
func (s *Supervisor) launch() (*childproc.Child, *logPipe, error) {
	// https://www.envoyproxy.io/docs/envoy/v1.40.0/operations/cli
	cmd := exec.Command(s.cfg.Binary,
		"--config-path", filepath.Join(s.cfg.Dir, bootstrapFile),
		// Hot restart needs shared memory that outlives a killed process.
		"--disable-hot-restart",
		"--concurrency", strconv.Itoa(s.cfg.Concurrency),
		"--log-level", s.cfg.LogLevel,
		"--log-format", logFormat,
		"--log-format-escaped",
		"--skip-deprecated-logs",
		// While draining, every response closes its connection, rather than more and more of them.
		"--drain-strategy", "immediate",
	)
	cmd.Dir = s.cfg.Dir
	cmd.Env = environment()
	pipe := &logPipe{log: s.log}
	// One writer for both, so exec uses one pipe and one goroutine.
	cmd.Stdout, cmd.Stderr = pipe, pipe
	cmd.WaitDelay = time.Second
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping() {
		return nil, nil, errors.New("stopping")
	}
	child, err := childproc.Start(cmd)
	if err != nil {
		return nil, nil, fmt.Errorf("start %s: %w", s.cfg.Binary, err)
	}
	s.child = child
	return child, pipe, nil
}

// Stop drains and ends Envoy: clients are turned away, new connections refused, and what is under way
// may finish until ctx ends; then SIGTERM, and SIGKILL should that not help. The error tells how many
// requests were cut off; Envoy is gone in any case. Without a deadline Stop waits for the last request.
func (s *Supervisor) Stop(ctx context.Context) error {
	first := false
	s.stopOnce.Do(func() { first = true })
	if !first {
		<-s.done
		return nil
	}
	s.mu.Lock()
	close(s.stop)
	child := s.child
	s.mu.Unlock()

	err := s.drain(ctx, child)
	kill, cancel := context.WithTimeout(context.Background(), killAfter)
	defer cancel()
	child.Stop(kill)
	<-s.done
	return err
}

// drain lets the requests under way finish.
func (s *Supervisor) drain(ctx context.Context, child *childproc.Child) error {
	// A crash in the middle ends the waiting.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	gone := errors.New("envoy is gone")
	go func() {
		select {
		case <-child.Done():
			cancel(gone)
		case <-ctx.Done():
		}
	}()
	if err := s.admin.StartDrain(ctx); err != nil {
		// Not serving yet, or gone: there is nothing to drain.
		s.log.Debug("Envoy can't drain", "error", err)
		return nil
	}
	if s.cfg.DrainDelay > 0 {
		select {
		case <-ctx.Done():
		case <-time.After(s.cfg.DrainDelay):
		}
	}
	if err := s.admin.CloseListeners(ctx); err != nil && ctx.Err() == nil {
		s.log.Warn("Envoy goes on accepting connections while it drains", "error", err)
	}
	left, err := s.admin.WaitIdle(ctx)
	switch {
	case context.Cause(ctx) == gone:
		return errors.New("envoy ended by itself while it drained")
	case ctx.Err() != nil && left > 0:
		return fmt.Errorf("%d requests were still under way at the end of the time to drain", left)
	case err != nil && ctx.Err() == nil:
		return fmt.Errorf("envoy did not drain: %w", err)
	}
	return nil
}
