package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"maps"
	"slices"
	"strings"
)

// dayKey is one line of a day's totals.
type dayKey struct {
	day                                               int64
	key, team, user, customer, group, model, provider string
}

type tagKey struct {
	day            int64
	tag, key, user string
}

// total is what rows add up to.
type total struct{ spend, prompt, completion, calls, failures int64 }

func (t *total) add(r *Row) {
	t.spend += int64(r.Spend)
	t.prompt += r.Prompt
	t.completion += r.Completion
	t.calls++
	t.failures += bit(r.Failure != "")
}

// days are the totals of some rows.
type days struct {
	lines map[dayKey]*total
	tags  map[tagKey]*total
}

func (d *days) add(r *Row) {
	if d.lines == nil {
		d.lines, d.tags = map[dayKey]*total{}, map[tagKey]*total{}
	}
	day := dayOf(micros(r.Started))
	line := dayKey{day, r.Key, clean(r.Team), clean(r.User), clean(r.Customer), clean(r.Group), clean(r.Model), r.Provider}
	at(d.lines, line).add(r)
	for i, tag := range r.Tags {
		if !slices.Contains(r.Tags[:i], tag) {
			at(d.tags, tagKey{day, clean(tag), r.Key, clean(r.User)}).add(r)
		}
	}
}

func at[K comparable](m map[K]*total, k K) *total {
	t := m[k]
	if t == nil {
		t = &total{}
		m[k] = t
	}
	return t
}

const counted = "spend, prompt, completion, calls, failures"

// write adds them to what the database has. All writers go through the lines in one order, so that none waits for
// another that waits for it.
func (d *days) write(ctx context.Context, tx *sql.Tx, postgres bool) error {
	keys := slices.SortedFunc(maps.Keys(d.lines), func(a, b dayKey) int {
		return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.key, b.key), cmp.Compare(a.team, b.team), cmp.Compare(a.user, b.user),
			cmp.Compare(a.customer, b.customer), cmp.Compare(a.group, b.group), cmp.Compare(a.model, b.model), cmp.Compare(a.provider, b.provider))
	})
	var rows [][]any
	for _, k := range keys {
		rows = append(rows, append([]any{k.day, k.key, k.team, k.user, k.customer, k.group, k.model, k.provider}, d.lines[k].values()...))
	}
	if err := upsert(ctx, tx, postgres, "sluice_spend_daily", "day, api_key, team_id, user_id, end_user, model_group, model, provider", rows); err != nil {
		return err
	}
	tags := slices.SortedFunc(maps.Keys(d.tags), func(a, b tagKey) int {
		return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.tag, b.tag), cmp.Compare(a.key, b.key), cmp.Compare(a.user, b.user))
	})
	rows = nil
	for _, k := range tags {
		rows = append(rows, append([]any{k.day, k.tag, k.key, k.user}, d.tags[k].values()...))
	}
	return upsert(ctx, tx, postgres, "sluice_spend_daily_tags", "day, tag, api_key, user_id", rows)
}

func (t *total) values() []any { return []any{t.spend, t.prompt, t.completion, t.calls, t.failures} }

// together is how many lines a statement for PostgreSQL holds, which limits the number of its parameters.
const together = 400

func upsert(ctx context.Context, tx *sql.Tx, postgres bool, table, key string, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	var sets []string
	for name := range strings.SplitSeq(counted, ", ") {
		sets = append(sets, name+" = "+table+"."+name+" + excluded."+name)
	}
	into := "INSERT INTO " + table + " (" + key + ", " + counted + ") VALUES "
	otherwise := " ON CONFLICT (" + key + ") DO UPDATE SET " + strings.Join(sets, ", ")
	if postgres {
		for part := range slices.Chunk(rows, together) {
			if _, err := tx.ExecContext(ctx, into+placeholders(len(part), len(part[0]))+otherwise, slices.Concat(part...)...); err != nil {
				return err
			}
		}
		return nil
	}
	statement, err := tx.PrepareContext(ctx, into+bare(len(rows[0]))+otherwise)
	if err != nil {
		return err
	}
	defer func() { _ = statement.Close() }()
	return oneByOne(ctx, len(rows), func(ctx context.Context, i int) error {
		_, err := statement.ExecContext(ctx, rows[i]...)
		return err
	})
}
