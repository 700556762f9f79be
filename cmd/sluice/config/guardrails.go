package config

import (
	"fmt"
	"strings"
)

// Guardrail is one entry of guardrails. https://docs.litellm.ai/docs/proxy/guardrails/quick_start
type Guardrail struct {
	Name      string   // guardrail_name
	Kind      string   // litellm_params.guardrail: presidio, bedrock, …
	Modes     []string // pre_call, during_call, post_call, logging_only
	DefaultOn bool
	Params    map[string]Secret // the other litellm_params: a text as it is, everything else as JSON

	File string
	Line int
}

// guardrails reads a list of guardrails. LiteLLM's older shape, {name: {callbacks: [kind], default_on}},
// is understood too.
func (r *reader) guardrails(c *Config, v *value, path string) {
	if v == nil {
		return
	}
	if v.kind != list {
		r.fault(v, path, "must be a list of {guardrail_name, litellm_params}, not %s", v.kind)
		return
	}
	for i, item := range v.items {
		at := fmt.Sprintf("%s[%d]", path, i)
		g := Guardrail{File: item.file, Line: item.line, Params: map[string]Secret{}}
		params := item.get("litellm_params")
		switch {
		case item.kind != mapping:
			r.fault(item, at, "must be a mapping with guardrail_name and litellm_params, not %s", item.kind)
			continue
		case params != nil:
			if name := item.get("guardrail_name"); name != nil {
				g.Name = r.str(name, at+".guardrail_name")
			}
			at += ".litellm_params"
		case len(item.members) == 1 && item.members[0].name != "guardrail_name":
			g.Name, params, at = item.members[0].name, item.members[0].v, at+"."+printable(item.members[0].name)
		}
		if g.Name == "" || params == nil || params.kind != mapping {
			r.fault(item, at, "must have a guardrail_name and a mapping litellm_params")
			continue
		}
		r.guardrail(&g, params, at)
		c.Guardrails = append(c.Guardrails, g)
	}
}

func (r *reader) guardrail(g *Guardrail, params *value, path string) {
	var kinds []string
	fs := fields{
		"guardrail": func(v *value, path string) { kinds = append(kinds, r.str(v, path)) },
		"callbacks": func(v *value, path string) { kinds = append(kinds, r.strs(v, path)...) },
		"mode": func(v *value, path string) {
			if v.kind == mapping { // modes by tag
				g.Params["mode"] = Secret(r.json(v, path))
				return
			}
			g.Modes = r.strs(v, path)
		},
		"default_on": set(r.bool, &g.DefaultOn),
	}
	r.mapping(params, path, fs, func(m member, at string) {
		switch {
		case m.v.missing != "":
			r.missing(m.v, at)
		case m.v.kind == list || m.v.kind == mapping:
			g.Params[m.name] = Secret(r.json(m.v, at))
		case m.v.kind != null:
			g.Params[m.name] = Secret(m.v.text)
		}
	}, false)
	if g.Kind = strings.Join(kinds, ","); g.Kind == "" {
		r.fault(params, path+".guardrail", "is missing; it names the kind of guardrail, such as presidio")
	}
}
