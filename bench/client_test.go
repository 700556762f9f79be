package main

import (
	"net"
	"strings"
	"testing"
)

// answering is a connection to a server that answers its one request with text and closes.
func answering(t *testing.T, text string) *client {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = conn.Read(make([]byte, 64))
		_, _ = conn.Write([]byte(text))
	}()
	c, err := dial(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	c.keep = true
	return c
}

func TestClient(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, tt := range []struct{ name, answer, body, fault string }{
		{"length", ok + "Content-Length: 5\r\n\r\nhello", "hello", ""},
		{"no body", ok + "content-length:0\r\n\r\n", "", ""},
		{"chunks", ok + "transfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", "hello", ""},
		{"status", "HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy", "", "status 503: busy"},
		{"cut body", ok + "content-length: 9\r\n\r\nhello", "", "body: unexpected EOF"},
		{"cut chunk", ok + "transfer-encoding: chunked\r\n\r\n9\r\nhel", "", "EOF"},
		{"bad chunk", ok + "transfer-encoding: chunked\r\n\r\n-1\r\n", "", "chunk's length"},
		{"bad length", ok + "content-length: -3\r\n\r\n", "", "content-length"},
		{"not HTTP", "SSH-2.0-OpenSSH_9.6p1\r\n", "", "not a status line"},
		{"bad status", "HTTP/1.1 abc OK\r\n\r\n", "", "not a status line"},
		{"nothing", "", "", "EOF"},
		{"huge line", "HTTP/1.1 200 " + strings.Repeat("x", 20<<10) + "\r\n\r\n", "", "buffer full"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := answering(t, tt.answer)
			err := c.do([]byte("GET / HTTP/1.1\r\n\r\n"))
			if tt.fault != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fault) {
					t.Fatalf("error %v, want one with %q", err, tt.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if string(c.body) != tt.body || c.first.IsZero() {
				t.Errorf("body %q, first byte %v; want %q", c.body, c.first, tt.body)
			}
		})
	}
}

// TestProvider has the load generator and the provider speak to each other, without anything between.
func TestProvider(t *testing.T) {
	u, err := startUpstream()
	if err != nil {
		t.Fatal(err)
	}
	defer u.close()
	s := &system{name: "direct", address: u.address(), model: "m"}
	for _, sc := range scenarios {
		if sc.mark == slowMark {
			continue // over a second
		}
		if err := verify(s, sc); err != nil {
			t.Errorf("%s: %v", sc.name, err)
		}
	}
	c, err := dial(s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	c.keep = true
	for range 2 { // one connection carries many requests
		text := strings.Replace(string(s.request(scenarios[3])), "/v1/chat/completions", "/v1/messages", 1)
		if err := c.do([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(c.body), "message_stop") {
			t.Errorf("not a stream in Anthropic's format: %.300s", c.body)
		}
	}
}

func TestClosedLoopStopsAtTheFirstFailure(t *testing.T) {
	c := answering(t, "HTTP/1.1 500 Oh\r\ncontent-length: 2\r\n\r\nno")
	_, _, err := pool{c}.closed([]byte("GET / HTTP/1.1\r\n\r\n"), answerWithin, 0, 0)
	if err == nil || !strings.Contains(err.Error(), "after 0 good answers: status 500: no") {
		t.Errorf("error %v", err)
	}
}

func TestLoopsCount(t *testing.T) {
	u, err := startUpstream()
	if err != nil {
		t.Fatal(err)
	}
	defer u.close()
	s := &system{address: u.address(), model: "m"}
	p, err := open(s, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	n, _, err := p.closed(s.request(scenarios[0]), 0, 0, 50)
	if n != 50 || err != nil {
		t.Errorf("%d requests, %v; want 50", n, err)
	}
	whole, first, err := p.openLoop(s.request(scenarios[0]), 1000, 20_000_000)
	if len(whole) != 20 || len(first) != 20 || err != nil {
		t.Errorf("%d and %d times, %v; want 20", len(whole), len(first), err)
	}
	if len(whole) > 0 && (first.at(0) <= 0 || whole.at(0.99) < whole.at(0.5) || whole.at(1) != whole[19]) {
		t.Errorf("times are not in order: %v", whole)
	}
}
