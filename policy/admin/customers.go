package admin

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/sluicegw/sluice/policy/keys"
)

// budgetFields are those of a budget object that requests for other things may bring.
var budgetFields = []string{"max_budget", "soft_budget", "max_parallel_requests", "tpm_limit", "rpm_limit", "tpd_limit", "budget_duration",
	"model_max_budget", "budget_reset_at", "allowed_models", "temp_budget_increase", "temp_budget_expiry"}

func (c *call) customerRow(d document) document {
	out := c.withBudget(row(keys.KindCustomer, d))
	out["object_permission"] = d["object_permission"]
	return out
}

// newCustomer is POST /customer/new.
func newCustomer(c *call) (any, error) {
	b, id := c.body, text(c.body, "user_id")
	if b["max_budget"] != nil && b["budget_id"] != nil {
		return nil, invalidBody("value_error", "Value error, Set either 'max_budget' or 'budget_id', not both.")
	}
	if model := text(b, "default_model"); model != "" && !c.snap.serves(model) {
		return nil, refuse(422, "Default Model not on proxy. Configure via `/model/new` or config.yaml. Default_model=%s", printable(model))
	}
	taken := problem(400, "bad_request", "user_id", "Customer already exists, passed user_id=%s. Please pass a new user_id.", printable(id))
	var after document
	err := c.change(func(ch change) error {
		if _, exists, err := ch.get(keys.KindCustomer, id); err != nil || exists {
			return cmp.Or(err, error(taken))
		}
		d := document{}
		if err := c.setCustomer(ch, d, b); err != nil {
			return err
		}
		after = d
		return ch.put(keys.KindCustomer, id, "", d)
	})
	if err != nil {
		return nil, err
	}
	return c.customerRow(after), nil
}

// setCustomer writes a request's fields into a customer's document, and its limits into a budget object.
func (c *call) setCustomer(ch change, d, b document) error {
	wish := document{}
	for name, v := range b {
		if slices.Contains(budgetFields, name) && v != nil {
			wish[name] = v
		}
	}
	for name := range litellm.Columns[keys.KindCustomer] {
		if v, ok := b[name]; ok && v != nil && name != "object_permission_id" {
			d[name] = v
		}
	}
	if v, ok := b["object_permission"]; ok {
		d["object_permission"] = v
	}
	if len(wish) == 0 {
		return nil
	}
	id := text(d, "budget_id")
	budget, exists, err := ch.get(keys.KindBudget, id)
	if err != nil {
		return err
	}
	if !exists {
		budget = document{"budget_id": newID()}
		d["budget_id"] = budget["budget_id"]
	}
	if err := c.setBudget(budget, wish); err != nil {
		return err
	}
	return ch.put(keys.KindBudget, text(budget, "budget_id"), "", budget)
}

func noCustomer(param, ids string) error {
	return problem(404, "not_found", param, "End User Id=%s does not exist in db", printable(ids))
}

// customerInfo is GET /customer/info.
func customerInfo(c *call) (any, error) {
	id := c.query("end_user_id")
	if id == "" {
		return nil, &refusal{status: 422, plain: true, detail: []invalid{{"missing", []any{"query", "end_user_id"}, "Field required"}}}
	}
	d, ok := c.find(keys.KindCustomer, id)
	if !ok {
		return nil, noCustomer("end_user_id", id)
	}
	return c.customerRow(d), nil
}

// updateCustomer is POST /customer/update.
func updateCustomer(c *call) (any, error) {
	id := text(c.body, "user_id")
	var after document
	err := c.change(func(ch change) error {
		d, ok, err := ch.get(keys.KindCustomer, id)
		if err != nil || !ok {
			return cmp.Or(err, noCustomer("user_id", id))
		}
		if err := c.setCustomer(ch, d, c.body); err != nil {
			return err
		}
		after = d
		return ch.put(keys.KindCustomer, id, "", d)
	})
	if err != nil {
		return nil, err
	}
	return c.customerRow(c.standing(keys.KindCustomer, id, after)), nil
}

// deleteCustomers is POST /customer/delete.
func deleteCustomers(c *call) (any, error) {
	ids := texts(c.body["user_ids"])
	if len(ids) == 0 {
		return nil, errors.New("user_id is required, passed user_id = []")
	}
	var missing []string
	for _, id := range ids {
		if _, ok := c.find(keys.KindCustomer, id); !ok {
			missing = append(missing, id)
		}
	}
	if len(missing) > 0 {
		return nil, problem(404, "not_found", "user_ids", "End User Id(s)=%s do not exist in db", printable(strings.Join(missing, ", ")))
	}
	err := c.change(func(ch change) error {
		for _, id := range ids {
			if err := ch.Delete(keys.KindCustomer, id); err != nil {
				return err
			}
		}
		return nil
	})
	return document{"deleted_customers": len(ids), "message": "Successfully deleted customers with ids: " + pythonTexts(ids)}, err
}

func pythonTexts(list []string) string { return "['" + printable(strings.Join(list, "', '")) + "']" }

// listCustomers is GET /customer/list.
func listCustomers(c *call) (any, error) {
	if !c.sees() {
		return nil, refuse(401, "Admin-only endpoint. Your user role=%s", c.key.RoleInEffect())
	}
	out := []document{}
	for _, d := range c.all(keys.KindCustomer, nil) {
		out = append(out, c.customerRow(d))
	}
	slices.SortFunc(out, func(a, b document) int { return strings.Compare(text(a, "user_id"), text(b, "user_id")) })
	return out, nil
}

// blockCustomers is POST /customer/block and /customer/unblock. LiteLLM's unblock needs an enterprise package.
func blockCustomers(blocked bool) action {
	return func(c *call) (any, error) {
		ids := texts(c.body["user_ids"])
		records := []document{}
		err := c.change(func(ch change) error {
			records = []document{}
			for _, id := range ids {
				d, ok, err := ch.get(keys.KindCustomer, id)
				if err != nil {
					return err
				}
				if !ok {
					d = document{"user_id": id}
				}
				d["blocked"] = blocked
				if err := ch.put(keys.KindCustomer, id, "", d); err != nil {
					return err
				}
				records = append(records, row(keys.KindCustomer, d))
			}
			return nil
		})
		if blocked || err != nil {
			return document{"blocked_users": records}, err
		}
		still := []string{}
		for _, d := range c.all(keys.KindCustomer, func(d document) bool { return truth(d, "blocked") }) {
			still = append(still, text(d, "user_id"))
		}
		slices.Sort(still)
		return document{"blocked_users": still}, nil
	}
}
