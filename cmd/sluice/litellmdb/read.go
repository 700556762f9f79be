package litellmdb

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicegw/sluice/internal/seal"
	"github.com/sluicegw/sluice/policy/keys"
	"github.com/sluicegw/sluice/policy/store"
)

// Contents is what a database holds.
type Contents struct {
	Objects []store.Object // of all kinds but models
	Models  []Model
	Notes   []string // what is not taken over, and what was odd, in sentences
}

// Model is a model that LiteLLM stores, opened.
type Model struct {
	ID, Name string
	Params   map[string]any
	Info     map[string]any
	Blocked  bool
}

type row = map[string]any

// Read reads everything. opener opens what LiteLLM has sealed; nil: models are left out.
func Read(ctx context.Context, conn *pgx.Conn, opener *seal.Sealer) (*Contents, error) {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback(ctx) }() // it only reads
	r := &reader{ctx: ctx, tx: tx, out: &Contents{}}
	for _, step := range []func() error{r.keys, r.oldKeys, r.teams, r.users, r.members, r.customers, r.budgets,
		func() error { return r.models(opener) }, r.leftBehind} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return r.out, nil
}

type reader struct {
	ctx context.Context
	tx  pgx.Tx
	out *Contents
}

// rows are all of a table; none if there is no such table, as in databases of older versions.
func (r *reader) rows(table string) ([]row, error) {
	sub, err := r.tx.Begin(r.ctx) // an error would end the whole transaction
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Rollback(r.ctx) }()
	found, err := sub.Query(r.ctx, `SELECT to_jsonb(t)::text FROM "`+table+`" t`)
	if err != nil {
		return nil, err
	}
	texts, err := pgx.CollectRows(found, pgx.RowTo[string])
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == "42P01" {
		if table == "LiteLLM_VerificationToken" {
			return nil, errors.New("this is no database of LiteLLM's: it has no table LiteLLM_VerificationToken")
		}
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", table, err)
	}
	out := make([]row, 0, len(texts))
	for _, text := range texts {
		d := json.NewDecoder(bytes.NewReader([]byte(text)))
		d.UseNumber()
		one := row{}
		if err := d.Decode(&one); err != nil {
			return nil, fmt.Errorf("%s: %w", table, err)
		}
		out = append(out, clean(one))
	}
	return out, nil
}

// times are columns without a zone; LiteLLM's are UTC.
var times = []string{"expires", "budget_reset_at", "created_at", "updated_at", "settings_updated_at", "last_active", "last_rotation_at",
	"key_rotation_at", "revoke_at", "temp_budget_expiry"}

// clean leaves out what says nothing, and writes times as sluice does.
func clean(in row) row {
	for name, v := range in {
		switch v := v.(type) {
		case nil:
			delete(in, name)
		case []any:
			if len(v) == 0 {
				delete(in, name)
			}
		case map[string]any:
			if len(v) == 0 {
				delete(in, name)
			}
		case string:
			if t := keys.ParseTime(v); slices.Contains(times, name) && !t.IsZero() {
				in[name] = t.Format("2006-01-02T15:04:05.000000Z")
			}
			// Json columns that were written as texts by older versions.
			if strings.HasPrefix(v, "{") && slices.Contains([]string{"metadata", "aliases", "permissions", "model_max_budget", "config", "router_settings"}, name) {
				var o map[string]any
				if json.Unmarshal([]byte(v), &o) == nil {
					in[name] = o
				}
			}
		}
	}
	return in
}

func text(d row, name string) string {
	s, _ := d[name].(string)
	return s
}

func (r *reader) add(kind, id, unique string, d row) error {
	if id == "" {
		r.note("a %s without an id is left out", kind)
		return nil
	}
	b, err := json.Marshal(d)
	r.out.Objects = append(r.out.Objects, store.Object{Kind: kind, ID: id, Unique: unique, Doc: b})
	return err
}

func (r *reader) note(format string, args ...any) {
	r.out.Notes = append(r.out.Notes, fmt.Sprintf(format, args...))
}

// each adds every row of a table.
func (r *reader) each(table string, add func(row) error) error {
	rows, err := r.rows(table)
	if err != nil {
		return err
	}
	for _, d := range rows {
		if err := add(d); err != nil {
			return err
		}
	}
	return nil
}

// dashboardTeam is the team of sessions of LiteLLM's dashboard: they are no keys of anybody's.
const dashboardTeam = "litellm-dashboard"

func (r *reader) keys() error {
	sessions, odd, groups := 0, 0, 0
	seen := map[string]bool{}
	err := r.each("LiteLLM_VerificationToken", func(d row) error {
		token, alias := text(d, "token"), text(d, "key_alias")
		switch {
		case text(d, "team_id") == dashboardTeam:
			sessions++
			return nil
		case len(token) != 64:
			odd++
			return nil
		}
		if d["access_group_ids"] != nil {
			groups++
		}
		unique := alias
		if seen[alias] {
			unique = ""
		}
		seen[alias] = true
		return r.add(keys.KindKey, token, unique, d)
	})
	if sessions > 0 {
		r.note("%d sessions of LiteLLM's dashboard are left out", sessions)
	}
	if odd > 0 {
		r.note("%d keys are left out, because what LiteLLM stores of them is no sha256 sum", odd)
	}
	if groups > 0 {
		r.note("%d keys have access_group_ids, which grant nothing in sluice: give these keys the models, or access groups of model_info", groups)
	}
	return err
}

func (r *reader) oldKeys() error {
	return r.each("LiteLLM_DeprecatedVerificationToken", func(d row) error {
		if keys.ParseTime(text(d, "revoke_at")).Before(time.Now()) {
			return nil
		}
		return r.add(keys.KindOldKey, text(d, "token"), "", row{"token": d["token"], "active_token_id": d["active_token_id"], "revoke_at": d["revoke_at"]})
	})
}

func (r *reader) teams() error {
	aliases := map[string]any{}
	if err := r.each("LiteLLM_ModelTable", func(d row) error {
		a := d["aliases"]
		if s, ok := a.(string); ok { // it was written as a text
			var o map[string]any
			if json.Unmarshal([]byte(s), &o) == nil {
				a = o
			}
		}
		aliases[fmt.Sprint(d["id"])] = a
		return nil
	}); err != nil {
		return err
	}
	return r.each("LiteLLM_TeamTable", func(d row) error {
		if id := d["model_id"]; id != nil {
			if a := aliases[fmt.Sprint(id)]; a != nil {
				d["model_aliases"] = a
			}
			delete(d, "model_id")
		}
		if _, ok := d["members_with_roles"].([]any); !ok {
			delete(d, "members_with_roles")
		}
		return r.add(keys.KindTeam, text(d, "team_id"), "", d)
	})
}

func (r *reader) users() error {
	seen := map[string]bool{}
	return r.each("LiteLLM_UserTable", func(d row) error {
		for _, name := range []string{"password", "password_reset_required", "last_breach_check_at"} {
			delete(d, name) // of LiteLLM's dashboard
		}
		email := strings.ToLower(strings.TrimSpace(text(d, "user_email")))
		if seen[email] && email != "" {
			r.note("the users of %s share the email %s", text(d, "user_id"), email)
			email = ""
		}
		seen[email] = true
		return r.add(keys.KindUser, text(d, "user_id"), email, d)
	})
}

func (r *reader) members() error {
	return r.each("LiteLLM_TeamMembership", func(d row) error {
		return r.add(keys.KindMember, keys.MemberID(text(d, "team_id"), text(d, "user_id")), "", d)
	})
}

func (r *reader) customers() error {
	return r.each("LiteLLM_EndUserTable", func(d row) error { return r.add(keys.KindCustomer, text(d, "user_id"), "", d) })
}

func (r *reader) budgets() error {
	return r.each("LiteLLM_BudgetTable", func(d row) error { return r.add(keys.KindBudget, text(d, "budget_id"), "", d) })
}

// leftBehind tells of tables whose content has no place here.
func (r *reader) leftBehind() error {
	for _, t := range []struct{ table, what string }{
		{"LiteLLM_OrganizationTable", "organizations: their budgets and limits do not hold in sluice; their teams and keys do"},
		{"LiteLLM_ProjectTable", "projects: their budgets and limits do not hold in sluice; their keys do"},
		{"LiteLLM_TagTable", "budgets of tags: set tag budgets in the configuration"},
		{"LiteLLM_AccessGroupTable", "access groups of the database: use access_groups of model_info"},
		{"LiteLLM_Config", "settings that LiteLLM keeps in its database: write them into config.yaml"},
		{"LiteLLM_GuardrailsTable", "guardrails of the database: write them into config.yaml"},
		{"LiteLLM_MCPServerTable", "MCP servers"},
		{"LiteLLM_PromptTable", "prompts"},
		{"LiteLLM_ManagedVectorStoresTable", "vector stores"},
	} {
		n, err := r.count(t.table)
		if err != nil {
			return err
		}
		if n > 0 {
			r.note("not taken over: %d %s", n, t.what)
		}
	}
	n, err := r.count("LiteLLM_SpendLogs")
	if n > 0 {
		r.note("not taken over: %d rows of LiteLLM_SpendLogs; what each key, team, user and customer has spent so far is", n)
	}
	return err
}

func (r *reader) count(table string) (int, error) {
	sub, err := r.tx.Begin(r.ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = sub.Rollback(r.ctx) }()
	n := 0
	err = sub.QueryRow(r.ctx, `SELECT count(*) FROM "`+table+`"`).Scan(&n)
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == "42P01" {
		return 0, nil
	}
	return n, err
}
