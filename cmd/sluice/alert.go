package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/sluicegw/sluice/policy/budget"
	"github.com/sluicegw/sluice/policy/observe"
)

// alertEvents are LiteLLM's names of a budget's marks.
var alertEvents = map[budget.Mark]struct{ event, message string }{
	budget.SoftReached: {"soft_budget_crossed", "Soft Budget Crossed"},
	budget.NearlySpent: {"threshold_crossed", "80% Threshold Crossed"},
	budget.AllSpent:    {"budget_crossed", "Budget Crossed"},
}

// budgetAlert is a budget's event in the shape of LiteLLM's webhook.
func budgetAlert(e budget.Event) observe.Alert {
	scope := e.Limit.Scope
	words := alertEvents[e.Mark]
	a := observe.Alert{Spend: e.Spent.Dollars(), Event: words.event, Group: scope.Kind.String()}
	if e.Limit.Max >= 0 {
		a.MaxBudget = ptr(e.Limit.Max.Dollars())
	}
	if e.Limit.Soft > 0 {
		a.SoftBudget = ptr(e.Limit.Soft.Dollars())
	}
	if !e.Reset.IsZero() {
		a.ResetAt = ptr(e.Reset.UTC().Format(time.RFC3339))
	}
	hash, _, _ := strings.Cut(scope.ID, "/")
	who := e.Limit.Name
	switch scope.Kind {
	case budget.Global:
		a.Group, who = "proxy", "Proxy"
	case budget.Key:
		a.Token, a.KeyAlias = ptr(scope.ID), ptr(e.Limit.Name)
	case budget.KeyModel:
		a.Token = ptr(hash)
	case budget.Team:
		a.TeamID, a.TeamAlias = ptr(scope.ID), ptr(e.Limit.Name)
	case budget.Member:
		team, user, _ := strings.Cut(scope.ID, "\x1f")
		a.TeamID, a.UserID = ptr(team), ptr(user)
	case budget.User:
		a.Group, a.UserID = "internal_user", ptr(scope.ID)
	case budget.Customer:
		a.CustomerID = ptr(scope.ID)
	}
	if who == "" {
		who = scope.ID
	}
	a.Message = fmt.Sprintf("%s: %s. Spend: %s, Max Budget: %s", who, words.message, e.Spent, e.Limit.Max)
	if e.Limit.Max < 0 {
		a.Message = fmt.Sprintf("%s: %s. Spend: %s, Soft Budget: %s", who, words.message, e.Spent, e.Limit.Soft)
	}
	return a
}

func ptr[T any](v T) *T { return &v }
