package extproc

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync/atomic"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/sluicegw/sluice/envoy/names"
	"github.com/sluicegw/sluice/extproc/wire"
	"github.com/sluicegw/sluice/policy/keys"
	"github.com/sluicegw/sluice/policy/ledger"
	"github.com/sluicegw/sluice/policy/observe"
	"github.com/sluicegw/sluice/policy/ratelimit"
	"github.com/sluicegw/sluice/policy/route"
	"github.com/sluicegw/sluice/policy/spend"
)

// Options are the parts that a Server is wired with.
type Options struct {
	Log     *slog.Logger
	Health  *route.Health
	Metrics *observe.Metrics
	// MaxBody is the largest body, in bytes, that a call may have; MaxHeld is how many bytes of bodies
	// all calls together may hold. Over it, new calls are refused.
	MaxBody, MaxHeld int64
	// Limiter keeps the limits of callers and deployments; nil: in this process.
	Limiter ratelimit.Limiter
	// Book takes what calls cost; nil: nobody does. Spent is told of each of its rows, Customer finds an end user, and
	// gives one without a budget the limits of the budget object named; both may be nil.
	Book     *spend.Book
	Spent    func(*ledger.Row)
	Customer func(id, budget string) *keys.Customer
	// Warm says whether Envoy can be sent to a cluster; nil: to all.
	Warm func(cluster string) bool
}

// Server answers Envoy's ext_proc streams.
type Server struct {
	extprocv3.UnimplementedExternalProcessorServer
	Options
	snapshot atomic.Pointer[Snapshot]
	calls    registry
	trouble  trouble
	late     latecomers
	held     atomic.Int64
	active   atomic.Int64
}

// NewServer makes a server that answers 503 until the first [Server.Use].
func NewServer(o Options) *Server {
	if o.Warm == nil {
		o.Warm = func(string) bool { return true }
	}
	if o.Limiter == nil {
		o.Limiter = ratelimit.NewMemory(nil)
	}
	s := &Server{Options: o}
	s.calls.init()
	s.trouble = trouble{log: o.Log, name: s.targetName, since: map[string]failures{}}
	return s
}

// Use makes snapshot the one that new calls take.
func (s *Server) Use(snapshot *Snapshot) { s.snapshot.Store(snapshot) }

// Active is how many calls are under way.
func (s *Server) Active() int64 { return s.active.Load() }

// Register adds the ext_proc service to a gRPC server.
func (s *Server) Register(g grpc.ServiceRegistrar) {
	extprocv3.RegisterExternalProcessorServer(g, s)
}

// GRPCOptions are what a gRPC server needs to carry bodies of maxBody bytes at little cost.
func GRPCOptions(maxBody int64) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(int(maxBody) + 1<<20),
		grpc.MaxSendMsgSize(int(maxBody)*2 + 1<<20),
		grpc.NumStreamWorkers(16),
		// Few connections carry everything: large buffers save system calls.
		grpc.WriteBufferSize(256 << 10),
		grpc.ReadBufferSize(256 << 10),
		grpc.StaticStreamWindowSize(16 << 20),
		grpc.StaticConnWindowSize(64 << 20),
		grpc.MaxConcurrentStreams(1 << 20),
		grpc.ForceServerCodecV2(wire.Codec{}),
	}
}

// Process is one ext_proc stream: of the router's filter, which sees a call once, or of the upstream
// filter, which sees one attempt.
//
// A panic costs the one call that it happened in.
func (s *Server) Process(stream extprocv3.ExternalProcessor_ProcessServer) (err error) {
	defer func() {
		if v := recover(); v != nil {
			s.Log.Error("a call failed by a fault in sluice", "panic", v, "stack", string(debug.Stack()))
			err = status.Error(codes.Internal, "sluice could not process this call")
		}
	}()
	if from := metadata.ValueFromIncomingContext(stream.Context(), names.MetadataFilter); len(from) == 1 {
		switch from[0] {
		case names.FilterUpstream:
			return s.upstream(stream)
		case names.FilterVerdict:
			return s.judge(stream)
		}
	}
	return s.router(stream)
}

// guard runs what has a goroutine of its own, such as a timer's: a panic there would end the process.
func (s *Server) guard(f func()) {
	defer func() {
		if v := recover(); v != nil {
			s.Log.Error("a call failed by a fault in sluice", "panic", v, "stack", string(debug.Stack()))
		}
	}()
	f()
}

func (s *Server) router(stream extprocv3.ExternalProcessor_ProcessServer) error {
	c := s.begin()
	c.ctx = stream.Context()
	c.send = func(out *wire.Reply) error { return stream.SendMsg(out) }
	defer c.finish()
	var in wire.Message
	for {
		if err := stream.RecvMsg(&in); err != nil {
			return ended(err)
		}
		out, err := c.answer(&in)
		if err != nil {
			s.Log.Error("a call ended in a fault of sluice's own", "call", c.clientID, "error", err)
			return status.Error(codes.Internal, "sluice could not process this call")
		}
		if err := c.say(out); err != nil {
			return ended(err)
		}
	}
}

// ended makes of a stream's end what gRPC shall report: Envoy closes streams when a call is over or its
// client has left, and neither is a fault.
func ended(err error) error {
	if errors.Is(err, io.EOF) || status.Code(err) == codes.Canceled {
		return nil
	}
	return err
}

// answer is the reply to one message, or an error that fails the call closed.
func (c *Call) answer(in *wire.Message) (*wire.Reply, error) {
	if c.together && c.refused && (in.Kind == wire.RequestBody || in.Kind == wire.RequestTrailers) {
		return nil, nil // it was on its way already
	}
	if !c.expects(in.Kind) {
		return nil, fmt.Errorf("Envoy sent message %d after message %d", in.Kind, c.last)
	}
	c.last = in.Kind
	switch in.Kind {
	case wire.RequestHeaders:
		return c.onRequestHeaders(in), nil
	case wire.RequestBody:
		if c.together {
			return c.gather(in), nil
		}
		return c.onRequestBody(in.Body), nil
	case wire.ResponseHeaders:
		return c.onResponseHeaders(in), nil
	case wire.ResponseBody:
		return c.onResponseBody(in)
	case wire.RequestTrailers, wire.ResponseTrailers:
		if c.together && in.Kind == wire.RequestTrailers {
			return c.gather(in), nil
		}
		return pass(in.Kind), nil
	}
	return nil, errors.New("Envoy sent a message that this version of sluice does not know")
}

// expects tells whether a message may come now: each part of a call comes once and in order, but for the
// pieces of an answer's body; a body only after a key was found; nothing after the end.
func (c *Call) expects(k wire.Kind) bool {
	switch {
	case c.refused, c.finished && k != wire.ResponseTrailers:
		return false
	case k == wire.RequestBody:
		return c.key != nil && (c.last < k || c.together && c.last == k && c.plan == nil)
	case k == wire.ResponseBody:
		return c.last <= k
	}
	return c.last < k
}

// random feeds the planner; math/rand/v2's global source is safe for concurrent use and needs no lock.
func random() float64 { return rand.Float64() }

func since(t time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	return time.Since(t)
}

// apiBaseOf is where a deployment is, as its clients may see it.
func (s *Server) apiBaseOf(id string) string {
	if snapshot := s.snapshot.Load(); snapshot != nil && snapshot.Deployments[id] != nil {
		return snapshot.Deployments[id].APIBase
	}
	return ""
}

// targetName is a deployment as a person knows it: its model group and its provider's model.
func (s *Server) targetName(id string) string {
	snapshot := s.snapshot.Load()
	if snapshot == nil || snapshot.Deployments[id] == nil || snapshot.Deployments[id].Target == nil {
		return ""
	}
	d := snapshot.Deployments[id]
	return d.Group + " (" + d.Target.Provider() + "/" + d.Target.Model() + ")"
}
