package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
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
