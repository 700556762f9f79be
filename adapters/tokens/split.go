package tokens

import (
	"strings"
	"unicode"
)

// The cuts are tiktoken's regular expressions, by hand: Go's have no look-ahead, and those that do are a
// hundred times slower. Their alternatives, in this order, are the switch of each function.
//
// https://github.com/openai/tiktoken/blob/main/tiktoken_ext/openai_public.py

// nextCL100K cuts as
//
//	'(?i:[sdmt]|ll|ve|re) | [^\r\n\p{L}\p{N}]?\p{L}+ | \p{N}{1,3} |  ?[^\s\p{L}\p{N}]+[\r\n]* | \s+$ | \s*[\r\n] |
//	\s+(?!\S) | \s
func nextCL100K(s string) int {
	if n := contraction(s); n > 0 {
		return n
	}
	c, w := first(s)
	if unicode.IsLetter(c) {
		return run(s, w, unicode.IsLetter)
	}
	if c != '\r' && c != '\n' && !unicode.IsNumber(c) {
		if d, _ := first(s[w:]); unicode.IsLetter(d) {
			return run(s, w, unicode.IsLetter)
		}
	}
	if unicode.IsNumber(c) {
		return digits(s)
	}
	if n := symbols(s, "\r\n"); n > 0 {
		return n
	}
	return spaces(s, true)
}

// nextO200K cuts words at changes of case, too:
//
//	[^\r\n\p{L}\p{N}]?A*B+(?i:'s|'t|'re|'ve|'m|'ll|'d)? | [^\r\n\p{L}\p{N}]?A+B*(?i:…)? | \p{N}{1,3} |
//	 ?[^\s\p{L}\p{N}]+[\r\n/]* | \s*[\r\n]+ | \s+(?!\S) | \s+
//
// with A = [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}] and B = [\p{Ll}\p{Lm}\p{Lo}\p{M}].
func nextO200K(s string) int {
	c, w := first(s)
	for _, form := range []func(string) int{lowered, raised} {
		// With something before the word, or without: a mark may be both.
		if c != '\r' && c != '\n' && !unicode.IsLetter(c) && !unicode.IsNumber(c) {
			if n := form(s[w:]); n > 0 {
				return w + n + contraction(s[w+n:])
			}
		}
		if n := form(s); n > 0 {
			return n + contraction(s[n:])
		}
	}
	if unicode.IsNumber(c) {
		return digits(s)
	}
	if n := symbols(s, "\r\n/"); n > 0 {
		return n
	}
	return spaces(s, false)
}

func isUpper(c rune) bool {
	if c < 0x80 {
		return c >= 'A' && c <= 'Z'
	}
	return unicode.In(c, unicode.Lu, unicode.Lt, unicode.Lm, unicode.Lo, unicode.M)
}

func isLower(c rune) bool {
	if c < 0x80 {
		return c >= 'a' && c <= 'z'
	}
	return unicode.In(c, unicode.Ll, unicode.Lm, unicode.Lo, unicode.M)
}

// lowered is the length of A*B+ at the start of s. A* takes as much as it can and gives back what B+ needs.
func lowered(s string) int {
	upper := run(s, 0, isUpper)
	if c, _ := first(s[upper:]); upper < len(s) && isLower(c) {
		return run(s, upper, isLower)
	}
	last := 0 // the end of the last character that A* can give back
	for i, c := range s[:upper] {
		if isLower(c) {
			_, w := first(s[i:])
			last = i + w
		}
	}
	return last
}

// raised is the length of A+B*, where A*B+ is not: nothing of B follows.
func raised(s string) int { return run(s, 0, isUpper) }

// run is where the characters of a kind end that begin at from.
func run(s string, from int, is func(rune) bool) int {
	for i, c := range s[from:] {
		if !is(c) {
			return from + i
		}
	}
	return len(s)
}

// contraction is the length of an English one: 's, 't, 're, 've, 'm, 'll, 'd.
func contraction(s string) int {
	if len(s) < 2 || s[0] != '\'' {
		return 0
	}
	switch s[1] | 0x20 {
	case 's', 't', 'm', 'd':
		return 2
	}
	if strings.HasPrefix(s, "'ſ") { // a long s is an s to those who ignore case
		return len("'ſ")
	}
	if len(s) >= 3 {
		switch strings.ToLower(s[1:3]) {
		case "re", "ve", "ll":
			return 3
		}
	}
	return 0
}

// digits is the length of up to three digits.
func digits(s string) int {
	n := 0
	for i, c := range s {
		if n == 3 || !unicode.IsNumber(c) {
			return i
		}
		n++
	}
	return len(s)
}

// symbols is the length of what is no letter, number or space, with a blank before it and some characters after.
func symbols(s, after string) int {
	from := 0
	if s[0] == ' ' {
		from = 1
	}
	n := run(s, from, func(c rune) bool { return !unicode.IsSpace(c) && !unicode.IsLetter(c) && !unicode.IsNumber(c) })
	if n == from {
		return 0
	}
	for n < len(s) && strings.IndexByte(after, s[n]) >= 0 {
		n++
	}
	return n
}

// spaces is the length of blank space: up to its last line break; else all but the last one, which belongs to
// the word behind it. toEnd: at the end of the text it is one piece whatever it holds.
func spaces(s string, toEnd bool) int {
	n := run(s, 0, unicode.IsSpace)
	if n == len(s) && toEnd {
		return n
	}
	if i := strings.LastIndexAny(s[:n], "\r\n"); i >= 0 {
		return i + 1
	}
	if n == len(s) {
		return n
	}
	last := 0
	for i := range s[:n] {
		last = i
	}
	if last == 0 {
		_, w := first(s)
		return max(n, w) // one blank, or what is nothing that any rule knows
	}
	return last
}
