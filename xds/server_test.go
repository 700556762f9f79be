package xds

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/sluicegw/sluice/envoy/names"
)

func testModel(deployments int) Model {
	m := Model{
		Listener:  Listener{Address: "127.0.0.1", Port: 4000},
		Limits:    Limits{Body: 32 << 20, Connection: 1 << 20},
		Timeouts:  Timeouts{Idle: 10 * time.Minute, Message: time.Minute, Upload: time.Minute, RetryBase: time.Millisecond, RetryMax: time.Second},
		TrustedCA: "/etc/ssl/certs/ca-certificates.crt",
	}
	for i := range deployments {
		c := Cluster{Host: fmt.Sprintf("host-%d.example.com", i), Port: 443, TLS: true, HTTP2: true}
		c.Name = ClusterName(fmt.Sprintf("deployment-%d", i), c)
		m.Clusters = append(m.Clusters, c)
		m.Groups = append(m.Groups, Group{Name: fmt.Sprintf("group-%d", i), Members: []Member{{Cluster: c.Name}}})
	}
	return m
}

// control is a server with its log, and a way to dial it.
type control struct {
	*Server
	log  bytes.Buffer // read it after the stream that wrote to it has ended
	dial *grpc.ClientConn
}

func newControl(t *testing.T) *control {
	t.Helper()
	c := &control{}
	c.Server = NewServer(t.Context(), slog.New(slog.NewTextHandler(&c.log, nil)))
	g := grpc.NewServer()
	c.Register(g)
	l := bufconn.Listen(1 << 20)
	go func() { _ = g.Serve(l) }()
	conn, err := grpc.NewClient("passthrough:///control", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	c.dial = conn
	t.Cleanup(func() {
		_ = conn.Close()
		g.Stop()
	})
	return c
}

func (c *control) publish(t *testing.T, m Model) int {
	t.Helper()
	version, err := c.Publish(t.Context(), m, nil)
	if err != nil {
		t.Fatal(err)
	}
	return version
}

// answer is one response, of either kind.
type answer struct {
	typeURL, nonce, version string
	names, removed          []string
}

// client is an Envoy of either kind, as far as the server can tell.
type client interface {
	subscribe(typeURL string, names ...string)
	receive() answer
	ack(answer)
	nack(a answer, why string)
}

type deltaClient struct {
	t      *testing.T
	stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
	held   map[string]string // what an Envoy that reconnects already has
}

func (c *control) delta(t *testing.T, held map[string]string) *deltaClient {
	t.Helper()
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(c.dial).DeltaAggregatedResources(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &deltaClient{t, stream, held}
}

func (d *deltaClient) send(r *discoveryv3.DeltaDiscoveryRequest) {
	d.t.Helper()
	r.Node = &corev3.Node{Id: "delta"}
	if err := d.stream.Send(r); err != nil {
		d.t.Fatal(err)
	}
}

func (d *deltaClient) subscribe(typeURL string, names ...string) {
	r := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeURL, ResourceNamesSubscribe: names, InitialResourceVersions: map[string]string{}}
	for _, name := range names {
		if v := d.held[name]; v != "" {
			r.InitialResourceVersions[name] = v
		}
	}
	d.send(r)
}

func (d *deltaClient) receive() answer {
	d.t.Helper()
	r, err := d.stream.Recv()
	if err != nil {
		d.t.Fatal(err)
	}
	a := answer{typeURL: r.GetTypeUrl(), nonce: r.GetNonce(), version: r.GetSystemVersionInfo(), removed: r.GetRemovedResources()}
	for _, x := range r.GetResources() {
		a.names = append(a.names, x.GetName())
		if d.held != nil {
			d.held[x.GetName()] = x.GetVersion()
		}
	}
	slices.Sort(a.names)
	return a
}

func (d *deltaClient) ack(a answer) {
	d.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: a.typeURL, ResponseNonce: a.nonce})
}

func (d *deltaClient) nack(a answer, why string) {
	d.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: a.typeURL, ResponseNonce: a.nonce, ErrorDetail: &rpcstatus.Status{Message: why}})
}

type sotwClient struct {
	t      *testing.T
	stream discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesClient
	wants  map[string][]string
	taken  map[string]string
}

func (c *control) sotw(t *testing.T) *sotwClient {
	t.Helper()
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(c.dial).StreamAggregatedResources(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &sotwClient{t, stream, map[string][]string{}, map[string]string{}}
}

func (s *sotwClient) send(a answer, why string) {
	s.t.Helper()
	r := &discoveryv3.DiscoveryRequest{Node: &corev3.Node{Id: "sotw"}, TypeUrl: a.typeURL, ResponseNonce: a.nonce,
		VersionInfo: s.taken[a.typeURL], ResourceNames: s.wants[a.typeURL]}
	if why != "" {
		r.ErrorDetail = &rpcstatus.Status{Message: why}
	}
	if err := s.stream.Send(r); err != nil {
		s.t.Fatal(err)
	}
}

func (s *sotwClient) subscribe(typeURL string, names ...string) {
	s.wants[typeURL] = names
	s.send(answer{typeURL: typeURL}, "")
}

func (s *sotwClient) receive() answer {
	s.t.Helper()
	r, err := s.stream.Recv()
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{typeURL: r.GetTypeUrl(), nonce: r.GetNonce(), version: r.GetVersionInfo(), names: make([]string, len(r.GetResources()))}
}

func (s *sotwClient) ack(a answer) {
	s.taken[a.typeURL] = a.version
	s.send(a, "")
}

func (s *sotwClient) nack(a answer, why string) { s.send(a, why) }

// begin subscribes as Envoy does and takes the first of everything.
func begin(t *testing.T, c client) {
	t.Helper()
	c.subscribe(resource.ClusterType)
	c.ack(c.receive())
	c.subscribe(resource.ListenerType)
	c.ack(c.receive())
	c.subscribe(resource.RouteType, names.RouteConfig)
	a := c.receive()
	if a.typeURL != resource.RouteType {
		t.Fatalf("%s came, not the routes", a.typeURL)
	}
	c.ack(a)
}

func wait(t *testing.T, s *Server, version int) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return s.Wait(ctx, version)
}

func TestBothKindsOfClients(t *testing.T) {
	for _, kind := range []string{"delta", "sotw"} {
		t.Run(kind, func(t *testing.T) {
			c := newControl(t)
			first := c.publish(t, testModel(1))
			var envoy client
			if kind == "sotw" {
				envoy = c.sotw(t)
			} else {
				envoy = c.delta(t, nil)
			}
			begin(t, envoy)
			if err := wait(t, c.Server, first); err != nil {
				t.Fatal(err)
			}
			// A publication sends clusters before the routes that name them, and the listener not at all.
			second := c.publish(t, testModel(2))
			clusters := envoy.receive()
			routes := answer{}
			if kind == "sotw" { // here everything is sent anew
				envoy.ack(clusters)
				for routes.typeURL != resource.RouteType {
					routes = envoy.receive()
					envoy.ack(routes)
				}
			} else {
				routes = envoy.receive()
				if len(clusters.names) != 1 || !strings.HasPrefix(clusters.names[0], "deployment-1.") {
					t.Errorf("clusters sent: %v", clusters.names)
				}
				envoy.ack(clusters)
				envoy.ack(routes)
			}
			if clusters.typeURL != resource.ClusterType || routes.typeURL != resource.RouteType {
				t.Errorf("sent %s, then %s", clusters.typeURL, routes.typeURL)
			}
			if err := wait(t, c.Server, second); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestRejection: a rejected cluster is an error with Envoy's words, even if the routes are taken, until
// newer clusters are.
func TestRejection(t *testing.T) {
	c := newControl(t)
	c.publish(t, testModel(1))
	envoy := c.delta(t, nil)
	begin(t, envoy)
	version := c.publish(t, testModel(2))
	clusters := envoy.receive()
	routes := envoy.receive()
	envoy.nack(clusters, "deployment-1: no such thing")
	envoy.ack(routes)
	if err := wait(t, c.Server, version); err == nil || !strings.Contains(err.Error(), "delta: deployment-1: no such thing") {
		t.Fatalf("Wait: %v", err)
	}
	version = c.publish(t, testModel(1))
	clusters = envoy.receive()
	if len(clusters.removed) != 1 {
		t.Errorf("going back removes %v", clusters.removed)
	}
	envoy.ack(clusters)
	envoy.ack(envoy.receive())
	for wait(t, c.Server, version) != nil { // the rejection stands until the first of the two is taken
		runtime.Gosched()
	}
	_ = envoy.stream.CloseSend()
	if !strings.Contains(c.log.String(), "deployment-1: no such thing") {
		t.Errorf("the log is silent: %s", c.log.String())
	}
}

// TestReconnect: an Envoy that outlives sluice has what the next sluice publishes, and still has to say so.
func TestReconnect(t *testing.T) {
	before := newControl(t)
	before.publish(t, testModel(1))
	held := map[string]string{}
	begin(t, before.delta(t, held))
	after := newControl(t)
	version := after.publish(t, testModel(1))
	again := after.delta(t, maps.Clone(held))
	again.subscribe(resource.RouteType, names.RouteConfig)
	again.ack(again.receive())
	if err := wait(t, after.Server, version); err != nil {
		t.Error(err)
	}
}

func TestWaitEnds(t *testing.T) {
	c := newControl(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Wait(ctx, 1); err == nil || !strings.Contains(err.Error(), "version 1") {
		t.Errorf("without any Envoy: %v", err)
	}
}

// TestSameBytes: what did not change is not sent; above all the listener, whose change would drain it.
func TestSameBytes(t *testing.T) {
	versions := func(version string, m Model) map[string]string {
		s, err := Build(m, nil, version)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.ConstructVersionMap(); err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for _, typeURL := range []string{resource.ClusterType, resource.ListenerType, resource.RouteType} {
			for name, v := range s.GetVersionMap(typeURL) {
				out[typeURL+" "+name] = v
			}
		}
		return out
	}
	want := versions("1", testModel(20))
	for range 20 {
		if got := versions("1", testModel(20)); !maps.Equal(got, want) {
			t.Fatal("the same model made other resources")
		}
	}
	longer := testModel(3)
	longer.Timeouts.Idle = time.Hour
	listener := resource.ListenerType + " " + names.Listener
	if got := versions("2", longer)[listener]; got != want[listener] || got == "" {
		t.Error("the listener follows the configuration")
	}
}

func TestModelFaults(t *testing.T) {
	for name, change := range map[string]func(*Model){
		"stands twice": func(m *Model) { m.Clusters = append(m.Clusters, m.Clusters[0]) },
		"no address":   func(m *Model) { m.Clusters[0].Port = 0 },
		"not in the":   func(m *Model) { m.Groups[0].Members[0].Cluster = "x" },
		"limits":       func(m *Model) { m.Limits = Limits{} },
		"certificate":  func(m *Model) { m.Listener.TLS = true },
	} {
		m := testModel(1)
		change(&m)
		c := newControl(t)
		if _, err := c.Publish(t.Context(), m, nil); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// BenchmarkPublish is one publication with so many deployments, each a model group of its own, and one
// changed since the one before. held-MB is what a Server keeps in memory.
func BenchmarkPublish(b *testing.B) {
	for _, n := range []int{100, 1_000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := NewServer(b.Context(), slog.New(slog.DiscardHandler))
			m := testModel(n)
			before := heap()
			for i := 0; b.Loop(); i++ {
				m.Clusters[0].Port = uint32(1000 + i%1000)
				if _, err := s.Publish(b.Context(), m, nil); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(heap()-before)/(1<<20), "held-MB")
			runtime.KeepAlive(s)
		})
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
