package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/sluicegw/sluice/internal/apierror"
	"github.com/sluicegw/sluice/internal/money"
	"github.com/sluicegw/sluice/policy/keys"
	"github.com/sluicegw/sluice/policy/ledger"
)

// Spending is what this API knows of money.
type Spending struct {
	Ledger *ledger.Ledger
	// Flush brings what calls have cost so far into the ledger.
	Flush func(context.Context) error
	// Budget is the one of all keys together: nil if there is none.
	Budget func() *money.Amount
	// Calculate is what tokens of a model, or a group, cost in US dollars. err names the model that has no price.
	Calculate func(model string, prompt, completion int64) (dollars float64, known bool)
	// Count is how many tokens messages have for a model; nil: they are estimated.
	Count func(model string, messages json.RawMessage) int64
	// Reset makes what all keys and teams have spent 0.
	Reset func(context.Context) error
}

// spendRoutes are LiteLLM's of proxy/spend_tracking.
var spendRoutes = []route{
	{http.MethodGet, "/spend/logs", "", everybody, asInternal, spendLogs},
	{http.MethodGet, "/spend/logs/v2", "", everybody, detailed, spendLogsPaged},
	{http.MethodGet, "/spend/tags", "", everybody, asInternal, spendTags},
	{http.MethodGet, "/spend/keys", "", everybody, detailed, spendKeys},
	{http.MethodGet, "/spend/users", "", everybody, detailed, spendUsers},
	{http.MethodPost, "/spend/calculate", "", everybody, proxied, spendCalculate},
	{http.MethodGet, "/global/spend", "", adminsOnly, asInternal, globalSpend},
	{http.MethodGet, "/global/spend/logs", "", everybody, detailed, globalSpendLogs},
	{http.MethodGet, "/global/spend/keys", "", everybody, detailed, globalSpendKeys},
	{http.MethodGet, "/global/spend/teams", "", adminsOnly, detailed, globalSpendTeams},
	{http.MethodGet, "/global/spend/models", "", everybody, detailed, globalSpendModels},
	{http.MethodGet, "/global/spend/tags", "", adminsOnly, detailed, globalSpendTags},
	{http.MethodGet, "/global/spend/all_tag_names", "", adminsOnly, detailed, allTagNames},
	{http.MethodGet, "/global/spend/provider", "", everybody, detailed, globalSpendProviders},
	{http.MethodGet, "/global/spend/report", "", adminsOnly, detailed, spendReport},
	{http.MethodPost, "/global/spend/reset", "", adminsOnly, detailed, resetSpend},
	{http.MethodPost, "/global/spend/refresh", "", adminsOnly, detailed, refreshSpend},
	{http.MethodGet, "/global/activity", "", everybody, detailed, activity},
	{http.MethodGet, "/global/activity/model", "", everybody, detailed, activityByModel},
}

// asInternal is how LiteLLM renders what goes wrong with its reports.
var asInternal = style{typ: "internal_error", param: "None"}

// book is the ledger, with all in it that calls have cost.
func (c *call) book() (*ledger.Ledger, error) {
	sp := c.s.o.Spending
	if sp == nil {
		return nil, problem(http.StatusBadRequest, "no_db_connection", "", "No connected db.")
	}
	flushing, cancel := context.WithTimeout(c.ctx, 5*time.Second)
	defer cancel()
	if err := sp.Flush(flushing); err != nil {
		return nil, away()
	}
	return sp.Ledger, nil
}

// own bounds what is shown to the caller's: an admin sees all, a user what its keys have spent, another key its own.
func (c *call) own() map[ledger.By]string {
	switch {
	case c.sees():
		return map[ledger.By]string{}
	case c.key.UserID != "":
		return map[ledger.By]string{ledger.ByUser: c.key.UserID}
	}
	return map[ledger.By]string{ledger.ByKey: c.key.Hash}
}

// period reads start_date and end_date, both included. They have to be both there, or, unless needed, both missing.
func (c *call) period(needed bool) (p ledger.Period, err error) {
	from, to := c.query("start_date"), c.query("end_date")
	if from == "" && to == "" && !needed {
		return p, nil
	}
	if needed && (from == "" || to == "") {
		return p, refuse(http.StatusBadRequest, "Please provide start_date and end_date")
	}
	for _, d := range []struct {
		name, text string
		to         *time.Time
	}{{"start_date", from, &p.From}, {"end_date", to, &p.To}} {
		if d.text == "" {
			continue
		}
		for _, layout := range []string{time.DateOnly, time.DateTime, time.RFC3339} {
			if *d.to, err = time.Parse(layout, d.text); err == nil {
				break
			}
		}
		if err != nil {
			return p, refuse(http.StatusBadRequest, "%s must be a date such as 2026-01-31, not %s", d.name, printable(d.text))
		}
		*d.to = d.to.UTC()
	}
	if !p.To.IsZero() && p.To.Before(p.From) {
		return p, refuse(http.StatusBadRequest, "end_date is before start_date")
	}
	return p, nil
}

// reported is what a report reads: the ledger, and the days that it has to be asked for.
func (c *call) reported() (l *ledger.Ledger, p ledger.Period, err error) {
	if p, err = c.period(true); err != nil {
		return nil, p, err
	}
	l, err = c.book()
	return l, p, err
}

func dollarsOf(a money.Amount) json.Number { return json.Number(a.String()) }

// lastDays is the period of the last days, today included.
func (c *call) lastDays(n int) ledger.Period {
	return ledger.Period{From: c.now.AddDate(0, 0, -n), To: c.now}
}

// globalSpend is GET /global/spend: the last 30 days, as LiteLLM's view has it.
func globalSpend(c *call) (any, error) {
	l, err := c.book()
	if err != nil {
		return nil, err
	}
	lines, err := l.Lines(c.ctx, c.lastDays(30), nil)
	if err != nil {
		return nil, failedRead(err)
	}
	out := document{"spend": dollarsOf(lines[0].Spend), "max_budget": json.Number("0.0")}
	if b := c.s.o.Spending.Budget(); b != nil {
		out["max_budget"] = dollarsOf(*b)
	}
	return out, nil
}

// failedRead is the answer when the database fails in the middle of a question.
func failedRead(err error) error {
	if err == nil {
		return nil
	}
	return &refusal{status: http.StatusServiceUnavailable, detail: document{"error": "the ledger cannot be read now; try again"}}
}

// resetSpend is POST /global/spend/reset: the rows stay.
func resetSpend(c *call) (any, error) {
	if c.s.o.Spending == nil {
		return nil, problem(http.StatusBadRequest, "no_db_connection", "", "No connected db.")
	}
	if err := c.s.o.Spending.Reset(c.ctx); err != nil {
		return nil, failedRead(err)
	}
	return document{"message": "Spend for all API Keys and Teams reset successfully", "status": "success"}, nil
}

// refreshSpend is for LiteLLM's materialized view; the totals here are always fresh.
func refreshSpend(c *call) (any, error) {
	return document{"message": "MonthlyGlobalSpend view refreshed", "status": "success"}, nil
}

// spendKeys is GET /spend/keys: the keys that the caller may see, dearest first.
func spendKeys(c *call) (any, error) {
	list := c.all(keys.KindKey, func(d document) bool {
		return c.sees() || c.key.UserID != "" && text(d, "user_id") == c.key.UserID
	})
	out := make([]document, len(list))
	for i, d := range list {
		out[i] = row(keys.KindKey, d)
	}
	bySpend(out)
	return out, nil
}

// spendUsers is GET /spend/users: all users, or the one asked for; others than admins see themselves.
func spendUsers(c *call) (any, error) {
	id := c.query("user_id")
	if !c.sees() {
		if c.key.UserID == "" {
			return []document{}, nil
		}
		if id != "" && id != c.key.UserID {
			return nil, refuse(http.StatusForbidden, "Not authorized to view spend for another user.")
		}
		id = c.key.UserID
	}
	list := c.all(keys.KindUser, func(d document) bool { return id == "" || text(d, "user_id") == id })
	out := make([]document, len(list))
	for i, d := range list {
		out[i] = userRow(d)
	}
	bySpend(out)
	return out, nil
}

func bySpend(list []document) {
	spend := func(d document) float64 { n, _ := number(d, "spend"); return n }
	slices.SortStableFunc(list, func(a, b document) int {
		switch x, y := spend(a), spend(b); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
}

// spendCalculate is POST /spend/calculate: what a request would cost, or what an answer did.
func spendCalculate(c *call) (any, error) {
	if c.s.o.Spending == nil {
		return nil, problem(http.StatusBadRequest, "no_db_connection", "", "No connected db.")
	}
	var in struct {
		Model    *string         `json:"model"`
		Messages json.RawMessage `json:"messages"`
		Answer   *struct {
			Model string `json:"model"`
			Usage struct {
				Prompt     int64 `json:"prompt_tokens"`
				Completion int64 `json:"completion_tokens"`
			} `json:"usage"`
		} `json:"completion_response"`
	}
	if err := json.NewDecoder(c.r.Body).Decode(&in); err != nil {
		return nil, problem(http.StatusBadRequest, "invalid_request_error", "None", "the body is not a valid JSON object: %s", err)
	}
	var model string
	var prompt, completion int64
	switch {
	case in.Model != nil && (in.Messages == nil || string(in.Messages) == "null"):
		return nil, problem(http.StatusBadRequest, "None", "None", "Bad Request - messages must be provided if 'model' is provided")
	case in.Model != nil:
		model = *in.Model
		prompt = int64(len(in.Messages)+3) / 4
		if count := c.s.o.Spending.Count; count != nil {
			prompt = count(model, in.Messages)
		}
	case in.Answer != nil:
		model, prompt, completion = in.Answer.Model, in.Answer.Usage.Prompt, in.Answer.Usage.Completion
	default:
		return nil, problem(http.StatusBadRequest, "None", "None", "Bad Request - Either 'model' or 'completion_response' must be provided")
	}
	cost, known := c.s.o.Spending.Calculate(model, prompt, completion)
	if !known {
		return nil, &apierror.Error{Kind: apierror.BadRequest, Status: http.StatusBadRequest, Type: "invalid_request_error", Param: "model",
			Message: fmt.Sprintf("This model isn't mapped yet. model=%s. Set input_cost_per_token and output_cost_per_token for it.", printable(model))}
	}
	return document{"cost": cost}, nil
}
