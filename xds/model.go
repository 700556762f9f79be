package xds

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sluicegw/sluice/envoy/names"
)

// Model is everything that Envoy's configuration depends on. It is a value: the same Model gives the same
// resources, byte for byte.
type Model struct {
	Listener Listener
	Clusters []Cluster // one a deployment
	Groups   []Group
	Limits   Limits
	Timeouts Timeouts
	// TrustedCA is a file of PEM roots by which providers are verified.
	TrustedCA string
	// WarmWithoutDNS lets a cluster serve before its first DNS answer. It is for Envoys that sluice cannot
	// ask which clusters are warm: there an early connect failure, which moves on, beats "no cluster",
	// which does not.
	WarmWithoutDNS bool
}

// Listener is the address that clients call. It must stay the same for the life of an Envoy: a changed
// listener drains its connections
// (https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/listeners/lds).
type Listener struct {
	Address string // an IP address
	Port    uint32
	// TLS asks for a certificate, published as a secret so that it can change without a drain.
	TLS bool
	// HTTP1 keeps HTTP/2 from clients: each of their connections then carries one call at a time, which is what the
	// fault of Envoy's in docs/adr/0040-held-answers.md cannot meet by accident.
	HTTP1 bool
}

// Cluster is one deployment's endpoint.
type Cluster struct {
	Name string
	// Host is a DNS name or an IP address; Socket is the path of a Unix socket instead.
	Host   string
	Port   uint32
	Socket string
	TLS    bool
	// HTTP2 lets ALPN choose HTTP/2; without it HTTP/1.1 is spoken.
	HTTP2 bool
	// MaxDuration ends an attempt on this cluster, whatever its state; zero: only the call's own
	// timeouts do.
	MaxDuration    time.Duration
	ConnectTimeout time.Duration // zero: 5 s
	// Several tells that there may be more than one address: Envoy spreads calls over them, leaves out for a
	// while what fails, and tries another on a retry. More are addresses beside Host.
	Several bool    `json:",omitempty"`
	More    []Place `json:",omitempty"`
	// Check has the addresses asked whether they are well: CheckConnect, or a path that answers 200.
	Check string `json:",omitempty"`
}

// Place is an address of a cluster: a DNS name or an IP address, and a port.
type Place struct {
	Host string
	Port uint32
}

// CheckConnect is the Cluster.Check that looks whether a connection can be made.
const CheckConnect = "connect"

// Group is a model group: a route of its own, so that Envoy's statistics speak of it, with its
// deployments and its fallbacks as named priority groups.
type Group struct {
	Name      string
	Members   []Member
	Fallbacks []Fallback
}

// Fallback is another group that a group's calls may move on to.
type Fallback struct {
	Group   string
	Members []Member
}

// Member is a deployment's share of its group.
type Member struct {
	Cluster string
	Weight  uint32 // 0 counts as 1
}

// Limits are the sizes that one setting raises together.
type Limits struct {
	// Body is the largest request or response body, in bytes, that is held as a whole.
	Body int64
	// Connection is what Envoy buffers for one connection, in bytes: it feeds slow readers, so it
	// stays small whatever Body is.
	Connection uint32
}

// Timeouts are the limits in time that do not depend on a call. Those that do travel as headers.
type Timeouts struct {
	// Idle is the longest silence between two events of an answer.
	Idle time.Duration
	// Message is the longest that the processor may take over one message.
	Message time.Duration
	// Upload is the longest that a client may take to send its request.
	Upload time.Duration
	// RetryBase and RetryMax bound the jittered wait before the next attempt.
	RetryBase, RetryMax time.Duration
}

// ClusterName is the name of a deployment's cluster: its id and a hash of all that the cluster is made
// from. A changed deployment so becomes another cluster, and no call that was planned with the old
// credentials meets the new endpoint.
func ClusterName(id string, spec any) string {
	b, err := json.Marshal(spec)
	if err != nil { // a spec is plain data
		b = fmt.Appendf(nil, "%#v", spec)
	}
	sum := sha256.Sum256(append(append([]byte(id), 0), b...))
	return names.Cluster(id, hex.EncodeToString(sum[:4]))
}

func (m Model) validate() error {
	var errs []error
	seen := make(map[string]bool, len(m.Clusters))
	for _, c := range m.Clusters {
		if seen[c.Name] {
			errs = append(errs, fmt.Errorf("cluster %q stands twice in the model", c.Name))
		}
		seen[c.Name] = true
		if c.Socket == "" && (c.Host == "" || c.Port == 0 || c.Port > 65535) {
			errs = append(errs, fmt.Errorf("cluster %q: host %q and port %d make no address", c.Name, c.Host, c.Port))
		}
	}
	for _, c := range m.Clusters {
		for _, place := range c.More {
			if place.Host == "" || place.Port == 0 || place.Port > 65535 || c.Socket != "" {
				errs = append(errs, fmt.Errorf("cluster %q: host %q and port %d make no further address", c.Name, place.Host, place.Port))
			}
		}
	}
	for _, g := range m.Groups {
		for _, member := range g.Members {
			if !seen[member.Cluster] {
				errs = append(errs, fmt.Errorf("group %q names cluster %q, which is not in the model", g.Name, member.Cluster))
			}
		}
	}
	if m.Limits.Body <= 0 || m.Limits.Connection == 0 {
		errs = append(errs, errors.New("limits: Body and Connection must be set"))
	}
	return errors.Join(errs...)
}
