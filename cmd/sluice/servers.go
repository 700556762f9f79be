package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/sluicegw/sluice"
	"github.com/sluicegw/sluice/adapters/fanout"
	"github.com/sluicegw/sluice/cmd/sluice/demo"
	"github.com/sluicegw/sluice/envoy"
	"github.com/sluicegw/sluice/extproc"
	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/policy/admin"
)

// servers are what Envoy dials: each on a Unix socket of its own, mode 0600.
type servers struct {
	control, process *grpc.Server
	api              *admin.Server
	demo, fanout     *http.Server
	remote           *grpc.Server // control and process for Envoys on other machines; nil: there are none
}

func (r *instance) socket(name string) string { return filepath.Join(r.dir, name+".sock") }

// listen starts all of them.
func (r *instance) listen() (*servers, error) {
	g := r.gateway
	s := &servers{
		control: grpc.NewServer(grpc.MaxRecvMsgSize(64 << 20)),
		process: grpc.NewServer(extproc.GRPCOptions(g.proc.MaxBody)...),
		api:     r.api(),
		demo:    &http.Server{Handler: &demo.Handler{Pace: 30 * time.Millisecond}, ReadHeaderTimeout: 10 * time.Second},
		fanout:  &http.Server{Handler: fanout.New(), ReadHeaderTimeout: 10 * time.Second},
	}
	g.xds.Register(s.control)
	g.proc.RegisterAttemptLog(s.control)
	g.proc.Register(s.process)
	for name, serve := range map[string]func(net.Listener) error{
		"control": s.control.Serve, "ext_proc": s.process.Serve, "api": s.api.Serve, "demo": s.demo.Serve,
		"fanout": s.fanout.Serve,
	} {
		l, err := envoy.Listen(r.socket(name))
		if err != nil {
			s.stop()
			return nil, err
		}
		go func() {
			r.served(name, serve(l))
		}()
	}
	if r.options.control.address != "" {
		if err := r.listenRemote(s); err != nil {
			s.stop()
			return nil, err
		}
	}
	return s, nil
}

// listenRemote lets Envoys on other machines dial everything by one port: gRPC and the HTTP API are told
// apart by what the TLS handshake agreed on.
func (r *instance) listenRemote(s *servers) error {
	g := r.gateway
	options := append(extproc.GRPCOptions(g.proc.MaxBody),
		// Envoys ping to find out about a machine that has vanished; gRPC's default takes that for an attack.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}))
	s.remote = grpc.NewServer(options...)
	g.xds.Register(s.remote)
	g.proc.RegisterAttemptLog(s.remote)
	g.proc.Register(s.remote)
	l, err := listenControl(r.options.control, r.log)
	if err != nil {
		return err
	}
	go func() { r.served("control-address", s.remote.Serve(l.grpc)) }()
	go func() { r.served("control-address", s.api.Serve(l.http)) }()
	return nil
}

// served says why a server ended, if nobody has ended it.
func (r *instance) served(name string, err error) {
	if err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, grpc.ErrServerStopped) && !errors.Is(err, net.ErrClosed) {
		r.log.Error("a server ended", "server", name, "error", err)
	}
}

func (s *servers) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = s.api.Shutdown(ctx) // the process ends either way
	_ = s.demo.Close()
	_ = s.fanout.Close()
	if s.remote != nil {
		s.remote.Stop()
	}
	s.process.Stop()
	s.control.Stop()
}

// api is the HTTP API behind Envoy.
func (r *instance) api() *admin.Server {
	g := r.gateway
	return admin.New(admin.Options{
		Snapshot: g.shown.Load,
		State:    func() (admin.State, string) { return admin.State(r.state.Load()), r.waiting.Load().(string) },
		Seen: func(id string) (admin.Seen, bool) {
			if g.current.Load() == nil {
				return admin.Seen{}, false
			}
			state := g.health.State(id)
			seen := admin.Seen{Healthy: !state.Cooling && (state.LastOK || state.Last.IsZero()), At: state.Last}
			if state.Cooling || state.HalfOpen {
				seen.Out, seen.Until = state.Why, state.Until
			}
			return seen, true
		},
		Standings: g.standings,
		Explain: func(model string) ([]byte, error) {
			var text bytes.Buffer
			err := explain(&text, g.current.Load(), &moment{g.health, func(d *extproc.Deployment) error { return g.proc.Full(d, 0) }}, model, time.Now())
			if errors.Is(err, errNobodyServes) {
				return nil, apierror.New(apierror.NotFound, http.StatusNotFound, "%s", strings.TrimSpace(text.String()))
			}
			return text.Bytes(), err
		},
		Database: r.databaseState,
		Storage:  r.storage(),
		Prober:   &prober{gateway: g, client: probeClient()},
		Metrics:  g.metrics.Handler(),
		Tokens:   tokenCounter{},
		Spending: r.spending(),
		Version:  sluice.Version,
		Log:      r.log,
	})
}
