package store

import (
	"errors"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
)

// prismaOnly are parameters of LiteLLM's database URLs that only its own client knows
// (https://www.prisma.io/docs/orm/overview/databases/postgresql); PostgreSQL would refuse them.
var prismaOnly = []string{
	"connection_limit", "pool_timeout", "socket_timeout", "statement_cache_size", "sslidentity", "sslpassword", "sslaccept",
	"single_use_connections", "max_idle_connection_lifetime", "max_connection_lifetime",
}

// CheckURL tells whether [Open] could read a URL; an empty one stands for SQLite.
func CheckURL(s string) error {
	if s == "" {
		return nil
	}
	_, err := parseURL(s)
	return err
}

func parseURL(s string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(PlainURL(s))
	if err != nil { // pgx's own words repeat the URL, in part
		return nil, errors.New("the database URL cannot be read: write postgres://user:password@host:5432/database")
	}
	return config, nil
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
