package route

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicegw/sluice/internal/apierror"
)

func TestCooldownRules(t *testing.T) {
	pair, single := members("a", 2), members("a", 1)
	allowed := func(n int) func(*Settings) { return func(s *Settings) { s.AllowedFails = &n } }
	own := func(ds []Deployment, f func(*Deployment)) []Deployment {
		ds = slices.Clone(ds)
		f(&ds[0])
		return ds
	}
	// A script is reports for a/1: a status, "ok", "x" for no answer; "*n" repeats; "!" after it: now cooling.
	tests := []struct {
		name   string
		ds     []Deployment
		set    func(*Settings)
		script string
	}{
		{"429 at once", pair, nil, "429!"},
		{"429 of the only one", single, nil, "429*20"},
		{"401 at once", single, nil, "401!"},
		{"404 at once", single, nil, "404!"},
		{"402 at once", pair, nil, "402!"},
		{"402 of the only one", single, nil, "402*20"},
		{"404 of a wildcard", members("a/*", 2), nil, "404*20"},
		{"408 is counted", pair, nil, "408*4 408!"},
		{"5xx from five on", pair, nil, "500*4 500!"},
		{"no answer is counted", pair, nil, "x*4 x!"},
		{"half is not more than half", pair, nil, "ok*3 500*3 500!"},
		{"successes keep it up", pair, nil, "ok*100 500*100 500!"},
		{"5xx of the only one", single, nil, "500*999 500!"},
		{"only one with a success", single, nil, "ok 500*2000"},
		{"client's making", pair, nil, "400*50 403*50 413*50 422*50 499*50"},
		{"allowed_fails", pair, allowed(2), "500 429 500!"},
		{"allowed_fails of the only one", single, allowed(2), "500*2 500!"},
		{"allowed_fails 3", pair, allowed(3), "500*3 500!"},
		{"allowed_fails 3 of the only one", single, allowed(3), "500*3 429!"},
		{"allowed_fails 0", pair, allowed(0), "500!"},
		{"allowed_fails counts 401 too", pair, allowed(1), "401 401!"},
		{"deployment's allowed_fails", own(pair, func(d *Deployment) { d.AllowedFails = ptr(1) }), allowed(9), "500 500!"},
		{"deployment's allowed_fails of the only one", own(single, func(d *Deployment) { d.AllowedFails = ptr(1) }), nil, "401 401!"},
		{"allowed_fails_policy", pair, func(s *Settings) {
			s.AllowedFailsByKind = map[apierror.Kind]int{apierror.RateLimit: 3}
		}, "429*3 429!"},
		{"cooldown_time 0", pair, func(s *Settings) { s.Cooldown = 0 }, "429*9 401*9 500*9"},
		{"deployment's cooldown_time 0", own(pair, func(d *Deployment) { d.Cooldown = ptr(time.Duration(0)) }), nil, "429*9"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := DefaultSettings()
			if tt.set != nil {
				tt.set(&s)
			}
			h := NewHealth(newClock().Now, nil)
			h.Apply(table(t, s, tt.ds))
			id := tt.ds[0].ID
			for _, step := range strings.Fields(tt.script) {
				step, cools := strings.CutSuffix(step, "!")
				what, n, status := step, 1, 0
				if w, times, ok := strings.Cut(step, "*"); ok {
					what = w
					fmt.Sscan(times, &n)
				}
				switch what {
				case "ok":
					status = 200
				case "x":
				default:
					fmt.Sscan(what, &status)
				}
				for range n {
					h.Report(Outcome{DeploymentID: id, Status: status})
				}
				if got := h.State(id).Cooling; got != cools {
					t.Fatalf("after %s: cooling %v (%+v)", step, got, h.State(id))
				}
			}
		})
	}
}

func TestWhatDoesNotCount(t *testing.T) {
	h := NewHealth(newClock().Now, nil)
	h.Apply(table(t, DefaultSettings(), members("a", 2)))
	for _, o := range []Outcome{
		{Kind: apierror.Cancelled}, {Status: 500, Ours: true}, {Kind: apierror.Timeout, ClientTimeout: true},
		{Status: 408, ClientTimeout: true}, {Kind: apierror.ContextLength, Status: 400}, {Kind: apierror.ContentPolicy, Status: 200},
		{Kind: apierror.BadRequest, Status: 400},
	} {
		o.DeploymentID = "a/1"
		for range 20 {
			h.Report(o)
		}
		if s := h.State("a/1"); s != (State{}) {
			t.Errorf("%+v counted: %+v", o, s)
		}
	}
	h.Report(Outcome{DeploymentID: "nobody", Status: 500})
	if s := h.State("nobody"); s != (State{}) {
		t.Errorf("unknown deployment has a state: %+v", s)
	}
}

func TestCooldownTime(t *testing.T) {
	tests := []struct {
		name       string
		retryAfter time.Duration
		own        *time.Duration
		want       time.Duration
	}{
		{"configured", 0, nil, 5 * time.Second},
		{"provider's is longer", time.Minute, nil, time.Minute},
		{"provider's is shorter", time.Second, nil, 5 * time.Second},
		{"provider's is absurd", 24 * time.Hour, nil, 10 * time.Minute},
		{"deployment's", 0, ptr(20 * time.Second), 20 * time.Second},
		{"longer than the deployment's", time.Minute, ptr(20 * time.Second), time.Minute},
		{"negative", -time.Minute, nil, 5 * time.Second},
	}
	for _, tt := range tests {
		c := newClock()
		h := NewHealth(c.Now, nil)
		ds := members("a", 2)
		ds[0].Cooldown = tt.own
		h.Apply(table(t, DefaultSettings(), ds))
		h.Report(Outcome{DeploymentID: "a/1", Status: 429, RetryAfter: tt.retryAfter})
		if got := h.State("a/1").Until.Sub(c.now); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
		c.advance(tt.want)
		if h.State("a/1").Cooling {
			t.Errorf("%s: still cooling", tt.name)
		}
	}
}

func TestMinuteRolls(t *testing.T) {
	c := newClock()
	h := NewHealth(c.Now, nil)
	h.Apply(table(t, DefaultSettings(), members("a", 2)))
	for range 3 {
		for range 4 {
			h.Report(Outcome{DeploymentID: "a/1", Status: 500})
		}
		if s := h.State("a/1"); s.Fails != 4 || s.Cooling {
			t.Errorf("%+v", s)
		}
		c.advance(time.Minute)
	}
	if s := h.State("a/1"); s.Fails != 0 || s.LastOK || !s.Last.Equal(c.now.Add(-time.Minute)) {
		t.Errorf("%+v", s)
	}
}

func TestEvents(t *testing.T) {
	c := newClock()
	var got []string
	h := NewHealth(c.Now, func(e Event) {
		got = append(got, strings.TrimSpace(fmt.Sprint(e.DeploymentID, " ", e.Group, " ", e.Kind, " ", e.Why)))
	})
	h.Apply(table(t, DefaultSettings(), members("a", 2)))
	report := func(status int) { h.Report(Outcome{DeploymentID: "a/1", Status: status}) }
	report(200)
	report(429)
	report(429) // one that was under way: longer, not new
	report(200) // likewise: not back yet
	c.advance(5 * time.Second)
	report(200)
	report(200)
	report(401)
	c.advance(10 * time.Second)
	report(401)
	want := []string{
		"a/1 a out 429 rate_limit", "a/1 a back", "a/1 a out 401 unauthenticated", "a/1 a out 401 unauthenticated",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	log := h.Events()
	if len(log) != len(want) || log[0].Streak != 3 || log[0].Until.Sub(log[0].At) != 20*time.Second || log[3].Kind != Out {
		t.Errorf("%+v", log)
	}
	for range 1000 {
		report(401)
		c.advance(10 * time.Minute)
	}
	if log = h.Events(); len(log) != keptEvents {
		t.Errorf("%d events are kept", len(log))
	}
}

func TestApplyKeepsHealth(t *testing.T) {
	c := newClock()
	h := NewHealth(c.Now, nil)
	h.Apply(table(t, DefaultSettings(), members("a", 2), members("b", 1)))
	h.Report(Outcome{DeploymentID: "a/1", Status: 429})
	h.Report(Outcome{DeploymentID: "b/1", Status: 401})
	h.Apply(table(t, DefaultSettings(), members("a", 3)))
	if !h.State("a/1").Cooling || h.State("a/3").Cooling {
		t.Error("health did not survive the reload")
	}
	if got := h.IDs(); !slices.Equal(got, []string{"a/1", "a/2", "a/3"}) {
		t.Errorf("known: %v", got)
	}
	h.Forget("a/1")
	if _, known := h.Snapshot()["a/1"]; known || len(h.Snapshot()) != 2 {
		t.Error("not forgotten")
	}
}

func TestHealthConcurrently(t *testing.T) {
	h := NewHealth(nil, func(Event) {})
	tab := table(t, DefaultSettings(), members("a", 3))
	h.Apply(tab)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 500 {
				h.Report(Outcome{DeploymentID: "a/1", Status: 200 + 300*(i%2)})
				if i%100 == 0 {
					h.Apply(tab)
				}
				_, _ = tab.Plan(Ask{Group: "a"}, h, nil)
				h.Snapshot()
			}
		})
	}
	wg.Wait()
	if s := h.State("a/1"); s.Fails+s.Successes != 2000 {
		t.Errorf("%+v", s)
	}
}

func BenchmarkReport(b *testing.B) {
	h := NewHealth(nil, nil)
	h.Apply(table(b, DefaultSettings(), members("a", 3)))
	o := Outcome{DeploymentID: "a/1", Status: 200}
	b.ReportAllocs()
	for b.Loop() {
		h.Report(o)
	}
}
