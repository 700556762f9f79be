package extproc

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/envoy/names"
	"github.com/sluicegw/sluice/policy/keys"
	"github.com/sluicegw/sluice/policy/observe"
	"github.com/sluicegw/sluice/policy/route"
)

const (
	testKey   = "sk-test-0123456789abcdef"
	firstKey  = "sk-of-the-first-deployment"
	secondKey = "sk-of-the-second-deployment"
	body      = `{"model":"group","messages":[{"role":"user","content":"hello"}]}`
	answerOK  = `{"id":"x","object":"chat.completion","created":1,"model":"up","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}`
)

// testServer has one group of two deployments at different providers.
func testServer(t testing.TB) *Server {
	t.Helper()
	settings := route.DefaultSettings()
	settings.NumRetries = 3
	first, last := 1, 2
	table, err := route.NewTable([]route.Deployment{{ID: "one", Group: "group", Order: &first}, {ID: "two", Group: "group", Order: &last}}, settings)
	if err != nil {
		t.Fatal(err)
	}
	health := route.NewHealth(nil, nil)
	health.Apply(table)
	m := observe.New("test")
	m.Publish([]string{"group"}, []observe.Deployment{{ID: "one", Group: "group"}, {ID: "two", Group: "group"}})
	s := NewServer(Options{Log: slog.New(slog.DiscardHandler), Health: health, Metrics: m, MaxBody: 1 << 20, MaxHeld: 1 << 24})
	snapshot := &Snapshot{Table: table, Keys: keys.New(testKey), Deployments: map[string]*Deployment{}, Timeout: time.Minute, Version: "test"}
	for id, p := range map[string]adapters.Params{
		"one": {Model: "openai/up-one", APIKey: firstKey, APIBase: "http://one.example/v1"},
		"two": {Model: "anthropic/up-two", APIKey: secondKey, APIBase: "http://two.example"},
	} {
		target, err := adapters.New(p)
		if err != nil {
			t.Fatal(err)
		}
		snapshot.Deployments[id] = &Deployment{ID: id, Group: "group", Cluster: id + ".hash", Target: target, APIBase: p.APIBase}
	}
	s.Use(snapshot)
	return s
}

// envoySide speaks to a server as Envoy does, over gRPC.
type envoySide struct {
	t      *testing.T
	server *Server
	grpc   *grpc.Server
	client extprocv3.ExternalProcessorClient
	conn   *grpc.ClientConn
}

func connect(t *testing.T) *envoySide {
	t.Helper()
	e := &envoySide{t: t, server: testServer(t)}
	l := bufconn.Listen(1 << 20)
	e.grpc = grpc.NewServer(GRPCOptions(e.server.MaxBody)...)
	e.server.Register(e.grpc)
	go func() { _ = e.grpc.Serve(l) }()
	var err error
	e.conn, err = grpc.NewClient("passthrough:///bufconn", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	e.client = extprocv3.NewExternalProcessorClient(e.conn)
	t.Cleanup(func() {
		_ = e.conn.Close()
		e.grpc.Stop()
	})
	return e
}

// idle waits until every stream has been served to its end and checks that nothing of a call is left.
func (e *envoySide) idle(counted float64) {
	e.t.Helper()
	e.grpc.GracefulStop()
	clean(e.t, e.server)
	if got := calls(e.t, e.server); got != counted {
		e.t.Errorf("%v calls were counted, want %v", got, counted)
	}
}

// clean checks that a server without streams holds nothing.
func clean(t *testing.T, s *Server) {
	t.Helper()
	if n, held := s.Active(), s.held.Load(); n != 0 || held != 0 {
		t.Errorf("%d calls are active, %d bytes are held", n, held)
	}
	for i := range s.calls.shard {
		if n := len(s.calls.shard[i].calls); n != 0 {
			t.Errorf("the registry still knows %d calls", n)
		}
	}
}

func (e *envoySide) open(ctx context.Context, filter string) extprocv3.ExternalProcessor_ProcessClient {
	e.t.Helper()
	stream, err := e.client.Process(metadata.AppendToOutgoingContext(ctx, names.MetadataFilter, filter))
	if err != nil {
		e.t.Fatal(err)
	}
	return stream
}

// ask sends a message and takes its reply.
func (e *envoySide) ask(stream extprocv3.ExternalProcessor_ProcessClient, m *extprocv3.ProcessingRequest) *extprocv3.ProcessingResponse {
	e.t.Helper()
	if err := stream.Send(m); err != nil {
		e.t.Fatal(err)
	}
	out, err := stream.Recv()
	if err != nil {
		e.t.Fatal(err)
	}
	return out
}

func headerMap(pairs ...string) *corev3.HeaderMap {
	m := &corev3.HeaderMap{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m.Headers = append(m.Headers, &corev3.HeaderValue{Key: pairs[i], RawValue: []byte(pairs[i+1])})
	}
	return m
}

func requestHeaders(pairs ...string) *extprocv3.ProcessingRequest {
	return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestHeaders{RequestHeaders: &extprocv3.HttpHeaders{
		Headers: headerMap(pairs...)}}}
}

func goodHeaders() *extprocv3.ProcessingRequest {
	return requestHeaders(":method", "POST", ":path", "/v1/chat/completions", "authorization", "Bearer "+testKey)
}

func requestBody(text string) *extprocv3.ProcessingRequest {
	return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestBody{
		RequestBody: &extprocv3.HttpBody{Body: []byte(text), EndOfStream: true}}}
}

func attributes(details string, attempt, flags float64) map[string]*structpb.Struct {
	return map[string]*structpb.Struct{names.AttrFilter: {Fields: map[string]*structpb.Value{
		names.AttrCodeDetails: structpb.NewStringValue(details),
		names.AttrAttempt:     structpb.NewNumberValue(attempt),
		names.AttrFlags:       structpb.NewNumberValue(flags),
	}}}
}

func answerHeaders(code, contentType string, attempt float64) *extprocv3.ProcessingRequest {
	return &extprocv3.ProcessingRequest{
		Request: &extprocv3.ProcessingRequest_ResponseHeaders{ResponseHeaders: &extprocv3.HttpHeaders{
			Headers: headerMap(":status", code, "content-type", contentType)}},
		Attributes: attributes(viaUpstream, attempt, 0),
	}
}

func localReply(code, details string, flags float64) *extprocv3.ProcessingRequest {
	m := answerHeaders(code, "text/plain", 1)
	m.Attributes = attributes(details, 1, flags)
	return m
}

func answerBody(text string, end bool) *extprocv3.ProcessingRequest {
	return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseBody{
		ResponseBody: &extprocv3.HttpBody{Body: []byte(text), EndOfStream: end}}}
}
