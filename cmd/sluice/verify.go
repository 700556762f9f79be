package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/sluicegw/sluice/cmd/sluice/config"
	"github.com/sluicegw/sluice/policy/ledger"
	"github.com/sluicegw/sluice/policy/store"
)

// verifyPatience is how long PostgreSQL may take to answer.
const verifyPatience = 10 * time.Second

// runVerify is `sluice ledger verify`: it compares the ledger's rows with the totals that budgets and reports are
// read from. It changes nothing, and may run beside a gateway.
func runVerify(ctx context.Context, o options, stdout, stderr io.Writer) int {
	fits, err := verify(ctx, o, stdout)
	switch {
	case err != nil:
		fmt.Fprintln(stderr, "sluice: ledger verify:", err)
		return 1
	case !fits:
		fmt.Fprintln(stderr, "sluice: some days differ: their totals are not what their rows add up to")
		return 1
	}
	return 0
}

func verify(ctx context.Context, o options, stdout io.Writer) (fits bool, err error) {
	c, err := config.Load(o.config, os.LookupEnv)
	if err != nil {
		return false, fmt.Errorf("the configuration cannot be used:\n%w", err)
	}
	at := store.Options{URL: databaseURL(c), ReadOnly: true}
	if at.URL == "" {
		dir, err := o.dataFolder(os.Getenv)
		if err != nil {
			return false, err
		}
		at.Path = filepath.Join(dir, "sluice.db")
	}
	db, err := store.Open(ctx, at)
	if err != nil {
		return false, err
	}
	defer func() { _ = db.Close() }()
	select {
	case <-db.Ready():
	case <-ctx.Done():
		return false, ctx.Err()
	case <-time.After(verifyPatience):
		return false, fmt.Errorf("%s does not answer: %w", db.Where(), db.Down())
	}
	days, err := ledger.New(db).Verify(ctx, time.Time{})
	if err != nil {
		return false, fmt.Errorf("%s: %w", db.Where(), err)
	}
	fmt.Fprintln(stdout, db.Where())
	return ledger.WriteTable(stdout, days)
}
