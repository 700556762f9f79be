package jsondoc

import (
	"iter"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Value is the text of one JSON value, without white space around it, taken from validated JSON. The
// empty Value is an absent one. Reading a Value that was never validated is safe but yields nonsense.
type Value string

// Exists tells whether the value is there and not null. LLM APIs read null as absent.
func (v Value) Exists() bool { return v != "" && v != "null" }

// IsObject tells whether the value is an object.
func (v Value) IsObject() bool { return v != "" && v[0] == '{' }

// IsArray tells whether the value is an array.
func (v Value) IsArray() bool { return v != "" && v[0] == '[' }

// IsString tells whether the value is a string.
func (v Value) IsString() bool { return v != "" && v[0] == '"' }

// IsNumber tells whether the value is a number.
func (v Value) IsNumber() bool { return v != "" && (v[0] == '-' || v[0] >= '0' && v[0] <= '9') }

// IsBool tells whether the value is true or false.
func (v Value) IsBool() bool { return v == "true" || v == "false" }

// Text is the decoded string, or "" for a value of another type. It allocates only for strings with
// escapes in them.
func (v Value) Text() string {
	if len(v) < 2 || v[0] != '"' {
		return ""
	}
	return unescape(string(v[1 : len(v)-1]))
}

// Inner is a string's text between the quotes, escapes and all, ready to be pasted into another JSON
// string.
func (v Value) Inner() string {
	if len(v) < 2 || v[0] != '"' {
		return ""
	}
	return string(v[1 : len(v)-1])
}

// Int is the value as an integer; ok is false for anything else, 1.5 and 1e3 included.
func (v Value) Int() (n int64, ok bool) {
	if !v.IsNumber() {
		return 0, false
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	return n, err == nil
}

// Float is the value as a floating-point number.
func (v Value) Float() (f float64, ok bool) {
	if !v.IsNumber() {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(v), 64)
	return f, err == nil
}

// mostCount bounds counts, so that what is made of them (sums, products with a number of answers, prices) cannot
// overflow: clients and providers may write any number.
const mostCount = 1 << 40

// Count is a count of tokens or the like: an integer from 0 to 2^40, a trillion; 0 for whatever is no number.
func (v Value) Count() int64 {
	if n, ok := v.Int(); ok && n > 0 {
		return min(n, mostCount)
	}
	if f, ok := v.Float(); ok && f > 0 {
		return int64(min(f, mostCount))
	}
	return 0
}

// Get is the member called name of an object, or "". Of several, which only a lenient reading leaves,
// the first counts.
func (v Value) Get(name string) Value {
	for k, m := range v.Members() {
		if k.Is(name) {
			return m
		}
	}
	return ""
}

// At follows names down through objects.
func (v Value) At(names ...string) Value {
	for _, name := range names {
		v = v.Get(name)
	}
	return v
}

// Is tells whether the value is the string s.
func (v Value) Is(s string) bool {
	if len(v) < 2 || v[0] != '"' {
		return false
	}
	if v[1:len(v)-1] == Value(s) && strings.IndexByte(s, '\\') < 0 {
		return true
	}
	return strings.IndexByte(string(v), '\\') >= 0 && v.Text() == s
}

// Members yields an object's members in order, each key as the JSON string it is written as; nothing
// for a value of another type.
func (v Value) Members() iter.Seq2[Value, Value] {
	return func(yield func(Value, Value) bool) {
		if !v.IsObject() {
			return
		}
		s := string(v)
		for i := next(s, 1); i < len(s) && s[i] == '"'; i = next(s, i) {
			end := skip(s, i)
			from := next(s, end)
			to := skip(s, from)
			if !yield(v[i:end], v[from:to]) {
				return
			}
			i = to
		}
	}
}

// Elements yields an array's elements in order; nothing for a value of another type.
func (v Value) Elements() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		if !v.IsArray() {
			return
		}
		s := string(v)
		for i := next(s, 1); i < len(s) && s[i] != ']'; i = next(s, i) {
			end := skip(s, i)
			if end == i || !yield(v[i:end]) {
				return
			}
			i = end
		}
	}
}

// Rows walks an array of objects in one pass, without looking for each object's end first: it calls f
// with the element's index, a key and the member's value until f returns false. An element that is an
// empty object or none at all comes once, with an empty key. Nothing comes for a value that is no array.
func (v Value) Rows(f func(i int, key, value Value) bool) {
	if !v.IsArray() {
		return
	}
	s := string(v)
	row := 0
	for i := next(s, 1); i < len(s) && s[i] != ']'; row++ {
		first := next(s, i+1)
		if s[i] != '{' || first >= len(s) || s[first] != '"' {
			end := skip(s, i)
			if end == i || !f(row, "", v[i:end]) {
				return
			}
			i = next(s, end)
			continue
		}
		for i = first; i < len(s) && s[i] == '"'; i = next(s, i) {
			end := skipString(s, i)
			from := next(s, end)
			to := skip(s, from)
			if !f(row, v[i:end], v[from:to]) {
				return
			}
			i = to
		}
		i = next(s, i+1) // over the closing brace
	}
}

// Len is the number of elements of an array.
func (v Value) Len() int {
	n := 0
	for range v.Elements() {
		n++
	}
	return n
}

// next is the offset of the next value, key or closing bracket.
func next(s string, i int) int {
	for i < len(s) {
		switch s[i] {
		case ' ', '\n', '\r', '\t', ',', ':':
			i++
		default:
			return i
		}
	}
	return i
}

// skip is the offset after the value that begins at i.
func skip(s string, i int) int {
	if i >= len(s) {
		return len(s)
	}
	switch s[i] {
	case '"':
		return skipString(s, i)
	case '{', '[':
		depth := 0
		for i < len(s) {
			switch s[i] {
			case '"':
				i = skipString(s, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
			i++
		}
		return len(s)
	}
	for i < len(s) {
		switch s[i] {
		case ',', ':', ']', '}', ' ', '\n', '\r', '\t':
			return i
		}
		i++
	}
	return i
}

// skipString finds the quote that ends a string by the quotes alone: one counts if an even number of
// backslashes stands before it.
func skipString(s string, i int) int {
	for from := i + 1; ; {
		k := strings.IndexByte(s[min(from, len(s)):], '"')
		if k < 0 {
			return len(s)
		}
		k += from
		n := k
		for n > i+1 && s[n-1] == '\\' {
			n--
		}
		if (k-n)%2 == 0 {
			return k + 1
		}
		from = k + 1
	}
}

// unescape decodes the inside of a JSON string. Half a surrogate pair becomes U+FFFD.
func unescape(s string) string {
	i := strings.IndexByte(s, '\\')
	if i < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i >= 0 && i+1 < len(s) {
		out = append(out, s[:i]...)
		c := s[i+1]
		s = s[i+2:]
		switch c {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			var r rune
			r, s = codePoint(s)
			out = utf8.AppendRune(out, r)
		default:
			out = append(out, c)
		}
		i = strings.IndexByte(s, '\\')
	}
	return string(append(out, s...))
}

// codePoint reads the hex digits after \u, and the second half of a surrogate pair.
func codePoint(s string) (rune, string) {
	r, ok := hex4(s)
	if !ok {
		return utf8.RuneError, s
	}
	s = s[4:]
	if !utf16.IsSurrogate(r) {
		return r, s
	}
	if len(s) >= 6 && s[0] == '\\' && s[1] == 'u' {
		if low, ok := hex4(s[2:]); ok {
			if full := utf16.DecodeRune(r, low); full != utf8.RuneError {
				return full, s[6:]
			}
		}
	}
	return utf8.RuneError, s
}

func hex4(s string) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(s[:4], 16, 32)
	return rune(n), err == nil
}
