package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/sluicegw/sluice/envoy"
	"github.com/sluicegw/sluice/envoy/names"
)

// bootstrap is what Envoy needs to find sluice; everything else comes over xDS.
func (r *instance) bootstrap(node string) ([]byte, error) {
	if r.options.control.address != "" {
		return r.remoteBootstrap(node)
	}
	at := func(cluster, socket string) envoy.Upstream {
		return envoy.Upstream{Cluster: cluster, Addresses: []string{r.socket(socket)}}
	}
	return envoy.Bootstrap(envoy.Params{
		NodeID:      node,
		NodeCluster: "sluice",
		Admin:       r.socket("admin-" + node),
		XDS:         at(names.ClusterXDS, "control"),
		ExtProc:     at(names.ClusterExtProc, "ext_proc"),
		ALS:         at(names.ClusterALS, "control"),
		API:         at(names.ClusterAPI, "api"),
	})
}

// remoteBootstrap is for an Envoy on another machine: all four ways lead to the one control address.
func (r *instance) remoteBootstrap(node string) ([]byte, error) {
	address, name, err := r.options.control.advertised()
	if err != nil {
		return nil, err
	}
	to := func(cluster string) envoy.Upstream {
		return envoy.Upstream{Cluster: cluster, Addresses: []string{address}}
	}
	dir := r.options.control.envoyFolder()
	return envoy.Bootstrap(envoy.Params{
		NodeID:      node,
		NodeCluster: "sluice",
		Admin:       "/tmp/sluice-envoy-admin.sock",
		XDS:         to(names.ClusterXDS),
		ExtProc:     to(names.ClusterExtProc),
		ALS:         to(names.ClusterALS),
		API:         to(names.ClusterAPI),
		TLS: &envoy.TLS{Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key"),
			CA: filepath.Join(dir, "ca.crt"), ServerName: name},
	})
}

// startEnvoy starts Envoy and returns when it has all of the first configuration in use.
func (r *instance) startEnvoy(ctx context.Context) error {
	r.waiting.Store("Envoy")
	binary, err := envoy.Find(ctx, r.options.envoyPath, nil, nil)
	if err != nil {
		return err
	}
	r.log.Info("starting Envoy", "version", binary.Version.String(), "path", binary.Path, "from", binary.From)
	node := "sluice-" + strconv.Itoa(os.Getpid())
	bootstrap, err := r.bootstrap(node)
	if err != nil {
		return err
	}
	supervisor, err := envoy.Start(envoy.Config{
		Binary: binary.Path, Dir: r.dir, Bootstrap: bootstrap, Admin: r.socket("admin-" + node),
		Concurrency: r.options.concurrency, Logger: r.log,
	})
	if err != nil {
		return err
	}
	r.gateway.envoy.Store(supervisor)
	if err := r.firstSnapshot(ctx, supervisor); err != nil {
		stopping, cancel := context.WithCancel(context.Background())
		cancel()
		_ = supervisor.Stop(stopping) // at once: nothing is under way
		return err
	}
	return nil
}

// firstSnapshot waits until Envoy has taken the configuration and everything in it is warm. A rejection
// would leave Envoy waiting for ever, so the first of the two answers counts.
func (r *instance) firstSnapshot(ctx context.Context, supervisor *envoy.Supervisor) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	ready := make(chan error, 1)
	go func() { ready <- supervisor.WaitReady(ctx) }()
	taken := make(chan error, 1)
	go func() { taken <- r.gateway.xds.Wait(ctx, 1) }()
	for range 2 {
		var err error
		select {
		case err = <-ready:
		case err = <-taken:
		}
		if err != nil {
			return fmt.Errorf("Envoy did not start to serve: %w", err)
		}
	}
	return r.gateway.settle(ctx, 1)
}

// offer prints the bootstrap for an Envoy that others run, and waits for the first one to join.
func (r *instance) offer(ctx context.Context, stdout io.Writer) error {
	bootstrap, err := r.bootstrap("external")
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(stdout, "%s\n", bootstrap); err != nil {
		return err
	}
	where := "sockets in " + r.dir
	if r.options.control.address != "" {
		where = r.options.control.address
	}
	r.log.Info("waiting for an Envoy to join: start one with the bootstrap printed on standard output", "at", where)
	r.waiting.Store("an Envoy to join")
	return r.gateway.xds.Wait(ctx, 1)
}
