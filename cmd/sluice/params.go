package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/cmd/sluice/config"
)

func apiBase(e adapters.Endpoint) string {
	if e.Socket != "" {
		return "unix://" + e.Socket
	}
	standard := map[string]int{"http": 80, "https": 443}[e.Scheme]
	if e.Port == standard {
		return e.Scheme + "://" + e.Host
	}
	return fmt.Sprintf("%s://%s:%d", e.Scheme, e.Host, e.Port)
}

// target makes a deployment's adapter. The error is a fault of the configuration, or [adapters.ErrNotBuilt].
func (a *assembly) target(d *config.Deployment, s surroundings) (*adapters.Target, error) {
	t, err := adapters.New(a.params(d, s))
	if err != nil && !errors.Is(err, adapters.ErrNotBuilt) {
		return nil, config.Fault{File: d.File, Line: d.Line, Field: "litellm_params", Message: err.Error()}
	}
	return t, err
}

func (a *assembly) params(d *config.Deployment, s surroundings) adapters.Params {
	c := a.config
	model := fullModel(d)
	p := adapters.Params{
		Model:                model,
		APIKey:               d.APIKey.Reveal(),
		APIBase:              d.APIBase,
		APIVersion:           d.APIVersion,
		Organization:         d.Organization,
		ExtraHeaders:         map[string]string{},
		Defaults:             d.Defaults,
		ExtraBody:            d.ExtraBody,
		DropParams:           d.DropParams,
		AdditionalDropParams: d.AdditionalDropParams,
		BaseModel:            d.Info.BaseModel,
		Settings:             map[string]string{},
		Fanout:               s.fanout,
		Fetcher:              a.fetcher,
		Prices:               a.pricers[d.ID],
	}
	if c.Settings.AzureIdentity {
		p.Settings["azure_managed_identity"] = "true"
	}
	for name, value := range d.ProviderParams {
		p.Settings[name] = value.Reveal()
	}
	for name, value := range d.ExtraHeaders {
		p.ExtraHeaders[name] = value.Reveal()
	}
	provider := adapters.ProviderOf(model)
	adapters.FromEnvironment(provider, p.Settings, c.LookupEnv)
	if provider == "demo" && p.APIBase == "" {
		p.APIBase = "unix://" + s.demoSocket
	}
	for name, variables := range adapters.EnvSettings(provider) {
		setting(c, &p, name, variables)
	}
	if p.APIBase == "" {
		p.APIBase = environmentBase(c, provider)
	}
	if !d.APIKeySet {
		for _, name := range adapters.EnvKeys(provider) {
			if p.APIKey, _ = c.LookupEnv(name); p.APIKey != "" {
				break
			}
		}
	}
	return p
}

// setting takes a provider's setting from the environment, where the deployment has none.
func setting(c *config.Config, p *adapters.Params, name string, variables []string) {
	field := p.Settings[name]
	switch name {
	case "api_base":
		field = p.APIBase
	case "api_version":
		field = p.APIVersion
	}
	if field != "" {
		return
	}
	for _, v := range variables {
		value, _ := c.LookupEnv(v)
		switch {
		case value == "":
			continue
		case name == "api_base":
			p.APIBase = value
		case name == "api_version":
			p.APIVersion = value
		default:
			p.Settings[name] = value
		}
		return
	}
}

// environmentBase is the address of a provider that the environment names, as LiteLLM and the providers'
// own SDKs have it: OPENAI_BASE_URL, GROQ_API_BASE …
func environmentBase(c *config.Config, provider string) string {
	prefix, ok := strings.CutSuffix(adapters.EnvKey(provider), "_API_KEY")
	if !ok {
		return ""
	}
	names := []string{prefix + "_API_BASE"}
	if provider == "openai" || provider == "anthropic" {
		names = []string{prefix + "_BASE_URL", prefix + "_API_BASE"}
	}
	for _, name := range names {
		if base, set := c.LookupEnv(name); set && base != "" {
			return base
		}
	}
	return ""
}
