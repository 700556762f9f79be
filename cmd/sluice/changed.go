package main

import (
	"bytes"
	"maps"
	"slices"

	"github.com/sluicegw/sluice/cmd/sluice/config"
)

// changed are the deployments that both configurations have and that reach something else by the second: with another
// key, at another address, of another model. How the first failed says nothing about them.
func changed(before, after *config.Config) (ids []string) {
	old := make(map[string]*config.Deployment, len(before.Deployments))
	for i := range before.Deployments {
		old[before.Deployments[i].ID] = &before.Deployments[i]
	}
	for i := range after.Deployments {
		d := &after.Deployments[i]
		if was := old[d.ID]; was != nil && !reachesTheSame(was, d) {
			ids = append(ids, d.ID)
		}
	}
	return ids
}

func reachesTheSame(a, b *config.Deployment) bool {
	return a.Model == b.Model && a.Provider == b.Provider && a.APIKey == b.APIKey && a.APIKeySet == b.APIKeySet &&
		a.APIBase == b.APIBase && slices.Equal(a.MoreBases, b.MoreBases) && a.APIVersion == b.APIVersion &&
		a.Organization == b.Organization && maps.Equal(a.ProviderParams, b.ProviderParams) &&
		maps.Equal(a.ExtraHeaders, b.ExtraHeaders) && bytes.Equal(a.ExtraBody, b.ExtraBody)
}
