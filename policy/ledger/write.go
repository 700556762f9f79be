package ledger

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
)

// Batch is how many rows a transaction should have: enough that its own cost is spread, few enough that its locks
// are short.
const Batch = 1000

// Write writes rows, and the totals of their days, in one transaction. Rows that are there already are left as
// they are and counted once.
func (l *Ledger) Write(ctx context.Context, rows []Row) error {
	if len(rows) == 0 {
		return nil
	}
	insert := insertCompact
	if l.db.Postgres() {
		insert = insertTogether
		if err := l.partitions(ctx, rows); err != nil {
			return err
		}
	}
	return l.db.Tx(ctx, func(tx *sql.Tx) error {
		written, err := insert(ctx, tx, rows)
		if err != nil {
			return err
		}
		var days days
		for i := range rows {
			if written[i] {
				days.add(&rows[i])
			}
		}
		return days.write(ctx, tx, l.db.Postgres())
	})
}

// togetherStatement has one parameter a column, whatever the number of rows, so that its plan is made once.
var togetherStatement = func() string {
	var arrays []string
	for i, v := range new(Row).values(nil) {
		kind := "bigint"
		if _, ok := v.(string); ok {
			kind = "text"
		}
		arrays = append(arrays, "$"+strconv.Itoa(i+1)+"::"+kind+"[]")
	}
	return "INSERT INTO sluice_spend (" + columns + ") SELECT * FROM unnest(" + strings.Join(arrays, ", ") +
		") ON CONFLICT (id, started) DO NOTHING RETURNING id, started"
}()

// insertTogether is for PostgreSQL, where each statement is a round trip: all rows in one, a column an array.
func insertTogether(ctx context.Context, tx *sql.Tx, rows []Row) ([]bool, error) {
	args := make([]any, columnCount)
	one := make([]any, 0, columnCount)
	for i := range rows {
		one = rows[i].values(one[:0])
		for j, v := range one {
			switch v := v.(type) {
			case string:
				column, _ := args[j].([]string)
				args[j] = append(column, v)
			case int64:
				column, _ := args[j].([]int64)
				args[j] = append(column, v)
			}
		}
	}
	type id struct {
		text    string
		started int64
	}
	fresh := make(map[id]bool, len(rows))
	err := each(ctx, tx, togetherStatement, func(got *sql.Rows) error {
		var k id
		err := got.Scan(&k.text, &k.started)
		fresh[k] = true
		return err
	}, args...)
	written := make([]bool, len(rows))
	for i := range rows {
		k := id{clean(rows[i].ID), micros(rows[i].Started)}
		written[i] = fresh[k]
		delete(fresh, k) // twice in one batch counts once
	}
	return written, err
}

// placeholders is "($1,$2),($3,$4)" for two rows of two columns.
func placeholders(rows, width int) string {
	b := make([]byte, 0, rows*width*6)
	n := 0
	for i := range rows {
		if i > 0 {
			b = append(b, ',')
		}
		for j := range width {
			n++
			b = append(b, ",("[bit(j == 0)], '$')
			b = strconv.AppendInt(b, int64(n), 10)
		}
		b = append(b, ')')
	}
	return string(b)
}
