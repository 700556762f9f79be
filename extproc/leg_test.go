package extproc

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/policy/keys"
	"github.com/sluicegw/sluice/policy/observe"
	"github.com/sluicegw/sluice/policy/ratelimit"
	"github.com/sluicegw/sluice/policy/route"
)

// legs makes a server with two deployments, of which each takes one call at a time, and a call that is planned.
func legs(t *testing.T) (*Server, func() *Call) {
	t.Helper()
	ds := []route.Deployment{{ID: "one", Group: "m", Order: new(int)}, {ID: "two", Group: "m"}}
	table, err := route.NewTable(ds, route.DefaultSettings())
	if err != nil {
		t.Fatal(err)
	}
	health := route.NewHealth(nil, nil)
	health.Apply(table)
	s := NewServer(Options{Health: health, Metrics: observe.New("test"), MaxHeld: 1 << 20})
	snapshot := &Snapshot{Table: table, Deployments: map[string]*Deployment{}}
	for _, d := range ds {
		snapshot.Deployments[d.ID] = &Deployment{ID: d.ID, Limits: []ratelimit.Limit{
			{Scope: ratelimit.Scope{Kind: ratelimit.Deployment, ID: d.ID}, Unit: ratelimit.Parallel, Max: 1}}}
	}
	return s, func() *Call {
		c := &Call{server: s, snapshot: snapshot, key: &keys.Key{}}
		ask := route.Ask{Group: "m", Can: func(d *route.Deployment) error { return c.full(snapshot.Deployments[d.ID]) }}
		plan, err := c.makePlan(ask)
		if err != nil {
			return nil
		}
		c.plan = plan
		c.way.begin(plan)
		return c
	}
}

func room(t *testing.T, s *Server, id string) bool {
	t.Helper()
	d, err := s.Limiter.Peek(context.Background(), ratelimit.Request{Limits: []ratelimit.Limit{
		{Scope: ratelimit.Scope{Kind: ratelimit.Deployment, ID: id}, Unit: ratelimit.Parallel, Max: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	return d.Allowed
}

func TestLegs(t *testing.T) {
	s, call := legs(t)
	inFlight := func(one, two int64) {
		t.Helper()
		if a, b := s.Health.State("one").InFlight, s.Health.State("two").InFlight; a != one || b != two {
			t.Errorf("under way: %d and %d, want %d and %d", a, b, one, two)
		}
	}
	a := call()
	a.depart(1)
	inFlight(1, 0)
	b := call() // one is full
	if b.plan.Attempts[0].Deployment.ID != "two" {
		t.Fatal("the full one was planned")
	}
	b.depart(1)
	if c := call(); c != nil {
		t.Fatal("both are full")
	}
	b.arrive()
	inFlight(1, 0)

	a.depart(2) // the retry goes to two and frees one
	inFlight(0, 1)
	if !room(t, s, "one") || room(t, s, "two") {
		t.Error("the places did not move with the attempt")
	}
	a.depart(2) // told twice
	inFlight(0, 1)
	a.arrive()
	a.arrive()
	a.depart(3) // the client was faster
	inFlight(0, 0)
	if !room(t, s, "one") || !room(t, s, "two") {
		t.Error("places are left behind")
	}

	c := call() // admitted, and never sent
	if room(t, s, "one") {
		t.Error("no place was taken when it was planned")
	}
	c.arrive()
	inFlight(0, 0)
	if !room(t, s, "one") {
		t.Error("a call that was never sent keeps its place")
	}
}

// However attempts and the client's leaving meet, nothing stays behind.
func TestLegsMeet(t *testing.T) {
	s, call := legs(t)
	for range 200 {
		c := call()
		c.depart(1)
		var wg sync.WaitGroup
		wg.Go(func() {
			c.keepPlace(2, 0)
			c.depart(2)
		})
		wg.Go(c.arrive)
		wg.Wait()
		if s.Health.State("one").InFlight+s.Health.State("two").InFlight != 0 || !room(t, s, "one") || !room(t, s, "two") {
			t.Fatal("something stayed behind")
		}
	}
}

// A place that is kept for an attempt is the attempt's when it departs, and nobody's when the call ends without it.
func TestKeptPlaces(t *testing.T) {
	s, call := legs(t)
	free := func(one, two bool) {
		t.Helper()
		if a, b := room(t, s, "one"), room(t, s, "two"); a != one || b != two {
			t.Errorf("room: %v and %v, want %v and %v", a, b, one, two)
		}
	}
	a := call()
	a.depart(1)
	free(false, true)
	other, _, _ := s.Limiter.Reserve(t.Context(), ratelimit.Request{Limits: a.limitsOf("two")})
	if a.keepPlace(2, 0) {
		t.Error("the place at two was given away twice")
	}
	free(true, false) // the failed attempt is over
	_ = s.Limiter.Cancel(t.Context(), other)
	if !a.keepPlace(2, 0) {
		t.Fatal("two has room")
	}
	free(true, false)
	a.depart(2)
	free(true, false)
	a.arrive()
	free(true, true)

	c := call()
	c.depart(1)
	c.keepPlace(2, 0)
	c.leavePlace() // its request could not be made
	free(true, true)
	c.keepPlace(2, 0)
	c.arrive() // its client left
	if !c.keepPlace(2, 0) {
		t.Error("a call that is over has nothing to be refused")
	}
	c.depart(2)
	free(true, true)
}

// What cannot be made first is passed over, to a deployment that has room.
func TestPassedOverToAFullOne(t *testing.T) {
	s, call := legs(t)
	a, b := call(), call()
	if b.plan.Attempts[0].Deployment.ID != "two" {
		t.Fatal("one is full")
	}
	var full []time.Duration
	if a.passOver(apierror.Unauthenticated, &full) || len(full) != 1 {
		t.Errorf("two is full: %v", full)
	}
	b.arrive()
	a.arrive()
	if !room(t, s, "one") || !room(t, s, "two") {
		t.Error("places are left behind")
	}
}

// What a judged answer has cost stays counted when another attempt follows it.
func TestKeptPlaceAfterAnAnswer(t *testing.T) {
	s, call := legs(t)
	c := call()
	limits := []ratelimit.Limit{{Scope: ratelimit.Scope{Kind: ratelimit.Deployment, ID: "one"}, Unit: ratelimit.Tokens, Max: 100}}
	c.leg.held, _, _ = s.Limiter.Reserve(t.Context(), ratelimit.Request{Limits: limits, Tokens: 10})
	c.depart(1)
	c.keepPlace(2, 60)
	c.arrive()
	if d, err := s.Limiter.Peek(t.Context(), ratelimit.Request{Limits: limits, Tokens: 50}); err != nil || d.Allowed {
		t.Errorf("60 of 100 tokens are used: %+v, %v", d, err)
	}
	if d, err := s.Limiter.Peek(t.Context(), ratelimit.Request{Limits: limits, Tokens: 40}); err != nil || !d.Allowed {
		t.Errorf("40 are left: %+v, %v", d, err)
	}
}
