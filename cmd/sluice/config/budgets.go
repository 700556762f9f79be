package config

import (
	"strings"
	"time"

	"github.com/sluicegw/sluice/policy/budget"
)

// Budgets are the settings of money apart from the global budget, which is in [General].
type Budgets struct {
	// Status of the answer to a call that no budget has room for: litellm_settings.budget_exceeded_status_code.
	Status int
	// Zone and At are where and at what time of day budgets begin anew: litellm_settings.timezone, nil: UTC, and
	// budget_reset_time.
	Zone *time.Location
	At   time.Duration
	// Tags are litellm_settings.tag_budget_config, Providers router_settings.provider_budget_config.
	Tags, Providers map[string]ScopeBudget
	// CustomerMax is what each end user may spend that has no budget: litellm_settings.max_end_user_budget, US dollars;
	// CustomerBudget is the budget object that holds for it: max_end_user_budget_id.
	CustomerMax    *float64
	CustomerBudget string
	// UserMax and UserDuration are the budget of new internal users that are given none:
	// litellm_settings.max_internal_user_budget, US dollars, and internal_user_budget_duration.
	UserMax      *float64
	UserDuration string
	// FailOpen lets calls go that cannot be written down: general_settings.spend_fail_mode: open.
	FailOpen bool
	// UsersOfTeams is general_settings.apply_user_budget_to_team_keys.
	UsersOfTeams bool
	// Retention is how long rows of spend are kept; 0: for ever.
	Retention time.Duration
	// Webhook says that events of budgets are sent to the URL in WEBHOOK_URL: general_settings.alerting has it.
	Webhook bool
}

// ScopeBudget is a budget of something that the configuration names.
type ScopeBudget struct {
	Max    float64 // US dollars
	Window budget.Window
}

// budgetStatus is what LiteLLM's client libraries are told by default.
const budgetStatus = 422

func (r *reader) litellmBudgets(b *Budgets, fs fields) {
	b.Status = budgetStatus
	fs["budget_exceeded_status_code"] = func(v *value, path string) {
		if b.Status = r.count(v, path); b.Status < 400 || b.Status > 599 {
			r.fault(v, path, "must be a status between 400 and 599, not %s", r.describe(v))
		}
	}
	fs["timezone"] = func(v *value, path string) {
		zone, err := time.LoadLocation(r.str(v, path))
		if err != nil {
			r.fault(v, path, "is not a time zone: write a name such as Europe/Berlin, not %s", r.describe(v))
		}
		b.Zone = zone
	}
	fs["budget_reset_time"] = func(v *value, path string) { b.At = r.timeOfDay(v, path) }
	fs["max_end_user_budget"] = setPtr(r.number, &b.CustomerMax)
	fs["max_end_user_budget_id"] = set(r.str, &b.CustomerBudget)
	fs["max_internal_user_budget"] = setPtr(r.number, &b.UserMax)
	fs["default_max_internal_user_budget"] = func(v *value, path string) { // an older name
		if most := r.number(v, path); b.UserMax == nil {
			b.UserMax = &most
		}
	}
	fs["internal_user_budget_duration"] = func(v *value, path string) {
		r.window(v, path)
		b.UserDuration = strings.TrimSpace(v.text)
	}
	fs["tag_budget_config"] = func(v *value, path string) { b.Tags = r.scopeBudgets(v, path, "max_budget", "budget_duration") }
}

func (r *reader) routerBudgets(b *Budgets, fs fields) {
	fs["provider_budget_config"] = func(v *value, path string) { b.Providers = r.scopeBudgets(v, path, "budget_limit", "time_period") }
}

func (r *reader) generalBudgets(b *Budgets, fs fields) {
	fs["spend_fail_mode"] = func(v *value, path string) { b.FailOpen = r.oneOf(v, path, []string{"closed", "open"}) == "open" }
	fs["apply_user_budget_to_team_keys"] = set(r.bool, &b.UsersOfTeams)
	fs["maximum_spend_logs_retention_period"] = set(r.duration, &b.Retention)
	fs["alerting"] = func(v *value, path string) {
		for _, name := range r.strs(v, path) {
			if name == "webhook" {
				b.Webhook = true
				continue
			}
			r.warn(v, path, "%s is known to LiteLLM, not built yet: events of budgets go to a webhook only", printable(name))
		}
		if b.Webhook {
			if url, _ := r.env.lookup("WEBHOOK_URL"); url == "" {
				r.warn(v, path, "has webhook, but the environment variable WEBHOOK_URL is not set: events are only logged")
			}
		}
	}
}

// timeOfDay reads "HH:MM" or "HH:MM:SS". YAML makes a number of an unquoted 12:00, so the text alone counts.
func (r *reader) timeOfDay(v *value, path string) time.Duration {
	for _, layout := range []string{"15:04", "15:04:05"} {
		if t, err := time.Parse(layout, strings.TrimSpace(v.text)); err == nil {
			return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second
		}
	}
	r.fault(v, path, `must be a time of day such as "12:00", not %s`, r.describe(v))
	return 0
}

// scopeBudgets reads {name: {amount: …, duration: …}}.
func (r *reader) scopeBudgets(v *value, path, amount, duration string) map[string]ScopeBudget {
	out := map[string]ScopeBudget{}
	if v.kind != mapping {
		r.fault(v, path, "must be a mapping of names to budgets, not %s", v.kind)
		return nil
	}
	for _, m := range v.members {
		at := path + "." + printable(m.name)
		s := ScopeBudget{Max: -1}
		own := fields{amount: set(r.number, &s.Max)}
		own[duration] = func(v *value, path string) { s.Window = r.window(v, path) }
		r.mapping(m.v, at, own, func(m member, p string) { r.unknown(m, p, "field of a budget", sortedNames(own)) }, false)
		if s.Max < 0 {
			r.fault(m.v, at+"."+amount, "is missing; write the US dollars that may be spent")
			continue
		}
		out[m.name] = s
	}
	return out
}

func (r *reader) window(v *value, path string) budget.Window {
	w, inMinutes, err := budget.ParseWindow(r.str(v, path))
	if err != nil {
		r.fault(v, path, "%s", err)
	}
	if inMinutes {
		r.warn(v, path, "%s is counted in months here (LiteLLM: minutes); write %dmo to be plain", printable(v.text), w.Months)
	}
	return w
}
