package extproc

import (
	"errors"
	"io"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	planv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/router/cluster_specifiers/priority_group/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/sluicegw/sluice/envoy/names"
)

// watchedHeaders are an answer's headers as the filter of attempt n, on a cluster, sends them.
func watchedHeaders(call, code, contentType, cluster string, n float64) *extprocv3.ProcessingRequest {
	m := answerHeaders(code, contentType, n)
	m.Attributes[names.AttrFilter].Fields[names.AttrCluster] = structpb.NewStringValue(cluster)
	m.MetadataContext = &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{names.NamespaceLane: {
		Fields: map[string]*structpb.Value{names.KeyCall: structpb.NewStringValue(call)}}}}
	return m
}

// judged sends an answer in pieces and returns the verdict on its headers, and whether Envoy is to forget the body.
// Then the stream ends, for that lets the answer go.
func (e *envoySide) judged(head *extprocv3.ProcessingRequest, pieces ...string) (verdict string, plan []string, dropped bool) {
	e.t.Helper()
	stream := e.open(e.t.Context(), names.FilterVerdict)
	head.GetResponseHeaders().EndOfStream = len(pieces) == 0
	if err := stream.Send(head); err != nil {
		e.t.Fatal(err)
	}
	for i, p := range pieces {
		if err := stream.Send(answerBody(p, i == len(pieces)-1)); err != nil && !errors.Is(err, io.EOF) { // the verdict may be there
			e.t.Fatal(err)
		}
	}
	out, err := stream.Recv()
	if err != nil {
		e.t.Fatal(err)
	}
	verdict = set(out.GetResponseHeaders().GetResponse().GetHeaderMutation(), names.HeaderVerdict)
	if any := out.GetTypedDynamicMetadata()[names.NamespacePlan]; any != nil {
		var o planv3.PriorityGroupsOverride
		if err := any.UnmarshalTo(&o); err != nil {
			e.t.Fatal(err)
		}
		for _, g := range o.GetPriorityGroups() {
			plan = append(plan, g.GetClusters()[0].GetClusterName())
		}
	}
	dropped = out.GetResponseHeaders().GetResponse().GetStatus() == extprocv3.CommonResponse_CONTINUE_AND_REPLACE
	if out, err := stream.Recv(); !errors.Is(err, io.EOF) {
		e.t.Errorf("after the verdict: %v, %v", out, err)
	}
	return verdict, plan, dropped
}

// TestVerdicts: which answers are used, and what Envoy is told to try instead of the others. The group has
// deployment one, and two behind it; three retries go over both.
func TestVerdicts(t *testing.T) {
	const first = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"},\"finish_reason\":null}]}\n\n"
	const words = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"},\"finish_reason\":null}]}\n\n"
	refusal := func(code string) string { return `{"error":{"message":"no","code":"` + code + `"}}` }
	for _, tt := range []struct {
		name, request, status, kind string
		pieces                      []string
		verdict                     string
		plan                        string // of the attempts after the first
	}{
		{"a good answer", body, "200", "application/json", []string{answerOK[:20], answerOK[20:]}, "", ""},
		{"down", body, "500", "application/json", []string{refusal("x")}, "internal", "two.hash one.hash two.hash"},
		{"busy, without a body", body, "429", "text/plain", nil, "rate_limit", "two.hash one.hash two.hash"},
		{"a bad key", body, "401", "application/json", []string{refusal("invalid_api_key")}, "unauthenticated", "two.hash two.hash"},
		{"a bad request", body, "400", "application/json", []string{refusal("x")}, "", ""},
		{"too long, and nothing else to ask", body, "400", "application/json", []string{refusal("context_length_exceeded")}, "", ""},
		{"garbage", body, "200", "application/json", []string{"<html>"}, "bad_reply", "two.hash one.hash two.hash"},
		{"an error with a good status", body, "200", "application/json", []string{refusal("rate_limit_exceeded")}, "rate_limit", "two.hash one.hash two.hash"},
		{"a bad key with a good status", body, "200", "application/json", []string{refusal("invalid_api_key")}, "unauthenticated", "two.hash two.hash"},
		{"a redirect", body, "302", "text/plain", nil, "bad_reply", "two.hash one.hash two.hash"},
		{"a redirect of a stream", streamBody, "307", "text/event-stream", []string{"data: {}\n\n"}, "bad_reply", "two.hash one.hash two.hash"},
		{"a good stream", streamBody, "200", "text/event-stream", []string{first, words, "data: [DONE]\n\n"}, "", ""},
		{"a stream that is an error", streamBody, "200", "text/event-stream", []string{"data: " + refusal("x") + "\n\n"}, "internal", "two.hash one.hash two.hash"},
		{"a stream that ends before it says anything", streamBody, "200", "text/event-stream", []string{first[:30], first[30:]}, "unavailable", "two.hash one.hash two.hash"},
		{"a stream that breaks after its words", streamBody, "200", "text/event-stream", []string{first + words, "data: " + refusal("x") + "\n\n"}, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := connect(t)
			stream := e.open(t.Context(), names.FilterRouter)
			e.ask(stream, goodHeaders())
			sent := e.ask(stream, requestBody(tt.request)).GetRequestBody().GetResponse()
			id := set(sent.GetHeaderMutation(), names.HeaderCall)
			verdict, plan, dropped := e.judged(watchedHeaders(id, tt.status, tt.kind, "one.hash", 1), tt.pieces...)
			if verdict != tt.verdict {
				t.Errorf("verdict %q, want %q", verdict, tt.verdict)
			}
			if got := strings.TrimPrefix(strings.Join(plan, " "), "one.hash "); !strings.HasPrefix(got, tt.plan) || tt.plan == "" && plan != nil {
				t.Errorf("plan %v, want one.hash and %s", plan, tt.plan)
			}
			if dropped != (tt.verdict != "") {
				t.Errorf("the body is dropped: %v", dropped)
			}
			_ = stream.CloseSend()
			_, _ = stream.Recv()
			e.idle(1)
		})
	}
}

// TestVerdictOfNobody: an answer to a call that is not known, or that came from where it was not sent, passes.
func TestVerdictOfNobody(t *testing.T) {
	e := connect(t)
	stream := e.open(t.Context(), names.FilterRouter)
	e.ask(stream, goodHeaders())
	sent := e.ask(stream, requestBody(body)).GetRequestBody().GetResponse()
	id := set(sent.GetHeaderMutation(), names.HeaderCall)
	for name, head := range map[string]*extprocv3.ProcessingRequest{
		"no call":         watchedHeaders("", "500", "application/json", "one.hash", 1),
		"unknown":         watchedHeaders("nobody", "500", "application/json", "one.hash", 1),
		"another cluster": watchedHeaders(id, "500", "application/json", "two.hash", 1),
		"no attempt":      watchedHeaders(id, "500", "application/json", "one.hash", 0),
		"far attempt":     watchedHeaders(id, "500", "application/json", "one.hash", 99),
	} {
		if verdict, plan, dropped := e.judged(head, "{}"); verdict != "" || plan != nil || dropped {
			t.Errorf("%s: %q %v %v", name, verdict, plan, dropped)
		}
	}
	_ = stream.CloseSend()
	_, _ = stream.Recv()
	e.idle(1)
}

// TestLateErrorOfAStream: a stream that is an error from the start, with nowhere left to go, is answered with the
// status that it should have had.
func TestLateErrorOfAStream(t *testing.T) {
	e := connect(t)
	stream := e.open(t.Context(), names.FilterRouter)
	e.ask(stream, goodHeaders())
	sent := e.ask(stream, requestBody(strings.Replace(streamBody, "{", `{"num_retries":0,`, 1))).GetRequestBody().GetResponse()
	id := set(sent.GetHeaderMutation(), names.HeaderCall)
	event := "data: {\"error\":{\"message\":\"slow down\",\"code\":\"rate_limit_exceeded\"}}\n\n"
	if verdict, _, _ := e.judged(watchedHeaders(id, "200", "text/event-stream", "one.hash", 1), event); verdict != "rate_limit" {
		t.Fatalf("attempt 1: %q", verdict)
	}
	if verdict, _, _ := e.judged(watchedHeaders(id, "200", "text/event-stream", "two.hash", 2), "data: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n"); verdict != "" {
		t.Fatalf("attempt 2: %q", verdict)
	}
	out := e.ask(stream, answerHeaders("200", "text/event-stream", 2)).GetImmediateResponse()
	if out.GetStatus().GetCode() != 500 || !strings.Contains(string(out.GetBody()), "busy") {
		t.Errorf("%v", out)
	}
	_ = stream.CloseSend()
	_, _ = stream.Recv()
	e.idle(1)
}

func TestEstimate(t *testing.T) {
	file := strings.Repeat("iVBORw0KGgo", 1000)
	for text, want := range map[string]int64{
		"":                                 0,
		"eight by":                         2,
		strings.Repeat("word ", 100):       125,
		"data:image/png;base64," + file:    0,
		"a picture " + file + " and words": 5,
		file + "\"" + file + " " + strings.Repeat("word ", 1000) + file: 1250,
		strings.Repeat("x", longestWord-1):                              longestWord / 4,
		strings.Repeat("x", longestWord):                                0,
	} {
		if got := estimate([]byte(text)); got != want {
			t.Errorf("%.30q: %d tokens, want %d", text, got, want)
		}
	}
}
