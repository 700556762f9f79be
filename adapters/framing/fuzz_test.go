package framing

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/sluicegw/sluice/internal/eventframes"
)

// maxFuzzed bounds the inputs in bytes: an event that is larger than several pieces is enough.
const maxFuzzed = 8 << 10

// goldens are the streams of a name in the adapters' goldens.
func goldens(tb testing.TB, name string) (list [][]byte) {
	tb.Helper()
	paths, _ := filepath.Glob("../testdata/*/*.txtar")
	for _, path := range paths {
		a, err := txtar.ParseFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		for _, f := range a.Files {
			if f.Name == name && len(f.Data) < maxFuzzed {
				list = append(list, f.Data)
			}
		}
	}
	if len(list) == 0 {
		tb.Fatalf("no golden has %s", name)
	}
	return list
}

// sameInPieces: any cut, same events, same error, and no more remembered than was fed.
func sameInPieces(t *testing.T, fresh func() Splitter, stream []byte, seed uint64) (string, error) {
	whole, wholeErr := splitWith(fresh(), stream, func(rest int) int { return rest })
	rnd := rand.New(rand.NewPCG(seed, 2))
	for _, cut := range []func(int) int{
		func(int) int { return 1 },
		func(rest int) int { return 1 + rnd.IntN(rest) },
		func(rest int) int { return min(rest, 1+rnd.IntN(5)) },
	} {
		s := fresh()
		got, err := splitWith(s, stream, cut)
		if got != whole || (err == nil) != (wholeErr == nil) {
			t.Fatalf("cut: %q %v, whole: %q %v", got, err, whole, wholeErr)
		}
		if n := remembered(s); n > len(stream) {
			t.Fatalf("%d bytes are remembered of %d", n, len(stream))
		}
	}
	return whole, wholeErr
}

func remembered(s Splitter) int {
	switch s := s.(type) {
	case *SSE:
		return len(s.line) + len(s.data) + len(s.name)
	case *NDJSON:
		return len(s.line)
	case *EventStream:
		return len(s.held)
	}
	panic("a splitter that is not known")
}

func FuzzSSE(f *testing.F) {
	for _, s := range []string{
		"data: a\n\n", "event: x\r\ndata: a\r\n\r\n", "data: a\ndata: b\n\n: c\n\n", "\xef\xbb\xbfdata:a\r\rdata:b", "data\n\n", "\r\n\r\n",
	} {
		f.Add([]byte(s), uint64(1))
	}
	for i, s := range goldens(f, "upstream.sse") {
		f.Add(s, uint64(i))
	}
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64) {
		if len(stream) > maxFuzzed {
			return
		}
		if _, err := sameInPieces(t, func() Splitter { return &SSE{} }, stream, seed); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzNDJSON(f *testing.F) {
	for _, s := range []string{"{}\n", "{\"a\":1}\r\n{\"b\":2}\n", "\n\n{}\n{", " \n\t{}"} {
		f.Add([]byte(s), uint64(1))
	}
	for i, s := range goldens(f, "upstream.ndjson") {
		f.Add(s, uint64(i))
	}
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64) {
		if len(stream) > maxFuzzed {
			return
		}
		if _, err := sameInPieces(t, func() Splitter { return &NDJSON{} }, stream, seed); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzEventStream: also the same as AWS's decoder reads. Unless broken, the checksums are put right, behind which the
// rest of the splitter lies.
func FuzzEventStream(f *testing.F) {
	f.Add(sampleStream(f), uint64(1), true)
	f.Add(sampleStream(f), uint64(1), false)
	f.Add([]byte("data: not a frame\n\n"), uint64(2), true)
	f.Add(event(f, "a", "b")[:20], uint64(3), true)
	for i, s := range goldens(f, "upstream.aws") {
		stream, err := eventframes.Of(string(s))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(stream, uint64(i), false)
	}
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64, broken bool) {
		if len(stream) > maxFuzzed {
			return
		}
		if !broken {
			stream = resealAll(bytes.Clone(stream))
		}
		want, wantErr := sameInPieces(t, func() Splitter { return &EventStream{} }, stream, seed)
		if wantErr != nil {
			return
		}
		aws := 0
		d, r := eventstream.NewDecoder(), bytes.NewReader(stream)
		for {
			if _, err := d.Decode(r, nil); err != nil {
				if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && r.Len() > 0 {
					return // it is stricter about what headers may hold
				}
				break
			}
			aws++
		}
		if n := strings.Count(want, "]"); n < aws {
			t.Errorf("%d events, AWS's decoder reads %d", n, aws)
		}
	})
}

// resealAll puts the lengths and checksums of a stream's frames right.
func resealAll(stream []byte) []byte {
	for rest := stream; len(rest) >= smallestSize; {
		size := binary.BigEndian.Uint32(rest)
		if size < smallestSize || uint64(size) > uint64(len(rest)) {
			size = uint32(len(rest))
			binary.BigEndian.PutUint32(rest, size)
		}
		if headers := binary.BigEndian.Uint32(rest[4:]); headers > size-smallestSize {
			binary.BigEndian.PutUint32(rest[4:], headers%(size-smallestSize+1))
		}
		reseal(rest[:size])
		rest = rest[size:]
	}
	return stream
}
