package fanout

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// provider answers with what it was sent, and fails where that says so.
func provider(t *testing.T, most *atomic.Int32) *httptest.Server {
	t.Helper()
	var now, calls atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		calls.Add(1)
		for {
			old := most.Load()
			if n <= old || most.CompareAndSwap(old, n) {
				break
			}
		}
		body, _ := io.ReadAll(r.Body)
		switch {
		case string(body) == "fail":
			w.Header().Set("x-amzn-errortype", "ThrottlingException")
			w.Header().Set("retry-after", "4")
			w.WriteHeader(429)
			fmt.Fprint(w, `{"message":"slow down"}`)
		case string(body) == "text":
			fmt.Fprint(w, `not JSON`)
		default:
			fmt.Fprintf(w, `{"body":%q,"header":%q}`, body, r.Header.Get("x-test"))
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func ask(t *testing.T, token, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, Path, strings.NewReader(body))
	r.Header.Set(TokenHeader, token)
	w := httptest.NewRecorder()
	New().ServeHTTP(w, r)
	return w
}

func bodyOf(t *testing.T, url string, bodies ...string) string {
	t.Helper()
	var calls []Call
	for _, b := range bodies {
		calls = append(calls, Call{URL: url, Headers: [][2]string{{"x-test", "h<&>"}}, Body: b})
	}
	out, err := Body(calls)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestCallsInOrder(t *testing.T) {
	var most atomic.Int32
	s := provider(t, &most)
	var bodies []string
	for i := range 100 {
		bodies = append(bodies, fmt.Sprint("<", i, ">"))
	}
	w := ask(t, Token(), bodyOf(t, s.URL, bodies...))
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	at := 0
	for i := range 100 {
		next := strings.Index(w.Body.String(), fmt.Sprintf(`{"body":"<%d>","header":"h<&>"}`, i))
		if next < at {
			t.Fatalf("answer %d is not in its place", i)
		}
		at = next
	}
	if most.Load() > atOnce {
		t.Errorf("%d calls at once", most.Load())
	}
}

func TestWhatFails(t *testing.T) {
	var most atomic.Int32
	s := provider(t, &most)
	for _, bodies := range [][]string{{"fail"}, {"a", "fail", "b"}, {"a", "b", "c", "fail"}} {
		w := ask(t, Token(), bodyOf(t, s.URL, bodies...))
		if w.Code != 429 || w.Header().Get("retry-after") != "4" || w.Header().Get("x-amzn-errortype") != "ThrottlingException" || w.Body.String() != `{"message":"slow down"}` {
			t.Errorf("%v: %d %v %s", bodies, w.Code, w.Header(), w.Body)
		}
	}
	if w := ask(t, Token(), bodyOf(t, s.URL, "a", "text")); w.Code != 502 || !strings.Contains(w.Body.String(), "not JSON") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask(t, Token(), bodyOf(t, "http://127.0.0.1:1", "a")); w.Code != 502 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask(t, "guess", bodyOf(t, s.URL, "a")); w.Code != 403 || w.Body.Len() > 0 {
		t.Errorf("without the token: %d %s", w.Code, w.Body)
	}
	for _, bad := range []string{"", "{}", `{"calls":[]}`, bodyOf(t, s.URL, make([]string, MaxCalls+1)...)} {
		if w := ask(t, Token(), bad); w.Code != 400 {
			t.Errorf("%.40s: %d", bad, w.Code)
		}
	}
}

func TestLeavingCancels(t *testing.T) {
	block := make(chan struct{})
	gone := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		close(block)
		<-r.Context().Done()
		close(gone)
	}))
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	r := httptest.NewRequest(http.MethodPost, Path, strings.NewReader(bodyOf(t, s.URL, "a", "b"))).WithContext(ctx)
	r.Header.Set(TokenHeader, Token())
	done := make(chan struct{})
	go func() {
		New().ServeHTTP(httptest.NewRecorder(), r)
		close(done)
	}()
	<-block
	cancel()
	<-gone
	<-done
}
