package extproc

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	modev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"

	"github.com/sluicegw/sluice/envoy/names"
)

// togetherHeaders are headers whose body does not wait for a reply to them.
func togetherHeaders(m *extprocv3.ProcessingRequest) *extprocv3.ProcessingRequest {
	m.ProtocolConfig = &extprocv3.ProtocolConfiguration{
		RequestBodyMode: modev3.ProcessingMode_FULL_DUPLEX_STREAMED, ResponseBodyMode: modev3.ProcessingMode_STREAMED}
	return m
}

func bodyPiece(text string, end bool) *extprocv3.ProcessingRequest {
	m := requestBody(text)
	m.GetRequestBody().EndOfStream = end
	return m
}

// TestTogether: one reply, to the headers, replaces headers and body, however the body comes.
func TestTogether(t *testing.T) {
	trailers := &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestTrailers{RequestTrailers: &extprocv3.HttpTrailers{}}}
	long := strings.Replace(body, "hello", strings.Repeat("h", 1<<20), 1) // over the server's limit
	for _, tt := range []struct {
		name     string
		messages []*extprocv3.ProcessingRequest
		status   int32 // of an error; 0: the request goes on
	}{
		{"in one piece", []*extprocv3.ProcessingRequest{goodHeaders(), requestBody(body)}, 0},
		{"in pieces", []*extprocv3.ProcessingRequest{goodHeaders(), bodyPiece(body[:7], false), bodyPiece("", false), bodyPiece(body[7:], true)}, 0},
		{"with an empty end", []*extprocv3.ProcessingRequest{goodHeaders(), bodyPiece(body, false), bodyPiece("", true)}, 0},
		{"with trailers", []*extprocv3.ProcessingRequest{goodHeaders(), bodyPiece(body, false), trailers}, 0},
		{"nothing but trailers", []*extprocv3.ProcessingRequest{goodHeaders(), trailers}, 400},
		{"half of it", []*extprocv3.ProcessingRequest{goodHeaders(), bodyPiece(body[:7], true)}, 400},
		{"too long", []*extprocv3.ProcessingRequest{goodHeaders(), bodyPiece(long, false), bodyPiece(long, true)}, 413},
		{"a bad key", []*extprocv3.ProcessingRequest{requestHeaders(":path", "/v1/chat/completions", "authorization", "Bearer sk-wrong"),
			bodyPiece(body[:7], false), bodyPiece(body[7:], true)}, 401},
	} {
		e := connect(t)
		stream := e.open(t.Context(), names.FilterRouter)
		for i, m := range tt.messages {
			if i == 0 {
				togetherHeaders(m)
			}
			if err := stream.Send(m); err != nil && !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
		}
		_ = stream.CloseSend()
		out, err := stream.Recv()
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if got := out.GetImmediateResponse().GetStatus().GetCode(); int32(got) != tt.status {
			t.Errorf("%s: %v", tt.name, out)
		}
		common := out.GetRequestHeaders().GetResponse()
		if sent := string(common.GetBodyMutation().GetBody()); tt.status == 0 && (common.GetStatus() != extprocv3.CommonResponse_CONTINUE_AND_REPLACE ||
			!common.GetClearRouteCache() || !strings.Contains(sent, "up-one") || !strings.Contains(sent, "hello") ||
			set(common.GetHeaderMutation(), names.HeaderLength) == "" || len(out.GetTypedDynamicMetadata()) == 0) {
			t.Errorf("%s: %v", tt.name, out)
		}
		if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: after the reply, the stream ends with %v", tt.name, err)
		}
		e.idle(1)
	}
}

// TestTogetherIsHeld: pieces of bodies count against what all calls may hold before the last has come, by what they take
// and not by what their client has announced.
func TestTogetherIsHeld(t *testing.T) {
	e := connect(t)
	e.server.MaxHeld = 10_000
	first := requestHeaders(":path", "/v1/chat/completions", "authorization", "Bearer "+testKey, "content-length", "100000")
	var streams []extprocv3.ExternalProcessor_ProcessClient
	refused := 0
	for range 3 { // the third finds no room
		stream := e.open(t.Context(), names.FilterRouter)
		streams = append(streams, stream)
		if err := stream.Send(togetherHeaders(first)); err != nil {
			t.Fatal(err)
		}
		before := e.server.held.Load()
		if err := stream.Send(bodyPiece(strings.Repeat(" ", 1000), false)); err != nil {
			t.Fatal(err)
		}
		for i := 0; e.server.held.Load() == before && i < 10_000; i++ {
			time.Sleep(time.Millisecond)
		}
	}
	for _, stream := range streams {
		_ = stream.CloseSend()
		if out, err := stream.Recv(); err == nil && out.GetImmediateResponse().GetStatus().GetCode() == 503 {
			refused++
		} else if !errors.Is(err, io.EOF) {
			t.Error(out, err)
		}
		if refused > 0 {
			_, _ = stream.Recv()
		}
	}
	if refused != 1 {
		t.Errorf("%d calls were refused", refused)
	}
	e.idle(3)
}
