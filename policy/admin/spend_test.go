package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluicegw/sluice/internal/money"
	"github.com/sluicegw/sluice/policy/keys"
	"github.com/sluicegw/sluice/policy/ledger"
	"github.com/sluicegw/sluice/policy/store"
)

// spent gives the API a ledger with rows of four days of two keys, one of which is u1's.
func (a *api) spent() (mine, other string) {
	t := a.t
	t.Helper()
	a.want(200, master, "/user/new", `{"user_id":"u1","auto_create_key":false}`)
	a.want(200, master, "/team/new", `{"team_id":"t1","team_alias":"search"}`)
	mine, other = a.key(`{"user_id":"u1"}`), a.key(`{"team_id":"t1"}`)
	l := ledger.New(a.db)
	budget := 100 * money.Dollar
	a.server.o.Spending = &Spending{Ledger: l, Flush: func(context.Context) error { return nil }, Budget: func() *money.Amount { return &budget },
		Calculate: func(model string, prompt, completion int64) (float64, bool) {
			return float64(prompt+completion) / 1000, model == "gpt"
		},
		Reset: func(context.Context) error { return nil }}
	var rows []ledger.Row
	for n := range 8 {
		r := ledger.Row{ID: fmt.Sprint("row", n), RequestID: fmt.Sprint("call", n), Attempt: 1, CallType: "acompletion", Model: "gpt-4o", Group: "gpt", Provider: "openai",
			Prompt: 10, Completion: 5, Spend: money.Amount(n+1) * money.Cent, Tags: []string{"all", fmt.Sprint("tag", n%2)},
			Started: time.Date(2026, 1, 28+n/2, 23, 59, 59, 0, time.UTC), Status: 200, Customer: "=cmd()"}
		r.Ended = r.Started.Add(time.Second)
		if n%2 == 0 {
			r.Key, r.User = keys.Hash(mine), "u1"
		} else {
			r.Key, r.Team = keys.Hash(other), "t1"
		}
		rows = append(rows, r)
	}
	if err := l.Write(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	return mine, other
}

func TestSpend(t *testing.T) {
	eachDatabase(t, func(a *api) {
		mine, other := a.spent()
		const january = "start_date=2026-01-01&end_date=2026-01-31"
		for _, tt := range []struct{ key, path, want string }{
			// The last day counts, although its calls began a second before midnight.
			{master, "/spend/logs?" + january, `[{"KEY1":0.01,"KEY2":0.02,"models":{"gpt-4o":0.03},"spend":0.03,"startTime":"2026-01-28","users":{"":0.02,"u1":0.01}},` +
				`{"KEY1":0.03,"KEY2":0.04,"models":{"gpt-4o":0.07},"spend":0.07,"startTime":"2026-01-29","users":{"":0.04,"u1":0.03}},` +
				`{"KEY1":0.05,"KEY2":0.06,"models":{"gpt-4o":0.11},"spend":0.11,"startTime":"2026-01-30","users":{"":0.06,"u1":0.05}},` +
				`{"KEY1":0.07,"KEY2":0.08,"models":{"gpt-4o":0.15},"spend":0.15,"startTime":"2026-01-31","users":{"":0.08,"u1":0.07}}]`},
			{master, "/spend/logs?start_date=2026-01-31&end_date=2026-02-02&api_key=" + mine, `[{"KEY1":0.07,"models":{"gpt-4o":0.07},"spend":0.07,"startTime":"2026-01-31","users":{"u1":0.07}},` +
				`{"models":{},"spend":0,"startTime":"2026-02-01","users":{}},{"models":{},"spend":0,"startTime":"2026-02-02","users":{}}]`},
			{mine, "/spend/logs?start_date=2026-01-31&end_date=2026-01-31&user_id=somebody", `[{"KEY1":0.07,"models":{"gpt-4o":0.07},"spend":0.07,"startTime":"2026-01-31","users":{"u1":0.07}}]`},
			{master, "/spend/tags", `[{"individual_request_tag":"all","log_count":8,"total_spend":0.36},{"individual_request_tag":"tag1","log_count":4,"total_spend":0.2},{"individual_request_tag":"tag0","log_count":4,"total_spend":0.16}]`},
			{master, "/spend/tags?group_by=tag&start_date=2026-01-31&end_date=2026-01-31", `[{"group":"all","log_count":2,"total_spend":0.15},{"group":"tag1","log_count":1,"total_spend":0.08},{"group":"tag0","log_count":1,"total_spend":0.07}]`},
			{master, "/spend/tags?group_by=model", `[{"group":"gpt","log_count":8,"total_spend":0.36}]`},
			{master, "/spend/tags?group_by=team", `[{"group":"t1","log_count":4,"total_spend":0.2},{"group":"","log_count":4,"total_spend":0.16}]`},
			{master, "/spend/tags?group_by=user", `[{"group":"","log_count":4,"total_spend":0.2},{"group":"u1","log_count":4,"total_spend":0.16}]`},
			{mine, "/spend/tags?group_by=key", `[{"group":"KEY1","log_count":4,"total_spend":0.16}]`},
			{other, "/spend/tags?group_by=key", `[{"group":"KEY2","log_count":4,"total_spend":0.2}]`},
			{master, "/global/spend/report?start_date=2026-01-31&end_date=2026-01-31", `[{"group_by_day":"2026-01-31T00:00:00+00:00","teams":[` +
				`{"metadata":[{"api_key":"KEY1","model":"gpt-4o","spend":0.07,"total_tokens":15}],"team_name":"Unassigned Team","total_spend":0.07},` +
				`{"metadata":[{"api_key":"KEY2","model":"gpt-4o","spend":0.08,"total_tokens":15}],"team_name":"search","total_spend":0.08}]}]`},
			{master, "/global/spend/report?group_by=internal_user_id&" + january, `[{"internal_user_id":"","model_details":[{"model":"gpt-4o","total_cost":0.2,"total_input_tokens":40,"total_output_tokens":20}],"total_cost":0.2,"total_input_tokens":40,"total_output_tokens":20},` +
				`{"internal_user_id":"u1","model_details":[{"model":"gpt-4o","total_cost":0.16,"total_input_tokens":40,"total_output_tokens":20}],"total_cost":0.16,"total_input_tokens":40,"total_output_tokens":20}]`},
			{master, "/global/activity?start_date=2026-01-30&end_date=2026-01-31", `{"daily_data":[{"api_requests":2,"date":"Jan 30","total_tokens":30},{"api_requests":2,"date":"Jan 31","total_tokens":30}],"sum_api_requests":4,"sum_total_tokens":60}`},
			{mine, "/global/activity?start_date=2026-01-31&end_date=2026-01-31", `{"daily_data":[{"api_requests":1,"date":"Jan 31","total_tokens":15}],"sum_api_requests":1,"sum_total_tokens":15}`},
			{master, "/global/spend", `{"max_budget":100,"spend":0}`},
			{master, "/spend/tags?group_by=model&format=csv", "group,log_count,total_spend\ngpt,8,0.36\n"},
		} {
			code, got := a.ask(tt.key, tt.path, "")
			got = strings.NewReplacer(keys.Hash(mine), "KEY1", keys.Hash(other), "KEY2").Replace(got)
			if code != 200 || sortedJSON(got) != sortedJSON(tt.want) {
				t := a.t
				t.Errorf("%s: %d\n%s\nwant\n%s", tt.path, code, got, tt.want)
			}
		}
		var logs []map[string]any
		_, text := a.ask(mine, "/spend/logs?summarize=false&"+january, "")
		if err := json.Unmarshal([]byte(text), &logs); err != nil || len(logs) != 4 || logs[0]["request_id"] != "call6" || logs[0]["user"] != "u1" {
			a.t.Errorf("%v: %s", err, text)
		}
		if _, text := a.ask(mine, "/spend/logs?request_id=call1", ""); text != "[]" {
			a.t.Errorf("another's call: %s", text)
		}
		if _, text := a.ask(master, "/spend/logs?format=csv&request_id=call1", ""); !strings.Contains(text, "row1,call1,1,acompletion,2026-01-28T23:59:59.000000Z") || !strings.Contains(text, ",'=cmd(),") {
			a.t.Error(text)
		}
		for _, tt := range []struct {
			status    int
			key, path string
			body      string
		}{
			{400, master, "/global/activity", ""}, {400, master, "/spend/logs?start_date=yesterday&end_date=2026-01-01", ""}, {400, master, "/spend/tags?group_by=colour", ""},
			{400, master, "/global/spend/report?" + january + "&group_by=colour", ""}, {401, mine, "/global/spend", ""}, {401, mine, "/global/spend/report?" + january, ""},
			{403, mine, "/spend/users?user_id=u2", ""}, {200, mine, "/spend/users", ""}, {200, mine, "/spend/keys", ""},
			{200, mine, "/spend/calculate", `{"model":"gpt","messages":[{"role":"user","content":"hello"}]}`}, {400, mine, "/spend/calculate", `{"model":"other","messages":[]}`},
			{400, mine, "/spend/calculate", `{}`}, {400, mine, "/spend/calculate", `{"model":"gpt"}`}, {200, mine, "/spend/calculate", `{"completion_response":{"model":"gpt","usage":{"prompt_tokens":3}}}`},
			{200, master, "/global/spend/reset", `{}`}, {401, mine, "/global/spend/reset", `{}`},
		} {
			if code, text := a.ask(tt.key, tt.path, tt.body); code != tt.status {
				a.t.Errorf("%s %s: %d, want %d: %s", tt.path, tt.body, code, tt.status, text)
			}
		}
	})
}

// sortedJSON is JSON with its members in order; what is no JSON stays as it is.
func sortedJSON(s string) string {
	var v any
	if json.Unmarshal([]byte(s), &v) != nil {
		return s
	}
	b, _ := json.Marshal(v)
	return string(b)
}

// Whoever reads slowly, or not at all, keeps neither the database nor others' exports.
func TestExportsAreFew(t *testing.T) {
	a := newAPI(t, store.Options{})
	a.spent()
	for range mostExports {
		a.server.exports <- struct{}{}
	}
	a.want(429, master, "/spend/logs?format=csv", "")
	<-a.server.exports
	a.want(200, master, "/spend/logs?format=csv", "")
	a.want(200, master, "/spend/logs?format=csv", "")
	c := &call{s: a.server, ctx: t.Context()}
	if err := c.export(broken{}, func(w http.ResponseWriter) error { _, err := w.Write([]byte("x")); return err }); err != nil || c.ctx.Err() == nil {
		t.Error("reading goes on for a client that has left")
	}
}

type broken struct{ http.ResponseWriter }

func (broken) Write([]byte) (int, error) { return 0, errors.New("gone") }
