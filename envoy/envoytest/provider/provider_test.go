package provider_test

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluicegw/sluice/envoy/envoytest/provider"
)

const chatPath = "/v1/chat/completions"

// ask sends a body and returns the status and what came of the answer.
func ask(t *testing.T, client *http.Client, url, body string, header ...string) (*http.Response, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] != "" {
			req.Header.Set(header[i], header[i+1])
		}
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return res, string(text), err
}

func client(t *testing.T) *http.Client {
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestDefaults(t *testing.T) {
	s := provider.New(t)
	c := client(t)
	for name, tt := range map[string]struct {
		path, body, contentType, want string
		status                        int
	}{
		"chat":           {chatPath, `{"model":"m"}`, "application/json", `"object":"chat.completion"`, 200},
		"chat stream":    {chatPath, `{"stream":true}`, "text/event-stream", "data: [DONE]\n\n", 200},
		"message":        {"/v1/messages", `{}`, "application/json", `"type":"message"`, 200},
		"message stream": {"/v1/messages", `{"stream": true}`, "text/event-stream", "event: message_stop\n", 200},
		"embedding":      {"/v1/embeddings", `{}`, "application/json", `"embedding":[0.25,-0.5,0.75]`, 200},
		"other":          {"/nothing", ``, "application/json", `"code":"unknown_url"`, 404},
	} {
		t.Run(name, func(t *testing.T) {
			res, text, err := ask(t, c, s.URL+tt.path, tt.body)
			if err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != tt.status || res.Header.Get("Content-Type") != tt.contentType || !strings.Contains(text, tt.want) {
				t.Errorf("%d %s %s", res.StatusCode, res.Header.Get("Content-Type"), text)
			}
			if tt.contentType == "application/json" {
				if !json.Valid([]byte(text)) {
					t.Errorf("not JSON: %s", text)
				}
				return
			}
			for line := range strings.Lines(text) {
				if data, ok := strings.CutPrefix(strings.TrimSpace(line), "data: "); ok && data != "[DONE]" && !json.Valid([]byte(data)) {
					t.Errorf("not JSON: %s", data)
				}
			}
		})
	}
}

func TestRules(t *testing.T) {
	s := provider.New(t)
	c := client(t)
	s.On(provider.Match{Path: "/v1/*"}, provider.HTML(502))
	s.On(provider.Match{Model: "a"}, append(provider.Error(429, "rate", "slow", "wait").With("Retry-After", "3").Times(2), provider.JSON(200, "fine"))...)
	s.On(provider.Match{Key: "k", Path: "/x"}, provider.JSON(201, "keyed"))
	s.On(provider.Match{Model: "plain"})
	for i, tt := range []struct {
		path, model, header, value, want string
		status                           int
	}{
		{"/v1/y", "b", "", "", "502 Bad Gateway", 502},
		{"/v1/y", "a", "", "", `"slow"`, 429},
		{"/else", "a", "", "", `"slow"`, 429},
		{"/v1/y", "a", "", "", "fine", 200},
		{"/v1/y", "a", "", "", "fine", 200},
		{"/x", "a", "Authorization", "Bearer k", "keyed", 201},
		{"/x", "a", "X-Goog-Api-Key", "k", "keyed", 201},
		{"/x?key=k", "a", "", "", "keyed", 201},
		{"/x", "a", "Api-Key", "other", "fine", 200},
		{chatPath, "plain", "", "", "chat.completion", 200},
	} {
		res, text, err := ask(t, c, s.URL+tt.path, `{"model":"`+tt.model+`"}`, tt.header, tt.value)
		if err != nil || res.StatusCode != tt.status || !strings.Contains(text, tt.want) {
			t.Fatalf("%d: %v %s %v", i, res, text, err)
		}
		if tt.status == 429 && res.Header.Get("Retry-After") != "3" {
			t.Errorf("%d: no retry-after", i)
		}
	}
	if s.Count() != 10 || len(s.Requests()) != 10 {
		t.Errorf("%d requests", s.Count())
	}
	last := s.Requests()[9]
	if last.Method != "POST" || last.Path != chatPath || last.Model != "plain" || string(last.Body) != `{"model":"plain"}` || last.Conn == 0 || last.Done.IsZero() {
		t.Errorf("recorded %+v", last)
	}
	s.Reset()
	if s.Count() != 0 {
		t.Error("Reset kept requests")
	}
}

func TestWaysToFail(t *testing.T) {
	stream := provider.ChatStream("m", provider.Usage{}, "one", "two", "three")
	for name, tt := range map[string]struct {
		reply   provider.Reply
		wantErr error
		want    string
	}{
		"cut":               {stream.CutAfter(2, provider.Close), io.ErrUnexpectedEOF, "one"},
		"cut in an event":   {stream.CutAfterBytes(20, provider.Close), io.ErrUnexpectedEOF, "data: {"},
		"reset":             {stream.CutAfter(1, provider.Reset), syscall.ECONNRESET, ""},
		"no answer":         {provider.NoAnswer(provider.Close), io.EOF, ""},
		"reset at once":     {provider.NoAnswer(provider.Reset), syscall.ECONNRESET, ""},
		"garbage":           {provider.Garbage(), nil, "nonsense"},
		"a lying length":    {provider.JSON(200, "{}").With("Content-Length", "100"), io.ErrUnexpectedEOF, "{}"},
		"not HTTP":          {provider.Reply{Raw: "SSH-2.0-x\r\n\r\n"}, nil, "malformed"},
		"split, not failed": {stream.SplitEvery(3), nil, "[DONE]"},
	} {
		t.Run(name, func(t *testing.T) {
			s := provider.New(t)
			s.Always(tt.reply)
			_, text, err := ask(t, client(t), s.URL+chatPath, `{}`)
			if name == "not HTTP" {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v", err)
				}
				return
			}
			if !errors.Is(err, tt.wantErr) || !strings.Contains(text, tt.want) {
				t.Errorf("text %q, error %v; want %q, %v", text, err, tt.want, tt.wantErr)
			}
		})
	}
}

func TestGzip(t *testing.T) {
	for name, reply := range map[string]provider.Reply{
		"whole":  provider.Chat("m", "hello", provider.Usage{}),
		"stream": provider.ChatStream("m", provider.Usage{}, "hello"),
	} {
		t.Run(name, func(t *testing.T) {
			s := provider.New(t)
			s.Always(reply.Gzipped())
			res, text, err := ask(t, client(t), s.URL+chatPath, `{}`)
			if err != nil || res.Header.Get("Content-Encoding") != "gzip" {
				t.Fatal(err, res)
			}
			r, err := gzip.NewReader(strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			plain, err := io.ReadAll(r)
			if err != nil || !strings.Contains(string(plain), "hello") {
				t.Errorf("%s %v", plain, err)
			}
		})
	}
}

func TestHangAndCancel(t *testing.T) {
	for name, reply := range map[string]provider.Reply{
		"before the headers": provider.NoAnswer(provider.Hang),
		"in the body":        provider.SSE("data: x\n\n").CutAfter(1, provider.Hang),
		"in a long delay":    provider.SSE().After(time.Hour),
		"between events":     provider.SSE("data: x\n\n", "data: y\n\n").Every(time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			s := provider.New(t)
			s.Always(reply)
			ctx, cancel := context.WithCancel(t.Context())
			req, _ := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, strings.NewReader("{}"))
			left := make(chan struct{})
			go func() {
				defer close(left)
				res, err := client(t).Do(req)
				if err == nil {
					_, _ = io.Copy(io.Discard, res.Body)
					_ = res.Body.Close()
				}
			}()
			limit, stop := context.WithTimeout(t.Context(), 30*time.Second)
			defer stop()
			if _, err := s.Wait(limit, provider.Arrived(1)); err != nil {
				t.Fatal(err)
			}
			cancel()
			<-left
			if _, err := s.Wait(limit, provider.Cancelled(1)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestDelaysArriveOneByOne(t *testing.T) {
	s := provider.New(t)
	s.Always(provider.SSE("data: 1\n\n", "data: 2\n\n").CutAfter(2, provider.Hang))
	res, err := client(t).Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	r := bufio.NewReader(res.Body)
	for _, want := range []string{"data: 1\n", "\n", "data: 2\n"} {
		if line, err := r.ReadString('\n'); err != nil || line != want {
			t.Fatalf("line %q, %v", line, err)
		}
	}
	s.Close() // ends what hangs
	if _, err := r.ReadString('x'); err == nil {
		t.Error("the answer goes on after Close")
	}
}

func TestTLS(t *testing.T) {
	s := provider.New(t, provider.Options{TLS: true})
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(s.CA) {
		t.Fatal("no CA")
	}
	for proto, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(proto, func(t *testing.T) {
			transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: http2}
			defer transport.CloseIdleConnections()
			c := &http.Client{Transport: transport}
			s.Reset()
			res, _, err := ask(t, c, s.URL+chatPath, `{}`)
			if err != nil || res.Proto != proto || s.Requests()[0].Proto != proto {
				t.Fatal(err, res)
			}
			for _, end := range []provider.End{provider.Close, provider.Reset} {
				s.Always(provider.SSE("data: x\n\n").CutAfter(1, end))
				if _, text, err := ask(t, c, s.URL, ""); err == nil {
					t.Errorf("%s: %q without an error", end, text)
				}
			}
		})
	}
}

func TestOldRequestsAreForgotten(t *testing.T) {
	s := provider.New(t, provider.Options{Keep: 2})
	c := client(t)
	for _, model := range []string{"a", "b", "c"} {
		if _, _, err := ask(t, c, s.URL, `{"model":"`+model+`"}`); err != nil {
			t.Fatal(err)
		}
	}
	all := s.Requests()
	if len(all) != 2 || all[0].Model != "b" || all[1].Model != "c" || s.Count() != 3 {
		t.Errorf("%v, %d", all, s.Count())
	}
}

func TestParseScript(t *testing.T) {
	rules, err := provider.ParseScript([]byte(`[{"path":"/a","replies":[{"status":503,"delay":"5ms","end":"reset","chunks":[{"data":"x","after":"1s"}]}]}]`))
	if err != nil {
		t.Fatal(err)
	}
	r := rules[0].Replies[0]
	if rules[0].Path != "/a" || r.Status != 503 || time.Duration(r.Delay) != 5*time.Millisecond || r.End != provider.Reset || time.Duration(r.Chunks[0].After) != time.Second {
		t.Errorf("%+v", rules)
	}
	for _, bad := range []string{`{`, `[{"replies":[{"end":"explode"}]}]`, `[{"replies":[{"delay":"soon"}]}]`, `[{"replies":[{"status":7}]}]`} {
		if _, err := provider.ParseScript([]byte(bad)); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}

func BenchmarkChat(b *testing.B) {
	s := provider.New(b, provider.Options{Keep: -1})
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	for b.Loop() {
		res, err := c.Post(s.URL+chatPath, "application/json", strings.NewReader(`{"model":"m"}`))
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
}
