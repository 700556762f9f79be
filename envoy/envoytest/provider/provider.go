// Package provider is an upstream that does what a script says: it plays an LLM provider, good or bad,
// for tests and benchmarks.
//
// A [Server] answers by path, model and API key with [Reply] values that can be slow, cut, reset, hung,
// compressed or garbage, and records every request. Without a script it answers chat completions,
// messages and embeddings in OpenAI's and Anthropic's formats. It checks nothing that it is sent: what a
// request should look like is the test's to say.
package provider

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Options change what a server is from the start.
type Options struct {
	// TLS serves HTTP/2 and HTTP/1.1 over TLS with a certificate of its own (see [Server.CA]).
	TLS bool
	// Keep is how many requests are recorded, the latest of them; 0: 1000, negative: none, which makes a
	// request cheaper.
	Keep int
	// Defaults answer what no rule matches; nil: [NewDefaults].
	Defaults *Defaults
}

// Server is a running provider. It is safe for concurrent use.
type Server struct {
	// URL is http://127.0.0.1:port or https://…, Addr host:port alone.
	URL, Addr string
	// CA is the PEM certificate to trust when TLS is on.
	CA []byte

	http     *http.Server
	defaults *Defaults
	keep     int
	closed   chan struct{}
	closing  sync.Once
	conns    atomic.Int64

	mu    sync.Mutex
	rules []*rule

	record recorder
}

// New starts a server on a free port of 127.0.0.1 that ends with the test.
func New(t testing.TB, opts ...Options) *Server {
	t.Helper()
	var o Options
	if len(opts) > 0 {
		o = opts[0]
	}
	s, err := Listen("127.0.0.1:0", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Listen starts a server on host:port.
func Listen(address string, o Options) (*Server, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	s := &Server{
		Addr:     l.Addr().String(),
		defaults: o.Defaults,
		keep:     o.Keep,
		closed:   make(chan struct{}),
	}
	if s.keep == 0 {
		s.keep = 1000
	}
	if s.defaults == nil {
		s.defaults = NewDefaults()
	}
	s.record.changed = make(chan struct{})
	s.URL = "http://" + s.Addr
	s.http = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: time.Minute,
		// Aborted handshakes and handlers are what tests are for.
		ErrorLog: log.New(io.Discard, "", 0),
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, int(s.conns.Add(1)))
		},
	}
	if o.TLS {
		cert, ca, err := certificate()
		if err != nil {
			_ = l.Close()
			return nil, err
		}
		s.CA, s.URL = ca, "https://"+s.Addr
		s.http.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	}
	go s.serve(l, o.TLS)
	return s, nil
}

func (s *Server) serve(l net.Listener, withTLS bool) {
	var err error
	if withTLS {
		err = s.http.ServeTLS(l, "", "")
	} else {
		err = s.http.Serve(l)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		s.Close()
	}
}

// Close ends the server and every connection, hanging replies included.
func (s *Server) Close() {
	s.closing.Do(func() { close(s.closed) })
	_ = s.http.Close()
}

// Done is closed when the server has ended.
func (s *Server) Done() <-chan struct{} { return s.closed }

// connKey is the context key of a connection's number.
type connKey struct{}
