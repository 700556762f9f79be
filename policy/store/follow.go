package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// pollEvery is how often the sequence is asked: the truth, whatever becomes of announcements. With it alone
	// a change is everywhere well within a second.
	pollEvery = 400 * time.Millisecond
	// tombstoneLife is how long a deleted object is remembered for replicas that were cut off; one that was
	// away for longer has started anew.
	tombstoneLife = 30 * 24 * time.Hour
	sweepEvery    = time.Hour
)

// Since gives every object that changed after a version, tombstones too, in the order of their versions, and
// the version that the reader has then. From version 0 it leaves the tombstones out.
func (o *Objects) Since(ctx context.Context, version int64, each func(Object)) (int64, error) {
	var last int64
	// The sequence first: what is committed after it is read is found again the next time.
	if err := o.db.sql.QueryRowContext(ctx, "SELECT last FROM sluice_sequence WHERE one = 1").Scan(&last); err != nil {
		return version, err
	}
	if last <= version { // less: the database was set back
		return last, nil
	}
	rows, err := o.db.sql.QueryContext(ctx, `SELECT kind, id, version, deleted, unique_name, doc FROM sluice_objects
		WHERE version > $1 AND (deleted = 0 OR $1 > 0) ORDER BY version`, version)
	if err != nil {
		return version, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var out Object
		var unique sql.NullString
		if err := rows.Scan(&out.Kind, &out.ID, &out.Version, &out.Deleted, &unique, (*[]byte)(&out.Doc)); err != nil {
			return version, err
		}
		out.Unique = unique.String
		last = max(last, out.Version)
		each(out)
	}
	return last, rows.Err()
}

// Follower brings the changes of all replicas into this one.
type Follower struct {
	objects *Objects
	apply   func(changed []Object, whole bool)
	ask     chan chan error // somebody waits for what is committed by now
	version int64
	swept   time.Time
}

// Follow makes a follower. Its apply is given every object at first (whole is true), then what changes: always
// by the same goroutine, so that newer never comes before older. A database that was set back to a backup is
// given whole again.
func (o *Objects) Follow(apply func(changed []Object, whole bool)) *Follower {
	return &Follower{objects: o, apply: apply, ask: make(chan chan error)}
}

// Run follows until ctx ends. An unreachable database is asked again.
func (f *Follower) Run(ctx context.Context) {
	select {
	case <-f.objects.db.ready:
	case <-ctx.Done():
		return
	}
	told := make(chan struct{}, 1)
	if f.objects.db.Postgres() {
		go f.objects.listen(ctx, told)
	}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	first := true
	for {
		var waiting chan error
		if !first {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			case <-told:
			case waiting = <-f.ask:
			}
		}
		err := f.catchUp(ctx, first)
		first = first && err != nil && sleep(ctx, retryFirst)
		if waiting != nil {
			waiting <- err
		}
	}
}

func (f *Follower) catchUp(ctx context.Context, first bool) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute) // a first load may be large
	defer cancel()
	var changed []Object
	collect := func(o Object) { changed = append(changed, o) }
	version, err := f.objects.Since(ctx, f.version, collect)
	if err == nil && version < f.version {
		first, changed = true, nil
		version, err = f.objects.Since(ctx, 0, collect)
	}
	f.objects.db.Saw(err)
	if err != nil {
		return err
	}
	if first || version != f.version {
		f.apply(changed, first)
		f.version = version
	}
	if time.Since(f.swept) > sweepEvery {
		f.swept = time.Now()
		_, _ = f.objects.db.sql.ExecContext(ctx, "DELETE FROM sluice_objects WHERE deleted = 1 AND changed_at < $1",
			f.swept.Add(-tombstoneLife).UnixMicro()) // the next hour tries again
	}
	return nil
}

// Sync returns once everything that was committed before it was called has been applied here.
func (f *Follower) Sync(ctx context.Context) error {
	done := make(chan error, 1)
	select {
	case f.ask <- done:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// listen wakes the follower when PostgreSQL announces a change. It needs a connection of its own; where
// announcements do not come through (some poolers), polling does the work.
func (o *Objects) listen(ctx context.Context, told chan<- struct{}) {
	for wait := retryFirst; ctx.Err() == nil; wait = min(2*wait, retryMost) {
		conn, err := pgx.ConnectConfig(ctx, o.db.postgres.Copy())
		if err == nil {
			if _, err = conn.Exec(ctx, "LISTEN "+channel); err == nil {
				wait = retryFirst
			}
			for err == nil {
				if _, err = conn.WaitForNotification(ctx); err == nil {
					select {
					case told <- struct{}{}:
					default: // it is awake
					}
				}
			}
			_ = conn.Close(context.WithoutCancel(ctx))
		}
		if !sleep(ctx, wait) {
			return
		}
	}
}
