package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/sluicegw/sluice/internal/money"
)

// queryer is a database or a transaction.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// each runs a query and calls scan for every row.
func each(ctx context.Context, q queryer, query string, scan func(*sql.Rows) error, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// scanRows calls f for every row of a query of columns.
func scanRows(ctx context.Context, q queryer, query string, f func(*Row), args ...any) error {
	return each(ctx, q, query, func(rows *sql.Rows) error {
		var r Row
		if err := r.scan(rows); err != nil {
			return err
		}
		f(&r)
		return nil
	}, args...)
}

func (r *Row) scan(rows *sql.Rows) error {
	var started, ended, first, spend, stream, hit, estimated, orphaned int64
	var tags string
	err := rows.Scan(&r.ID, &started, &ended, &first, &r.RequestID, &r.Attempt, &r.CallType, &r.Key, &r.KeyAlias, &r.Team, &r.User,
		&r.Customer, &r.Organization, &r.Session, &tags, &r.Model, &r.Group, &r.Deployment, &r.Provider, &r.APIBase, &r.Prompt,
		&r.Completion, &r.CachedRead, &r.CacheWrite, &r.Reasoning, &spend, &stream, &hit, &estimated, &orphaned, &r.Status, &r.Failure)
	if err != nil {
		return err
	}
	r.Started, r.Ended, r.FirstToken, r.Spend = fromMicros(started), fromMicros(ended), fromMicros(first), money.Amount(spend)
	r.Stream, r.CacheHit, r.Estimated, r.Orphaned = stream == 1, hit == 1, estimated == 1, orphaned == 1
	if tags != "[]" {
		return json.Unmarshal([]byte(tags), &r.Tags)
	}
	return nil
}

func date(day int64) string { return time.Unix(day*86400, 0).UTC().Format(time.DateOnly) }

func sorted(n []int64) []int64 {
	slices.Sort(n)
	return n
}

// Filter chooses rows; zero fields choose all.
type Filter struct {
	From, To        time.Time // began at From or later, before To
	Key, User, Team string
	Request         string // the call's id as its client knows it, or the row's
	Limit           int    // the newest; 0: all
	Offset          int    // of those with a Limit
}

func (f *Filter) where(postgres bool) (string, []any) {
	sql, args := " WHERE started >= $1", []any{micros(f.From)}
	add := func(text string, v any) {
		args = append(args, v)
		sql += fmt.Sprintf(text, len(args))
	}
	if !f.To.IsZero() {
		add(" AND started < $%d", micros(f.To))
	}
	for _, c := range []struct{ column, value string }{{"api_key", f.Key}, {"user_id", f.User}, {"team_id", f.Team}} {
		if c.value != "" {
			add(" AND "+c.column+" = $%d", clean(c.value))
		}
	}
	switch {
	case f.Request == "":
	case postgres:
		add(" AND (request_id = $%[1]d OR id = $%[1]d)", clean(f.Request))
	default:
		add(ofRequest(f.Request), clean(f.Request))
	}
	return sql, args
}

// Each calls f with the rows that a filter chooses, newest first.
func (l *Ledger) Each(ctx context.Context, filter Filter, f func(*Row)) error {
	where, args := filter.where(l.db.Postgres())
	query := "SELECT " + columns + " FROM sluice_spend" + where + " ORDER BY started DESC"
	if filter.Limit > 0 {
		query += fmt.Sprintf(" LIMIT %d OFFSET %d", filter.Limit, filter.Offset)
	}
	return scanRows(ctx, l.db.SQL(), query, f, args...)
}

// Count is how many rows a filter chooses.
func (l *Ledger) Count(ctx context.Context, filter Filter) (n int64, err error) {
	where, args := filter.where(l.db.Postgres())
	err = l.db.SQL().QueryRowContext(ctx, "SELECT COUNT(*) FROM sluice_spend"+where, args...).Scan(&n)
	return n, err
}
