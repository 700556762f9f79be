// Package fetch gets the files that a client's request names by URL, for providers that take bytes only.
//
// The URL is a stranger's, so a fetch must not become a way into the operator's network: only http and
// https, only addresses of the public internet, judged at the moment of dialling, so that neither a
// redirect nor a name that changes its address gets past ([public]). Every fetch is bounded in size, time,
// redirects and number at once; no proxy, cookie or credential of this machine goes along.
//
// A [Memo] remembers what one request's URLs led to, for its further attempts.
//
// It leaves alone which providers need files and what they make of them.
package fetch

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// Settings bound a [Fetcher]. Zero values are the defaults.
type Settings struct {
	MaxBytes   int64         // of one file; 0: [DefaultMaxBytes]; negative: nothing is fetched
	Timeout    time.Duration // of one file, waiting for a slot and redirects included
	Concurrent int           // fetches at the same time
	// AllowedHosts may have private or loopback addresses: "host" or "host:port", as in LiteLLM's
	// user_url_allowed_hosts. Even they may not be link-local, where clouds keep their credentials.
	AllowedHosts []string
}

// The defaults. LiteLLM's limit is 50 MB; the largest request that a provider of bytes takes is 32 MB.
const (
	DefaultMaxBytes   = 20 << 20
	DefaultTimeout    = 20 * time.Second
	DefaultConcurrent = 20

	maxRedirects = 3
	maxURL       = 8 << 10
	maxHeaders   = 64 << 10
)

// File is what a URL led to.
type File struct {
	MediaType string // lower case, without parameters: "image/png"
	Data      []byte
}

// Fetcher fetches files. It is safe for concurrent use.
type Fetcher struct {
	maxBytes int64
	timeout  time.Duration
	slots    chan struct{}
	allowed  map[string]bool
	kept     atomic.Int64
	client   *http.Client
	guarded  *net.Dialer // for everybody's hosts
	trusting *net.Dialer // for allowed hosts
}

// New makes a Fetcher. An entry of AllowedHosts that is no host is an error.
func New(s Settings) (*Fetcher, error) {
	f := &Fetcher{maxBytes: s.MaxBytes, timeout: s.Timeout, allowed: map[string]bool{}}
	if f.maxBytes == 0 {
		f.maxBytes = DefaultMaxBytes
	}
	if f.timeout <= 0 {
		f.timeout = DefaultTimeout
	}
	if s.Concurrent <= 0 {
		s.Concurrent = DefaultConcurrent
	}
	f.slots = make(chan struct{}, s.Concurrent)
	for _, entry := range s.AllowedHosts {
		host, err := hostEntry(entry)
		if err != nil {
			return nil, err
		}
		f.allowed[host] = true
	}
	f.guarded = &net.Dialer{Timeout: 10 * time.Second, Control: controlPublic}
	f.trusting = &net.Dialer{Timeout: 10 * time.Second, Control: controlNotLinkLocal}
	f.client = &http.Client{Transport: f.transport(), CheckRedirect: checkRedirect}
	return f, nil
}

func (f *Fetcher) transport() *http.Transport {
	return &http.Transport{
		Proxy:                  nil, // a proxy would do the dialling, unjudged
		DialContext:            f.dial,
		ForceAttemptHTTP2:      true,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  10 * time.Second,
		MaxResponseHeaderBytes: maxHeaders,
		MaxIdleConns:           32,
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        30 * time.Second,
		DisableCompression:     true, // a few bytes must not become many
	}
}

// dial connects to a host that the URL or a redirect names. The dialers judge every address that the name
// leads to.
func (f *Fetcher) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if f.allows(address) {
		return f.trusting.DialContext(ctx, network, address)
	}
	return f.guarded.DialContext(ctx, network, address)
}

func checkRedirect(r *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return errRedirects
	}
	r.Header.Del("Referer") // the URL before may be signed
	return checkURL(r.URL)
}

// Get fetches one file.
func (f *Fetcher) Get(ctx context.Context, rawURL string) (File, *Failure) {
	if f.maxBytes < 0 {
		return File{}, &Failure{Why: "cannot be fetched: fetching files is turned off here; send the file as a data URL"}
	}
	if len(rawURL) > maxURL {
		return File{}, &Failure{Why: "is longer than a URL may be"}
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return File{}, failure(errURL)
	}
	if err := checkURL(u); err != nil {
		return File{}, failure(err)
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	case <-ctx.Done():
		return File{}, &Failure{Why: "could not be fetched: too many files are being fetched; try again", Busy: true}
	}
	file, err := f.get(ctx, u)
	if err != nil {
		return File{}, failure(err)
	}
	return file, nil
}

func (f *Fetcher) get(ctx context.Context, u *url.URL) (File, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return File{}, errURL
	}
	r.Header.Set("User-Agent", "sluice")
	r.Header.Set("Accept", "image/*, application/pdf, audio/*, video/*, text/*;q=0.5, */*;q=0.1")
	r.Header.Set("Accept-Encoding", "identity")
	answer, err := f.client.Do(r)
	if err != nil {
		return File{}, err
	}
	defer answer.Body.Close()
	switch coding := answer.Header.Get("Content-Encoding"); {
	case answer.StatusCode != http.StatusOK:
		return File{}, statusError(answer.StatusCode)
	case coding != "" && !strings.EqualFold(coding, "identity"):
		return File{}, errCompressed
	case answer.ContentLength > f.maxBytes:
		return File{}, tooLarge(f.maxBytes)
	}
	data, err := readAtMost(answer.Body, f.maxBytes)
	if err != nil {
		return File{}, err
	}
	if len(data) == 0 {
		return File{}, errEmpty
	}
	// The last URL counts: a short link has no file's name.
	media := mediaType(answer.Header.Get("Content-Type"), answer.Request.URL.Path, data)
	if media == "" {
		return File{}, errType
	}
	return File{MediaType: media, Data: data}, nil
}

// readAtMost reads a body and stops past most. It grows with what comes, not with what is announced.
func readAtMost(body io.Reader, most int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, most+1))
	if int64(len(data)) > most {
		return nil, tooLarge(most)
	}
	return data, err
}

// checkURL judges what can be judged without resolving the host.
func checkURL(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "", u.Opaque != "":
		return errURL
	case u.User != nil:
		return errUser
	}
	return nil
}

// hostEntry takes an entry of AllowedHosts apart: host, host:port, [v6]:port or an origin.
func hostEntry(entry string) (string, error) {
	wrong := errors.New("not a host: write host or host:port, for an IPv6 address [address] or [address]:port")
	text := strings.TrimSpace(entry)
	if !strings.Contains(text, "://") {
		text = "any://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil {
		return "", wrong
	}
	host, port := normal(u.Hostname()), u.Port()
	switch {
	case strings.ContainsAny(host, " *"):
		return "", wrong
	case port == "" && u.Scheme == "http":
		port = "80"
	case port == "" && u.Scheme == "https":
		port = "443"
	}
	if port == "" {
		return host, nil
	}
	return net.JoinHostPort(host, port), nil
}

// allows tells whether a dialled host:port is one of AllowedHosts.
func (f *Fetcher) allows(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil || len(f.allowed) == 0 {
		return false
	}
	host = normal(host)
	return f.allowed[host] || f.allowed[net.JoinHostPort(host, port)]
}

func normal(host string) string { return strings.TrimRight(strings.ToLower(host), ".") }
