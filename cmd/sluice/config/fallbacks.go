package config

import (
	"fmt"
	"strings"
)

// fallbacks reads a list of fallbacks in either shape:
//
//   - gpt-4o: [a, b]                 LiteLLM's
//   - model_name: gpt-4o             the other
//     fallback_models: [a, b]
//
// A single target may stand without the list. Of two entries for a group the first counts.
//
// https://docs.litellm.ai/docs/proxy/reliability
func (r *reader) fallbacks(v *value, path string) map[string][]string {
	out := map[string][]string{}
	if v.kind != list {
		r.fault(v, path, "must be a list such as [{gpt-4o: [claude, gemini]}], not %s", v.kind)
		return out
	}
	for i, item := range v.items {
		at := fmt.Sprintf("%s[%d]", path, i)
		if item.kind != mapping {
			r.fault(item, at, "must be a mapping of a model group to its fallbacks, such as gpt-4o: [claude, gemini], not %s", item.kind)
			continue
		}
		group, targets, targetsAt, ok := r.fallbackEntry(item, at)
		if !ok {
			continue
		}
		if _, dup := out[group]; dup {
			r.warn(item, at, "%s already has fallbacks in an earlier entry, which counts; join the two", printable(group))
			continue
		}
		r.sources = append(r.sources, mention{item, at, group})
		out[group] = r.targets(targets, targetsAt)
	}
	return out
}

func (r *reader) fallbackEntry(item *value, at string) (group string, targets *value, path string, ok bool) {
	name, models := item.get("model_name"), item.get("fallback_models")
	if models != nil {
		if name == nil || name.kind == list || name.kind == mapping || name.text == "" {
			r.fault(item, at+".model_name", "is missing; it names the model group that falls back")
			return "", nil, "", false
		}
		for _, m := range item.members {
			if m.name != "model_name" && m.name != "fallback_models" {
				r.unknown(m, at+"."+printable(m.name), "field of a fallback", []string{"model_name", "fallback_models"})
			}
		}
		return name.text, models, at + ".fallback_models", true
	}
	if name != nil && len(item.members) == 1 && name.kind != list {
		r.fault(item, at+".fallback_models", "is missing; it lists what %s falls back to", printable(name.text))
		return "", nil, "", false
	}
	if len(item.members) != 1 {
		r.fault(item, at, "must have exactly one model group, but has %d; write one list entry for each", len(item.members))
		return "", nil, "", false
	}
	m := item.members[0]
	return m.name, m.v, at + "." + printable(m.name), true
}

// targets reads what a group falls back to. LiteLLM also takes mappings {model: x, …}; of these only the
// model counts here.
func (r *reader) targets(v *value, path string) []string {
	items := []*value{v}
	if v.kind == list {
		items = v.items
	}
	var out []string
	for i, item := range items {
		at := fmt.Sprintf("%s[%d]", path, i)
		if item.kind == mapping {
			model := item.get("model")
			if model == nil {
				r.fault(item, at, "must be the name of a model group or provider/model")
				continue
			}
			if len(item.members) > 1 {
				r.warn(item, at, "only its model counts: other fields of a fallback can be given per request")
			}
			item = model
		}
		if item.missing != "" {
			r.missing(item, at)
			continue
		}
		if s := r.str(item, at); s != "" {
			out = append(out, s)
			r.targetsSeen = append(r.targetsSeen, mention{item, at, s})
		}
	}
	return out
}

// callable are the names that clients can ask for.
type callable struct {
	exact     map[string]bool // groups and aliases
	wildcards []string
	names     []string // all of them, for suggestions
}

func (c *Config) callable() callable {
	out := callable{exact: map[string]bool{}, names: append(c.Groups(), sortedNames(c.Router.Aliases)...)}
	for _, name := range out.names {
		out.exact[name] = true
		if strings.Contains(name, "*") {
			out.wildcards = append(out.wildcards, name)
		}
	}
	return out
}

// serves tells whether clients can ask for name: a group, an alias, or what a wildcard group matches.
func (c *callable) serves(name string) bool {
	if c.exact[name] {
		return true
	}
	for _, w := range c.wildcards {
		if wildcard(w, name) {
			return true
		}
	}
	return false
}

// fallbackTargets checks the fallbacks against the groups, once both are known, and adds a hidden
// deployment for each provider/model that no group serves. A name that nobody has is a fault only where no model can
// be made at run time.
func (r *reader) fallbackTargets(c *Config) {
	known := c.callable()
	until := " until somebody makes a model of that name"
	if c.General.ModelsFixed {
		until = ""
	}
	for _, t := range r.targetsSeen {
		if known.serves(t.name) || len(r.faults) >= maxFaults {
			continue
		}
		provider, model, isRaw := strings.Cut(t.name, "/")
		if !isRaw || provider == "" || model == "" || strings.ContainsAny(t.name, " \t*") {
			if c.General.ModelsFixed || t.name == "" || strings.ContainsAny(t.name, " \t*") {
				r.fault(t.v, t.path, "%s is neither a model group nor a provider/model%s", r.describe(t.v), didYouMean(t.name, known.names))
			} else {
				r.warn(t.v, t.path, "%s is neither a model group nor a provider/model: it is left out%s%s", r.describe(t.v), until, r.hint(t.name, known.names))
			}
			continue
		}
		known.exact[t.name] = true
		d := Deployment{Group: t.name, Model: t.name, Hidden: true, DropParams: c.Settings.DropParams, File: t.v.file, Line: t.v.line}
		d.ID = deploymentID(d.Group, "hidden", &value{kind: text, text: d.Model})
		c.Deployments = append(c.Deployments, d)
	}
	for _, alias := range sortedNames(c.Router.Aliases) {
		if group := c.Router.Aliases[alias].Group; !known.serves(group) {
			r.warn(r.aliasAt[alias], "router_settings.model_group_alias."+printable(alias), "there is no model group %s: the alias has no effect%s%s", printable(group), until, r.hint(group, known.names))
		}
	}
	for _, s := range r.sources {
		if s.name != "*" && !known.serves(s.name) {
			r.warn(s.v, s.path, "there is no model group %s, so its fallbacks are not used%s%s", printable(s.name), until, r.hint(s.name, known.names))
		}
	}
}

// hint is didYouMean, for as long as warnings are shown: among thousands of names it is not free.
func (r *reader) hint(name string, names []string) string {
	if len(r.warnings) >= maxFaults {
		return ""
	}
	return didYouMean(name, names)
}

// wildcard matches name against a pattern in which each * stands for any text, the empty one included.
func wildcard(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if !strings.HasPrefix(name, parts[0]) {
		return false
	}
	name = name[len(parts[0]):]
	last := len(parts) - 1
	for _, part := range parts[1:last] {
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name = name[i+len(part):]
	}
	return strings.HasSuffix(name, parts[last])
}
