package admin

import (
	"reflect"
	"slices"

	"github.com/sluicegw/sluice/policy/keys"
)

// What those who are no proxy admins may do with keys: their own, and those of the teams that they are admins of.

// mayGrant keeps those who are no admins from giving a key more than they have.
func (c *call) mayGrant(b document) error {
	if c.admin() {
		return nil
	}
	if routes := texts(b["allowed_routes"]); len(routes) > 0 {
		return say(403, "Only proxy admins can set allowed_routes on a key. Your role=%s", c.key.RoleInEffect())
	}
	if kind := text(b, "key_type"); kind == "management" {
		return say(403, "Only proxy admins can create keys with key_type=management. Your role=%s", c.key.RoleInEffect())
	}
	if len(object(b, "permissions")) > 0 {
		return say(403, "Only proxy admins can set permissions on a key. Your role=%s", c.key.RoleInEffect())
	}
	if wish, ok := number(b, "max_budget"); ok && c.key.Budget.Max != nil && wish > c.key.Budget.Max.Dollars() {
		return refuse(400, "max_budget (%v) cannot exceed the caller's own max_budget (%v).", wish, c.key.Budget.Max.Dollars())
	}
	if given(b, "spend") {
		if n, _ := number(b, "spend"); n != 0 {
			return say(403, "Only proxy admins can set spend on a key. Your role=%s", c.key.RoleInEffect())
		}
	}
	if text(b, "budget_id") != "" || given(b, "end_user_budget_id") {
		return say(403, "Only proxy admins can assign a budget to a key. Your role=%s", c.key.RoleInEffect())
	}
	return nil
}

// mayAlias keeps those who are no admins from giving a key of this team and user a name for a model that neither may
// use: a call is judged by the name that it asks for.
func (c *call) mayAlias(b document, team, user string) error {
	if c.admin() {
		return nil
	}
	dir := c.s.o.Storage.Directory
	var member *keys.Member
	if team != "" && user != "" {
		member = dir.Member(team, user)
	}
	of := keys.Key{Hash: "any"}.With(dir.Team(team), dir.User(user), member)
	for name, to := range object(b, "aliases") {
		model, ok := to.(string)
		if ok && model != "" && !c.snap.Keys.Allows(of, model) {
			return say(403, "The alias %s stands for %s, which this key's team or user may not use. Your role=%s",
				printable(name), printable(model), c.key.RoleInEffect())
		}
	}
	return nil
}

// mayMakeKey tells whether the caller may make a key for this user and this team.
func (c *call) mayMakeKey(b document) error {
	id := text(b, "team_id")
	if id == "" {
		if user := text(b, "user_id"); !c.admin() && user != c.key.UserID {
			return say(403, "User can only create keys for themselves. Got user_id=%s, Your ID=%s", printable(user), c.key.UserID)
		}
		return nil
	}
	team, ok := c.find(keys.KindTeam, id)
	if !ok {
		if c.admin() {
			return nil // LiteLLM lets an admin name a team that is still to come
		}
		return say(400, "Team not found for team_id=%s. Non-admin users cannot create keys for non-existent teams.", printable(id))
	}
	return c.mayInTeam(team, text(b, "user_id"), "/key/generate")
}

// mayInTeam tells whether the caller may do something with a team's keys.
func (c *call) mayInTeam(team document, owner, route string) error {
	if owner != "" && !isMember(team, owner) {
		return say(400, "User=%s not assigned to team=%s", printable(owner), text(team, "team_id"))
	}
	if c.admin() {
		return nil
	}
	role := c.teamRole(team)
	if role == "" {
		return say(400, "User=%s not assigned to team=%s", c.key.UserID, text(team, "team_id"))
	}
	if role == "admin" {
		return nil
	}
	if owner != "" && owner != c.key.UserID {
		return say(403, "User can only create keys for themselves. Got user_id=%s, Your ID=%s", printable(owner), c.key.UserID)
	}
	granted := texts(team["team_member_permissions"])
	if len(granted) == 0 {
		granted = []string{"/key/info", "/key/health"}
	}
	if !slices.Contains(granted, route) {
		return problem(401, "team_member_permission_error", route, "Team member does not have permissions for endpoint: %s. You only have access to the "+
			"following endpoints: %v for team %s. To create keys for this team, please ask your proxy admin to check the team member permission settings "+
			"and update the settings to allow team member users to create keys.", route, granted, text(team, "team_id"))
	}
	return nil
}

// mayUpdateKey tells whether the caller may change a key so.
func (c *call) mayUpdateKey(before, b document) error {
	if c.admin() {
		return nil
	}
	if err := c.mayModify(before, "/key/update", "update"); err != nil {
		return err
	}
	if err := c.mayGrant(b); err != nil {
		return err
	}
	if err := c.mayChangeLimits(before, b); err != nil {
		return err
	}
	if given(b, "user_id") {
		switch to, from := text(b, "user_id"), text(before, "user_id"); {
		case to == "":
			return say(403, "Non-admin users cannot remove the user_id from a key.")
		case to != from:
			return say(403, "Non-admin caller is not allowed to rebind the key from user=%s to user=%s", from, printable(to))
		}
	}
	team := text(before, "team_id")
	if to := text(b, "team_id"); to != "" && to != team {
		team = to
		if err := c.mayMakeKey(document{"team_id": team, "user_id": text(before, "user_id")}); err != nil {
			return err
		}
		if !given(b, "aliases") { // they were made for another team
			b = document{"aliases": before["aliases"]}
		}
	}
	return c.mayAlias(b, team, text(before, "user_id"))
}

// mayChangeLimits keeps money, and keys that somebody else made for a user, to admins: proxy's, and the team's.
func (c *call) mayChangeLimits(before, b document) error {
	own := text(before, "created_by") == c.key.UserID && text(before, "user_id") == c.key.UserID && c.key.UserID != ""
	max, hasMax := number(b, "max_budget")
	was, hadMax := number(before, "max_budget")
	leaves := given(b, "team_id") && b["team_id"] == nil && text(before, "team_id") != ""
	money := given(b, "max_budget") && (hasMax != hadMax || max != was) || given(b, "spend") || given(b, "soft_budget") || given(b, "budget_limits") ||
		given(b, "temp_budget_increase") || alters(before, b, "budget_duration") || alters(before, b, "model_max_budget")
	if (own || text(before, "team_id") != "") && !money && !leaves {
		return nil
	}
	if team, ok := c.find(keys.KindTeam, text(before, "team_id")); ok && c.teamRole(team) == "admin" {
		return nil
	}
	route := "/key/update"
	if money {
		route = "/key/update (max_budget/spend)"
	}
	return refuse(403, "Only proxy admins, team admins, or org admins can call %s. user_role=%s, user_id=%s", route, c.key.RoleInEffect(), c.key.UserID)
}

// alters tells whether a request sets a field to something else than it is.
func alters(before, b document, name string) bool {
	v, ok := b[name]
	return ok && !reflect.DeepEqual(v, before[name])
}

// mayModify tells whether the caller may change, delete or renew a key: its owner, and admins of its team.
func (c *call) mayModify(d document, route, verb string) error {
	if c.admin() {
		return nil
	}
	owner := text(d, "user_id")
	owns := owner != "" && owner == c.key.UserID
	if id := text(d, "team_id"); id != "" {
		team, ok := c.find(keys.KindTeam, id)
		if ok && c.teamRole(team) == "admin" {
			return nil
		}
		if ok && owns {
			return c.mayInTeam(team, owner, route)
		}
	} else if owns {
		return nil
	}
	return refuse(403, "You are not authorized to %s this key", verb)
}
