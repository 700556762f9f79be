package admin

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sluicegw/sluice/policy/keys"
	"github.com/sluicegw/sluice/policy/store"
)

// userInfo is GET /user/info.
func userInfo(c *call) (any, error) {
	id := c.query("user_id")
	if id != "" && !c.sees() && id != c.key.UserID {
		return nil, say(403, "key not allowed to access this user's info. user_id=%s, key's user_id=%s", printable(id), c.key.UserID)
	}
	if id == "" && c.sees() {
		return c.everything(), nil
	}
	if id == "" {
		id = c.key.UserID
	}
	d, ok := c.find(keys.KindUser, id)
	if !ok {
		return nil, say(404, "User %s not found", printable(cmp.Or(id, "None")))
	}
	teams := []document{}
	for _, t := range c.all(keys.KindTeam, func(t document) bool {
		return isMember(t, id) || slices.Contains(texts(d["teams"]), text(t, "team_id"))
	}) {
		one := only(teamRow(t), "/team/list")
		one["team_memberships"] = slices.DeleteFunc(c.memberships(text(t, "team_id"), ""), func(m document) bool { return text(m, "user_id") != id })
		one["keys"] = []any{}
		teams = append(teams, one)
	}
	byAlias(teams)
	return document{"user_id": id, "user_info": userRow(d), "keys": c.keyRows(func(k *keys.Key) bool { return k.UserID == id }), "teams": teams}, nil
}

// everything is what an admin gets who asks for no user.
func (c *call) everything() document {
	teams := []document{}
	for _, t := range c.all(keys.KindTeam, nil) {
		teams = append(teams, only(teamRow(t), "team"))
	}
	byAlias(teams)
	out := document{"user_id": nil, "user_info": nil, "keys": c.keyRows(func(*keys.Key) bool { return true }), "teams": teams}
	if me := c.me(); me != "" {
		out["user_id"] = me
		if d, ok := c.find(keys.KindUser, me); ok {
			out["user_info"] = userRow(d)
		}
	}
	return out
}

func byAlias(teams []document) {
	slices.SortFunc(teams, func(a, b document) int {
		return cmp.Or(strings.Compare(text(a, "team_alias"), text(b, "team_alias")), strings.Compare(text(a, "team_id"), text(b, "team_id")))
	})
}

// userInfoV2 is GET /v2/user/info.
func userInfoV2(c *call) (any, error) {
	id := cmp.Or(c.query("user_id"), c.key.UserID)
	if id == "" {
		return nil, say(400, "user_id is required. Either pass it as a query parameter or authenticate with a user-bound key.")
	}
	if !c.sees() && id != c.key.UserID {
		return nil, say(403, "key not allowed to access this user's info. user_id=%s, key's user_id=%s", printable(id), c.key.UserID)
	}
	d, ok := c.find(keys.KindUser, id)
	if !ok {
		return nil, say(404, "User not found: %s", printable(id))
	}
	return only(userRow(d), "/v2/user/info"), nil
}

// listUsers is GET /user/list.
func listUsers(c *call) (any, error) {
	if !c.sees() {
		return nil, refuse(403, "Only proxy admins and organization admins can list users.")
	}
	page, size, err := c.page("page_size", 25, 100)
	if err != nil {
		return nil, err
	}
	role, team, email, search := c.query("role"), c.query("team"), strings.ToLower(c.query("user_email")), strings.ToLower(c.query("search"))
	var ids []string
	for id := range strings.SplitSeq(c.query("user_ids"), ",") {
		if id = strings.TrimSpace(id); id != "" {
			ids = append(ids, id)
		}
	}
	dir := c.s.o.Storage.Directory
	var found []store.Object
	for _, o := range dir.List(keys.KindUser) {
		u := dir.User(o.ID)
		if u == nil || role != "" && string(u.Role) != role || team != "" && !slices.Contains(u.Teams, team) {
			continue
		}
		if !strings.Contains(strings.ToLower(u.Email), email) || search != "" && !strings.Contains(strings.ToLower(u.ID+"\n"+u.Email+"\n"+u.Alias), search) {
			continue
		}
		if len(ids) == 1 && !strings.Contains(strings.ToLower(u.ID), strings.ToLower(ids[0])) || len(ids) > 1 && !slices.Contains(ids, u.ID) {
			continue
		}
		found = append(found, o)
	}
	c.sortKeys(found)
	part, pages := slice(found, page, size)
	counts := map[string]int{}
	for _, o := range dir.List(keys.KindKey) {
		if k := dir.ByHash(o.ID); k != nil && k.UserID != "" {
			counts[k.UserID]++
		}
	}
	list := make([]document, 0, len(part))
	for _, o := range part {
		u := userRow(c.open(o))
		u["key_count"] = counts[o.ID]
		list = append(list, u)
	}
	return document{"users": list, "total": len(found), "page": page, "page_size": size, "total_pages": pages}, nil
}
