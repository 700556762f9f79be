package extproc

import (
	"slices"
	"strings"
	"sync"

	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/internal/money"
	"github.com/sluicegw/sluice/policy/budget"
	"github.com/sluicegw/sluice/policy/keys"
)

// Budgets are the budgets that the configuration sets. They are immutable.
type Budgets struct {
	// Global is everybody's together; its Max is below 0 if there is none.
	Global budget.Limit
	// Providers and Tags are by name.
	Providers, Tags map[string]budget.Limit
	// Status of the answer to a call that no budget has room for; 0: 422.
	Status int
	// CustomerBudget is the budget object of end users that have none of their own, unless the key names another;
	// CustomerMax is what each may spend that still has no budget; nil: any amount.
	CustomerBudget string
	CustomerMax    *money.Amount
	// UsersOfTeams: a user's own budget holds for team keys as well (apply_user_budget_to_team_keys).
	UsersOfTeams bool
}

func (b *Budgets) status() int {
	if b == nil || b.Status == 0 {
		return 422
	}
	return b.Status
}

// budgets are all budgets that the call has to keep, and its key's spend, which is counted in any case.
func (c *Call) budgets() []budget.Limit {
	k := c.key
	limits := make([]budget.Limit, 0, 6)
	b := c.snapshot.Budgets
	if b != nil && b.Global.Max >= 0 {
		limits = append(limits, b.Global)
	}
	if k.Hash != "" && k.Hash != keys.MasterHash {
		limits = append(limits, limitOf(budget.Scope{Kind: budget.Key, ID: k.Hash}, keyName(k), &k.Scope, budget.None))
	}
	add := func(kind budget.Kind, id, name string, s *keys.Scope) {
		if s.Budget.Max != nil || s.Budget.Soft != nil {
			limits = append(limits, limitOf(budget.Scope{Kind: kind, ID: id}, name, s, budget.None))
		}
	}
	team, user, member := k.Team(), k.User(), k.Member()
	if team != nil {
		add(budget.Team, team.ID, team.Alias, &team.Scope)
	}
	if member != nil {
		add(budget.Member, keys.MemberID(member.TeamID, member.UserID), member.UserID, &member.Scope)
	}
	if user != nil && (team == nil || b != nil && b.UsersOfTeams) {
		add(budget.User, user.ID, user.Alias, &user.Scope)
	}
	if customer := c.endUser(); customer != nil {
		add(budget.Customer, customer.ID, customer.Alias, &customer.Scope)
	}
	limits = c.modelBudgets(limits)
	if b != nil {
		for _, tag := range c.purse.row.Tags {
			if l, ok := b.Tags[tag]; ok {
				limits = append(limits, l)
			}
		}
		limits = c.providerBudgets(b, limits)
	}
	return limits
}

func keyName(k *keys.Key) string {
	if k.Alias != "" {
		return k.Alias
	}
	return k.Name
}

// limitOf is a scope's budget as package budget knows it.
func limitOf(id budget.Scope, name string, s *keys.Scope, none money.Amount) budget.Limit {
	l := budget.Limit{Scope: id, Max: none, Name: name, Window: windowOf(s.Budget.Duration)}
	if s.Budget.Max != nil {
		l.Max = *s.Budget.Max
	}
	if s.Budget.Soft != nil {
		l.Soft = *s.Budget.Soft
	}
	return l
}

// windows remembers how durations read: there are few.
var windows sync.Map

// windowOf reads a duration that was checked when it was set; one that cannot be read is for all time, which lets
// through no more than it should.
func windowOf(s string) budget.Window {
	if s == "" {
		return budget.Window{}
	}
	if w, ok := windows.Load(s); ok {
		return w.(budget.Window)
	}
	w, _, err := budget.ParseWindow(s)
	if err != nil {
		return budget.Window{}
	}
	windows.Store(strings.Clone(s), w)
	return w
}

// modelBudgets adds the key's budgets of the model groups that the plan goes to.
func (c *Call) modelBudgets(limits []budget.Limit) []budget.Limit {
	if len(c.key.ModelBudgets) == 0 {
		return limits
	}
	var seen []string
	for i := range c.plan.Len() {
		group := c.plan.At(i).Model
		if slices.Contains(seen, group) {
			continue
		}
		seen = append(seen, group)
		m, ok := c.key.ModelBudgets[group]
		if !ok {
			continue
		}
		limits = append(limits, budget.Limit{Scope: budget.Scope{Kind: budget.KeyModel, ID: c.key.Hash + "/" + group},
			Max: m.Max, Name: group, Window: windowOf(m.Duration)})
	}
	return limits
}

// providerBudgets adds those of the providers that the plan goes to.
func (c *Call) providerBudgets(b *Budgets, limits []budget.Limit) []budget.Limit {
	if len(b.Providers) == 0 {
		return limits
	}
	for i := range c.plan.Len() {
		l, ok := b.Providers[c.snapshot.Deployments[c.plan.At(i).Deployment.ID].Target.Provider()]
		if ok && !slices.ContainsFunc(limits, func(o budget.Limit) bool { return o.Scope == l.Scope }) {
			limits = append(limits, l)
		}
	}
	return limits
}

// allTags are those of the request, of its key and of the key's team, without repeats
// (https://docs.litellm.ai/docs/proxy/cost_tracking#custom-tags).
func (c *Call) allTags() []string { return c.tagsWith(c.request) }

func (c *Call) tagsWith(r *adapters.Request) []string {
	out := c.tags(r)
	add := func(tags []string) {
		for _, tag := range tags {
			if tag != "" && len(tag) <= longestTag && len(out) < mostTags && !slices.Contains(out, tag) {
				out = append(out, tag)
			}
		}
	}
	add(c.key.Tags)
	if team := c.key.Team(); team != nil {
		add(team.Tags)
	}
	return out
}
