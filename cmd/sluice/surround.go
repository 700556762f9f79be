package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/sluicegw/sluice/cmd/sluice/config"
	"github.com/sluicegw/sluice/envoy"
	"github.com/sluicegw/sluice/xds"
)

// surround decides where clients come in, and what the configuration cannot say.
func (r *instance) surround(c *config.Config) error {
	o := r.options
	address, err := listenAddress(o.host)
	if err != nil {
		return err
	}
	if c.General.MasterKey.Reveal() == "" {
		r.log.Warn("there is no master key, so whoever reaches the endpoint may use every model: it listens on loopback only; set general_settings.master_key or LITELLM_MASTER_KEY to open it to others")
		if !address.IsLoopback() {
			address = net.IPv4(127, 0, 0, 1)
		}
	}
	if !o.external { // an Envoy that others run may have the port already, from the sluice before this one
		if err := portIsFree(address, o.port); err != nil {
			return err
		}
	}
	roots, err := systemRoots(os.Getenv)
	if err != nil {
		return err
	}
	r.around = surroundings{
		listener:  xds.Listener{Address: address.String(), Port: uint32(o.port), TLS: o.certFile != "", HTTP1: o.http1},
		maxBody:   bodyLimit(c, o.maxBody),
		trustedCA: roots,
		external:  o.external,
	}
	return nil
}

func listenAddress(host string) (net.IP, error) {
	if ip := net.ParseIP(host); ip != nil {
		return ip, nil
	}
	ips, err := net.LookupIP(host)
	if err != nil || len(ips) == 0 {
		return nil, fmt.Errorf("--host %s: the name has no address on this machine: %w", host, err)
	}
	for _, ip := range ips {
		if ip.To4() != nil {
			return ip, nil
		}
	}
	return ips[0], nil
}

// portIsFree finds out before Envoy would share the port with whoever has it: Envoy listens with
// SO_REUSEPORT.
func portIsFree(address net.IP, port int) error {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: address, Port: port})
	switch {
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("--host %s is no address of this machine: %w", address, err)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("port %d needs more rights than this process has: %w; choose one above 1023 with --port", port, err)
	case err != nil:
		return fmt.Errorf("port %d cannot be used: %w; stop what listens there, or choose another with --port", port, err)
	}
	return l.Close()
}

func runtimeDir(o options) (string, error) {
	if o.runtimeDir == "" {
		return envoy.NewDir("")
	}
	if err := os.MkdirAll(o.runtimeDir, 0o700); err != nil {
		return "", fmt.Errorf("--runtime-dir: %w", err)
	}
	dir, err := filepath.Abs(o.runtimeDir)
	if err != nil {
		return "", fmt.Errorf("--runtime-dir: %w", err)
	}
	return dir, nil
}
