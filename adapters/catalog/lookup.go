package catalog

import (
	_ "embed"
	"sort"
	"strconv"
	"strings"
	"sync"
)

// models is the catalogue: a line a model, in the order of the names in lower case.
//
//go:embed models.txt
var models string

// lines are the offsets of the lines, found at the first use: the catalogue itself stays where the program
// lies, and only the line that is asked for is read.
var lines = sync.OnceValue(func() []uint32 {
	out := make([]uint32, 0, 8<<10)
	for at := 0; at < len(models); {
		if models[at] != '#' {
			out = append(out, uint32(at))
		}
		n := strings.IndexByte(models[at:], '\n')
		if n < 0 {
			break
		}
		at += n + 1
	}
	return out
})

const longestName = 200

// Lookup finds a model of a provider, both by LiteLLM's names, in the order in which LiteLLM looks: with
// the provider before the name, the name alone, then without a route or region of Bedrock's, a version or
// a fine-tune's own part. What an entry says of another provider's model does not count.
func Lookup(provider, model string) (Info, bool) {
	if provider == "vertex_ai_beta" {
		provider = "vertex_ai"
	}
	model = strings.TrimPrefix(model, provider+"/")
	if provider == "vertex_ai" {
		model = vertexName(model)
	}
	split := model
	if isBedrock(provider) {
		split = withoutRoute(model)
	}
	stripped := strip(provider, model)
	for _, c := range [...]struct {
		prefixed bool
		name     string
	}{{true, model}, {false, model}, {false, split}, {true, stripped}, {false, stripped}, {true, provider + "/" + model}} {
		if info, ok := find(provider, c.name, c.prefixed); ok {
			return info, true
		}
	}
	return sizeClass(provider, model)
}

// find looks for one name, with the provider before it or without.
func find(provider, name string, prefixed bool) (Info, bool) {
	if len(provider)+1+len(name) > longestName {
		return Info{}, false
	}
	var buf [longestName + 1]byte
	key := buf[:0]
	if prefixed && provider != "" {
		key = append(append(key, provider...), '/')
	}
	key = append(key, name...)
	line, ok := lineOf(key)
	if !ok {
		return Info{}, false
	}
	info := parse(line)
	info.grounded()
	return info, sameProvider(provider, info.Provider)
}

// lineOf finds the line of a name in any case.
func lineOf(key []byte) (string, bool) {
	for i, c := range key {
		key[i] = lower(c)
	}
	index := lines()
	i := sort.Search(len(index), func(i int) bool { return compare(index[i], key) >= 0 })
	if i == len(index) || compare(index[i], key) != 0 {
		return "", false
	}
	line, _, _ := strings.Cut(models[index[i]:], "\n")
	return line, true
}

// compare orders the name of the line at an offset against a key in lower case.
func compare(at uint32, key []byte) int {
	line := models[at:]
	for i := 0; ; i++ {
		end := i == len(line) || line[i] == '\t' || line[i] == '\n'
		switch {
		case end && i == len(key):
			return 0
		case end:
			return -1
		case i == len(key):
			return 1
		}
		if c := lower(line[i]); c != key[i] {
			return int(c) - int(key[i])
		}
	}
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// sameProvider tells whether an entry of one provider is about a model of another.
func sameProvider(asked, entry string) bool {
	switch {
	case asked == "" || entry == "" || asked == entry,
		asked == "litellm_proxy", asked == "github",
		asked == "azure_ai" && (entry == "azure" || entry == "openai"):
		return true
	case asked == "vertex_ai", asked == "fireworks_ai":
		return strings.HasPrefix(entry, asked)
	}
	return isBedrock(asked) && strings.HasPrefix(entry, "bedrock")
}

// parse reads a line: name, provider, mode, numbers and abilities, with tabs between them.
func parse(line string) Info {
	var cells [5]string
	for i := range cells {
		cells[i], line, _ = strings.Cut(line, "\t")
	}
	info := Info{Name: cells[0], Provider: cells[1], Mode: cells[2]}
	values := make([]float64, 0, 1+strings.Count(cells[3], " "))
	for field := range strings.SplitSeq(cells[3], " ") {
		code, text, ok := strings.Cut(field, "=")
		v, err := strconv.ParseFloat(text, 64)
		if !ok || err != nil {
			continue // a newer catalogue's: nothing depends on it
		}
		values = append(values, v) // never beyond its capacity, so pointers into it hold
		info.set(code, &values[len(values)-1])
	}
	for i := range len(cells[4]) {
		for _, a := range abilities {
			if a.letter == cells[4][i] {
				info.Abilities |= a.is
			}
		}
	}
	return info
}
