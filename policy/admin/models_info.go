package admin

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

// info is a deployment as LiteLLM's /model/info has it: what the administrator wrote, and what is known of the model
// where they wrote nothing.
func (d *Deployment) info() document {
	params, about := document{}, document{}
	if p, err := parse(d.Params); err == nil {
		params = p
	}
	for name, v := range d.Known {
		about[name] = v
	}
	if p, err := parse(d.Info); err == nil {
		for name, v := range p {
			about[name] = v
		}
	}
	about["id"], about["db_model"] = d.ID, d.Stored
	if d.Blocked {
		about["blocked"] = true
	}
	return document{"model_name": d.Group, "litellm_params": params, "model_info": about}
}

// visible are the deployments that the caller may know of.
func (c *call) visible() []*Deployment {
	var out []*Deployment
	for i := range c.snap.Deployments {
		d := &c.snap.Deployments[i]
		if !d.Hidden && (c.sees() || c.snap.Keys.Allows(c.key, d.Group)) {
			out = append(out, d)
		}
	}
	return out
}

// modelInfo is GET /model/info.
func modelInfo(c *call) (any, error) {
	id := c.query("litellm_model_id")
	data := []document{}
	for _, d := range c.visible() {
		if id == "" || d.ID == id {
			data = append(data, d.info())
		}
	}
	if id != "" && len(data) == 0 {
		return nil, refuse(400, "Model id = %s not found on litellm proxy", printable(id))
	}
	return document{"data": data}, nil
}

// modelInfoV2 is GET /v2/model/info: the same in pages.
func modelInfoV2(c *call) (any, error) {
	page, size, err := c.page("size", 50, 1000)
	if err != nil {
		return nil, err
	}
	model, id, search, by := c.query("model"), c.query("modelId"), strings.ToLower(c.query("search")), c.query("sortBy")
	data := []document{}
	for _, d := range c.visible() {
		if (model == "" || d.Group == model) && (id == "" || d.ID == id) && strings.Contains(strings.ToLower(d.Group), search) {
			data = append(data, d.info())
		}
	}
	switch order := strings.ToLower(c.query("sortOrder")); {
	case order != "" && order != "asc" && order != "desc":
		return nil, say(400, "Invalid sortOrder: %s. Must be 'asc' or 'desc'", printable(order))
	case by == "model_name":
		slices.SortStableFunc(data, func(a, b document) int {
			if order == "desc" {
				a, b = b, a
			}
			return strings.Compare(text(a, "model_name"), text(b, "model_name"))
		})
	}
	part, pages := slice(data, page, size)
	return document{"data": part, "total_count": len(data), "current_page": page, "total_pages": pages, "size": size}, nil
}

// modelGroupInfo is GET /model_group/info: what is known of each model group.
func modelGroupInfo(c *call) (any, error) {
	only := c.query("model_group")
	data := []document{}
	at := map[string]document{}
	for _, d := range c.visible() {
		if only != "" && d.Group != only {
			continue
		}
		g := at[d.Group]
		if g == nil {
			g = emptyGroup(d.Group)
			at[d.Group] = g
			data = append(data, g)
		}
		mergeGroup(g, d)
	}
	return document{"data": data}, nil
}

func emptyGroup(name string) document {
	return document{
		"model_group": name, "providers": []string{}, "max_input_tokens": nil, "max_output_tokens": nil, "input_cost_per_token": nil,
		"output_cost_per_token": nil, "input_cost_per_pixel": nil, "mode": nil, "tpm": nil, "rpm": nil, "itpm": nil, "otpm": nil,
		"supports_parallel_function_calling": false, "supports_vision": false, "supports_web_search": false, "supports_url_context": false,
		"supports_reasoning": false, "supports_function_calling": false, "supports_fast_mode": false, "supported_reasoning_efforts": nil,
		"supported_openai_params": []string{}, "configurable_clientside_auth_params": nil,
	}
}

// mergeGroup adds a deployment: the dearest price and the largest limit of a group are shown, the rates are added up.
func mergeGroup(g document, d *Deployment) {
	about := object(d.info(), "model_info")
	if p := g["providers"].([]string); d.Provider != "" && !slices.Contains(p, d.Provider) {
		g["providers"] = append(p, d.Provider)
	}
	for _, name := range []string{"max_input_tokens", "max_output_tokens", "input_cost_per_token", "output_cost_per_token"} {
		if n := asNumber(about[name]); n > 0 && n > asNumber(g[name]) {
			g[name] = n
		}
	}
	for name, n := range map[string]int{"rpm": d.RPM, "tpm": d.TPM} {
		if n > 0 {
			g[name] = int(asNumber(g[name])) + n
		}
	}
	if g["mode"] == nil {
		g["mode"] = cmp.Or(text(about, "mode"), "chat")
	}
	for name, v := range g {
		if v == false && about[name] == true {
			g[name] = true
		}
	}
}

func asNumber(v any) float64 {
	switch v := v.(type) {
	case json.Number:
		f, _ := v.Float64()
		return f
	case float64:
		return v
	case int:
		return float64(v)
	case int64:
		return float64(v)
	}
	return 0
}
