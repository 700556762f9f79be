package keys

import (
	"slices"
	"strings"

	"github.com/sluicegw/sluice/internal/apierror"
)

// LiteLLM's special names of models (SpecialModelNames).
const (
	allProxyModels  = "all-proxy-models"
	allTeamModels   = "all-team-models"
	noDefaultModels = "no-default-models"
)

// Allows reports whether a key may use a model, by the name it was asked for or by its group. The key's own list
// counts, its team's, its member's, and, for a key without a team, its user's.
func (r *Keyring) Allows(k *Key, model string) bool { return r.denied(k, model) == "" }

// AccessError is the answer to a model that Allows refuses.
func (r *Keyring) AccessError(k *Key, model string) *apierror.Error {
	typ := r.denied(k, model)
	if typ == "" {
		return nil
	}
	return &apierror.Error{
		Kind: apierror.Forbidden, Status: 403, Type: typ, Param: "model",
		Message: "The requested model '" + printable(cut(model)) + "' is not available for this API key, or the model name is invalid. " +
			"Check the models available to you and try again.",
	}
}

// denied is the type of the error that LiteLLM gives; empty: the model is allowed.
func (r *Keyring) denied(k *Key, model string) string {
	if k.Hash == MasterHash {
		return ""
	}
	team := k.Team()
	if team != nil && team.Aliases[model] != "" { // made for the team, whatever it stands for
		return ""
	}
	// A key with its team's models has no list of its own.
	if !slices.Contains(k.Models, allTeamModels) && !r.covers(k.Models, model) {
		return "key_model_access_denied"
	}
	if team != nil {
		if !r.covers(team.Models, model) && !slices.Contains(team.Models, allTeamModels) {
			return "team_model_access_denied"
		}
		if m := k.Member(); m != nil && !r.covers(m.Models, model) {
			return "team_model_access_denied"
		}
		return ""
	}
	if u := k.User(); u != nil && u.Role != Admin && len(u.Models) > 0 {
		if slices.Contains(u.Models, noDefaultModels) {
			return "key_model_access_denied"
		}
		if !r.covers(u.Models, model) {
			return "user_model_access_denied"
		}
	}
	return ""
}

// covers reports whether a list has a model: by name, by pattern, by an access group, or because the list is empty.
func (r *Keyring) covers(models []string, model string) bool {
	if len(models) == 0 {
		return true
	}
	qualified := ""
	for _, m := range models {
		if m == model || m == allProxyModels || m == "*" {
			return true
		}
		if strings.Contains(m, "*") {
			if matches(m, model) {
				return true
			}
			if qualified == "" && r.o.InferProvider != nil && !strings.Contains(model, "/") {
				qualified = r.o.InferProvider(model) + "/" + model
			}
			if qualified != "" && qualified[0] != '/' && matches(m, qualified) {
				return true
			}
		}
		for _, group := range r.o.AccessGroups[m] {
			if group == model || strings.Contains(group, "*") && matches(group, model) {
				return true
			}
		}
	}
	return false
}

// cut shortens a client's text for an error.
func cut(s string) string {
	const most = 200
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// matches is for patterns with stars: each stands for any text.
func matches(pattern, model string) bool {
	prefix, rest, ok := strings.Cut(pattern, "*")
	if !ok || !strings.HasPrefix(model, prefix) {
		return false
	}
	model = model[len(prefix):]
	for {
		part, more, star := strings.Cut(rest, "*")
		if !star { // the last part has to end the name
			return strings.HasSuffix(model, part)
		}
		i := strings.Index(model, part)
		if i < 0 {
			return false
		}
		model, rest = model[i+len(part):], more
	}
}
