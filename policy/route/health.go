package route

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegw/sluice/internal/apierror"
)

// Health keeps what is known of each deployment and decides when one cools down. It outlives tables:
// [Health.Apply] tells it the current one. Reports cost O(1) and readers take no shared lock.
//
// The rules are LiteLLM's (https://docs.litellm.ai/docs/proxy/reliability#cooldowns), per deployment and
// minute. With allowed_fails unset, it cools down
//   - at once after 401, 402 and 404; 402 not the only one of a group;
//   - at once after 429, unless it is the group's only one;
//   - when more than half of at least 5 requests failed, unless it is the group's only one;
//   - when all of at least 1,000 requests failed.
//
// With allowed_fails set, it cools down when more than that many requests failed, whatever the status.
//
// A deployment whose cooldown is over is tried by one call before it gets its share again: a good answer
// brings it back, a failure lets it rest for twice as long as before, up to five minutes or its cooldown_time,
// whichever is longer. A provider's Retry-After is kept to, up to ten minutes.
//
// Three differences. LiteLLM takes allowed_fails: 3 for unset, because 3 is its default, and a deployment's own
// allowed_fails for nothing where it is the group's only one; here a number that was written down counts. And
// a 404 from a wildcard's deployment counts for nothing: there the client chooses the name that is not found.
type Health struct {
	clock   func() time.Time
	base    time.Time
	onEvent func(Event)
	log     events

	mu      sync.Mutex // for writers of entries and budgets
	entries atomic.Pointer[map[string]*entry]
	budgets atomic.Pointer[map[string]*budget] // by model group
}

// NewHealth makes an empty tracker. A nil clock is time.Now; onEvent, which may be nil, is called without
// locks held, on the goroutine of the report, and must not block.
func NewHealth(clock func() time.Time, onEvent func(Event)) *Health {
	if clock == nil {
		clock = time.Now
	}
	h := &Health{clock: clock, base: clock(), onEvent: onEvent}
	h.entries.Store(&map[string]*entry{})
	h.budgets.Store(&map[string]*budget{})
	return h
}

// now is the time since base; it and at work for a nil Health, too.
func (h *Health) now() time.Duration {
	if h == nil {
		return 0
	}
	return h.clock().Sub(h.base)
}

func (h *Health) at(now time.Duration) time.Time {
	if h == nil {
		return time.Now().Add(now)
	}
	return h.base.Add(now)
}

func (h *Health) entry(id string) *entry { return (*h.entries.Load())[id] }

// budget is nil for a group that is no longer there.
func (h *Health) budget(group string) *budget { return (*h.budgets.Load())[group] }

// State is what is known of a deployment. The zero State is that of one never heard of.
type State struct {
	Cooling   bool
	HalfOpen  bool      // its cooldown is over, and no good answer has come since
	Until     time.Time // when Cooling
	Why       string    // when Cooling or HalfOpen
	Streak    int       // cooldowns in a row
	InFlight  int64     // calls under way
	Fails     int       // in the current minute
	Successes int       // in the current minute
	Last      time.Time // of the last attempt that counted; zero: none yet
	LastOK    bool      // whether that one succeeded
}

// entry is one deployment. until and probe are read without the lock.
type entry struct {
	traffic Traffic
	policy  atomic.Pointer[cooldownPolicy]
	until   atomic.Int64 // since base; 0: up; in the past: half-open
	probe   atomic.Int64 // half-open: until when the call that tries it may take, before another does

	mu               sync.Mutex
	window           time.Duration // start of the current minute, since base
	fails, successes int
	why              string
	streak           int           // cooldowns in a row
	rested           time.Duration // how long the last one was
	back             time.Duration // when it came back from it
	last             time.Duration
	heard, lastOK    bool
}

// Apply takes over the deployments of a table: new ones start healthy, known ones keep their state and
// get the table's rules, vanished ones are forgotten.
func (h *Health) Apply(t *Table) {
	h.mu.Lock()
	defer h.mu.Unlock()
	old := *h.entries.Load()
	entries := make(map[string]*entry)
	oldBudgets, budgets := *h.budgets.Load(), make(map[string]*budget, len(t.groups))
	for _, g := range t.groups {
		if budgets[g.name] = oldBudgets[g.name]; budgets[g.name] == nil {
			budgets[g.name] = &budget{}
		}
		for _, d := range g.members {
			e := old[d.ID]
			if e == nil {
				e = &entry{}
			}
			e.policy.Store(policyOf(t, g, d))
			entries[d.ID] = e
		}
	}
	h.entries.Store(&entries)
	h.budgets.Store(&budgets)
}

// Forget drops deployments; reports about them are ignored from then on.
func (h *Health) Forget(ids ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	entries := maps.Clone(*h.entries.Load())
	for _, id := range ids {
		delete(entries, id)
	}
	h.entries.Store(&entries)
}

// Outcome is how one attempt ended.
type Outcome struct {
	DeploymentID string
	Status       int           // HTTP status; 0: no answer came
	Kind         apierror.Kind // empty: what Status tells
	RetryAfter   time.Duration // the provider's wish; 0: none

	ClientTimeout bool // a time limit of the client's choosing ran out: says nothing about the deployment
	Ours          bool // sluice or Envoy failed, not the deployment
}

// Report counts an attempt, and returns false for a deployment that is not known.
func (h *Health) Report(o Outcome) (known bool) {
	e := h.entry(o.DeploymentID)
	if e == nil {
		return false
	}
	policy := e.policy.Load()
	now := h.now()
	switch o.verdict(policy) {
	case good:
		if e.succeeded(now) {
			h.emit(Event{DeploymentID: o.DeploymentID, Group: policy.group, Kind: Back})
		}
	case bad:
		if o.kind() == apierror.Timeout {
			e.traffic.timedOut(now)
		}
		if until, streak, started := e.failed(now, policy, &o); started {
			h.emit(Event{
				DeploymentID: o.DeploymentID, Group: policy.group, Kind: Out,
				Until: h.base.Add(until), Why: o.why(), Status: o.Status, Streak: streak,
			})
		}
	default:
		e.probe.Store(0) // if this was the call that tried it, another may
	}
	return true
}

// Answered tells that a deployment has begun to answer well: it is back, although the answer may take long.
func (h *Health) Answered(deploymentID string) {
	if e := h.entry(deploymentID); e != nil && e.until.Load() != 0 && e.returns(h.now()) {
		h.emit(Event{DeploymentID: deploymentID, Group: e.policy.Load().group, Kind: Back})
	}
}

// Unclaim tells that a call which was planned to a deployment never went there, or was given up by its client:
// if it was the one to try it after a cooldown, another may.
func (h *Health) Unclaim(deploymentID string) {
	if e := h.entry(deploymentID); e != nil {
		e.probe.Store(0)
	}
}

// claim makes a call the one that tries a half-open deployment.
func (h *Health) claim(id string, now time.Duration) bool {
	e := h.entry(id)
	if e == nil {
		return true
	}
	if !e.claim(now) {
		return false
	}
	h.emit(Event{DeploymentID: id, Group: e.policy.Load().group, Kind: Trial})
	return true
}

// State says what is known of a deployment. On a nil Health all are up.
func (h *Health) State(id string) State {
	if h == nil {
		return State{}
	}
	e := (*h.entries.Load())[id]
	if e == nil {
		return State{}
	}
	return e.state(h)
}

// Snapshot is the state of every deployment of the current table.
func (h *Health) Snapshot() map[string]State {
	entries := *h.entries.Load()
	all := make(map[string]State, len(entries))
	for id, e := range entries {
		all[id] = e.state(h)
	}
	return all
}

func (e *entry) state(h *Health) State {
	now := h.clock().Sub(h.base)
	e.mu.Lock()
	defer e.mu.Unlock()
	s := State{LastOK: e.lastOK}
	if e.heard {
		s.Last = h.base.Add(e.last)
	}
	if now-e.window < minute {
		s.Fails, s.Successes = e.fails, e.successes
	}
	switch until := time.Duration(e.until.Load()); {
	case until > now:
		s.Cooling, s.Until, s.Why = true, h.base.Add(until), e.why
	case until != 0:
		s.HalfOpen, s.Why = true, e.why
	}
	s.Streak, s.InFlight = e.streak, e.traffic.InFlight()
	return s
}

// IDs are the deployments that are known, sorted.
func (h *Health) IDs() []string {
	return slices.Sorted(maps.Keys(*h.entries.Load()))
}

func policyOf(t *Table, g *group, d *Deployment) *cooldownPolicy {
	p := &cooldownPolicy{
		group: g.name, wildcard: strings.Contains(g.name, "*"), single: len(g.members) == 1,
		cooldown: t.settings.Cooldown, allowed: t.settings.AllowedFails, allowedByKind: t.settings.AllowedFailsByKind,
	}
	if d.Cooldown != nil {
		p.cooldown = *d.Cooldown
	}
	if d.AllowedFails != nil {
		p.allowed, p.own = d.AllowedFails, true
	}
	return p
}

// Anew forgets how deployments have failed, for they are no longer what failed: they have another key, another
// address, another model.
func (h *Health) Anew(ids ...string) {
	for _, id := range ids {
		if e := h.entry(id); e != nil && e.anew() {
			h.emit(Event{DeploymentID: id, Group: e.policy.Load().group, Kind: Back})
		}
	}
}

// anew tells whether it was out.
func (e *entry) anew() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := e.until.Swap(0) != 0
	e.probe.Store(0)
	e.fails, e.successes, e.streak, e.rested, e.why = 0, 0, 0, 0, ""
	e.heard, e.lastOK = false, false
	return out
}
