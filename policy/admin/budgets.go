package admin

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sluicegw/sluice/policy/keys"
)

// setBudget writes limits into a budget object's document.
func (c *call) setBudget(d, b document) error {
	if err := checkAmounts(b, "max_budget", "soft_budget"); err != nil {
		return err
	}
	if err := checkModelBudgets(object(b, "model_max_budget")); err != nil {
		return err
	}
	if err := c.setBudgetWindow(d, b); err != nil {
		return err
	}
	for _, name := range budgetFields {
		if v, ok := b[name]; ok && name != "budget_duration" && (name != "budget_reset_at" || v != nil) {
			d[name] = v
		}
	}
	c.touched(d)
	return nil
}

// newBudget is POST /budget/new.
func newBudget(c *call) (any, error) {
	id := cmp.Or(text(c.body, "budget_id"), newID())
	d := document{"budget_id": id}
	if err := c.setBudget(d, c.body); err != nil {
		return nil, err
	}
	err := c.change(func(ch change) error {
		if _, exists, err := ch.get(keys.KindBudget, id); err != nil || exists {
			return cmp.Or(err, error(refuse(400, "Budget with id '%s' already exists.", printable(id))))
		}
		return ch.put(keys.KindBudget, id, "", d)
	})
	return row(keys.KindBudget, d), err
}

// updateBudget is POST /budget/update. An unknown id is null, as with LiteLLM's client.
func updateBudget(c *call) (any, error) {
	id := text(c.body, "budget_id")
	if id == "" {
		return nil, refuse(400, "budget_id is required")
	}
	var after any
	err := c.change(func(ch change) error {
		d, ok, err := ch.get(keys.KindBudget, id)
		if err != nil || !ok {
			return err
		}
		if err := c.setBudget(d, c.body); err != nil {
			return err
		}
		after = row(keys.KindBudget, d)
		return ch.put(keys.KindBudget, id, "", d)
	})
	return after, err
}

// budgetInfo is POST /budget/info.
func budgetInfo(c *call) (any, error) {
	ids := texts(c.body["budgets"])
	if len(ids) == 0 {
		return nil, refuse(400, "Specify list of budget id's to query. Passed in=[]")
	}
	out := []document{}
	for _, id := range ids {
		if d, ok := c.find(keys.KindBudget, id); ok {
			out = append(out, row(keys.KindBudget, d))
		}
	}
	return out, nil
}

// listBudgets is GET /budget/list.
func listBudgets(c *call) (any, error) {
	if !c.sees() {
		return nil, refuse(400, "Admin-only endpoint. Not allowed to access this., your role=%s", c.key.RoleInEffect())
	}
	out := []document{}
	for _, d := range c.all(keys.KindBudget, nil) {
		out = append(out, row(keys.KindBudget, d))
	}
	slices.SortFunc(out, func(a, b document) int { return strings.Compare(text(a, "budget_id"), text(b, "budget_id")) })
	return out, nil
}

// deleteBudget is POST /budget/delete; the answer is what was deleted, or null.
func deleteBudget(c *call) (any, error) {
	if !c.admin() {
		return nil, refuse(400, "Admin-only endpoint. Not allowed to access this., your role=%s", c.key.RoleInEffect())
	}
	id := text(c.body, "id")
	d, ok := c.find(keys.KindBudget, id)
	if !ok {
		return nil, nil
	}
	return row(keys.KindBudget, d), c.change(func(ch change) error { return ch.Delete(keys.KindBudget, id) })
}

// budgetSettings is GET /budget/settings: the fields of a budget, for a form.
func budgetSettings(c *call) (any, error) {
	if !c.sees() {
		return nil, refuse(400, "Admin-only endpoint. Not allowed to access this., your role=%s", c.key.RoleInEffect())
	}
	id := c.query("budget_id")
	if id == "" {
		return nil, &refusal{status: 422, plain: true, detail: []invalid{{"missing", []any{"query", "budget_id"}, "Field required"}}}
	}
	d, _ := c.find(keys.KindBudget, id)
	out := []document{}
	for _, f := range []struct{ name, typ, what string }{
		{"max_budget", "Float", "Requests will fail if this budget (in USD) is exceeded."},
		{"soft_budget", "Float", "Requests will NOT fail if this is exceeded. Will fire alerting though."},
		{"max_parallel_requests", "Integer", "Max concurrent requests allowed for this budget id."},
		{"tpm_limit", "Integer", "Max tokens per minute, allowed for this budget id."},
		{"rpm_limit", "Integer", "Max requests per minute, allowed for this budget id."},
		{"tpd_limit", "Integer", "Max tokens per day, charged by batch submissions, allowed for this budget id."},
		{"budget_duration", "String", "Max duration budget should be set for (e.g. '1hr', '1d', '28d')"},
		{"model_max_budget", "Object", "Max budget for each model (e.g. {'gpt-4o': {'max_budget': '0.0000001', 'budget_duration': '1d', 'tpm_limit': 1000, 'rpm_limit': 1000}})"},
	} {
		out = append(out, document{"field_name": f.name, "field_type": f.typ, "field_description": f.what, "field_value": d[f.name],
			"stored_in_db": true, "field_default_value": nil, "premium_field": false, "nested_fields": nil})
	}
	return out, nil
}
