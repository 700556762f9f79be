package config

import (
	"maps"
	"time"
)

// Router is how calls are spread, retried and moved on.
//
// Several of its settings may stand in router_settings or in litellm_settings. As in LiteLLM,
// router_settings comes first, and a list of fallbacks that is not empty replaces the other one whole.
// The one exception is LiteLLM's too: litellm_settings.request_timeout limits a single attempt even when
// router_settings.timeout is set.
//
// https://docs.litellm.ai/docs/routing
type Router struct {
	Strategy string // one of route.Strategies; simple-shuffle unless set
	Routing

	NumRetries   int // retries of a call within a group; 2 unless set
	MaxFallbacks int // groups tried after the first; 5 unless set
	// Timeout limits one attempt: request_timeout, else router_settings.timeout, else 6000 s.
	Timeout       time.Duration
	StreamTimeout time.Duration // to the first token of a stream; 0: Timeout
	RetryAfter    time.Duration // least wait before a retry

	AllowedFails     *int          // failures a minute before a cooldown; nil: LiteLLM's own rules
	Cooldown         time.Duration // 5 s unless set
	DisableCooldowns bool

	// The fallbacks map a group to what is tried after it, in order; "*" is for groups without an entry
	// of their own. Targets are groups, aliases, names that a wildcard group serves, or the hidden groups
	// of Config.Deployments.
	Fallbacks              map[string][]string
	ContextWindowFallbacks map[string][]string // when the prompt is too long
	ContentPolicyFallbacks map[string][]string // when the provider refuses the content

	PreCallChecks bool // enable_pre_call_checks: prompts are counted before a model is asked

	// RetryPolicy is how many retries an error of LiteLLM's class gets within its group, by the class's name
	// without "Retries" (RateLimitError, Timeout …, Default); GroupRetryPolicy goes before it for a group.
	RetryPolicy      map[string]int
	GroupRetryPolicy map[string]map[string]int

	Aliases map[string]Alias // model_group_alias, by the name that clients use

	TagFiltering bool
	TagMatchAny  bool // any of a request's tags suffices; otherwise all are needed
}

// Alias is another name for a model group.
type Alias struct {
	Group  string
	Hidden bool // not listed at /v1/models
}

// LiteLLM's defaults, from its constants.py.
const (
	defaultRetries      = 2
	defaultMaxFallbacks = 5
	defaultTimeout      = 6000 * time.Second
	defaultCooldown     = 5 * time.Second
)

// shared are the settings of one of the two sections where they may stand.
type shared struct {
	numRetries, maxFallbacks, allowedFails *int
	timeout, stream, cooldown              *time.Duration
	fallbacks, context, policy             map[string][]string
	defaults                               []string
	seen                                   map[string]*value
}

// fields are read from both sections by the same code; they note where each was seen.
func (s *shared) fields(r *reader) fields {
	s.seen = map[string]*value{}
	fallbacks := func(to *map[string][]string) func(*value, string) {
		return func(v *value, path string) { *to = r.fallbacks(v, path) }
	}
	fs := fields{
		"num_retries":              setPtr(r.count, &s.numRetries),
		"max_fallbacks":            setPtr(r.count, &s.maxFallbacks),
		"allowed_fails":            setPtr(r.count, &s.allowedFails),
		"timeout":                  setPtr(r.duration, &s.timeout),
		"stream_timeout":           setPtr(r.duration, &s.stream),
		"cooldown_time":            setPtr(r.duration, &s.cooldown),
		"fallbacks":                fallbacks(&s.fallbacks),
		"context_window_fallbacks": fallbacks(&s.context),
		"content_policy_fallbacks": fallbacks(&s.policy),
		"default_fallbacks":        func(v *value, path string) { s.defaults = r.targets(v, path) },
	}
	for name, read := range fs {
		fs[name] = func(v *value, path string) { s.seen[name] = v; read(v, path) }
	}
	return fs
}

// routerSettings reads router_settings, and from litellm_settings what belongs to the router.
func (r *reader) routerSettings(c *Config, router, litellm *value) {
	c.Router = Router{Strategy: "simple-shuffle", TagMatchAny: true, Aliases: map[string]Alias{}}
	var first, second shared
	fs := first.fields(r)
	r.routingFields(c, fs)
	r.routerBudgets(&c.Budgets, fs)
	fs["retry_after"] = set(r.duration, &c.Router.RetryAfter)
	fs["enable_pre_call_checks"] = set(r.bool, &c.Router.PreCallChecks)
	fs["retry_policy"] = func(v *value, path string) { c.Router.RetryPolicy = r.retryPolicy(v, path) }
	fs["model_group_retry_policy"] = func(v *value, path string) { c.Router.GroupRetryPolicy = r.groupRetryPolicy(v, path) }
	fs["disable_cooldowns"] = set(r.bool, &c.Router.DisableCooldowns)
	fs["model_group_alias"] = func(v *value, path string) { r.aliases(c, v, path) }
	fs["enable_tag_filtering"] = set(r.bool, &c.Router.TagFiltering)
	fs["set_verbose"] = set(r.bool, &c.Settings.Verbose)
	fs["tag_filtering_match_any"] = set(r.bool, &c.Router.TagMatchAny)
	maps.Copy(fs, r.redisFields(&c.Redis, "redis_"))
	r.mapping(router, "router_settings", fs, r.notRead("router_settings", knownRouter, fs), false)

	var requestTimeout *time.Duration
	fs = second.fields(r)
	fs["request_timeout"] = setPtr(r.duration, &requestTimeout)
	if litellm != nil && litellm.kind == mapping { // litellmSettings complains about anything else
		r.mapping(litellm, "litellm_settings", fs, func(member, string) {}, false)
	}
	r.bothSet(&first, &second)
	c.Router.settle(&first, &second, requestTimeout)
}

func (rt *Router) settle(first, second *shared, requestTimeout *time.Duration) {
	rt.NumRetries = either(first.numRetries, second.numRetries, defaultRetries)
	rt.MaxFallbacks = either(first.maxFallbacks, second.maxFallbacks, defaultMaxFallbacks)
	rt.Cooldown = either(positive(first.cooldown), positive(second.cooldown), defaultCooldown)
	rt.StreamTimeout = either(positive(first.stream), positive(second.stream), 0)
	rt.Timeout = either(positive(first.timeout), positive(second.timeout), defaultTimeout)
	if positive(requestTimeout) != nil {
		rt.Timeout = *requestTimeout
	}
	rt.AllowedFails = first.allowedFails
	if rt.AllowedFails == nil {
		rt.AllowedFails = second.allowedFails
	}
	rt.Fallbacks = nonEmpty(first.fallbacks, second.fallbacks)
	rt.ContextWindowFallbacks = nonEmpty(first.context, second.context)
	rt.ContentPolicyFallbacks = nonEmpty(first.policy, second.policy)
	defaults := first.defaults
	if len(defaults) == 0 {
		defaults = second.defaults
	}
	if len(defaults) > 0 { // LiteLLM appends them, and its last "*" wins
		rt.Fallbacks["*"] = defaults
	}
}

// bothSet warns where the second section says something that the first overrides.
func (r *reader) bothSet(first, second *shared) {
	for _, name := range sortedNames(second.seen) {
		a, b := first.seen[name], second.seen[name]
		if a == nil || string(a.appendJSON(nil, true)) == string(b.appendJSON(nil, true)) {
			continue
		}
		r.warn(b, "litellm_settings."+name, "is also set in router_settings (line %d), which wins; remove one of them", a.line)
	}
}

// aliases reads model_group_alias: {alias: group} or {alias: {model: group, hidden: true}}.
func (r *reader) aliases(c *Config, v *value, path string) {
	if v.kind != mapping {
		r.fault(v, path, "must be a mapping of aliases to model groups, not %s", v.kind)
		return
	}
	for _, m := range v.members {
		at := path + "." + printable(m.name)
		var a Alias
		if m.v.kind == mapping {
			own := fields{"model": set(r.str, &a.Group), "hidden": set(r.bool, &a.Hidden)}
			r.mapping(m.v, at, own, func(m member, p string) { r.unknown(m, p, "field of an alias", sortedNames(own)) }, false)
		} else if m.v.missing == "" && m.v.kind != null {
			a.Group = r.str(m.v, at)
		}
		if a.Group == "" {
			r.fault(m.v, at, "must name the model group that it stands for")
			continue
		}
		c.Router.Aliases[m.name] = a
		r.aliasAt[m.name] = m.v
	}
}

func either[T any](first, second *T, otherwise T) T {
	if first != nil {
		return *first
	}
	if second != nil {
		return *second
	}
	return otherwise
}

// positive makes a zero duration unset, as Python's `or` does in LiteLLM.
func positive(d *time.Duration) *time.Duration {
	if d != nil && *d == 0 {
		return nil
	}
	return d
}

func nonEmpty(first, second map[string][]string) map[string][]string {
	switch {
	case len(first) > 0:
		return first
	case len(second) > 0:
		return second
	}
	return map[string][]string{}
}
