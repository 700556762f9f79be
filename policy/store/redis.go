package store

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

// RedisOptions say where a Redis or Valkey (7 or later) is.
type RedisOptions struct {
	URL                string   // redis://, rediss:// or unix://; the other fields are for those without one
	Addresses          []string // host:port; several of a cluster, or of sentinels
	Cluster            bool
	Sentinel           string // the master's name: Addresses are sentinels
	Username, Password string
	DB                 int
	TLS                bool
}

// OpenRedis makes a client; it connects when it is used. Commands end with their context and are not tried
// again: who asks for every call decides itself what a missing answer means. The error holds no password.
func OpenRedis(o RedisOptions) (redis.UniversalClient, error) {
	redis.SetLogger(silence{}) // it writes to stderr, past the process's own log
	u := redis.UniversalOptions{
		Addrs: o.Addresses, MasterName: o.Sentinel, IsClusterMode: o.Cluster,
		Username: o.Username, Password: o.Password, DB: o.DB,
	}
	if o.TLS {
		u.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if o.URL != "" {
		p, err := redis.ParseURL(o.URL)
		if err != nil {
			return nil, fmt.Errorf("the Redis URL cannot be read; write it like redis://user:password@host:6379/0")
		}
		u.Addrs, u.Username, u.Password, u.DB, u.TLSConfig = []string{p.Addr}, p.Username, p.Password, p.DB, p.TLSConfig
		if p.Network == "unix" {
			u.Dialer = func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", p.Addr)
			}
		}
	}
	u.ContextTimeoutEnabled, u.MaxRetries, u.MaxRedirects = true, -1, 3
	u.DialTimeout, u.ReadTimeout, u.WriteTimeout = 2*time.Second, 2*time.Second, 2*time.Second
	u.DialerRetries = 1
	return redis.NewUniversalClient(&u), nil
}

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}
