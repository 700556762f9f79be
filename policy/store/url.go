package store

import (
	"net/url"
	"strings"
)

// prismaOnly are parameters of LiteLLM's database URLs that only its own client knows
// (https://www.prisma.io/docs/orm/overview/databases/postgresql); PostgreSQL would refuse them.
var prismaOnly = []string{
	"connection_limit", "pool_timeout", "socket_timeout", "statement_cache_size", "sslidentity", "sslpassword", "sslaccept",
	"single_use_connections", "max_idle_connection_lifetime", "max_connection_lifetime",
}

// PlainURL makes a URL that was written for LiteLLM one for PostgreSQL. What is no URL ("host=… user=…") stays
// as it is.
func PlainURL(s string) string {
	u, err := url.Parse(strings.TrimSpace(s))
	if err != nil || !strings.HasPrefix(u.Scheme, "postgres") {
		return s
	}
	q := u.Query()
	for _, name := range prismaOnly {
		q.Del(name)
	}
	if schema := q.Get("schema"); schema != "" {
		q.Del("schema")
		q.Set("search_path", schema)
	}
	if q.Get("pgbouncer") == "true" { // prepared statements do not survive its transaction mode
		q.Set("default_query_exec_mode", "exec")
	}
	q.Del("pgbouncer")
	u.RawQuery = q.Encode()
	return u.String()
}
