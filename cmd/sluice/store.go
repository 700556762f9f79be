package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/sluicegw/sluice/cmd/sluice/config"
	"github.com/sluicegw/sluice/policy/admin"
	"github.com/sluicegw/sluice/policy/budget"
	"github.com/sluicegw/sluice/policy/keys"
	"github.com/sluicegw/sluice/policy/store"
)

const (
	// storePatience is how long a start waits for PostgreSQL before it goes on without it.
	storePatience = 3 * time.Second
	// refreshEvery renews what depends on the clock; see [keys.Directory.Refresh].
	refreshEvery = time.Minute
)

// openStore opens the database and begins to follow its changes. It waits until keys are known, or until it is
// plain that PostgreSQL is away: then it is told, virtual keys get a 503, and everything else works.
func (r *instance) openStore(ctx context.Context, c *config.Config) error {
	o, err := r.storeOptions(c)
	if err != nil {
		return err
	}
	url := o.URL
	db, err := store.Open(ctx, o)
	if err != nil {
		if url == "" {
			return fmt.Errorf("%w; name a folder that can be written to with --data-dir, or set general_settings.database_url", err)
		}
		return fmt.Errorf("general_settings.database_url: %w", err)
	}
	r.db, r.databaseURL, r.databasePath = db, url, o.Path
	r.modelsChanged = make(chan struct{}, 1)
	r.directory = keys.NewDirectory(db.Down)
	r.follower = db.Objects().Follow(r.takeObjects)
	r.log.Info("keys and spend are kept", "where", db.Where())
	go r.follower.Run(ctx)
	go r.refreshKeys(ctx)
	return r.awaitStore(ctx)
}

// storeOptions say where the data of a configuration is.
func (r *instance) storeOptions(c *config.Config) (store.Options, error) {
	o := store.Options{URL: databaseURL(c), Log: r.log}
	if o.URL != "" {
		return o, nil
	}
	dir, err := r.options.dataFolder(os.Getenv)
	o.Path = filepath.Join(dir, "sluice.db")
	return o, err
}

// databaseURL is where LiteLLM looks for it.
func databaseURL(c *config.Config) string {
	if url := c.General.DatabaseURL.Reveal(); url != "" {
		return url
	}
	url, _ := c.LookupEnv("DATABASE_URL")
	return strings.TrimSpace(url)
}

func (r *instance) awaitStore(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); !r.directory.Loaded(); {
		if r.db.Postgres() && time.Since(began) > storePatience {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// takeObjects is given every change of the store.
func (r *instance) takeObjects(changed []store.Object, whole bool) {
	r.directory.Apply(changed, whole)
	if len(changed) > 10_000 { // what reading so many took is not needed again soon; at this moment it still is
		time.AfterFunc(2*time.Second, debug.FreeOSMemory)
	}
	if whole || slices.ContainsFunc(changed, func(o store.Object) bool { return o.Kind == keys.KindModel }) {
		select {
		case r.modelsChanged <- struct{}{}:
		default: // it is known already
		}
	}
}

// storage is what the admin API works on.
func (r *instance) storage() *admin.Storage {
	return &admin.Storage{Objects: r.db.Objects(), Directory: r.directory, Sync: r.follower.Sync, Models: r.modelStore(),
		Spent: r.spentOf, SetSpent: r.setSpent, Calendar: func() budget.Calendar { return r.book.Counters().Calendar() }}
}

func (r *instance) refreshKeys(ctx context.Context) {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.directory.Refresh()
		}
	}
}

// databaseState is readiness' "db", in LiteLLM's words; without PostgreSQL there is nothing to be connected to.
func (r *instance) databaseState(context.Context) (string, bool) {
	switch {
	case !r.db.Postgres():
		return "Not connected", r.db.Down() == nil
	case r.db.Down() != nil || !r.directory.Loaded():
		return "disconnected", false
	}
	return "connected", true
}

// dataFolder is where a sluice without PostgreSQL keeps its files: --data-dir or SLUICE_DATA_DIR as it is, else one
// for each configuration, by its path, below the place that the system has for such files.
func (o *options) dataFolder(getenv func(string) string) (string, error) {
	if o.dataDir != "" {
		return filepath.Abs(o.dataDir)
	}
	base := ""
	switch {
	case getenv("STATE_DIRECTORY") != "": // systemd's; there may be several, parted by colons
		base, _, _ = strings.Cut(getenv("STATE_DIRECTORY"), ":")
	case getenv("XDG_STATE_HOME") != "":
		base = filepath.Join(getenv("XDG_STATE_HOME"), "sluice")
	case getenv("HOME") != "":
		base = filepath.Join(getenv("HOME"), ".local", "state", "sluice")
	default:
		base = "/var/lib/sluice"
	}
	path, err := filepath.Abs(o.config)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(path))
	name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)) + "-" + hex.EncodeToString(sum[:4])
	return filepath.Join(base, name), nil
}
