package extproc

import (
	"context"
	"io"
	"testing"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/sluicegw/sluice/envoy/names"
	"github.com/sluicegw/sluice/extproc/wire"
)

// pieces are what the fuzzer makes conversations of.
var pieces = []*extprocv3.ProcessingRequest{
	goodHeaders(),
	requestHeaders(":path", "/v1/embeddings", "x-api-key", testKey, "x-litellm-timeout", "2", "x-litellm-num-retries", "1"),
	requestHeaders(":path", "/v1/chat/completions"),
	requestBody(body),
	requestBody(streamBody),
	requestBody(`{"model":"group","input":"x","num_retries":3}`),
	requestBody(""),
	answerHeaders("200", "application/json", 1),
	answerHeaders("200", "text/event-stream", 2),
	answerHeaders("429", "application/json", 3),
	answerHeaders("", "", -5),
	localReply("503", "no_healthy_upstream", 1<<1),
	answerBody(answerOK, true),
	answerBody("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n", false),
	answerBody("event: message_start\ndata: {\"type\":\"message_start\",\"message\":{}}\n\n", false),
	answerBody("data: [DONE]\n\n", true),
	answerBody("", false),
	answerBody("\xff\x00{", true),
	{Request: &extprocv3.ProcessingRequest_RequestTrailers{RequestTrailers: &extprocv3.HttpTrailers{}}},
	{Request: &extprocv3.ProcessingRequest_ResponseTrailers{ResponseTrailers: &extprocv3.HttpTrailers{}}},
	{},
	togetherHeaders(goodHeaders()),
	bodyPiece(body[:9], false),
	bodyPiece(body[9:], true),
}

// FuzzConversation plays messages in any order, and lets some be garbage: nothing panics, the call ends,
// and nothing of it stays. A byte is a piece; 0xff and n take the next n bytes as a message of their own.
func FuzzConversation(f *testing.F) {
	f.Add(false, []byte{0, 3, 7, 12})
	f.Add(false, []byte{0, 4, 8, 14, 13, 15})
	f.Add(false, []byte{0, 3, 8, 12})
	f.Add(false, []byte{1, 5, 11})
	f.Add(false, []byte{3, 7, 12})
	f.Add(true, []byte{0, 3})
	f.Add(false, []byte{21, 22, 23, 7, 12})
	f.Add(false, []byte{21, 22, 18, 8, 13, 15})
	f.Add(false, []byte{0xff, 3, 0x12, 1, 0, 3})
	s := testServer(f)
	f.Fuzz(func(t *testing.T, upstream bool, script []byte) {
		if len(script) > 200 {
			return
		}
		before := s.Active()
		stream := &scripted{ctx: t.Context(), script: script}
		if upstream {
			stream.ctx = metadata.NewIncomingContext(t.Context(), metadata.Pairs(names.MetadataFilter, names.FilterUpstream))
		}
		counted := calls(t, s)
		_ = s.Process(stream)
		if s.Active() != before {
			t.Error("the call has not ended")
		}
		clean(t, s)
		if n := calls(t, s) - counted; n > 1 || upstream && n != 0 {
			t.Errorf("the call was counted %v times", n)
		}
	})
}

// scripted is a stream that reads its messages from a script. Its replies must be readable.
type scripted struct {
	extprocv3.ExternalProcessor_ProcessServer
	ctx    context.Context
	script []byte
}

func (s *scripted) Context() context.Context { return s.ctx }

func (s *scripted) RecvMsg(m any) error {
	if len(s.script) == 0 {
		return io.EOF
	}
	b := s.script[0]
	s.script = s.script[1:]
	var text []byte
	if b == 0xff && len(s.script) > 0 {
		n := min(int(s.script[0]), len(s.script)-1)
		text, s.script = s.script[1:1+n], s.script[1+n:]
	} else {
		var err error
		if text, err = proto.Marshal(pieces[int(b)%len(pieces)]); err != nil {
			return err
		}
	}
	return wire.Codec{}.Unmarshal(mem.BufferSlice{mem.SliceBuffer(text)}, m)
}

func (s *scripted) SendMsg(m any) error {
	data, err := wire.Codec{}.Marshal(m)
	if err != nil {
		return err
	}
	var out extprocv3.ProcessingResponse
	return proto.Unmarshal(data.Materialize(), &out)
}
