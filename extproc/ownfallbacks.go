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
// that take the place of the request's; or the configuration's {group: [models]}
// (https://docs.litellm.ai/docs/proxy/reliability#client-side-fallbacks).
func (c *Call) ownFallbacks(r *adapters.Request) ([]route.Override, *apierror.Error) {
	field := r.Field("fallbacks")
	if field == nil || string(field) == "null" {
		return nil, nil
	}
	var items []json.RawMessage
	if err := json.Unmarshal(field, &items); err != nil {
		return nil, invalid("fallbacks", "fallbacks must be an array of model names")
	}
	if len(items) > mostOwnFallbacks {
		return nil, invalid("fallbacks", "fallbacks has %d entries; at most %d are taken", len(items), mostOwnFallbacks)
	}
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
	request, refused := adapters.Parse(c.op, body)
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
