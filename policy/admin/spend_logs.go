package admin

import (
	"encoding/csv"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sluicegw/sluice/policy/ledger"
)

// mostLogs bounds how many rows one answer has, as LiteLLM's does.
const mostLogs = 10_000

// spendLogs is GET /spend/logs: with dates a day's sums, or with summarize=false its rows; without dates the newest rows.
func spendLogs(c *call) (any, error) {
	l, err := c.book()
	if err != nil {
		return nil, err
	}
	p, err := c.period(false)
	if err != nil {
		return nil, err
	}
	only := c.own()
	for name, by := range map[string]ledger.By{"api_key": ledger.ByKey, "user_id": ledger.ByUser} {
		v := c.query(name)
		if v == "" {
			continue
		}
		if by == ledger.ByKey {
			v = hashOf(v)
		}
		if have, bound := only[by]; bound && have != v {
			v = have // their own, whatever they ask for
		}
		only[by] = v
	}
	summarize := c.query("summarize")
	if !p.From.IsZero() && !p.To.IsZero() && !strings.EqualFold(summarize, "false") && c.query("request_id") == "" && !c.wantsCSV() {
		return c.dailySums(l, p, only)
	}
	filter := ledger.Filter{From: p.From, Key: only[ledger.ByKey], User: only[ledger.ByUser], Request: c.query("request_id"), Limit: mostLogs}
	if !p.To.IsZero() {
		filter.To = p.To.Truncate(24*time.Hour).AddDate(0, 0, 1) // the whole day
	}
	if c.wantsCSV() {
		filter.Limit = 0
		return c.csvOf(l, filter), nil
	}
	out := []document{}
	err = l.Each(c.ctx, filter, func(r *ledger.Row) { out = append(out, logRow(r)) })
	if len(out) == mostLogs {
		c.header("x-litellm-spend-logs-truncated", "true")
	}
	return out, failedRead(err)
}

// dailySums are LiteLLM's days, with zeros after the last that has any spend. Each part is asked for by itself: what keys,
// users and models have in common is a hundred times as much.
func (c *call) dailySums(l *ledger.Ledger, p ledger.Period, only map[ledger.By]string) (any, error) {
	days, order := map[string]document{}, []string{}
	totals, err := l.Lines(c.ctx, p, only, ledger.ByDay)
	if err != nil {
		return nil, failedRead(err)
	}
	for i := range totals {
		days[totals[i].Day] = document{"startTime": totals[i].Day, "spend": dollarsOf(totals[i].Spend), "users": document{}, "models": document{}}
		order = append(order, totals[i].Day)
	}
	for _, part := range []struct {
		by   ledger.By
		into func(document) document
	}{
		{ledger.ByKey, func(d document) document { return d }},
		{ledger.ByUser, func(d document) document { return d["users"].(document) }},
		{ledger.ByModel, func(d document) document { return d["models"].(document) }},
	} {
		lines, err := l.Lines(c.ctx, p, only, ledger.ByDay, part.by)
		if err != nil {
			return nil, failedRead(err)
		}
		for i := range lines {
			if d := days[lines[i].Day]; d != nil {
				part.into(d)[lines[i].Of(part.by)] = dollarsOf(lines[i].Spend)
			}
		}
	}
	out := []document{}
	for _, day := range order {
		out = append(out, days[day])
	}
	if len(order) > 0 {
		out = append(out, emptyDays(order[len(order)-1], p.To)...)
	}
	return out, nil
}

func emptyDays(after string, until time.Time) (out []document) {
	day, err := time.Parse(time.DateOnly, after)
	for day = day.AddDate(0, 0, 1); err == nil && !day.After(until) && len(out) < 3660; day = day.AddDate(0, 0, 1) {
		out = append(out, document{"startTime": day.Format(time.DateOnly), "spend": 0, "users": document{}, "models": document{}})
	}
	return out
}

// logRow is a row as LiteLLM_SpendLogs has it.
func logRow(r *ledger.Row) document {
	status := "success"
	if r.Failure != "" {
		status = "failure"
	}
	first := any(nil)
	if !r.FirstToken.IsZero() {
		first = stamp(r.FirstToken)
	}
	tags := r.Tags
	if tags == nil {
		tags = []string{}
	}
	return document{
		"request_id": r.RequestID, "litellm_call_id": r.RequestID, "call_type": r.CallType, "api_key": r.Key, "spend": dollarsOf(r.Spend),
		"total_tokens": r.Tokens(), "prompt_tokens": r.Prompt, "completion_tokens": r.Completion,
		"startTime": stamp(r.Started), "endTime": stamp(r.Ended), "completionStartTime": first,
		"request_duration_ms": r.Ended.Sub(r.Started).Milliseconds(),
		"model":               r.Model, "model_id": r.Deployment, "model_group": r.Group, "custom_llm_provider": r.Provider, "api_base": r.APIBase,
		"user": r.User, "end_user": r.Customer, "team_id": orNull(r.Team), "organization_id": orNull(r.Organization),
		"session_id": orNull(r.Session), "request_tags": tags, "cache_hit": pythonBool(r.CacheHit), "cache_key": "Cache OFF", "status": status,
		"requester_ip_address": nil, "messages": document{}, "response": document{}, "proxy_server_request": document{},
		"mcp_namespaced_tool_name": nil, "agent_id": nil,
		"metadata": document{
			"user_api_key": r.Key, "user_api_key_alias": orNull(r.KeyAlias), "user_api_key_team_id": orNull(r.Team), "user_api_key_user_id": orNull(r.User),
			"user_api_key_org_id": orNull(r.Organization), "status": status, "sluice_row_id": r.ID, "attempt": r.Attempt, "http_status": r.Status, "failure": orNull(r.Failure),
			"stream": r.Stream, "estimated": r.Estimated, "orphaned": r.Orphaned,
			"additional_usage_values": document{"cache_read_input_tokens": r.CachedRead, "cache_creation_input_tokens": r.CacheWrite, "reasoning_tokens": r.Reasoning},
		},
	}
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func pythonBool(b bool) string {
	if b {
		return "True"
	}
	return "False"
}

// spendLogsPaged is GET /spend/logs/v2: rows by pages.
func spendLogsPaged(c *call) (any, error) {
	l, err := c.book()
	if err != nil {
		return nil, err
	}
	p, err := c.period(false)
	if err != nil {
		return nil, err
	}
	page, size, err := c.page("page_size", 50, 100)
	if err != nil {
		return nil, err
	}
	only := c.own()
	filter := ledger.Filter{From: p.From, Key: only[ledger.ByKey], User: only[ledger.ByUser], Team: c.query("team_id"), Request: c.query("request_id")}
	if k := c.query("api_key"); k != "" && filter.Key == "" {
		filter.Key = hashOf(k)
	}
	if u := c.query("user_id"); u != "" && filter.User == "" {
		filter.User = u
	}
	if !p.To.IsZero() {
		filter.To = p.To.Truncate(24*time.Hour).AddDate(0, 0, 1)
	}
	total, err := l.Count(c.ctx, filter)
	if err != nil {
		return nil, failedRead(err)
	}
	filter.Limit, filter.Offset = size, (page-1)*size
	data := []document{}
	err = l.Each(c.ctx, filter, func(r *ledger.Row) { data = append(data, logRow(r)) })
	return document{"data": data, "total": total, "page": page, "page_size": size, "total_pages": (total + int64(size) - 1) / int64(size)}, failedRead(err)
}

// stream is an answer that writes itself.
type stream func(http.ResponseWriter) error

func (c *call) wantsCSV() bool {
	return c.query("format") == "csv" || strings.Contains(c.r.Header.Get("accept"), "text/csv")
}

var csvColumns = []string{"id", "request_id", "attempt", "call_type", "start_time", "end_time", "api_key", "key_alias", "team_id", "user_id", "end_user",
	"organization_id", "tags", "model", "model_group", "model_id", "provider", "prompt_tokens", "completion_tokens", "spend", "status", "failure", "stream", "estimated", "orphaned"}

// csvOf writes all rows of a filter, as they are read.
func (c *call) csvOf(l *ledger.Ledger, filter ledger.Filter) stream {
	return func(w http.ResponseWriter) error {
		w.Header().Set("content-type", "text/csv; charset=utf-8")
		w.Header().Set("content-disposition", `attachment; filename="spend.csv"`)
		out := csv.NewWriter(w)
		_ = out.Write(csvColumns)
		err := l.Each(c.ctx, filter, func(r *ledger.Row) {
			_ = out.Write(harmless([]string{r.ID, r.RequestID, strconv.Itoa(r.Attempt), r.CallType, stamp(r.Started), stamp(r.Ended), r.Key, r.KeyAlias, r.Team,
				r.User, r.Customer, r.Organization, strings.Join(r.Tags, ";"), r.Model, r.Group, r.Deployment, r.Provider,
				strconv.FormatInt(r.Prompt, 10), strconv.FormatInt(r.Completion, 10), r.Spend.String(), strconv.Itoa(r.Status), r.Failure,
				strconv.FormatBool(r.Stream), strconv.FormatBool(r.Estimated), strconv.FormatBool(r.Orphaned)}))
		})
		out.Flush()
		return err
	}
}

// harmless keeps a client's text from being a formula in a spreadsheet.
func harmless(cells []string) []string {
	for i, s := range cells {
		if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
			if _, err := strconv.ParseFloat(s, 64); err != nil {
				cells[i] = "'" + s
			}
		}
	}
	return cells
}

// linesCSV writes lines as a table.
func linesCSV(head []string, lines []ledger.Line, cells func(*ledger.Line) []string) stream {
	return func(w http.ResponseWriter) error {
		w.Header().Set("content-type", "text/csv; charset=utf-8")
		out := csv.NewWriter(w)
		_ = out.Write(head)
		for i := range lines {
			_ = out.Write(harmless(cells(&lines[i])))
		}
		out.Flush()
		return out.Error()
	}
}
