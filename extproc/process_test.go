package extproc

import (
	"context"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/sluicegw/sluice/envoy/names"
)

const streamBody = `{"model":"group","stream":true,"messages":[{"role":"user","content":"hello"}]}`

// TestEveryPathEndsOnce: however a call goes and wherever Envoy leaves it, it is counted once and nothing
// of it stays.
func TestEveryPathEndsOnce(t *testing.T) {
	const event = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":null}]}\n\n"
	good := []*extprocv3.ProcessingRequest{goodHeaders(), requestBody(body), answerHeaders("200", "application/json", 1), answerBody(answerOK, true)}
	streamed := []*extprocv3.ProcessingRequest{goodHeaders(), requestBody(streamBody), answerHeaders("200", "text/event-stream", 1),
		answerBody(event, false), answerBody(event[:20], false), answerBody(event[20:]+"data: [DONE]\n\n", true)}
	for _, tt := range []struct {
		name     string
		messages []*extprocv3.ProcessingRequest
		status   int // of the last reply, when it ends the call; 0: it goes on
	}{
		{"whole", good, 0},
		{"streamed", streamed, 0},
		{"a bad key", []*extprocv3.ProcessingRequest{requestHeaders(":path", "/v1/chat/completions", "authorization", "Bearer sk-wrong")}, 401},
		{"a bad path", []*extprocv3.ProcessingRequest{requestHeaders(":path", "/v1/x", "authorization", "Bearer "+testKey)}, 404},
		{"a bad body", []*extprocv3.ProcessingRequest{goodHeaders(), requestBody("nonsense")}, 400},
		{"a name without end", []*extprocv3.ProcessingRequest{goodHeaders(), requestBody(strings.Replace(body, "group", strings.Repeat("g", 600), 1))}, 400},
		{"too long", []*extprocv3.ProcessingRequest{requestHeaders(":path", "/v1/chat/completions", "authorization", "Bearer "+testKey, "content-length", "9999999")}, 413},
		{"Envoy refuses the body", []*extprocv3.ProcessingRequest{goodHeaders(), localReply("413", "request_payload_too_large", 0)}, 413},
		{"Envoy could not connect", []*extprocv3.ProcessingRequest{goodHeaders(), requestBody(body), localReply("503", "upstream_reset_before_response_started{connection_failure}", 1<<5)}, 500},
		{"timed out", []*extprocv3.ProcessingRequest{goodHeaders(), requestBody(body), localReply("504", "upstream_response_timeout", 1<<2)}, 408},
		{"an answer of an attempt that is not planned", []*extprocv3.ProcessingRequest{goodHeaders(), requestBody(body), answerHeaders("200", "application/json", 40)}, 500},
		{"an answer without an attempt", []*extprocv3.ProcessingRequest{goodHeaders(), requestBody(body), answerHeaders("200", "application/json", 0)}, 500},
		{"garbage from the provider", []*extprocv3.ProcessingRequest{goodHeaders(), requestBody(body), answerHeaders("200", "application/json", 1), answerBody("{", true)}, 0},
	} {
		for n := 1; n <= len(tt.messages); n++ {
			for _, cancelled := range []bool{false, true} {
				e := connect(t)
				ctx, cancel := context.WithCancel(t.Context())
				stream := e.open(ctx, names.FilterRouter)
				var last *extprocv3.ProcessingResponse
				for _, m := range tt.messages[:n] {
					last = e.ask(stream, m)
				}
				if got := int(last.GetImmediateResponse().GetStatus().GetCode()); n == len(tt.messages) && got != tt.status {
					t.Errorf("%s: the call ended with %d, want %d", tt.name, got, tt.status)
				}
				if cancelled {
					cancel()
				} else {
					_ = stream.CloseSend()
				}
				_, err := stream.Recv()
				if !cancelled && !errors.Is(err, io.EOF) {
					t.Errorf("%s: left after %d messages, the stream ends with %v", tt.name, n, err)
				}
				e.idle(1)
				cancel()
			}
		}
	}
}

// TestOutOfOrder: what Envoy would never send fails the call, and leaves nothing either.
func TestOutOfOrder(t *testing.T) {
	answered := []*extprocv3.ProcessingRequest{goodHeaders(), requestBody(body), answerHeaders("200", "application/json", 1), answerBody(answerOK, true)}
	for name, messages := range map[string][]*extprocv3.ProcessingRequest{
		"a body first":          {requestBody(body)},
		"an answer's body":      {goodHeaders(), answerBody("{}", true)},
		"headers twice":         {goodHeaders(), goodHeaders()},
		"a body twice":          {goodHeaders(), requestBody(body), requestBody(body)},
		"answers twice":         {goodHeaders(), requestBody(body), answerHeaders("200", "application/json", 1), answerHeaders("200", "application/json", 1)},
		"more after the end":    append(slices.Clone(answered), answerBody(answerOK, true)),
		"a body after refusal":  {requestHeaders(":path", "/v1/chat/completions"), requestBody(body)},
		"a message of no kind":  {goodHeaders(), {}},
		"a body after an error": {goodHeaders(), requestBody("nonsense"), answerHeaders("200", "application/json", 1)},
	} {
		e := connect(t)
		stream := e.open(t.Context(), names.FilterRouter)
		for _, m := range messages[:len(messages)-1] {
			e.ask(stream, m)
		}
		if err := stream.Send(messages[len(messages)-1]); err != nil {
			t.Fatal(err)
		}
		if out, err := stream.Recv(); status.Code(err) != codes.Internal {
			t.Errorf("%s: %v, %v", name, out, err)
		}
		e.grpc.GracefulStop()
		clean(t, e.server)
		if n := calls(t, e.server); n > 1 {
			t.Errorf("%s: %v calls were counted", name, n)
		}
	}
}

// TestFurtherAttempts get the next deployment's address, format and credentials, and nothing of the one
// before; what is not in the plan of a call under way gets nothing.
func TestFurtherAttempts(t *testing.T) {
	e := connect(t)
	stream := e.open(t.Context(), names.FilterRouter)
	e.ask(stream, goodHeaders())
	first := e.ask(stream, requestBody(body)).GetRequestBody().GetResponse()
	id := set(first.GetHeaderMutation(), names.HeaderCall)
	if got := set(first.GetHeaderMutation(), "authorization"); id == "" || got != "Bearer "+firstKey {
		t.Fatalf("attempt 1: id %q, authorization %q", id, got)
	}
	attempt := func(id, n, cluster string) (*extprocv3.ProcessingResponse, error) {
		m := requestHeaders(":method", "POST", ":path", "/v1/chat/completions", ":authority", "one.example",
			names.HeaderCall, id, names.HeaderAttempt, n, "authorization", "Bearer "+firstKey, "cookie", "c", "x-envoy-max-retries", "3")
		m.Attributes = map[string]*structpb.Struct{names.AttrFilter: {Fields: map[string]*structpb.Value{
			names.AttrCluster: structpb.NewStringValue(cluster)}}}
		s := e.open(t.Context(), names.FilterUpstream)
		if err := s.Send(m); err != nil {
			t.Fatal(err)
		}
		_ = s.CloseSend()
		return s.Recv()
	}
	out, err := attempt(id, "2", "two.hash")
	if err != nil {
		t.Fatal(err)
	}
	common := out.GetRequestHeaders().GetResponse()
	m := common.GetHeaderMutation()
	if set(m, ":authority") != "two.example" || set(m, ":path") != "/v1/messages" || set(m, "x-api-key") != secondKey ||
		!slices.Contains(m.GetRemoveHeaders(), "authorization") || !slices.Contains(m.GetRemoveHeaders(), "cookie") ||
		!strings.Contains(string(common.GetBodyMutation().GetBody()), "up-two") ||
		common.GetStatus() != extprocv3.CommonResponse_CONTINUE_AND_REPLACE {
		t.Errorf("attempt 2: %v", out)
	}
	for _, tt := range []struct {
		id, n, cluster string
		code           codes.Code
	}{
		{"00000000000000000000000000000000", "2", "two.hash", codes.NotFound},
		{"", "2", "two.hash", codes.NotFound},
		{id, "2", "one.hash", codes.FailedPrecondition},
		{id, "2", "", codes.FailedPrecondition},
		{id, "2", "two.other", codes.FailedPrecondition},
		{id, "40", "two.hash", codes.FailedPrecondition},
		{id, "0", "one.hash", codes.FailedPrecondition},
		{id, "-1", "one.hash", codes.FailedPrecondition},
		{id, "two", "two.hash", codes.InvalidArgument},
		{id, "", "two.hash", codes.InvalidArgument},
	} {
		out, err := attempt(tt.id, tt.n, tt.cluster)
		if status.Code(err) != tt.code {
			t.Errorf("%+v: %v, %v", tt, out, err)
		}
		if err != nil && (strings.Contains(err.Error(), firstKey) || strings.Contains(err.Error(), secondKey)) {
			t.Errorf("%+v: the error tells a key", tt)
		}
	}
	e.ask(stream, answerHeaders("200", "application/json", 2))
	if _, err := attempt(id, "2", "two.hash"); status.Code(err) != codes.NotFound {
		t.Errorf("after the answer has begun: %v", err)
	}
	_ = stream.CloseSend()
	_, _ = stream.Recv()
	e.idle(1)
}

func set(m *extprocv3.HeaderMutation, name string) string {
	for _, h := range m.GetSetHeaders() {
		if h.GetHeader().GetKey() == name {
			return string(h.GetHeader().GetRawValue())
		}
	}
	return ""
}

// TestBeforeTheFirstConfiguration, calls are told to come back.
func TestBeforeTheFirstConfiguration(t *testing.T) {
	e := connect(t)
	e.server.Use(nil)
	stream := e.open(t.Context(), names.FilterRouter)
	out := e.ask(stream, goodHeaders()).GetImmediateResponse()
	if out.GetStatus().GetCode() != 503 || set(out.GetHeaders(), "retry-after") != "1" {
		t.Errorf("%v", out)
	}
	_ = stream.CloseSend()
	_, _ = stream.Recv()
	e.idle(1)
}

// TestNoRoomForBodies: what all calls together may hold is not exceeded by one more, and comes free again.
func TestNoRoomForBodies(t *testing.T) {
	e := connect(t)
	e.server.MaxHeld = int64(len(body)) + 10
	one, two := e.open(t.Context(), names.FilterRouter), e.open(t.Context(), names.FilterRouter)
	e.ask(one, goodHeaders())
	e.ask(two, goodHeaders())
	if out := e.ask(one, requestBody(body)); out.GetImmediateResponse() != nil {
		t.Errorf("%v", out)
	}
	if out := e.ask(two, requestBody(body)); out.GetImmediateResponse().GetStatus().GetCode() != 503 {
		t.Errorf("%v", out)
	}
	for _, s := range []extprocv3.ExternalProcessor_ProcessClient{one, two} {
		_ = s.CloseSend()
		_, _ = s.Recv()
	}
	e.idle(2)
}

// TestNoGoroutineStays when many streams have ended in many ways.
func TestNoGoroutineStays(t *testing.T) {
	e := connect(t)
	warm := e.open(t.Context(), names.FilterRouter)
	e.ask(warm, goodHeaders())
	before := runtime.NumGoroutine()
	for i := range 200 {
		ctx, cancel := context.WithCancel(t.Context())
		stream := e.open(ctx, names.FilterRouter)
		e.ask(stream, goodHeaders())
		if i%3 > 0 {
			e.ask(stream, requestBody(body))
		}
		if i%3 > 1 {
			e.ask(stream, answerHeaders("200", "application/json", 1)) // starts the deadline
		}
		cancel()
		_, _ = stream.Recv()
	}
	_ = warm.CloseSend()
	_, _ = warm.Recv()
	e.idle(201)
	_ = e.conn.Close()
	for deadline := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}
