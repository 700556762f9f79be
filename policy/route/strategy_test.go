package route

import (
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sluicegw/sluice/internal/apierror"
)

// simulation sends calls through plans by a clock of its own, and lets each take as long as it is told.
type simulation struct {
	testing.TB
	table  *Table
	health *Health
	clock  *clock
	rnd    *rand.Rand
	ends   ends
	count  map[string]float64 // first attempts
}

// ending is a call under way.
type ending struct {
	at time.Time
	id string
	Ending
}

type ends []ending

func (e ends) Len() int           { return len(e) }
func (e ends) Less(i, j int) bool { return e[i].at.Before(e[j].at) }
func (e ends) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *ends) Push(x any)        { *e = append(*e, x.(ending)) }
func (e *ends) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

func simulate(t testing.TB, s Settings, ds []Deployment) *simulation {
	c := newClock()
	sim := &simulation{TB: t, table: table(t, s, ds), clock: c, health: NewHealth(c.Now, nil),
		rnd: rand.New(rand.NewPCG(7, 11)), count: map[string]float64{}}
	sim.health.Apply(sim.table)
	return sim
}

// run makes n calls, one every gap on average; serve says what becomes of a call to a deployment.
func (s *simulation) run(n int, gap time.Duration, ask Ask, serve func(id string) Ending) {
	s.Helper()
	if ask.Group == "" {
		ask.Group = "a"
	}
	for range n {
		s.clock.advance(time.Duration(s.rnd.ExpFloat64() * float64(gap)))
		s.settle()
		p, err := s.table.Plan(ask, s.health, s.rnd.Float64)
		if err != nil {
			s.Fatal(err)
		}
		id := p.Attempts[0].Deployment.ID
		s.count[id]++
		s.health.Sent(&p.Attempts[0], false)
		e := serve(id)
		heap.Push(&s.ends, ending{s.clock.now.Add(e.Took), id, e})
	}
}

// settle ends the calls that are over by now.
func (s *simulation) settle() {
	now := s.clock.now
	for len(s.ends) > 0 && !s.ends[0].at.After(now) {
		e := heap.Pop(&s.ends).(ending)
		s.clock.now = e.at
		s.health.Over(e.id, e.Ending)
		s.health.Report(Outcome{DeploymentID: e.id, Status: 200})
	}
	s.clock.now = now
}

// shares checks the parts of first attempts within a tolerance.
func (s *simulation) shares(tolerance float64, want map[string]float64) {
	s.Helper()
	total := 0.0
	for _, n := range s.count {
		total += n
	}
	for id, w := range want {
		if got := s.count[id] / total; math.Abs(got-w) > wide(tolerance) {
			s.Errorf("%s: %.4f of the calls, want %.4f ± %.4f", id, got, w, tolerance)
		}
	}
}

func strategy(name string) Settings {
	s := DefaultSettings()
	s.Strategy = name
	return s
}

// taking is a serve function: how long each deployment takes, in milliseconds.
func taking(ms map[string]int) func(string) Ending {
	return func(id string) Ending { return Ending{Took: time.Duration(ms[id]) * time.Millisecond} }
}

// Who takes twice as long has each place taken twice as long, so gets half of the calls. With 30 calls under way
// the numbers stand to each other within 1 %.
func TestLeastBusyShares(t *testing.T) {
	s := simulate(t, strategy(LeastBusy), members("a", 3))
	s.run(draws, 20*time.Millisecond, Ask{}, taking(map[string]int{"a/1": 1000, "a/2": 1000, "a/3": 2000}))
	s.shares(0.01, map[string]float64{"a/1": 0.4, "a/2": 0.4, "a/3": 0.2})
}

func TestLeastBusySpreadsIdleCalls(t *testing.T) {
	s := simulate(t, strategy(LeastBusy), members("a", 4))
	s.run(draws, time.Second, Ask{}, taking(map[string]int{}))
	s.shares(tolerance, map[string]float64{"a/1": 0.25, "a/2": 0.25, "a/3": 0.25, "a/4": 0.25})
}

func TestUsageBasedShares(t *testing.T) {
	mk := func(f func(i int, d *Deployment)) []Deployment {
		ds := members("a", 3)
		for i := range ds {
			f(i, &ds[i])
		}
		return ds
	}
	used := func(tokens map[string]int64) func(string) Ending {
		return func(id string) Ending { return Ending{Took: time.Second, Tokens: tokens[id]} }
	}
	tests := []struct {
		name string
		ds   []Deployment
		use  map[string]int64
		want map[string]float64
	}{
		{"rpm", mk(func(i int, d *Deployment) { d.RPM = []float64{6000, 3000, 1000}[i] }), nil,
			map[string]float64{"a/1": 0.6, "a/2": 0.3, "a/3": 0.1}},
		{"tpm", mk(func(i int, d *Deployment) { d.TPM = []float64{6e6, 3e6, 1e6}[i] }),
			map[string]int64{"a/1": 100, "a/2": 100, "a/3": 100}, map[string]float64{"a/1": 0.6, "a/2": 0.3, "a/3": 0.1}},
		{"whichever of the two is nearer", mk(func(i int, d *Deployment) {
			d.RPM, d.TPM = 5000, []float64{1e5, 1e9, 1e9}[i] // 1000 calls of 100 tokens, or 5000 calls
		}), map[string]int64{"a/1": 100, "a/2": 100, "a/3": 100}, map[string]float64{"a/1": 1. / 11, "a/2": 5. / 11, "a/3": 5. / 11}},
		{"without limits, by tokens", members("a", 3), map[string]int64{"a/1": 300, "a/2": 300, "a/3": 100},
			map[string]float64{"a/1": 0.2, "a/2": 0.2, "a/3": 0.6}},
	}
	for _, name := range []string{UsageBased, UsageBasedV2} {
		for _, tt := range tests {
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				s := simulate(t, strategy(name), tt.ds)
				s.run(draws, 20*time.Millisecond, Ask{}, used(tt.use))
				s.shares(0.015, tt.want)
			})
		}
	}
}

func TestLatencyBasedShares(t *testing.T) {
	per := func(ms map[string]float64) func(string) Ending { // for 100 tokens each, 40 ms to the first for a/3
		return func(id string) Ending {
			first := map[string]time.Duration{"a/1": 300, "a/2": 200, "a/3": 40}[id] * time.Millisecond
			return Ending{Took: time.Duration(100 * ms[id] * float64(time.Millisecond)), OutputTokens: 100, FirstToken: first}
		}
	}
	pace := per(map[string]float64{"a/1": 10, "a/2": 11, "a/3": 30})
	buffered := strategy(LatencyBased)
	buffered.StrategyArgs.LatencyBuffer = 0.2
	tests := []struct {
		name string
		s    Settings
		ask  Ask
		want map[string]float64
	}{
		{"the fastest", strategy(LatencyBased), Ask{}, map[string]float64{"a/1": 1, "a/2": 0, "a/3": 0}},
		{"within the buffer", buffered, Ask{}, map[string]float64{"a/1": 0.5, "a/2": 0.5, "a/3": 0}},
		{"streams by their first token", strategy(LatencyBased), Ask{Stream: true}, map[string]float64{"a/1": 0, "a/2": 0, "a/3": 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := simulate(t, tt.s, members("a", 3))
			s.run(draws, 50*time.Millisecond, tt.ask, pace)
			s.shares(0.01, tt.want)
		})
	}
}

func TestLatencyBasedForgets(t *testing.T) {
	args := strategy(LatencyBased)
	args.StrategyArgs.TTL = time.Minute
	s := simulate(t, args, members("a", 2))
	ms := map[string]int{"a/1": 100, "a/2": 900}
	s.run(1000, 100*time.Millisecond, Ask{}, taking(ms)) // 100 s
	if s.count["a/2"] < 2 || s.count["a/2"] > 50 {
		t.Errorf("the slow one was asked %.0f times: at first, and after a minute", s.count["a/2"])
	}
	ms["a/1"], ms["a/2"] = 900, 100
	clear(s.count)
	s.run(10_000, 100*time.Millisecond, Ask{}, taking(ms))
	s.shares(0.1, map[string]float64{"a/2": 1})
}

func TestLatencyBasedTimeout(t *testing.T) {
	s := simulate(t, strategy(LatencyBased), members("a", 2))
	ms := taking(map[string]int{"a/1": 10, "a/2": 50})
	s.run(100, time.Second, Ask{}, ms)
	s.health.Report(Outcome{DeploymentID: "a/1", Status: 408, Kind: apierror.Timeout})
	clear(s.count)
	s.run(100, time.Second, Ask{}, ms)
	s.shares(0, map[string]float64{"a/1": 0, "a/2": 1})
}

func TestCostBasedShares(t *testing.T) {
	ds := members("a", 4) // a/1: nobody knows
	for i, price := range []float64{0, 2.5e-6, 1e-7, 1e-7} {
		if i > 0 {
			ds[i].InputCost, ds[i].OutputCost, ds[i].Priced = price, 4*price, true
		}
	}
	s := simulate(t, strategy(CostBased), ds)
	s.run(draws, time.Second, Ask{}, taking(nil))
	s.shares(tolerance, map[string]float64{"a/1": 0, "a/2": 0, "a/3": 0.5, "a/4": 0.5})
	p, _ := s.table.Plan(Ask{Group: "a", NumRetries: ptr(3)}, s.health, func() float64 { return 0.99 })
	if got := ids(p); got != "a/3 a/4 a/2 a/1" {
		t.Errorf("order: %s", got)
	}
	free := members("a", 2)
	free[1].Priced = true
	s = simulate(t, strategy(CostBased), free)
	s.run(1000, time.Second, Ask{}, taking(nil))
	s.shares(0, map[string]float64{"a/2": 1})
}

// Two draws of four: the slow one is in half of the pairs and wins none of them, unless its peak has been
// forgotten meanwhile.
func TestP2CShares(t *testing.T) {
	s := simulate(t, strategy(P2C), members("a", 4))
	s.run(draws, 20*time.Millisecond, Ask{}, taking(map[string]int{"a/1": 200, "a/2": 200, "a/3": 200, "a/4": 4000}))
	s.shares(0.02, map[string]float64{"a/1": 1. / 3, "a/2": 1. / 3, "a/3": 1. / 3, "a/4": 0.01})
}

func TestP2CByWeight(t *testing.T) {
	ds := members("a", 3)
	for i := range ds {
		ds[i].Weight = float64([]int{2, 2, 0}[i])
	}
	s := simulate(t, strategy(P2C), ds)
	s.run(draws, 50*time.Millisecond, Ask{}, taking(map[string]int{"a/1": 200, "a/2": 200, "a/3": 1}))
	s.shares(0.01, map[string]float64{"a/1": 0.5, "a/2": 0.5, "a/3": 0})
}

// A deployment that turns twenty times slower loses its share with the first slow answer, and has it back
// soon after.
func TestP2CPeak(t *testing.T) {
	s := simulate(t, strategy(P2C), members("a", 3))
	ms := map[string]int{"a/1": 100, "a/2": 100, "a/3": 100}
	s.run(20_000, 10*time.Millisecond, Ask{}, taking(ms))
	s.shares(0.02, map[string]float64{"a/3": 1. / 3})
	ms["a/3"] = 2000
	s.run(2000, 10*time.Millisecond, Ask{}, taking(ms)) // it fills up, and the peak is seen
	clear(s.count)
	s.run(20_000, 10*time.Millisecond, Ask{}, taking(ms))
	s.shares(0.03, map[string]float64{"a/3": 0.01})
	ms["a/3"] = 100
	s.run(10_000, 10*time.Millisecond, Ask{}, taking(ms)) // 100 s
	clear(s.count)
	s.run(20_000, 10*time.Millisecond, Ask{}, taking(ms))
	s.shares(0.05, map[string]float64{"a/3": 1. / 3})
}

func TestSessionAffinity(t *testing.T) {
	ds := members("a", 4)
	for i := range ds {
		ds[i].Weight = float64([]int{1, 1, 1, 2}[i])
	}
	tab := table(t, strategy(SessionAffinity), ds)
	h := NewHealth(newClock().Now, nil)
	h.Apply(tab)
	of := func(session int, can func(*Deployment) error) string {
		ask := Ask{Group: "a", Can: can, Session: func(by Affinity) uint64 {
			if by&BySession == 0 {
				t.Fatal("the session is not asked for")
			}
			return SessionKey(BySession, fmt.Sprint("session ", session))
		}}
		p, err := tab.Plan(ask, h, nil)
		if err != nil {
			t.Fatal(err)
		}
		return p.Attempts[0].Deployment.ID
	}
	sessions := draws / 10
	home, count := map[int]string{}, map[string]float64{}
	for call := range draws {
		session := call % sessions
		got := of(session, nil)
		if was := home[session]; was != "" && was != got {
			t.Fatalf("session %d moved from %s to %s", session, was, got)
		}
		home[session] = got
		count[got]++
	}
	// Of 10,000 sessions the standard error of a share is 0.005; 0.02 is four of them.
	for id, want := range map[string]float64{"a/1": 0.2, "a/2": 0.2, "a/3": 0.2, "a/4": 0.4} {
		if got := count[id] / float64(draws); math.Abs(got-want) > wide(0.02) {
			t.Errorf("%s: %.4f, want %.4f", id, got, want)
		}
	}
	full := func(d *Deployment) error {
		if d.ID == "a/2" {
			return &Full{Reason: "full", RetryAfter: time.Second}
		}
		return nil
	}
	second := map[string]float64{}
	for session := range sessions {
		switch got := of(session, full); {
		case home[session] != "a/2" && got != home[session]:
			t.Fatalf("session %d of %s moved to %s", session, home[session], got)
		case home[session] == "a/2":
			second[got]++
		}
		if got := of(session, nil); got != home[session] {
			t.Fatalf("session %d did not come back", session)
		}
	}
	if second["a/2"] > 0 || second["a/1"] == 0 || second["a/3"] == 0 || second["a/4"] == 0 {
		t.Errorf("the second choices are not spread: %v", second)
	}
}

func TestAffinityBesideAStrategy(t *testing.T) {
	s := strategy(CostBased)
	s.Affinity = BySession
	ds := members("a", 3)
	ds[1].Priced = true
	tab := table(t, s, ds)
	key := uint64(0)
	ask := Ask{Group: "a", Session: func(Affinity) uint64 { return key }}
	if p, _ := tab.Plan(ask, nil, nil); p.Attempts[0].Deployment.ID != "a/2" || p.Strategy != CostBased {
		t.Error("a call without a session does not go by cost")
	}
	homes := map[string]int{}
	for i := range 300 {
		key = SessionKey(BySession, fmt.Sprint(i))
		p, _ := tab.Plan(ask, nil, nil)
		homes[p.Attempts[0].Deployment.ID]++
	}
	if len(homes) != 3 {
		t.Errorf("sessions are at %v", homes)
	}
}

// The lower order gets every call while it can.
func TestOrderShares(t *testing.T) {
	ds := members("a", 4)
	ds[0].Order, ds[1].Order, ds[2].Order = ptr(2), ptr(1), ptr(1)
	for _, name := range Strategies() {
		s := simulate(t, strategy(name), ds)
		s.run(10_000, 10*time.Millisecond, Ask{}, taking(map[string]int{"a/1": 1, "a/2": 100, "a/3": 100, "a/4": 1}))
		if s.count["a/1"]+s.count["a/4"] > 0 {
			t.Errorf("%s: %v", name, s.count)
		}
	}
}

func TestStrategyByGroup(t *testing.T) {
	s := strategy(LeastBusy)
	s.StrategyByGroup = map[string]GroupStrategy{"b": {Strategy: "cost_based_routing"}, "nope": {}}
	tab := table(t, s, members("a", 2), members("b", 2))
	for _, g := range tab.Groups() {
		if want := map[string]string{"a": LeastBusy, "b": CostBased}[g.Name]; g.Strategy != want {
			t.Errorf("%s: %s", g.Name, g.Strategy)
		}
	}
	if len(tab.Warnings()) != 1 {
		t.Errorf("%q", tab.Warnings())
	}
}

func BenchmarkStrategy(b *testing.B) {
	for _, name := range Strategies() {
		b.Run(name, func(b *testing.B) {
			ds := members("a", 10)
			for i := range ds {
				ds[i].RPM, ds[i].Priced, ds[i].InputCost = 1000, true, float64(i%3)
			}
			s := simulate(b, strategy(name), ds)
			s.run(1000, 10*time.Millisecond, Ask{}, func(string) Ending {
				return Ending{Took: 100 * time.Millisecond, FirstToken: time.Millisecond, OutputTokens: 10, Tokens: 50}
			})
			ask := Ask{Group: "a", Can: func(*Deployment) error { return nil },
				Session: func(Affinity) uint64 { return 12345 }}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.table.Plan(ask, s.health, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
