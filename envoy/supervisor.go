package envoy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/sluicegw/sluice/internal/childproc"
)

// Config is what it takes to run one Envoy.
type Config struct {
	// Binary is the path of an Envoy that [Find] returned.
	Binary string
	// Dir is a private directory (see [NewDir]); the bootstrap is written into it.
	Dir string
	// Bootstrap is what [Bootstrap] returned, and Admin the address given to it.
	Bootstrap []byte
	Admin     string
	// Concurrency is the number of worker threads; 0: [DefaultConcurrency].
	Concurrency int
	// LogLevel is Envoy's own: info, warning, error, critical or off; empty: warning. Debug and trace are
	// refused: Envoy would write its clients' and the providers' credentials to the log.
	LogLevel string
	// Logger gets Envoy's log lines and the supervisor's; nil: [slog.Default].
	Logger *slog.Logger
	// DrainDelay is how long Stop lets new connections in after it began to turn clients away, for load
	// balancers to notice.
	DrainDelay time.Duration
}

// DefaultConcurrency leaves half of the cores to the Go process, which does as much for a call as Envoy.
func DefaultConcurrency() int { return max(1, runtime.GOMAXPROCS(0)/2) }

// Supervisor keeps an Envoy running until it is stopped.
type Supervisor struct {
	cfg   Config
	log   *slog.Logger
	admin *Admin
	// stop is closed when no further Envoy shall be started, done when none runs any more.
	stop, done chan struct{}
	stopOnce   sync.Once

	mu       sync.Mutex
	child    *childproc.Child
	restarts int
	// failure is why the last process ended; wasReady whether any was ever seen to serve.
	failure  error
	wasReady bool
}

// Start starts Envoy and a goroutine that restarts it whenever it ends by itself, for ever, with growing
// pauses. The error is about this first start only: an unusable directory or binary. See [WaitReady] for
// a configuration that Envoy refuses.
//
// On Linux Envoy does not outlive this process, however it ends.
func Start(cfg Config) (*Supervisor, error) {
	if cfg.Concurrency <= 0 {
		cfg.Concurrency = DefaultConcurrency()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	switch cfg.LogLevel {
	case "":
		cfg.LogLevel = "warning"
	case "info", "warning", "error", "critical", "off":
	default:
		return nil, fmt.Errorf("envoy log level %q: must be info, warning, error, critical or off (debug and trace would log credentials)", cfg.LogLevel)
	}
	raiseFileLimit()
	if err := WriteBootstrap(filepath.Join(cfg.Dir, bootstrapFile), cfg.Bootstrap); err != nil {
		return nil, fmt.Errorf("write Envoy's bootstrap: %w", err)
	}
	s := &Supervisor{
		cfg:   cfg,
		log:   cfg.Logger.With("component", "envoy"),
		admin: NewAdmin(cfg.Admin),
		stop:  make(chan struct{}),
		done:  make(chan struct{}),
	}
	child, pipe, err := s.launch()
	if err != nil {
		return nil, err
	}
	go s.run(child, pipe)
	return s, nil
}

// run waits for the process to end and starts the next one, until told to stop.
func (s *Supervisor) run(child *childproc.Child, pipe *logPipe) {
	defer close(s.done)
	var pauses backoff
	started := time.Now()
	for {
		<-child.Done()
		if s.stopping() {
			return
		}
		failure := exitError(child.Err(), time.Since(started), pipe.last())
		s.setFailure(failure)
		for child = nil; child == nil; {
			if s.stopping() {
				return
			}
			pause := pauses.next(time.Since(started), rand.Float64())
			s.log.Error("Envoy ended by itself and will be started again", "error", failure, "pause", pause)
			select {
			case <-s.stop:
				return
			case <-time.After(pause):
			}
			started = time.Now()
			if child, pipe, failure = s.launch(); failure != nil {
				s.setFailure(failure)
			}
		}
		s.mu.Lock()
		s.restarts++
		s.mu.Unlock()
	}
}

// WaitReady waits until Envoy serves: its first configuration has come and all of it is in use. It fails
// when ctx ends, and at once when Envoy ends before it was ever ready: what it says then is mostly about
// its configuration, which starting again does not mend.
func (s *Supervisor) WaitReady(ctx context.Context) error {
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for {
		err := s.admin.Ready(ctx)
		s.mu.Lock()
		s.wasReady = s.wasReady || err == nil
		wasReady, failure := s.wasReady, s.failure
		s.mu.Unlock()
		if err == nil {
			return nil
		}
		if !wasReady && failure != nil {
			return failure
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("envoy is not ready: %w (%w)", err, ctx.Err())
		case <-s.done:
			return errors.New("envoy was stopped before it was ready")
		case <-tick.C:
		}
	}
}

// Admin is the client of the running Envoy; it stays valid across restarts.
func (s *Supervisor) Admin() *Admin { return s.admin }

// PID is the process id of the current Envoy, or of the last one while none runs.
func (s *Supervisor) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.child.PID
}

// Restarts is how often Envoy was started again after it had ended by itself.
func (s *Supervisor) Restarts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.restarts
}

// Done is closed when Envoy was stopped and is gone.
func (s *Supervisor) Done() <-chan struct{} { return s.done }

func (s *Supervisor) stopping() bool {
	select {
	case <-s.stop:
		return true
	default:
		return false
	}
}

func (s *Supervisor) setFailure(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = err
}

// exitError explains the end of a process.
func exitError(err error, ran time.Duration, words string) error {
	how := "status 0"
	if err != nil {
		how = err.Error()
	}
	if words == "" {
		words = "it said nothing"
	}
	return fmt.Errorf("envoy ended after %s (%s): %s", ran.Round(time.Millisecond), how, words)
}

// environment is what Envoy inherits: not the whole of it, which holds providers' keys.
func environment() []string {
	var env []string
	for _, name := range []string{"PATH", "TZ", "LANG", "TMPDIR", "LD_LIBRARY_PATH"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}
