package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Database is where rows are kept; *store.DB is one.
type Database interface {
	SQL() *sql.DB
	// Tx runs f in a transaction, again if it lost against another one.
	Tx(ctx context.Context, f func(*sql.Tx) error) error
	Postgres() bool
}

// Ledger reads and writes the rows of a database. It is safe for concurrent use.
type Ledger struct {
	db Database

	mu     sync.Mutex
	months map[string]bool // partitions that are known to exist
}

// New makes a ledger over a database whose schema is in place.
func New(db Database) *Ledger { return &Ledger{db: db, months: map[string]bool{}} }

const columns = `id, started, ended, first_token, request_id, attempt, call_type, api_key, key_alias, team_id, user_id, end_user,
	organization_id, session_id, tags, model, model_group, model_id, provider, api_base, prompt, completion, cached_read,
	cache_write, reasoning, spend, stream, cache_hit, estimated, orphaned, status, failure`

var columnCount = strings.Count(columns, ",") + 1

// values are a row's, in the order of columns, each a string or an int64.
func (r *Row) values(to []any) []any {
	return append(to, clean(r.ID), micros(r.Started), micros(r.Ended), micros(r.FirstToken), clean(r.RequestID), int64(r.Attempt), r.CallType,
		r.Key, clean(r.KeyAlias), clean(r.Team), clean(r.User), clean(r.Customer), clean(r.Organization), clean(r.Session), r.tagsText(),
		clean(r.Model), clean(r.Group), clean(r.Deployment), r.Provider, clean(r.APIBase), r.Prompt, r.Completion, r.CachedRead,
		r.CacheWrite, r.Reasoning, int64(r.Spend), bit(r.Stream), bit(r.CacheHit), bit(r.Estimated), bit(r.Orphaned), int64(r.Status), r.Failure)
}

func (r *Row) tagsText() string {
	if len(r.Tags) == 0 {
		return "[]"
	}
	b, _ := json.Marshal(r.Tags) // strings always are JSON
	return clean(string(b))
}

// clean makes a client's text one that PostgreSQL takes: valid UTF-8 without a zero byte.
func clean(s string) string {
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// partitionLock is the number of PostgreSQL's advisory lock for making partitions.
const partitionLock = 7_310_402_218

// partitions makes the months that rows need.
func (l *Ledger) partitions(ctx context.Context, rows []Row) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range rows {
		name, from, to := month(rows[i].Started)
		if l.months[name] {
			continue
		}
		err := l.db.Tx(ctx, func(tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", partitionLock); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, fmt.Sprintf(
				"CREATE TABLE IF NOT EXISTS %s PARTITION OF sluice_spend FOR VALUES FROM (%d) TO (%d)", name, from, to))
			return err
		})
		if err != nil {
			return fmt.Errorf("the partition %s could not be made: %w", name, err)
		}
		l.months[name] = true
	}
	return nil
}

const partitionPrefix = "sluice_spend_m"

// month is the partition of a time, and its bounds.
func month(t time.Time) (name string, from, to int64) {
	t = t.UTC()
	first := time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
	return partitionPrefix + first.Format("200601"), first.UnixMicro(), first.AddDate(0, 1, 0).UnixMicro()
}

// Retain removes rows that are older than before: whole months of them on PostgreSQL. Their days' totals stay, so
// no sum changes.
func (l *Ledger) Retain(ctx context.Context, before time.Time) (removed int64, err error) {
	if !l.db.Postgres() {
		return l.retainCompact(ctx, before)
	}
	keep, _, _ := month(before)
	names, err := l.texts(ctx, `SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = 'sluice_spend'::regclass ORDER BY c.relname`)
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		if name >= keep || !strings.HasPrefix(name, partitionPrefix) {
			continue
		}
		var n int64
		if err := l.db.SQL().QueryRowContext(ctx, "SELECT count(*) FROM "+name).Scan(&n); err != nil {
			return removed, err
		}
		l.mu.Lock()
		_, err := l.db.SQL().ExecContext(ctx, "DROP TABLE "+name)
		delete(l.months, name)
		l.mu.Unlock()
		if err != nil {
			return removed, err
		}
		removed += n
	}
	return removed, nil
}

func (l *Ledger) texts(ctx context.Context, query string, args ...any) ([]string, error) {
	rows, err := l.db.SQL().QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}
