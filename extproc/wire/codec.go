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
	// gRPC gives the head's buffer back once it is written. The body is the call's.
	pool := mem.DefaultBufferPool()
	buffer := pool.Get(r.headLen())
	head, body := r.marshal((*buffer)[:0])
	*buffer = head
	if len(body) == 0 {
		return mem.BufferSlice{mem.NewBuffer(buffer, pool)}, nil
	}
	return mem.BufferSlice{mem.NewBuffer(buffer, pool), mem.SliceBuffer(body)}, nil
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
