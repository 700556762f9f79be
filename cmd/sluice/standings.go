package main

import (
	"slices"
	"strings"
	"time"

	"github.com/sluicegw/sluice/policy/admin"
)

// standings is what the HTTP API tells of the deployments' health: how each stands, by model group, and the newest
// events.
func (g *gateway) standings() ([]admin.Standing, []admin.HealthEvent) {
	all := []admin.Standing{}
	a := g.current.Load()
	if a == nil {
		return all, []admin.HealthEvent{}
	}
	for _, d := range a.deployments {
		s := g.health.State(d.config.ID)
		one := admin.Standing{ID: d.config.ID, Model: d.config.Group, State: "up", Streak: s.Streak, InFlight: s.InFlight}
		switch {
		case d.out != "":
			one.State, one.Why = "out", d.out
		case s.Cooling:
			one.State, one.Why, one.Until = "out", s.Why, when(s.Until)
		case s.HalfOpen:
			one.State, one.Why = "trial", s.Why
		}
		all = append(all, one)
	}
	slices.SortStableFunc(all, func(a, b admin.Standing) int { return strings.Compare(a.Model, b.Model) })
	events := []admin.HealthEvent{}
	for _, e := range g.health.Events() {
		events = append(events, admin.HealthEvent{At: e.At, Kind: string(e.Kind), Deployment: e.DeploymentID, Model: e.Group,
			Until: when(e.Until), Why: e.Why, Status: e.Status, Streak: e.Streak})
	}
	return all, events
}

func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
