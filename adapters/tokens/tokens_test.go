package tokens

import (
	"encoding/json"
	"math"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/sluicegw/sluice/adapters/jsondoc"
)

// counts is what LiteLLM's token_counter says; tools/oracle/tokens.py makes it.
type counts struct {
	Texts []struct {
		Text   string `json:"text"`
		CL100K int    `json:"cl100k_base"`
		O200K  int    `json:"o200k_base"`
	} `json:"texts"`
	Chats []struct {
		Model    string          `json:"model"`
		Messages json.RawMessage `json:"messages"`
		Tools    json.RawMessage `json:"tools"`
		Choice   json.RawMessage `json:"tool_choice"`
		Count    int             `json:"count"`
	} `json:"chats"`
	Claude map[string]struct {
		Text  string `json:"text"`
		Count int    `json:"count"`
	} `json:"claude"`
}

func fixtures(t testing.TB) (c counts) {
	t.Helper()
	data, err := os.ReadFile("testdata/counts.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	if len(c.Texts) < 300 || len(c.Chats) < 40 || len(c.Claude) < 10 {
		t.Fatal("the fixtures are not all there")
	}
	return c
}

func TestTexts(t *testing.T) {
	old, newer := For("gpt-4"), For("gpt-4o-mini")
	for _, c := range fixtures(t).Texts {
		if got := old.Text(c.Text); got != c.CL100K {
			t.Errorf("cl100k_base: %q has %d, want %d: %q", c.Text, got, c.CL100K, pieces(&cl100k, c.Text))
		}
		if got := newer.Text(c.Text); got != c.O200K {
			t.Errorf("o200k_base: %q has %d, want %d: %q", c.Text, got, c.O200K, pieces(&o200k, c.Text))
		}
	}
}

func pieces(e *encoding, s string) (out []string) {
	for len(s) > 0 {
		n := e.next(s)
		out = append(out, s[:n])
		s = s[n:]
	}
	return out
}

func TestChats(t *testing.T) {
	for _, c := range fixtures(t).Chats {
		got := For(c.Model).Chat(jsondoc.Value(c.Messages), jsondoc.Value(c.Tools), jsondoc.Value(c.Choice))
		if got != c.Count {
			t.Errorf("%s: %s %s %s has %d, want %d", c.Model, c.Messages, c.Tools, c.Choice, got, c.Count)
		}
	}
}

// The estimate for Claude is as good as the comment says.
func TestClaude(t *testing.T) {
	c := For("claude-sonnet-4-5")
	sumGot, sumWant := 0, 0
	for _, name := range []string{"english", "code", "german", "russian", "chinese"} {
		f := fixtures(t).Claude[name]
		got := c.Text(f.Text)
		sumGot, sumWant = sumGot+got, sumWant+f.Count
		t.Logf("%s: %d of %d", name, got, f.Count)
		if off := math.Abs(float64(got)/float64(f.Count) - 1); off > 0.20 {
			t.Errorf("%s: %d, LiteLLM %d", name, got, f.Count)
		}
	}
	t.Logf("sum: %d of %d", sumGot, sumWant)
	if off := math.Abs(float64(sumGot)/float64(sumWant) - 1); off > 0.02 {
		t.Errorf("sum: %d, LiteLLM %d", sumGot, sumWant)
	}
}

func TestFor(t *testing.T) {
	for model, want := range map[string]string{
		"gpt-4o": "o200k_base", "gpt-4o-2024-08-06": "o200k_base", "GPT-5-mini": "o200k_base", "o1": "o200k_base", "o3-mini": "o200k_base",
		"openai/gpt-oss-120b": "o200k_base", "ft:gpt-4o-mini:org::id": "o200k_base", "chatgpt-4o-latest": "o200k_base",
		"gpt-4": "cl100k_base", "gpt-4-turbo": "cl100k_base", "o1x": "cl100k_base", "gpt-50": "cl100k_base",
		"llama-3": "cl100k_base", "": "cl100k_base", "claude-opus-4": "cl100k_base",
	} {
		if got := For(model).Encoding(); got != want {
			t.Errorf("%q: %s, want %s", model, got, want)
		}
	}
}

// What nobody would write does not take long, and what is no text at all does no harm.
func TestOddTexts(t *testing.T) {
	for _, s := range []string{strings.Repeat("a", 200_000), strings.Repeat("ab", 100_000), strings.Repeat(" ", 200_000), strings.Repeat("\u4e2d", 50_000),
		strings.Repeat("\n", 100_000), "\xff\xfe\x00", strings.Repeat("\xf0\x9f\x91", 100), strings.Repeat("'", 1000)} {
		for _, model := range []string{"gpt-4", "gpt-4o"} {
			if n := For(model).Text(s); n <= 0 || n > Most(len(s)) {
				t.Errorf("%.10q: %d", s, n)
			}
		}
	}
}

// Long pieces are merged in another way, with the same result.
func TestMergeLong(t *testing.T) {
	cl100k.once.Do(cl100k.load)
	for _, s := range []string{"abcabcabdabcaaab", strings.Repeat("xyz", 30), "iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4", "\xe4\xb8\xad\xe4"} {
		if a, b := cl100k.merge(s), cl100k.mergeLong(s); a != b {
			t.Errorf("%q: %d and %d", s, a, b)
		}
	}
}

func FuzzCount(f *testing.F) {
	for _, c := range fixtures(f).Texts {
		f.Add(c.Text)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, e := range []*encoding{&cl100k, &o200k} {
			rest := s
			for len(rest) > 0 {
				n := e.next(rest)
				if n <= 0 || n > len(rest) {
					t.Fatalf("%s: a piece of %d bytes at %q", e.name, n, rest)
				}
				rest = rest[n:]
			}
			if n := e.count(s); n > len(s) || n == 0 && s != "" {
				t.Errorf("%s: %d tokens", e.name, n)
			}
		}
	})
}

func FuzzChat(f *testing.F) {
	for _, c := range fixtures(f).Chats {
		f.Add([]byte(c.Messages), []byte(c.Tools))
	}
	f.Fuzz(func(t *testing.T, messages, tools []byte) {
		if json.Valid(messages) && (len(tools) == 0 || json.Valid(tools)) {
			if n := For("gpt-4").Chat(jsondoc.Value(messages), jsondoc.Value(tools), ""); n < 0 {
				t.Error(n)
			}
		}
	})
}

func BenchmarkText(b *testing.B) {
	text := strings.Repeat(fixtures(b).Claude["english"].Text, 20)
	for _, model := range []string{"gpt-4", "gpt-4o"} {
		c := For(model)
		c.Text("load")
		b.Run(c.Encoding(), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				c.Text(text)
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		e := encoding{name: o200k.name, next: nextO200K}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		e.load()
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB")
		runtime.KeepAlive(&e)
	}
}
