package provider

import (
	"compress/gzip"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req, err := readRequest(w, r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	stayed := true
	if s.keep > 0 {
		s.record.add(req, s.keep)
		defer func() { s.record.finish(req, !stayed || r.Context().Err() != nil) }()
	}
	reply := s.choose(req)
	if !s.wait(r, time.Duration(reply.Delay)) {
		return
	}
	switch {
	case reply.Raw != "":
		raw(w, reply)
	case reply.NoHeaders:
		s.end(w, r, reply.End)
	default:
		stayed = s.write(w, r, reply)
	}
}

// write sends the headers, the chunks in their time, and the end. It tells false when the client did not
// take them.
func (s *Server) write(w http.ResponseWriter, r *http.Request, reply Reply) bool {
	header := w.Header()
	if reply.Gzip {
		header.Set("Content-Encoding", "gzip")
	}
	whole := len(reply.Chunks) <= 1 && reply.End == Complete && !reply.Gzip
	if whole && len(reply.Chunks) == 1 {
		header.Set("Content-Length", strconv.Itoa(len(reply.Chunks[0].Data)))
	}
	for name, value := range reply.Header {
		header.Set(name, value)
	}
	if reply.Status != 0 {
		w.WriteHeader(reply.Status)
	}
	if whole && (len(reply.Chunks) == 0 || reply.Chunks[0].After == 0) {
		for _, c := range reply.Chunks {
			_, _ = io.WriteString(w, c.Data)
		}
		return true
	}
	out, flush := io.Writer(w), func() {}
	if f, ok := w.(http.Flusher); ok {
		flush = f.Flush
	}
	if reply.Gzip {
		zip := gzip.NewWriter(w)
		defer func() {
			if reply.End == Complete {
				_ = zip.Close()
			}
		}()
		plain := flush
		out, flush = zip, func() { _ = zip.Flush(); plain() }
	}
	if len(reply.Chunks) == 0 || reply.Chunks[0].After > 0 {
		// The headers go out before the wait.
		flush()
	}
	for _, c := range reply.Chunks {
		if !s.wait(r, time.Duration(c.After)) {
			return true // wait knows who left
		}
		if _, err := io.WriteString(out, c.Data); err != nil {
			return false
		}
		flush()
	}
	s.end(w, r, reply.End)
	return true
}

// wait lets d pass; it tells false when the client or the server went away meanwhile.
func (s *Server) wait(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
	case <-s.closed:
	}
	return false
}

func (s *Server) end(w http.ResponseWriter, r *http.Request, end End) {
	switch end {
	case Complete:
		return
	case Hang:
		select {
		case <-r.Context().Done():
		case <-s.closed:
		}
	}
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		// HTTP/2: the server resets the stream.
		panic(http.ErrAbortHandler)
	}
	conn, _, err := hijacker.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	drop(conn, end)
}

// raw writes bytes that need not be HTTP.
func raw(w http.ResponseWriter, reply Reply) {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	conn, _, err := hijacker.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_, _ = io.WriteString(conn, reply.Raw)
	drop(conn, reply.End)
}

// drop closes a connection, with a RST if that is the end asked for.
func drop(conn net.Conn, end End) {
	if end == Reset {
		lower := conn
		if t, ok := conn.(*tls.Conn); ok {
			lower = t.NetConn()
		}
		if tcp, ok := lower.(*net.TCPConn); ok {
			// With nothing to linger for, closing resets. Closing the TLS layer would say goodbye first.
			_ = tcp.SetLinger(0)
		}
		_ = lower.Close()
	}
	_ = conn.Close()
}
