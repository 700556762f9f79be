package adapters

import (
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
)

// Beside is what an answer may cost more for than words: what has to be held for a call before it is made.
type Beside struct {
	// Searches is how many searches the provider may make for the answer, in the web or in maps.
	Searches int64
	// Heard and Spoken: there may be audio in the prompt and in the answer. Seen: there are images in the prompt.
	Heard, Spoken, Seen bool
}

// assumedSearches is how many searches a provider may make for an answer, where the request sets no limit.
const assumedSearches = 10

// mostSearches is more than any answer takes, and keeps the clients' numbers from overflowing a sum.
const mostSearches = 1 << 20

// Beside reads a request for it.
func (r *Request) Beside() Beside {
	b := Beside{Heard: r.facts&hasAudio != 0, Seen: r.facts&hasImage != 0}
	if r.op != Chat {
		return b
	}
	b.read(r.doc.Get)
	if extra := r.doc.Get("extra_body"); extra.IsObject() {
		b.read(extra.Get)
	}
	return b
}

func (b *Beside) read(get func(string) jsondoc.Value) {
	if get("web_search_options").IsObject() || get("search_parameters").IsObject() {
		b.Searches = max(b.Searches, assumedSearches)
	}
	b.Spoken = b.Spoken || get("audio").IsObject() || strings.Contains(strings.ToLower(string(get("modalities"))), `"audio"`)
	for tool := range get("tools").Elements() {
		if tool.Get("type").Is("function") || tool.Get("function") != "" {
			continue
		}
		// A provider's own tool, which is likely to look something up.
		most, ok := tool.Get("max_uses").Int()
		if !ok || most < 0 {
			most = assumedSearches
		}
		b.Searches = min(b.Searches+min(most, mostSearches), mostSearches)
	}
}

// Or is what either of two requests may cost more for.
func (b Beside) Or(o Beside) Beside {
	return Beside{max(b.Searches, o.Searches), b.Heard || o.Heard, b.Spoken || o.Spoken, b.Seen || o.Seen}
}
