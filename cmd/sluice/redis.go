package main

import (
	"context"
	"fmt"

	"github.com/sluicegw/sluice/cmd/sluice/config"
	"github.com/sluicegw/sluice/extproc"
	"github.com/sluicegw/sluice/policy/observe"
	"github.com/sluicegw/sluice/policy/ratelimit"
	"github.com/sluicegw/sluice/policy/store"
)

// openRedis makes the client of the store that gateways share, if one is configured; it connects when it is used.
func (r *instance) openRedis(c *config.Config) error {
	if !c.Redis.Set() {
		return nil
	}
	o := store.RedisOptions{
		URL: c.Redis.URL.Reveal(), Addresses: c.Redis.Addresses, Cluster: c.Redis.Cluster, Sentinel: c.Redis.Sentinel,
		Username: c.Redis.Username.Reveal(), Password: c.Redis.Password.Reveal(), DB: c.Redis.DB, TLS: c.Redis.TLS,
	}
	var err error
	if r.redis, err = store.OpenRedis(o); err != nil {
		return fmt.Errorf("the configuration's Redis cannot be used: %w", err)
	}
	return nil
}

// limiter keeps the limits of callers and deployments: with other gateways, or alone.
func (r *instance) limiter(ctx context.Context, c *config.Config, m *observe.Metrics) ratelimit.Limiter {
	if r.redis == nil {
		return ratelimit.NewMemory(nil)
	}
	mode := ratelimit.FailMode(c.General.Fail.Rates)
	if mode == "" {
		mode = ratelimit.FailLocal
	}
	s := ratelimit.NewShared(ratelimit.NewRedis(r.redis, nil), mode)
	s.Trouble = func(err error) {
		if err != nil {
			r.log.Error("Redis is out of reach: limits are kept by each gateway for its share", "fail_mode", mode, "error", err)
			return
		}
		r.log.Info("Redis is back")
	}
	m.Watch("sluice_redis_up", "1 while the shared Redis answers.", func() float64 {
		if s.Reachable() {
			return 1
		}
		return 0
	})
	m.Watch("sluice_gateways", "How many gateways share the Redis, this one included.", func() float64 { return float64(s.Replicas()) })
	go s.Run(ctx)
	return s
}

// rates are the limits that the configuration sets for everybody.
func rates(c *config.Config) extproc.Rates {
	return extproc.Rates{Parallel: int64(c.General.GlobalMaxParallelRequests), KeyParallel: int64(c.General.MaxParallelRequests)}
}
