package admin

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sluicegw/sluice/policy/keys"
)

// teamInfo is GET /team/info.
func teamInfo(c *call) (any, error) {
	id := c.query("team_id")
	if id == "" {
		return nil, &refusal{status: 422, detail: document{"message": "Malformed request. No team id passed in."}}
	}
	team, ok := c.find(keys.KindTeam, id)
	if !ok {
		return nil, &refusal{status: 404, detail: document{"message": "Team not found, passed team id: " + printable(id) + "."}}
	}
	if err := c.maySeeTeam(id, team); err != nil {
		return nil, err
	}
	info := only(teamRow(team), "/team/info.team_info")
	budget := text(object(team, "metadata"), "team_member_budget_id")
	if b, ok := c.find(keys.KindBudget, budget); ok {
		info["team_member_budget_table"] = row(keys.KindBudget, b)
	}
	info["caller_edit_access"] = document{"type": map[bool]string{true: "unrestricted", false: "none"}[c.governs(team)]}
	return document{"team_id": id, "team_info": info, "keys": c.teamKeys(id), "team_memberships": c.memberships(id, budget)}, nil
}

func (c *call) maySeeTeam(id string, team document) error {
	switch {
	case c.sees(), c.key.TeamID == id, c.teamRole(team) != "":
		return nil
	case c.key.UserID == "" && c.key.TeamID != "":
		return refuse(403, "Team key for team=%s not authorized to access this team=%s", c.key.TeamID, printable(id))
	case c.key.UserID == "":
		return refuse(403, "API key not authorized to access this team=%s. No user_id or team_id associated with this key.", printable(id))
	}
	return refuse(403, "User=%s not authorized to access this team=%s", c.key.UserID, printable(id))
}

// teamKeys are the keys of a team, as rows.
func (c *call) teamKeys(id string) []document {
	return c.keyRows(func(k *keys.Key) bool { return k.TeamID == id })
}

func (c *call) keyRows(want func(*keys.Key) bool) []document {
	dir := c.s.o.Storage.Directory
	out := []document{}
	for _, o := range dir.List(keys.KindKey) {
		if k := dir.ByHash(o.ID); k != nil && want(k) {
			out = append(out, c.withBudget(row(keys.KindKey, c.open(o))))
		}
	}
	slices.SortFunc(out, func(a, b document) int { return strings.Compare(text(a, "token"), text(b, "token")) })
	return out
}

// memberships are a team's, each with where its budget comes from.
func (c *call) memberships(id, standard string) []document {
	out := []document{}
	for _, o := range c.s.o.Storage.Directory.List(keys.KindMember) {
		if !strings.HasPrefix(o.ID, id+"\x1f") {
			continue
		}
		m := c.withBudget(row(keys.KindMember, c.open(o)))
		m["budget_source"] = "custom"
		switch text(m, "budget_id") {
		case "":
			m["budget_source"] = "none"
		case standard:
			m["budget_source"] = "team_default"
		}
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b document) int { return strings.Compare(text(a, "user_id"), text(b, "user_id")) })
	return out
}

// listTeams is GET /team/list.
func listTeams(c *call) (any, error) {
	user, org := c.query("user_id"), c.query("organization_id")
	if !c.sees() && (user == "" || user != c.key.UserID) {
		return nil, refuse(401, "Only admin users can query all teams/other teams. Your user role=%s", c.key.RoleInEffect())
	}
	teams := c.all(keys.KindTeam, func(d document) bool {
		return (user == "" || isMember(d, user)) && (org == "" || text(d, "organization_id") == org)
	})
	byTeam := map[string][]document{}
	for _, t := range teams {
		byTeam[text(t, "team_id")] = []document{}
	}
	for _, k := range c.keyRows(func(k *keys.Key) bool { return byTeam[k.TeamID] != nil }) {
		byTeam[text(k, "team_id")] = append(byTeam[text(k, "team_id")], k)
	}
	out := make([]document, 0, len(teams))
	for _, t := range teams {
		id := text(t, "team_id")
		one := only(teamRow(t), "/team/list")
		one["team_memberships"] = slices.DeleteFunc(c.memberships(id, ""), func(m document) bool { return user != "" && text(m, "user_id") != user })
		one["keys"] = byTeam[id]
		out = append(out, one)
	}
	slices.SortFunc(out, func(a, b document) int {
		return cmp.Or(strings.Compare(text(a, "team_alias"), text(b, "team_alias")), strings.Compare(text(a, "team_id"), text(b, "team_id")))
	})
	return out, nil
}
