package extproc

import (
	"cmp"
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/sluicegw/sluice/extproc/wire"
	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/policy/keys"
	"github.com/sluicegw/sluice/policy/ratelimit"
	"github.com/sluicegw/sluice/policy/route"
)

// Rates are the limits that the configuration sets for everybody; 0: none. They are immutable.
type Rates struct {
	Parallel    int64 // calls of all keys together (global_max_parallel_requests)
	KeyParallel int64 // calls of a key that has no limit of its own (max_parallel_requests)
}

// rates are the limits of a call's caller.
type rates struct {
	limits    []ratelimit.Limit
	standings []ratelimit.Standing
	held      *ratelimit.Reservation
	refused   *ratelimit.Decision
}

// usualLimits are three of a key, its team and its user, and one of everybody.
const usualLimits = 10

// callerLimits are all limits that hold for whoever makes the call, by the model group that was asked for.
func (c *Call) callerLimits(group string) []ratelimit.Limit {
	k := c.key
	var limits []ratelimit.Limit
	add := func(kind ratelimit.Kind, id, model string, unit ratelimit.Unit, most *int64) {
		if most != nil {
			if limits == nil { // most callers have none
				limits = make([]ratelimit.Limit, 0, usualLimits)
			}
			limits = append(limits, ratelimit.Limit{Scope: ratelimit.Scope{Kind: kind, ID: id, Model: model}, Unit: unit, Max: *most})
		}
	}
	scope := func(kind ratelimit.Kind, id string, l *keys.Limits) {
		add(kind, id, "", ratelimit.Requests, l.RPM)
		add(kind, id, "", ratelimit.Tokens, l.TPM)
		add(kind, id, "", ratelimit.Parallel, l.Parallel)
		add(kind, id, group, ratelimit.Requests, ofModel(l.ModelRPM, group))
		add(kind, id, group, ratelimit.Tokens, ofModel(l.ModelTPM, group))
	}
	if most := c.snapshot.Rates.Parallel; most > 0 {
		add(ratelimit.Global, "", "", ratelimit.Parallel, &most)
	}
	if k.Hash != "" && k.Hash != keys.MasterHash {
		own := k.Limits
		if most := c.snapshot.Rates.KeyParallel; own.Parallel == nil && most > 0 {
			own.Parallel = &most
		}
		scope(ratelimit.Key, k.Hash, &own)
	}
	if t := k.Team(); t != nil {
		scope(ratelimit.Team, t.ID, &t.Limits)
	}
	if m := k.Member(); m != nil {
		scope(ratelimit.Member, m.TeamID+"/"+m.UserID, &m.Limits)
	}
	if u := k.User(); u != nil {
		scope(ratelimit.User, u.ID, &u.Limits)
	}
	if e := c.endUser(); e != nil {
		scope(ratelimit.Customer, e.ID, &e.Limits)
	}
	return limits
}

// endUser is the end user that the call is made for, if it is registered or a budget holds for everybody; else nil
// (https://docs.litellm.ai/docs/proxy/customers).
func (c *Call) endUser() *keys.Customer {
	if c.server.Customer == nil {
		return nil
	}
	id := c.customer()
	if id == "" {
		return nil
	}
	b := c.snapshot.Budgets
	if b == nil {
		return c.server.Customer(id, c.key.CustomerBudget)
	}
	e := c.server.Customer(id, cmp.Or(c.key.CustomerBudget, b.CustomerBudget))
	if b.CustomerMax == nil || e != nil && e.Budget.Max != nil {
		return e
	}
	bounded := keys.Customer{ID: id}
	if e != nil {
		bounded = *e
	}
	bounded.Budget.Max = b.CustomerMax
	return &bounded
}

func ofModel(limits map[string]int64, group string) *int64 {
	if n, ok := limits[group]; ok {
		return &n
	}
	return nil
}

// tokensLimited tells whether some limit counts tokens, so that the call's have to be estimated.
func tokensLimited(limits []ratelimit.Limit) bool {
	for i := range limits {
		if limits[i].Unit == ratelimit.Tokens {
			return true
		}
	}
	return false
}

// reserve takes a place for the caller and for the plan's first attempt, at once. again: only the deployment is
// full, which it was not when it was planned.
func (c *Call) reserve(plan *route.Plan) (again bool, refusal *apierror.Error) {
	if c.pretends { // or a client would get past its limits of one model by way of another
		c.rates.limits = c.callerLimits(plan.At(0).Model)
		if c.estimate == 0 && tokensLimited(c.rates.limits) {
			c.estimate = estimateTokens(c.request)
		}
	}
	own := len(c.rates.limits)
	limits := append(c.rates.limits[:own:own], c.limitsOf(plan.At(0).Deployment.ID)...)
	if len(limits) == 0 {
		return false, nil
	}
	standings := make([]ratelimit.Standing, len(limits))
	held, d, err := c.server.Limiter.Reserve(context.Background(), ratelimit.Request{Limits: limits, Tokens: c.estimate, Standings: standings})
	c.rates.standings = standings[:own]
	switch {
	case err != nil:
		c.server.Log.Warn("a call's limits could not be asked about", "call", c.clientID, "error", err)
		e := apierror.New(apierror.Overloaded, 503, "the limits of this call cannot be checked at the moment; try again")
		e.RetryAfter = time.Second
		return false, e
	case d.Allowed:
		c.rates.held, c.leg.held = held.Split(own)
		return false, nil
	case d.Scope.Kind == ratelimit.Deployment:
		return true, nil
	}
	c.rates.refused = &d
	return false, c.overLimit(&d)
}

// overLimit is LiteLLM's answer to a call above a limit, with the true time to wait.
func (c *Call) overLimit(d *ratelimit.Decision) *apierror.Error {
	id := d.Scope.ID
	switch {
	case d.Scope.Kind == ratelimit.Key:
		id = c.key.Name
		if c.key.Alias != "" {
			id = c.key.Alias
		}
	case id == "":
		id = "all"
	}
	if d.Scope.Model != "" {
		id += ":" + d.Scope.Model
	}
	e := apierror.New(apierror.RateLimit, 429,
		"Rate limit exceeded for %s: %.200s. Limit type: %s. Current limit: %d, Remaining: %d. Limit resets at: %s",
		descriptor(d.Scope), id, d.Unit, d.Limit, d.Remaining, d.ResetAt.UTC().Format(resetFormat))
	e.RetryAfter = d.RetryAfter
	return e
}

const resetFormat = "2006-01-02 15:04:05 UTC"

// descriptor is LiteLLM's name for what a limit holds for.
func descriptor(s ratelimit.Scope) string {
	name := s.Kind.String()
	switch s.Kind {
	case ratelimit.Key:
		name = "api_key"
		if s.Model != "" {
			name = "key"
		}
	case ratelimit.Member:
		name = "team_member"
	case ratelimit.Customer:
		name = "end_user"
	}
	if s.Model != "" {
		return "model_per_" + name
	}
	return name
}

// endRates gives back what the caller held. tokens is what the whole call used; sent: it reached somebody.
func (c *Call) endRates(sent bool, tokens int64) {
	held := c.rates.held
	c.rates.held = nil
	if held == nil {
		return
	}
	if sent {
		_ = c.server.Limiter.Settle(context.Background(), held, tokens)
	} else {
		_ = c.server.Limiter.Cancel(context.Background(), held)
	}
}

// rateHeaders tell how the caller's limits stand
// (https://docs.litellm.ai/docs/proxy/response_headers): those of the key under the plain names, all of them under
// their scope's.
func (c *Call) rateHeaders(r *wire.Reply) {
	if d := c.rates.refused; d != nil {
		r.SetHeader("rate_limit_type", d.Unit.String())
		r.SetHeader("reset_at", d.ResetAt.UTC().Format(resetFormat))
	}
	for i := range c.rates.standings {
		l := &c.rates.limits[i]
		unit, left, most := l.Unit.String(), strconv.FormatInt(c.rates.standings[i].Remaining, 10), strconv.FormatInt(l.Max, 10)
		name := descriptor(l.Scope)
		r.SetHeader("x-ratelimit-"+name+"-remaining-"+unit, left)
		r.SetHeader("x-ratelimit-"+name+"-limit-"+unit, most)
		if l.Scope.Kind != ratelimit.Key || l.Unit == ratelimit.Parallel {
			continue
		}
		if l.Scope.Model != "" {
			r.SetHeader("x-litellm-key-remaining-"+unit+"-"+headerSafe(l.Scope.Model), left)
			continue
		}
		r.SetHeader("x-ratelimit-remaining-"+unit, left)
		r.SetHeader("x-ratelimit-limit-"+unit, most)
		if l.Unit == ratelimit.Tokens {
			r.SetHeader("x-litellm-key-tpm-limit", most)
		} else {
			r.SetHeader("x-litellm-key-rpm-limit", most)
		}
	}
}

// headerSafe makes a model's name part of a header's, as LiteLLM does; what else cannot stand there becomes a
// dash, too.
func headerSafe(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, name)
}
