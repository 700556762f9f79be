package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluicegw/sluice/internal/money"
)

// Line is what some of a period's rows add up to. Of its texts only those are set that it was grouped by.
type Line struct {
	Day                                                    string // 2006-01-02, UTC
	Key, Team, User, Customer, Group, Model, Provider, Tag string
	Spend                                                  money.Amount
	Prompt, Completion                                     int64 // tokens
	Calls, Failures                                        int64 // rows
}

// Period is from the day of From to that of To, both included; zero: without that end.
type Period struct{ From, To time.Time }

func (p Period) days() (first, last int64) {
	first, last = -1<<40, 1<<40
	if !p.From.IsZero() {
		first = dayOf(p.From.UnixMicro())
	}
	if !p.To.IsZero() {
		last = dayOf(p.To.UnixMicro())
	}
	return first, last
}

// By is what lines are grouped by.
type By string

// What there is to group by. Tags have no teams, customers, models and providers.
const (
	ByDay      By = "day"
	ByKey      By = "api_key"
	ByTeam     By = "team_id"
	ByUser     By = "user_id"
	ByCustomer By = "end_user"
	ByGroup    By = "model_group"
	ByModel    By = "model"
	ByProvider By = "provider"
	ByTag      By = "tag"
)

// Of is the text that the line has for what it was grouped by.
func (l *Line) Of(by By) string {
	if f := l.field(by); f != nil {
		return *f
	}
	return ""
}

func (l *Line) field(by By) *string {
	switch by {
	case ByDay:
		return &l.Day
	case ByKey:
		return &l.Key
	case ByTeam:
		return &l.Team
	case ByUser:
		return &l.User
	case ByCustomer:
		return &l.Customer
	case ByGroup:
		return &l.Group
	case ByModel:
		return &l.Model
	case ByProvider:
		return &l.Provider
	case ByTag:
		return &l.Tag
	}
	return nil
}

// Lines adds up a period's totals, dearest first, or by day where they are grouped by it. only bounds them to some
// keys, users …; an empty value is one, too: rows without a team.
func (l *Ledger) Lines(ctx context.Context, p Period, only map[By]string, by ...By) ([]Line, error) {
	table := "sluice_spend_daily"
	if _, ok := only[ByTag]; ok || slices.Contains(by, ByTag) {
		table = "sluice_spend_daily_tags"
	}
	from, until := p.days()
	args := []any{from, until}
	where := " WHERE day >= $1 AND day <= $2"
	for _, k := range [...]By{ByKey, ByTeam, ByUser, ByCustomer, ByGroup, ByModel, ByProvider, ByTag} {
		if v, ok := only[k]; ok {
			args = append(args, clean(v))
			where += fmt.Sprintf(" AND %s = $%d", k, len(args))
		}
	}
	var names []string
	for _, b := range by {
		names = append(names, string(b))
	}
	query := "SELECT "
	group := ""
	if len(names) > 0 {
		query += strings.Join(names, ", ") + ", "
		group = " GROUP BY " + strings.Join(names, ", ")
	}
	query += "COALESCE(SUM(spend), 0), COALESCE(SUM(prompt), 0), COALESCE(SUM(completion), 0), COALESCE(SUM(calls), 0), COALESCE(SUM(failures), 0) FROM " + table + where + group
	if slices.Contains(by, ByDay) {
		query += " ORDER BY day"
	} else if len(by) > 0 {
		query += fmt.Sprintf(" ORDER BY %d DESC", len(by)+1)
	}
	var out []Line
	var line Line // the one that is being read
	var day, spend int64
	last := int64(-1 << 40)
	daily := slices.Contains(by, ByDay)
	var to []any
	for _, b := range by {
		if b == ByDay {
			to = append(to, &day)
		} else {
			to = append(to, line.field(b))
		}
	}
	to = append(to, &spend, &line.Prompt, &line.Completion, &line.Calls, &line.Failures)
	err := each(ctx, l.db.SQL(), query, func(rows *sql.Rows) error {
		if err := rows.Scan(to...); err != nil {
			return err
		}
		line.Spend = money.Amount(spend)
		if daily && day != last {
			last, line.Day = day, date(day)
		}
		out = append(out, line)
		return nil
	}, args...)
	return out, err
}
