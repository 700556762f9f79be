// Package fanout makes several calls of one.
//
// Envoy's attempt is one request; a provider that embeds one text a call wants many. The adapters write them all into
// one request to this package's server, which runs in the same process, behind a Unix socket. It makes the calls and
// answers with what they answered: one attempt for Envoy, with one timeout, one status and one usage. Which calls
// these are, how they are signed and what the answers mean is left to the adapters.
package fanout

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"
)

// Call is one request to make.
type Call struct {
	URL     string      `json:"url"`
	Headers [][2]string `json:"headers"`
	Body    string      `json:"body"`
}

const (
	// Path is where a server takes [Body].
	Path = "/calls"
	// TokenHeader names the header that holds [Token].
	TokenHeader = "x-sluice-fanout"
	// MaxCalls is how many calls one request may hold: OpenAI's limit on the inputs of an embedding.
	MaxCalls = 2048

	atOnce    = 8        // calls that run side by side
	maxAnswer = 4 << 20  // bytes of one answer
	maxAll    = 64 << 20 // bytes of all answers
	maxBody   = 256 << 20
)

// Token proves that a request was written in this process: others get nothing done, whoever can reach the socket.
var Token = sync.OnceValue(rand.Text)

type request struct {
	Calls []Call `json:"calls"`
}

// Body is the request for calls.
func Body(calls []Call) ([]byte, error) { return json.Marshal(request{calls}) }

// Server makes calls. The answer is {"answers": […]} with the bodies in the order of the calls, if all of them
// succeeded; otherwise it is that of the first one that did not, status and all.
type Server struct{ client *http.Client }

// New makes a Server.
func New() *Server {
	return &Server{&http.Client{
		Transport: &http.Transport{
			Proxy: nil, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 4 * atOnce, IdleConnTimeout: 90 * time.Second,
			TLSHandshakeTimeout: 10 * time.Second, DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if subtle.ConstantTimeCompare([]byte(r.Header.Get(TokenHeader)), []byte(Token())) != 1 {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	var in request
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&in); err != nil || len(in.Calls) == 0 || len(in.Calls) > MaxCalls {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	answers, failed := s.all(r.Context(), in.Calls)
	switch {
	case failed != nil:
		failed.write(w)
	case r.Context().Err() == nil:
		w.Header().Set("content-type", "application/json")
		_, _ = w.Write(join(answers))
	}
}

func join(answers [][]byte) []byte {
	out := []byte(`{"answers":[`)
	for i, a := range answers {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, a...)
	}
	return append(out, "]}"...)
}

// all makes the calls. The first goes alone: what would fail all of them is found out by one.
func (s *Server) all(ctx context.Context, calls []Call) ([][]byte, *failure) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make([][]byte, len(calls))
	var failed *failure
	if answers[0], failed = s.one(ctx, &calls[0]); failed != nil {
		return nil, failed
	}
	var mu sync.Mutex
	left, next := maxAll-len(answers[0]), 1
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		i := next
		next++
		return i, i < len(calls) && failed == nil
	}
	done := func(i int, answer []byte, f *failure) {
		mu.Lock()
		defer mu.Unlock()
		if left -= len(answer); left < 0 && f == nil {
			f = unreachable("the answers are too large together")
		}
		if answers[i] = answer; f != nil && failed == nil {
			failed = f
			cancel()
		}
	}
	var wait sync.WaitGroup
	for range min(atOnce, len(calls)-1) {
		wait.Go(func() {
			for i, ok := take(); ok; i, ok = take() {
				answer, f := s.one(ctx, &calls[i])
				done(i, answer, f)
			}
		})
	}
	wait.Wait()
	return answers, failed
}

// one makes a call. A successful answer is valid JSON.
func (s *Server) one(ctx context.Context, c *Call) ([]byte, *failure) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader([]byte(c.Body)))
	if err != nil {
		return nil, unreachable("its address is not valid")
	}
	for _, h := range c.Headers {
		req.Header.Set(h[0], h[1])
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, unreachable("it cannot be reached")
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, unreachable("its answer broke off")
	case len(body) > maxAnswer:
		return nil, unreachable("its answer is too large")
	case resp.StatusCode < 200 || resp.StatusCode > 599: // no status that a server may write
		return nil, unreachable("its status is none")
	case resp.StatusCode != http.StatusOK:
		return nil, &failure{status: resp.StatusCode, header: resp.Header, body: body}
	case !json.Valid(body):
		return nil, unreachable("its answer is not JSON")
	}
	return body, nil
}

// failure is an answer that was no success.
type failure struct {
	status int
	header http.Header
	body   []byte
}

func unreachable(why string) *failure {
	body, _ := json.Marshal(map[string]string{"message": "one of several calls to the provider failed: " + why})
	return &failure{status: http.StatusBadGateway, header: http.Header{"Content-Type": {"application/json"}}, body: body}
}

func (f *failure) write(w http.ResponseWriter) {
	for _, name := range [...]string{"Content-Type", "Retry-After", "X-Amzn-Errortype", "X-Amzn-Requestid"} {
		if v := f.header.Get(name); v != "" {
			w.Header().Set(name, v)
		}
	}
	w.WriteHeader(f.status)
	_, _ = w.Write(f.body)
}
