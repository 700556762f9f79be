package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/sluicegw/sluice/internal/money"
)

// Day is what a day's rows and its totals say.
type Day struct {
	Date               string // UTC
	Rows, Calls        int64  // rows, and how many the totals count
	Spend, Total       money.Amount
	Estimated, Orphans int64
	Tags, TagTotal     money.Amount // over all tags
	Kept               bool         // false: the rows are past their retention, the totals are all there is
}

// Fits tells whether rows and totals agree.
func (d *Day) Fits() bool {
	return !d.Kept || d.Rows == d.Calls && d.Spend == d.Total && d.Tags == d.TagTotal
}

// Verify compares every day's rows with its totals, from the day of since on. It only reads.
func (l *Ledger) Verify(ctx context.Context, since time.Time) ([]Day, error) {
	// One snapshot: rows that are written meanwhile are in both, or in neither.
	tx, err := l.db.SQL().BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: l.snapshot()})
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }()
	first := dayOf(micros(since))
	var oldest sql.NullInt64
	if err := tx.QueryRowContext(ctx, "SELECT MIN(started) FROM sluice_spend").Scan(&oldest); err != nil {
		return nil, err
	}
	found := map[int64]*Day{}
	var order []int64
	day := func(n int64) *Day {
		d := found[n]
		if d == nil {
			d = &Day{Date: date(n), Kept: oldest.Valid && n >= dayOf(oldest.Int64)}
			found[n] = d
			order = append(order, n)
		}
		return d
	}
	for _, q := range []struct {
		sql  string
		scan func(*sql.Rows) error
	}{
		{"SELECT day, SUM(spend), SUM(calls) FROM sluice_spend_daily WHERE day >= $1 GROUP BY day ORDER BY day", func(r *sql.Rows) error {
			var n, spend, calls int64
			err := r.Scan(&n, &spend, &calls)
			d := day(n)
			d.Total, d.Calls = money.Amount(spend), calls
			return err
		}},
		{"SELECT day, SUM(spend), 0 FROM sluice_spend_daily_tags WHERE day >= $1 GROUP BY day ORDER BY day", func(r *sql.Rows) error {
			var n, spend, nothing int64
			err := r.Scan(&n, &spend, &nothing)
			day(n).TagTotal = money.Amount(spend)
			return err
		}},
		{"SELECT started / 86400000000, SUM(spend), COUNT(*), SUM(estimated), SUM(orphaned), SUM(spend * " + l.tagCount() + `)
			FROM sluice_spend WHERE started >= $1 * 86400000000 GROUP BY 1 ORDER BY 1`, func(r *sql.Rows) error {
			var n, spend, rows, estimated, orphans, tags int64
			err := r.Scan(&n, &spend, &rows, &estimated, &orphans, &tags)
			d := day(n)
			d.Spend, d.Rows, d.Estimated, d.Orphans, d.Tags = money.Amount(spend), rows, estimated, orphans, money.Amount(tags)
			return err
		}},
	} {
		if err := each(ctx, tx, q.sql, q.scan, first); err != nil {
			return nil, err
		}
	}
	out := make([]Day, len(order))
	for i, n := range sorted(order) {
		out[i] = *found[n]
	}
	return out, nil
}

func (l *Ledger) snapshot() sql.IsolationLevel {
	if l.db.Postgres() {
		return sql.LevelRepeatableRead
	}
	return sql.LevelDefault // SQLite's readers always have one
}

// tagCount is the number of different tags of a row.
func (l *Ledger) tagCount() string {
	if l.db.Postgres() {
		return "CASE WHEN tags = '[]' THEN 0 ELSE (SELECT COUNT(DISTINCT t) FROM json_array_elements_text(tags::json) t) END"
	}
	return "CASE WHEN tags = '[]' THEN 0 ELSE (SELECT COUNT(DISTINCT value) FROM json_each(tags)) END"
}

// Repair makes a day's totals anew from its rows. Days whose rows are past their retention are left alone.
func (l *Ledger) Repair(ctx context.Context, on string) error {
	t, err := time.Parse(time.DateOnly, on)
	if err != nil {
		return err
	}
	n := dayOf(t.UnixMicro())
	return l.db.Tx(ctx, func(tx *sql.Tx) error {
		if l.db.Postgres() { // writers of the day wait
			if _, err := tx.ExecContext(ctx, "LOCK TABLE sluice_spend_daily, sluice_spend_daily_tags IN EXCLUSIVE MODE"); err != nil {
				return err
			}
		}
		for _, table := range []string{"sluice_spend_daily", "sluice_spend_daily_tags"} {
			if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE day = $1", n); err != nil {
				return err
			}
		}
		var d days
		if err := scanRows(ctx, tx, "SELECT "+columns+" FROM sluice_spend WHERE started >= $1 AND started < $2", d.add,
			n*dayMicros, (n+1)*dayMicros); err != nil {
			return err
		}
		return d.write(ctx, tx, l.db.Postgres())
	})
}

// WriteTable writes days for a person, and tells whether all fit.
func WriteTable(w io.Writer, all []Day) (fits bool, err error) {
	fits = true
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "day\trows\tspend\tin totals\tdifference\testimated\torphaned\t")
	var sum, total money.Amount
	var rows int64
	for i := range all {
		d := &all[i]
		note, difference := "", (d.Total - d.Spend).String()
		switch {
		case !d.Kept:
			note, difference = "  rows past retention", ""
		case !d.Fits():
			fits = false
			note = "  DIFFERS"
			if d.Rows != d.Calls {
				note += fmt.Sprintf(": totals count %d rows", d.Calls)
			}
			if d.Tags != d.TagTotal {
				note += fmt.Sprintf(": tags have %s, their totals %s", d.Tags, d.TagTotal)
			}
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%d\t%d\t%s\n", d.Date, d.Rows, d.Spend, d.Total, difference, d.Estimated, d.Orphans, note)
		sum, total, rows = sum+d.Spend, total+d.Total, rows+d.Rows
	}
	fmt.Fprintf(t, "all\t%d\t%s\t%s\t\t\t\t\n", rows, sum, total)
	return fits, t.Flush()
}
