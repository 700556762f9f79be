package admin

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sluicegw/sluice/internal/money"
	"github.com/sluicegw/sluice/policy/keys"
	"github.com/sluicegw/sluice/policy/ledger"
)

// spendTags is GET /spend/tags: by tag as LiteLLM has it, or by what group_by says.
func spendTags(c *call) (any, error) {
	l, err := c.book()
	if err != nil {
		return nil, err
	}
	p, err := c.period(false)
	if err != nil {
		return nil, err
	}
	by, ok := map[string]ledger.By{"": ledger.ByTag, "tag": ledger.ByTag, "model": ledger.ByGroup, "team": ledger.ByTeam, "user": ledger.ByUser, "key": ledger.ByKey,
		"api_key": ledger.ByKey, "customer": ledger.ByCustomer, "provider": ledger.ByProvider}[c.query("group_by")]
	if !ok {
		return nil, say(http.StatusBadRequest, "group_by must be model, team, tag, user, key, customer or provider, not %s", printable(c.query("group_by")))
	}
	lines, err := l.Lines(c.ctx, p, c.own(), by)
	if err != nil {
		return nil, failedRead(err)
	}
	if c.wantsCSV() {
		return linesCSV([]string{"group", "log_count", "total_spend"}, lines, func(line *ledger.Line) []string {
			return []string{line.Of(by), strconv.FormatInt(line.Calls, 10), line.Spend.String()}
		}), nil
	}
	out := make([]document, len(lines))
	for i := range lines {
		d := document{"log_count": lines[i].Calls, "total_spend": dollarsOf(lines[i].Spend)}
		if c.query("group_by") == "" {
			d["individual_request_tag"] = lines[i].Tag
		} else {
			d["group"] = lines[i].Of(by)
		}
		out[i] = d
	}
	return out, nil
}

// spendReport is GET /global/spend/report.
func spendReport(c *call) (any, error) {
	l, p, err := c.reported()
	if err != nil {
		return nil, err
	}
	only := map[ledger.By]string{}
	for name, by := range map[string]ledger.By{"api_key": ledger.ByKey, "internal_user_id": ledger.ByUser, "team_id": ledger.ByTeam, "customer_id": ledger.ByCustomer} {
		if v := c.query(name); v != "" {
			only[by] = v
		}
	}
	if k, ok := only[ledger.ByKey]; ok {
		only[ledger.ByKey] = hashOf(k)
	}
	group := c.query("group_by")
	switch {
	case only[ledger.ByKey] != "", only[ledger.ByUser] != "", group == "api_key":
		return c.report(l, p, only, ledger.ByKey, "api_key")
	case group == "internal_user_id":
		return c.report(l, p, only, ledger.ByUser, "internal_user_id")
	case group == "customer":
		return c.dailyReport(l, p, only, ledger.ByCustomer, "customers", "customer", nil)
	case group == "", group == "team":
		return c.dailyReport(l, p, only, ledger.ByTeam, "teams", "team_name", c.teamNames())
	}
	return nil, refuse(http.StatusBadRequest, "group_by must be team, customer, api_key or internal_user_id, not %s", printable(group))
}

// report has one entry a key or user, with its models, dearest first.
func (c *call) report(l *ledger.Ledger, p ledger.Period, only map[ledger.By]string, by ledger.By, name string) (any, error) {
	all, err := l.Lines(c.ctx, p, only, by)
	if err != nil {
		return nil, failedRead(err)
	}
	if c.wantsCSV() {
		return linesCSV([]string{name, "total_cost", "total_input_tokens", "total_output_tokens", "requests"}, all, func(line *ledger.Line) []string {
			return []string{line.Of(by), line.Spend.String(), strconv.FormatInt(line.Prompt, 10), strconv.FormatInt(line.Completion, 10), strconv.FormatInt(line.Calls, 10)}
		}), nil
	}
	models, err := l.Lines(c.ctx, p, only, by, ledger.ByModel)
	if err != nil {
		return nil, failedRead(err)
	}
	details := map[string][]document{}
	for i := range models {
		m := &models[i]
		details[m.Of(by)] = append(details[m.Of(by)], document{"model": m.Model, "total_cost": dollarsOf(m.Spend),
			"total_input_tokens": m.Prompt, "total_output_tokens": m.Completion})
	}
	out := make([]document, len(all))
	for i := range all {
		a := &all[i]
		out[i] = document{name: a.Of(by), "total_cost": dollarsOf(a.Spend), "total_input_tokens": a.Prompt, "total_output_tokens": a.Completion,
			"model_details": details[a.Of(by)]}
	}
	return out, nil
}

// dailyReport has one entry a day, with its teams or customers, and what their keys spent on which models.
func (c *call) dailyReport(l *ledger.Ledger, p ledger.Period, only map[ledger.By]string, by ledger.By, list, name string, names map[string]string) (any, error) {
	lines, err := l.Lines(c.ctx, p, only, ledger.ByDay, by, ledger.ByModel, ledger.ByKey)
	if err != nil {
		return nil, failedRead(err)
	}
	if c.wantsCSV() {
		return linesCSV([]string{"day", name, "model", "api_key", "spend", "total_tokens", "requests"}, lines, func(line *ledger.Line) []string {
			return []string{line.Day, line.Of(by), line.Model, line.Key, line.Spend.String(), strconv.FormatInt(line.Prompt+line.Completion, 10), strconv.FormatInt(line.Calls, 10)}
		}), nil
	}
	type member struct {
		name     string
		spend    money.Amount
		metadata []document
	}
	out := []document{}
	for len(lines) > 0 {
		day := lines[0].Day
		members, order := map[string]*member{}, []string{}
		for len(lines) > 0 && lines[0].Day == day {
			line := &lines[0]
			lines = lines[1:]
			id := line.Of(by)
			m := members[id]
			if m == nil {
				m = &member{name: id}
				if id == "" && names != nil {
					m.name = "Unassigned Team" // LiteLLM's
				}
				if alias, ok := names[id]; ok {
					m.name = alias
				}
				members[id], order = m, append(order, id)
			}
			m.spend += line.Spend
			m.metadata = append(m.metadata, document{"model": line.Model, "spend": dollarsOf(line.Spend), "total_tokens": line.Prompt + line.Completion, "api_key": line.Key})
		}
		entries := make([]document, len(order))
		for i, id := range order {
			m := members[id]
			entries[i] = document{name: m.name, "total_spend": dollarsOf(m.spend), "metadata": m.metadata}
		}
		out = append(out, document{"group_by_day": day + "T00:00:00+00:00", list: entries})
	}
	return out, nil
}

// teamNames are the aliases of teams.
func (c *call) teamNames() map[string]string {
	out := map[string]string{}
	for _, o := range c.s.o.Storage.Directory.List(keys.KindTeam) {
		if t := c.s.o.Storage.Directory.Team(o.ID); t != nil && t.Alias != "" {
			out[t.ID] = t.Alias
		}
	}
	return out
}

// activity is GET /global/activity: calls and tokens a day.
func activity(c *call) (any, error) {
	l, p, err := c.reported()
	if err != nil {
		return nil, err
	}
	lines, err := l.Lines(c.ctx, p, c.own(), ledger.ByDay)
	return daily(lines), failedRead(err)
}

// activityByModel is GET /global/activity/model.
func activityByModel(c *call) (any, error) {
	l, p, err := c.reported()
	if err != nil {
		return nil, err
	}
	lines, err := l.Lines(c.ctx, p, c.own(), ledger.ByDay, ledger.ByGroup)
	if err != nil {
		return nil, failedRead(err)
	}
	byModel, order := map[string][]ledger.Line{}, []string{}
	for _, line := range lines {
		if byModel[line.Group] == nil {
			order = append(order, line.Group)
		}
		byModel[line.Group] = append(byModel[line.Group], line)
	}
	out := make([]document, len(order))
	for i, model := range order {
		out[i] = daily(byModel[model])
		out[i]["model"] = model
	}
	return out, nil
}

func daily(lines []ledger.Line) document {
	data := make([]document, len(lines))
	var calls, tokens int64
	for i, line := range lines {
		day, _ := time.Parse(time.DateOnly, line.Day)
		data[i] = document{"date": day.Format("Jan 02"), "api_requests": line.Calls, "total_tokens": line.Prompt + line.Completion}
		calls, tokens = calls+line.Calls, tokens+line.Prompt+line.Completion
	}
	return document{"daily_data": data, "sum_api_requests": calls, "sum_total_tokens": tokens}
}

// listed answers with the lines of the last 30 days.
func (c *call) listed(shape func(*ledger.Line) document, by ...ledger.By) (any, error) {
	l, err := c.book()
	if err != nil {
		return nil, err
	}
	p, err := c.period(false)
	if err != nil {
		return nil, err
	}
	if p.From.IsZero() {
		p = c.lastDays(30)
	}
	only := c.own()
	if k := c.query("api_key"); k != "" {
		if _, bound := only[ledger.ByKey]; !bound {
			only[ledger.ByKey] = hashOf(k)
		}
	}
	lines, err := l.Lines(c.ctx, p, only, by...)
	if err != nil {
		return nil, failedRead(err)
	}
	if n, err := strconv.Atoi(c.query("limit")); err == nil && n > 0 && n < len(lines) {
		lines = lines[:n]
	}
	out := make([]document, len(lines))
	for i := range lines {
		out[i] = shape(&lines[i])
	}
	return out, nil
}

func globalSpendLogs(c *call) (any, error) {
	return c.listed(func(line *ledger.Line) document { return document{"date": line.Day, "spend": dollarsOf(line.Spend)} }, ledger.ByDay)
}

func globalSpendKeys(c *call) (any, error) {
	return c.listed(func(line *ledger.Line) document {
		d := document{"api_key": line.Key, "key_alias": nil, "key_name": nil, "total_spend": dollarsOf(line.Spend)}
		if k := c.s.o.Storage.Directory.ByHash(line.Key); k != nil {
			d["key_alias"], d["key_name"] = orNull(k.Alias), orNull(k.Name)
		}
		return d
	}, ledger.ByKey)
}

func globalSpendModels(c *call) (any, error) {
	return c.listed(func(line *ledger.Line) document {
		return document{"model": line.Model, "total_spend": dollarsOf(line.Spend)}
	}, ledger.ByModel)
}

func globalSpendProviders(c *call) (any, error) {
	return c.listed(func(line *ledger.Line) document {
		return document{"provider": line.Provider, "spend": dollarsOf(line.Spend)}
	}, ledger.ByProvider)
}

func globalSpendTeams(c *call) (any, error) {
	names := c.teamNames()
	return c.listed(func(line *ledger.Line) document {
		d := document{"team_id": line.Team, "team_alias": nil, "total_spend": dollarsOf(line.Spend)}
		if alias, ok := names[line.Team]; ok {
			d["team_alias"] = alias
		}
		return d
	}, ledger.ByTeam)
}

// globalSpendTags is GET /global/spend/tags: the tags of a period, or those that tags names.
func globalSpendTags(c *call) (any, error) {
	if _, err := c.period(true); err != nil {
		return nil, err
	}
	wanted := map[string]bool{}
	for tag := range strings.SplitSeq(c.query("tags"), ",") {
		if tag != "" && tag != "all-tags" {
			wanted[tag] = true
		}
	}
	out := []document{}
	_, err := c.listed(func(line *ledger.Line) document {
		if len(wanted) == 0 || wanted[line.Tag] {
			out = append(out, document{"name": line.Tag, "spend": dollarsOf(line.Spend), "log_count": line.Calls})
		}
		return nil
	}, ledger.ByTag)
	return document{"spend_per_tag": out}, err
}

func allTagNames(c *call) (any, error) {
	names := []string{}
	_, err := c.listed(func(line *ledger.Line) document { names = append(names, line.Tag); return nil }, ledger.ByTag)
	return document{"tag_names": names}, err
}
