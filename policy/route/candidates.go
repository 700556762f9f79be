package route

import (
	"slices"
	"time"
)

// collect fills pick with the members of a group that may be used, tier by tier.
func (p *planner) collect(g *group) {
	p.pick = p.pick[:0]
	for i, tier := range g.tiers {
		for _, d := range tier {
			p.candidate(d, i)
		}
	}
	if g.tagged {
		p.byTags(g)
	}
}

// candidate asks health, then the caller.
func (p *planner) candidate(d *Deployment, tier int) {
	c := Candidate{Deployment: d, tier: tier}
	if p.health != nil {
		if e := p.health.entry(d.ID); e != nil {
			c.Traffic = &e.traffic
			switch state, until := e.standing(p.now); state {
			case resting, tried:
				p.wait(until)
				p.skip(Skip{Deployment: d, Group: d.Group, Reason: e.reason(state), Until: p.health.at(until)})
				p.reasons.other = true
				return
			case halfOpen:
				c.probe = true
			}
		}
	}
	if err := p.can(d); err != nil && !p.refused(d, err) {
		return
	}
	p.pick = append(p.pick, c)
}

// can asks the caller, about the request as one of its own fallbacks makes it where that is what is planned.
func (p *planner) can(d *Deployment) error {
	switch {
	case p.own > 0 && p.ask.CanOwn != nil:
		return p.ask.CanOwn(d, p.own)
	case p.ask.Can != nil:
		return p.ask.Can(d)
	}
	return nil
}

// wait notes when a deployment returns.
func (p *planner) wait(until time.Duration) {
	if at := p.health.at(until); p.earliest.IsZero() || at.Before(p.earliest) {
		p.earliest = at
	}
}

// order takes the first tier off cs, puts it in order, and gives back the others.
func (p *planner) order(g *group, cs []Candidate) (tier, rest []Candidate) {
	n := 1
	for n < len(cs) && cs[n].tier == cs[0].tier {
		n++
	}
	tier, rest = cs[:n], cs[n:]
	p.round = Round{Now: p.now, Stream: p.ask.Stream, Rand: p.rnd, Session: p.ask.Session}
	for len(tier) > 0 {
		g.strategy.Order(tier, 1+g.mostRetries(p), &p.round)
		if !tier[0].probe || len(p.plan.Attempts) > 0 || p.ask.Look || p.health.claim(tier[0].Deployment.ID, p.now) {
			break
		}
		// Another call tries it at this moment.
		p.wait(p.now + time.Second)
		d := tier[0].Deployment
		p.skip(Skip{Deployment: d, Group: d.Group, Reason: "being tried after a cooldown", Until: p.health.at(p.now + time.Second)})
		tier = tier[1:]
	}
	return tier, rest
}

// mostRetries bounds how many places of an order a plan may need.
func (g *group) mostRetries(p *planner) int {
	n := g.retries
	if p.ask.NumRetries != nil {
		n = *p.ask.NumRetries
	}
	return min(max(n, 0), maxAttempts-1)
}

// byTags leaves those candidates that LiteLLM's tag routing would
// (https://docs.litellm.ai/docs/proxy/tag_routing):
//   - a tag "!x" takes out deployments with x, "&x" those without it;
//   - of the others, a request's plain tags choose deployments that have any of them (all of them without
//     tag_filtering_match_any); with tags that the group does not know at all, its default deployments;
//   - requests without tags, or with none but "!x", get untagged and default deployments; all, if there are neither.
func (p *planner) byTags(g *group) {
	before := len(p.pick)
	plain, required := 0, 0
	forAll := slices.ContainsFunc(p.pick, func(c Candidate) bool { return untagged(c.Deployment) })
	for _, tag := range p.ask.Tags {
		switch {
		case len(tag) > 1 && tag[0] == '!':
			p.keep(func(d *Deployment) bool { return !slices.Contains(d.Tags, tag[1:]) })
		case len(tag) > 1 && tag[0] == '&':
			required++
			p.keep(func(d *Deployment) bool { return slices.Contains(d.Tags, tag[1:]) })
		default:
			plain++
		}
	}
	switch {
	case plain > 0 && g.knowsTag(p.ask.Tags):
		p.keep(p.matches)
	case plain > 0:
		p.keep(isDefault)
	case required == 0 && forAll:
		p.keep(untagged)
	}
	if before > 0 && len(p.pick) == 0 && p.refusal == nil {
		p.refusal = noTag(p.ask.Group, p.ask.Tags)
	}
}

// keep drops the candidates that ok does not like.
func (p *planner) keep(ok func(*Deployment) bool) {
	p.pick = slices.DeleteFunc(p.pick, func(c Candidate) bool {
		if ok(c.Deployment) {
			return false
		}
		p.skip(Skip{Deployment: c.Deployment, Group: c.Deployment.Group, Reason: "its tags are not the request's"})
		return true
	})
}

func (p *planner) matches(d *Deployment) bool {
	matchAny := p.table.settings.TagMatchAny
	for _, tag := range p.ask.Tags {
		if tag == "" || tag[0] == '!' || tag[0] == '&' {
			continue
		}
		if slices.Contains(d.Tags, tag) == matchAny {
			return matchAny
		}
	}
	return !matchAny
}

const defaultTag = "default"

func isDefault(d *Deployment) bool { return slices.Contains(d.Tags, defaultTag) }
func untagged(d *Deployment) bool  { return len(d.Tags) == 0 || isDefault(d) }

// knowsTag tells whether any deployment of the group, in service or not, has one of the tags.
func (g *group) knowsTag(tags []string) bool {
	for _, d := range g.members {
		for _, tag := range d.Tags {
			if slices.Contains(tags, tag) {
				return true
			}
		}
	}
	return false
}
