package jsondoc

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// scanner validates one text. Its methods take the offset where something begins and return the one
// after its end, or -1 once err is set.
type scanner struct {
	b       []byte
	lenient bool // names may occur twice
	err     *Error
}

func (s *scanner) fail(at int, format string, args ...any) int {
	if s.err == nil {
		s.err = &Error{Offset: at, Reason: fmt.Sprintf(format, args...)}
	}
	return -1
}

// unexpected refuses the byte at i, which is not what the grammar wants there.
func (s *scanner) unexpected(i int, want string) int {
	switch {
	case i >= len(s.b):
		return s.fail(i, "the JSON ends too early, expected %s", want)
	case s.b[i] < 0x20 || s.b[i] >= 0x7f:
		return s.fail(i, "unexpected byte 0x%02x, expected %s", s.b[i], want)
	}
	return s.fail(i, "unexpected %q, expected %s", string(s.b[i]), want)
}

func (s *scanner) space(i int) int {
	for i < len(s.b) {
		switch s.b[i] {
		case ' ', '\n', '\r', '\t':
			i++
		default:
			return i
		}
	}
	return i
}

// object reads the whole text as one object and appends its members to list.
func (s *scanner) object(list []Member) []Member {
	if !utf8.Valid(s.b) {
		// One fast pass of its own, so that the string scanner can take every high byte as text.
		s.fail(invalidUTF8(s.b), "invalid UTF-8")
		return list
	}
	i := s.space(0)
	if i == len(s.b) {
		s.fail(i, "the body is empty")
		return list
	}
	if s.b[i] != '{' {
		s.unexpected(i, "a JSON object")
		return list
	}
	list, i = s.members(list, i+1)
	if i < 0 {
		return list
	}
	if i = s.space(i); i != len(s.b) {
		s.unexpected(i, "the end of the JSON")
	}
	return list
}

func (s *scanner) members(list []Member, i int) ([]Member, int) {
	seen := dedup{lenient: s.lenient}
	if i = s.space(i); i < len(s.b) && s.b[i] == '}' {
		return list, i + 1
	}
	for {
		i = s.space(i)
		m := Member{Key: i}
		end, escaped := s.key(i)
		if end < 0 {
			return list, -1
		}
		m.Name = view(s.b[i+1 : end-1])
		if escaped {
			m.Name = unescape(m.Name)
		}
		m.Value = s.colon(end)
		if m.Value < 0 {
			return list, -1
		}
		if m.End = s.value(m.Value, 2); m.End < 0 {
			return list, -1
		}
		var ok bool
		if list, ok = seen.add(list, m); !ok {
			return list, s.fail(m.Key, "duplicate key %q", clip(m.Name))
		}
		if len(list) > MaxMembers {
			return list, s.fail(m.Key, "more than %d top-level keys", MaxMembers)
		}
		i = s.space(m.End)
		switch {
		case i < len(s.b) && s.b[i] == ',':
			i++
		case i < len(s.b) && s.b[i] == '}':
			return list, i + 1
		default:
			return list, s.unexpected(i, "',' or '}'")
		}
	}
}

func (s *scanner) key(i int) (end int, escaped bool) {
	if i >= len(s.b) || s.b[i] != '"' {
		return s.unexpected(i, "a key in double quotes"), false
	}
	return s.text(i + 1)
}

// colon is called after a key and returns where the value begins.
func (s *scanner) colon(i int) int {
	if i = s.space(i); i >= len(s.b) || s.b[i] != ':' {
		return s.unexpected(i, "':'")
	}
	return s.space(i + 1)
}

func (s *scanner) value(i, depth int) int {
	if i >= len(s.b) {
		return s.unexpected(i, "a value")
	}
	switch c := s.b[i]; {
	case c == '"':
		end, _ := s.text(i + 1)
		return end
	case c == '{':
		return s.nestedObject(i, depth)
	case c == '[':
		return s.array(i, depth)
	case c == '-' || c >= '0' && c <= '9':
		return s.number(i)
	case c == 't':
		return s.literal(i, "true")
	case c == 'f':
		return s.literal(i, "false")
	case c == 'n':
		return s.literal(i, "null")
	}
	return s.unexpected(i, "a value")
}

func (s *scanner) nestedObject(i, depth int) int {
	if depth > MaxDepth {
		return s.fail(i, "nested deeper than %d levels", MaxDepth)
	}
	if i = s.space(i + 1); i < len(s.b) && s.b[i] == '}' {
		return i + 1
	}
	var seen names
	for {
		i = s.space(i)
		end, escaped := s.key(i)
		if end < 0 {
			return -1
		}
		if !s.lenient {
			name := view(s.b[i+1 : end-1])
			if escaped {
				name = unescape(name)
			}
			if !seen.add(name) {
				return s.fail(i, "duplicate key %q", clip(name))
			}
		}
		if i = s.colon(end); i < 0 {
			return -1
		}
		if i = s.value(i, depth+1); i < 0 {
			return -1
		}
		i = s.space(i)
		switch {
		case i < len(s.b) && s.b[i] == ',':
			i++
		case i < len(s.b) && s.b[i] == '}':
			return i + 1
		default:
			return s.unexpected(i, "',' or '}'")
		}
	}
}

func (s *scanner) array(i, depth int) int {
	if depth > MaxDepth {
		return s.fail(i, "nested deeper than %d levels", MaxDepth)
	}
	if i = s.space(i + 1); i < len(s.b) && s.b[i] == ']' {
		return i + 1
	}
	for {
		if i = s.value(s.space(i), depth+1); i < 0 {
			return -1
		}
		i = s.space(i)
		switch {
		case i < len(s.b) && s.b[i] == ',':
			i++
		case i < len(s.b) && s.b[i] == ']':
			return i + 1
		default:
			return s.unexpected(i, "',' or ']'")
		}
	}
}

func (s *scanner) literal(i int, word string) int {
	if len(s.b)-i < len(word) || string(s.b[i:i+len(word)]) != word {
		return s.fail(i, "unknown literal, expected %s", word)
	}
	return i + len(word)
}

func (s *scanner) number(i int) int {
	b := s.b
	if b[i] == '-' {
		i++
	}
	switch {
	case i < len(b) && b[i] == '0':
		i++
	case i < len(b) && b[i] >= '1' && b[i] <= '9':
		i = digits(b, i)
	default:
		return s.unexpected(i, "a digit")
	}
	if i < len(b) && b[i] == '.' {
		from := i + 1
		if i = digits(b, from); i == from {
			return s.unexpected(i, "a digit")
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		from := i + 1
		if from < len(b) && (b[from] == '+' || b[from] == '-') {
			from++
		}
		if i = digits(b, from); i == from {
			return s.unexpected(i, "a digit")
		}
	}
	return i
}

func digits(b []byte, i int) int {
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	return i
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// marks has the high bit of each byte set that is a quote, a backslash or a control character; other bits are noise. With
// one bit turned, the quote is the neighbour of the control characters, and both are what is below '!'.
func marks(w uint64) uint64 {
	low, slash := w^(2*ones), w^('\\'*ones)
	return (low-'!'*ones)&^low | (slash-ones)&^slash
}

// text scans a string whose opening quote lies before i. It looks at eight bytes at a time for the
// three things that matter: a quote, a backslash, a control character. In the masks a
// byte may be marked falsely only above one that is marked rightly, so the lowest mark is always right.
func (s *scanner) text(i int) (end int, escaped bool) {
	b := s.b
	for {
		if i+8 <= len(b) {
			mark := marks(binary.LittleEndian.Uint64(b[i:])) & highs
			if mark == 0 {
				i += 8
				continue
			}
			i += bits.TrailingZeros64(mark) >> 3
		} else if i == len(b) {
			return s.unexpected(i, "the end of a string"), false
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1, escaped
		case c == '\\':
			if i = s.escape(i); i < 0 {
				return -1, false
			}
			escaped = true
		case c < ' ':
			return s.fail(i, "control character 0x%02x in a string must be escaped", c), false
		default:
			i++
		}
	}
}

func (s *scanner) escape(i int) int {
	if i+1 >= len(s.b) {
		return s.unexpected(len(s.b), "the end of a string")
	}
	switch s.b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		for k := i + 2; k < i+6; k++ {
			if k >= len(s.b) || !isHex(s.b[k]) {
				return s.unexpected(k, "four hex digits after \\u")
			}
		}
		return i + 6
	}
	return s.fail(i, "invalid escape in a string")
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}

func invalidUTF8(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(b)
}

// clip keeps a name that a client chose from flooding an error message.
func clip(name string) string {
	const most = 64
	if len(name) <= most {
		return name
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(name[cut]) {
		cut--
	}
	return name[:cut] + "…"
}
