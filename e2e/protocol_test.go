package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/sluicegw/sluice/envoy/envoytest/provider"
)

// TestHTTP10 is answered, refused in the right shape, or hung up on at once.
func TestHTTP10(t *testing.T) {
	conn := dial(t)
	body := question(model(t))
	_, err := fmt.Fprintf(conn, "POST %s HTTP/1.0\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", completions, masterKey, len(body), body)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		t.Fatal("neither an answer nor an end")
	}
	if err != nil {
		return
	}
	if a := readAnswer(t, res); a.status != http.StatusOK {
		wantError(t, a, a.status)
	} else {
		wantChat(t, a)
	}
}

// TestPipelined: requests that were sent before their predecessors' answers are answered in order.
func TestPipelined(t *testing.T) {
	one, two := question(model(t)), `{"model":`
	length := func(s string) string { return fmt.Sprintf("Content-Length: %d", len(s)) }
	all := raw(t, head(completions, length(one))+one+head(completions, length(two))+two+
		head(completions, length(one))+one+"GET /health/liveliness HTTP/1.1\r\nHost: gateway\r\n\r\n", 4)
	wantChat(t, all[0])
	wantError(t, all[1], 400)
	wantChat(t, all[2])
	if all[3].status != http.StatusOK {
		t.Errorf("the fourth: %d %s", all[3].status, all[3].body)
	}
}

// TestSmuggledRequests: where one request ends is never in doubt.
func TestSmuggledRequests(t *testing.T) {
	shared(t)
	for _, tt := range []struct{ name, text string }{
		{"both framings", head(completions, "Content-Length: 4", "Transfer-Encoding: chunked") + "0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"},
		{"two lengths", head(completions, "Content-Length: 4", "Content-Length: 9") + "{}{}{}{}{}"},
		{"a negative length", head(completions, "Content-Length: -1") + "{}"},
		{"an unknown coding", head(completions, "Transfer-Encoding: identity, chunked, xchunked") + "{}"},
		{"a chunk size that is none", head(completions, "Transfer-Encoding: chunked") + "zz\r\n{}\r\n0\r\n\r\n"},
		{"a space before the colon", head(completions, "Content-Length : 2") + "{}"},
		{"a folded header", head(completions, "X-A: b\r\n c", "Content-Length: 2") + "{}"},
		{"a zero byte", head(completions, "X-A: b\x00c", "Content-Length: 2") + "{}"},
		{"a bare line feed", "POST " + completions + " HTTP/1.1\nHost: x\nContent-Length: 2\n\n{}"},
		{"no host", "POST " + completions + " HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"},
		{"no HTTP", "hello\r\n\r\n"},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"},
		{"a strange method", strings.Replace(head(completions, "Content-Length: 2"), "POST", "BREW", 1) + "{}"},
		{"CONNECT", "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n"},
		{"an absolute URL", strings.Replace(head("http://evil.example"+completions, "Content-Length: 2"), "Host: gateway", "Host: evil.example", 1) + "{}"},
		{"an upgrade", "GET " + completions + " HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
		{"huge headers", head(completions, "X-Long: "+strings.Repeat("h", 200<<10), "Content-Length: 2") + "{}"},
		{"many headers", head(completions, strings.Repeat("X-A: b\r\n", 5000)+"Content-Length: 2") + "{}"},
		{"a long path", head("/v1/"+strings.Repeat("p", 100<<10), "Content-Length: 2") + "{}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			conn := dial(t)
			go func() {
				_, _ = io.WriteString(conn, tt.text)
				_ = conn.(*net.TCPConn).CloseWrite()
			}()
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				return // hung up on: that is an answer, too
			}
			a := readAnswer(t, res)
			if a.status < 400 {
				t.Fatalf("%d: %s", a.status, a.body)
			}
			// What cannot be read as HTTP at all is answered by Envoy's codec, in a few plain words.
			if a.header.Get("content-type") != "" || a.body != "" && !plainRefusal(a) {
				wantError(t, a, a.status)
			}
		})
	}
}

// plainRefusal is an answer of the HTTP codec, which knows of no configuration.
func plainRefusal(a answer) bool {
	return a.status == http.StatusBadRequest && a.header.Get("connection") == "close" && a.header.Get("content-type") == ""
}

// TestExpectContinue: the client waits for a word before it sends; a bad key is told instead of it.
func TestExpectContinue(t *testing.T) {
	m := model(t)
	wantChat(t, post(t, completions, question(m), "expect", "100-continue"))
	wantError(t, post(t, completions, question(m), "expect", "100-continue", "authorization", "Bearer "+wrongKey), 401)
	conn := dial(t)
	body := question(m)
	if _, err := io.WriteString(conn, head(completions, "Expect: 100-continue", fmt.Sprintf("Content-Length: %d", len(body)))); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	line, err := in.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "HTTP/1.1 100") {
		t.Fatalf("%q, %v", line, err)
	}
}

// TestHTTP2PriorKnowledge: h2c clients are served on the same port, many calls to a connection.
func TestHTTP2PriorKnowledge(t *testing.T) {
	g := shared(t)
	m := model(t)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	h2 := &http.Client{Transport: transport}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ask := func(token, body string) (*http.Response, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url+completions, strings.NewReader(body))
		if err != nil {
			return nil, err
		}
		req.Header.Set("authorization", "Bearer "+token)
		return h2.Do(req)
	}
	results := make(chan answer, 30)
	for i := range cap(results) {
		go func() {
			token, body := masterKey, question(m, `"stream":true`)
			if i%3 == 1 {
				token = wrongKey
			}
			if i%3 == 2 {
				body = "nonsense"
			}
			res, err := ask(token, body)
			if err != nil {
				results <- answer{err: err}
				return
			}
			if res.ProtoMajor != 2 {
				t.Errorf("answered in %s", res.Proto)
			}
			results <- readAnswer(t, res)
		}()
	}
	count := map[int]int{}
	for range cap(results) {
		a := <-results
		if a.err != nil {
			t.Error(a.err)
		}
		count[a.status]++
	}
	if count[200] != 10 || count[400] != 10 || count[401] != 10 {
		t.Errorf("answers by status: %v", count)
	}
}

// TestHTTP1Only: with --http1-only nobody is served HTTP/2, and everybody else is.
func TestHTTP1Only(t *testing.T) {
	up := provider.New(t, provider.Options{Keep: 1})
	up.Always(provider.Chat("up", "hello", few))
	g := start(t, fmt.Sprintf(`model_list:
  - {model_name: m, litellm_params: {model: openai/x, api_base: "%s/v1", api_key: %s}}
general_settings: {master_key: %s}
`, up.URL, providerKey, masterKey), "--http1-only")
	defer g.stop()
	g.showOnFailure(t)
	if a := g.ask(t, masterKey, completions, question("m", `"stream":false`)); a.status != http.StatusOK {
		t.Fatalf("HTTP/1.1: %d %v", a.status, a.err)
	}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport, Timeout: patience}).Get(g.url + "/health/liveliness")
	if err == nil {
		_ = res.Body.Close()
		t.Errorf("HTTP/2 was answered: %s", res.Status)
	}
	g.alive(t)
}
