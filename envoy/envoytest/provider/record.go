package provider

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tidwall/gjson"
)

// maxBody is the most that is read of a request's body.
const maxBody = 256 << 20

// Request is a request that came in.
type Request struct {
	Method string
	// Path is the URL's path and Query what follows the question mark.
	Path, Query string
	// Proto is HTTP/1.1 or HTTP/2.0.
	Proto  string
	Host   string
	Header http.Header
	Length int64 // as content-length told; -1: the body came in chunks
	Body   []byte
	// Model and Stream are the body's, Key is the API key, wherever it was sent.
	Model  string
	Stream bool
	Key    string
	// Conn numbers the connections from 1: requests with one number came over one connection.
	Conn int
	// At is when the request was read, Done when it was answered or given up; zero: still under way.
	At, Done time.Time
	// Cancelled is when the client was seen to have left before the answer was complete; zero: it stayed.
	Cancelled time.Time
}

func readRequest(w http.ResponseWriter, r *http.Request) (*Request, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, err
	}
	conn, _ := r.Context().Value(connKey{}).(int)
	req := &Request{
		Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Proto: r.Proto, Host: r.Host,
		Header: r.Header, Length: r.ContentLength, Body: body, Key: apiKey(r), Conn: conn, At: time.Now(),
	}
	if len(body) > 0 {
		fields := gjson.GetManyBytes(body, "model", "stream")
		req.Model, req.Stream = fields[0].String(), fields[1].Bool()
	}
	return req, nil
}

func apiKey(r *http.Request) string {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return token
	}
	for _, name := range []string{"X-Api-Key", "Api-Key", "X-Goog-Api-Key"} {
		if key := r.Header.Get(name); key != "" {
			return key
		}
	}
	if r.URL.RawQuery == "" {
		return ""
	}
	return r.URL.Query().Get("key")
}

// recorder keeps the latest requests.
type recorder struct {
	mu       sync.Mutex
	requests []*Request
	total    int
	// changed is closed and replaced at each change.
	changed chan struct{}
}

func (c *recorder) add(r *Request, keep int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total++
	if len(c.requests) >= keep {
		c.requests = append(c.requests[:0], c.requests[len(c.requests)-keep+1:]...)
	}
	c.requests = append(c.requests, r)
	c.announce()
}

func (c *recorder) finish(r *Request, cancelled bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r.Done = time.Now()
	if cancelled {
		r.Cancelled = r.Done
	}
	c.announce()
}

func (c *recorder) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests, c.total = nil, 0
	c.announce()
}

func (c *recorder) announce() {
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *recorder) snapshot() ([]Request, int, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]Request, len(c.requests))
	for i, r := range c.requests {
		all[i] = *r
	}
	return all, c.total, c.changed
}

// Requests are the recorded requests, oldest first, as they are now.
func (s *Server) Requests() []Request {
	all, _, _ := s.record.snapshot()
	return all
}

// Count is how many requests have come in since the start or the last Reset.
func (s *Server) Count() int {
	_, total, _ := s.record.snapshot()
	return total
}

// Wait waits until enough says yes to the recorded requests, and returns them.
func (s *Server) Wait(ctx context.Context, enough func([]Request) bool) ([]Request, error) {
	for {
		all, _, changed := s.record.snapshot()
		if enough(all) {
			return all, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return all, fmt.Errorf("the provider saw %d requests, not what was waited for: %w", len(all), ctx.Err())
		case <-s.closed:
			return all, fmt.Errorf("the provider was closed after %d requests", len(all))
		}
	}
}

// Arrived is for Wait: n requests have come in.
func Arrived(n int) func([]Request) bool {
	return func(all []Request) bool { return len(all) >= n }
}

// Cancelled is for Wait: n requests were given up by their clients.
func Cancelled(n int) func([]Request) bool {
	return func(all []Request) bool {
		count := 0
		for _, r := range all {
			if !r.Cancelled.IsZero() {
				count++
			}
		}
		return count >= n
	}
}
