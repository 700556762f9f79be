package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestProfiles(t *testing.T) {
	for _, tt := range []struct {
		method, target string
		status         int
		text           string // in the answer; "gzip": it is a profile
	}{
		{"GET", "/profile?for=1ms", 200, "gzip"},
		{"GET", "/profile?for=soon", 400, "such as 10s"},
		{"GET", "/profile?for=-1s", 400, "such as 10s"},
		{"GET", "/profile?for=1h", 400, "up to 5m0s"},
		{"GET", "/heap", 200, "gzip"},
		{"GET", "/goroutine", 200, "gzip"},
		{"GET", "/cmdline", 404, ""},
		{"POST", "/profile", 405, ""},
	} {
		w := httptest.NewRecorder()
		profiles().ServeHTTP(w, httptest.NewRequest(tt.method, tt.target, nil))
		want := tt.text
		if want == "gzip" {
			want = "\x1f\x8b"
		}
		if body := w.Body.String(); w.Code != tt.status || !strings.Contains(body, want) {
			t.Errorf("%s %s: %d %.80q, want %d with %q", tt.method, tt.target, w.Code, body, tt.status, want)
		}
	}
}

func TestServeProfiles(t *testing.T) {
	if err := serveProfiles(""); err != nil {
		t.Errorf("without a path: %v", err)
	}
	if err := serveProfiles("relative.sock"); err == nil || !strings.Contains(err.Error(), "absolute") {
		t.Errorf("a relative path: %v", err)
	}
	path := filepath.Join(t.TempDir(), "p.sock")
	if err := serveProfiles(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v, want mode 0600", info, err)
	}
	c := http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}}}
	defer c.CloseIdleConnections()
	answer, err := c.Get("http://sluice/heap")
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != 200 {
		t.Errorf("status %s", answer.Status)
	}
}
