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
// Three differences. LiteLLM takes allowed_fails: 3 for unset, because 3 is its default, and a deployment's own
// allowed_fails for nothing where it is the group's only one; here a number that was written down counts. And
// a 404 from a wildcard's deployment counts for nothing: there the client chooses the name that is not found.
type Health struct {
	clock   func() time.Time
	base    time.Time
	onEvent func(Event)
	seen    *seen

	mu      sync.Mutex // for writers of entries
	entries atomic.Pointer[map[string]*entry]
}

// NewHealth makes an empty tracker. A nil clock is time.Now; onEvent, which may be nil, is called without
// locks held, on the goroutine of the report, and must not block.
func NewHealth(clock func() time.Time, onEvent func(Event)) *Health {
	if clock == nil {
		clock = time.Now
	}
	h := &Health{clock: clock, base: clock(), onEvent: onEvent, seen: newSeen()}
	h.entries.Store(&map[string]*entry{})
	return h
}

// Event is a deployment that starts cooling down, or the first good answer after it did.
type Event struct {
	DeploymentID string
	Group        string
	Cooling      bool
	Until        time.Time // when Cooling
	Why          string    // when Cooling: a phrase such as "429 rate_limit"
	Status       int       // when Cooling: of the last failure; 0: no answer
}

// State is what is known of a deployment. The zero State is that of one never heard of.
type State struct {
	Cooling   bool
	Until     time.Time // when Cooling
	Why       string    // when Cooling
	Fails     int       // in the current minute
	Successes int       // in the current minute
	Last      time.Time // of the last attempt that counted; zero: none yet
	LastOK    bool      // whether that one succeeded
}

// entry is one deployment. until is read without the lock.
type entry struct {
	policy atomic.Pointer[cooldownPolicy]
	until  atomic.Int64 // since base; in the past: up

	mu               sync.Mutex
	window           time.Duration // start of the current minute, since base
	fails, successes int
	why              string
	cooled           bool // an event said so, and none yet that it is back
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
	for _, g := range t.groups {
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
	CallID       string // with Attempt: what makes a report count once; empty: each counts
	Attempt      int
	DeploymentID string
	Status       int           // HTTP status; 0: no answer came
	Kind         apierror.Kind // empty: what Status tells
	RetryAfter   time.Duration // the provider's wish; 0: none

	ClientTimeout bool // a time limit of the client's choosing ran out: says nothing about the deployment
	Ours          bool // sluice or Envoy failed, not the deployment
}

// Report counts an attempt. Reporting it again changes nothing and, like a deployment that is not known,
// returns false.
func (h *Health) Report(o Outcome) (first bool) {
	e := (*h.entries.Load())[o.DeploymentID]
	if e == nil || (o.CallID != "" && !h.seen.add(o.CallID, o.Attempt)) {
		return false
	}
	policy := e.policy.Load()
	now := h.clock().Sub(h.base)
	switch o.verdict(policy) {
	case good:
		if e.succeeded(now) {
			h.emit(Event{DeploymentID: o.DeploymentID, Group: policy.group})
		}
	case bad:
		if until, started := e.failed(now, policy, &o); started {
			h.emit(Event{
				DeploymentID: o.DeploymentID, Group: policy.group, Cooling: true,
				Until: h.base.Add(until), Why: o.why(), Status: o.Status,
			})
		}
	}
	return true
}

func (h *Health) emit(e Event) {
	if h.onEvent != nil {
		h.onEvent(e)
	}
}

// cooling is when a deployment returns and why it is out; a zero time: it is up.
func (h *Health) cooling(id string) (time.Time, string) {
	e := (*h.entries.Load())[id]
	if e == nil {
		return time.Time{}, ""
	}
	until := time.Duration(e.until.Load())
	if until == 0 || until <= h.clock().Sub(h.base) {
		return time.Time{}, ""
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return h.base.Add(until), e.why
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
	if until := time.Duration(e.until.Load()); until > now {
		s.Cooling, s.Until, s.Why = true, h.base.Add(until), e.why
	}
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
