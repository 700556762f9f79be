package extproc

import (
	"context"
	"sync"
	"testing"

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
		wg.Go(func() { c.depart(2) })
		wg.Go(c.arrive)
		wg.Wait()
		if s.Health.State("one").InFlight+s.Health.State("two").InFlight != 0 || !room(t, s, "one") || !room(t, s, "two") {
			t.Fatal("something stayed behind")
		}
	}
}
