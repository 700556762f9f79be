package litellmdb

import (
	"encoding/json"
	"fmt"
	"maps"

	"github.com/sluicegw/sluice/internal/seal"
)

// models opens the stored models, each with the credential that it names.
func (r *reader) models(opener *seal.Sealer) error {
	rows, err := r.rows("LiteLLM_ProxyModelTable")
	if err != nil || len(rows) == 0 {
		return err
	}
	if opener == nil {
		r.note("not taken over: %d models, as was asked", len(rows))
		return nil
	}
	credentials, err := r.credentials(opener)
	if err != nil {
		return err
	}
	for _, d := range rows {
		m := Model{ID: text(d, "model_id"), Name: text(d, "model_name"), Params: asObject(d["litellm_params"]), Info: asObject(d["model_info"])}
		m.Blocked, _ = d["blocked"].(bool)
		if m.Params, err = open(opener, m.Params); err != nil {
			return fmt.Errorf("the model %s (%s) cannot be read: %w", m.Name, m.ID, err)
		}
		if name, ok := m.Params["litellm_credential_name"].(string); ok && credentials[name] != nil {
			delete(m.Params, "litellm_credential_name")
			all := maps.Clone(credentials[name])
			maps.Copy(all, m.Params)
			m.Params = all
		}
		if team, _ := m.Info["team_id"].(string); team != "" {
			r.note("not taken over: the model %s (%s), which is the team %s's alone", m.Name, m.ID, team)
			continue
		}
		r.out.Models = append(r.out.Models, m)
	}
	return nil
}

// credentials are the named sets of parameters that models share.
func (r *reader) credentials(opener *seal.Sealer) (map[string]map[string]any, error) {
	out := map[string]map[string]any{}
	return out, r.each("LiteLLM_CredentialsTable", func(d row) error {
		name := text(d, "credential_name")
		values, err := open(opener, asObject(d["credential_values"]))
		if err != nil {
			return fmt.Errorf("the credential %s cannot be read: %w", name, err)
		}
		out[name] = values
		return nil
	})
}

// asObject reads a Json column, which may have been written as a text.
func asObject(v any) map[string]any {
	switch v := v.(type) {
	case map[string]any:
		return v
	case string:
		var o map[string]any
		if json.Unmarshal([]byte(v), &o) == nil {
			return o
		}
	}
	return map[string]any{}
}

// open opens the values that LiteLLM has sealed: all texts. One that is none of its making stays as it is, but for
// those that look sealed: with them the key is a wrong one.
func open(opener *seal.Sealer, params map[string]any) (map[string]any, error) {
	out := make(map[string]any, len(params))
	for name, v := range params {
		s, ok := v.(string)
		if !ok {
			out[name] = v
			continue
		}
		opened, err := opener.OpenLiteLLM(s)
		switch {
		case err == nil:
			out[name] = opened
		case seal.LooksLiteLLM(s):
			return nil, fmt.Errorf("%s: %w; give the LITELLM_SALT_KEY that LiteLLM has, or, if it has none, its master key in LITELLM_MASTER_KEY", name, err)
		default:
			out[name] = s
		}
	}
	return out, nil
}
