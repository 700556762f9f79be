package admin

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/sluicegw/sluice/policy/keys"
)

// readMembers reads a member, or a list of them.
func readMembers(v any) ([]document, error) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	if v == nil {
		list = nil
	}
	out := make([]document, 0, len(list))
	for i, item := range list {
		m, ok := item.(document)
		if !ok {
			return nil, invalidBody("value_error", "Value error, input needs to be a dictionary", "member", i)
		}
		if text(m, "user_id") == "" && text(m, "user_email") == "" {
			return nil, invalidBody("value_error", "Value error, Either user id or user email must be provided", "member", i)
		}
		role := litellm.Requests["member"]["role"]
		if !given(m, "role") {
			return nil, invalidBody("missing", "Field required", "member", i, "role")
		}
		if fault := role.chosen(text(m, "role")); fault != nil {
			return nil, invalidBody("literal_error", fault[1], "member", i, "role")
		}
		out = append(out, document{"user_id": m["user_id"], "user_email": m["user_email"], "role": m["role"]})
	}
	return out, nil
}

// addMembers is POST /team/member_add.
func addMembers(c *call) (any, error) {
	b, id := c.body, text(c.body, "team_id")
	_, many := b["member"].([]any)
	wanted, err := readMembers(b["member"])
	if err != nil {
		return nil, err
	}
	team, ok := c.find(keys.KindTeam, id)
	if !ok {
		return nil, refuse(404, "Team doesn't exist in db. Team=%s. Create team via `/team/new` call.", printable(id))
	}
	if !c.governs(team) {
		return nil, refuse(403, "Call not allowed. User not proxy admin OR team admin. route=/team/member_add, team_id=%s", printable(id))
	}
	if err := checkAmounts(b, "max_budget_in_team"); err != nil {
		return nil, err
	}
	if err := c.newMembers(team, wanted, many); err != nil {
		return nil, err
	}
	var after document
	updated, memberships := []document{}, []document{}
	err = c.change(func(ch change) error {
		d, ok, err := ch.get(keys.KindTeam, id)
		if err != nil || !ok {
			return cmp.Or(err, error(refuse(404, "Team doesn't exist in db. Team=%s. Create team via `/team/new` call.", printable(id))))
		}
		updated, memberships = []document{}, []document{}
		for _, m := range wanted {
			user, membership, err := c.addMember(ch, d, m, b)
			if err != nil {
				return err
			}
			if user != nil {
				updated, memberships = append(updated, userRow(user)), append(memberships, membership)
			}
		}
		c.touched(d)
		after = d
		return ch.put(keys.KindTeam, id, "", d)
	})
	if err != nil {
		return nil, err
	}
	for _, m := range memberships {
		c.withBudget(m)
	}
	out := only(teamRow(c.standing(keys.KindTeam, id, after)), "/team/member_add")
	out["updated_users"], out["updated_team_memberships"] = updated, memberships
	return out, nil
}

// newMembers refuses members that the team has, and users that only an admin may make.
func (c *call) newMembers(team document, wanted []document, many bool) error {
	var there int
	for _, m := range wanted {
		if hasMember(team, m) {
			there++
			if !many {
				return problem(400, "team_member_already_in_team", "member", "User already in team. Member: user_id=%s, user_email=%s.",
					printable(text(m, "user_id")), printable(text(m, "user_email")))
			}
		}
		if id := text(m, "user_id"); id != "" && !c.admin() {
			if _, ok := c.find(keys.KindUser, id); !ok {
				return refuse(403, "Only proxy admins can add a user_id that does not exist yet: %s. Add the member by user_email to invite a new user, "+
					"or ask a proxy admin to create the user first.", printable(id))
			}
		}
	}
	if many && there > 0 && there == len(wanted) {
		return problem(400, "team_member_already_in_team", "member", "All users are already in team.")
	}
	return nil
}

func hasMember(team, m document) bool {
	id, email := text(m, "user_id"), text(m, "user_email")
	return slices.ContainsFunc(members(team), func(have document) bool {
		return id != "" && text(have, "user_id") == id || id == "" && email != "" && strings.EqualFold(text(have, "user_email"), email)
	})
}

// addMember adds one to a team's document, makes the user if there is none, and the membership with its budget. A
// member that is there already is left alone.
func (c *call) addMember(ch change, team, m, b document) (user, membership document, err error) {
	id, teamID := text(m, "user_id"), text(team, "team_id")
	if id == "" {
		id = c.userByEmail(text(m, "user_email"))
	}
	m["user_id"] = id
	if hasMember(team, m) {
		return nil, nil, nil
	}
	if id == "" {
		id = newID()
		m["user_id"] = id
	}
	user, ok, err := ch.get(keys.KindUser, id)
	if err != nil {
		return nil, nil, err
	}
	if !ok {
		user = document{"user_id": id}
		about := document{"user_email": m["user_email"], "user_role": string(keys.InternalUser)}
		c.standardBudget(about)
		if err := c.setUser(user, about); err != nil {
			return nil, nil, err
		}
	}
	if text(m, "user_email") == "" {
		m["user_email"] = user["user_email"]
	}
	if teams := texts(user["teams"]); !slices.Contains(teams, teamID) {
		user["teams"] = anys(append(teams, teamID))
	}
	c.touched(user)
	list, _ := team["members_with_roles"].([]any)
	team["members_with_roles"] = append(list, any(document{"user_id": m["user_id"], "user_email": m["user_email"], "role": m["role"]}))
	if err := ch.put(keys.KindUser, id, emailName(user), user); err != nil {
		return nil, nil, emailTaken(err, text(user, "user_email"))
	}
	membership, err = c.join(ch, team, id, b)
	return user, membership, err
}

// join makes a membership. A budget of its own is an object of its own; else the team's for all members holds.
func (c *call) join(ch change, team document, user string, b document) (document, error) {
	d := document{"user_id": user, "team_id": text(team, "team_id")}
	wish := document{}
	for name, to := range memberLimits {
		if v, ok := b[name]; ok && v != nil {
			wish[to] = v
		}
	}
	if standard := texts(team["default_team_member_models"]); len(standard) > 0 && !given(wish, "allowed_models") {
		wish["allowed_models"] = anys(standard)
	}
	if len(wish) > 0 {
		budget := document{"budget_id": newID()}
		if err := c.setBudget(budget, wish); err != nil {
			return nil, err
		}
		d["budget_id"] = budget["budget_id"]
		if err := ch.put(keys.KindBudget, text(budget, "budget_id"), "", budget); err != nil {
			return nil, err
		}
	} else if id := text(object(team, "metadata"), "team_member_budget_id"); id != "" {
		d["budget_id"] = id
	}
	return row(keys.KindMember, d), ch.put(keys.KindMember, keys.MemberID(text(team, "team_id"), user), "", d)
}

// memberLimits are the fields of a member's requests, and what they are called in a budget object.
var memberLimits = map[string]string{
	"max_budget_in_team": "max_budget", "budget_duration": "budget_duration", "allowed_models": "allowed_models",
	"tpm_limit": "tpm_limit", "rpm_limit": "rpm_limit", "temp_budget_increase": "temp_budget_increase", "temp_budget_expiry": "temp_budget_expiry",
}

// theTeam finds the team of a member's request, and whether the caller may change its members.
func (c *call) theTeam() (string, document, error) {
	id := text(c.body, "team_id")
	if text(c.body, "user_id") == "" && text(c.body, "user_email") == "" {
		return "", nil, invalidBody("value_error", "Value error, Either user id or user email must be provided")
	}
	team, ok := c.find(keys.KindTeam, id)
	if !ok {
		return "", nil, refuse(400, "Team id=%s does not exist in db", printable(id))
	}
	if !c.governs(team) {
		return "", nil, refuse(403, "Call not allowed. User not proxy admin OR team admin. route=/team/member_delete, team_id=%s", printable(id))
	}
	return id, team, nil
}

// theMember is the user_id that a member's request means.
func (c *call) theMember(team document) string {
	id, email := text(c.body, "user_id"), text(c.body, "user_email")
	for _, m := range members(team) {
		if id != "" && text(m, "user_id") == id || id == "" && strings.EqualFold(text(m, "user_email"), email) {
			return text(m, "user_id")
		}
	}
	return ""
}

// deleteMember is POST /team/member_delete. The member's keys of this team go, too.
func deleteMember(c *call) (any, error) {
	id, team, err := c.theTeam()
	if err != nil {
		return nil, err
	}
	user := c.theMember(team)
	if user == "" {
		return nil, refuse(400, "User not found in team")
	}
	var after document
	dir := c.s.o.Storage.Directory
	err = c.change(func(ch change) error {
		d, ok, err := ch.get(keys.KindTeam, id)
		if err != nil || !ok {
			return cmp.Or(err, error(refuse(400, "Team id=%s does not exist in db", printable(id))))
		}
		list, _ := d["members_with_roles"].([]any)
		d["members_with_roles"] = slices.DeleteFunc(list, func(m any) bool {
			one, _ := m.(document)
			return text(one, "user_id") == user
		})
		c.touched(d)
		after = d
		errs := []error{ch.put(keys.KindTeam, id, "", d), c.leaveTeam(ch, user, id), ch.Delete(keys.KindMember, keys.MemberID(id, user))}
		for _, o := range dir.List(keys.KindKey) {
			if k := dir.ByHash(o.ID); k != nil && k.TeamID == id && k.UserID == user {
				errs = append(errs, ch.Delete(keys.KindKey, o.ID))
			}
		}
		return errors.Join(errs...)
	})
	if err != nil {
		return nil, err
	}
	return only(teamRow(c.standing(keys.KindTeam, id, after)), "team"), nil
}

// leaveTeam takes a team off a user's list.
func (c *call) leaveTeam(ch change, user, team string) error {
	d, ok, err := ch.get(keys.KindUser, user)
	if err != nil || !ok {
		return err
	}
	d["teams"] = anys(slices.DeleteFunc(texts(d["teams"]), func(t string) bool { return t == team }))
	return ch.put(keys.KindUser, user, emailName(d), d)
}

// updateMember is POST /team/member_update.
func updateMember(c *call) (any, error) {
	b := c.body
	id, team, err := c.theTeam()
	if err != nil {
		return nil, err
	}
	if err := checkAmounts(b, "max_budget_in_team", "temp_budget_increase"); err != nil {
		return nil, err
	}
	user := c.theMember(team)
	if user == "" {
		return nil, refuse(400, "User id doesn't exist in team table. Data=user_id=%s user_email=%s", printable(text(b, "user_id")), printable(text(b, "user_email")))
	}
	err = c.change(func(ch change) error {
		d, ok, err := ch.get(keys.KindTeam, id)
		if err != nil || !ok {
			return cmp.Or(err, error(refuse(400, "Team id=%s does not exist in db", printable(id))))
		}
		if role := text(b, "role"); role != "" {
			for _, m := range members(d) {
				if text(m, "user_id") == user {
					m["role"] = role
				}
			}
			if err := ch.put(keys.KindTeam, id, "", d); err != nil {
				return err
			}
		}
		return c.limitMember(ch, d, user, b)
	})
	if err != nil {
		return nil, err
	}
	out := only(b, "/team/member_update")
	out["user_id"] = user
	return out, nil
}

// limitMember changes a membership's own budget, which it gets if it had the team's.
func (c *call) limitMember(ch change, team document, user string, b document) error {
	wish := document{}
	for name, to := range memberLimits {
		if v, ok := b[name]; ok {
			wish[to] = v
		}
	}
	if len(wish) == 0 {
		return nil
	}
	key := keys.MemberID(text(team, "team_id"), user)
	m, ok, err := ch.get(keys.KindMember, key)
	if err != nil {
		return err
	}
	if !ok {
		m = document{"user_id": user, "team_id": text(team, "team_id")}
	}
	id := text(m, "budget_id")
	budget, exists, err := ch.get(keys.KindBudget, id)
	if err != nil {
		return err
	}
	if !exists || id == text(object(team, "metadata"), "team_member_budget_id") {
		if budget == nil {
			budget = document{}
		}
		id = newID()
		delete(budget, "created_at")
		budget["budget_id"] = id
	}
	if err := c.setBudget(budget, wish); err != nil {
		return err
	}
	m["budget_id"] = id
	return errors.Join(ch.put(keys.KindBudget, id, "", budget), ch.put(keys.KindMember, key, "", m))
}
