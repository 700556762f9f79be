package fetch

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const png = "\x89PNG\r\n\x1a\n0000"

func newFetcher(t *testing.T, s Settings) *Fetcher {
	t.Helper()
	f, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestPublic(t *testing.T) {
	for _, a := range []string{
		"8.8.8.8", "1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "2606:4700:4700::1111", "::ffff:8.8.8.8",
	} {
		if !public(netip.MustParseAddr(a)) {
			t.Errorf("%s is not public", a)
		}
	}
	for _, a := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254", "169.254.169.254",
		"172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1",
		"203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "168.63.129.16",
		"::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
		"64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001::1", "2001:db8::1", "3fff::1", "100::1", "::7f00:1", "fec0::1",
		"2606:4700::1%x",
	} {
		if public(netip.MustParseAddr(a)) {
			t.Errorf("%s is public", a)
		}
	}
}

// trap is a server on loopback that must not be reached.
func trap(t *testing.T) (url string, hits *atomic.Int32) {
	hits = new(atomic.Int32)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		hits.Add(1)
		fmt.Fprint(w, png)
	}))
	t.Cleanup(s.Close)
	return s.URL, hits
}

func TestPrivateHostsAreRefused(t *testing.T) {
	url, hits := trap(t)
	port := url[strings.LastIndexByte(url, ':'):]
	for _, host := range []string{
		"127.0.0.1", "localhost", "LOCALHOST.", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0.0.0.0", "[::]", "127.1",
		"2130706433", "0x7f000001", "0177.0.0.1", "[64:ff9b::127.0.0.1]", "169.254.169.254", "127。0。0。1",
	} {
		_, err := newFetcher(t, Settings{Timeout: time.Second}).Get(t.Context(), "http://"+host+port+"/a.png")
		if err == nil {
			t.Errorf("%s was fetched", host)
		} else if strings.Contains(err.Why, "127.") || strings.Contains(err.Why, port) {
			t.Errorf("%s: the error tells an address: %s", host, err)
		}
	}
	if hits.Load() > 0 {
		t.Errorf("%d requests came through", hits.Load())
	}
}

func TestURLs(t *testing.T) {
	f := newFetcher(t, Settings{AllowedHosts: []string{"127.0.0.1"}})
	for url, want := range map[string]string{
		"file:///etc/passwd": "http(s)", "ftp://127.0.0.1/a": "http(s)", "gopher://127.0.0.1/": "http(s)", "http:///a": "http(s)",
		"http:127.0.0.1/a": "http(s)", "http://u:p@127.0.0.1/a": "user", "http://127.0.0.1/\x7f": "http(s)", "//127.0.0.1/a": "http(s)",
		"http://127.0.0.1/" + strings.Repeat("a", 9000): "longer", "": "http(s)",
	} {
		if _, err := f.Get(t.Context(), url); err == nil || !strings.Contains(err.Why, want) {
			t.Errorf("%.60q: %v", url, err)
		}
	}
}

// An allowed server redirects to one that is not: the trap.
func TestRedirects(t *testing.T) {
	trapURL, hits := trap(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Referer") != "" || r.Header.Get("Cookie") != "" {
			t.Errorf("headers go along: %v", r.Header)
		}
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		to := map[string]string{
			"/trap": trapURL, "/file": "file:///etc/passwd", "/user": "http://u:p@" + r.Host + "/ok", "/loop": "/loop",
			"/3": "/2", "/2": "/1", "/1": "/ok", "/4": "/3", "/metadata": "http://169.254.169.254/latest/",
		}[r.URL.Path]
		if to == "" {
			fmt.Fprint(w, png)
			return
		}
		http.Redirect(w, r, to, http.StatusFound)
	}))
	defer s.Close()
	f := newFetcher(t, Settings{AllowedHosts: []string{strings.TrimPrefix(s.URL, "http://")}, Timeout: 10 * time.Second})
	for path, want := range map[string]string{
		"/3": "", "/4": "redirects more than three", "/loop": "redirects more than three", "/trap": "public internet",
		"/file": "http(s)", "/user": "user", "/metadata": "public internet",
	} {
		_, err := f.Get(t.Context(), s.URL+path)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Why, want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if hits.Load() > 0 {
		t.Error("the redirect led to a private server")
	}
}

func TestProxiesOfTheEnvironmentAreNotUsed(t *testing.T) {
	proxy, hits := trap(t)
	t.Setenv("HTTP_PROXY", proxy)
	t.Setenv("http_proxy", proxy)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, png) }))
	defer s.Close()
	f := newFetcher(t, Settings{AllowedHosts: []string{"127.0.0.1"}})
	if _, err := f.Get(t.Context(), s.URL); err != nil || hits.Load() > 0 {
		t.Error(err, hits.Load())
	}
}

// resolver answers names with addresses in turn: a name that changes its address after it was judged.
func resolver(t *testing.T, answers ...string) (*net.Resolver, *atomic.Int32) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	asked := new(atomic.Int32)
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			m.Response, m.Additionals = true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				i := int(asked.Add(1)) - 1
				a := netip.MustParseAddr(answers[min(i, len(answers)-1)])
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 0},
					Body:   &dnsmessage.AResource{A: a.As4()},
				}}
			}
			if out, err := m.Pack(); err == nil {
				_, _ = conn.WriteTo(out, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}, asked
}

func TestNamesThatLeadInside(t *testing.T) {
	url, hits := trap(t)
	port := url[strings.LastIndexByte(url, ':'):]
	for _, addresses := range [][]string{{"127.0.0.1"}, {"10.1.2.3", "127.0.0.1"}, {"0.0.0.0"}, {"169.254.169.254"}} {
		f := newFetcher(t, Settings{Timeout: 5 * time.Second})
		var asked *atomic.Int32
		f.guarded.Resolver, asked = resolver(t, addresses...)
		for range addresses {
			_, err := f.Get(t.Context(), "http://files.example"+port+"/a.png")
			if err == nil || !strings.Contains(err.Why, "public internet") {
				t.Errorf("%v: %v", addresses, err)
			}
		}
		if asked.Load() == 0 {
			t.Error("the resolver was not asked")
		}
	}
	if hits.Load() > 0 {
		t.Errorf("%d requests came through", hits.Load())
	}
}

// Even a host that is allowed does not lead to a cloud's credentials.
func TestAllowedHosts(t *testing.T) {
	url, hits := trap(t)
	port := strings.TrimPrefix(url, "http://127.0.0.1:")
	get := func(allowed []string, answer string) *Failure {
		f := newFetcher(t, Settings{AllowedHosts: allowed, Timeout: 5 * time.Second})
		f.trusting.Resolver, _ = resolver(t, answer)
		f.guarded.Resolver = f.trusting.Resolver
		_, err := f.Get(t.Context(), "http://Files.example.:"+port+"/a.png")
		return err
	}
	for _, allowed := range []string{"files.example", "FILES.example:" + port, " files.example. "} {
		if err := get([]string{allowed}, "127.0.0.1"); err != nil {
			t.Errorf("%q: %v", allowed, err)
		}
	}
	before := hits.Load()
	for _, allowed := range []string{"files.example:1", "example", "other.example", "https://files.example"} {
		if get([]string{allowed}, "127.0.0.1") == nil {
			t.Errorf("%q: fetched", allowed)
		}
	}
	for _, answer := range []string{"169.254.169.254", "0.0.0.0", "100.100.100.200", "168.63.129.16"} {
		if err := get([]string{"files.example"}, answer); err == nil || !strings.Contains(err.Why, "public internet") {
			t.Errorf("%s: %v", answer, err)
		}
	}
	if hits.Load() != before {
		t.Error("requests came through")
	}
	for _, bad := range []string{"", "*", "*.example", "http://", "u@host", "a b", "host:port"} {
		if _, err := New(Settings{AllowedHosts: []string{bad}}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestLimits(t *testing.T) {
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/announced":
			w.Header().Set("Content-Length", "1000000")
		case "/endless":
			for range 1000 {
				if _, err := w.Write([]byte(png + strings.Repeat("a", 1000))); err != nil {
					return
				}
			}
		case "/short":
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, png)
		case "/gzip":
			w.Header().Set("Content-Encoding", "gzip")
			fmt.Fprint(w, png)
		case "/empty":
		case "/404":
			w.WriteHeader(404)
		case "/204":
			w.WriteHeader(204)
		case "/slow":
			select {
			case <-release:
			case <-r.Context().Done():
			}
		case "/headers":
			for i := range 100 {
				w.Header().Set(fmt.Sprint("h", i), strings.Repeat("a", 1000))
			}
		case "/html.png":
			w.Header().Set("Content-Type", "application/zip")
			fmt.Fprint(w, "<html>")
		default:
			fmt.Fprint(w, png)
		}
	}))
	defer s.Close()
	defer close(release)
	f := newFetcher(t, Settings{AllowedHosts: []string{"127.0.0.1"}, MaxBytes: 10_000, Timeout: 300 * time.Millisecond})
	for path, want := range map[string]string{
		"/announced": "10000 bytes", "/endless": "10000 bytes", "/short": "before the end", "/gzip": "compressed",
		"/empty": "empty", "/404": "answered 404", "/204": "answered 204", "/slow": "in time", "/headers": "reached", "/html.png": "no image",
	} {
		if _, err := f.Get(t.Context(), s.URL+path); err == nil || !strings.Contains(err.Why, want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	off := newFetcher(t, Settings{AllowedHosts: []string{"127.0.0.1"}, MaxBytes: -1})
	if _, err := off.Get(t.Context(), s.URL+"/ok"); err == nil || !strings.Contains(err.Why, "turned off") {
		t.Error(err)
	}
}

func TestOnlySoManyAtOnce(t *testing.T) {
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-release
		fmt.Fprint(w, png)
	}))
	defer s.Close()
	f := newFetcher(t, Settings{AllowedHosts: []string{"127.0.0.1"}, Concurrent: 1, Timeout: time.Minute})
	f.slots <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Get(ctx, s.URL); err == nil || !err.Busy {
		t.Error(err)
	}
	<-f.slots
	close(release)
	if _, err := f.Get(t.Context(), s.URL); err != nil {
		t.Error(err)
	}
}

func TestMediaTypes(t *testing.T) {
	for _, c := range []struct{ header, name, data, want string }{
		{"image/png", "a", png, "image/png"},
		{"image/jpeg", "a.jpg", png, "image/png"}, // the bytes cannot lie
		{"text/html", "a", "%PDF-1.7", "application/pdf"},
		{"image/png; charset=x", "a", "AAAA", "image/png"},
		{"image/jpg", "a", "AAAA", "image/jpeg"},
		{"", "x/a.PDF", "AAAA", "application/pdf"},
		{"application/octet-stream", "a.jpeg", "AAAA", "image/jpeg"},
		{"binary/octet-stream", "a.csv", "a,b", "text/csv"},
		{"audio/mpeg", "a", "AAAA", "audio/mpeg"},
		{"video/mp4", "a", "0000ftypisom", "video/mp4"},
		{"", "a", "0000ftypheic", "image/heic"},
		{"", "a", "AAAA", ""}, {"application/zip", "a.png", "AAAA", ""}, {"application/javascript", "a", "AAAA", ""}, {";", "a", "AAAA", ""},
	} {
		if got := mediaType(c.header, c.name, []byte(c.data)); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

func TestMemo(t *testing.T) {
	var hits atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		fmt.Fprint(w, png, r.URL.Path)
	}))
	defer s.Close()
	f := newFetcher(t, Settings{AllowedHosts: []string{"127.0.0.1"}, Timeout: time.Minute})
	urls := make([]string, 8)
	for i := range urls {
		urls[i] = fmt.Sprintf("%s/%d", s.URL, i)
	}
	var m Memo
	var wait sync.WaitGroup
	for range 4 {
		for _, url := range urls {
			wait.Go(func() {
				file, err := m.Get(f, url, func() []string { return urls })
				if err != nil || string(file.Data) != png+url[len(s.URL):] {
					t.Errorf("%s: %q %v", url, file.Data, err)
				}
			})
		}
	}
	wait.Wait()
	if hits.Load() != 8 {
		t.Errorf("%d fetches of 8 files", hits.Load())
	}
	for i := 8; ; i++ {
		_, err := m.Get(f, fmt.Sprintf("%s/%d", s.URL, i), nil)
		if (err != nil) != (i >= maxFiles) {
			t.Fatalf("file %d: %v", i, err)
		}
		if err != nil {
			break
		}
	}
}

func TestMemoIsBounded(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, png+strings.Repeat("a", 80))
	}))
	defer s.Close()
	f := newFetcher(t, Settings{AllowedHosts: []string{"127.0.0.1"}, MaxBytes: 100})
	var m Memo
	for i, want := range []bool{true, true, true, false} {
		if _, err := m.Get(f, fmt.Sprint(s.URL, "/", i), nil); (err == nil) != want {
			t.Errorf("file %d: %v", i, err)
		}
	}
	// Without room to keep a file it is fetched, and forgotten.
	f.kept.Store(maxKept)
	var full Memo
	if _, err := full.Get(f, s.URL, nil); err != nil {
		t.Error(err)
	}
	full.mu.Lock()
	defer full.mu.Unlock()
	if len(full.entries) != 0 || full.bytes != 0 || f.kept.Load() != maxKept {
		t.Error("kept", len(full.entries), full.bytes)
	}
}
