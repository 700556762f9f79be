package admin

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/sluicegw/sluice/internal/money"
	"github.com/sluicegw/sluice/policy/keys"
	"github.com/sluicegw/sluice/policy/store"
)

func objectOf(kind, id string, doc []byte) store.Object {
	return store.Object{Kind: kind, ID: id, Doc: doc}
}

// moveSpent takes what a key has spent along to its new token.
func (c *call) moveSpent(from, to string) error {
	st := c.s.o.Storage
	if st.Spent == nil || st.SetSpent == nil {
		return nil
	}
	amount, known := st.Spent(keys.KindKey, from)
	if !known || amount == 0 {
		return nil
	}
	return st.SetSpent(c.ctx, keys.KindKey, to, amount)
}

// status is LiteLLM's word for a key's state.
func (c *call) status(d document) string {
	switch {
	case truth(d, "blocked"):
		return "revoked"
	case text(d, "expires") != "" && keys.ParseTime(text(d, "expires")).Before(c.now):
		return "expired"
	}
	return "active"
}

// withBudget adds the budget object that a document names, as LiteLLM's include does.
func (c *call) withBudget(out document) document {
	out["litellm_budget_table"] = nil
	if id := text(out, "budget_id"); id != "" {
		if b, ok := c.find(keys.KindBudget, id); ok {
			out["litellm_budget_table"] = row(keys.KindBudget, b)
		}
	}
	return out
}

// keyInfo is GET /key/info.
func keyInfo(c *call) (any, error) {
	name := c.query("key")
	if name == "" {
		name = c.key.Hash
	}
	if name == keys.MasterHash {
		return nil, problem(404, "not_found_error", "key", "Key not found in database")
	}
	hash := hashOf(name)
	d, ok := c.find(keys.KindKey, hash)
	if !ok {
		return nil, problem(404, "not_found_error", "key", "Key not found in database")
	}
	if !c.maySeeKey(hash, d) {
		return nil, say(403, "You are not allowed to access this key's info. Your role=%s", c.key.RoleInEffect())
	}
	out := c.withBudget(row(keys.KindKey, d))
	delete(out, "token")
	out["status"] = c.status(d)
	return document{"key": name, "info": out}, nil
}

// maySeeKey tells whether the caller may read a key: it itself, its owner, and its team's members.
func (c *call) maySeeKey(hash string, d document) bool {
	if c.sees() || hash == c.key.Hash || c.key.UserID != "" && text(d, "user_id") == c.key.UserID {
		return true
	}
	id := text(d, "team_id")
	if id == "" || c.key.UserID == "" {
		return false
	}
	team, ok := c.find(keys.KindTeam, id)
	return ok && c.teamRole(team) != ""
}

// keysInfo is POST /v2/key/info.
func keysInfo(c *call) (any, error) {
	named := texts(c.body["keys"])
	if len(named) == 0 {
		return nil, &refusal{status: 422, detail: document{"error": "Malformed request. No keys passed in."}}
	}
	list := []document{}
	for _, name := range named {
		if d, ok := c.find(keys.KindKey, hashOf(name)); ok && c.maySeeKey(hashOf(name), d) {
			out := c.withBudget(row(keys.KindKey, d))
			delete(out, "token")
			list = append(list, out)
		}
	}
	return document{"key": c.body["keys"], "info": list}, nil
}

// listKeys is GET /key/list.
func listKeys(c *call) (any, error) {
	page, size, err := c.page("size", 10, 100)
	if err != nil {
		return nil, err
	}
	want, err := c.keyFilter()
	if err != nil {
		return nil, err
	}
	dir := c.s.o.Storage.Directory
	var found []store.Object
	for _, o := range dir.List(keys.KindKey) {
		if k := dir.ByHash(o.ID); k != nil && want(k, o) {
			found = append(found, o)
		}
	}
	c.sortKeys(found)
	part, pages := slice(found, page, size)
	list := make([]any, 0, len(part))
	full := c.query("return_full_object") == "true" || c.query("expand") == "user"
	for _, o := range part {
		if !full {
			list = append(list, o.ID)
			continue
		}
		out := c.withBudget(row(keys.KindKey, c.open(o)))
		if id := text(out, "user_id"); id != "" && c.query("expand") == "user" {
			if u, ok := c.find(keys.KindUser, id); ok {
				out["user"] = userRow(u)
			}
		}
		list = append(list, out)
	}
	return document{"keys": list, "total_count": len(found), "current_page": page, "total_pages": pages}, nil
}

// sortKeys sorts by created_at, the newest first, or as sort_by and sort_order say.
func (c *call) sortKeys(found []store.Object) {
	by := cmp.Or(c.query("sort_by"), "created_at")
	sign := -1
	if strings.EqualFold(c.query("sort_order"), "asc") {
		sign = 1
	}
	type valued struct {
		text string
		o    store.Object
	}
	values, pattern := make([]valued, len(found)), []byte(`"`+by+`":`)
	for i, o := range found {
		values[i] = valued{string(member1(o.Doc, pattern)), o}
	}
	numeric := slices.Contains([]string{"spend", "max_budget", "tpm_limit", "rpm_limit"}, by)
	slices.SortFunc(values, func(a, b valued) int {
		order := strings.Compare(a.text, b.text)
		if numeric {
			order = cmp.Compare(money.FromDollars(asFloat(a.text)), money.FromDollars(asFloat(b.text)))
		}
		if order == 0 {
			return strings.Compare(a.o.ID, b.o.ID)
		}
		return sign * order
	})
	for i := range values {
		found[i] = values[i].o
	}
}

func asFloat(s string) float64 {
	f, _ := json.Number(s).Float64()
	return f
}

// member1 finds a simple member, by its name with quotes and colon, in a document without reading all of it: a list
// sorts a hundred thousand. One that is nested could be taken for it, which costs an order, nothing else.
func member1(doc, name []byte) []byte {
	_, rest, ok := bytes.Cut(doc, name)
	if !ok {
		return nil
	}
	if len(rest) > 0 && rest[0] == '"' {
		rest = rest[1:]
		if end := bytes.IndexByte(rest, '"'); end >= 0 {
			return rest[:end]
		}
		return nil
	}
	if end := bytes.IndexAny(rest, ",}"); end >= 0 {
		return rest[:end]
	}
	return nil
}

// keyFilter reads the query of GET /key/list, within what the caller may see.
func (c *call) keyFilter() (func(*keys.Key, store.Object) bool, error) {
	user, team, org := c.query("user_id"), c.query("team_id"), c.query("organization_id")
	alias, hash, search, state := c.query("key_alias"), c.query("key_hash"), strings.ToLower(c.query("search")), c.query("status")
	part := c.query("substring_matching") == "true"
	switch state {
	case "", "active", "expired", "revoked", "deleted":
	default:
		return nil, refuse(400, "Invalid status value. Supported: 'active', 'expired', 'revoked', 'deleted'.")
	}
	mine, err := c.keyScope(user, team, hash)
	if err != nil {
		return nil, err
	}
	like := func(have, want string) bool {
		return want == "" || have == want || part && strings.Contains(strings.ToLower(have), strings.ToLower(want))
	}
	now := time.Now()
	return func(k *keys.Key, _ store.Object) bool {
		switch {
		case !mine(k), team != "" && k.TeamID != team, org != "" && k.OrganizationID != org, hash != "" && k.Hash != hash:
			return false
		case !like(k.Alias, alias), !like(k.UserID, user) && !(part && c.sees()), user != "" && !part && k.UserID != user:
			return false
		case search != "" && k.Hash != search && !strings.Contains(strings.ToLower(k.Alias), search):
			return false
		case state == "deleted", state == "active" && (k.Blocked || k.Expired(now)), state == "expired" && (k.Blocked || !k.Expired(now)),
			state == "revoked" && !k.Blocked:
			return false
		}
		return true
	}, nil
}

// keyScope is what the caller may list: everything, or one's own keys and those of the teams that one governs.
func (c *call) keyScope(user, team, hash string) (func(*keys.Key) bool, error) {
	if c.sees() {
		return func(*keys.Key) bool { return true }, nil
	}
	me := c.key.User()
	if me == nil {
		return nil, problem(403, "bad_request_error", "user_id", "You are not authorized to access this endpoint. No 'user_id' is associated with your API key.")
	}
	if user != "" && user != me.ID {
		return nil, problem(403, "bad_request_error", "user_id", "You are not authorized to check another user's keys")
	}
	if team != "" && !slices.Contains(me.Teams, team) {
		return nil, problem(403, "bad_request_error", "team_id", "You are not authorized to check this team's keys")
	}
	if hash != "" {
		d, ok := c.find(keys.KindKey, hash)
		if !ok {
			return nil, problem(403, "bad_request_error", "key_hash", "Key Hash not found.")
		}
		if !c.maySeeKey(hash, d) {
			return nil, say(403, "You are not allowed to access this key's info. Your role=%s", c.key.RoleInEffect())
		}
	}
	governed := map[string]bool{}
	if team != "" || c.query("include_team_keys") == "true" {
		for _, id := range me.Teams {
			if t := c.s.o.Storage.Directory.Team(id); t != nil && t.Roles[me.ID] == "admin" {
				governed[id] = true
			}
		}
	}
	created := c.query("include_created_by_keys") == "true"
	return func(k *keys.Key) bool {
		return k.UserID == me.ID || governed[k.TeamID] || created && c.madeByMe(k.Hash)
	}, nil
}

func (c *call) madeByMe(hash string) bool {
	o, ok := c.s.o.Storage.Directory.Get(keys.KindKey, hash)
	return ok && string(member1(o.Doc, []byte(`"created_by":`))) == c.key.UserID
}

// keyAliases is GET /key/aliases.
func keyAliases(c *call) (any, error) {
	page, size, err := c.page("size", 50, 100)
	if err != nil {
		return nil, err
	}
	want, err := c.keyFilter()
	if err != nil {
		return nil, err
	}
	dir := c.s.o.Storage.Directory
	names := []string{}
	for _, o := range dir.List(keys.KindKey) {
		if k := dir.ByHash(o.ID); k != nil && k.Alias != "" && want(k, o) {
			names = append(names, k.Alias)
		}
	}
	slices.Sort(names)
	part, pages := slice(slices.Compact(names), page, size)
	return document{"aliases": part, "total_count": len(names), "current_page": page, "total_pages": pages, "size": size}, nil
}

// resetKeySpend is POST /key/{key}/reset_spend.
func resetKeySpend(c *call) (any, error) {
	hash, d, err := c.findKey(c.r.PathValue("key"), "")
	if err != nil {
		return nil, err
	}
	team, has := c.find(keys.KindTeam, text(d, "team_id"))
	if !c.admin() && !(has && c.teamRole(team) == "admin") {
		return nil, refuse(403, "You must be a proxy admin or team admin to reset key spend")
	}
	to, _ := number(c.body, "reset_to")
	before, _ := number(d, "spend")
	if to < 0 || to > before {
		return nil, refuse(400, "reset_to value (%v) must be between 0 and the key's current spend (%v)", to, before)
	}
	err = c.change(func(ch change) error {
		d, ok, err := ch.get(keys.KindKey, hash)
		if err != nil || !ok {
			return orNotFound(err)
		}
		d["spend"] = to
		c.touched(d)
		return ch.put(keys.KindKey, hash, text(d, "key_alias"), d)
	})
	if err == nil {
		err = c.setSpent(keys.KindKey, hash, document{"spend": json.Number(money.FromDollars(to).String())})
	}
	return document{"key_hash": hash, "spend": to, "previous_spend": before, "max_budget": d["max_budget"], "budget_reset_at": d["budget_reset_at"]}, err
}
