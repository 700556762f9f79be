package admin

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/sluicegw/sluice/policy/keys"
)

var errNoAccess = say(403, "You do not have access to this team")

// teamRow is a team as LiteLLM's answers have it.
func teamRow(d document) document {
	out := row(keys.KindTeam, d)
	out["team_alias"] = d["team_alias"]
	if _, ok := out["members_with_roles"].([]any); !ok {
		out["members_with_roles"] = []any{}
	}
	out["litellm_model_table"], out["object_permission"] = nil, d["object_permission"]
	if aliases := object(d, "model_aliases"); len(aliases) > 0 {
		out["litellm_model_table"] = document{"id": nil, "model_aliases": aliases, "created_by": d["created_by"], "updated_by": d["updated_by"], "team": nil}
	}
	return out
}

// members are those of members_with_roles.
func members(team document) []document {
	list, _ := team["members_with_roles"].([]any)
	out := make([]document, 0, len(list))
	for _, m := range list {
		if d, ok := m.(document); ok {
			out = append(out, d)
		}
	}
	return out
}

func isMember(team document, user string) bool {
	return slices.ContainsFunc(members(team), func(m document) bool { return text(m, "user_id") == user })
}

// newTeam is POST /team/new.
func newTeam(c *call) (any, error) {
	b := c.body
	id := strings.TrimSpace(text(b, "team_id"))
	if id == "" {
		id = newID()
	}
	if _, exists := c.find(keys.KindTeam, id); exists {
		return nil, refuse(400, "Team id = %s already exists. Please use a different team id.", printable(id))
	}
	d := document{"team_id": id}
	if err := c.setTeam(d, b); err != nil {
		return nil, err
	}
	if err := c.teamWithinCaller(b); err != nil {
		return nil, err
	}
	wanted, err := readMembers(b["members_with_roles"])
	if err != nil {
		return nil, err
	}
	if !c.admin() && c.key.UserID != "" && !slices.ContainsFunc(wanted, func(m document) bool { return text(m, "user_id") == c.key.UserID }) {
		wanted = append(wanted, document{"role": "admin", "user_id": c.key.UserID, "user_email": nil})
	}
	c.touched(d)
	err = c.change(func(ch change) error {
		if _, exists, err := ch.get(keys.KindTeam, id); err != nil || exists {
			return cmp.Or(err, error(refuse(400, "Team id = %s already exists. Please use a different team id.", printable(id))))
		}
		if err := c.memberBudget(ch, d, b); err != nil {
			return err
		}
		d["members_with_roles"] = []any{}
		for _, m := range wanted {
			if _, _, err := c.addMember(ch, d, m, document{}); err != nil {
				return err
			}
		}
		return ch.put(keys.KindTeam, id, "", d)
	})
	return only(teamRow(d), "team"), err
}

// setTeam writes the fields of a request into a team's document.
func (c *call) setTeam(d, b document) error {
	if err := checkAmounts(b, "max_budget", "team_member_budget", "soft_budget"); err != nil {
		return err
	}
	if err := checkModelBudgets(object(b, "model_max_budget")); err != nil {
		return err
	}
	merged := maps.Clone(d)
	maps.Copy(merged, b)
	soft, hasSoft := number(merged, "soft_budget")
	most, hasMost := number(merged, "max_budget")
	if hasSoft && hasMost && soft >= most && (given(b, "soft_budget") || given(b, "max_budget")) {
		return refuse(400, "soft_budget (%v) must be strictly lower than max_budget (%v)", soft, most)
	}
	if err := c.setBudgetWindow(d, b); err != nil {
		return err
	}
	system := object(d, "metadata")["team_member_budget_id"]
	if meta, ok := b["metadata"].(document); ok {
		delete(meta, "team_member_budget_id") // LiteLLM's own
	}
	c.setMetadata(d, b)
	if system != nil {
		meta := object(d, "metadata")
		meta["team_member_budget_id"] = system
		d["metadata"] = meta
	}
	for name := range litellm.Columns[keys.KindTeam] {
		if v, ok := b[name]; ok && !slices.Contains(ownTeamColumns, name) {
			d[name] = v
		}
	}
	for _, name := range []string{"model_aliases", "object_permission"} {
		if v, ok := b[name]; ok {
			d[name] = v
		}
	}
	return nil
}

var ownTeamColumns = []string{"team_id", "members_with_roles", "metadata", "budget_duration", "budget_reset_at", "created_at", "updated_at", "spend",
	"model_spend", "model_id", "object_permission_id"}

// teamWithinCaller keeps those who are no admins within their own limits.
func (c *call) teamWithinCaller(b document) error {
	if c.admin() {
		return nil
	}
	if most, ok := number(b, "max_budget"); ok {
		if u := c.key.User(); u != nil && u.Budget.Max != nil && most > u.Budget.Max.Dollars() {
			return refuse(400, "max budget higher than user max. User max budget=%s. User role=%s", u.Budget.Max, c.key.RoleInEffect())
		}
	}
	if len(c.key.Models) > 0 {
		for _, m := range texts(b["models"]) {
			if !slices.Contains(c.key.Models, m) {
				return refuse(400, "Model not in allowed user models. User allowed models=%v. User id=%s", c.key.Models, c.key.UserID)
			}
		}
	}
	for name, own := range map[string]*int64{"tpm": c.key.Limits.TPM, "rpm": c.key.Limits.RPM} {
		if n, ok := number(b, name+"_limit"); ok && own != nil && n > float64(*own) {
			return refuse(400, "%s limit higher than user max. User %s limit=%d. User role=%s", name, name, *own, c.key.RoleInEffect())
		}
	}
	return nil
}

// memberBudget keeps what every member of a team may use in a budget object of the team's own.
func (c *call) memberBudget(ch change, d, b document) error {
	names := map[string]string{"team_member_budget": "max_budget", "team_member_rpm_limit": "rpm_limit",
		"team_member_tpm_limit": "tpm_limit", "team_member_budget_duration": "budget_duration"}
	set := false
	for name := range names {
		set = set || given(b, name)
	}
	if !set {
		return nil
	}
	meta := maps.Clone(object(d, "metadata"))
	id := text(meta, "team_member_budget_id")
	limits, exists, err := ch.get(keys.KindBudget, id)
	if err != nil {
		return err
	}
	if !exists {
		id = newID()
		limits = document{"budget_id": id}
	}
	wish := document{}
	for name, to := range names {
		if v, ok := b[name]; ok {
			wish[to] = v
		}
	}
	if err := c.setBudget(limits, wish); err != nil {
		return err
	}
	meta["team_member_budget_id"] = id
	d["metadata"] = meta
	return ch.put(keys.KindBudget, id, "", limits)
}

// updateTeam is POST /team/update.
func updateTeam(c *call) (any, error) {
	b, id := c.body, text(c.body, "team_id")
	before, ok := c.find(keys.KindTeam, id)
	if !ok {
		if !c.admin() {
			return nil, errNoAccess
		}
		return nil, refuse(404, "Team not found, passed team_id=%s", printable(id))
	}
	if !c.governs(before) {
		return nil, errNoAccess
	}
	if err := c.teamAdminMayChange(b); err != nil {
		return nil, err
	}
	var after document
	err := c.change(func(ch change) error {
		d, ok, err := ch.get(keys.KindTeam, id)
		if err != nil || !ok {
			return cmp.Or(err, error(refuse(404, "Team not found, passed team_id=%s", printable(id))))
		}
		if err := c.setTeam(d, b); err != nil {
			return err
		}
		if err := c.memberBudget(ch, d, b); err != nil {
			return err
		}
		c.touched(d)
		after = d
		return ch.put(keys.KindTeam, id, "", d)
	})
	if err != nil {
		return nil, err
	}
	return document{"team_id": id, "data": teamRow(c.standing(keys.KindTeam, id, after))}, nil
}

// teamAdminMayChange keeps a team's admin from raising what the proxy's admin gave the team.
func (c *call) teamAdminMayChange(b document) error {
	if c.admin() {
		return nil
	}
	for _, name := range []string{"max_budget", "soft_budget", "budget_duration", "tpm_limit", "rpm_limit", "tpd_limit", "models", "organization_id",
		"model_max_budget", "blocked", "model_aliases", "team_member_budget", "access_group_ids", "budget_limits", "model_rpm_limit", "model_tpm_limit"} {
		if given(b, name) {
			return refuse(403, "Team admins cannot change %s of their team; ask a proxy admin.", name)
		}
	}
	return nil
}

// deleteTeams is POST /team/delete. A team's keys go with it.
func deleteTeams(c *call) (any, error) {
	ids := texts(c.body["team_ids"])
	for _, id := range ids {
		team, ok := c.find(keys.KindTeam, id)
		if !ok {
			return nil, refuse(404, "Team not found, passed team_id=%s", printable(id))
		}
		if !c.governs(team) {
			return nil, errNoAccess
		}
	}
	err := c.change(func(ch change) error {
		for _, id := range ids {
			if err := c.dropTeam(ch, id); err != nil {
				return err
			}
		}
		return nil
	})
	return document{"deleted_teams": c.body["team_ids"]}, err
}

func (c *call) dropTeam(ch change, id string) error {
	dir := c.s.o.Storage.Directory
	errs := []error{ch.Delete(keys.KindTeam, id)}
	for _, o := range dir.List(keys.KindKey) {
		if k := dir.ByHash(o.ID); k != nil && k.TeamID == id {
			errs = append(errs, ch.Delete(keys.KindKey, o.ID))
		}
	}
	for _, o := range dir.List(keys.KindMember) {
		if strings.HasPrefix(o.ID, id+"\x1f") {
			errs = append(errs, ch.Delete(keys.KindMember, o.ID))
		}
	}
	for _, u := range dir.List(keys.KindUser) {
		if me := dir.User(u.ID); me != nil && slices.Contains(me.Teams, id) {
			errs = append(errs, c.leaveTeam(ch, u.ID, id))
		}
	}
	return errors.Join(errs...)
}

// blockTeam is POST /team/block and /team/unblock.
func blockTeam(blocked bool) action {
	return func(c *call) (any, error) {
		id := text(c.body, "team_id")
		team, ok := c.find(keys.KindTeam, id)
		if !ok {
			return nil, refuse(404, "Team not found, passed team_id=%s", printable(id))
		}
		if !c.governs(team) {
			return nil, errNoAccess
		}
		var after document
		err := c.change(func(ch change) error {
			d, ok, err := ch.get(keys.KindTeam, id)
			if err != nil || !ok {
				return cmp.Or(err, error(refuse(404, "Team not found, passed team_id=%s", printable(id))))
			}
			d["blocked"] = blocked
			c.touched(d)
			after = d
			return ch.put(keys.KindTeam, id, "", d)
		})
		if err != nil {
			return nil, err
		}
		return teamRow(c.standing(keys.KindTeam, id, after)), nil
	}
}
