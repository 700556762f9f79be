package framing

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// split feeds server-sent events in pieces and renders them.
func split(stream []byte, cut func(rest int) int) (string, error) {
	return splitWith(&SSE{}, stream, cut)
}

// splitWith feeds a stream in pieces and renders the events.
func splitWith(s Splitter, stream []byte, cut func(rest int) int) (string, error) {
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
			fmt.Fprintf(&out, "[%s|%s]", ev.Name, ev.Data)
			chunk = rest
		}
		for i := range piece {
			piece[i] = '#'
		}
		stream = stream[n:]
	}
	if ev, ok := s.Flush(); ok {
		fmt.Fprintf(&out, "flush[%s|%s]", ev.Name, ev.Data)
	}
	return out.String(), nil
}

func TestSSE(t *testing.T) {
	for _, c := range []struct{ name, stream, want string }{
		{"one", "data: a\n\n", "[|a]"},
		{"named", "event: x\ndata: a\n\ndata: b\n\n", "[x|a][|b]"},
		{"no space", "data:a\n\n", "[|a]"},
		{"two spaces", "data:  a\n\n", "[| a]"},
		{"lines", "data: a\ndata\ndata: b\n\n", "[|a\n\nb]"},
		{"crlf", "event: x\r\ndata: a\r\n\r\ndata: b\r\n\r\n", "[x|a][|b]"},
		{"cr", "data: a\r\rdata: b\r\r", "[|a][|b]"},
		{"mixed", "data: a\r\n\ndata: b\n\r\ndata: c\r\r\n", "[|a][|b][|c]"},
		{"comments", ": hi\n:\n\ndata: a\n: x\n\n", "[|a]"},
		{"others", "id: 1\nretry: 5\nfoo: b\nfoo\ndata: a\n\n", "[|a]"},
		{"no data", "event: ping\n\ndata: a\n\n", "[|a]"},
		{"empty data", "data:\n\n", "[|]"},
		{"bom", "\xef\xbb\xbfdata: a\n\n", "[|a]"},
		{"no end", "data: a\n\ndata: b", "[|a]flush[|b]"},
		{"no empty line", "data: a\n\nevent: e\ndata: b\n", "[|a]flush[e|b]"},
		{"many empty lines", "\n\n\ndata: a\n\n\n\n", "[|a]"},
		{"nothing", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, n := range []int{1, 2, 3, 1 << 20} {
				got, err := split([]byte(c.stream), func(rest int) int { return min(n, rest) })
				if err != nil || got != c.want {
					t.Errorf("pieces of %d: got %q %v, want %q", n, got, err, c.want)
				}
			}
		})
	}
}

func TestSSETooLarge(t *testing.T) {
	piece := bytes.Repeat([]byte("x"), 1<<20)
	for _, line := range []string{"data: ", "event: ", ": ", "\ndata: a\ndata: "} {
		var s SSE
		_, _, _, err := s.Next([]byte(line))
		for range 20 {
			if err != nil {
				break
			}
			_, _, _, err = s.Next(piece)
		}
		if !errors.Is(err, ErrTooLarge) {
			t.Errorf("%q: no limit: %v", line, err)
		}
		if ev, _, ok, err := s.Next([]byte("\n\ndata: a\n\n")); ok || err != nil {
			t.Errorf("%q: after the error: %v %v", line, ev, err)
		}
	}
}

func BenchmarkSSE(b *testing.B) {
	event := []byte("event: content_block_delta\ndata: " + strings.Repeat("x", 200) + "\n\n")
	var s SSE
	b.SetBytes(int64(len(event)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, ok, err := s.Next(event); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
