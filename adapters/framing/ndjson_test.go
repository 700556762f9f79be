package framing

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestNDJSON(t *testing.T) {
	for _, c := range []struct{ name, stream, want string }{
		{"one", "{}\n", "[|{}]"},
		{"two", "{\"a\":1}\n{\"b\":2}\n", `[|{"a":1}][|{"b":2}]`},
		{"crlf", "{}\r\n[]\r\n", "[|{}][|[]]"},
		{"blank lines", "\n\n{}\n \n\r\n{}\n", "[|{}][|{}]"},
		{"no end", "{}\n{\"a\":", `[|{}]flush[|{"a":]`},
		{"white space", "  {}\t\n", "[|{}]"},
		{"nothing", "", ""},
		{"white space at the end", "{}\n  ", "[|{}]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, n := range []int{1, 2, 3, 1 << 20} {
				got, err := splitWith(&NDJSON{}, []byte(c.stream), func(rest int) int { return min(n, rest) })
				if err != nil || got != c.want {
					t.Errorf("pieces of %d: got %q %v, want %q", n, got, err, c.want)
				}
			}
		})
	}
}

func TestNDJSONTooLarge(t *testing.T) {
	var s NDJSON
	piece := bytes.Repeat([]byte("x"), 1<<20)
	var err error
	for range 20 {
		if _, _, _, err = s.Next(piece); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrTooLarge) {
		t.Fatalf("no limit: %v", err)
	}
	if ev, _, ok, err := s.Next([]byte("\n{}\n")); ok || err != nil {
		t.Errorf("after the error: %v %v", ev, err)
	}
}

func BenchmarkNDJSON(b *testing.B) {
	event := []byte(`{"message":{"content":"` + strings.Repeat("x", 200) + "\"}}\n")
	var s NDJSON
	b.SetBytes(int64(len(event)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, ok, err := s.Next(event); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
