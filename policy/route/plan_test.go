package route

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sluicegw/sluice/internal/apierror"
)

func ptr[T any](v T) *T { return &v }

// clock is a time that only the test moves.
type clock struct{ now time.Time }

func newClock() *clock                   { return &clock{time.Unix(1_700_000_000, 0)} }
func (c *clock) Now() time.Time          { return c.now }
func (c *clock) advance(d time.Duration) { c.now = c.now.Add(d) }

// members makes deployments "group/1", "group/2" … of a group.
func members(group string, n int) []Deployment {
	var ds []Deployment
	for i := range n {
		ds = append(ds, Deployment{ID: fmt.Sprintf("%s/%d", group, i+1), Group: group})
	}
	return ds
}

func table(t testing.TB, s Settings, groups ...[]Deployment) *Table {
	t.Helper()
	var all []Deployment
	for _, g := range groups {
		all = append(all, g...)
	}
	tab, err := NewTable(all, s)
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

func own(models ...string) []Override {
	out := []Override{}
	for _, m := range models {
		out = append(out, Override{Model: m})
	}
	return out
}

// first never shuffles: with equal shares it keeps the order of the configuration.
func first() float64 { return 0 }

func ids(p *Plan) string {
	var s []string
	for _, a := range p.Attempts {
		s = append(s, a.Deployment.ID)
	}
	return strings.Join(s, " ")
}

func TestPlanOrder(t *testing.T) {
	fallbacks := func(f map[string][]string) func(*Settings) { return func(s *Settings) { s.Fallbacks = f } }
	tests := []struct {
		name   string
		groups [][]Deployment
		set    func(*Settings)
		ask    Ask
		want   string
	}{
		{name: "others of the group before any again",
			groups: [][]Deployment{members("a", 2)}, ask: Ask{Group: "a"}, want: "a/1 a/2 a/1"},
		{name: "no more than 1+num_retries",
			groups: [][]Deployment{members("a", 5)}, ask: Ask{Group: "a"}, want: "a/1 a/2 a/3"},
		{name: "one deployment is tried again",
			groups: [][]Deployment{members("a", 1)}, ask: Ask{Group: "a"}, want: "a/1 a/1 a/1"},
		{name: "client's num_retries",
			groups: [][]Deployment{members("a", 2)}, ask: Ask{Group: "a", NumRetries: ptr(4)}, want: "a/1 a/2 a/1 a/2 a/1"},
		{name: "deployment's num_retries",
			groups: [][]Deployment{{{ID: "x", Group: "a", NumRetries: ptr(1)}}}, ask: Ask{Group: "a"}, want: "x x"},
		{name: "client's num_retries over the deployment's",
			groups: [][]Deployment{{{ID: "x", Group: "a", NumRetries: ptr(3)}}}, ask: Ask{Group: "a", NumRetries: ptr(0)}, want: "x"},
		{name: "negative num_retries is none",
			groups: [][]Deployment{members("a", 2)}, ask: Ask{Group: "a", NumRetries: ptr(-3)}, want: "a/1"},
		{name: "num_retries 0 still falls back",
			groups: [][]Deployment{members("a", 2), members("b", 2), members("c", 1)},
			set:    fallbacks(map[string][]string{"a": {"b", "c"}}),
			ask:    Ask{Group: "a", NumRetries: ptr(0)}, want: "a/1 b/1 c/1"},
		{name: "fallback groups have no deployment twice",
			groups: [][]Deployment{members("a", 1), members("b", 1), members("c", 2)},
			set:    fallbacks(map[string][]string{"a": {"b", "c"}}),
			ask:    Ask{Group: "a"}, want: "a/1 a/1 a/1 b/1 c/1 c/2"},
		{name: "fallbacks of fallbacks come before the next fallback",
			groups: [][]Deployment{members("a", 1), members("b", 1), members("c", 1), members("d", 1)},
			set:    fallbacks(map[string][]string{"a": {"b", "c"}, "b": {"d"}}),
			ask:    Ask{Group: "a", NumRetries: ptr(0)}, want: "a/1 b/1 d/1 c/1"},
		{name: "cycles end",
			groups: [][]Deployment{members("a", 1), members("b", 1)},
			set:    fallbacks(map[string][]string{"a": {"b"}, "b": {"a"}}),
			ask:    Ask{Group: "b", NumRetries: ptr(0)}, want: "b/1 a/1"},
		{name: "default fallbacks",
			groups: [][]Deployment{members("a", 1), members("b", 1), members("c", 1)},
			set:    fallbacks(map[string][]string{"*": {"c"}, "a": {"b"}}),
			ask:    Ask{Group: "a", NumRetries: ptr(0)}, want: "a/1 b/1 c/1"},
		{name: "unknown model goes to the default fallbacks",
			groups: [][]Deployment{members("a", 1)}, set: fallbacks(map[string][]string{"*": {"a"}}),
			ask: Ask{Group: "nope"}, want: "a/1"},
		{name: "max_fallbacks",
			groups: [][]Deployment{members("a", 1), members("b", 1), members("c", 1), members("d", 1)},
			set: func(s *Settings) {
				s.Fallbacks = map[string][]string{"a": {"b", "c", "d"}}
				s.MaxFallbacks = 2
			},
			ask: Ask{Group: "a", NumRetries: ptr(0)}, want: "a/1 b/1 c/1"},
		{name: "client's fallbacks replace the configured ones, all the way down",
			groups: [][]Deployment{members("a", 1), members("b", 1), members("c", 1)},
			set:    fallbacks(map[string][]string{"a": {"b"}, "c": {"b"}}),
			ask:    Ask{Group: "a", NumRetries: ptr(0), Fallbacks: own("nope", "c", "a")}, want: "a/1 c/1"},
		{name: "client's empty fallbacks are none",
			groups: [][]Deployment{members("a", 1), members("b", 1)}, set: fallbacks(map[string][]string{"a": {"b"}}),
			ask: Ask{Group: "a", NumRetries: ptr(0), Fallbacks: []Override{}}, want: "a/1"},
		{name: "lower order first, then each next",
			groups: [][]Deployment{{
				{ID: "none", Group: "a"}, {ID: "two", Group: "a", Order: ptr(2)},
				{ID: "zero", Group: "a", Order: ptr(0)}, {ID: "two-b", Group: "a", Order: ptr(2)}}},
			ask: Ask{Group: "a", NumRetries: ptr(0)}, want: "zero two none"},
		{name: "fallback under its name without provider",
			groups: [][]Deployment{members("openai/gpt", 1), members("b", 1)},
			set:    fallbacks(map[string][]string{"gpt": {"b"}}),
			ask:    Ask{Group: "openai/gpt", NumRetries: ptr(0)}, want: "openai/gpt/1 b/1"},
		{name: "alias, with the fallbacks of its group",
			groups: [][]Deployment{members("a", 1), members("b", 1)},
			set: func(s *Settings) {
				s.Aliases = map[string]Alias{"gpt-4": {Group: "a"}}
				s.Fallbacks = map[string][]string{"a": {"b"}}
			},
			ask: Ask{Group: "gpt-4", NumRetries: ptr(0)}, want: "a/1 b/1"},
		{name: "alias with its own",
			groups: [][]Deployment{members("a", 1), members("b", 1), members("c", 1)},
			set: func(s *Settings) {
				s.Aliases = map[string]Alias{"gpt-4": {Group: "a"}}
				s.Fallbacks = map[string][]string{"a": {"b"}, "gpt-4": {"c"}}
			},
			ask: Ask{Group: "gpt-4", NumRetries: ptr(0)}, want: "a/1 c/1"},
		{name: "hidden group by configured fallback",
			groups: [][]Deployment{members("a", 1), {{ID: "raw", Group: "anthropic/claude", Hidden: true}}},
			set:    fallbacks(map[string][]string{"a": {"anthropic/claude"}}),
			ask: Ask{Group: "a", NumRetries: ptr(0),
				Allowed: func(m string) bool { return m == "a" }}, want: "a/1 raw"},
		{name: "hidden group cannot be named by the client",
			groups: [][]Deployment{members("a", 1), {{ID: "raw", Group: "anthropic/claude", Hidden: true}}},
			ask:    Ask{Group: "a", NumRetries: ptr(0), Fallbacks: own("anthropic/claude")}, want: "a/1"},
		{name: "fallbacks that the key may not use are left out, with theirs",
			groups: [][]Deployment{members("a", 1), members("b", 1), members("c", 1), members("d", 1)},
			set:    fallbacks(map[string][]string{"a": {"b", "c"}, "b": {"d"}}),
			ask: Ask{Group: "a", NumRetries: ptr(0),
				Allowed: func(m string) bool { return m != "b" }}, want: "a/1 c/1"},
		{name: "deployments that cannot are left out",
			groups: [][]Deployment{members("a", 3)},
			ask: Ask{Group: "a", Can: func(d *Deployment) error {
				if d.ID == "a/2" {
					return errors.New("no key")
				}
				var none *apierror.Error
				return none
			}}, want: "a/1 a/3 a/1"},
		{name: "whole plan is bounded",
			groups: [][]Deployment{members("a", 1)}, ask: Ask{Group: "a", NumRetries: ptr(1000)},
			want: strings.TrimSpace(strings.Repeat("a/1 ", maxAttempts))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := DefaultSettings()
			if tt.set != nil {
				tt.set(&s)
			}
			p, err := table(t, s, tt.groups...).Plan(tt.ask, nil, first)
			if err != nil {
				t.Fatal(err)
			}
			if got := ids(p); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestPlanNumbersAttempts(t *testing.T) {
	s := DefaultSettings()
	s.NumRetries = 1
	s.Fallbacks = map[string][]string{"a": {"b", "c"}}
	p, err := table(t, s, members("a", 1), members("b", 2), members("c", 1)).Plan(Ask{Group: "a"}, nil, first)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range p.Attempts {
		got = append(got, fmt.Sprintf("%s:%d:%d", a.Group, a.Retry, a.Fallback))
	}
	if want := "a:0:0 a:1:0 b:0:1 b:1:1 c:0:2"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestPlanRefusals(t *testing.T) {
	broken := func(*Deployment) error { return errors.New("OPENAI_API_KEY is not set") }
	tooMany := func(*Deployment) error { return apierror.New(apierror.BadRequest, 400, "n must be 1") }
	tests := []struct {
		name   string
		groups [][]Deployment
		ask    Ask
		status int
		typ    string
		param  string
		text   string
	}{
		{"unknown", nil, Ask{Group: "gpt"}, 400, "invalid_request_error", "model",
			"Invalid model name passed in model=gpt. Call `/v1/models` to view available models for your key."},
		{"hidden", [][]Deployment{{{ID: "x", Group: "openai/gpt", Hidden: true}}}, Ask{Group: "openai/gpt"},
			400, "invalid_request_error", "model", "Invalid model name passed in model=openai/gpt."},
		{"not allowed", [][]Deployment{members("a", 1)}, Ask{Group: "a", Allowed: func(string) bool { return false }},
			403, "key_model_access_denied", "model", "The requested model 'a' is not available for this API key"},
		{"unknown is not told to who may not ask", nil, Ask{Group: "a", Allowed: func(string) bool { return false }},
			403, "key_model_access_denied", "model", "or the model name is invalid"},
		{"request that nobody can carry", [][]Deployment{members("a", 2)}, Ask{Group: "a", Can: tooMany},
			400, "", "", "n must be 1"},
		{"nobody can", [][]Deployment{members("a", 2)}, Ask{Group: "a", Can: broken},
			429, "", "", "No deployments available for selected model. Passed model=a: OPENAI_API_KEY is not set."},
		{"the request's fault is told before a deployment's", [][]Deployment{members("a", 3)},
			Ask{Group: "a", Can: func(d *Deployment) error {
				if d.ID == "a/2" {
					return tooMany(d)
				}
				return apierror.New(apierror.Unavailable, 503, "%s is out of service", d.ID)
			}}, 400, "", "", "n must be 1"},
		{"only unknown fallbacks", nil, Ask{Group: "a", Fallbacks: own("b")},
			400, "invalid_request_error", "model", "Invalid model name passed in model=a."},
		{"long name", nil, Ask{Group: strings.Repeat("é", 5000)}, 400, "invalid_request_error", "model", "é…. Call"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := table(t, DefaultSettings(), tt.groups...).Plan(tt.ask, nil, first)
			if err == nil {
				t.Fatalf("got a plan: %s", ids(p))
			}
			if err.Status != tt.status || err.Type != tt.typ || err.Param != tt.param || !strings.Contains(err.Message, tt.text) {
				t.Errorf("got %d %q %q %q", err.Status, err.Type, err.Param, err.Message)
			}
			if len(err.Message) > 700 {
				t.Errorf("message of %d bytes", len(err.Message))
			}
		})
	}
}

func TestPlanSkipsCoolingDeployments(t *testing.T) {
	c := newClock()
	h := NewHealth(c.Now, nil)
	s := DefaultSettings()
	s.Fallbacks = map[string][]string{"a": {"b"}}
	tab := table(t, s, members("a", 2), members("b", 2))
	h.Apply(tab)
	fail := func(id string, after time.Duration) {
		h.Report(Outcome{DeploymentID: id, Status: 429, RetryAfter: after})
	}
	fail("a/1", 0)
	p, _ := tab.Plan(Ask{Group: "a"}, h, first)
	if got := ids(p); got != "a/2 a/2 a/2 b/1 b/2" {
		t.Errorf("one cooling: %s", got)
	}
	if len(p.Skipped) != 1 || p.Skipped[0].Deployment.ID != "a/1" ||
		!p.Skipped[0].Until.Equal(c.now.Add(5*time.Second)) || p.Skipped[0].Reason != "cooling down after 429 rate_limit" {
		t.Errorf("skipped: %+v", p.Skipped)
	}
	fail("a/2", time.Minute)
	if p, _ = tab.Plan(Ask{Group: "a"}, h, first); ids(p) != "b/1 b/2" || p.Attempts[0].Fallback != 1 {
		t.Errorf("group cooling: %+v", p.Attempts)
	}
	fail("b/1", time.Minute)
	fail("b/2", time.Minute)
	c.advance(1500 * time.Millisecond)
	_, err := tab.Plan(Ask{Group: "a"}, h, first)
	if err == nil || err.Status != 429 || err.RetryAfter != 3500*time.Millisecond {
		t.Fatalf("all cooling: %+v", err)
	}
	want := "No deployments available for selected model, Try again in 4 seconds. All deployments for selected model are in cooldown. Passed model=a."
	if err.Message != want {
		t.Errorf("message %q", err.Message)
	}
	c.advance(3500 * time.Millisecond)
	if p, err = tab.Plan(Ask{Group: "a"}, h, first); err != nil || ids(p) != "a/1 a/1 a/1" {
		t.Errorf("returned: %v", err)
	}
}

func TestPlanTimeout(t *testing.T) {
	d := Deployment{ID: "x", Group: "a", Timeout: 2, StreamTimeout: 3}
	tests := []struct {
		name string
		d    Deployment
		ask  Ask
		want time.Duration
	}{
		{"table's", Deployment{ID: "x", Group: "a"}, Ask{}, 4},
		{"table's stream", Deployment{ID: "x", Group: "a"}, Ask{Stream: true}, 5},
		{"deployment's", d, Ask{}, 2},
		{"deployment's stream", d, Ask{Stream: true}, 3},
		{"client's", d, Ask{Timeout: 9}, 9},
		{"client's, stream", d, Ask{Timeout: 9, Stream: true}, 9},
		{"client's stream", d, Ask{Timeout: 9, StreamTimeout: 8, Stream: true}, 8},
		{"client's stream timeout without stream", d, Ask{StreamTimeout: 8}, 2},
	}
	for _, tt := range tests {
		s := DefaultSettings()
		s.Timeout, s.StreamTimeout = 4, 5
		tt.ask.Group = "a"
		p, err := table(t, s, []Deployment{tt.d}).Plan(tt.ask, nil, first)
		if err != nil || p.Attempts[0].Timeout != tt.want {
			t.Errorf("%s: %v, %v", tt.name, p.Attempts[0].Timeout, err)
		}
	}
}

// Over 100,000 draws the standard error of a share is below 0.0016; 0.008 is five of them. Short tests draw
// less often.
var draws, tolerance = 100_000, 0.008

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		draws, tolerance = 10_000, 0.025
	}
	os.Exit(m.Run())
}

// wide is a tolerance for 100,000 draws, widened for as many as there are.
func wide(t float64) float64 {
	if draws < 100_000 {
		return t + 0.02
	}
	return t
}

func TestSimpleShuffleShares(t *testing.T) {
	mk := func(f func(i int, d *Deployment)) []Deployment {
		ds := members("a", 3)
		for i := range ds {
			f(i, &ds[i])
		}
		return ds
	}
	tests := []struct {
		name string
		ds   []Deployment
		want [3]float64 // share of first places
	}{
		{"even", members("a", 3), [3]float64{1. / 3, 1. / 3, 1. / 3}},
		{"weight", mk(func(i int, d *Deployment) { d.Weight = float64(i + 1) }), [3]float64{1. / 6, 2. / 6, 3. / 6}},
		{"rpm", mk(func(i int, d *Deployment) { d.RPM = []float64{900, 100, 0}[i] }), [3]float64{0.9, 0.1, 0}},
		{"tpm", mk(func(i int, d *Deployment) { d.TPM = []float64{1, 1, 2}[i] }), [3]float64{0.25, 0.25, 0.5}},
		{"weight before rpm before tpm", mk(func(i int, d *Deployment) {
			d.Weight, d.RPM, d.TPM = []float64{3, 1, 0}[i], 1000, float64(1000*i)
		}), [3]float64{0.75, 0.25, 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tab := table(t, DefaultSettings(), tt.ds)
			rnd := rand.New(rand.NewPCG(1, 2)).Float64
			count := map[string]float64{}
			for range draws {
				p, err := tab.Plan(Ask{Group: "a"}, nil, rnd)
				if err != nil {
					t.Fatal(err)
				}
				count[p.Attempts[0].Deployment.ID]++
			}
			for i, want := range tt.want {
				id := fmt.Sprintf("a/%d", i+1)
				if got := count[id] / float64(draws); math.Abs(got-want) > tolerance || (want == 0 && got > 0) {
					t.Errorf("%s: %.4f, want %.4f", id, got, want)
				}
			}
		})
	}
}

// The second place is drawn from what the first left, by the same weights.
func TestSimpleShuffleSecondPlace(t *testing.T) {
	ds := members("a", 3)
	for i := range ds {
		ds[i].Weight = float64(i + 1)
	}
	tab := table(t, DefaultSettings(), ds)
	rnd := rand.New(rand.NewPCG(3, 4)).Float64
	count := map[string]float64{}
	for range draws {
		p, _ := tab.Plan(Ask{Group: "a"}, nil, rnd)
		count[ids(p)]++
	}
	for order, want := range map[string]float64{
		"a/1 a/2 a/3": 1. / 6 * 2 / 5, "a/1 a/3 a/2": 1. / 6 * 3 / 5,
		"a/2 a/1 a/3": 2. / 6 * 1 / 4, "a/2 a/3 a/1": 2. / 6 * 3 / 4,
		"a/3 a/1 a/2": 3. / 6 * 1 / 3, "a/3 a/2 a/1": 3. / 6 * 2 / 3,
	} {
		if got := count[order] / float64(draws); math.Abs(got-want) > tolerance {
			t.Errorf("%s: %.4f, want %.4f", order, got, want)
		}
	}
}

func BenchmarkPlan(b *testing.B) {
	for _, n := range []int{1, 3, 10, 100} {
		b.Run(fmt.Sprintf("group of %d", n), func(b *testing.B) {
			tab := table(b, DefaultSettings(), members("a", n))
			h := NewHealth(nil, nil)
			h.Apply(tab)
			ask := Ask{Group: "a", Can: func(*Deployment) error { return nil }}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := tab.Plan(ask, h, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
