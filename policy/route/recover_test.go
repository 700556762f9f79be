package route

import (
	"testing"
	"time"

	"github.com/sluicegw/sluice/internal/apierror"
)

// One call tries a deployment whose cooldown is over; the others go elsewhere until it has answered.
func TestHalfOpen(t *testing.T) {
	c := newClock()
	h := NewHealth(c.Now, nil)
	ds := members("a", 2)
	ds[0].Order, ds[1].Order = ptr(1), ptr(2)
	tab := table(t, DefaultSettings(), ds)
	h.Apply(tab)
	firsts := func(n int) (to1 int) {
		for range n {
			p, err := tab.Plan(Ask{Group: "a"}, h, nil)
			if err != nil {
				t.Fatal(err)
			}
			if p.Attempts[0].Deployment.ID == "a/1" {
				to1++
			}
		}
		return to1
	}
	h.Report(Outcome{DeploymentID: "a/1", Status: 429})
	if n := firsts(10); n != 0 {
		t.Errorf("%d calls while it rests", n)
	}
	c.advance(5 * time.Second)
	if p, _ := tab.Plan(Ask{Group: "a", Look: true}, h, nil); p.Attempts[0].Deployment.ID != "a/1" {
		t.Error("a look does not show that it would be tried")
	}
	if n := firsts(100); n != 1 {
		t.Errorf("%d calls try it", n)
	}
	if !h.State("a/1").HalfOpen || h.State("a/1").Cooling {
		t.Errorf("%+v", h.State("a/1"))
	}
	h.Report(Outcome{DeploymentID: "a/1", Status: 400}) // says nothing: another may try
	if n := firsts(100); n != 1 {
		t.Errorf("%d calls try it after a call that said nothing", n)
	}
	h.Report(Outcome{DeploymentID: "a/1", Status: 500})
	if s := h.State("a/1"); !s.Cooling || s.Until.Sub(c.now) != 10*time.Second || s.Streak != 2 ||
		s.Why != "cooling down after 500 internal, the 2nd time in a row" {
		t.Errorf("%+v", s)
	}
	c.advance(10 * time.Second)
	if n := firsts(100); n != 1 {
		t.Errorf("%d calls try it", n)
	}
	h.Answered("a/1")
	if n := firsts(100); n != 100 {
		t.Errorf("%d of 100 calls after it answered", n)
	}
	var kinds []EventKind
	for _, e := range h.Events() {
		kinds = append(kinds, e.Kind)
	}
	want := []EventKind{Back, Trial, Out, Trial, Trial, Out}
	if len(kinds) != len(want) {
		t.Fatalf("events %v", kinds)
	}
	for i := range want {
		if kinds[i] != want[i] {
			t.Errorf("events %v", kinds)
		}
	}
}

// A call that tries a deployment and is never heard of again does not keep it out for ever.
func TestTrialsEnd(t *testing.T) {
	c := newClock()
	h := NewHealth(c.Now, nil)
	tab := table(t, DefaultSettings(), members("a", 1))
	h.Apply(tab)
	h.Report(Outcome{DeploymentID: "a/1", Status: 401})
	c.advance(5 * time.Second)
	if _, err := tab.Plan(Ask{Group: "a"}, h, nil); err != nil {
		t.Fatal(err)
	}
	_, err := tab.Plan(Ask{Group: "a"}, h, nil)
	if err == nil || err.Status != 429 || err.RetryAfter != time.Second || err.Kind != apierror.RateLimit {
		t.Errorf("%+v", err)
	}
	h.Unclaim("a/1") // it never went there
	if _, err := tab.Plan(Ask{Group: "a"}, h, nil); err != nil {
		t.Error(err)
	}
	c.advance(probeTime)
	if _, err := tab.Plan(Ask{Group: "a"}, h, nil); err != nil {
		t.Error(err)
	}
}

func TestCooldownsGrow(t *testing.T) {
	tests := []struct {
		name   string
		own    time.Duration
		last   time.Duration // Retry-After of the last failure
		expect []time.Duration
	}{
		{"default", 5 * time.Second, 0, []time.Duration{5, 10, 20, 40, 80, 160, 300, 300}},
		{"a minute", time.Minute, 0, []time.Duration{60, 120, 240, 300, 300}},
		{"longer than the most", 7 * time.Minute, 0, []time.Duration{420, 420}},
		{"Retry-After", time.Second, time.Minute, []time.Duration{60, 60, 60}},
		{"Retry-After without bounds", time.Second, time.Hour, []time.Duration{600}},
	}
	for _, tt := range tests {
		c := newClock()
		h := NewHealth(c.Now, nil)
		ds := members("a", 2)
		ds[0].Cooldown = &tt.own
		h.Apply(table(t, DefaultSettings(), ds))
		for i, want := range tt.expect {
			h.Report(Outcome{DeploymentID: "a/1", Status: 429, RetryAfter: tt.last})
			got := h.State("a/1").Until.Sub(c.now)
			if got != want*time.Second {
				t.Errorf("%s: the %d. cooldown is %v", tt.name, i+1, got)
			}
			c.advance(got)
		}
	}
}

// Who has been well for a while begins anew; who fails again soon after its return does not.
func TestCooldownsAreForgotten(t *testing.T) {
	c := newClock()
	h := NewHealth(c.Now, nil)
	h.Apply(table(t, DefaultSettings(), members("a", 2)))
	cool := func(want time.Duration) {
		t.Helper()
		h.Report(Outcome{DeploymentID: "a/1", Status: 429})
		got := h.State("a/1").Until.Sub(c.now)
		if got != want {
			t.Errorf("rests for %v, want %v", got, want)
		}
		c.advance(got)
		h.Report(Outcome{DeploymentID: "a/1", Status: 200})
	}
	cool(5 * time.Second)
	c.advance(30 * time.Second)
	cool(10 * time.Second)
	c.advance(59 * time.Second)
	cool(20 * time.Second)
	c.advance(61 * time.Second)
	cool(5 * time.Second)
}

func TestFullDeployments(t *testing.T) {
	s := DefaultSettings()
	s.NumRetries = 3
	tab := table(t, s, members("a", 3))
	full := func(ids ...string) func(*Deployment) error {
		return func(d *Deployment) error {
			for i, id := range ids {
				if d.ID == id {
					return &Full{Reason: id + " is full", RetryAfter: time.Duration(10+i) * time.Second}
				}
			}
			return nil
		}
	}
	p, err := tab.Plan(Ask{Group: "a", Can: full("a/1")}, nil, first)
	if err != nil || p.Attempts[0].Deployment.ID == "a/1" || len(p.Skipped) != 1 || p.Skipped[0].Reason != "a/1 is full" {
		t.Errorf("%+v %v", p, err)
	}
	_, err = tab.Plan(Ask{Group: "a", Can: full("a/2", "a/1", "a/3")}, nil, first)
	want := "No deployments available for selected model, Try again in 10 seconds. Passed model=a."
	if err == nil || err.Status != 429 || err.Message != want || err.RetryAfter < 9*time.Second || err.RetryAfter > 10*time.Second {
		t.Errorf("%+v", err)
	}
}

// In an outage of everybody, 100,000 calls make one attempt each, one failover, and a fifth of retries.
func TestRetryBudget(t *testing.T) {
	for _, tt := range []struct {
		name         string
		n            int
		share        float64
		floor        int
		most, atMost float64 // attempts a call
	}{
		{"several deployments", 4, 0.2, 10, 2.15, 2.25},
		{"one deployment", 1, 0.2, 10, 1.15, 1.25},
		{"none beyond the failover", 4, 0, 0, 2, 2},
		{"no bound", 4, 10, 0, 4, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClock()
			h := NewHealth(c.Now, nil)
			s := DefaultSettings()
			s.NumRetries, s.Cooldown, s.RetryBudget, s.RetryFloor = 3, 0, tt.share, tt.floor
			tab := table(t, s, members("a", tt.n))
			h.Apply(tab)
			attempts, capped := 0, 0
			for range draws {
				c.advance(10 * time.Millisecond)
				p, err := tab.Plan(Ask{Group: "a"}, h, nil)
				if err != nil {
					t.Fatal(err)
				}
				for i := range p.Attempts {
					a := &p.Attempts[i]
					h.Sent(a, i == 1 && a.Deployment != p.Attempts[0].Deployment)
					h.Over(a.Deployment.ID, Ending{})
				}
				attempts += len(p.Attempts)
				capped += len(p.Capped)
			}
			if got := float64(attempts) / float64(draws); got < tt.most-0.001 || got > tt.atMost {
				t.Errorf("%.3f attempts a call, %d plans were cut", got, capped)
			}
		})
	}
}

// A few calls a minute may all be retried, and a fallback group is no retry.
func TestRetryBudgetOfQuietGroups(t *testing.T) {
	c := newClock()
	h := NewHealth(c.Now, nil)
	s := DefaultSettings()
	s.Fallbacks = map[string][]string{"a": {"b", "c"}}
	tab := table(t, s, members("a", 1), members("b", 1), members("c", 1))
	h.Apply(tab)
	for i := range 200 {
		p, err := tab.Plan(Ask{Group: "a"}, h, nil)
		if err != nil {
			t.Fatal(err)
		}
		if want := "a/1 a/1 a/1 b/1 c/1"; i < 9 && ids(p) != want {
			t.Fatalf("call %d: %s", i, ids(p))
		}
		if i > 150 && ids(p) != "a/1 b/1 c/1" && ids(p) != "a/1 a/1 a/1 b/1 c/1" {
			t.Fatalf("call %d: %s", i, ids(p))
		}
		for j := range p.Attempts {
			h.Sent(&p.Attempts[j], j > 0 && p.Attempts[j].Deployment.ID == "b/1")
			h.Over(p.Attempts[j].Deployment.ID, Ending{})
		}
	}
	c.advance(2 * time.Minute)
	if p, _ := tab.Plan(Ask{Group: "a"}, h, nil); ids(p) != "a/1 a/1 a/1 b/1 c/1" {
		t.Errorf("a minute later: %s", ids(p))
	}
}

func TestTrafficCounts(t *testing.T) {
	c := newClock()
	h := NewHealth(c.Now, nil)
	tab := table(t, DefaultSettings(), members("a", 1))
	h.Apply(tab)
	p, _ := tab.Plan(Ask{Group: "a"}, h, nil)
	for range 3 {
		h.Sent(&p.Attempts[0], false)
	}
	h.Over("a/1", Ending{Tokens: 70})
	h.Over("nobody", Ending{})
	traffic := &h.entry("a/1").traffic
	if n, tokens := traffic.Usage(h.now()); n != 3 || tokens != 70 || traffic.InFlight() != 2 || h.State("a/1").InFlight != 2 {
		t.Errorf("%v %v %v", n, tokens, traffic.InFlight())
	}
	h.Apply(tab)
	if h.entry("a/1").traffic.InFlight() != 2 {
		t.Error("a reload forgot the calls under way")
	}
	c.advance(61 * time.Second)
	if n, tokens := traffic.Usage(h.now()); n != 0 || tokens != 0 {
		t.Errorf("a minute later: %v %v", n, tokens)
	}
	c.advance(1000 * time.Hour)
	h.Over("a/1", Ending{})
	if n, tokens := traffic.Usage(h.now()); n != 0 || tokens != 0 || traffic.InFlight() != 1 {
		t.Errorf("later: %v %v", n, tokens)
	}
}

// TestAnew: what has another key has not failed.
func TestAnew(t *testing.T) {
	c := newClock()
	var kinds []EventKind
	h := NewHealth(c.Now, func(e Event) { kinds = append(kinds, e.Kind) })
	tab := table(t, DefaultSettings(), members("a", 2))
	h.Apply(tab)
	for range 3 {
		h.Report(Outcome{DeploymentID: "a/1", Status: 401})
		c.advance(10 * time.Minute)
	}
	h.Sent(&Attempt{Deployment: tab.groups[0].members[0], Group: "a"}, false)
	h.Report(Outcome{DeploymentID: "a/1", Status: 401})
	h.Anew("a/1", "a/2", "nobody")
	s := h.State("a/1")
	if s.Cooling || s.HalfOpen || s.Streak != 0 || s.Fails != 0 || !s.Last.IsZero() || s.Why != "" {
		t.Errorf("%+v", s)
	}
	if s.InFlight != 1 {
		t.Error("calls under way were forgotten")
	}
	if kinds[len(kinds)-1] != Back {
		t.Error(kinds)
	}
	n := len(kinds)
	if h.Anew("a/1"); len(kinds) != n {
		t.Error("it came back twice")
	}
}
