package keys

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/sluicegw/sluice/internal/money"
)

// row is a document of the store, by LiteLLM's names of columns
// (https://github.com/BerriAI/litellm/blob/main/schema.prisma); each kind has some of them.
type row struct {
	KeyName        string         `json:"key_name"`
	KeyAlias       string         `json:"key_alias"`
	Models         []string       `json:"models"`
	Aliases        aliases        `json:"aliases"`
	ModelAliases   aliases        `json:"model_aliases"`
	UserID         string         `json:"user_id"`
	TeamID         string         `json:"team_id"`
	OrganizationID string         `json:"organization_id"`
	Permissions    object         `json:"permissions"`
	Metadata       object         `json:"metadata"`
	Blocked        bool           `json:"blocked"`
	Expires        *when          `json:"expires"`
	AllowedRoutes  []string       `json:"allowed_routes"`
	TPM            *number        `json:"tpm_limit"`
	RPM            *number        `json:"rpm_limit"`
	Parallel       *number        `json:"max_parallel_requests"`
	MaxBudget      *number        `json:"max_budget"`
	SoftBudget     *number        `json:"soft_budget"`
	BudgetDuration string         `json:"budget_duration"`
	BudgetResetAt  *when          `json:"budget_reset_at"`
	BudgetID       string         `json:"budget_id"`
	ModelMaxBudget map[string]any `json:"model_max_budget"`
	Spend          *number        `json:"spend"`
	AllowedModels  []string       `json:"allowed_models"`

	TempIncrease *number `json:"temp_budget_increase"`
	TempExpiry   *when   `json:"temp_budget_expiry"`

	TeamAlias        string   `json:"team_alias"`
	MembersWithRoles []member `json:"members_with_roles"`
	UserRole         string   `json:"user_role"`
	UserEmail        string   `json:"user_email"`
	UserAlias        string   `json:"user_alias"`
	Alias            string   `json:"alias"`
	Teams            []string `json:"teams"`
	DefaultModel     string   `json:"default_model"`
	Region           string   `json:"allowed_model_region"`

	Active   string `json:"active_token_id"`
	RevokeAt *when  `json:"revoke_at"`
}

type member struct {
	UserID string `json:"user_id"`
	Role   string `json:"role"`
}

// about is what metadata holds besides the administrator's own.
type about struct {
	Tags         []string          `json:"tags"`
	Guardrails   []string          `json:"guardrails"`
	ModelRPM     map[string]number `json:"model_rpm_limit"`
	ModelTPM     map[string]number `json:"model_tpm_limit"`
	MemberBudget string            `json:"team_member_budget_id"`
	EndUsers     string            `json:"end_user_budget_id"`
	TempIncrease *number           `json:"temp_budget_increase"`
	TempExpiry   *when             `json:"temp_budget_expiry"`
}

// object is a JSON object; empty ones are nil.
type object json.RawMessage

func (o *object) UnmarshalJSON(b []byte) error {
	*o = nil
	if b = bytes.TrimSpace(b); len(b) > 2 && b[0] == '{' {
		*o = append(object(nil), b...)
	}
	return nil
}

// aliases leaves out what is no text.
type aliases map[string]string

func (a *aliases) UnmarshalJSON(b []byte) error {
	var all map[string]any
	if json.Unmarshal(b, &all) != nil {
		return nil
	}
	*a = nil
	for name, to := range all {
		if s, ok := to.(string); ok && s != "" {
			if *a == nil {
				*a = aliases{}
			}
			(*a)[name] = s
		}
	}
	return nil
}

// number takes numbers also as texts, which LiteLLM's databases hold here and there.
type number float64

func (n *number) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	if err == nil {
		*n = number(f)
	}
	return nil
}

func (n *number) whole() *int64 {
	if n == nil {
		return nil
	}
	out := int64(*n)
	return &out
}

func (n *number) amount() *money.Amount {
	if n == nil {
		return nil
	}
	out := money.FromDollars(float64(*n))
	return &out
}

// when takes times with and without a zone; without one they are UTC.
type when struct{ time.Time }

func (w *when) UnmarshalJSON(b []byte) error {
	w.Time = ParseTime(strings.Trim(string(b), `"`))
	return nil
}

func (w *when) time() time.Time {
	if w == nil {
		return time.Time{}
	}
	return w.Time
}

// ParseTime reads ISO 8601 as LiteLLM writes it: with T or a space, with or without a zone. What is no time is
// the zero time.
func ParseTime(s string) time.Time {
	for _, layout := range []string{
		time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999", time.DateOnly,
	} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}

// decode reads a document. Fields of a wrong type are left at their zero: one odd field must not lock a key out.
func decode(doc []byte) (row, about) {
	var r row
	var a about
	_ = json.Unmarshal(doc, &r) // it goes on behind a field that does not fit
	if r.Metadata != nil {
		_ = json.Unmarshal(r.Metadata, &a)
	}
	return r, a
}

// scope resolves budgets and limits: the row's own, else those of the budget object that it names.
func (r *row) scope(a *about, budget *row) Scope {
	s := Scope{
		Limits:       Limits{TPM: r.TPM.whole(), RPM: r.RPM.whole(), Parallel: r.Parallel.whole(), ModelTPM: wholes(a.ModelTPM), ModelRPM: wholes(a.ModelRPM)},
		Budget:       Budget{Max: r.MaxBudget.amount(), Soft: r.SoftBudget.amount(), Duration: r.BudgetDuration, ResetAt: r.BudgetResetAt.time()},
		ModelBudgets: modelBudgets(r.ModelMaxBudget),
	}
	if r.Spend != nil {
		s.Spent = *r.Spend.amount()
	}
	if b := budget; b != nil {
		s.Limits.TPM = first(s.Limits.TPM, b.TPM.whole())
		s.Limits.RPM = first(s.Limits.RPM, b.RPM.whole())
		s.Limits.Parallel = first(s.Limits.Parallel, b.Parallel.whole())
		if s.Budget.Max == nil {
			s.Budget.Max = b.MaxBudget.amount()
			if s.Budget.Duration == "" {
				s.Budget.Duration, s.Budget.ResetAt = b.BudgetDuration, b.BudgetResetAt.time()
			}
		}
		s.Budget.Soft = first(s.Budget.Soft, b.SoftBudget.amount())
		if s.ModelBudgets == nil {
			s.ModelBudgets = modelBudgets(b.ModelMaxBudget)
		}
		s.raise(b.TempIncrease, b.TempExpiry)
	}
	s.raise(a.TempIncrease, a.TempExpiry)
	return s
}

// raise adds an increase of the budget while it lasts. Its end is noticed when the row is read again, by the
// next change of any kind, at the latest by [Directory.Refresh].
func (s *Scope) raise(by *number, until *when) {
	if by != nil && s.Budget.Max != nil && until.time().After(time.Now()) {
		raised := s.Budget.Max.Plus(*by.amount())
		s.Budget.Max = &raised
	}
}

func first[T any](a, b *T) *T {
	if a != nil {
		return a
	}
	return b
}

func wholes(m map[string]number) map[string]int64 {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]int64, len(m))
	for name, n := range m {
		out[name] = int64(n)
	}
	return out
}

// modelBudgets reads {"model": 5}, {"model": {"budget_limit": 5, "time_period": "1d"}} and the newer
// {"model": {"max_budget": 5, "budget_duration": "1d"}}.
func modelBudgets(m map[string]any) map[string]ModelBudget {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]ModelBudget, len(m))
	for model, v := range m {
		if f, ok := dollars(v); ok {
			out[model] = ModelBudget{Max: f}
			continue
		}
		fields, _ := v.(map[string]any)
		for _, names := range [][2]string{{"budget_limit", "time_period"}, {"max_budget", "budget_duration"}} {
			if f, ok := dollars(fields[names[0]]); ok {
				period, _ := fields[names[1]].(string)
				if period == "" {
					period, _ = fields["time_period"].(string)
				}
				out[model] = ModelBudget{Max: f, Duration: period}
				break
			}
		}
	}
	return out
}

func dollars(v any) (money.Amount, bool) {
	switch v := v.(type) {
	case float64:
		return money.FromDollars(v), true
	case string:
		if f, err := strconv.ParseFloat(v, 64); err == nil {
			return money.FromDollars(f), true
		}
	}
	return 0, false
}
