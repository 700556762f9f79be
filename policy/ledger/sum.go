package ledger

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sluicegw/sluice/internal/money"
)

// Scope is whose spend is summed. Kind is one of global, team, team_member (ID "team/user"), user, customer, key,
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
	first, second, ok := strings.Cut(s.ID, "/")
	switch {
	case s.Kind == "team_member" && ok:
		return fmt.Sprintf(" AND team_id = $%d AND user_id = $%d", n, n+1), []any{clean(first), clean(second)}, nil
	case s.Kind == "key_model" && ok:
		return fmt.Sprintf(" AND api_key = $%d AND model_group = $%d", n, n+1), []any{clean(first), clean(second)}, nil
	}
	return "", nil, fmt.Errorf("no spend is kept for %s %q", s.Kind, s.ID)
}

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
		return r.Team+"/"+r.User == s.ID
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
	from := micros(since)
	var reset, opening int64
	err := l.db.SQL().QueryRowContext(ctx, `SELECT COALESCE(MAX(CASE WHEN reset = 1 THEN at END), 0)
		FROM sluice_spend_marks WHERE kind = $1 AND scope_id = $2`, s.Kind, clean(s.ID)).Scan(&reset)
	if err != nil {
		return 0, err
	}
	from = max(from, reset)
	if err := l.db.SQL().QueryRowContext(ctx, `SELECT COALESCE(SUM(spend), 0) FROM sluice_spend_marks
		WHERE kind = $1 AND scope_id = $2 AND at >= $3 AND reset = 0`, s.Kind, clean(s.ID), from).Scan(&opening); err != nil {
		return 0, err
	}
	table := "sluice_spend_daily"
	if s.Kind == "tag" {
		table = "sluice_spend_daily_tags"
	}
	where, args, err := s.where(2)
	if err != nil {
		return 0, err
	}
	firstWhole := dayOf(from + dayMicros - 1)
	if from == 0 {
		firstWhole = -1 << 40
	}
	var whole, part int64
	if err := l.db.SQL().QueryRowContext(ctx, "SELECT COALESCE(SUM(spend), 0) FROM "+table+" WHERE day >= $1"+where,
		append([]any{firstWhole}, args...)...).Scan(&whole); err != nil {
		return 0, err
	}
	if from%dayMicros == 0 {
		return money.Amount(whole + opening), nil
	}
	if s.Kind == "tag" {
		tag, _ := jsonText(s.ID)
		where, args = " AND tags LIKE $3 ESCAPE '!'", []any{"%" + likeEscape(tag) + "%"}
	} else {
		where, args, _ = s.where(3)
	}
	err = l.db.SQL().QueryRowContext(ctx, "SELECT COALESCE(SUM(spend), 0) FROM sluice_spend WHERE started >= $1 AND started < $2"+where,
		append([]any{from, firstWhole * dayMicros}, args...)...).Scan(&part)
	return money.Amount(whole + part + opening), err
}

// Mark says what a scope's sum begins with: after a reset, nothing before at counts; otherwise amount counts as
// spent at at, such as what a regenerated key's predecessor had spent.
func (l *Ledger) Mark(ctx context.Context, s Scope, at time.Time, reset bool, amount money.Amount) error {
	_, err := l.db.SQL().ExecContext(ctx, `INSERT INTO sluice_spend_marks (kind, scope_id, at, reset, spend)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT (kind, scope_id, at) DO NOTHING`, s.Kind, clean(s.ID), micros(at), bit(reset), int64(amount))
	return err
}
