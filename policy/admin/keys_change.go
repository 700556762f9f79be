package admin

import (
	"cmp"
	"encoding/json"
	"os"
	"strings"

	"github.com/sluicegw/sluice/internal/money"
	"github.com/sluicegw/sluice/policy/keys"
)

// updateKey is POST /key/update.
func updateKey(c *call) (any, error) {
	b := c.body
	name, alias := text(b, "key"), text(b, "key_alias")
	if name == "" && alias == "" {
		return nil, invalidBody("value_error", "Value error, either key or key_alias must be provided")
	}
	if given(b, "temp_budget_increase") != given(b, "temp_budget_expiry") {
		return nil, invalidBody("value_error", "Value error, temp_budget_increase and temp_budget_expiry must be set together")
	}
	if err := checkAmounts(b, "max_budget", "soft_budget", "spend"); err != nil {
		return nil, err
	}
	hash, before, err := c.findKey(name, alias)
	if err != nil {
		return nil, err
	}
	if err := c.mayUpdateKey(before, b); err != nil {
		return nil, err
	}
	if err := checkAlias(alias); err != nil {
		return nil, err
	}
	delete(b, "key")
	if v, ok := b["team_id"]; ok && v == "" {
		delete(b, "team_id")
	}
	var after document
	err = c.change(func(ch change) error {
		d, ok, err := ch.get(keys.KindKey, hash)
		if err != nil || !ok {
			return orNotFound(err)
		}
		if err := c.setKey(d, b); err != nil {
			return err
		}
		if err := c.softBudget(ch, d, b); err != nil {
			return err
		}
		c.touched(d)
		d["settings_updated_at"] = stamp(c.now)
		after = d
		return ch.put(keys.KindKey, hash, text(d, "key_alias"), d)
	})
	if err != nil {
		return nil, aliasTaken(err, alias)
	}
	if err := c.setSpent(keys.KindKey, hash, b); err != nil {
		return nil, err
	}
	out := row(keys.KindKey, c.standing(keys.KindKey, hash, after))
	out["key"] = name
	if name == "" {
		out["key"] = hash
	}
	return out, nil
}

func orNotFound(err error) error {
	if err != nil {
		return err
	}
	return problem(404, "not_found_error", "key", "Key not found.")
}

// setSpent corrects what was counted, where a request says what was spent.
func (c *call) setSpent(kind, id string, b document) error {
	n, ok := number(b, "spend")
	if !ok || c.s.o.Storage.SetSpent == nil {
		return nil
	}
	return c.s.o.Storage.SetSpent(c.ctx, kind, id, money.FromDollars(n))
}

// findKey finds a key by itself, its hash, or its alias.
func (c *call) findKey(name, alias string) (hash string, d document, err error) {
	if name != "" {
		hash = hashOf(name)
		d, ok := c.find(keys.KindKey, hash)
		if !ok {
			return "", nil, orNotFound(nil)
		}
		return hash, d, nil
	}
	if hash, d := c.byAlias(alias); d != nil {
		return hash, d, nil
	}
	return "", nil, problem(404, "not_found_error", "key_alias", "Key not found. No key with key_alias='%s'.", printable(alias))
}

func (c *call) byAlias(alias string) (string, document) {
	for _, o := range c.s.o.Storage.Directory.List(keys.KindKey) {
		if alias != "" && o.Unique == alias {
			return o.ID, c.open(o)
		}
	}
	return "", nil
}

// deleteKeys is POST /key/delete.
func deleteKeys(c *call) (any, error) {
	named, aliases := texts(c.body["keys"]), texts(c.body["key_aliases"])
	if len(named) == 0 && len(aliases) == 0 {
		return nil, invalidBody("value_error", "Value error, At least one of 'keys' or 'key_aliases' must be provided.")
	}
	var hashes []string
	answer := c.body["keys"]
	for _, k := range named {
		if _, ok := c.find(keys.KindKey, hashOf(k)); ok {
			hashes = append(hashes, hashOf(k))
		}
	}
	if len(named) == 0 {
		answer = c.body["key_aliases"]
		for _, a := range aliases {
			if hash, d := c.byAlias(a); d != nil {
				hashes = append(hashes, hash)
			}
		}
	}
	if len(hashes) == 0 {
		return nil, refuse(404, "No keys found")
	}
	for _, hash := range hashes {
		d, _ := c.find(keys.KindKey, hash)
		if err := c.mayModify(d, "/key/delete", "delete"); err != nil {
			return nil, err
		}
	}
	return document{"deleted_keys": answer}, c.change(func(ch change) error {
		for _, hash := range hashes {
			if err := ch.Delete(keys.KindKey, hash); err != nil {
				return err
			}
		}
		return nil
	})
}

// blockKey is POST /key/block and /key/unblock.
func blockKey(blocked bool) action {
	return func(c *call) (any, error) {
		name := text(c.body, "key")
		hash := hashOf(name)
		if !strings.HasPrefix(name, "sk-") && len(name) != 64 {
			return nil, problem(400, "bad_request_error", "key", "Invalid key format.")
		}
		d, ok := c.find(keys.KindKey, hash)
		if !c.admin() {
			if !ok {
				return nil, refuse(404, "Key not found: %s", hash)
			}
			team, has := c.find(keys.KindTeam, text(d, "team_id"))
			if !has || c.teamRole(team) != "admin" {
				return nil, refuse(403, "Only proxy admins, team admins, or org admins can call %s. user_role=%s, user_id=%s",
					c.path, c.key.RoleInEffect(), c.key.UserID)
			}
		}
		if !ok {
			return nil, orNotFound(nil)
		}
		var after document
		err := c.change(func(ch change) error {
			d, ok, err := ch.get(keys.KindKey, hash)
			if err != nil || !ok {
				return orNotFound(err)
			}
			d["blocked"] = blocked
			c.touched(d)
			after = d
			return ch.put(keys.KindKey, hash, text(d, "key_alias"), d)
		})
		if err != nil {
			return nil, err
		}
		return row(keys.KindKey, c.standing(keys.KindKey, hash, after)), nil
	}
}

// regenerateKey is POST /key/regenerate and /key/{key}/regenerate.
func regenerateKey(c *call) (any, error) {
	b := c.body
	name := text(b, "key")
	if name == "" {
		name = c.r.PathValue("key")
	}
	if name == "" {
		return nil, refuse(400, "No key passed in.")
	}
	if c.snap.IsMaster != nil && c.snap.IsMaster(name) {
		return nil, refuse(400, "The master key is set in the configuration: general_settings.master_key or LITELLM_MASTER_KEY.")
	}
	hash := hashOf(name)
	before, ok := c.find(keys.KindKey, hash)
	if !ok {
		shown := name
		if strings.HasPrefix(name, "sk-") {
			shown = keys.KeyName(name) // LiteLLM shows it whole
		}
		return nil, refuse(404, "Key %s not found.", printable(shown))
	}
	if err := c.mayModify(before, "/key/regenerate", "regenerate"); err != nil {
		return nil, err
	}
	if err := c.mayGrant(b); err != nil {
		return nil, err
	}
	if changes := len(b) - len(part(b, "key", "new_key", "grace_period")); changes > 0 {
		if err := c.mayUpdateKey(before, b); err != nil {
			return nil, err
		}
	}
	token := text(b, "new_key")
	switch {
	case token == "":
		token = newToken()
	case !strings.HasPrefix(token, "sk-"):
		return nil, refuse(400, "New key must start with 'sk-'. This is to distinguish a key hash (used by litellm for logging / internal logic) from the actual key.")
	case len(token) < shortestKey:
		return nil, refuse(400, "New key must be at least %d characters long.", shortestKey)
	}
	if err := checkAmounts(b, "max_budget", "soft_budget"); err != nil {
		return nil, err
	}
	after, err := c.replaceKey(hash, token, b)
	if err != nil {
		return nil, aliasTaken(err, text(b, "key_alias"))
	}
	return c.generated(token, after, b), nil
}

// part is the members of a document that have one of these names.
func part(d document, names ...string) document {
	out := document{}
	for _, name := range names {
		if v, ok := d[name]; ok {
			out[name] = v
		}
	}
	return out
}

// replaceKey gives a key another token. With a grace period the old one goes on working as the new one.
func (c *call) replaceKey(hash, token string, b document) (document, error) {
	grace := text(b, "grace_period")
	if grace == "" {
		grace = os.Getenv("LITELLM_KEY_ROTATION_GRACE_PERIOD")
	}
	delete(b, "key")
	delete(b, "team_id")
	fresh := keys.Hash(token)
	taken := refuse(400, "Key already exists. Please choose another key.")
	if _, exists := c.find(keys.KindKey, fresh); exists { // whose spend is not to be touched
		return nil, taken
	}
	// Before the change: an error after it would keep the only sight of the new key from whoever asked.
	if err := c.moveSpent(hash, fresh); err != nil {
		return nil, err
	}
	var after document
	err := c.change(func(ch change) error {
		d, ok, err := ch.get(keys.KindKey, hash)
		if err != nil || !ok {
			return orNotFound(err)
		}
		if _, exists, err := ch.get(keys.KindKey, fresh); err != nil || exists {
			return cmp.Or(err, error(taken))
		}
		if err := c.setKey(d, b); err != nil {
			return err
		}
		n, _ := number(d, "rotation_count")
		d["token"], d["key_name"], d["rotation_count"], d["last_rotation_at"] = fresh, keys.KeyName(token), n+1, stamp(c.now)
		c.touched(d)
		after = d
		if err := ch.Delete(keys.KindKey, hash); err != nil {
			return err
		}
		if wait, ok := exactDuration(grace); ok {
			old, err := json.Marshal(document{"token": hash, "active_token_id": fresh, "revoke_at": stamp(c.now.Add(wait))})
			if err != nil {
				return err
			}
			if err := ch.Put(objectOf(keys.KindOldKey, hash, old)); err != nil {
				return err
			}
		}
		return ch.put(keys.KindKey, fresh, text(d, "key_alias"), d)
	})
	return after, err
}
