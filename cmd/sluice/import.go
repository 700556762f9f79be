package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicegw/sluice/cmd/sluice/config"
	"github.com/sluicegw/sluice/cmd/sluice/litellmdb"
	"github.com/sluicegw/sluice/internal/seal"
	"github.com/sluicegw/sluice/policy/keys"
	"github.com/sluicegw/sluice/policy/store"
)

// importTimeout bounds the connection to LiteLLM's database; reading and writing take as long as they take.
const importTimeout = 15 * time.Second

// runImport takes over what LiteLLM keeps in its database: all of it, or, on an error, nothing.
func runImport(ctx context.Context, o options, stdout io.Writer, log *slog.Logger) error {
	c := config.Empty(os.LookupEnv)
	if o.config != "" {
		var err error
		if c, err = config.Load(o.config, os.LookupEnv); err != nil {
			return fmt.Errorf("the configuration cannot be used:\n%w", err)
		}
	}
	contents, err := readLiteLLM(ctx, o, c)
	if err != nil {
		return err
	}
	models, err := sealModels(c, contents.Models)
	if err != nil {
		return err
	}
	r := &instance{options: o, log: log}
	so, err := r.storeOptions(c)
	if err != nil {
		return err
	}
	db, err := store.Open(ctx, so)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	select {
	case <-db.Ready():
	case <-time.After(importTimeout):
		return fmt.Errorf("%s: %w", db.Where(), db.Down())
	case <-ctx.Done():
		return ctx.Err()
	}
	done, kept, err := putAll(ctx, db, append(contents.Objects, models...), o.overwrite, o.dryRun)
	if err != nil {
		return err
	}
	report(stdout, db.Where(), done, kept, contents.Notes, o.dryRun)
	return nil
}

// finishImport validates the flags of an import.
func (o *options) finishImport() error {
	if o.databaseURL == "" {
		return usage("sluice import litellm needs --database-url, the URL of LiteLLM's PostgreSQL")
	}
	if o.config == "" && o.dataDir == "" && os.Getenv("DATABASE_URL") == "" {
		return usage("say where to: give the gateway's --config FILE, or --data-dir DIR, or DATABASE_URL")
	}
	return nil
}

// readLiteLLM reads the database that --database-url names.
func readLiteLLM(ctx context.Context, o options, c *config.Config) (*litellmdb.Contents, error) {
	connecting, cancel := context.WithTimeout(ctx, importTimeout)
	defer cancel()
	settings, err := pgx.ParseConfig(store.PlainURL(o.databaseURL))
	if err != nil {
		return nil, errors.New("--database-url: write postgres://user:password@host:5432/database")
	}
	conn, err := pgx.ConnectConfig(connecting, settings)
	if err != nil {
		return nil, fmt.Errorf("LiteLLM's database at %s:%d cannot be reached: %w", settings.Host, settings.Port, store.OneLine(err))
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var tables int
	if err := conn.QueryRow(ctx, `SELECT count(*) FROM pg_catalog.pg_class WHERE oid = to_regclass('"LiteLLM_VerificationToken"')`).Scan(&tables); err != nil {
		return nil, fmt.Errorf("LiteLLM's database cannot be read: %w", err)
	}
	if tables == 0 {
		return nil, fmt.Errorf("the database %s at %s:%d has no tables of LiteLLM's; --database-url is the one that LiteLLM has in DATABASE_URL",
			settings.Database, settings.Host, settings.Port)
	}
	if o.withoutModels {
		return litellmdb.Read(ctx, conn, nil)
	}
	// LiteLLM's own order: the salt key, else the master key.
	salt, _ := c.LookupEnv("LITELLM_SALT_KEY")
	opener, err := seal.New(cmp.Or(strings.TrimSpace(salt), c.General.MasterKey.Reveal()))
	if err != nil {
		return nil, errors.New("LiteLLM's models cannot be opened: set LITELLM_SALT_KEY, or the master key that LiteLLM has, or leave them with --without-models")
	}
	return litellmdb.Read(ctx, conn, opener)
}

// sealModels makes stored models of LiteLLM's, under sluice's own key.
func sealModels(c *config.Config, models []litellmdb.Model) ([]store.Object, error) {
	if len(models) == 0 {
		return nil, nil
	}
	s, err := sealer(c)
	if err != nil {
		return nil, err
	}
	out := make([]store.Object, 0, len(models))
	for _, m := range models {
		params, err := json.Marshal(m.Params)
		if err != nil {
			return nil, err
		}
		m.Info["id"] = m.ID
		delete(m.Info, "db_model")
		now := time.Now().UTC().Format("2006-01-02T15:04:05.000000Z")
		doc, err := json.Marshal(map[string]any{"model_id": m.ID, "model_name": m.Name, "model_info": m.Info, "blocked": m.Blocked,
			"sealed_params": s.Seal("model/"+m.ID, params), "created_at": now, "updated_at": now, "created_by": "import", "updated_by": "import"})
		if err != nil {
			return nil, err
		}
		out = append(out, store.Object{Kind: keys.KindModel, ID: m.ID, Doc: doc})
	}
	return out, nil
}

// errDryRun ends a transaction that is not to be kept.
var errDryRun = errors.New("dry run")

// putAll stores objects. Those that are there already stay, unless they are to be overwritten.
func putAll(ctx context.Context, db *store.DB, objects []store.Object, overwrite, dry bool) (done, kept map[string]int, err error) {
	_, err = db.Objects().Change(ctx, func(ch *store.Change) error {
		done, kept = map[string]int{}, map[string]int{}
		for _, o := range objects {
			_, exists, err := ch.Get(o.Kind, o.ID)
			if err != nil {
				return err
			}
			if exists && !overwrite {
				kept[o.Kind]++
				continue
			}
			err = ch.Put(o)
			if errors.Is(err, store.ErrTaken) { // an alias or an email: the object itself counts
				o.Unique = ""
				err = ch.Put(o)
			}
			if err != nil {
				return fmt.Errorf("%s %s: %w", o.Kind, o.ID, err)
			}
			done[o.Kind]++
		}
		if dry {
			return errDryRun
		}
		return nil
	})
	if errors.Is(err, errDryRun) {
		err = nil
	}
	return done, kept, err
}

func report(w io.Writer, where string, done, kept map[string]int, notes []string, dry bool) {
	verb := "Taken over into"
	if dry {
		verb = "Would be taken over into"
	}
	fmt.Fprintf(w, "%s %s:\n\n", verb, where)
	for _, k := range []struct{ kind, name string }{
		{keys.KindKey, "keys"}, {keys.KindOldKey, "replaced keys in their grace"}, {keys.KindTeam, "teams"}, {keys.KindMember, "memberships"},
		{keys.KindUser, "users"}, {keys.KindCustomer, "customers"}, {keys.KindBudget, "budgets"}, {keys.KindModel, "models"},
	} {
		line := fmt.Sprintf("  %7d %s", done[k.kind], k.name)
		if n := kept[k.kind]; n > 0 {
			line += fmt.Sprintf(" (%d more were here already and stay as they are; --overwrite replaces them)", n)
		}
		fmt.Fprintln(w, line)
	}
	if len(notes) > 0 {
		fmt.Fprintln(w)
	}
	for _, n := range notes {
		fmt.Fprintln(w, "Note:", n)
	}
}
