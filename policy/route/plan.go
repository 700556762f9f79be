package route

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/sluicegw/sluice/internal/apierror"
)

// Ask is one call's question to the table.
type Ask struct {
	Group string // the model as the client wrote it: a group, an alias, or a name that a wildcard serves

	NumRetries    *int          // the client's num_retries; nil: configured
	Timeout       time.Duration // the client's timeout for one attempt; 0: configured
	StreamTimeout time.Duration // the client's stream_timeout; 0: configured
	Stream        bool

	// Fallbacks are the client's own; not nil, they replace the configured ones of every kind. They may name
	// only what the client could ask for itself.
	Fallbacks []Override
	// Lists are the client's own in the configuration's shape, by group; not nil, they take the place of the
	// configured ones of their kind. They, too, may name only what the client could ask for itself.
	Lists Lists
	// MaxFallbacks is the client's max_fallbacks; nil: configured.
	MaxFallbacks *int

	// Allowed says whether the caller may use a model, by the name it was asked for or its group. nil: all.
	// Hidden groups are not asked about: they belong to the configuration of the group before them.
	Allowed func(model string) bool

	// Can says why a deployment cannot take this call, or nil (a nil *apierror.Error is nil, too). An
	// *apierror.Error becomes the answer when no deployment can; a *[Full] is waited for. It is asked of
	// every healthy deployment of a group, so it must be cheap.
	Can func(*Deployment) error
	// CanOwn is asked in Can's place about the attempts for Fallbacks[own-1]. nil: Can is.
	CanOwn func(d *Deployment, own int) error

	// Tags are the request's, for tag filtering.
	Tags []string
	// Session is [Round.Session].
	Session func(by Affinity) uint64
	// Pretend is how the group asked for counts as failed without being tried, for somebody who tries out the
	// fallbacks; "": it is tried.
	Pretend apierror.Kind
	// Look makes a plan for somebody to look at: it claims no deployment's trial after a cooldown.
	Look bool
}

// Attempt is one try of a plan.
type Attempt struct {
	Deployment *Deployment
	Group      string        // the configured model group: "openai/*" for a wildcard
	Model      string        // the name asked for in that group: differs from Group for a wildcard
	Wildcard   string        // what the group's (first) star stood for; see Expand
	Retry      int           // attempts before this one within its group
	Fallback   int           // 0: the group asked for, 1: the first fallback group, …
	Timeout    time.Duration // the whole attempt, or a stream's timeout if the Ask was for one; 0: none
	FirstEvent bool          // Timeout is a stream_timeout: of a stream's silence up to its first event
	Override   int           // from 1: which of Ask.Fallbacks this attempt is made for; 0: none
}

// Expand is a deployment's model name with its stars replaced by what those of the group stood for:
// "openai/*" becomes "openai/gpt-4o". Names without a star come back as they are.
func (a *Attempt) Expand(model string) string {
	if a.Group == a.Model {
		return model
	}
	p, err := newPattern(a.Group)
	if err != nil { // not of a table
		return model
	}
	return p.expand(a.Model, model)
}

// Plan is what to try, in order. It has at least one attempt and is not changed after it was made.
type Plan struct {
	// Attempts is what is tried while attempts fail for ordinary reasons: a provider that is down, slow or busy.
	// Others are for failures of a kind that has its own fallbacks. [Plan.Walk] says which comes when.
	Attempts []Attempt
	Others   []Attempt
	Skipped  []Skip   // what was left out and why, at most 64
	Strategy string   // the name of the strategy that was used for the first group
	Capped   []string // the groups whose retries were left out, their retry budget being spent
	Denied   []string // the fallback groups that the caller may not use

	health  *Health // for its retry budgets; nil: there are none
	share   float64
	floor   int
	nodes   []node
	most    int           // fallback groups that one call may visit
	own     [classes]bool // which failures have lists of their own
	content bool          // some group has one for refused content

	room     [3]Attempt // so that the usual plan is one allocation
	nodeRoom [2]node
}

// Skip is a deployment, or a whole group (Deployment nil), that a plan does without.
type Skip struct {
	Deployment *Deployment
	Group      string
	Reason     string    // a sentence without secrets
	Until      time.Time // when it returns, if that is known

}

const maxSkipped = 64

// planner is the state of one Plan call.
type planner struct {
	table  *Table
	ask    *Ask
	health *Health
	rnd    func() float64
	plan   *Plan
	left   int // fallback groups that may still be visited
	room   int // attempts that the plan may have

	pick     []Candidate
	round    Round
	earliest time.Time // the first return of a deployment that is cooling down or full
	full     bool      // one is full
	now      time.Duration
	refusal  error   // the first answer of Can, those about the request before the others
	reasons  reasons // why deployments of the group at hand were left out
	own      int     // the client's own fallback at hand, from 1
}

var planners = sync.Pool{New: func() any { return new(planner) }}

// Plan orders the attempts for a call. health may be nil: all are up. rnd is uniform in [0, 1); nil: the
// process's own source. The error is for the client: 403 for a model that the caller may not use, 400 for
// an unknown one, 429 with RetryAfter when all deployments are cooling down, or what Can said.
func (t *Table) Plan(a Ask, health *Health, rnd func() float64) (*Plan, *apierror.Error) {
	primary, known := t.ask(a.Group)
	if a.Allowed != nil && !a.Allowed(a.Group) && !(known && a.Allowed(primary.group.name)) {
		return nil, notAllowed(a.Group)
	}
	if rnd == nil {
		rnd = rand.Float64
	}
	most := t.settings.MaxFallbacks
	if a.MaxFallbacks != nil {
		most = min(max(*a.MaxFallbacks, 0), maxAttempts)
	}
	p := planners.Get().(*planner)
	defer p.release()
	*p = planner{
		table: t, ask: &a, health: health, rnd: rnd, left: most, room: maxAttempts,
		plan: &Plan{Strategy: t.settings.Strategy, health: health, share: t.settings.RetryBudget, floor: t.settings.RetryFloor, most: most}, pick: p.pick[:0], now: health.now(),
	}
	p.plan.Attempts, p.plan.nodes = p.plan.room[:0], p.plan.nodeRoom[:0]
	if known {
		p.plan.Strategy = primary.group.strategyName
	}
	if !known && a.Fallbacks == nil && len(t.settings.Fallbacks[anyGroup]) == 0 {
		return nil, unknownModel(a.Group)
	}
	p.grow(primary, known)
	if len(p.plan.Attempts) == 0 {
		return nil, p.nothing(known)
	}
	return p.plan, nil
}

func (p *planner) release() {
	clear(p.pick[:cap(p.pick)])
	*p = planner{pick: p.pick[:0]}
	planners.Put(p)
}

func (p *planner) allowed(to target) bool {
	if to.group.hidden || p.ask.Allowed == nil || p.ask.Allowed(to.name) || p.ask.Allowed(to.group.name) {
		return true
	}
	p.skip(Skip{Group: to.name, Reason: "the key may not use this model"})
	if len(p.plan.Denied) < mostNodes && !slices.Contains(p.plan.Denied, to.name) {
		p.plan.Denied = append(p.plan.Denied, to.name)
	}
	return false
}

// visit appends a group's attempts: of each tier up to 1+num_retries deployments, no two alike, and for
// the group asked for the same again until there are 1+num_retries attempts. LiteLLM draws anew for each
// retry and may hit the deployment that just failed; trying the others first is why a plan exists.
//
// A group whose retry_policy grants more retries to some kind of error has attempts for those, too; base is how
// many an error without such a rule may use.
func (p *planner) visit(to target, fallback int) (base int) {
	first := len(p.plan.Attempts)
	want, more := 0, 0
	p.collect(to.group)
	for rest := p.pick; len(rest) > 0; {
		var tier []Candidate
		if tier, rest = p.order(to.group, rest); len(tier) == 0 {
			continue
		}
		if want == 0 {
			want = 1 + p.retries(tier[0].Deployment)
			more = p.grantedAttempts(to)
		}
		for _, c := range tier[:min(want, len(tier))] {
			p.add(to, c.Deployment, fallback, first)
		}
	}
	distinct := len(p.plan.Attempts) - first
	if distinct == 0 {
		return 0
	}
	if fallback > 0 {
		want = distinct
	}
	for i := 0; len(p.plan.Attempts)-first < max(want, more) && len(p.plan.Attempts) < p.room; i++ {
		p.add(to, p.plan.Attempts[first+i%distinct].Deployment, fallback, first)
	}
	p.budget(to.group, first)
	return min(max(want, distinct), len(p.plan.Attempts)-first)
}

func (p *planner) add(to target, d *Deployment, fallback, first int) {
	if len(p.plan.Attempts) >= p.room {
		return
	}
	a := Attempt{
		Deployment: d, Group: to.group.name, Model: to.name,
		Retry: len(p.plan.Attempts) - first, Fallback: fallback, Override: p.own,
	}
	a.Timeout, a.FirstEvent = p.timeout(d)
	if to.group.pattern != nil {
		a.Wildcard, _ = to.group.pattern.match(to.name)
	}
	p.plan.Attempts = append(p.plan.Attempts, a)
}

func (p *planner) refused(d *Deployment, err error) (usable bool) {
	reason := ""
	var told *apierror.Error
	if full, ok := err.(*Full); ok {
		p.wait(p.now + full.RetryAfter)
		p.full, p.reasons.other = true, true
		p.skip(Skip{Deployment: d, Group: d.Group, Reason: full.Reason, Until: p.health.at(p.now + full.RetryAfter)})
		return false
	}
	switch {
	case !errors.As(err, &told):
		reason = err.Error()
	case told == nil:
		return true
	default:
		reason = told.Message
	}
	// What is wrong with the request tells a client more than what is wrong with a deployment.
	if p.refusal == nil || (told != nil && told.Status < 500 && !aboutRequest(p.refusal)) {
		p.refusal = err
	}
	p.reasons.note(told)
	p.skip(Skip{Deployment: d, Group: d.Group, Reason: reason})
	return false
}

func aboutRequest(err error) bool {
	var told *apierror.Error
	return errors.As(err, &told) && told.Status < 500
}

func (p *planner) skip(s Skip) {
	if len(p.plan.Skipped) < maxSkipped {
		p.plan.Skipped = append(p.plan.Skipped, s)
	}
}

// retries is the client's wish, else that of the deployment tried first, else the table's.
func (p *planner) retries(first *Deployment) int {
	n := p.table.settings.NumRetries
	switch {
	case p.ask.NumRetries != nil:
		n = *p.ask.NumRetries
	case first.NumRetries != nil:
		n = *first.NumRetries
	}
	return min(max(n, 0), maxAttempts-1)
}

// timeout is the client's wish, else the deployment's, else the table's. For a stream the stream
// timeouts go first: they bound the silence of a stream, which may as a whole take longer.
func (p *planner) timeout(d *Deployment) (t time.Duration, firstEvent bool) {
	s := &p.table.settings
	if p.ask.Stream {
		switch {
		case p.ask.StreamTimeout > 0:
			return p.ask.StreamTimeout, true
		case p.ask.Timeout > 0:
			return p.ask.Timeout, false
		case d.StreamTimeout > 0:
			return d.StreamTimeout, true
		case s.StreamTimeout > 0:
			return s.StreamTimeout, true
		}
	}
	return cmp.Or(max(p.ask.Timeout, 0), max(d.Timeout, 0), max(s.Timeout, 0)), false
}
