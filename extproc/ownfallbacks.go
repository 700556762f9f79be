package extproc

import (
	"encoding/json"

	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/policy/route"
)

// mostOwnFallbacks bounds a client's list: each entry may carry a whole conversation.
const mostOwnFallbacks = 16

// ownFallbacks reads the client's own fallbacks: names of models, or objects with one under "model" and fields
// that take the place of the request's; or the configuration's {group: [models]}. Those that have its shape throughout,
// and those for one kind of failure, take the place of the router's
// (https://docs.litellm.ai/docs/proxy/reliability#client-side-fallbacks).
func (c *Call) ownFallbacks(r *adapters.Request, a *route.Ask) (err *apierror.Error) {
	items, err := fallbackItems(r, "fallbacks", "an array of model names")
	switch {
	case err != nil:
		return err
	case len(items) > 0 && allLists(items):
		a.Lists.Ordinary, err = readLists("fallbacks", items)
	case items != nil:
		a.Fallbacks, err = c.overrides(r, items)
	}
	if err != nil {
		return err
	}
	if a.Lists.Context, err = listsOf(r, "context_window_fallbacks"); err != nil {
		return err
	}
	a.Lists.Policy, err = listsOf(r, "content_policy_fallbacks")
	return err
}

// fallbackItems are the entries of a field; nil: it is not there.
func fallbackItems(r *adapters.Request, name, shape string) (items []json.RawMessage, _ *apierror.Error) {
	field := r.Field(name)
	if field == nil || string(field) == "null" {
		return nil, nil
	}
	if json.Unmarshal(field, &items) != nil {
		return nil, invalid(name, "%s must be %s", name, shape)
	}
	if len(items) > mostOwnFallbacks {
		return nil, invalid(name, "%s has %d entries; at most %d are taken", name, len(items), mostOwnFallbacks)
	}
	return items, nil
}

// overrides reads names of models and objects.
func (c *Call) overrides(r *adapters.Request, items []json.RawMessage) ([]route.Override, *apierror.Error) {
	out := make([]route.Override, 0, len(items))
	for i, item := range items {
		var own route.Override
		if json.Unmarshal(item, &own.Model) != nil {
			var object map[string]json.RawMessage
			if lists, ok := asLists(item); ok {
				out = appendLists(out, lists, r.Model())
				continue
			}
			if json.Unmarshal(item, &object) != nil || json.Unmarshal(object["model"], &own.Model) != nil || own.Model == "" {
				return nil, invalid("fallbacks", "fallbacks[%d] must be a model name, or an object with one under \"model\"", i)
			}
			if own.Own = len(object) > 1; own.Own && len(out) < mostOwnFallbacks {
				if err := c.change(r, len(out), object); err != nil {
					return nil, err
				}
			}
		}
		if len(out) == mostOwnFallbacks {
			break
		}
		out = append(out, own)
	}
	for i := range out {
		if err := nameable("fallbacks", out[i].Model); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// listsOf reads fallbacks for one kind of failure. Names alone are for any group.
func listsOf(r *adapters.Request, name string) (map[string][]string, *apierror.Error) {
	items, err := fallbackItems(r, name, `an array such as [{"gpt-4o": ["claude"]}]`)
	if err != nil || items == nil {
		return nil, err
	}
	return readLists(name, items)
}

func readLists(param string, items []json.RawMessage) (map[string][]string, *apierror.Error) {
	out := map[string][]string{}
	for i, item := range items {
		var name string
		lists, ok := asLists(item)
		switch {
		case ok:
		case json.Unmarshal(item, &name) == nil && name != "":
			lists = map[string][]string{"*": append(out["*"], name)}
		default:
			return nil, invalid(param, "%s[%d] must be an object of a model and its fallbacks, such as {\"gpt-4o\": [\"claude\"]}", param, i)
		}
		for group, models := range lists {
			if len(models) > mostOwnFallbacks || len(out) >= mostOwnFallbacks {
				return nil, invalid(param, "%s has too many entries; at most %d models with at most %d fallbacks are taken", param, mostOwnFallbacks, mostOwnFallbacks)
			}
			for _, model := range models {
				if err := nameable(param, model); err != nil {
					return nil, err
				}
			}
			out[group] = models
		}
	}
	return out, nil
}

// allLists tells whether fallbacks have the configuration's shape throughout.
func allLists(items []json.RawMessage) bool {
	for _, item := range items {
		if _, ok := asLists(item); !ok {
			return false
		}
	}
	return true
}

// mayFallBack refuses fallbacks of the client's own that its key may not use. Those of the configuration are left out
// instead: the client did not name them.
func (c *Call) mayFallBack(a *route.Ask) *apierror.Error {
	for i := range a.Fallbacks {
		if err := c.mayUse(a.Fallbacks[i].Model); err != nil {
			return err
		}
	}
	for _, lists := range [...]map[string][]string{a.Lists.Ordinary, a.Lists.Context, a.Lists.Policy} {
		for _, models := range lists {
			for _, model := range models {
				if err := c.mayUse(model); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (c *Call) mayUse(model string) *apierror.Error {
	if c.allows(model) {
		return nil
	}
	if group, ok := c.snapshot.Table.Resolve(model); ok && c.allows(group) {
		return nil
	}
	return c.snapshot.Keys.AccessError(c.key, model)
}

// pretended is how the model asked for is to count as failed, for a client that tries out its fallbacks
// (https://docs.litellm.ai/docs/proxy/reliability#test-fallbacks).
func pretended(r *adapters.Request) apierror.Kind {
	switch {
	case string(r.Field("mock_testing_fallbacks")) == "true":
		return apierror.Internal
	case string(r.Field("mock_testing_context_fallbacks")) == "true":
		return apierror.ContextLength
	case string(r.Field("mock_testing_content_policy_fallbacks")) == "true":
		return apierror.ContentPolicy
	}
	return ""
}

// asLists reads the configuration's shape of fallbacks, {group: [models]}, which a client may send, too.
func asLists(item []byte) (lists map[string][]string, ok bool) {
	err := json.Unmarshal(item, &lists)
	return lists, err == nil && len(lists) > 0
}

// appendLists appends the fallbacks that such an object has for the model asked for.
func appendLists(out []route.Override, lists map[string][]string, model string) []route.Override {
	list, own := lists[model]
	if !own {
		list = lists["*"]
	}
	for _, name := range list {
		if len(out) < mostOwnFallbacks {
			out = append(out, route.Override{Model: name})
		}
	}
	return out
}

// change makes the request of the client's fallback i: the fields of object in place of the request's.
func (c *Call) change(r *adapters.Request, i int, object map[string]json.RawMessage) *apierror.Error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(r.Body(), &fields); err != nil {
		return invalid("fallbacks", "fallbacks[%d] cannot be laid over the request: %s", i, err)
	}
	delete(fields, "fallbacks")
	for name, value := range object {
		switch name {
		case "model", "stream", "fallbacks": // how the answer comes is not the fallback's to choose
		default:
			fields[name] = value
		}
	}
	body, err := json.Marshal(fields)
	if err != nil || !c.hold(len(body)) {
		return invalid("fallbacks", "fallbacks[%d] cannot be laid over the request", i)
	}
	request, refused := c.parse(body)
	if refused != nil {
		refused.Message = "fallbacks: " + refused.Message
		return refused
	}
	if c.changed == nil {
		c.changed = make([]*adapters.Request, mostOwnFallbacks)
	}
	c.changed[i] = request
	return nil
}

// changedBy is the request as the client's fallback own, counted from 1, has it; 0: as it came.
func (c *Call) changedBy(own int, r *adapters.Request) *adapters.Request {
	if own > 0 && c.changed != nil && c.changed[own-1] != nil {
		return c.changed[own-1]
	}
	return r
}
