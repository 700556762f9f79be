package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// Options say where the data is.
type Options struct {
	// URL is PostgreSQL's: postgres://user:password@host/database. Empty: SQLite in the file Path, which is
	// made, with its folder, if it is not there.
	URL  string
	Path string
	Log  *slog.Logger // nil: nothing is logged
	// ReadOnly makes nothing: neither the file nor the schema.
	ReadOnly bool
}

// DB is an open database. It is safe for concurrent use.
type DB struct {
	sql      *sql.DB
	postgres *pgx.ConnConfig // nil: SQLite
	where    string          // for people: without a password
	log      *slog.Logger
	readOnly bool

	ready  chan struct{} // closed once the schema is in place
	down   atomic.Pointer[error]
	stop   context.CancelFunc
	closed sync.WaitGroup
}

const (
	// probeEvery is how often a database that was well is asked whether it still is.
	probeEvery   = time.Second
	probeTimeout = 5 * time.Second
	retryFirst   = 100 * time.Millisecond
	retryMost    = 2 * time.Second
	mostConns    = 16
)

// Open opens the database without waiting for PostgreSQL. The error is one that waiting will not mend: a URL
// that is none, a folder that cannot be written to, a file that is no database.
func Open(ctx context.Context, o Options) (*DB, error) {
	db := &DB{log: o.Log, readOnly: o.ReadOnly, ready: make(chan struct{})}
	if db.log == nil {
		db.log = slog.New(slog.DiscardHandler)
	}
	if o.URL == "" {
		return db, db.openSQLite(ctx, o.Path)
	}
	config, err := parseURL(o.URL)
	if err != nil {
		return nil, err
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = probeTimeout
	}
	if o.ReadOnly {
		config.RuntimeParams["default_transaction_read_only"] = "on"
	}
	db.postgres = config
	db.where = fmt.Sprintf("PostgreSQL at %s:%d, database %s", config.Host, config.Port, config.Database)
	db.sql = sql.OpenDB(connector{stdlib.GetConnector(*config)})
	db.sql.SetMaxOpenConns(mostConns)
	db.sql.SetMaxIdleConns(mostConns / 2)
	db.sql.SetConnMaxIdleTime(5 * time.Minute)
	ctx, db.stop = context.WithCancel(ctx)
	starting := errors.New("it has not answered yet")
	db.down.Store(&starting)
	db.closed.Go(func() { db.keep(ctx) })
	return db, nil
}

func (db *DB) openSQLite(ctx context.Context, path string) error {
	if db.readOnly {
		return db.readSQLite(ctx, path)
	}
	if err := privateFile(path); err != nil {
		return fmt.Errorf("keys and spend cannot be kept in %s: %w", path, err)
	}
	db.where = "SQLite in " + path
	var err error
	// Transactions begin as writers: one that began as a reader could not become one beside another. The log is brought
	// into the file every 16 MB, where each page then is written once, however often it has changed.
	db.sql, err = sql.Open("sqlite", "file:"+uriPath(path)+"?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)"+
		"&_pragma=synchronous(NORMAL)&_pragma=wal_autocheckpoint(4096)&_pragma=foreign_keys(1)")
	if err != nil {
		return err
	}
	db.sql.SetMaxOpenConns(mostConns)
	db.sql.SetMaxIdleConns(mostConns / 2)
	err = db.join(ctx)
	if err == nil {
		err = db.migrate(ctx)
	}
	if err != nil {
		_ = db.sql.Close()
		return fmt.Errorf("%s: %w", db.where, err)
	}
	close(db.ready)
	return nil
}

// join makes the first connection. Of several processes that begin with a new file at once, one sets the mode of its
// log, and SQLite tells the others that it is busy without waiting.
func (db *DB) join(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	for {
		err := db.sql.PingContext(ctx)
		if err == nil || !lostRace(err) || !sleep(ctx, time.Duration(1+rand.IntN(20))*time.Millisecond) {
			return err
		}
	}
}

// readSQLite opens a file that is there.
func (db *DB) readSQLite(ctx context.Context, path string) error {
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("there is no database: %w", err)
	}
	db.where = "SQLite in " + path
	var err error
	if db.sql, err = sql.Open("sqlite", "file:"+uriPath(path)+"?mode=ro&_pragma=busy_timeout(10000)&_pragma=query_only(1)"); err != nil {
		return err
	}
	if err := db.sql.PingContext(ctx); err != nil {
		_ = db.sql.Close()
		return fmt.Errorf("%s: %w", db.where, err)
	}
	close(db.ready)
	return nil
}

// privateFile makes the file, readable by its owner alone: SQLite gives the files beside it the same mode.
func privateFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return f.Chmod(0o600)
}

// uriPath escapes what has a meaning in SQLite's URIs.
func uriPath(path string) string {
	out := make([]byte, 0, len(path))
	for _, c := range []byte(path) {
		if c == '?' || c == '#' || c == '%' {
			out = fmt.Appendf(out, "%%%02x", c)
			continue
		}
		out = append(out, c)
	}
	return string(out)
}

// keep brings the schema up, then watches whether PostgreSQL answers.
func (db *DB) keep(ctx context.Context) {
	wait, said := retryFirst, time.Time{}
	for {
		err := db.prepare(ctx)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return
		}
		db.down.Store(&err)
		if time.Since(said) > time.Minute {
			said = time.Now()
			db.log.Error("the database cannot be used yet; trying again until it can", "database", db.where, "error", err)
		}
		if !sleep(ctx, wait) {
			return
		}
		wait = min(2*wait, retryMost)
	}
	db.down.Store(nil)
	close(db.ready)
	db.log.Info("the database is ready", "database", db.where)
	for sleep(ctx, probeEvery) {
		db.probe(ctx)
	}
}

// prepare brings the schema up, unless nothing may be written.
func (db *DB) prepare(ctx context.Context) error {
	if db.readOnly {
		return db.sql.PingContext(ctx)
	}
	return db.migrate(ctx)
}

func (db *DB) probe(ctx context.Context) {
	asking, cancel := context.WithTimeout(ctx, probeTimeout)
	err := db.sql.PingContext(asking)
	cancel()
	if ctx.Err() == nil {
		db.Saw(err)
	}
}

// Saw takes in how a use of the database went, so that an outage is known at once, and told once.
func (db *DB) Saw(err error) {
	select {
	case <-db.ready:
	default:
		return
	}
	if err == nil {
		if db.down.Swap(nil) != nil {
			db.log.Info("the database is back", "database", db.where)
		}
		return
	}
	if !Outage(err) {
		return
	}
	if db.down.Swap(&err) == nil {
		db.log.Error("the database does not answer; what is in memory goes on working", "database", db.where, "error", err)
	}
}

// Down is why the database cannot be used, or nil.
func (db *DB) Down() error {
	if err := db.down.Load(); err != nil {
		return *err
	}
	return nil
}

// Ready is closed once the database has answered and its schema is in place.
func (db *DB) Ready() <-chan struct{} { return db.ready }

// Postgres tells which of the two it is.
func (db *DB) Postgres() bool { return db.postgres != nil }

// Where names the database for people, without a password.
func (db *DB) Where() string { return db.where }

// SQL is for queries; placeholders are $1, $2 … on both databases.
func (db *DB) SQL() *sql.DB { return db.sql }

// Close ends all connections.
func (db *DB) Close() error {
	if db.stop != nil {
		db.stop()
	}
	err := db.sql.Close()
	db.closed.Wait()
	return err
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
