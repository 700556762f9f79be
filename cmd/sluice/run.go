package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sluicegw/sluice"
	"github.com/sluicegw/sluice/cmd/sluice/config"
	"github.com/sluicegw/sluice/extproc"
	"github.com/sluicegw/sluice/policy/admin"
	"github.com/sluicegw/sluice/policy/budget"
	"github.com/sluicegw/sluice/policy/keys"
	"github.com/sluicegw/sluice/policy/ledger"
	"github.com/sluicegw/sluice/policy/ledger/journal"
	"github.com/sluicegw/sluice/policy/observe"
	"github.com/sluicegw/sluice/policy/route"
	"github.com/sluicegw/sluice/policy/spend"
	"github.com/sluicegw/sluice/policy/store"
	"github.com/sluicegw/sluice/xds"
)

// instance is one running sluice.
type instance struct {
	options options
	log     *slog.Logger
	dir     string // sockets and Envoy's bootstrap; private
	around  surroundings
	gateway *gateway
	servers *servers

	redis  redis.UniversalClient // nil: this gateway counts alone
	shared *budget.Shared        // nil: budgets are this gateway's own
	db     *store.DB
	// databasePath is of the SQLite file, where there is no databaseURL.
	databasePath string
	databaseURL  string // of the start; a reload does not move the data
	directory    *keys.Directory
	follower     *store.Follower
	// The configuration of the files that is in use; models that were made at run time come on top of it.
	base          atomic.Pointer[config.Config]
	modelsChanged chan struct{}
	composed      atomic.Int64 // the directory's changes that are in effect

	journal   *journal.Journal
	ledger    *ledger.Ledger
	book      *spend.Book
	alerts    *observe.Alerts
	stopBook  context.CancelFunc
	totals    totals
	retention atomic.Int64 // how long rows of spend are kept, in nanoseconds; 0: for ever

	state   atomic.Int32 // an admin.State
	waiting atomic.Value // what a start waits for, a string

	watching  sync.Mutex      // guards the next two
	read      []string        // the files that were read last, good or bad
	attempted string          // their sum then
	said      map[string]bool // the warnings of the configuration that was read last
}

const (
	startTimeout = 5 * time.Minute // ten thousand deployments on a busy machine; what Envoy rejects is known at once
	sweepEvery   = time.Second
	// noticeTimeout is how long load balancers may take to notice that this instance is leaving, if the time
	// to drain is at least twice that.
	noticeTimeout = 15 * time.Second
)

// run starts everything in order, serves until ctx ends, drains and stops.
func run(ctx context.Context, o options, log *slog.Logger, stdout, stderr io.Writer) error {
	r := &instance{options: o, log: log}
	r.waiting.Store("the configuration")
	c, err := r.loadConfig()
	if err != nil {
		return fmt.Errorf("the configuration cannot be used:\n%w", err)
	}
	r.log = configuredLogger(r.options, c, stderr)
	slog.SetDefault(r.log) // for libraries that have no logger of ours
	if err := r.surround(c); err != nil {
		return err
	}
	if r.dir, err = runtimeDir(o); err != nil {
		return err
	}
	if o.runtimeDir == "" {
		defer os.RemoveAll(r.dir)
	}
	r.around.demoSocket = r.socket("demo")
	if o.control.address == "" { // an Envoy elsewhere finds no socket here
		r.around.fanout = r.socket("fanout")
	}
	if err := r.openStore(ctx, c); err != nil {
		return err
	}
	defer func() { _ = r.db.Close() }()
	if !r.db.Postgres() {
		held := holdFolder(filepath.Dir(r.databasePath), r.log)
		defer func() { _ = held.Close() }() // of nil, too
	}
	r.around.directory = r.directory
	if err := r.openRedis(c); err != nil {
		return err
	}
	if r.redis != nil {
		defer func() { _ = r.redis.Close() }()
	}
	if err := r.openBook(ctx, c); err != nil {
		return err
	}
	defer r.closeBook()
	if err := r.build(ctx, c); err != nil {
		return err
	}
	defer r.servers.stop()
	r.base.Store(c)
	changes := r.directory.Changes()
	a, err := r.compose(c)
	if err != nil {
		return err
	}
	r.warn(c, a)
	if err := r.gateway.apply(ctx, a); err != nil {
		return fmt.Errorf("the configuration could not be published: %w", err)
	}
	r.composed.Store(changes)
	if o.external {
		err = r.offer(ctx, stdout)
	} else {
		err = r.startEnvoy(ctx)
	}
	if err != nil && ctx.Err() != nil {
		log.Info("stopped before it was ready")
		return nil
	}
	if err != nil {
		return err
	}
	r.state.Store(int32(admin.Ready))
	r.banner(stderr, a)
	r.serve(ctx)
	return r.drain()
}

// loadConfig reads the configuration with what the command line overrides in it.
func (r *instance) loadConfig() (*config.Config, error) {
	o := r.options
	var c *config.Config
	var err error
	for range 3 {
		began := time.Now()
		c, err = loadFile(o.config, os.LookupEnv)
		if r.wasRead(c, began) {
			break
		}
		time.Sleep(2 * clockTick) // somebody is writing at this moment
	}
	if err != nil && c != nil { // what else is odd about it may explain the fault
		r.warn(c, nil)
	}
	if err != nil {
		return nil, err
	}
	if faults := guardrailFaults(c); len(faults) > 0 {
		faults = append(faults, providerFaults(c, nil)...)
		faults.Sort(c.Files)
		return nil, faults
	}
	if o.dropParams {
		for i := range c.Deployments {
			c.Deployments[i].DropParams = true
		}
	}
	if o.requestTimeout > 0 {
		c.Router.Timeout = o.requestTimeout
	}
	return c, nil
}

// warn says what is odd about a configuration, and what was said of the one before not again. That there
// is no master key is surround's to say, with what follows from it.
func (r *instance) warn(c *config.Config, a *assembly) {
	now := map[string]bool{}
	for _, w := range c.Warnings {
		if w.Field != "general_settings.master_key" || c.General.MasterKey.Reveal() != "" {
			now[w.Error()] = true
			r.warnOnce(w.Error())
		}
	}
	if a != nil {
		for _, text := range a.warnings {
			now[text] = true
			r.warnOnce(text)
		}
		r.said = now
	}
}

func (r *instance) warnOnce(text string) {
	if !r.said[text] {
		r.log.Warn(text)
	}
}

// refuseGuardrails fails closed: a guardrail that is configured and does not run is worse than a gateway
// that does not start.
func refuseGuardrails(c *config.Config) error {
	if faults := guardrailFaults(c); len(faults) > 0 {
		return faults
	}
	return nil
}

func guardrailFaults(c *config.Config) (faults config.Faults) {
	for _, g := range c.Guardrails {
		faults = append(faults, config.Fault{File: g.File, Line: g.Line, Field: "guardrails",
			Message: fmt.Sprintf("guardrail %q cannot be loaded: sluice has no guardrails yet; take it out to start without it", g.Name)})
	}
	return faults
}

// build makes the parts and has them listen.
func (r *instance) build(ctx context.Context, c *config.Config) error {
	metrics := observe.New(sluice.Version)
	metrics.Watch("sluice_database_up", "1 while the database answers.", func() float64 {
		if r.db.Down() != nil {
			return 0
		}
		return 1
	})
	g := &gateway{log: r.log, metrics: metrics, xds: xds.NewServer(ctx, r.log)}
	r.watchBook(metrics)
	g.health = route.NewHealth(nil, r.healthEvent(metrics))
	body := r.around.maxBody
	g.proc = extproc.NewServer(extproc.Options{
		Log: r.log, Health: g.health, Metrics: metrics, MaxBody: body, MaxHeld: heldBytes(body), Warm: g.warm,
		Limiter: r.limiter(ctx, c, metrics),
		Book:    r.book, Spent: func(row *ledger.Row) { metrics.Spend(spendRecord(row)) }, Customer: r.directory.CustomerOr})
	if r.options.certFile != "" {
		cert, err := readCertificate(r.options.certFile, r.options.keyFile)
		if err != nil {
			return err
		}
		g.cert = cert
	}
	r.gateway = g
	var err error
	r.servers, err = r.listen()
	return err
}

// healthEvent tells of deployments that go out of service, are tried again, and come back.
func (r *instance) healthEvent(m *observe.Metrics) func(route.Event) {
	return func(e route.Event) {
		target := r.gateway.target(e.DeploymentID)
		switch e.Kind {
		case route.Out:
			m.CooledDown(e.DeploymentID, e.Status)
			r.log.Warn("a deployment is out of service", "deployment", e.DeploymentID, "model", e.Group,
				"target", target, "why", e.Why, "until", e.Until.Format(time.RFC3339), "streak", e.Streak)
		case route.Trial:
			r.log.Info("a deployment is tried again", "deployment", e.DeploymentID, "model", e.Group, "target", target)
		case route.Back:
			m.DeploymentState(e.DeploymentID, observe.Healthy)
			r.log.Info("a deployment is back in service", "deployment", e.DeploymentID, "model", e.Group, "target", target)
		}
	}
}

// serve reacts to signals and changed files until ctx ends.
func (r *instance) serve(ctx context.Context) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	changes := r.watch(ctx)
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-second.C:
			r.gateway.followStrategies(ctx)
		case <-hup:
			r.reload(ctx, "SIGHUP")
		case sum := <-changes:
			if sum != r.lastRead() { // a signal may have been faster
				r.reload(ctx, "a file changed")
			}
		case <-r.modelsChanged:
			if r.composed.Load() < r.directory.Changes() {
				r.applyModels(ctx)
			}
		case <-tick.C:
			r.gateway.sweep(ctx)
		}
	}
}

// drain turns load balancers away, lets calls finish up to the limit, and stops Envoy. Another signal ends
// the waiting.
func (r *instance) drain() error {
	r.state.Store(int32(admin.Draining))
	r.log.Info("stopping: calls under way may finish", "calls", r.gateway.proc.Active(), "limit", r.options.drainTimeout)
	ctx, cancel := context.WithTimeout(context.Background(), r.options.drainTimeout)
	defer cancel()
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	supervisor := r.gateway.envoy.Load()
	if supervisor != nil {
		if err := supervisor.Admin().StartDrain(ctx); err != nil {
			r.log.Warn("Envoy could not be told to drain", "error", err)
		}
		// Under a steady load there is always a call under way, and those that came last would be cut.
		closing := time.AfterFunc(min(r.options.drainTimeout/2, noticeTimeout), func() {
			if err := supervisor.Admin().CloseListeners(ctx); err != nil && ctx.Err() == nil {
				r.log.Warn("Envoy goes on accepting connections", "error", err)
			}
		})
		defer closing.Stop()
	}
	if left := r.awaitCalls(ctx); left > 0 {
		r.log.Warn("calls were still under way at the end of the time to drain, and are cut", "calls", left)
	}
	if supervisor != nil {
		if err := supervisor.Stop(ctx); err != nil {
			r.log.Warn("Envoy was stopped before everything had finished", "error", err)
		}
	}
	r.log.Info("stopped")
	return nil
}

// awaitCalls returns when no call is under way, or at the limit with the number of those that are. At first
// new ones are still taken: whoever sends them has not yet seen that this instance is leaving.
func (r *instance) awaitCalls(ctx context.Context) (left int64) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for r.gateway.proc.Active() > 0 {
		select {
		case <-ctx.Done():
			return r.gateway.proc.Active()
		case <-tick.C:
		}
	}
	return 0
}
