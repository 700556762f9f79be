package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sluicegw/sluice/cmd/sluice/config"
	"github.com/sluicegw/sluice/extproc"
	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/policy/route"
)

// The call that an explanation counts the cost of.
const exampleInput, exampleOutput = 1000, 500

// errNobodyServes is what an explanation of a model ends in that nobody has, not even the default fallbacks. What
// was written says so already.
var errNobodyServes = errors.New("no such model")

// explain says what a call to a model would try, who in which order and why, who is left out until when, and
// what it would cost.
func explain(w io.Writer, a *assembly, m *moment, model string, now time.Time) error {
	p, health := &printer{w: w}, m.health
	table := a.snapshot.Table
	group, known := table.Resolve(model)
	switch {
	case !known:
		p.printf("No model group is called %q, and no wildcard or alias serves it.%s\n", model, a.suggest(model))
	case group != model:
		p.printf("%s is served by the model group %s.\n", model, group)
	}
	ask := route.Ask{Group: model, Can: m.can(a), Look: true}
	shares := a.firsts(ask, health)
	plan, err := table.Plan(ask, health, func() float64 { return 0.5 })
	if err != nil {
		p.printf("A call would be refused: %d, %s\n", err.Status, err.Message)
		p.members(a, m, group, now)
		if !known && p.err == nil {
			return errNobodyServes
		}
		return p.err
	}
	p.printf("A call to %s would try this, as long as attempts fail%s:\n", model, strategyOf(table, plan))
	x := &explanation{printer: p, assembly: a, health: health, ask: ask, now: now, shares: shares, states: map[string]deploymentState{}}
	for _, d := range a.deployments {
		x.states[d.config.ID] = d
	}
	x.attempts(plan)
	x.others(plan)
	x.skipped(plan)
	x.bounds(plan)
	if health == nil {
		p.printf("\nThis is what the file says. Who rests or is full at this moment, the running gateway knows: add --url http://HOST:PORT\n")
	}
	return p.err
}

// mostNamed bounds the models that are listed for somebody who has asked for another.
const mostNamed = 20

// suggest tells which models there are, the one that was probably meant first.
func (a *assembly) suggest(model string) string {
	names, _ := a.snapshot.Table.Aliases()
	names = append(a.config.Groups(), names...)
	if near := config.Near(model, names); near != "" {
		return fmt.Sprintf(" Did you mean %s?", near)
	}
	if len(names) == 0 {
		return " There are no models."
	}
	more := ""
	if n := len(names) - mostNamed; n > 0 {
		names, more = names[:mostNamed], fmt.Sprintf(" and %d more", n)
	}
	return " The models here: " + strings.Join(names, ", ") + more + "."
}

// moment is what the running gateway knows at a moment. The zero moment knows nothing.
type moment struct {
	health *route.Health
	full   func(*extproc.Deployment) error // why there is no room at a deployment, as a *route.Full
}

// can adds to what the configuration says of a deployment whether it has room.
func (m *moment) can(a *assembly) func(*route.Deployment) error {
	return func(d *route.Deployment) error {
		if err := a.can(d); err != nil || m.full == nil {
			return err
		}
		return m.full(a.snapshot.Deployments[d.ID])
	}
}

// members says of each deployment of a group why it takes no call.
func (p *printer) members(a *assembly, m *moment, group string, now time.Time) {
	for _, d := range a.deployments {
		if d.config.Group != group {
			continue
		}
		s := m.health.State(d.config.ID)
		reason := d.out
		var full *route.Full
		if own := a.snapshot.Deployments[d.config.ID]; own != nil && m.full != nil {
			_ = errors.As(m.full(own), &full)
		}
		switch {
		case reason != "":
		case s.Cooling:
			reason = s.Why + until(s.Until, now)
		case s.HalfOpen:
			reason = "one call tries it, for its cooldown is over; " + s.Why
		case full != nil:
			reason = full.Reason + until(now.Add(full.RetryAfter), now)
		default:
			continue // the refusal says it
		}
		p.printf("      %s (%s): %s\n", model(d), d.config.ID, reason)
	}
}

// until tells when somebody returns.
func until(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	return fmt.Sprintf(", for %s more, until %s", max(t.Sub(now), 0).Round(time.Second), t.Format(time.TimeOnly))
}

// strategyOf names the strategy where there is a choice.
func strategyOf(t *route.Table, plan *route.Plan) string {
	for _, g := range t.Groups() {
		if g.Name == plan.Attempts[0].Group && len(g.Deployments) > 1 {
			return ", in the order of " + g.Strategy
		}
	}
	return ""
}

// firsts is how many of a hundred calls each deployment would get first.
func (a *assembly) firsts(ask route.Ask, health *route.Health) map[string]int {
	shares := map[string]int{}
	for i := range 100 {
		if plan, err := a.snapshot.Table.Plan(ask, health, dice(i)); err == nil {
			shares[plan.Attempts[0].Deployment.ID]++
		}
	}
	return shares
}

// dice is the i-th of a hundred: its first throw is i hundredths, and those after it, which some strategies
// need, are far from it.
func dice(i int) func() float64 {
	n := 0
	return func() float64 { n++; return float64((i*n+37*(n-1))%100)/100 + 0.005 }
}

type explanation struct {
	*printer
	assembly *assembly
	health   *route.Health
	ask      route.Ask
	now      time.Time
	shares   map[string]int
	states   map[string]deploymentState
}

func (x *explanation) attempts(plan *route.Plan) {
	fallback := 0
	seen := map[string]int{}
	for i := range plan.Attempts {
		at := &plan.Attempts[i]
		if at.Fallback != fallback {
			fallback = at.Fallback
			x.printf("\n  then, as a fallback, %s:\n", at.Group)
		}
		d := at.Deployment
		if first, again := seen[d.ID]; again {
			x.printf("\n  %2d. the same as %d, again%s\n", i+1, first, within(at.Timeout))
			continue
		}
		seen[d.ID] = i + 1
		x.printf("\n  %2d. %s%s\n", i+1, at.Expand(x.name(d)), within(at.Timeout))
		x.about(d, at.Fallback == 0)
	}
}

func (x *explanation) about(d *route.Deployment, first bool) {
	state := x.states[d.ID]
	at := host(state)
	if at != builtIn {
		at = "at " + at
	}
	x.printf("      who   %s, %s\n", d.ID, at)
	why := x.assembly.snapshot.Table.Why(d, x.health, x.ask)
	if share := x.shares[d.ID]; first && share > 0 && share < 100 {
		why = strings.TrimSuffix(fmt.Sprintf("first for about %d %% of calls; %s", share, why), "; ")
	}
	if why != "" {
		x.printf("      why   %s\n", why)
	}
	if d.Priced {
		about, whose := "", ""
		if p := x.assembly.pricers[d.ID]; p == nil || !p.Info().Prices.Known() {
			about, whose = "about ", ", which is what the model cost last, or costs elsewhere"
		}
		x.printf("      cost  %s$%s for %d tokens in and %d out ($%s and $%s a million%s)\n", about,
			dollars(exampleInput*d.InputCost+exampleOutput*d.OutputCost), exampleInput, exampleOutput,
			dollars(d.InputCost*1e6), dollars(d.OutputCost*1e6), whose)
	} else {
		x.printf("      cost  not known\n")
	}
}

func dollars(v float64) string { return strings.TrimSuffix(fmt.Sprintf("%.4g", v), ".") }

func (x *explanation) name(d *route.Deployment) string {
	if s, ok := x.states[d.ID]; ok {
		return model(s)
	}
	return d.ID
}

// others are the attempts that only failures of a kind lead to.
func (x *explanation) others(plan *route.Plan) {
	for _, of := range [...]struct {
		kind apierror.Kind
		what string
	}{{apierror.ContextLength, "the prompt is too long"}, {apierror.ContentPolicy, "the content is refused"}} {
		var names []string
		for _, i := range plan.After(of.kind) {
			at := plan.At(i)
			names = append(names, fmt.Sprintf("%s (%s)", at.Expand(x.name(at.Deployment)), at.Group))
		}
		if names != nil {
			x.printf("\n  where %s: %s\n", of.what, strings.Join(names, ", then "))
		}
	}
}

func (x *explanation) skipped(plan *route.Plan) {
	if len(plan.Skipped) == 0 {
		return
	}
	x.printf("\nLeft out:\n")
	for _, s := range plan.Skipped {
		name := s.Group
		if s.Deployment != nil {
			name = x.name(s.Deployment) + " (" + s.Deployment.ID + ")"
		}
		x.printf("      %s: %s%s\n", name, s.Reason, until(s.Until, x.now))
	}
}

func (x *explanation) bounds(plan *route.Plan) {
	r := x.assembly.config.Router
	x.printf("\nAt most %s", plural(plan.Longest(), "attempt"))
	if r.CallTimeout > 0 {
		x.printf(" within %s", r.CallTimeout)
	}
	if plan.Longest() > 1 {
		x.printf(". Of a group's calls within a minute, %g %% may be retried, and %d beside", r.RetryBudget*100, r.RetryFloor)
	}
	x.printf(".\n")
	for _, group := range plan.Capped {
		x.printf("The retry budget of %s is spent at this moment.\n", group)
	}
}
