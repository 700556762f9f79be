package catalog

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// usages are those of tools/oracle/costs.py.
var usages = []Tokens{
	{Prompt: 1000, Completion: 500},
	{Prompt: 1000, CachedRead: 300, Completion: 500, Reasoning: 200},
	{Prompt: 5000, CachedRead: 1000, CacheWrite: 2000, Completion: 700},
	{Prompt: 5000, CachedRead: 1000, CacheWrite: 2000, CacheWriteHour: 500, Completion: 700},
	{Prompt: 210000, CachedRead: 50000, Completion: 1000, Reasoning: 100},
	{Prompt: 130000, Completion: 1000},
	{Prompt: 300000, CachedRead: 100000, CacheWrite: 10000, Completion: 2000, Tier: PriorityTier},
	{Prompt: 1000, CachedRead: 300, Completion: 500, Reasoning: 200, Tier: FlexTier},
	{Prompt: 1000, PromptAudio: 400, Completion: 500, CompletionAudio: 100},
}

// TestCosts compares with LiteLLM's cost_per_token.
func TestCosts(t *testing.T) {
	data, err := os.ReadFile("testdata/costs.tsv")
	if err != nil {
		t.Fatal(err)
	}
	models := map[string]bool{}
	for row := range strings.Lines(string(data)) {
		f := strings.Split(strings.TrimSuffix(row, "\n"), "\t")
		provider, model := f[0], f[1]
		n, _ := strconv.Atoi(f[2])
		models[provider+"/"+model] = true
		info, ok := Lookup(provider, model)
		// LiteLLM also has rules that tell abilities, but no prices, from a name alone.
		if _, listed := find("", f[3], false); n == 0 && listed && info.Name != f[3] {
			t.Errorf("%s %s: found %q, LiteLLM finds %q", provider, model, info.Name, f[3])
		}
		if f[4] == "-" {
			if n == 0 && ok && f[3] == "" {
				t.Errorf("%s %s: found %q, LiteLLM does not know it", provider, model, info.Name)
			}
			continue
		}
		if provider == "perplexity" && n > 0 {
			continue // Perplexity tells costs itself; LiteLLM's own sum leaves the cache and long prompts out
		}
		want, err := strconv.ParseFloat(f[4], 64)
		if err != nil {
			t.Fatal(err)
		}
		got, known := info.Prices.Dollars(usages[n])
		if !known && want == 0 {
			continue // LiteLLM takes what has no price for free
		}
		if !known || math.Abs(got-want) > 1e-12+1e-9*want {
			t.Errorf("%s %s (%s), usage %d: %v (%v), LiteLLM says %v", provider, model, info.Name, n, got, known, want)
		}
	}
	if len(models) < 300 {
		t.Errorf("only %d models", len(models))
	}
}

// Every line can be read, is found by its own name, and is in order.
func TestCatalogueIsSound(t *testing.T) {
	index := lines()
	if len(index) < 4000 {
		t.Fatalf("%d models", len(index))
	}
	before := ""
	for _, at := range index {
		line, _, _ := strings.Cut(models[at:], "\n")
		name, _, _ := strings.Cut(line, "\t")
		if lower := strings.ToLower(name); lower <= before {
			t.Errorf("%s is out of order", name)
		} else {
			before = lower
		}
		cells := strings.Split(line, "\t")
		for field := range strings.FieldsSeq(append(cells, "", "", "", "")[3]) {
			code, value, _ := strings.Cut(field, "=")
			if v, err := strconv.ParseFloat(value, 64); err != nil || v < 0 {
				t.Errorf("%s: %s", name, field)
			}
			base := strings.FieldsFunc(code, func(r rune) bool { return r == '@' || r == '>' })[0]
			if !known(base) {
				t.Errorf("%s: nobody reads %s", name, field)
			}
		}
		if info, ok := find("", name, false); !ok || info.Name != name {
			t.Errorf("%s is not found", name)
		}
	}
}

func known(code string) bool {
	for _, f := range rateFields {
		if f.code == code {
			return true
		}
	}
	for _, f := range priceFields {
		if f.code == code {
			return true
		}
	}
	for _, f := range limitFields {
		if f.code == code {
			return true
		}
	}
	return false
}

// The codes in the file's head are those that are read here.
func TestCodes(t *testing.T) {
	head, _, _ := strings.Cut(models, "\n1024")
	for _, f := range rateFields {
		mustHold(t, head, f.code+"="+f.name)
	}
	for _, f := range priceFields {
		mustHold(t, head, f.code+"="+f.name)
	}
	for _, f := range limitFields {
		mustHold(t, head, f.code+"="+f.name)
	}
	for _, s := range services {
		mustHold(t, head, s.letter+"="+s.suffix)
	}
	for _, a := range abilities {
		mustHold(t, head, string(a.letter)+"="+a.name)
	}
}

func mustHold(t *testing.T, head, entry string) {
	t.Helper()
	if !slices.Contains(strings.Fields(head), entry) {
		t.Errorf("models.txt does not have %s", entry)
	}
}

func TestWith(t *testing.T) {
	base, ok := Lookup("gemini", "gemini-2.5-pro")
	if !ok {
		t.Fatal("not there")
	}
	before := base.Prices.Steps[0]
	long := Tokens{Prompt: 300000, CachedRead: 100000, Completion: 1000, Reasoning: 500, Tier: PriorityTier}
	for _, c := range []struct {
		name string
		own  map[string]float64
		want float64
	}{
		{"nothing", nil, 200000*4.5e-6 + 100000*4.5e-7 + 1000*2.7e-5},
		{"input", map[string]float64{"input_cost_per_token": 1e-6}, 300000*1e-6 + 1000*1e-5},
		{"both", map[string]float64{"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}, 300000*1e-6 + 1000*2e-6},
		{"cached", map[string]float64{"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6, "cache_read_input_token_cost": 1e-7,
			"output_cost_per_reasoning_token": 4e-6}, 200000*1e-6 + 100000*1e-7 + 500*2e-6 + 500*4e-6},
		{"free", map[string]float64{"input_cost_per_token": 0, "output_cost_per_token": 0}, 0},
		{"step", map[string]float64{"input_cost_per_token": 1e-6, "input_cost_per_token_above_200k_tokens": 3e-6}, 200000*3e-6 + 100000*3e-6 + 1000*1e-5},
		{"only cached", map[string]float64{"cache_read_input_token_cost": 0}, 200000*4.5e-6 + 100000*4.5e-7 + 1000*2.7e-5},
		{"bad", map[string]float64{"input_cost_per_token": -1, "output_cost_per_token": math.NaN()}, 200000*4.5e-6 + 100000*4.5e-7 + 1000*2.7e-5},
	} {
		info := base.With(c.own)
		if got, _ := info.Prices.Dollars(long); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	timed := base.With(map[string]float64{"input_cost_per_second": 0.01})
	if got, known := timed.Prices.Dollars(Tokens{Prompt: 10, Seconds: 2}); got != 0.02 || !known {
		t.Errorf("by time: %v %v", got, known)
	}
	limits := Info{}.With(map[string]float64{"max_input_tokens": 8000, "max_tokens": 100, "no_such_field": 1})
	if limits.MaxInputTokens != 8000 || limits.MaxTokens != 100 || limits.Prices.Known() {
		t.Errorf("%+v", limits)
	}
	if after, _ := Lookup("gemini", "gemini-2.5-pro"); *after.Prices.Steps[0].Input != *before.Input || len(base.Prices.Steps) != 1 {
		t.Error("the catalogue's own prices have changed")
	}
}

func TestFields(t *testing.T) {
	info, _ := Lookup("gemini", "gemini-2.5-pro")
	f := info.Fields()
	for name, want := range map[string]any{
		"key": "gemini/gemini-2.5-pro", "litellm_provider": "gemini", "mode": "chat", "max_input_tokens": int64(1048576),
		"input_cost_per_token": 1.25e-6, "input_cost_per_token_above_200k_tokens": 2.5e-6, "input_cost_per_token_priority": 2.25e-6,
		"output_cost_per_token_above_200k_tokens_priority": 2.7e-5, "supports_vision": true,
	} {
		if f[name] != want {
			t.Errorf("%s: %v, want %v", name, f[name], want)
		}
	}
	// What is given out is taken in.
	own := map[string]float64{}
	for name, v := range f {
		switch v := v.(type) {
		case float64:
			own[name] = v
		case int64:
			own[name] = float64(v)
		}
	}
	back := Info{}.With(own)
	for _, u := range usages {
		got, _ := back.Prices.Dollars(u)
		want, _ := info.Prices.Dollars(u)
		if got != want {
			t.Errorf("%+v: %v, want %v", u, got, want)
		}
	}
}

func TestOddCounts(t *testing.T) {
	info, _ := Lookup("openai", "gpt-4o")
	most := math.MaxInt64 / 4
	for _, u := range []Tokens{
		{}, {Prompt: -5, Completion: -5}, {Prompt: 10, CachedRead: 100, CacheWrite: 100, CacheWriteHour: 200, PromptAudio: 50, PromptImage: 50},
		{Completion: 10, Reasoning: 100, CompletionAudio: 100, CompletionImage: 100}, {Prompt: int64(most), Completion: int64(most)},
	} {
		if got, known := info.Prices.Cost(u); got < 0 || !known {
			t.Errorf("%+v: %v %v", u, got, known)
		}
	}
	var nobody Prices
	if got, known := nobody.Cost(Tokens{Prompt: 1000}); got != 0 || known {
		t.Error(got, known)
	}
}

func FuzzLookup(f *testing.F) {
	for _, s := range []string{"gpt-4o", "us.anthropic.claude-v2:0:51k", "ft:a:b:c:d", "a/b/c", "arn:aws:x/y", "-1", "nova/", ""} {
		f.Add("openai", s)
		f.Add("bedrock", s)
		f.Add("vertex_ai", s)
	}
	f.Fuzz(func(t *testing.T, provider, model string) {
		if info, ok := Lookup(provider, model); ok && info.Name == "" {
			t.Error("found nothing")
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	for _, c := range [][2]string{{"openai", "gpt-4o"}, {"bedrock", "us.anthropic.claude-sonnet-4-20250514-v1:0"}, {"openai", "no-such-model"}} {
		b.Run(c[0]+"/"+c[1], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Lookup(c[0], c[1])
			}
		})
	}
}

func BenchmarkCost(b *testing.B) {
	info, _ := Lookup("gemini", "gemini-2.5-pro")
	b.ReportAllocs()
	for b.Loop() {
		info.Prices.Cost(Tokens{Prompt: 300000, CachedRead: 1000, Completion: 500, Tier: PriorityTier})
	}
}

func TestRegional(t *testing.T) {
	info, ok := Lookup("vertex_ai", "claude-sonnet-4-5@20250929")
	if !ok {
		t.Fatal("the model is not in the catalogue")
	}
	call := Tokens{Prompt: 10, Completion: 5}
	global := NewPricer("vertex_ai", info, false)
	here := NewPricer("vertex_ai", info, false)
	here.Regional()
	for _, answered := range []string{"", "claude-sonnet-4-5@20250929"} {
		all, _ := global.For("", answered).Dollars(call)
		one, _ := here.For("", answered).Dollars(call)
		if fmt.Sprintf("%.8f", all) != "0.00010500" || fmt.Sprintf("%.8f", one) != "0.00011550" {
			t.Errorf("answered by %q: %v, of one region %v", answered, all, one)
		}
	}
	own := info.With(map[string]float64{"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6})
	p := NewPricer("vertex_ai", own, true)
	p.Regional()
	if d, _ := p.For("", "").Dollars(call); fmt.Sprintf("%.8f", d) != "0.00002000" {
		t.Errorf("prices of its own come to %v", d)
	}
}
