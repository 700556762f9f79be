package adapters

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Endpoint is where a deployment is reached: a host and port, or a Unix socket.
type Endpoint struct {
	Scheme string // "http" or "https"
	Host   string // a name or an address, without brackets; empty with Socket
	Port   int
	Socket string // path of a Unix socket
	HTTP2  bool   // the host is known to offer HTTP/2 by ALPN
	Public bool   // the provider's own base URL, not an api_base
}

// setBase takes the base URL: the deployment's or else the provider's own.
func (t *Target) setBase(base string) error {
	own := base == ""
	if own {
		if base = firstOf(t.own, t.p.base); base == "" {
			return fmt.Errorf("provider %s has no address of its own: set api_base to its URL", t.p.name)
		}
	}
	u, err := url.Parse(strings.TrimSpace(base))
	if err != nil {
		return errors.New("not a URL: write http://host:port/path, https://… or unix:///path/to/socket")
	}
	if u.User != nil {
		return errors.New("user and password in the URL are not supported: use api_key or extra_headers")
	}
	if u.Scheme == "unix" {
		return t.setSocket(u)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return fmt.Errorf("%q is not an http, https or unix URL with a host", u.Scheme+"://"+u.Host)
	}
	port := 80
	if u.Scheme == "https" {
		port = 443
	}
	if p := u.Port(); p != "" {
		if port, err = strconv.Atoi(p); err != nil || port < 1 || port > 65535 {
			return fmt.Errorf("%s is not a port", p)
		}
	}
	public := own || strings.EqualFold(u.Hostname(), hostOf(firstOf(t.own, t.p.base)))
	t.endpoint = Endpoint{
		Scheme: u.Scheme, Host: u.Hostname(), Port: port,
		Public: public, HTTP2: public && u.Scheme == "https",
	}
	t.path = strings.TrimRight(u.EscapedPath(), "/")
	if t.p.quirks.versioned && !strings.HasSuffix(t.path, "/v1") {
		t.path += "/v1"
	}
	if u.RawQuery != "" {
		t.query = "?" + u.RawQuery
	}
	return nil
}

// setSocket takes unix:///path. A socket's URL has no room for an API's path, so the provider's own
// is used.
func (t *Target) setSocket(u *url.URL) error {
	if u.Host != "" || !strings.HasPrefix(u.Path, "/") || u.Path == "/" {
		return errors.New("a Unix socket is written unix:///path/to/socket, with three slashes")
	}
	t.endpoint = Endpoint{Scheme: "http", Socket: u.Path}
	t.path = "/v1"
	if own, err := url.Parse(t.p.base); err == nil && t.p.base != "" {
		t.path = strings.TrimRight(own.EscapedPath(), "/")
	}
	return nil
}

func hostOf(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// authority is the :authority or Host header.
func (t *Target) authority() string {
	e := &t.endpoint
	switch {
	case e.Socket != "":
		return "localhost"
	case e.Scheme == "https" && e.Port == 443, e.Scheme == "http" && e.Port == 80:
		if strings.Contains(e.Host, ":") {
			return "[" + e.Host + "]"
		}
		return e.Host
	}
	return net.JoinHostPort(e.Host, strconv.Itoa(e.Port))
}

// join is the path of one API call under the base URL, which may already end with it.
func (t *Target) join(suffix string) string {
	if strings.HasSuffix(t.path, suffix) {
		return t.path + t.query
	}
	return t.path + suffix + t.query
}

// swap is the path of a call under the base URL, which may already end with that of any call.
func (t *Target) swap(suffix string, any ...string) string {
	base := t.path
	for _, s := range any {
		if cut, ok := strings.CutSuffix(base, s); ok {
			base = cut
			break
		}
	}
	return base + suffix + t.query
}

// setHeaders takes extra_headers. Hop-by-hop headers and those that frame the message are not the
// config's to set.
func (t *Target) setHeaders(extra map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		lower := strings.ToLower(name)
		switch {
		case !isToken(lower):
			return fmt.Errorf("extra_headers: %q is not a header name", name)
		case slices.Contains(framingHeaders, lower):
			return fmt.Errorf("extra_headers: %s cannot be set", lower)
		}
		if err := headerValue(extra[name]); err != nil {
			return fmt.Errorf("extra_headers: %s: %w", lower, err)
		}
		if t.hasHeader(lower) {
			return fmt.Errorf("extra_headers: %s is there twice, in different spellings", lower)
		}
		t.headers = append(t.headers, Header{lower, extra[name]})
	}
	return nil
}

var framingHeaders = []string{
	"host", "content-length", "content-type", "transfer-encoding", "connection", "upgrade", "te",
	"trailer", "keep-alive", "proxy-connection", "expect",
}

func (t *Target) hasHeader(name string) bool {
	return slices.ContainsFunc(t.headers, func(h Header) bool { return h.Name == name })
}

// withExtra appends the extra headers, which win over those already in list.
func (c *call) withExtra(list []Header) []Header {
	extra := c.headers()
	if len(extra) == 0 {
		return list
	}
	list = slices.DeleteFunc(list, func(h Header) bool {
		return slices.ContainsFunc(extra, func(e Header) bool { return e.Name == h.Name })
	})
	return append(list, extra...)
}

// headerValue checks a value that goes into a header. The error never repeats it: it may be a secret.
func headerValue(v string) error {
	for i := range len(v) {
		if v[i] < ' ' && v[i] != '\t' || v[i] == 0x7f {
			return errors.New("holds a control character, perhaps a line break at its end: remove it")
		}
	}
	return nil
}

func isToken(name string) bool {
	if name == "" {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0 {
			continue
		}
		return false
	}
	return true
}
