package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/sluicegw/sluice/internal/money"
)

// Scope is whose spend is summed. Kind is one of global, team, team_member (ID team and user, parted by \x1f), user, customer, key,
// tag, key_model (ID "hash/group") and provider.
type Scope struct{ Kind, ID string }

// where is the condition by which a scope's rows are found, from placeholder n on; the columns have the same names
// in rows and totals.
func (s Scope) where(n int) (string, []any, error) {
	column := map[string]string{"team": "team_id", "user": "user_id", "customer": "end_user", "key": "api_key", "provider": "provider", "tag": "tag"}[s.Kind]
	switch {
	case s.Kind == "global":
		return "", nil, nil
	case column != "":
		return fmt.Sprintf(" AND %s = $%d", column, n), []any{clean(s.ID)}, nil
	}
	if s.Kind == "team_member" {
		team, user, _ := strings.Cut(s.ID, between)
		return fmt.Sprintf(" AND team_id = $%d AND user_id = $%d", n, n+1), []any{clean(team), clean(user)}, nil
	}
	if key, group, ok := strings.Cut(s.ID, "/"); ok && s.Kind == "key_model" {
		return fmt.Sprintf(" AND api_key = $%d AND model_group = $%d", n, n+1), []any{clean(key), clean(group)}, nil
	}
	return "", nil, fmt.Errorf("no spend is kept for %s %q", s.Kind, s.ID)
}

// between parts the ids of a team and its member.
const between = "\x1f"

// Covers tells whether a row is one of the scope's.
func (s Scope) Covers(r *Row) bool {
	switch s.Kind {
	case "global":
		return true
	case "team":
		return r.Team == s.ID
	case "user":
		return r.User == s.ID
	case "customer":
		return r.Customer == s.ID
	case "key":
		return r.Key == s.ID
	case "provider":
		return r.Provider == s.ID
	case "team_member":
		return r.Team+between+r.User == s.ID
	case "key_model":
		return r.Key+"/"+r.Group == s.ID
	case "tag":
		for _, tag := range r.Tags {
			if tag == s.ID {
				return true
			}
		}
	}
	return false
}

// Sum is what a scope spent in calls that began at since or later (zero: ever), with what [Ledger.Mark] says.
func (l *Ledger) Sum(ctx context.Context, s Scope, since time.Time) (money.Amount, error) {
	sum, _, err := l.Since(ctx, s, since)
	return sum, err
}

// Since is Sum, and tells whether the scope's spend was ever set by a mark: what it begins with is then in the sum.
func (l *Ledger) Since(ctx context.Context, s Scope, since time.Time) (sum money.Amount, set bool, err error) {
	from := micros(since)
	var reset, opening int64
	if err := l.db.SQL().QueryRowContext(ctx, `SELECT COALESCE(MAX(CASE WHEN reset = 1 THEN at END), 0)
		FROM sluice_spend_marks WHERE kind = $1 AND scope_id = $2`, s.Kind, clean(s.ID)).Scan(&reset); err != nil {
		return 0, false, err
	}
	set = reset > 0
	from = max(from, reset)
	if err := l.db.SQL().QueryRowContext(ctx, `SELECT COALESCE(SUM(spend), 0) FROM sluice_spend_marks
		WHERE kind = $1 AND scope_id = $2 AND at >= $3`, s.Kind, clean(s.ID), from).Scan(&opening); err != nil {
		return 0, set, err
	}
	table := "sluice_spend_daily"
	if s.Kind == "tag" {
		table = "sluice_spend_daily_tags"
	}
	where, args, err := s.where(2)
	if err != nil {
		return 0, set, err
	}
	firstWhole := dayOf(from + dayMicros - 1)
	if from == 0 {
		firstWhole = -1 << 40
	}
	var whole, part int64
	if err := l.db.SQL().QueryRowContext(ctx, "SELECT COALESCE(SUM(spend), 0) FROM "+table+" WHERE day >= $1"+where,
		append([]any{firstWhole}, args...)...).Scan(&whole); err != nil {
		return 0, set, err
	}
	if from%dayMicros == 0 {
		return money.Amount(whole + opening), set, nil
	}
	if s.Kind == "tag" {
		tag, _ := jsonText(s.ID)
		where, args = " AND tags LIKE $3 ESCAPE '!'", []any{"%" + likeEscape(tag) + "%"}
	} else {
		where, args, _ = s.where(3)
	}
	err = l.db.SQL().QueryRowContext(ctx, "SELECT COALESCE(SUM(spend), 0) FROM sluice_spend WHERE started >= $1 AND started < $2"+where,
		append([]any{from, firstWhole * dayMicros}, args...)...).Scan(&part)
	return money.Amount(whole + part + opening), set, err
}

// Mark says what a scope's sum begins with: amount counts as spent at at, and after a reset nothing before does.
func (l *Ledger) Mark(ctx context.Context, s Scope, at time.Time, reset bool, amount money.Amount) error {
	_, err := l.db.SQL().ExecContext(ctx, `INSERT INTO sluice_spend_marks (kind, scope_id, at, reset, spend)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT (kind, scope_id, at) DO NOTHING`, s.Kind, clean(s.ID), micros(at), bit(reset), int64(amount))
	return err
}

// Totals are the sums of all scopes of a kind that spent something since a time (zero: ever), without marks.
func (l *Ledger) Totals(ctx context.Context, kind string, since time.Time) (map[string]money.Amount, error) {
	id := map[string]string{"team": "team_id", "user": "user_id", "customer": "end_user", "key": "api_key", "provider": "provider",
		"team_member": "team_id || '" + between + "' || user_id"}[kind]
	if id == "" {
		return nil, fmt.Errorf("no totals are kept by %q", kind)
	}
	from := micros(since)
	first := dayOf(from + dayMicros - 1)
	if from == 0 {
		first = -1 << 40
	}
	out := map[string]money.Amount{}
	add := func(rows *sql.Rows) error {
		var name string
		var spend int64
		err := rows.Scan(&name, &spend)
		if name != "" {
			out[name] += money.Amount(spend)
		}
		return err
	}
	if err := each(ctx, l.db.SQL(), "SELECT "+id+", SUM(spend) FROM sluice_spend_daily WHERE day >= $1 GROUP BY 1", add, first); err != nil {
		return nil, err
	}
	if from%dayMicros != 0 {
		if err := each(ctx, l.db.SQL(), "SELECT "+id+", SUM(spend) FROM sluice_spend WHERE started >= $1 AND started < $2 GROUP BY 1", add,
			from, first*dayMicros); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Marked are the scopes of a kind that have marks.
func (l *Ledger) Marked(ctx context.Context, kind string) ([]string, error) {
	return l.texts(ctx, "SELECT DISTINCT scope_id FROM sluice_spend_marks WHERE kind = $1", kind)
}
