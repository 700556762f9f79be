package config

import (
	"fmt"
	"time"

	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/policy/route"
)

// Routing is what router_settings says of how a deployment is chosen and how failures are borne.
type Routing struct {
	Args   route.StrategyArgs             // routing_strategy_args
	Groups map[string]route.GroupStrategy // routing_groups, by model group
	// Affinity is optional_pre_call_checks' session_affinity, deployment_affinity and prompt_caching.
	Affinity route.Affinity

	AllowedFailsByKind map[apierror.Kind]int // allowed_fails_policy
	// MaxParallelRequests is default_max_parallel_requests, for deployments without their own; 0: no limit.
	MaxParallelRequests int

	// RetryBudget is the share of a group's calls that may be retries, retry_budget_percent as a fraction, and
	// RetryFloor, retry_budget_floor, how many a minute it may have anyway.
	RetryBudget float64
	RetryFloor  int
	// CallTimeout is the one deadline of all of a call's attempts; 0: none but the attempts' own.
	CallTimeout time.Duration
}

// routingFields adds the members of router_settings that [Routing] holds.
func (r *reader) routingFields(c *Config, fs fields) {
	rt := &c.Router.Routing
	rt.RetryBudget, rt.RetryFloor = route.DefaultRetryBudget, route.DefaultRetryFloor
	fs["routing_strategy"] = func(v *value, path string) {
		if s := r.strategy(v, path); s != "" {
			c.Router.Strategy = s
		}
	}
	fs["routing_strategy_args"] = func(v *value, path string) { rt.Args = r.strategyArgs(v, path) }
	fs["routing_groups"] = func(v *value, path string) { r.routingGroups(rt, v, path) }
	fs["optional_pre_call_checks"] = func(v *value, path string) { r.preCallChecks(rt, v, path) }
	fs["allowed_fails_policy"] = func(v *value, path string) { r.allowedFailsPolicy(rt, v, path) }
	fs["default_max_parallel_requests"] = set(r.count, &rt.MaxParallelRequests)
	fs["retry_budget_percent"] = func(v *value, path string) { rt.RetryBudget = r.number(v, path) / 100 }
	fs["retry_budget_floor"] = set(r.count, &rt.RetryFloor)
	fs["call_timeout"] = set(r.duration, &rt.CallTimeout)
}

// strategy reads the name of a strategy, which may be written with _ for -.
func (r *reader) strategy(v *value, path string) string {
	if s := route.StrategyNamed(r.str(v, path)); s != "" {
		return s
	}
	return r.oneOf(v, path, route.Strategies()) // which says what is wrong
}

func (r *reader) strategyArgs(v *value, path string) (a route.StrategyArgs) {
	own := fields{
		"ttl":                   set(r.duration, &a.TTL),
		"lowest_latency_buffer": set(r.number, &a.LatencyBuffer),
		"max_latency_list_size": set(r.count, &a.MaxSamples),
		"ttft_percentile": func(v *value, path string) {
			if a.TTFTPercentile = r.number(v, path); a.TTFTPercentile <= 0 || a.TTFTPercentile > 1 {
				r.fault(v, path, "must be above 0 and at most 1, such as 0.9")
			}
		},
	}
	r.mapping(v, path, own, func(m member, p string) { r.unknown(m, p, "argument of a strategy", sortedNames(own)) }, false)
	return a
}

// routingGroups reads [{group_name, models, routing_strategy, routing_strategy_args}]: strategies for some
// model groups (https://docs.litellm.ai/docs/routing).
func (r *reader) routingGroups(rt *Routing, v *value, path string) {
	if v.kind != list {
		r.fault(v, path, "must be a list of {group_name, models, routing_strategy}, not %s", v.kind)
		return
	}
	rt.Groups = map[string]route.GroupStrategy{}
	for i, item := range v.items {
		path := fmt.Sprintf("%s[%d]", path, i)
		var g route.GroupStrategy
		var name string
		var models []string
		own := fields{
			"group_name":            set(r.str, &name),
			"models":                set(r.strs, &models),
			"routing_strategy_args": func(v *value, path string) { g.Args = r.strategyArgs(v, path) },
			"model_priorities":      func(*value, string) {},
			"routing_strategy": func(v *value, path string) {
				if v.text == "priority" {
					r.warn(v, path, "priority is known to LiteLLM, not built: give the deployments an order, or the model group fallbacks")
					return
				}
				g.Strategy = r.strategy(v, path)
			},
		}
		r.mapping(item, path, own, func(m member, p string) { r.unknown(m, p, "field of a routing group", sortedNames(own)) }, false)
		for _, model := range models {
			if _, twice := rt.Groups[model]; twice {
				r.fault(item, path, "the model group %s is in two routing groups; it may be in one", printable(model))
			}
			if g.Strategy != "" {
				rt.Groups[model] = g
			}
		}
	}
}

// preCallChecks reads optional_pre_call_checks. Limits of deployments are kept whether or not it asks for that.
func (r *reader) preCallChecks(rt *Routing, v *value, path string) {
	for _, check := range r.strs(v, path) {
		switch check {
		case "session_affinity":
			rt.Affinity |= route.BySession
		case "deployment_affinity":
			rt.Affinity |= route.ByKey
		case "prompt_caching":
			rt.Affinity |= route.ByPrompt
		case "enforce_model_rate_limits":
		default:
			r.warn(v, path, "%s is not built yet and has no effect; there are session_affinity, deployment_affinity and prompt_caching", printable(check))
		}
	}
}

// failsPolicy are the members of allowed_fails_policy, and the kinds of failure that they stand for. Those without
// a kind never put a deployment out of service.
var failsPolicy = map[string][]apierror.Kind{
	"AuthenticationErrorAllowedFails":         {apierror.Unauthenticated},
	"TimeoutErrorAllowedFails":                {apierror.Timeout},
	"RateLimitErrorAllowedFails":              {apierror.RateLimit},
	"InternalServerErrorAllowedFails":         {apierror.Internal, apierror.Unavailable, apierror.BadReply},
	"ServiceUnavailableErrorAllowedFails":     {apierror.Overloaded},
	"BadGatewayErrorAllowedFails":             {apierror.Internal},
	"NotFoundErrorAllowedFails":               {apierror.NotFound},
	"BadRequestErrorAllowedFails":             nil,
	"ContentPolicyViolationErrorAllowedFails": nil,
}

func (r *reader) allowedFailsPolicy(rt *Routing, v *value, path string) {
	rt.AllowedFailsByKind = map[apierror.Kind]int{}
	own := fields{}
	for name, kinds := range failsPolicy {
		own[name] = func(v *value, path string) {
			n := r.count(v, path)
			if kinds == nil {
				r.warn(v, path, "has no effect: what is wrong with a request never counts against a deployment")
			}
			for _, k := range kinds {
				if name == "BadGatewayErrorAllowedFails" && v != nil {
					if _, wider := rt.AllowedFailsByKind[k]; wider {
						continue // InternalServerError's
					}
				}
				rt.AllowedFailsByKind[k] = n
			}
		}
	}
	r.mapping(v, path, own, func(m member, p string) { r.unknown(m, p, "kind of failure", sortedNames(own)) }, false)
}
