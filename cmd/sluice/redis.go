package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sluicegw/sluice/cmd/sluice/config"
	"github.com/sluicegw/sluice/extproc"
	"github.com/sluicegw/sluice/policy/budget"
	"github.com/sluicegw/sluice/policy/observe"
	"github.com/sluicegw/sluice/policy/ratelimit"
	"github.com/sluicegw/sluice/policy/spend"
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

// shareBudgets has the book share its budgets with other gateways. They need a common ledger for that: with a SQLite
// file each, a server that has lost its data could not be told what all have spent.
func (r *instance) shareBudgets(ctx context.Context, o *spend.Options, dir string) error {
	switch {
	case r.redis == nil:
		return nil
	case !r.db.Postgres():
		r.log.Warn("budgets are this gateway's own: to share them, gateways need a PostgreSQL beside the Redis (general_settings.database_url)")
		return nil
	}
	id, err := identity(filepath.Join(dir, "gateway-id"))
	if err != nil {
		return err
	}
	o.Keeper = func(own budget.Options, database budget.Loader) budget.Keeper {
		r.shared = budget.NewShared(budget.SharedOptions{
			Options: own, Client: r.redis, ID: id, Database: database, Trouble: r.budgetsOutOfReach,
			Repaired: func(rep budget.Repair) { r.book.Repaired(rep) },
		})
		r.shared.Beat(ctx)
		return r.shared
	}
	return nil
}

func (r *instance) budgetsOutOfReach(err error) {
	if err != nil {
		r.log.Error("Redis is out of reach: calls that have a budget are refused (general_settings.fail_mode)", "error", err)
		return
	}
	r.log.Info("Redis is back: budgets are asked again")
}

// identity is this gateway's name among those that share budgets. It lies beside the journal, whose calls it held
// money for before a restart.
func identity(path string) (string, error) {
	text, err := os.ReadFile(path)
	if id := strings.TrimSpace(string(text)); err == nil && id != "" {
		return id, nil
	}
	id := rand.Text()
	if err := os.WriteFile(path, []byte(id+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("this gateway's name cannot be written down: %w", err)
	}
	return id, nil
}
