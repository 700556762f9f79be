package config

import (
	"net"
	"strconv"
	"strings"
)

// Redis is the store that several gateways share: counters of limits and budgets. It is found, in this order, in
// router_settings (redis_url, redis_host …), in litellm_settings.cache_params of type redis, in
// general_settings.coordination_redis, and in the environment (REDIS_URL, REDIS_HOST …), as with LiteLLM
// (https://docs.litellm.ai/docs/proxy/caching, https://docs.litellm.ai/docs/routing).
type Redis struct {
	URL                Secret // redis://, rediss:// or unix://, may hold a password; it goes before all others
	Addresses          []string
	Username, Password Secret
	DB                 int
	TLS                bool
	Cluster            bool // Addresses are nodes of a cluster
	Sentinel           string
}

// Set tells whether there is one.
func (r *Redis) Set() bool { return r.URL != "" || len(r.Addresses) > 0 }

// FailModes say what happens to calls while the shared store is out of reach.
type FailModes struct {
	Budgets string // "closed": calls with a budget are refused; "open": they pass
	Rates   string // "local": every gateway lets its share through; "open"; "closed"
}

// redisFields are one section's settings, the names beginning with prefix.
func (r *reader) redisFields(to *Redis, prefix string) fields {
	var host, port string
	address := func() {
		if host != "" {
			to.Addresses = []string{net.JoinHostPort(host, port)}
		}
	}
	port = "6379"
	return fields{
		prefix + "url":      func(v *value, path string) { to.URL = Secret(r.redisURL(v, path)) },
		prefix + "host":     func(v *value, path string) { host = r.str(v, path); address() },
		prefix + "port":     func(v *value, path string) { port = strconv.Itoa(r.count(v, path)); address() },
		prefix + "password": set(r.secret, &to.Password),
		prefix + "username": set(r.secret, &to.Username),
		prefix + "db":       set(r.count, &to.DB),
		prefix + "ssl":      set(r.bool, &to.TLS),
	}
}

func (r *reader) redisURL(v *value, path string) string {
	s := strings.TrimSpace(r.str(v, path))
	for _, scheme := range []string{"redis://", "rediss://", "unix://"} {
		if strings.HasPrefix(s, scheme) {
			return s
		}
	}
	r.fault(v, path, "must start with redis://, rediss:// or unix://")
	return ""
}

// cacheParams reads the connection in litellm_settings.cache_params.
func (r *reader) cacheParams(v *value, path string) Redis {
	var out Redis
	kind := "redis"
	if t := v.get("type"); t != nil && t.missing == "" {
		kind = t.text
	}
	if !strings.HasPrefix(kind, "redis") || v.kind != mapping {
		return out
	}
	fs := r.redisFields(&out, "")
	fs["redis_startup_nodes"] = func(v *value, path string) {
		for i, n := range v.items {
			host, port := n.get("host"), n.get("port")
			if host == nil || port == nil {
				r.fault(v, path, "entry %d needs host and port", i+1)
				continue
			}
			out.Addresses, out.Cluster = append(out.Addresses, net.JoinHostPort(host.text, port.text)), true
		}
	}
	fs["service_name"] = set(r.str, &out.Sentinel)
	fs["sentinel_nodes"] = func(v *value, path string) {
		for i, n := range v.items {
			if len(n.items) != 2 {
				r.fault(v, path, "entry %d must be a host and a port", i+1)
				continue
			}
			out.Addresses = append(out.Addresses, net.JoinHostPort(n.items[0].text, n.items[1].text))
		}
	}
	r.mapping(v, path, fs, func(member, string) {}, false)
	return out
}

// environmentRedis is the store that the environment names.
func (r *reader) environmentRedis() Redis {
	get := func(name string) string {
		s, _ := r.env.lookup(name)
		return strings.TrimSpace(s)
	}
	out := Redis{Username: Secret(get("REDIS_USERNAME")), Password: Secret(get("REDIS_PASSWORD")), TLS: truth[strings.ToLower(get("REDIS_SSL"))]}
	if url := get("REDIS_URL"); url != "" {
		out.URL = Secret(url)
	} else if host := get("REDIS_HOST"); host != "" {
		port := get("REDIS_PORT")
		if port == "" {
			port = "6379"
		}
		out.Addresses = []string{net.JoinHostPort(host, port)}
	}
	out.DB, _ = strconv.Atoi(get("REDIS_DB"))
	return out
}

// failMode reads general_settings.fail_mode: one word for everything, or a mapping of budgets and rates.
func (r *reader) failMode(g *General) func(*value, string) {
	word := func(to *string, words ...string) func(*value, string) {
		return func(v *value, path string) {
			s := r.str(v, path)
			for _, w := range words {
				if s == w {
					*to = s
					return
				}
			}
			r.fault(v, path, "must be one of %s", strings.Join(words, ", "))
		}
	}
	return func(v *value, path string) {
		if v.kind != mapping {
			var mode string
			if word(&mode, "open", "closed")(v, path); mode != "" {
				g.Fail.Budgets, g.Fail.Rates = mode, mode
			}
			return
		}
		fs := fields{"budgets": word(&g.Fail.Budgets, "open", "closed"), "rates": word(&g.Fail.Rates, "local", "open", "closed")}
		r.mapping(v, path, fs, r.notRead("general_settings.fail_mode", names{}, fs), false)
	}
}
