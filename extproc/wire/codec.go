package wire

import (
	"bytes"
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

// Unmarshal implements encoding.CodecV2. The message gets a copy of its own: gRPC uses its buffers again. Large ones
// come in many pieces; joining them spares filling the copy with zeros first.
func (Codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*Message)
	if !ok {
		return generated.Unmarshal(data, v)
	}
	var few [8][]byte
	parts := few[:0]
	for _, part := range data {
		parts = append(parts, part.ReadOnlyData())
	}
	b := m.spare[:0]
	if n := data.Len(); n <= cap(b) {
		for _, part := range parts {
			b = append(b, part...)
		}
	} else {
		b = bytes.Join(parts, nil)
	}
	if err := m.unmarshal(b); err != nil {
		return fmt.Errorf("%w (%d bytes)", err, len(b))
	}
	if m.Body == nil { // everything else is copied
		m.Forget()
	}
	return nil
}
