package config

import (
	"encoding/json"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// StoredModel is a model that was made at run time: an entry of model_list as JSON.
type StoredModel struct {
	ID    string // model_info.id
	Entry json.RawMessage
	// Blocked keeps it out of service.
	Blocked bool
}

// WithStored is the configuration with models from elsewhere than its files, behind its own; the receiver stays as it
// is. A model with faults, or with the id of another, is left out and told; references to the environment work as in
// files.
func (c *Config) WithStored(models []StoredModel) (*Config, []Fault) {
	out := *c
	out.Deployments = slices.Clone(c.Deployments)
	ids := map[string]bool{}
	for i := range c.Deployments {
		ids[c.Deployments[i].ID] = true
	}
	var faults []Fault
	for _, m := range models {
		if ids[m.ID] {
			faults = append(faults, Fault{File: storedFile, Field: "model " + printable(m.ID), Message: "another model has this id"})
			continue
		}
		ds, bad := c.stored(m)
		if len(bad) > 0 {
			faults = append(faults, bad...)
			continue
		}
		ids[m.ID] = true
		out.Deployments = append(out.Deployments, ds...)
	}
	return &out, faults
}

// storedFile stands for the file in messages about stored models.
const storedFile = "the database"

func (c *Config) stored(m StoredModel) ([]Deployment, []Fault) {
	section := map[string]string{}
	for name, s := range c.Environment {
		section[name] = s.Reveal()
	}
	r := &reader{env: environment{process: c.env, section: section}, aliasAt: map[string]*value{}, said: map[string]bool{}}
	v, bad := parse(storedFile, m.Entry)
	if len(bad) > 0 {
		return nil, bad
	}
	r.resolveEnv(v, 0)
	ds := r.model(c, v, "model "+printable(m.ID), c.credentials)
	if len(r.faults) > 0 {
		return nil, r.faults
	}
	for i := range ds {
		ds[i].Stored = true
		if len(ds) == 1 {
			ds[i].ID = m.ID
		}
		if ds[i].Blocked = m.Blocked; m.Blocked {
			ds[i].Unusable = "it is blocked"
		}
	}
	return ds, nil
}

// sensitive are parts of names whose texts are not shown.
var sensitive = regexp.MustCompile(`(?i)key|secret|token|password|credential|auth|private|signature|header|cert|session|external_id|role_arn`)

// shownParams are litellm_params without their secrets, as LiteLLM's /model/info has them: credentials are left out,
// whatever else may be secret is masked, and what comes from the environment appears as its reference.
func shownParams(params *value) json.RawMessage {
	var all map[string]any
	if json.Unmarshal(params.appendJSON(nil, true), &all) != nil {
		return nil
	}
	maps.DeleteFunc(all, func(name string, _ any) bool {
		return slices.Contains([]string{"api_key", "client_secret", "vertex_credentials", "vertex_ai_credentials", "aws_access_key_id", "aws_secret_access_key"}, name)
	})
	b, err := json.Marshal(masked(all, ""))
	if err != nil {
		return nil
	}
	return b
}

func masked(v any, name string) any {
	switch v := v.(type) {
	case map[string]any:
		for k, item := range v {
			inner := k
			if sensitive.MatchString(name) {
				inner = name // all of extra_headers
			}
			v[k] = masked(item, inner)
		}
	case []any:
		for i := range v {
			v[i] = masked(v[i], name)
		}
	case string:
		if strings.HasPrefix(v, envPrefix) {
			return v
		}
		if sensitive.MatchString(name) && name != "litellm_credential_name" {
			return "****"
		}
		return withoutUserinfo(v)
	}
	return v
}

// withoutUserinfo takes a name and a password, and a query, off a URL.
func withoutUserinfo(s string) string {
	if !strings.Contains(s, "://") {
		return s
	}
	u, err := url.Parse(s)
	if err != nil {
		return "****"
	}
	if u.User != nil {
		u.User = url.User("****")
	}
	if u.RawQuery != "" {
		u.RawQuery = "****"
	}
	return u.String()
}

// Empty is a configuration of nothing but the environment: what LiteLLM reads there.
func Empty(env func(string) (string, bool)) *Config {
	c := &Config{env: env, Environment: map[string]Secret{}}
	if key, ok := env("LITELLM_MASTER_KEY"); ok {
		c.General.MasterKey = Secret(strings.TrimSpace(key))
	}
	return c
}
