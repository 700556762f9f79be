package route

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sluicegw/sluice/internal/apierror"
)

// way walks a plan, failing each attempt by the next of kinds, the last one for ever.
func way(p *Plan, kinds ...apierror.Kind) string {
	var s []string
	w := p.Walk()
	for i := 0; w.Attempt() >= 0 && i < 40; i++ {
		s = append(s, p.At(w.Attempt()).Deployment.ID)
		w.Fail(kinds[min(i, len(kinds)-1)])
	}
	return strings.Join(s, " ")
}

func TestFailuresTakeTheirOwnFallbacks(t *testing.T) {
	const long, filtered, down = apierror.ContextLength, apierror.ContentPolicy, apierror.Internal
	all := Settings{
		MaxFallbacks: 5, NumRetries: 1,
		Fallbacks:        map[string][]string{"a": {"b"}, "big": {"b"}},
		ContextFallbacks: map[string][]string{"a": {"big", "bigger"}, "b": {"big"}},
		PolicyFallbacks:  map[string][]string{"a": {"mild"}},
	}
	with := func(change func(*Settings)) Settings {
		s := all
		change(&s)
		return s
	}
	groups := [][]Deployment{members("a", 2), members("b", 1), members("big", 1), members("bigger", 1), members("mild", 1)}
	for _, tt := range []struct {
		name     string
		settings Settings
		kinds    []apierror.Kind
		want     string
	}{
		{"ordinary", all, []apierror.Kind{down}, "a/1 a/2 b/1"},
		{"too long is not asked of the group again", all, []apierror.Kind{long}, "a/1 big/1 bigger/1"},
		{"an ordinary failure within them takes the ordinary list, then goes on", all, []apierror.Kind{long, down}, "a/1 big/1 b/1 bigger/1"},
		{"after an ordinary fallback, its own list", all, []apierror.Kind{down, down, long}, "a/1 a/2 b/1 big/1"},
		{"refused content", all, []apierror.Kind{filtered, down}, "a/1 mild/1"},
		{"one kind after the other", all, []apierror.Kind{down, filtered, long}, "a/1 a/2 mild/1"},
		{"a group without an entry, where another has one", with(func(s *Settings) { s.PolicyFallbacks = map[string][]string{"b": {"mild"}} }),
			[]apierror.Kind{filtered}, "a/1"},
		{"no list of the kind at all: the ordinary ones", with(func(s *Settings) { s.PolicyFallbacks = nil }), []apierror.Kind{filtered}, "a/1 b/1"},
		{"a default list", with(func(s *Settings) { s.PolicyFallbacks = map[string][]string{"*": {"mild"}} }), []apierror.Kind{filtered}, "a/1 mild/1"},
		{"a bad request skips the group", all, []apierror.Kind{apierror.BadRequest}, "a/1 b/1"},
		{"at most so many", with(func(s *Settings) { s.MaxFallbacks = 1 }), []apierror.Kind{long}, "a/1 big/1"},
		{"a key that is refused is not tried again", with(func(s *Settings) { s.NumRetries = 3 }), []apierror.Kind{apierror.Unauthenticated}, "a/1 a/2 b/1"},
		{"but any other failure is", with(func(s *Settings) { s.NumRetries = 3 }), []apierror.Kind{down}, "a/1 a/2 a/1 a/2 b/1"},
	} {
		p, err := table(t, tt.settings, groups...).Plan(Ask{Group: "a"}, nil, first)
		if err != nil {
			t.Fatal(err)
		}
		if got := way(p, tt.kinds...); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestRetryPolicy(t *testing.T) {
	base := Settings{MaxFallbacks: 5, NumRetries: 1, Fallbacks: map[string][]string{"a": {"b"}}}
	for _, tt := range []struct {
		name   string
		policy RetryPolicy
		group  map[string]RetryPolicy
		ask    Ask
		kinds  []apierror.Kind
		want   string
	}{
		{"more", RetryPolicy{apierror.RateLimit: 3}, nil, Ask{}, []apierror.Kind{apierror.RateLimit}, "a/1 a/1 a/1 a/1 b/1 b/1 b/1 b/1"},
		{"others as before", RetryPolicy{apierror.RateLimit: 3}, nil, Ask{}, []apierror.Kind{apierror.Internal}, "a/1 a/1 b/1"},
		{"none", RetryPolicy{apierror.Timeout: 0}, nil, Ask{}, []apierror.Kind{apierror.Timeout}, "a/1 b/1"},
		{"a bad request too", RetryPolicy{apierror.BadRequest: 2}, nil, Ask{}, []apierror.Kind{apierror.BadRequest}, "a/1 a/1 a/1 b/1 b/1 b/1"},
		{"all others", RetryPolicy{"": 0, apierror.RateLimit: 1}, nil, Ask{}, []apierror.Kind{apierror.RateLimit, apierror.Internal}, "a/1 a/1 b/1"},
		{"a group's own", RetryPolicy{apierror.RateLimit: 3}, map[string]RetryPolicy{"a": {apierror.RateLimit: 0}}, Ask{}, []apierror.Kind{apierror.RateLimit, apierror.Internal}, "a/1 b/1"},
		{"a client that wants none", RetryPolicy{apierror.RateLimit: 3}, nil, Ask{NumRetries: ptr(0)}, []apierror.Kind{apierror.RateLimit}, "a/1 b/1"},
	} {
		s := base
		s.RetryPolicy, s.GroupRetryPolicy = tt.policy, tt.group
		tt.ask.Group = "a"
		p, err := table(t, s, members("a", 1), members("b", 1)).Plan(tt.ask, nil, first)
		if err != nil {
			t.Fatal(err)
		}
		if got := way(p, tt.kinds...); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// TestTooSmallIsNotTried: a group all of whose deployments are too small for the prompt leads to the fallbacks
// for that; one that has room for it is used.
func TestTooSmallIsNotTried(t *testing.T) {
	s := Settings{MaxFallbacks: 5, Fallbacks: map[string][]string{"a": {"b"}}, ContextFallbacks: map[string][]string{"a": {"big"}}}
	tab := table(t, s, members("a", 2), members("b", 1), members("big", 1))
	small := func(ids ...string) func(*Deployment) error {
		return func(d *Deployment) error {
			if slices.Contains(ids, d.ID) {
				return apierror.New(apierror.ContextLength, 400, "too small")
			}
			return nil
		}
	}
	for want, can := range map[string]func(*Deployment) error{
		"big/1": small("a/1", "a/2"), "a/2 b/1": small("a/1"), "a/1 b/1": small(),
	} {
		p, err := tab.Plan(Ask{Group: "a", Can: can}, nil, first)
		if err != nil {
			t.Fatal(err)
		}
		if got := ids(p); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	_, err := tab.Plan(Ask{Group: "a", Can: small("a/1", "a/2", "b/1", "big/1")}, nil, first)
	if err == nil || err.Kind != apierror.ContextLength {
		t.Errorf("nothing fits: %v", err)
	}
}

func TestClientFallbacksServeEveryKind(t *testing.T) {
	s := Settings{MaxFallbacks: 5, Fallbacks: map[string][]string{"a": {"b"}}, ContextFallbacks: map[string][]string{"a": {"big"}}}
	tab := table(t, s, members("a", 1), members("b", 1), members("big", 1), members("c", 1))
	p, err := tab.Plan(Ask{Group: "a", Fallbacks: []Override{{Model: "c"}, {Model: "c"}, {Model: "a", Own: true}}}, nil, first)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []apierror.Kind{apierror.ContextLength, apierror.ContentPolicy, apierror.Internal} {
		if got := way(p, kind); got != "a/1 c/1 a/1" {
			t.Errorf("%s: %s", kind, got)
		}
	}
	if o := p.Attempts[2].Override; o != 3 {
		t.Errorf("the last attempt is for fallback %d", o)
	}
}

// TestPretend: the group asked for is not tried.
func TestPretend(t *testing.T) {
	s := Settings{MaxFallbacks: 5, NumRetries: 2, Fallbacks: map[string][]string{"a": {"b"}, "b": {"c"}},
		ContextFallbacks: map[string][]string{"a": {"c"}}}
	tab := table(t, s, members("a", 2), members("b", 1), members("c", 1))
	for _, tt := range []struct {
		ask  Ask
		want string
	}{
		{Ask{Group: "a", Pretend: apierror.Internal}, "b/1 c/1"},
		{Ask{Group: "a", Pretend: apierror.ContextLength}, "c/1"},
		{Ask{Group: "a", Pretend: apierror.ContentPolicy}, "b/1 c/1"},
		{Ask{Group: "a", Pretend: apierror.Internal, Fallbacks: []Override{{Model: "c"}}}, "c/1"},
	} {
		p, err := tab.Plan(tt.ask, nil, first)
		if err != nil || way(p, apierror.Internal) != tt.want {
			t.Errorf("%+v: %s, %v", tt.ask, way(p, apierror.Internal), err)
		}
	}
	for kind, status := range map[apierror.Kind]int{apierror.Internal: 500, apierror.ContentPolicy: 400} {
		if _, err := tab.Plan(Ask{Group: "c", Pretend: kind}, nil, first); err == nil || err.Status != status || !strings.Contains(err.Message, "mock exception for model=c") {
			t.Error(err)
		}
	}
}

// TestTheWayIsThePlan: whatever is configured, attempts that fail for ordinary reasons go through
// Plan.Attempts in order, and no way is longer than the plan says.
func TestTheWayIsThePlan(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	kinds := []apierror.Kind{apierror.Internal, apierror.ContextLength, apierror.ContentPolicy, apierror.BadRequest, apierror.Unauthenticated, apierror.RateLimit}
	lists := func() map[string][]string {
		out := map[string][]string{}
		for range rnd.IntN(5) {
			var to []string
			for range rnd.IntN(4) {
				to = append(to, fmt.Sprint("g", rnd.IntN(6)))
			}
			out[fmt.Sprint("g", rnd.IntN(6))] = to
		}
		return out
	}
	for range 2000 {
		s := Settings{MaxFallbacks: rnd.IntN(6), NumRetries: rnd.IntN(4), Fallbacks: lists(), ContextFallbacks: lists(), PolicyFallbacks: lists()}
		if rnd.IntN(3) == 0 {
			s.RetryPolicy = RetryPolicy{kinds[rnd.IntN(len(kinds))]: rnd.IntN(4)}
		}
		var groups [][]Deployment
		for g := range 6 {
			groups = append(groups, members(fmt.Sprint("g", g), 1+rnd.IntN(3)))
		}
		refuse := rnd.IntN(8)
		can := func(d *Deployment) error {
			switch {
			case strings.HasPrefix(d.ID, fmt.Sprint("g", refuse)):
				return apierror.New(apierror.ContextLength, 400, "too small")
			case strings.HasPrefix(d.ID, fmt.Sprint("g", refuse-1)):
				return apierror.New(apierror.Unavailable, 503, "gone")
			}
			return nil
		}
		p, err := table(t, s, groups...).Plan(Ask{Group: "g0", Can: can}, nil, rnd.Float64)
		if err != nil {
			continue
		}
		w := p.Walk()
		var got []int
		if w.Attempt() >= 0 {
			got = w.Rest([]int{w.Attempt()})
		}
		if s.RetryPolicy == nil && (len(got) != len(p.Attempts) || !slices.IsSorted(got) || got[len(got)-1] != len(got)-1) {
			t.Fatalf("%+v\nthe way %v is not the plan's %d attempts", s, got, len(p.Attempts))
		}
		n := 1
		for w := p.Walk(); n < 1000 && w.Fail(kinds[rnd.IntN(len(kinds))]); n++ {
		}
		if n > p.Len() {
			t.Fatalf("%+v\na way of %d attempts through %d", s, n, p.Len())
		}
	}
}

// TestClientLists: a client's lists, in the configuration's shape, take the place of those of their kind alone, may
// name only what the client could ask for, and max_fallbacks bounds them.
func TestClientLists(t *testing.T) {
	hidden := members("hidden", 1)
	hidden[0].Hidden = true
	s := Settings{MaxFallbacks: 2, Fallbacks: map[string][]string{"a": {"b", "c", "d"}}, ContextFallbacks: map[string][]string{"a": {"d"}},
		Aliases: map[string]Alias{"alias": {Group: "a"}}}
	tab := table(t, s, members("a", 1), members("b", 1), members("c", 1), members("d", 1), members("e", 1), hidden)
	lists := func(pairs ...string) map[string][]string {
		out := map[string][]string{}
		for i := 0; i < len(pairs); i += 2 {
			out[pairs[i]] = append(out[pairs[i]], pairs[i+1])
		}
		return out
	}
	const long, filtered, down = apierror.ContextLength, apierror.ContentPolicy, apierror.Internal
	many, none := 7, 0
	tests := []struct {
		name string
		ask  Ask
		kind apierror.Kind
		want string
	}{
		{"as configured", Ask{}, down, "a/1 b/1 c/1"},
		{"more groups", Ask{MaxFallbacks: &many}, down, "a/1 b/1 c/1 d/1"},
		{"no group", Ask{MaxFallbacks: &none}, down, "a/1"},
		{"ordinary", Ask{Lists: Lists{Ordinary: lists("a", "e", "e", "c")}}, down, "a/1 e/1 c/1"},
		{"ordinary, another kind", Ask{Lists: Lists{Ordinary: lists("a", "e")}}, long, "a/1 d/1"},
		{"for another group", Ask{Lists: Lists{Ordinary: lists("b", "e")}}, down, "a/1"},
		{"for any group", Ask{Lists: Lists{Ordinary: lists("*", "e")}}, down, "a/1 e/1"},
		{"by an alias", Ask{Group: "alias", Lists: Lists{Ordinary: lists("alias", "e")}}, down, "a/1 e/1"},
		{"context", Ask{Lists: Lists{Context: lists("a", "e")}}, long, "a/1 e/1"},
		{"context, another kind", Ask{Lists: Lists{Context: lists("a", "e")}}, down, "a/1 b/1 c/1"},
		{"none for context", Ask{Lists: Lists{Context: lists()}}, long, "a/1"},
		{"policy", Ask{Lists: Lists{Policy: lists("a", "e")}}, filtered, "a/1 e/1"},
		{"what no client may name", Ask{Lists: Lists{Policy: lists("a", "hidden", "a", "nobody")}}, filtered, "a/1"},
		{"its own list is for all kinds", Ask{Fallbacks: []Override{{Model: "e"}}, Lists: Lists{Context: lists("a", "b")}}, long, "a/1 e/1"},
	}
	for _, tt := range tests {
		if tt.ask.Group == "" {
			tt.ask.Group = "a"
		}
		p, err := tab.Plan(tt.ask, nil, first)
		if err != nil {
			t.Fatal(tt.name, err)
		}
		if got := way(p, tt.kind); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	p, err := tab.Plan(Ask{Group: "a", Lists: Lists{Context: lists("a", "e")}, Allowed: func(m string) bool { return m == "a" || m == "d" }}, nil, first)
	if err != nil || way(p, down) != "a/1 d/1" || strings.Join(p.Denied, " ") != "b c e" {
		t.Error(err, way(p, down), p.Denied)
	}
	for name, tt := range map[string]struct {
		s    Settings
		ask  Ask
		want bool
	}{
		"ordinary":                      {Settings{MaxFallbacks: 5, Fallbacks: lists("a", "b")}, Ask{}, false},
		"default":                       {Settings{MaxFallbacks: 5, Fallbacks: lists("*", "b")}, Ask{}, true},
		"default, of another's":         {Settings{MaxFallbacks: 5, Fallbacks: lists("*", "b", "a", "c")}, Ask{}, true},
		"default, leads nowhere":        {Settings{MaxFallbacks: 5, Fallbacks: lists("*", "a")}, Ask{}, false},
		"default, none wanted":          {Settings{MaxFallbacks: 5, Fallbacks: lists("*", "b")}, Ask{Fallbacks: []Override{}}, false},
		"content has its own, not here": {Settings{MaxFallbacks: 5, Fallbacks: lists("*", "b"), PolicyFallbacks: lists("c", "b")}, Ask{}, false},
	} {
		tab := table(t, tt.s, members("a", 1), members("b", 1), members("c", 1))
		tt.ask.Group = "a"
		if p, err := tab.Plan(tt.ask, nil, first); err != nil || p.OnContent() != tt.want {
			t.Errorf("%s: %v, %v", name, p.OnContent(), err)
		}
	}
	if p, _ = tab.Plan(Ask{Group: "a", Lists: Lists{Policy: lists("a", "e")}}, nil, first); !p.OnContent() {
		t.Error("a good answer is not looked at")
	}
}
