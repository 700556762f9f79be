package admin

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicegw/sluice/policy/keys"
	"github.com/sluicegw/sluice/policy/store"
)

// userRow is a user as LiteLLM's answers have it, without a password.
func userRow(d document) document {
	out := only(row(keys.KindUser, d), "user")
	out["organization_memberships"], out["object_permission"] = []any{}, d["object_permission"]
	delete(out, "password")
	return out
}

// emailName makes emails unique, in any case of letters.
func emailName(d document) string { return strings.ToLower(strings.TrimSpace(text(d, "user_email"))) }

func emailTaken(err error, email string) error {
	if errors.Is(err, store.ErrTaken) {
		return refuse(409, "User with email %s already exists", printable(email))
	}
	return err
}

// userByEmail is the id of the user who has an email; empty: nobody has.
func (c *call) userByEmail(email string) string {
	if email = strings.ToLower(strings.TrimSpace(email)); email == "" {
		return ""
	}
	for _, o := range c.s.o.Storage.Directory.List(keys.KindUser) {
		if o.Unique == email {
			return o.ID
		}
	}
	return ""
}

// newUser is POST /user/new. Unless auto_create_key is false, a key comes with it.
func newUser(c *call) (any, error) {
	b := c.body
	id := strings.TrimSpace(text(b, "user_id"))
	if _, exists := c.find(keys.KindUser, id); exists {
		return nil, refuse(409, "User with id %s already exists", printable(id))
	}
	if owner := c.userByEmail(text(b, "user_email")); owner != "" {
		return nil, refuse(409, "User with email %s already exists", printable(text(b, "user_email")))
	}
	if err := checkAmounts(b, "max_budget", "spend"); err != nil {
		return nil, err
	}
	if role := keys.Role(text(b, "user_role")); (role == keys.Admin || role == keys.AdminViewer) && !c.admin() {
		return nil, say(403, "Only proxy admins can create administrative users (proxy_admin, proxy_admin_viewer). Attempted to create user with role: %s. Your role: %s",
			role, c.key.RoleInEffect())
	}
	if !c.admin() { // a key that was made for this route alone gives no more than it has
		if err := errors.Join(c.mayGrant(b), c.mayAlias(b, text(b, "team_id"), id)); err != nil {
			return nil, err
		}
	}
	if id == "" {
		id = newID()
	}
	if text(b, "user_role") == string(keys.InternalUser) {
		maps.DeleteFunc(b, func(name string, v any) bool { return v == nil }) // null is nothing said
		c.standardBudget(b)
	}
	b["user_id"] = id
	d := document{"user_id": id}
	if err := c.setUser(d, b); err != nil {
		return nil, err
	}
	c.touched(d)
	token, key, err := c.userKey(d, b)
	if err != nil {
		return nil, err
	}
	teams := texts(b["teams"])
	if t := text(b, "team_id"); t != "" && !slices.Contains(teams, t) {
		teams = append(teams, t)
	}
	err = c.change(func(ch change) error {
		if _, exists, err := ch.get(keys.KindUser, id); err != nil || exists {
			return cmp.Or(err, error(refuse(409, "User with id %s already exists", printable(id))))
		}
		if err := ch.put(keys.KindUser, id, emailName(d), d); err != nil {
			return emailTaken(err, text(d, "user_email"))
		}
		if err := c.joinTeams(ch, d, teams); err != nil {
			return err
		}
		if key == nil {
			return nil
		}
		return aliasTaken(c.putNewKey(ch, token, key, document{}), text(key, "key_alias"))
	})
	if err != nil {
		return nil, err
	}
	stored, _ := c.find(keys.KindUser, id)
	return newUserAnswer(token, key, stored), nil
}

// standardBudget gives an internal user the configuration's budget, as far as the request says nothing of one.
func (c *call) standardBudget(b document) {
	if !given(b, "max_budget") && c.snap.UserBudget != nil {
		b["max_budget"] = json.Number(strconv.FormatFloat(*c.snap.UserBudget, 'f', -1, 64))
	}
	if !given(b, "budget_duration") && c.snap.UserBudgetDuration != "" {
		b["budget_duration"] = c.snap.UserBudgetDuration
	}
}

// joinTeams makes the user a member of teams.
func (c *call) joinTeams(ch change, user document, teams []string) error {
	for _, t := range teams {
		team, ok, err := ch.get(keys.KindTeam, t)
		if err != nil || !ok {
			return cmp.Or(err, error(refuse(404, "Team not found for team_id=%s", printable(t))))
		}
		m := document{"user_id": user["user_id"], "user_email": user["user_email"], "role": "user"}
		if _, _, err := c.addMember(ch, team, m, document{}); err != nil {
			return err
		}
		if err := ch.put(keys.KindTeam, t, "", team); err != nil {
			return err
		}
	}
	return nil
}

// userKey is the key that a new user gets; nil: none.
func (c *call) userKey(user, b document) (string, document, error) {
	if v, ok := b["auto_create_key"].(bool); ok && !v {
		return "", nil, nil
	}
	wish := document{}
	for name, v := range b {
		switch name {
		case "max_budget", "budget_duration", "spend", "model_max_budget": // the user's own
		default:
			wish[name] = v
		}
	}
	return c.newKey(wish)
}

func newUserAnswer(token string, key, user document) document {
	all := row(keys.KindKey, key)
	for name, v := range userRow(user) {
		all[name] = v
	}
	out := only(all, "/user/new")
	out["key"], out["token"], out["token_id"] = token, nil, nil
	if key != nil {
		out["key_name"], out["expires"] = key["key_name"], key["expires"]
	}
	return out
}

// setUser writes the fields of a request into a user's document. Passwords are for LiteLLM's dashboard: they are
// not kept.
func (c *call) setUser(d, b document) error {
	if err := checkModelBudgets(object(b, "model_max_budget")); err != nil {
		return err
	}
	if err := c.setBudgetWindow(d, b); err != nil {
		return err
	}
	c.setMetadata(d, b)
	for name := range litellm.Columns[keys.KindUser] {
		if v, ok := b[name]; ok && !slices.Contains(ownUserColumns, name) {
			d[name] = v
		}
	}
	if v, ok := b["object_permission"]; ok {
		d["object_permission"] = v
	}
	return nil
}

var ownUserColumns = []string{"user_id", "teams", "password", "password_reset_required", "last_breach_check_at", "metadata", "budget_duration",
	"budget_reset_at", "created_at", "updated_at", "model_spend", "object_permission_id"}

// updateUser is POST /user/update. An email that nobody has makes a user, as in LiteLLM.
func updateUser(c *call) (any, error) {
	b := c.body
	id, email := text(b, "user_id"), text(b, "user_email")
	if id == "" && email == "" {
		return nil, errors.New("Either user_id or user_email must be provided")
	}
	if err := checkAmounts(b, "max_budget", "spend"); err != nil {
		return nil, err
	}
	if id == "" {
		if id = c.userByEmail(email); id == "" {
			id = newID()
		}
	}
	if !c.admin() {
		if given(b, "user_role") {
			return nil, say(403, "Only proxy admins can modify user roles.")
		}
		if id != c.key.UserID {
			return nil, refuse(403, "User does not have permission to update this user. Only PROXY_ADMIN can update other users.")
		}
		for _, name := range []string{"max_budget", "model_max_budget", "soft_budget", "spend", "object_permission", "models", "tpm_limit", "rpm_limit", "budget_duration"} {
			if given(b, name) {
				return nil, refuse(403, "Non-admin users cannot modify '%s' on their own record. Contact your proxy admin.", name)
			}
		}
	}
	clearable := []string{"max_budget", "budget_duration", "tpm_limit", "rpm_limit", "model_max_budget", "max_parallel_requests"}
	for name, v := range b { // what is empty says nothing, but for limits
		if v == nil && !slices.Contains(clearable, name) {
			delete(b, name)
		}
	}
	var after document
	err := c.change(func(ch change) error {
		d, ok, err := ch.get(keys.KindUser, id)
		if err != nil {
			return err
		}
		if !ok {
			d = document{"user_id": id}
		}
		if text(b, "user_role") == string(keys.InternalUser) {
			c.standardBudget(b)
		}
		if err := c.setUser(d, b); err != nil {
			return err
		}
		c.touched(d)
		after = d
		return emailTaken(ch.put(keys.KindUser, id, emailName(d), d), email)
	})
	if err != nil {
		return nil, err
	}
	if err := c.setSpent(keys.KindUser, id, b); err != nil {
		return nil, err
	}
	return document{"user_id": id, "data": userRow(c.standing(keys.KindUser, id, after))}, nil
}

// deleteUsers is POST /user/delete. Their keys and memberships go with them.
func deleteUsers(c *call) (any, error) {
	ids := texts(c.body["user_ids"])
	if !c.admin() {
		return nil, refuse(403, "Only PROXY_ADMIN or ORG_ADMIN users may delete users.")
	}
	for _, id := range ids {
		if _, ok := c.find(keys.KindUser, id); !ok {
			return nil, refuse(404, "User not found, passed user_id=%s", printable(id))
		}
	}
	err := c.change(func(ch change) error {
		for _, id := range ids {
			if err := c.dropUser(ch, id); err != nil {
				return err
			}
		}
		return nil
	})
	return len(ids), err
}

func (c *call) dropUser(ch change, id string) error {
	dir := c.s.o.Storage.Directory
	errs := []error{ch.Delete(keys.KindUser, id)}
	for _, o := range dir.List(keys.KindKey) {
		if k := dir.ByHash(o.ID); k != nil && k.UserID == id {
			errs = append(errs, ch.Delete(keys.KindKey, o.ID))
		}
	}
	for _, o := range dir.List(keys.KindMember) {
		if strings.HasSuffix(o.ID, "\x1f"+id) {
			errs = append(errs, ch.Delete(keys.KindMember, o.ID))
		}
	}
	for _, o := range dir.List(keys.KindTeam) {
		if t := dir.Team(o.ID); t == nil || t.Roles[id] == "" {
			continue
		}
		team, ok, err := ch.get(keys.KindTeam, o.ID)
		if err != nil || !ok {
			errs = append(errs, err)
			continue
		}
		list, _ := team["members_with_roles"].([]any)
		team["members_with_roles"] = slices.DeleteFunc(list, func(m any) bool {
			one, _ := m.(document)
			return text(one, "user_id") == id
		})
		errs = append(errs, ch.put(keys.KindTeam, o.ID, "", team))
	}
	return errors.Join(errs...)
}
