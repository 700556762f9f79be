package envoy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// adminTimeout bounds a call whose context has no earlier deadline.
	adminTimeout = 10 * time.Second
	// maxAdminReply bounds what is read of an answer. Ten thousand clusters' stats fit.
	maxAdminReply = 64 << 20
)

// Admin is a client of one Envoy's admin API. It is safe for concurrent use; every answer is bounded in
// size and time.
// https://www.envoyproxy.io/docs/envoy/v1.40.0/operations/admin
type Admin struct {
	address string
	client  *http.Client
}

// NewAdmin makes a client for the address that [Params].Admin names: an absolute socket path or
// host:port. Nothing is dialled yet.
func NewAdmin(address string) *Admin {
	network := "tcp"
	if filepath.IsAbs(address) {
		network = "unix"
	}
	var dialer net.Dialer
	return &Admin{address: address, client: &http.Client{
		Timeout: adminTimeout,
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, network, address)
			},
			// A connection kept from before a restart of Envoy would fail the next call.
			DisableKeepAlives: true,
		},
	}}
}

// Address is what NewAdmin was given.
func (a *Admin) Address() string { return a.address }

// AdminError is an answer of the admin API other than 200.
type AdminError struct {
	Path   string
	Status int
	// Text is the start of what it said.
	Text string
}

// Error implements error.
func (e *AdminError) Error() string {
	return fmt.Sprintf("envoy admin %s: %d %s", e.Path, e.Status, e.Text)
}

// Ready is nil when Envoy serves. Otherwise the error says what it does instead: PRE_INITIALIZING or
// INITIALIZING (the first configuration is not complete), DRAINING, or that it can't be reached.
func (a *Admin) Ready(ctx context.Context) error {
	_, err := a.do(ctx, http.MethodGet, "/ready")
	return err
}

// WarmingClusters names the clusters that Envoy was told of and does not use yet: their endpoints or
// secrets have not come.
func (a *Admin) WarmingClusters(ctx context.Context) ([]string, error) {
	var dump struct {
		Configs []struct {
			Cluster struct {
				Name string `json:"name"`
			} `json:"cluster"`
		} `json:"configs"`
	}
	if err := a.json(ctx, "/config_dump?resource=dynamic_warming_clusters&mask=cluster.name", &dump); err != nil {
		return nil, err
	}
	names := make([]string, 0, len(dump.Configs))
	for _, c := range dump.Configs {
		names = append(names, c.Cluster.Name)
	}
	slices.Sort(names)
	return names, nil
}

// ActiveRequests is how many requests of clients are under way on all listeners, the admin API's own
// left out.
func (a *Admin) ActiveRequests(ctx context.Context) (int, error) {
	stats, err := a.Stats(ctx, `^http\..*\.downstream_rq_active$`)
	if err != nil {
		return 0, err
	}
	var sum uint64
	for name, n := range stats {
		if name != "http.admin.downstream_rq_active" {
			sum += n
		}
	}
	return int(sum), nil
}

// Stats are the counters and gauges whose names match the RE2 pattern; "" is all of them. Histograms
// and texts are left out.
func (a *Admin) Stats(ctx context.Context, pattern string) (map[string]uint64, error) {
	path := "/stats"
	if pattern != "" {
		path += "?filter=" + url.QueryEscape(pattern)
	}
	body, err := a.do(ctx, http.MethodGet, path)
	if err != nil {
		return nil, err
	}
	stats := make(map[string]uint64)
	for line := range strings.Lines(string(body)) {
		// A name may hold ": ", a value never does.
		line = strings.TrimSpace(line)
		cut := strings.LastIndex(line, ": ")
		if cut < 0 {
			continue
		}
		if n, err := strconv.ParseUint(line[cut+2:], 10, 64); err == nil {
			stats[line[:cut]] = n
		}
	}
	return stats, nil
}

// ListenerStatus is a listener and where it listens: host:port (the real port, should 0 have been asked
// for) or a socket path.
type ListenerStatus struct {
	Name, Address string
}

// Listeners lists the listeners that are active, in no order.
func (a *Admin) Listeners(ctx context.Context) ([]ListenerStatus, error) {
	var dump struct {
		Statuses []struct {
			Name  string `json:"name"`
			Local struct {
				Socket *struct {
					Address string `json:"address"`
					Port    int    `json:"port_value"`
				} `json:"socket_address"`
				Pipe *struct {
					Path string `json:"path"`
				} `json:"pipe"`
			} `json:"local_address"`
		} `json:"listener_statuses"`
	}
	if err := a.json(ctx, "/listeners?format=json", &dump); err != nil {
		return nil, err
	}
	var listeners []ListenerStatus
	for _, s := range dump.Statuses {
		l := ListenerStatus{Name: s.Name}
		switch {
		case s.Local.Socket != nil:
			l.Address = net.JoinHostPort(s.Local.Socket.Address, strconv.Itoa(s.Local.Socket.Port))
		case s.Local.Pipe != nil:
			l.Address = s.Local.Pipe.Path
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

// Version is the running Envoy's version.
func (a *Admin) Version(ctx context.Context) (Version, error) {
	var info struct {
		Version string `json:"version"`
	}
	if err := a.json(ctx, "/server_info", &info); err != nil {
		return Version{}, err
	}
	return ParseVersion(info.Version)
}

// Memory is what Envoy's allocator holds, in bytes.
type Memory struct {
	// Allocated is in use; Heap is reserved from the system; Physical is resident.
	Allocated uint64 `json:"allocated,string"`
	Heap      uint64 `json:"heap_size,string"`
	Physical  uint64 `json:"total_physical_bytes,string"`
}

// Memory asks the allocator.
func (a *Admin) Memory(ctx context.Context) (Memory, error) {
	var m Memory
	err := a.json(ctx, "/memory", &m)
	return m, err
}

func (a *Admin) json(ctx context.Context, path string, into any) error {
	body, err := a.do(ctx, http.MethodGet, path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("envoy admin %s: unreadable answer: %w", path, err)
	}
	return nil
}

func (a *Admin) do(ctx context.Context, method, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://envoy"+path, nil)
	if err != nil {
		return nil, err
	}
	res, err := a.client.Do(req)
	if err != nil {
		// The wrapping that net/http adds names a made-up host.
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, fmt.Errorf("envoy admin at %s: %w", a.address, err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAdminReply+1))
	if err != nil {
		return nil, fmt.Errorf("envoy admin %s: %w", path, err)
	}
	if len(body) > maxAdminReply {
		return nil, fmt.Errorf("envoy admin %s: the answer is larger than %d bytes", path, maxAdminReply)
	}
	if res.StatusCode != http.StatusOK {
		text := strings.TrimSpace(string(body[:min(len(body), 200)]))
		return nil, &AdminError{Path: path, Status: res.StatusCode, Text: text}
	}
	return body, nil
}
