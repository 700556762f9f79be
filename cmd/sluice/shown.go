package main

import (
	"github.com/sluicegw/sluice/cmd/sluice/demo"
	"github.com/sluicegw/sluice/policy/admin"
	"github.com/sluicegw/sluice/policy/observe"
)

// shown is the assembly as the HTTP API tells of it.
func (a *assembly) shown() *admin.Snapshot {
	out := &admin.Snapshot{Keys: a.snapshot.Keys, MetricsNeedKey: a.config.Settings.MetricsNeedKey, IsMaster: a.snapshot.Keys.IsMaster,
		UserBudget: a.config.Budgets.UserMax, UserBudgetDuration: a.config.Budgets.UserDuration}
	_, out.Aliases = a.snapshot.Table.Aliases()
	out.Resolve = a.snapshot.Table.Resolve
	for _, d := range a.deployments {
		s := admin.Deployment{
			ID: d.config.ID, Group: d.config.Group, Model: d.config.Model,
			Hidden: d.config.Hidden, Unusable: d.out,
			Stored: d.config.Stored, Params: d.config.Shown, Info: d.config.Info.Raw,
			RPM: d.config.RPM, TPM: d.config.TPM, Blocked: d.config.Blocked,
		}
		if p := a.pricers[d.config.ID]; p != nil {
			s.Known = p.Info().Fields()
		}
		if d.target != nil {
			s.Provider = d.target.Provider()
			s.APIBase = apiBase(d.target.Origin())
		}
		if s.Provider == "demo" {
			s.OwnedBy = demo.OwnedBy
		}
		out.Deployments = append(out.Deployments, s)
	}
	return out
}

// metricsNames are the values that metrics may have as labels.
func (a *assembly) metricsNames() (models []string, deployments []observe.Deployment) {
	models = a.config.Groups()
	aliases, _ := a.snapshot.Table.Aliases()
	models = append(models, aliases...)
	for _, d := range a.deployments {
		if d.target == nil {
			continue
		}
		deployments = append(deployments, observe.Deployment{
			ID: d.config.ID, Group: d.config.Group, Provider: d.target.Provider(), Model: d.target.Model(),
			APIBase: apiBase(d.target.Origin()), Out: d.out != "",
		})
	}
	return models, deployments
}
