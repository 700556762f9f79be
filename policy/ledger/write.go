package ledger

import (
	"context"
	"database/sql"
	"runtime"
	"strconv"
	"strings"
)

// Batch is how many rows a transaction should have: enough that its own cost is spread, few enough that its locks
// are short.
const Batch = 1000

// inserter writes rows in a transaction and tells of each, in their order, whether it was not there before.
type inserter func(ctx context.Context, tx *sql.Tx, rows []Row) ([]bool, error)

// Write writes rows, and the totals of their days, in one transaction. Rows that are there already are left as
// they are and counted once.
func (l *Ledger) Write(ctx context.Context, rows []Row) error {
	if len(rows) == 0 {
		return nil
	}
	insert := insertOneByOne
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

// breath is the number of statements after which a writer lets others have its processor.
const breath = 32

// insertOneByOne is for SQLite, which is in this process: one prepared statement of one row, since statements of many
// rows cost it more, not less. Its parameters are bare question marks: numbered ones are looked up by name, each
// among all.
func insertOneByOne(ctx context.Context, tx *sql.Tx, rows []Row) ([]bool, error) {
	statement, err := tx.PrepareContext(ctx, "INSERT INTO sluice_spend ("+columns+") VALUES "+bare(columnCount)+
		" ON CONFLICT (id, started) DO NOTHING")
	if err != nil {
		return nil, err
	}
	defer func() { _ = statement.Close() }()
	written := make([]bool, len(rows))
	args := make([]any, 0, columnCount)
	err = oneByOne(ctx, len(rows), func(ctx context.Context, i int) error {
		args = rows[i].values(args[:0])
		result, err := statement.ExecContext(ctx, args...)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		written[i] = n > 0
		return err
	})
	return written, err
}

// oneByOne calls f for each of n statements, until ctx ends. Now and then it lets others have its processor.
func oneByOne(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	// The driver starts a goroutine for every statement whose context can end.
	quiet := context.WithoutCancel(ctx)
	for i := range n {
		if i%breath == breath-1 {
			runtime.Gosched()
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		if err := f(quiet, i); err != nil {
			return err
		}
	}
	return nil
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

// bare is "(?,?)" for a row of two columns.
func bare(width int) string { return "(?" + strings.Repeat(",?", width-1) + ")" }
