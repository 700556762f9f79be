package admin

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/policy/keys"
)

// modelCreated is what LiteLLM says of every model (DEFAULT_MODEL_CREATED_AT_TIME): no provider tells.
const modelCreated = 1677610602

// model is OpenAI's model object (https://platform.openai.com/docs/api-reference/models/object).
type model struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

// list is what a key may use, in the order of the configuration and then the aliases: groups that are not
// hidden and have a deployment that takes calls. A wildcard is listed as its pattern, and by the names of its models
// that the key, or its team, is allowed one by one.
func (s *Snapshot) list(key *keys.Key) []model {
	all := []model{}
	listed := make(map[string]model)
	for i := range s.Deployments {
		d := &s.Deployments[i]
		if _, ok := listed[d.Group]; ok || d.Hidden || d.Unusable != "" {
			continue
		}
		m := model{ID: d.Group, Object: "model", Created: modelCreated, OwnedBy: cmp.Or(d.OwnedBy, "openai")}
		listed[d.Group] = m
		if s.Keys.Allows(key, d.Group) {
			all = append(all, m)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Aliases)) {
		m, ok := listed[s.Aliases[name]]
		if _, shadows := listed[name]; !ok || shadows || !(s.Keys.Allows(key, name) || s.Keys.Allows(key, m.ID)) {
			continue
		}
		m.ID = name
		all = append(all, m)
	}
	return s.single(key, listed, all)
}

// single appends the models of wildcards that the key's own list, or its team's, names.
func (s *Snapshot) single(key *keys.Key, listed map[string]model, all []model) []model {
	if s.Resolve == nil {
		return all
	}
	names := key.Models
	if team := key.Team(); team != nil {
		names = append(slices.Clone(names), team.Models...)
	}
	for _, name := range names {
		if _, ok := listed[name]; ok || strings.Contains(name, "*") || slices.ContainsFunc(all, func(m model) bool { return m.ID == name }) {
			continue
		}
		group, ok := s.Resolve(name)
		if m, shown := listed[group]; ok && shown && strings.Contains(group, "*") && s.Keys.Allows(key, name) {
			m.ID = name
			all = append(all, m)
		}
	}
	return all
}

func (s *Server) models(w http.ResponseWriter, r *http.Request) *apierror.Error {
	snap, key, err := s.authenticate(r)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, struct {
		Data   []model `json:"data"`
		Object string  `json:"object"`
	}{snap.list(key), "list"})
}

func (s *Server) model(w http.ResponseWriter, r *http.Request) *apierror.Error {
	snap, key, err := s.authenticate(r)
	if err != nil {
		return err
	}
	name := r.PathValue("model")
	for _, m := range snap.list(key) {
		if m.ID == name {
			return answer(w, http.StatusOK, m)
		}
	}
	e := apierror.New(apierror.NotFound, http.StatusNotFound,
		"The model `%s` does not exist or is not accessible", printable(name))
	e.Param = "model"
	return e
}
