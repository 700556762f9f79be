package wire

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// Codec is gRPC's codec for the messages of this package; all others are left to gRPC's own.
type Codec struct{}

var generated = encoding.GetCodecV2(proto.Name)

// Name implements encoding.CodecV2.
func (Codec) Name() string { return proto.Name }

// Marshal implements encoding.CodecV2.
func (Codec) Marshal(v any) (mem.BufferSlice, error) {
	r, ok := v.(*Reply)
	if !ok {
		return generated.Marshal(v)
	}
	head, body := r.marshal()
	out := mem.BufferSlice{mem.SliceBuffer(head)}
	if len(body) > 0 {
		out = append(out, mem.SliceBuffer(body))
	}
	return out, nil
}

// Unmarshal implements encoding.CodecV2. The message gets a copy of its own: gRPC uses its buffers again.
func (Codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*Message)
	if !ok {
		return generated.Unmarshal(data, v)
	}
	b := make([]byte, data.Len())
	data.CopyTo(b)
	if err := m.unmarshal(b); err != nil {
		return fmt.Errorf("%w (%d bytes)", err, len(b))
	}
	return nil
}
