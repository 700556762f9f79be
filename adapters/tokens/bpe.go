package tokens

import (
	"bytes"
	"container/heap"
	"encoding/base64"
	"math"
	"strconv"
	"sync"
	"unicode/utf8"

	"github.com/pkoukk/tiktoken-go-loader/assets"
)

// encoding is a byte-pair vocabulary and the rule by which text is cut before it is looked up.
type encoding struct {
	name  string
	next  func(s string) int // the length of the first piece of s, which is not empty
	once  sync.Once
	ranks map[string]int32
}

var (
	cl100k = encoding{name: "cl100k_base", next: nextCL100K}
	o200k  = encoding{name: "o200k_base", next: nextO200K}
)

// load reads the vocabulary: lines of a token in base64 and its rank.
func (e *encoding) load() {
	data, err := assets.Assets.ReadFile(e.name + ".tiktoken")
	if err != nil {
		panic("tokens: " + err.Error()) // a broken build, met by every test
	}
	e.ranks = make(map[string]int32, bytes.Count(data, []byte{'\n'})+1)
	// The tokens share one string, so that a map of 200,000 keys is not 200,000 allocations.
	type entry struct{ from, to, rank int32 }
	entries := make([]entry, 0, cap(data)/16)
	var all []byte
	for line := range bytes.Lines(data) {
		token, rank, ok := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte{' '})
		n, err := strconv.ParseInt(string(rank), 10, 32)
		if !ok || err != nil {
			continue
		}
		from := int32(len(all))
		if all, err = base64.StdEncoding.AppendDecode(all, token); err == nil {
			entries = append(entries, entry{from, int32(len(all)), int32(n)})
		}
	}
	text := string(all)
	for _, t := range entries {
		e.ranks[text[t.from:t.to]] = t.rank
	}
}

// chunk is how many characters are taken at once. It is LiteLLM's number, so that counts agree; it also
// bounds the work that a text without a break can make.
const chunk = 1024

// count is how many tokens s has.
func (e *encoding) count(s string) (n int) {
	e.once.Do(e.load)
	for len(s) > 0 {
		head := prefix(s, chunk)
		s = s[len(head):]
		for len(head) > 0 {
			piece := head[:e.next(head)]
			head = head[len(piece):]
			if _, whole := e.ranks[piece]; whole {
				n++
			} else {
				n += e.merge(piece)
			}
		}
	}
	return n
}

// prefix is the first n characters of s, or s.
func prefix(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for at := range s {
		if n == 0 {
			return s[:at]
		}
		n--
	}
	return s
}

const noRank = math.MaxInt32

func (e *encoding) rank(s string) int32 {
	if r, ok := e.ranks[s]; ok {
		return r
	}
	return noRank
}

// merge counts the tokens of a piece: beginning with single bytes, the two neighbours whose union has the
// lowest rank become one, until no union is in the vocabulary.
func (e *encoding) merge(piece string) int {
	if len(piece) > 100 {
		return e.mergeLong(piece)
	}
	type part struct {
		at   int
		rank int32 // of the union with the next part
	}
	var room [102]part
	parts := room[:0]
	for i := range len(piece) {
		r := int32(noRank)
		if i+2 <= len(piece) {
			r = e.rank(piece[i : i+2])
		}
		parts = append(parts, part{i, r})
	}
	parts = append(parts, part{len(piece), noRank})
	union := func(i int) int32 {
		if i+3 >= len(parts) {
			return noRank
		}
		return e.rank(piece[parts[i].at:parts[i+3].at])
	}
	for {
		best, low := -1, int32(noRank)
		for i := range len(parts) - 1 {
			if parts[i].rank < low {
				best, low = i, parts[i].rank
			}
		}
		if best < 0 {
			return len(parts) - 1
		}
		if best > 0 {
			parts[best-1].rank = union(best - 1)
		}
		parts[best].rank = union(best)
		parts = append(parts[:best+1], parts[best+2:]...)
	}
}

// mergeLong is merge in n log n steps, for what no dictionary has: base64, or the same letter over and over.
func (e *encoding) mergeLong(piece string) int {
	n := len(piece)
	next, before, end := make([]int, n), make([]int, n), make([]int, n)
	q := make(unions, 0, n)
	for i := range n {
		next[i], before[i], end[i] = i+1, i-1, i+1
	}
	push := func(i int) {
		if j := next[i]; j < n {
			if r := e.rank(piece[i:end[j]]); r != noRank {
				heap.Push(&q, union{r, i, end[j]})
			}
		}
	}
	for i := range n {
		push(i)
	}
	count := n
	for len(q) > 0 {
		u := heap.Pop(&q).(union)
		i := u.at
		if end[i] < 0 || next[i] >= n || end[next[i]] != u.to {
			continue // one of the two has become part of something else
		}
		j := next[i]
		end[i], end[j] = end[j], -1
		next[i] = next[j]
		if next[i] < n {
			before[next[i]] = i
		}
		count--
		push(i)
		if before[i] >= 0 {
			push(before[i])
		}
	}
	return count
}

// union is two neighbours that could become one: from at to to.
type union struct {
	rank   int32
	at, to int
}

type unions []union

func (q unions) Len() int { return len(q) }
func (q unions) Less(i, j int) bool {
	return q[i].rank < q[j].rank || q[i].rank == q[j].rank && q[i].at < q[j].at
}
func (q unions) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *unions) Push(x any)   { *q = append(*q, x.(union)) }
func (q *unions) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// first decodes the first character of s; 0 and 0 at its end.
func first(s string) (rune, int) {
	if s == "" {
		return 0, 0
	}
	if s[0] < utf8.RuneSelf {
		return rune(s[0]), 1
	}
	return utf8.DecodeRuneInString(s)
}
