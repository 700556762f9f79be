package xds

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/config"
	serverv3 "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
)

// Server publishes snapshots by ADS, incremental and state-of-the-world, to any number of Envoys that all
// get the same.
type Server struct {
	log   *slog.Logger
	cache cache.SnapshotCache
	ads   serverv3.Server

	// epoch is in every version, so that an Envoy that outlived another sluice does not take the first
	// publication of this one for what it has.
	epoch string

	mu      sync.Mutex
	version int
	streams map[streamKey]*stream
	changed chan struct{} // closed and replaced whenever an Envoy's state moves
}

type streamKey struct {
	delta bool
	id    int64
}

// stream is what one Envoy has been sent and has taken. The routes are sent last, and carry the version of
// every publication: who has taken them has been sent everything.
type stream struct {
	node  string
	sent  map[string]int // nonce → version, of routes that have not been answered
	acked int            // the newest version of the routes that was taken
	// rejected is what Envoy said against the newest resources of a type, by type; taking newer ones of the
	// same type clears it.
	rejected map[string]string
}

// oneNode gives every Envoy the same snapshot.
type oneNode struct{}

func (oneNode) ID(*corev3.Node) string { return "sluice" }

// NewServer makes a server without a snapshot: Envoys that dial wait for the first.
func NewServer(ctx context.Context, log *slog.Logger) *Server {
	s := &Server{
		log:     log,
		cache:   cache.NewSnapshotCache(true, oneNode{}, nil),
		epoch:   strconv.FormatInt(time.Now().UnixNano(), 36),
		streams: map[streamKey]*stream{},
		changed: make(chan struct{}),
	}
	s.ads = serverv3.NewServer(ctx, s.cache, s.callbacks(), ordered)
	return s
}

// ordered keeps clusters before routes on the one stream, so that an acknowledged route means
// acknowledged clusters.
func ordered(o *config.Opts) { o.Ordered = true }

// Register adds the ADS service to a gRPC server.
func (s *Server) Register(g *grpc.Server) {
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, s.ads)
}

// Publish builds the model's resources and offers them to all Envoys. It returns the version to wait for.
// On an error nothing changes.
func (s *Server) Publish(ctx context.Context, m Model, cert *Certificate) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	version := s.version + 1
	snapshot, err := Build(m, cert, s.name(version))
	if err != nil {
		return 0, err
	}
	if err := s.cache.SetSnapshot(ctx, oneNode{}.ID(nil), snapshot); err != nil {
		return 0, fmt.Errorf("publishing version %d: %w", version, err)
	}
	s.version = version
	return version, nil
}

// name is a version as Envoy sees it.
func (s *Server) name(version int) string { return s.epoch + "." + strconv.Itoa(version) }

// number is what name made the text from; 0: another sluice did.
func (s *Server) number(name string) int {
	text, ours := strings.CutPrefix(name, s.epoch+".")
	n, err := strconv.Atoi(text)
	if !ours || err != nil {
		return 0
	}
	return n
}

// Wait returns when at least one Envoy is connected and every connected one has taken version. An Envoy
// that rejects it is an error that carries Envoy's words.
func (s *Server) Wait(ctx context.Context, version int) error {
	for {
		s.mu.Lock()
		taken, rejected := s.state(version)
		changed := s.changed
		s.mu.Unlock()
		if rejected != "" {
			return fmt.Errorf("Envoy rejected the configuration: %s", rejected)
		}
		if taken {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for Envoy to take version %d: %w", version, ctx.Err())
		}
	}
}

// state tells whether all Envoys have taken version, and what any has against it; the caller holds mu.
func (s *Server) state(version int) (taken bool, rejected string) {
	taken = len(s.streams) > 0
	for _, st := range s.streams {
		taken = taken && st.acked >= version
		for _, typeURL := range slices.Sorted(maps.Keys(st.rejected)) {
			rejected = fmt.Sprintf("%s: %s", st.node, st.rejected[typeURL])
		}
	}
	return taken, rejected
}

// Connected is how many Envoys are on the line.
func (s *Server) Connected() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.streams)
}

func (s *Server) callbacks() serverv3.Callbacks {
	return serverv3.CallbackFuncs{
		DeltaStreamOpenFunc:   func(_ context.Context, id int64, _ string) error { s.open(streamKey{true, id}); return nil },
		DeltaStreamClosedFunc: func(id int64, _ *corev3.Node) { s.closed(streamKey{true, id}) },
		StreamOpenFunc:        func(_ context.Context, id int64, _ string) error { s.open(streamKey{false, id}); return nil },
		StreamClosedFunc:      func(id int64, _ *corev3.Node) { s.closed(streamKey{false, id}) },
		StreamDeltaResponseFunc: func(id int64, _ *discoveryv3.DeltaDiscoveryRequest, r *discoveryv3.DeltaDiscoveryResponse) {
			s.sent(streamKey{true, id}, r.GetTypeUrl(), r.GetNonce(), r.GetSystemVersionInfo())
		},
		StreamResponseFunc: func(_ context.Context, id int64, _ *discoveryv3.DiscoveryRequest, r *discoveryv3.DiscoveryResponse) {
			s.sent(streamKey{false, id}, r.GetTypeUrl(), r.GetNonce(), r.GetVersionInfo())
		},
		StreamDeltaRequestFunc: func(id int64, r *discoveryv3.DeltaDiscoveryRequest) error {
			s.answered(streamKey{true, id}, r.GetNode(), r.GetTypeUrl(), r.GetResponseNonce(), r.GetErrorDetail())
			return nil
		},
		StreamRequestFunc: func(id int64, r *discoveryv3.DiscoveryRequest) error {
			s.answered(streamKey{false, id}, r.GetNode(), r.GetTypeUrl(), r.GetResponseNonce(), r.GetErrorDetail())
			return nil
		},
	}
}

func (s *Server) open(key streamKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams[key] = &stream{sent: map[string]int{}, rejected: map[string]string{}}
	s.moved()
}

func (s *Server) closed(key streamKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streams, key)
	s.moved()
}

func (s *Server) sent(key streamKey, typeURL, nonce, version string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.streams[key]; st != nil && typeURL == resource.RouteType {
		st.sent[nonce] = s.number(version)
	}
}

func (s *Server) answered(key streamKey, node *corev3.Node, typeURL, nonce string, rejected *rpcstatus.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[key]
	if st == nil {
		return
	}
	if node.GetId() != "" {
		st.node = node.GetId()
	}
	version := st.sent[nonce]
	delete(st.sent, nonce)
	switch {
	case rejected != nil:
		text := rejected.GetMessage()
		if st.rejected[typeURL] != text { // an Envoy may be offered the same again
			s.log.Error("Envoy rejected a resource; it keeps the one it had", "envoy", st.node, "type", typeURL, "error", text)
		}
		st.rejected[typeURL] = text
	case nonce != "": // a first request has none, and a subscription to more repeats an old one
		delete(st.rejected, typeURL)
		st.acked = max(st.acked, version)
	default:
		return
	}
	s.moved()
}

// moved wakes all that wait; the caller holds mu.
func (s *Server) moved() {
	close(s.changed)
	s.changed = make(chan struct{})
}
