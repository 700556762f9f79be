package route

import (
	"fmt"
	"strings"
	"time"
)

// explainer is a strategy that can say why a deployment has its place.
type explainer interface {
	why(c *Candidate, r *Round) string
}

// Why says in a phrase why its group's strategy puts a deployment where it does, for a person. health may be nil.
func (t *Table) Why(d *Deployment, health *Health, a Ask) string {
	g := t.byName[d.Group]
	if g == nil {
		return ""
	}
	c := Candidate{Deployment: d}
	if health != nil {
		if e := health.entry(d.ID); e != nil {
			c.Traffic = &e.traffic
			if state, _ := e.standing(health.now()); state == halfOpen || state == tried {
				c.probe = true
			}
		}
	}
	var parts []string
	if d.Order != nil {
		parts = append(parts, fmt.Sprintf("order %d", *d.Order))
	} else if len(g.tiers) > 1 {
		parts = append(parts, "without an order, so after those that have one")
	}
	if len(g.members) > 1 {
		if s, ok := g.strategy.(explainer); ok {
			parts = append(parts, s.why(&c, &Round{Now: health.now(), Stream: a.Stream, Session: a.Session}))
		}
	}
	if g.tagged && len(d.Tags) > 0 {
		parts = append(parts, "tags "+strings.Join(d.Tags, ", "))
	}
	if c.probe {
		parts = append(parts, "one call tries it, for its cooldown is over")
	}
	return strings.Join(parts, "; ")
}

func (simpleShuffle) why(c *Candidate, _ *Round) string {
	switch d := c.Deployment; {
	case d.Weight > 0:
		return fmt.Sprintf("drawn by weight %g", d.Weight)
	case d.RPM > 0:
		return fmt.Sprintf("drawn by rpm %g", d.RPM)
	case d.TPM > 0:
		return fmt.Sprintf("drawn by tpm %g", d.TPM)
	}
	return "drawn evenly, unless others have a weight"
}

func (leastBusy) why(c *Candidate, _ *Round) string {
	return fmt.Sprintf("calls under way: %d", c.Traffic.InFlight())
}

func (usageBased) why(c *Candidate, r *Round) string {
	requests, tokens := c.Traffic.Usage(r.Now)
	return fmt.Sprintf("used within the last minute: %s requests, %s tokens",
		ofLimit(requests, c.Deployment.RPM), ofLimit(tokens, c.Deployment.TPM))
}

func ofLimit(used, limit float64) string {
	if limit <= 0 {
		return fmt.Sprintf("%g", used)
	}
	return fmt.Sprintf("%g of %g", used, limit)
}

func (l latencyBased) why(c *Candidate, r *Round) string {
	latency := l.of(c.Traffic, r)
	if latency == 0 {
		return "not measured yet, so tried first"
	}
	what := "an output token, or a call without tokens"
	if r.Stream {
		what = "the first token, or an output token where no stream was measured"
	}
	return fmt.Sprintf("%s for %s", span(latency), what)
}

// span writes seconds with three digits and a fitting unit.
func span(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	step := time.Duration(1)
	for d/step >= 1000 {
		step *= 10
	}
	return d.Round(step).String()
}

func (costBased) why(c *Candidate, _ *Round) string {
	if !c.Deployment.Priced {
		return "its price is not known, so it comes last"
	}
	return "by its price"
}

func (p p2c) why(c *Candidate, r *Round) string {
	latency, n := c.Traffic.Peak(r.Now, r.Stream), c.Traffic.InFlight()
	if latency == 0 {
		return fmt.Sprintf("one of two that are drawn; not measured lately, %d under way", n)
	}
	return fmt.Sprintf("one of two that are drawn; %s for an output token or a call without, %d under way", span(latency), n)
}

func (a affinity) why(c *Candidate, r *Round) string {
	if r.Session != nil && r.Session(a.by) != 0 {
		return "its place for this session"
	}
	if s, ok := a.otherwise.(explainer); ok {
		return s.why(c, r) + " (calls of a session have their own place)"
	}
	return ""
}
