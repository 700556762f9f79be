package ledger

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// SQLite is in this process, and in a file: a row is written with the processor that calls want, and what many rows
// have in common is written once, in a table of its own. The view sluice_spend puts them together.

const (
	partyColumns = `call_type, api_key, key_alias, team_id, user_id, end_user, organization_id, tags, model, model_group, model_id,
		provider, api_base`
	rowColumns = `started, id, party, ended, first_token, request_id, session_id, attempt, prompt, completion, cached_read,
		cache_write, reasoning, spend, flags, status, failure`
	partyWidth, rowWidth = 13, 17
)

// party is what a row has in common with others: the texts of partyColumns.
type party [partyWidth]string

func (r *Row) party() party {
	return party{clean(r.CallType), r.Key, clean(r.KeyAlias), clean(r.Team), clean(r.User), clean(r.Customer), clean(r.Organization),
		r.tagsText(), clean(r.Model), clean(r.Group), clean(r.Deployment), r.Provider, clean(r.APIBase)}
}

// digest is by what a party is found.
func (p *party) digest() []byte {
	var b []byte
	for _, s := range p {
		b = appendText(b, s)
	}
	sum := sha256.Sum256(b)
	return sum[:16]
}

// compactValues are a row's, in the order of rowColumns.
func (r *Row) compactValues(to []any, party int64) []any {
	return append(to, micros(r.Started), clean(r.ID), party, micros(r.Ended), micros(r.FirstToken), clean(r.RequestID), clean(r.Session),
		int64(r.Attempt), r.Prompt, r.Completion, r.CachedRead, r.CacheWrite, r.Reasoning, int64(r.Spend), int64(r.flags()), int64(r.Status),
		r.Failure)
}

// insertCompact writes rows into a file, one a statement: statements of many rows cost SQLite more, not less. Their
// parameters are bare question marks: numbered ones are looked up by name, each among all.
func insertCompact(ctx context.Context, tx *sql.Tx, rows []Row) ([]bool, error) {
	ids, err := parties(ctx, tx, rows)
	if err != nil {
		return nil, err
	}
	statement, err := tx.PrepareContext(ctx, "INSERT INTO sluice_spend_rows ("+rowColumns+") VALUES "+bare(rowWidth)+
		" ON CONFLICT (started, id) DO NOTHING")
	if err != nil {
		return nil, err
	}
	defer func() { _ = statement.Close() }()
	written := make([]bool, len(rows))
	args := make([]any, 0, rowWidth)
	err = oneByOne(ctx, len(rows), func(ctx context.Context, i int) error {
		args = rows[i].compactValues(args[:0], ids[i])
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

// parties are the numbers of the rows' parties, which are made where they are not there.
func parties(ctx context.Context, tx *sql.Tx, rows []Row) ([]int64, error) {
	find, err := tx.PrepareContext(ctx, "SELECT party FROM sluice_spend_parties WHERE digest = ?")
	if err != nil {
		return nil, err
	}
	defer func() { _ = find.Close() }()
	known := map[party]int64{}
	out := make([]int64, len(rows))
	err = oneByOne(ctx, len(rows), func(ctx context.Context, i int) error {
		p := rows[i].party()
		id, ok := known[p]
		if !ok {
			digest := p.digest()
			err := find.QueryRowContext(ctx, digest).Scan(&id)
			if errors.Is(err, sql.ErrNoRows) {
				args := append(make([]any, 0, 1+partyWidth), digest)
				for _, s := range p {
					args = append(args, s)
				}
				err = tx.QueryRowContext(ctx, "INSERT INTO sluice_spend_parties (digest, "+partyColumns+") VALUES "+bare(1+partyWidth)+
					" RETURNING party", args...).Scan(&id)
			}
			if err != nil {
				return err
			}
			known[p] = id
		}
		out[i] = id
		return nil
	})
	return out, err
}

// retainCompact is Retain for a file. It removes whole days, since a day's part is summed from its rows; in pieces, since
// others want to write.
func (l *Ledger) retainCompact(ctx context.Context, before time.Time) (removed int64, err error) {
	day := dayOf(before.UnixMicro()) * dayMicros
	for {
		n, err := l.change(ctx, `DELETE FROM sluice_spend_rows WHERE rowid IN
			(SELECT rowid FROM sluice_spend_rows WHERE started < ? LIMIT 5000)`, day)
		if err != nil {
			return removed, err
		}
		if removed += n; n == 0 {
			break
		}
	}
	if removed > 0 {
		_, err = l.change(ctx, `DELETE FROM sluice_spend_parties WHERE NOT EXISTS
			(SELECT 1 FROM sluice_spend_rows r WHERE r.party = sluice_spend_parties.party)`)
	}
	return removed, err
}

// change runs one statement and tells how many rows it changed.
func (l *Ledger) change(ctx context.Context, statement string, args ...any) (n int64, err error) {
	err = l.db.Tx(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, statement, args...)
		if err == nil {
			n, err = result.RowsAffected()
		}
		return err
	})
	return n, err
}

// rowID is what [Row.ID] looks like; in a file nothing but reading all rows finds one.
var rowID = regexp.MustCompile(`^[0-9a-f]{32}-[0-9]{1,3}$`)

// ofRequest is the condition, with one parameter's number, by which a file's rows are found by an id.
func ofRequest(id string) string {
	if rowID.MatchString(id) {
		return " AND id = $%d"
	}
	return " AND substr(request_id, 1, 8) = substr($%[1]d, 1, 8) AND request_id = $%[1]d"
}

// breath is the number of statements after which a writer lets others have its processor.
const breath = 32

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

// bare is "(?,?)" for a row of two columns.
func bare(width int) string { return "(?" + strings.Repeat(",?", width-1) + ")" }
