package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// control is where Envoys on other machines dial sluice, and by what both sides prove themselves. Who
// dials it is handed providers' credentials, so there is no way in without a certificate.
type control struct {
	address       string // host:port to listen on; empty: nowhere
	cert, key, ca string // PEM files
	envoyDir      string // the folder of Envoy's own files, on Envoy's machine; empty: defaultEnvoyDir
}

const (
	defaultEnvoyDir = "/etc/sluice/envoy-tls"
	// handshakeTimeout bounds who connects and says nothing, mostHandshakes how many may at once.
	handshakeTimeout = 5 * time.Second
	mostHandshakes   = 256
)

func (c control) envoyFolder() string {
	if c.envoyDir == "" {
		return defaultEnvoyDir
	}
	return c.envoyDir
}

// check validates the flags together.
func (c control) check(external bool) error {
	if c == (control{}) {
		return nil
	}
	if c.address == "" || c.cert == "" || c.key == "" || c.ca == "" {
		return usage("Envoys on other machines join over mutual TLS: --control-address, --control-cert, --control-key and --control-ca are needed together")
	}
	if !external {
		return usage("--control-address is for Envoys that others run: it needs --envoy external")
	}
	if _, port, err := net.SplitHostPort(c.address); err != nil || port == "" || port == "0" {
		return usage("--control-address %s: write HOST:PORT, such as 0.0.0.0:18000", c.address)
	}
	if !filepath.IsAbs(c.envoyFolder()) {
		return usage("--envoy-tls-dir %s: give an absolute path on Envoy's machine", c.envoyDir)
	}
	return nil
}

// config is the TLS of one handshake. The files are read for each: a renewed certificate is used at once,
// and connections are few and long.
func (c control) config() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return nil, fmt.Errorf("--control-cert and --control-key: %w", err)
	}
	text, err := os.ReadFile(c.ca)
	if err != nil {
		return nil, fmt.Errorf("--control-ca: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("--control-ca: %s holds no certificate in PEM", c.ca)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{pair},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    roots,
		MinVersion:   tls.VersionTLS13,
		NextProtos:   []string{"h2", "http/1.1"},
		// A resumed session would outlive the authority that it was verified by.
		SessionTicketsDisabled: true,
	}, nil
}

// advertised is what Envoys dial, and the name that they verify: the first DNS name of sluice's
// certificate, which also stands for an address that is no address to dial.
func (c control) advertised() (address, name string, err error) {
	config, err := c.config()
	if err != nil {
		return "", "", err
	}
	leaf := config.Certificates[0].Leaf
	if len(leaf.DNSNames) == 0 {
		return "", "", fmt.Errorf("--control-cert: %s names no DNS name that Envoys could verify", c.cert)
	}
	host, port, err := net.SplitHostPort(c.address)
	if err != nil {
		return "", "", err
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = leaf.DNSNames[0]
	}
	return net.JoinHostPort(host, port), leaf.DNSNames[0], nil
}

// controlListener hands connections whose client has proved itself to the server of their protocol.
type controlListener struct {
	tcp        net.Listener
	log        *slog.Logger
	grpc, http *handed
	shaking    chan struct{}
}

func listenControl(c control, log *slog.Logger) (*controlListener, error) {
	if _, err := c.config(); err != nil { // said at the start, not to the first Envoy
		return nil, err
	}
	tcp, err := net.Listen("tcp", c.address)
	if err != nil {
		return nil, fmt.Errorf("--control-address: %w", err)
	}
	l := &controlListener{
		tcp: tls.NewListener(tcp, &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.config() }}),
		log: log, shaking: make(chan struct{}, mostHandshakes),
	}
	l.grpc, l.http = newHanded(tcp), newHanded(tcp)
	go l.accept()
	return l, nil
}

func (l *controlListener) accept() {
	for {
		conn, err := l.tcp.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of files, say: it passes
			l.log.Warn("a connection to the control address could not be taken", "error", err)
			time.Sleep(100 * time.Millisecond)
			continue
		}
		l.shaking <- struct{}{}
		go func() {
			l.handshake(conn.(*tls.Conn))
			<-l.shaking
		}()
	}
}

func (l *controlListener) handshake(conn *tls.Conn) {
	_ = conn.SetDeadline(time.Now().Add(handshakeTimeout))
	if err := conn.Handshake(); err != nil {
		l.log.Warn("a connection to the control address was refused", "from", conn.RemoteAddr().String(), "error", err)
		_ = conn.Close()
		return
	}
	_ = conn.SetDeadline(time.Time{})
	to := l.http
	if conn.ConnectionState().NegotiatedProtocol == "h2" {
		to = l.grpc
	}
	select {
	case to.conns <- conn:
	case <-to.closed:
		_ = conn.Close()
	}
}

// handed is a listener whose connections another one has taken.
type handed struct {
	tcp    net.Listener
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newHanded(tcp net.Listener) *handed {
	return &handed{tcp: tcp, conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept implements [net.Listener].
func (h *handed) Accept() (net.Conn, error) {
	select {
	case conn := <-h.conns:
		return conn, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener]: the port is closed with the first of the two.
func (h *handed) Close() error {
	h.once.Do(func() { close(h.closed) })
	return h.tcp.Close()
}

// Addr implements [net.Listener].
func (h *handed) Addr() net.Addr { return h.tcp.Addr() }
