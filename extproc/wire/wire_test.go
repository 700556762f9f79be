package wire

import (
	"math"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	modev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	planv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/router/cluster_specifiers/priority_group/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sluicegw/sluice/envoy/names"
)

func TestRepliesAreWhatGeneratedCodeReads(t *testing.T) {
	set := Headers{{":path", "/v1/x"}, {"authorization", strings.Repeat("k", 200)}, {"empty", ""}}
	mutation := &extprocv3.HeaderMutation{RemoveHeaders: []string{"cookie"}}
	for _, h := range set {
		mutation.SetHeaders = append(mutation.SetHeaders, &corev3.HeaderValueOption{
			Header:       &corev3.HeaderValue{Key: h.Name, RawValue: []byte(h.Value)},
			AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD})
	}
	big := []byte(strings.Repeat("b", 300_000))
	for name, c := range map[string]struct {
		reply Reply
		want  *extprocv3.ProcessingResponse
	}{
		"request headers pass": {Reply{To: RequestHeaders}, &extprocv3.ProcessingResponse{
			Response: &extprocv3.ProcessingResponse_RequestHeaders{RequestHeaders: &extprocv3.HeadersResponse{}}}},
		"request trailers pass": {Reply{To: RequestTrailers}, &extprocv3.ProcessingResponse{
			Response: &extprocv3.ProcessingResponse_RequestTrailers{RequestTrailers: &extprocv3.TrailersResponse{}}}},
		"response trailers pass": {Reply{To: ResponseTrailers}, &extprocv3.ProcessingResponse{
			Response: &extprocv3.ProcessingResponse_ResponseTrailers{ResponseTrailers: &extprocv3.TrailersResponse{}}}},
		"steered": {
			Reply{To: RequestBody, Set: set, Remove: []string{"cookie"}, Replace: true, Body: big, Steer: true, Group: "gpt", Call: "id", Plan: []string{"a.1", strings.Repeat("c", 200)}},
			&extprocv3.ProcessingResponse{
				Response: &extprocv3.ProcessingResponse_RequestBody{RequestBody: &extprocv3.BodyResponse{Response: &extprocv3.CommonResponse{
					HeaderMutation: mutation, ClearRouteCache: true,
					BodyMutation: &extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_Body{Body: big}}}}},
				DynamicMetadata: &structpb.Struct{Fields: map[string]*structpb.Value{names.NamespaceLane: structpb.NewStructValue(
					&structpb.Struct{Fields: map[string]*structpb.Value{names.KeyGroup: structpb.NewStringValue("gpt"), names.KeyCall: structpb.NewStringValue("id")}})}},
				TypedDynamicMetadata: map[string]*anypb.Any{names.NamespacePlan: packed(t, "a.1", strings.Repeat("c", 200))},
			}},
		"retried": {Reply{To: RequestHeaders, Set: set, Remove: []string{"cookie"}, Replace: true, Body: []byte("{}")}, &extprocv3.ProcessingResponse{
			Response: &extprocv3.ProcessingResponse_RequestHeaders{RequestHeaders: &extprocv3.HeadersResponse{Response: &extprocv3.CommonResponse{
				Status: extprocv3.CommonResponse_CONTINUE_AND_REPLACE, HeaderMutation: mutation,
				BodyMutation: &extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_Body{Body: []byte("{}")}}}}}}},
		"dropped": {Reply{To: ResponseHeaders, Set: set, Drop: true}, &extprocv3.ProcessingResponse{
			Response: &extprocv3.ProcessingResponse_ResponseHeaders{ResponseHeaders: &extprocv3.HeadersResponse{Response: &extprocv3.CommonResponse{
				Status:         extprocv3.CommonResponse_CONTINUE_AND_REPLACE,
				HeaderMutation: &extprocv3.HeaderMutation{SetHeaders: mutation.SetHeaders}}}}}},
		"judged": {Reply{To: ResponseHeaders, Plan: []string{"a.1"}}, &extprocv3.ProcessingResponse{
			Response:             &extprocv3.ProcessingResponse_ResponseHeaders{ResponseHeaders: &extprocv3.HeadersResponse{}},
			TypedDynamicMetadata: map[string]*anypb.Any{names.NamespacePlan: packed(t, "a.1")}}},
		"whole": {Reply{To: ResponseHeaders, Set: set, Remove: []string{"cookie"}, Whole: true}, &extprocv3.ProcessingResponse{
			Response: &extprocv3.ProcessingResponse_ResponseHeaders{ResponseHeaders: &extprocv3.HeadersResponse{
				Response: &extprocv3.CommonResponse{HeaderMutation: mutation}}},
			ModeOverride: &modev3.ProcessingMode{
				RequestHeaderMode: modev3.ProcessingMode_SKIP, ResponseHeaderMode: modev3.ProcessingMode_SEND,
				ResponseBodyMode:   modev3.ProcessingMode_BUFFERED,
				RequestTrailerMode: modev3.ProcessingMode_SKIP, ResponseTrailerMode: modev3.ProcessingMode_SKIP}}},
		"piece cleared": {Reply{To: ResponseBody, Replace: true}, &extprocv3.ProcessingResponse{
			Response: &extprocv3.ProcessingResponse_ResponseBody{ResponseBody: &extprocv3.BodyResponse{Response: &extprocv3.CommonResponse{
				BodyMutation: &extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_ClearBody{ClearBody: true}}}}}}},
		"immediate": {Reply{Set: set, Remove: []string{"cookie"}, Immediate: 429, Body: []byte(`{"error":{}}`), Details: "sluice:x"}, &extprocv3.ProcessingResponse{
			Response: &extprocv3.ProcessingResponse_ImmediateResponse{ImmediateResponse: &extprocv3.ImmediateResponse{
				Status: &typev3.HttpStatus{Code: 429}, Headers: mutation, Body: []byte(`{"error":{}}`), Details: "sluice:x"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := Codec{}.Marshal(&c.reply)
			if err != nil {
				t.Fatal(err)
			}
			var got extprocv3.ProcessingResponse
			if err := proto.Unmarshal(data.Materialize(), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, &got, protocmp.Transform()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func packed(t *testing.T, clusters ...string) *anypb.Any {
	t.Helper()
	var o planv3.PriorityGroupsOverride
	for i, c := range clusters {
		o.PriorityGroups = append(o.PriorityGroups, &planv3.PriorityGroup{Name: string(groupName(i)),
			Clusters: []*planv3.ClusterWeight{{ClusterName: c, Weight: wrapperspb.UInt32(1)}}})
	}
	a, err := anypb.New(&o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// envoys are messages as Envoy sends them, for the test and as seeds.
func envoys() []*extprocv3.ProcessingRequest {
	headers := &extprocv3.HttpHeaders{EndOfStream: true, Headers: &corev3.HeaderMap{Headers: []*corev3.HeaderValue{
		{Key: ":path", RawValue: []byte("/v1/chat/completions")}, {Key: "old", Value: "plain"}, {Key: "empty"}}}}
	attributes := map[string]*structpb.Struct{
		"other": {Fields: map[string]*structpb.Value{names.AttrCluster: structpb.NewStringValue("no")}},
		names.AttrFilter: {Fields: map[string]*structpb.Value{
			names.AttrCluster: structpb.NewStringValue("a.1"), names.AttrCodeDetails: structpb.NewStringValue("via_upstream"),
			names.AttrFlags: structpb.NewNumberValue(1 << 26), names.AttrAttempt: structpb.NewNumberValue(3)}},
	}
	body := &extprocv3.HttpBody{Body: []byte("hello"), EndOfStream: true}
	return []*extprocv3.ProcessingRequest{
		{Request: &extprocv3.ProcessingRequest_RequestHeaders{RequestHeaders: headers}, MetadataContext: &corev3.Metadata{}},
		{Request: &extprocv3.ProcessingRequest_ResponseHeaders{ResponseHeaders: headers}, MetadataContext: &corev3.Metadata{
			FilterMetadata: map[string]*structpb.Struct{"x": {}, names.NamespaceLane: {Fields: map[string]*structpb.Value{
				names.KeyGroup: structpb.NewStringValue("g"), names.KeyCall: structpb.NewStringValue("the call")}}}}},
		{Request: &extprocv3.ProcessingRequest_ResponseHeaders{ResponseHeaders: headers}, Attributes: attributes},
		{Request: &extprocv3.ProcessingRequest_RequestBody{RequestBody: body}, ProtocolConfig: &extprocv3.ProtocolConfiguration{RequestBodyMode: 2}},
		{Request: &extprocv3.ProcessingRequest_RequestHeaders{RequestHeaders: headers}, ProtocolConfig: &extprocv3.ProtocolConfiguration{
			RequestBodyMode: modev3.ProcessingMode_FULL_DUPLEX_STREAMED, ResponseBodyMode: modev3.ProcessingMode_STREAMED}},
		{Request: &extprocv3.ProcessingRequest_ResponseBody{ResponseBody: &extprocv3.HttpBody{}}},
		{Request: &extprocv3.ProcessingRequest_RequestTrailers{RequestTrailers: &extprocv3.HttpTrailers{}}},
		{Request: &extprocv3.ProcessingRequest_ResponseTrailers{ResponseTrailers: &extprocv3.HttpTrailers{}}},
	}
}

// plain is a message as generated code reads it.
func plain(p *extprocv3.ProcessingRequest) Message {
	var m Message
	headers := func(h *extprocv3.HttpHeaders) {
		m.EndOfStream = h.GetEndOfStream()
		for _, one := range h.GetHeaders().GetHeaders() {
			value := one.GetValue()
			if len(one.GetRawValue()) > 0 {
				value = string(one.GetRawValue())
			}
			m.Headers = append(m.Headers, Header{one.GetKey(), value})
		}
	}
	switch r := p.Request.(type) {
	case *extprocv3.ProcessingRequest_RequestHeaders:
		m.Kind = RequestHeaders
		headers(r.RequestHeaders)
	case *extprocv3.ProcessingRequest_ResponseHeaders:
		m.Kind = ResponseHeaders
		headers(r.ResponseHeaders)
	case *extprocv3.ProcessingRequest_RequestBody:
		m.Kind, m.Body, m.EndOfStream = RequestBody, r.RequestBody.GetBody(), r.RequestBody.GetEndOfStream()
	case *extprocv3.ProcessingRequest_ResponseBody:
		m.Kind, m.Body, m.EndOfStream = ResponseBody, r.ResponseBody.GetBody(), r.ResponseBody.GetEndOfStream()
	case *extprocv3.ProcessingRequest_RequestTrailers:
		m.Kind = RequestTrailers
	case *extprocv3.ProcessingRequest_ResponseTrailers:
		m.Kind = ResponseTrailers
	}
	m.Together = p.GetProtocolConfig().GetRequestBodyMode() == modev3.ProcessingMode_FULL_DUPLEX_STREAMED
	m.Call = p.GetMetadataContext().GetFilterMetadata()[names.NamespaceLane].GetFields()[names.KeyCall].GetStringValue()
	f := p.GetAttributes()[names.AttrFilter].GetFields()
	m.Attributes = Attributes{Cluster: f[names.AttrCluster].GetStringValue(), CodeDetails: f[names.AttrCodeDetails].GetStringValue(),
		Flags:   number(math.Float64bits(f[names.AttrFlags].GetNumberValue())),
		Attempt: int(number(math.Float64bits(f[names.AttrAttempt].GetNumberValue())))}
	return m
}

func TestMessagesAreWhatGeneratedCodeWrote(t *testing.T) {
	for _, p := range envoys() {
		data, err := proto.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var got Message
		if err := (Codec{}).Unmarshal(mem.BufferSlice{mem.SliceBuffer(data)}, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(plain(p), got, equalEmpty, cmpopts.IgnoreUnexported(Message{})); diff != "" {
			t.Errorf("%T: %s", p.Request, diff)
		}
	}
}

// TestMessagesReadOneAfterTheOther: the parts of a message stay as they are when another is read into the same
// variable, unless it was told to forget them; whatever the pieces that gRPC has it in.
func TestMessagesReadOneAfterTheOther(t *testing.T) {
	var m Message
	var kept []Message
	var want []Message
	for _, size := range []int{5, 3, 100_000, 7, 40, 20_000, 9} {
		for _, p := range []*extprocv3.ProcessingRequest{
			{Request: &extprocv3.ProcessingRequest_RequestHeaders{RequestHeaders: &extprocv3.HttpHeaders{Headers: &corev3.HeaderMap{
				Headers: []*corev3.HeaderValue{{Key: "x", RawValue: []byte(strings.Repeat("h", size))}}}}}},
			{Request: &extprocv3.ProcessingRequest_RequestBody{RequestBody: &extprocv3.HttpBody{Body: []byte(strings.Repeat(string(rune('a'+size%26)), size))}}},
		} {
			data, err := proto.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			var pieces mem.BufferSlice
			for len(data) > 0 {
				n := min(len(data), 1+len(data)/12)
				pieces, data = append(pieces, mem.SliceBuffer(data[:n])), data[n:]
			}
			if err := (Codec{}).Unmarshal(pieces, &m); err != nil {
				t.Fatal(err)
			}
			for _, piece := range pieces { // gRPC uses its buffers again
				clear(piece.ReadOnlyData())
			}
			kept, want = append(kept, m), append(want, plain(p))
		}
	}
	if diff := cmp.Diff(want, kept, equalEmpty, cmpopts.IgnoreUnexported(Message{})); diff != "" {
		t.Error(diff)
	}
	m.Forget()
	data, _ := proto.Marshal(&extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestBody{RequestBody: &extprocv3.HttpBody{Body: []byte("z")}}})
	if err := (Codec{}).Unmarshal(mem.BufferSlice{mem.SliceBuffer(data)}, &m); err != nil || string(m.Body) != "z" {
		t.Errorf("%q, %v", m.Body, err)
	}
}

// equalEmpty takes nothing and an empty list for the same.
var equalEmpty = cmp.FilterValues(func(a, b any) bool { return lenOf(a) == 0 && lenOf(b) == 0 }, cmp.Comparer(func(_, _ any) bool { return true }))

func lenOf(v any) int {
	switch v := v.(type) {
	case []byte:
		return len(v)
	case Headers:
		return len(v)
	}
	return 1
}

// Whatever generated code accepts, this package reads alike, but for what protobuf leaves to the reader:
// messages whose fields come twice.
func FuzzMessage(f *testing.F) {
	for _, p := range envoys() {
		data, err := proto.Marshal(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got Message
		err := got.unmarshal(append([]byte(nil), data...))
		var p extprocv3.ProcessingRequest
		if proto.Unmarshal(data, &p) != nil {
			return
		}
		again, merr := proto.Marshal(&p)
		if merr != nil {
			return
		}
		if err != nil {
			t.Fatalf("refused what generated code takes: %v", err)
		}
		var normal Message
		if err := normal.unmarshal(again); err != nil {
			t.Fatalf("refused its normal form: %v", err)
		}
		if diff := cmp.Diff(plain(&p), normal, equalEmpty, cmpopts.IgnoreUnexported(Message{})); diff != "" {
			t.Fatal(diff)
		}
	})
}
