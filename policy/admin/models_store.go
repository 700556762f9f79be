package admin

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"

	"github.com/sluicegw/sluice/policy/keys"
)

// ModelStore is what models at run time need beside the store: whoever assembles the gateway has it.
type ModelStore struct {
	// Fixed tells that the configuration forbids them.
	Fixed func() bool
	// Check says what is wrong with an entry of model_list, as JSON, in words for the client; nil: it can be used.
	Check func(id string, entry []byte) error
	// Seal and Open keep litellm_params unreadable at rest.
	Seal func(id string, params []byte) (string, error)
	Open func(id, sealed string) ([]byte, error)
	// Wait returns once the gateway uses what is stored, or gives up after a while.
	Wait func(context.Context)
}

// modelRoutes are those of models. Only proxy admins change them; everybody sees what their key may use.
var modelRoutes = []route{
	{http.MethodPost, "/model/new", "/model/new", everybody, asAuth, newModel},
	{http.MethodPost, "/model/update", "/model/update", everybody, asAuth, updateModel},
	{http.MethodPatch, "/model/{id}/update", "/model/update", everybody, detailed, patchModel},
	{http.MethodPost, "/model/delete", "/model/delete", everybody, asAuth, deleteModel},
	{http.MethodGet, "/model/info", "", everybody, detailed, modelInfo},
	{http.MethodGet, "/v1/model/info", "", everybody, detailed, modelInfo},
	{http.MethodGet, "/v2/model/info", "", everybody, detailed, modelInfoV2},
	{http.MethodGet, "/model_group/info", "", everybody, detailed, modelGroupInfo},
}

// models is what there is to change models with, for those who may.
func (c *call) models() (*ModelStore, error) {
	if !c.admin() {
		return nil, refuse(403, "User does not have permission to make this model call. Your role=%s, You can only make model calls if you are a PROXY_ADMIN "+
			"or if you are a team admin, by specifying a team_id in the model_info.", c.key.RoleInEffect())
	}
	m := c.s.o.Storage.Models
	if m == nil || m.Fixed() {
		return nil, refuse(500, "Set `'STORE_MODEL_IN_DB='True'` in your env to enable this feature.")
	}
	return m, nil
}

// newModel is POST /model/new.
func newModel(c *call) (any, error) {
	m, err := c.models()
	if err != nil {
		return nil, err
	}
	info := maps.Clone(object(c.body, "model_info"))
	id := text(info, "id")
	if id == "" {
		id = newID()
	}
	if text(info, "team_id") != "" {
		return nil, refuse(400, "Models of one team are not built: make the model for all, and name it in the team's models.")
	}
	d := document{"model_id": id, "model_name": c.body["model_name"], "blocked": truth(c.body, "blocked")}
	if _, exists := c.find(keys.KindModel, id); exists {
		return nil, refuse(400, "Model with id=%s exists already; use /model/update.", printable(id))
	}
	return c.storeModel(m, id, d, object(c.body, "litellm_params"), info)
}

// storeModel checks a model, stores it, and returns when the gateway uses it.
func (c *call) storeModel(m *ModelStore, id string, d, params, info document) (any, error) {
	info["id"] = id
	delete(info, "db_model")
	d["model_info"] = info
	rawParams, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	entry, err := json.Marshal(document{"model_name": d["model_name"], "litellm_params": json.RawMessage(rawParams), "model_info": info})
	if err != nil {
		return nil, err
	}
	if err := m.Check(id, entry); err != nil {
		return nil, refuse(400, "The model cannot be used: %s", err)
	}
	sealed, err := m.Seal(id, rawParams)
	if err != nil {
		return nil, refuse(500, "%s", err)
	}
	d["sealed_params"] = sealed
	c.touched(d)
	if err := c.change(func(ch change) error { return ch.put(keys.KindModel, id, "", d) }); err != nil {
		return nil, err
	}
	m.Wait(c.ctx)
	return c.modelRow(id, d), nil
}

// modelRow is a stored model as LiteLLM's answers have it, its parameters without secrets.
func (c *call) modelRow(id string, d document) document {
	out := row(keys.KindModel, d)
	out["litellm_params"] = document{}
	if snap := c.s.o.Snapshot(); snap != nil {
		for i := range snap.Deployments {
			if snap.Deployments[i].ID == id && snap.Deployments[i].Params != nil {
				out["litellm_params"] = snap.Deployments[i].Params
			}
		}
	}
	return out
}

// updateModel is POST /model/update: what is given replaces what there was, field by field.
func updateModel(c *call) (any, error) {
	id := text(object(c.body, "model_info"), "id")
	if !given(c.body, "model_info") || c.body["model_info"] == nil {
		return nil, problem(400, "auth_error", "None", "Authentication Error, model_info not provided")
	}
	if id == "" {
		return nil, problem(400, "auth_error", "None", "Authentication Error, model_info.id not provided")
	}
	return c.changeModel(id,
		refuse(400, "Can't edit model. Model in config. Store model in db via `/model/new`. to edit."),
		problem(400, "auth_error", "None", "Authentication Error, model not found"))
}

// patchModel is PATCH /model/{id}/update.
func patchModel(c *call) (any, error) {
	id := c.r.PathValue("id")
	return c.changeModel(id,
		problem(400, "validation_error", "", "Cannot edit config-based model. Store model in DB via /model/new first."),
		problem(404, "not_found_error", "", "Model %s not found on proxy.", printable(id)))
}

func (c *call) changeModel(id string, inConfig, unknown error) (any, error) {
	m, err := c.models()
	if err != nil {
		return nil, err
	}
	d, ok := c.find(keys.KindModel, id)
	if !ok {
		for i := range c.snap.Deployments {
			if c.snap.Deployments[i].ID == id {
				return nil, inConfig
			}
		}
		return nil, unknown
	}
	raw, err := m.Open(id, text(d, "sealed_params"))
	if err != nil {
		return nil, refuse(500, "The model's parameters cannot be read: %s", err)
	}
	params, err := parse(raw)
	if err != nil {
		return nil, err
	}
	for name, v := range object(c.body, "litellm_params") {
		if v == nil {
			delete(params, name)
		} else {
			params[name] = v
		}
	}
	info := maps.Clone(object(d, "model_info"))
	for name, v := range object(c.body, "model_info") {
		if v == nil {
			delete(info, name)
		} else {
			info[name] = v
		}
	}
	if name := text(c.body, "model_name"); name != "" {
		d["model_name"] = name
	}
	if v, ok := c.body["blocked"].(bool); ok {
		d["blocked"] = v
	}
	return c.storeModel(m, id, d, params, info)
}

// deleteModel is POST /model/delete.
func deleteModel(c *call) (any, error) {
	m, err := c.models()
	if err != nil {
		return nil, err
	}
	id := text(c.body, "id")
	if _, ok := c.find(keys.KindModel, id); !ok {
		return nil, refuse(400, "Model with id=%s not found in db", printable(id))
	}
	if err := c.change(func(ch change) error { return ch.Delete(keys.KindModel, id) }); err != nil {
		return nil, err
	}
	m.Wait(c.ctx)
	return document{"message": "Model: " + id + " deleted successfully"}, nil
}
