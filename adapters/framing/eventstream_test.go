package framing

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
)

// encode makes a frame with AWS's own encoder.
func encode(t testing.TB, payload string, headers ...string) []byte {
	t.Helper()
	m := eventstream.Message{Payload: []byte(payload)}
	for i := 0; i < len(headers); i += 2 {
		m.Headers.Set(headers[i], eventstream.StringValue(headers[i+1]))
	}
	var b bytes.Buffer
	if err := eventstream.NewEncoder().Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func event(t testing.TB, name, payload string) []byte {
	return encode(t, payload, ":event-type", name, ":content-type", "application/json", ":message-type", "event")
}

// splitFrames feeds a stream in pieces, which are scribbled over afterwards, and renders the events.
func splitFrames(stream []byte, cut func(rest int) int) (string, error) {
	var s EventStream
	var out strings.Builder
	for len(stream) > 0 {
		n := cut(len(stream))
		piece := bytes.Clone(stream[:n])
		for chunk := piece; ; {
			ev, rest, ok, err := s.Next(chunk)
			if err != nil {
				return out.String(), err
			}
			if !ok {
				break
			}
			fmt.Fprintf(&out, "[%s|%s|%v]", ev.Name, ev.Data, ev.Exception)
			chunk = rest
		}
		for i := range piece {
			piece[i] = '#'
		}
		stream = stream[n:]
	}
	if _, ok := s.Flush(); ok {
		out.WriteString("flush")
	}
	return out.String(), nil
}

func whole(rest int) int { return rest }

func sampleStream(t testing.TB) []byte {
	return bytes.Join([][]byte{
		event(t, "messageStart", `{"role":"assistant"}`),
		event(t, "contentBlockDelta", `{"delta":{"text":"Hi"}}`),
		event(t, "empty", ""),
		event(t, "chunk", strings.Repeat("x", 3000)),
		encode(t, `{"message":"slow down"}`, ":exception-type", "throttlingException", ":message-type", "exception"),
		encode(t, "", ":error-code", "InternalError", ":error-message", "oh no", ":message-type", "error"),
	}, nil)
}

func TestEventStream(t *testing.T) {
	stream := sampleStream(t)
	want, err := splitFrames(stream, whole)
	if err != nil || want != `[messageStart|{"role":"assistant"}|false][contentBlockDelta|{"delta":{"text":"Hi"}}|false][empty||false][chunk|`+
		strings.Repeat("x", 3000)+`|false][throttlingException|{"message":"slow down"}|true][InternalError|oh no|true]` {
		t.Fatalf("%v %s", err, want)
	}
	if got, err := splitFrames(stream, func(int) int { return 1 }); got != want || err != nil {
		t.Errorf("byte by byte: %v %s", err, got)
	}
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		got, err := splitFrames(stream, func(rest int) int { return 1 + rnd.IntN(min(rest, 1+rnd.IntN(600))) })
		if got != want || err != nil {
			t.Errorf("seed %d: %v %s", seed, err, got)
		}
	}
	if got, _ := splitFrames(stream[:len(stream)-1], whole); got != strings.TrimSuffix(want, "[InternalError|oh no|true]") {
		t.Errorf("a frame without its last byte counts: %s", got)
	}
}

func TestEventStreamHeaderTypes(t *testing.T) {
	m := eventstream.Message{Payload: []byte("p")}
	m.Headers.Set("true", eventstream.BoolValue(true))
	m.Headers.Set("byte", eventstream.Int8Value(1))
	m.Headers.Set("short", eventstream.Int16Value(1))
	m.Headers.Set("int", eventstream.Int32Value(1))
	m.Headers.Set("long", eventstream.Int64Value(1))
	m.Headers.Set("bytes", eventstream.BytesValue([]byte("xyz")))
	m.Headers.Set("uuid", eventstream.UUIDValue{})
	m.Headers.Set(":event-type", eventstream.StringValue("last"))
	var b bytes.Buffer
	if err := eventstream.NewEncoder().Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	if got, err := splitFrames(b.Bytes(), whole); got != "[last|p|false]" || err != nil {
		t.Errorf("%v %s", err, got)
	}
}

// reseal computes the checksums of a frame anew.
func reseal(frame []byte) []byte {
	binary.BigEndian.PutUint32(frame[8:], crc32.ChecksumIEEE(frame[:8]))
	binary.BigEndian.PutUint32(frame[len(frame)-4:], crc32.ChecksumIEEE(frame[:len(frame)-4]))
	return frame
}

func TestEventStreamDamage(t *testing.T) {
	good := event(t, "a", "payload")
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		if got, err := splitFrames(append(bad, good...), whole); err == nil || got != "" {
			t.Errorf("byte %d is wrong: %v %s", i, err, got)
		}
	}
	large := make([]byte, preludeSize)
	binary.BigEndian.PutUint32(large, MaxEvent+1)
	binary.BigEndian.PutUint32(large[8:], crc32.ChecksumIEEE(large[:8]))
	if _, err := splitFrames(large, whole); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a frame that says it is large: %v", err)
	}
	for name, change := range map[string]func([]byte){
		"headers longer than the frame": func(b []byte) { binary.BigEndian.PutUint32(b[4:], uint32(len(b))) },
		"name longer than the headers":  func(b []byte) { b[preludeSize] = 255 },
		"no name":                       func(b []byte) { b[preludeSize] = 0 },
		"unknown type":                  func(b []byte) { b[preludeSize+1+len(":event-type")] = 77 },
	} {
		bad := bytes.Clone(good)
		change(bad)
		if _, err := splitFrames(reseal(bad), whole); !errors.Is(err, errBadFrame) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var s EventStream
	_, _, _, err := s.Next(append([]byte("GET / HTTP/1.1 not a frame"), good...))
	if err == nil {
		t.Error("text was read as a frame")
	}
	if _, _, ok, err := s.Next(good); ok || err != nil {
		t.Errorf("after an error: %v %v", ok, err)
	}
}

func BenchmarkEventStream(b *testing.B) {
	frame := event(b, "contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"`+strings.Repeat("word ", 8)+`"},"p":"abcdefghijklmnop"}`)
	var s EventStream
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, ok, err := s.Next(frame); !ok || err != nil {
			b.Fatal(err)
		}
	}
}
