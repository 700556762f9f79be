package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migration is one step of the schema.
type migration struct {
	version int
	name    string
	text    string
}

// migrationLock is the number of PostgreSQL's advisory lock; any would do.
const migrationLock = 7_310_402_217

// migrations are those of one database, in their order.
func migrations(files fs.FS, postgres bool) ([]migration, error) {
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	other := ".postgres"
	if postgres {
		other = ".sqlite"
	}
	var out []migration
	for _, file := range names {
		name := strings.TrimSuffix(path.Base(file), ".sql")
		if strings.HasSuffix(name, other) {
			continue
		}
		number, rest, ok := strings.Cut(name, "_")
		version, err := strconv.Atoi(number)
		if !ok || err != nil {
			return nil, fmt.Errorf("%s: the name of a migration is NNN_name.sql", file)
		}
		text, err := fs.ReadFile(files, file)
		if err != nil {
			return nil, err
		}
		rest = strings.TrimSuffix(strings.TrimSuffix(rest, ".postgres"), ".sqlite")
		out = append(out, migration{version, rest, string(text)})
	}
	slices.SortFunc(out, func(a, b migration) int { return a.version - b.version })
	for i := 1; i < len(out); i++ {
		if out[i].version == out[i-1].version {
			return nil, fmt.Errorf("two migrations have the number %d: %s and %s", out[i].version, out[i-1].name, out[i].name)
		}
	}
	return out, nil
}

// migrate runs what has not run yet. Each migration is one transaction, together with the row that says it has
// run, and begins by taking a lock: of several processes that start at once one runs it, and the others then
// find nothing to do. (The lock is the transaction's, not the session's, so that poolers in between may do as
// they like. SQLite's transactions hold the whole file.)
func (db *DB) migrate(ctx context.Context) error {
	all, err := migrations(migrationFiles, db.Postgres())
	if err != nil {
		return err
	}
	if err := db.locked(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS sluice_migrations (
			version BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL)`)
		return err
	}); err != nil {
		return err
	}
	for _, m := range all {
		if err := db.locked(ctx, func(tx *sql.Tx) error { return m.run(ctx, tx) }); err != nil {
			return fmt.Errorf("migration %03d_%s: %w", m.version, m.name, err)
		}
	}
	return db.newer(ctx, all)
}

func (db *DB) locked(ctx context.Context, f func(*sql.Tx) error) error {
	return db.once(ctx, func(tx *sql.Tx) error {
		if db.Postgres() {
			if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", migrationLock); err != nil {
				return err
			}
		}
		return f(tx)
	})
}

func (m migration) run(ctx context.Context, tx *sql.Tx) error {
	sum := sha256.Sum256([]byte(m.text))
	checksum := hex.EncodeToString(sum[:])
	var before string
	err := tx.QueryRowContext(ctx, "SELECT checksum FROM sluice_migrations WHERE version = $1", m.version).Scan(&before)
	switch {
	case err == nil && before != checksum:
		return errors.New("this database was made by another version of it; restore a backup, or use the sluice that made it")
	case err == nil:
		return nil
	case !errors.Is(err, sql.ErrNoRows):
		return err
	}
	for _, statement := range statements(m.text) {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO sluice_migrations (version, name, checksum, applied_at) VALUES ($1, $2, $3, $4)",
		m.version, m.name, checksum, time.Now().UnixMicro())
	return err
}

// newer tells of a database that a later version of sluice has used: its migrations only add, so this one
// works, and whoever goes back on purpose should not be stopped.
func (db *DB) newer(ctx context.Context, all []migration) error {
	rows, err := db.sql.QueryContext(ctx, "SELECT version, name FROM sluice_migrations ORDER BY version")
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var version int
		var name string
		if err := rows.Scan(&version, &name); err != nil {
			return err
		}
		if !slices.ContainsFunc(all, func(m migration) bool { return m.version == version }) {
			db.log.Warn("a newer sluice has used this database", "migration", fmt.Sprintf("%03d_%s", version, name))
		}
	}
	return rows.Err()
}

// statements splits a migration at the semicolons that end lines; comments stay with what follows them. A body
// with semicolons of its own, such as a function's, stands between lines "-- begin" and "-- end".
func statements(text string) []string {
	var out []string
	var b strings.Builder
	whole := false
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		switch trimmed {
		case "-- begin":
			whole = true
			continue
		case "-- end":
			whole = false
		default:
			b.WriteString(line)
		}
		if !whole && (trimmed == "-- end" || strings.HasSuffix(trimmed, ";") && !strings.HasPrefix(trimmed, "--")) {
			out = append(out, strings.TrimSpace(b.String()))
			b.Reset()
		}
	}
	if rest := strings.TrimSpace(b.String()); rest != "" && strings.Trim(rest, "-") != "" {
		out = append(out, rest)
	}
	return out
}
