package config

import (
	"strings"
	"time"
)

// Settings is what litellm_settings says apart from the router's part of it.
//
// https://docs.litellm.ai/docs/proxy/config_settings
type Settings struct {
	// AzureIdentity: Azure deployments without a key ask for tokens with the machine's managed identity.
	AzureIdentity bool
	DropParams    bool // the default for every deployment
	JSONLogs      bool
	Verbose       bool // set_verbose, here or in router_settings: log what --debug logs
	// The callbacks by name, in the order of the file and without repeats; callbacks: counts for both.
	SuccessCallbacks, FailureCallbacks []string
	// MetricsNeedKey closes /metrics to requests without a key.
	MetricsNeedKey bool
	// FetchHosts are hosts from which files may be fetched although their addresses are private.
	FetchHosts []string
}

// General is general_settings.
type General struct {
	// MasterKey is general_settings.master_key, else the variable LITELLM_MASTER_KEY; empty: the gateway
	// is open to whoever reaches it.
	MasterKey   Secret
	DatabaseURL Secret // postgres://…; empty: none
	// KeyHeader is the header that carries a client's key, besides the usual ones; empty: none.
	KeyHeader        string
	MaxRequestBytes  int64 // 0: not set
	MaxResponseBytes int64 // 0: not set
	// MaxParallelRequests is for each key, GlobalMaxParallelRequests for all together; 0: no limit.
	MaxParallelRequests, GlobalMaxParallelRequests int
	HealthCheckInterval                            time.Duration // 0: not set
	// ModelsFixed forbids to make models at run time: store_model_in_db: false.
	ModelsFixed bool
	// MaxBudget is what all keys together may spend in a BudgetDuration, in US dollars; nil: no limit. As
	// in LiteLLM it may also stand in litellm_settings; general_settings comes first.
	MaxBudget      *float64
	BudgetDuration Duration // zero: the budget is for all time
	Fail           FailModes
}

// builtCallbacks are the callbacks that do something here.
var builtCallbacks = map[string]bool{"prometheus": true}

func (r *reader) litellmSettings(c *Config, v *value) {
	nothing := func(*value, string) {}
	var success, failure, both []string
	fs := fields{
		"drop_params":                   set(r.bool, &c.Settings.DropParams),
		"json_logs":                     set(r.bool, &c.Settings.JSONLogs),
		"enable_azure_ad_token_refresh": set(r.bool, &c.Settings.AzureIdentity),
		"set_verbose":                   func(v *value, path string) { c.Settings.Verbose = r.bool(v, path) || c.Settings.Verbose },
		"success_callback":              set(r.callbacks, &success),
		"failure_callback":              set(r.callbacks, &failure),
		"callbacks":                     set(r.callbacks, &both),

		"require_auth_for_metrics_endpoint": set(r.bool, &c.Settings.MetricsNeedKey),

		"user_url_allowed_hosts": set(r.strs, &c.Settings.FetchHosts),
		"user_url_validation": func(v *value, path string) {
			if !r.bool(v, path) {
				r.warn(v, path, "has no effect: files are never fetched from private addresses; name the hosts that are trusted in user_url_allowed_hosts")
			}
		},

		"guardrails": nothing, // read with the top level's
		"cache":      func(v *value, path string) { r.bool(v, path) },
		"cache_params": func(v *value, path string) {
			if found := r.cacheParams(v, path); !c.Redis.Set() {
				c.Redis = found
			}
		},
	}
	r.budget(c, fs)
	r.litellmBudgets(&c.Budgets, fs)
	// routerSettings has read these.
	for name := range new(shared).fields(r) {
		fs[name] = nothing
	}
	fs["request_timeout"] = nothing
	r.mappingQuietly(v, "litellm_settings", fs, r.notRead("litellm_settings", knownLiteLLM, fs))
	c.Settings.SuccessCallbacks = unique(success, both)
	c.Settings.FailureCallbacks = unique(failure, both)
}

// mappingQuietly is mapping for a section that has been read before, so that what that reading already
// said of missing variables is not said twice.
func (r *reader) mappingQuietly(v *value, path string, fs fields, other func(m member, path string)) {
	quietly := fields{}
	for name, read := range fs {
		quietly[name] = func(v *value, path string) {
			if v.missing == "" {
				read(v, path)
			}
		}
	}
	r.mapping(v, path, quietly, other, true)
}

// callbacks reads a list of them, and warns of those that do nothing.
func (r *reader) callbacks(v *value, path string) []string {
	names := r.strs(v, path)
	var unbuilt []string
	for _, name := range names {
		if !builtCallbacks[name] {
			hint := ""
			if near := Near(name, sortedNames(builtCallbacks)); near != "" {
				hint = " (did you mean " + near + "?)"
			}
			unbuilt = append(unbuilt, printable(name)+hint)
		}
	}
	if len(unbuilt) > 0 {
		r.warn(v, path, "not built yet, so nothing is sent to: %s", strings.Join(unbuilt, ", "))
	}
	return names
}

// databaseURL reads the address of a PostgreSQL: a URL, or PostgreSQL's own "host=… user=…".
func (r *reader) databaseURL(v *value, path string) Secret {
	s := r.secret(v, path)
	text := s.Reveal()
	switch {
	case text == "", strings.HasPrefix(text, "postgres://"), strings.HasPrefix(text, "postgresql://"):
	case strings.Contains(text, "://"), !strings.Contains(text, "="):
		r.fault(v, path, "must start with postgres:// or postgresql://: there are no other databases")
	}
	return s
}

func (r *reader) generalSettings(c *Config, v *value) {
	g := &c.General
	master := v.get("master_key")
	megabytes := func(to *int64) func(*value, string) {
		return func(v *value, path string) { *to = int64(min(r.number(v, path), 1<<20) * (1 << 20)) }
	}
	fs := fields{
		"database_url":      set(r.databaseURL, &g.DatabaseURL),
		"store_model_in_db": func(v *value, path string) { g.ModelsFixed = !r.bool(v, path) },
		"litellm_key_header_name": func(v *value, path string) {
			if g.KeyHeader = r.str(v, path); !headerName(g.KeyHeader) {
				r.fault(v, path, "is not a valid header name")
			}
		},
		"max_request_size_mb":          megabytes(&g.MaxRequestBytes),
		"max_response_size_mb":         megabytes(&g.MaxResponseBytes),
		"max_parallel_requests":        set(r.count, &g.MaxParallelRequests),
		"global_max_parallel_requests": set(r.count, &g.GlobalMaxParallelRequests),
		"health_check_interval":        set(r.duration, &g.HealthCheckInterval),
		"fail_mode":                    r.failMode(g),
		"coordination_redis": func(v *value, path string) {
			if found := r.cacheParams(v, path); !c.Redis.Set() {
				c.Redis = found
			}
		},
	}
	r.budget(c, fs)
	r.generalBudgets(&c.Budgets, fs)
	for name, read := range fs {
		fs[name] = func(v *value, path string) {
			if v.missing != "" {
				r.missing(v, path)
				return
			}
			read(v, path)
		}
	}
	fs["master_key"] = func(*value, string) {} // masterKey has its own words for a missing one
	r.mapping(v, "general_settings", fs, r.notRead("general_settings", knownGeneral, fs), true)
	r.masterKey(c, v, master)
}

// budget adds the fields of the global budget, which stands in general_settings or litellm_settings.
// Whichever is read last, general_settings, wins.
func (r *reader) budget(c *Config, fs fields) {
	fs["max_budget"] = setPtr(r.number, &c.General.MaxBudget)
	fs["budget_duration"] = func(v *value, path string) {
		d := r.calendar(v, path)
		if n, isMonth := strings.CutSuffix(strings.TrimSpace(v.text), "m"); isMonth && d.Span > 0 {
			r.warn(v, path, "%s is counted in months here (LiteLLM: minutes); write %smo to be plain", printable(v.text), n)
			d = Duration{Months: int(d.Span / time.Minute)}
		}
		c.General.BudgetDuration = d
	}
}

// masterKey fails closed: a key that was meant to be there but is not must not open the gateway.
func (r *reader) masterKey(c *Config, section, v *value) {
	const path = "general_settings.master_key"
	at := &value{file: c.Path}
	if section != nil {
		at = section
	}
	switch {
	case v != nil && v.missing != "":
		r.fault(v, path, "the environment variable %s %s; set it, or the gateway would be open to everyone", v.env, v.missing)
		return
	case v != nil:
		at = v
		if c.General.MasterKey = r.secret(v, path); c.General.MasterKey == "" {
			r.fault(v, path, "is empty; give a key that starts with sk-, or remove the setting")
			return
		}
	default:
		s, _ := r.env.lookup("LITELLM_MASTER_KEY")
		c.General.MasterKey = Secret(strings.TrimSpace(s))
	}
	switch key := c.General.MasterKey.Reveal(); {
	case key == "":
		r.warn(at, path, "there is none, so everyone who reaches this gateway may use every model; set it, or LITELLM_MASTER_KEY")
	case !strings.HasPrefix(key, "sk-"):
		r.fault(at, path, "must start with sk-, as every key does")
	case key == "sk-1234":
		r.warn(at, path, "is the example key of LiteLLM's documentation, which everyone knows; replace it")
	}
}

// unique joins lists without repeats.
func unique(lists ...[]string) []string {
	var out []string
	seen := map[string]bool{}
	for _, l := range lists {
		for _, s := range l {
			if !seen[s] {
				seen[s] = true
				out = append(out, s)
			}
		}
	}
	return out
}
