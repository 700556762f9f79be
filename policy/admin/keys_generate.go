package admin

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicegw/sluice/policy/budget"
	"github.com/sluicegw/sluice/policy/keys"
	"github.com/sluicegw/sluice/policy/store"
)

// shortestKey is the least that LiteLLM takes for a key of one's own (MINIMUM_CUSTOM_KEY_LENGTH).
const shortestKey = 16

// newToken is a key as LiteLLM makes them: sk- and 16 random bytes, URL-safe.
func newToken() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // it never fails
	return "sk-" + base64.RawURLEncoding.EncodeToString(b)
}

// newID is a random UUID.
func newID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	const digits = "0123456789abcdef"
	out := make([]byte, 0, 36)
	for i, c := range b {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			out = append(out, '-')
		}
		out = append(out, digits[c>>4], digits[c&15])
	}
	return string(out)
}

// hashOf is the hash of a key, which may be given as a hash already.
func hashOf(key string) string {
	if strings.HasPrefix(key, "sk-") {
		return keys.Hash(key)
	}
	return key
}

// generateKey is POST /key/generate.
func generateKey(c *call) (any, error) {
	b := c.body
	if err := checkAmounts(b, "max_budget", "soft_budget"); err != nil {
		return nil, err
	}
	if err := c.mayGrant(b); err != nil {
		return nil, err
	}
	if !c.admin() && text(b, "user_id") == "" && c.key.UserID != "" {
		b["user_id"] = c.key.UserID
	}
	if err := c.mayMakeKey(b); err != nil {
		return nil, err
	}
	if err := c.mayAlias(b, text(b, "team_id"), text(b, "user_id")); err != nil {
		return nil, err
	}
	token, d, err := c.newKey(b)
	if err != nil {
		return nil, err
	}
	if err := c.change(func(ch change) error { return c.putNewKey(ch, token, d, b) }); err != nil {
		return nil, aliasTaken(err, text(d, "key_alias"))
	}
	return c.generated(token, d, b), nil
}

// generated is the answer with a new key: the only time that it is seen.
func (c *call) generated(token string, d, request document) document {
	out := only(row(keys.KindKey, d), "/key/generate")
	for _, name := range inMetadata { // what is kept in metadata is shown where it was given, too
		if v, ok := request[name]; ok && slices.Contains(litellm.Answers["/key/generate"], name) {
			out[name] = v
		}
	}
	hash := keys.Hash(token)
	out["key"], out["token"], out["token_id"] = token, hash, hash
	out["soft_budget"] = request["soft_budget"]
	if id := text(d, "budget_id"); id != "" {
		if b, ok := c.find(keys.KindBudget, id); ok {
			out["litellm_budget_table"] = row(keys.KindBudget, b)
		}
	}
	return out
}

// newKey makes the document of a key from a request.
func (c *call) newKey(b document) (token string, d document, err error) {
	token = text(b, "key")
	switch {
	case token == "":
		token = newToken()
	case !strings.HasPrefix(token, "sk-"):
		return "", nil, refuse(400, "Invalid key format. LiteLLM Virtual Key must start with 'sk-'. Received: %s", maskKey(token))
	case len(token) < shortestKey:
		return "", nil, refuse(400, "Invalid key format. LiteLLM Virtual Key must be at least %d characters long.", shortestKey)
	}
	if err := checkAlias(text(b, "key_alias")); err != nil {
		return "", nil, err
	}
	d = document{}
	if err := c.setKey(d, b); err != nil {
		return "", nil, err
	}
	d["token"], d["key_name"] = keys.Hash(token), keys.KeyName(token)
	c.touched(d)
	return token, d, nil
}

// setKey writes the fields of a request into a key's document. A null takes a field away.
func (c *call) setKey(d, b document) error {
	switch text(b, "key_type") {
	case "llm_api":
		b["allowed_routes"] = []any{"llm_api_routes"}
	case "management":
		b["allowed_routes"] = []any{"management_routes"}
	case "read_only":
		b["allowed_routes"] = []any{"info_routes"}
	}
	if err := checkModelBudgets(object(b, "model_max_budget")); err != nil {
		return err
	}
	if v, ok := b["duration"]; ok {
		expires, err := c.expiry(v)
		if err != nil {
			return err
		}
		d["expires"] = expires
	}
	if err := c.setBudgetWindow(d, b); err != nil {
		return err
	}
	c.setMetadata(d, b)
	for name := range litellm.Columns[keys.KindKey] {
		if v, ok := b[name]; ok && !slices.Contains(ownColumns, name) {
			d[name] = v
		}
	}
	return nil
}

// ownColumns are set by sluice, whatever a request says.
var ownColumns = []string{
	"token", "key_name", "expires", "created_at", "created_by", "updated_at", "updated_by", "budget_duration", "budget_reset_at", "metadata",
	"total_spend", "model_spend", "last_active", "settings_updated_at", "soft_budget_cooldown", "object_permission_id",
}

// expiry is when a duration from now is over; nil: never.
func (c *call) expiry(v any) (any, error) {
	s, _ := v.(string)
	if s == "" || s == "-1" {
		return nil, nil
	}
	d, ok := exactDuration(s)
	if !ok {
		return nil, refuse(400, "Invalid duration '%s'. Use a format like '30s', '30m', '30h', '30d'.", printable(s))
	}
	return stamp(c.now.Add(d)), nil
}

// exactDuration reads a key's duration: 30s, 30m (minutes), 30h, 30d, 2w, 1mo (30 days).
func exactDuration(s string) (time.Duration, bool) {
	cut := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	if cut <= 0 {
		return 0, false
	}
	n, err := strconv.ParseInt(s[:cut], 10, 64)
	unit, ok := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour,
		"w": 7 * 24 * time.Hour, "mo": 30 * 24 * time.Hour}[s[cut:]]
	if err != nil || !ok || n <= 0 || n > int64(200*365*24*time.Hour/unit) {
		return 0, false
	}
	return time.Duration(n) * unit, true
}

// setBudgetWindow sets budget_duration, and when its first window ends.
func (c *call) setBudgetWindow(d, b document) error {
	v, ok := b["budget_duration"]
	if !ok {
		return nil
	}
	s, _ := v.(string)
	if s == "" {
		d["budget_duration"], d["budget_reset_at"] = nil, nil
		return nil
	}
	w, _, err := budget.ParseWindow(s)
	if err != nil {
		return refuse(400, "%s", err)
	}
	if at := keys.ParseTime(text(d, "budget_reset_at")); !at.IsZero() && !at.After(c.now) && !given(b, "spend") {
		delete(d, "spend") // it was of a window that is over
	}
	d["budget_duration"] = s
	d["budget_reset_at"] = stamp(c.calendar().End(w, c.now))
	return nil
}

func (c *call) calendar() budget.Calendar {
	if calendar := c.s.o.Storage.Calendar; calendar != nil {
		return calendar()
	}
	return budget.Calendar{}
}

// grantedInMetadata are limits that are kept in the metadata: whoever is no admin leaves them there as they are.
var grantedInMetadata = []string{"temp_budget_increase", "temp_budget_expiry", "model_rpm_limit", "model_tpm_limit", "team_member_budget_id",
	"end_user_budget_id"}

// setMetadata keeps in the metadata what LiteLLM keeps there. Metadata that is given replaces what was there.
func (c *call) setMetadata(d, b document) {
	before := object(d, "metadata")
	meta, replaced := b["metadata"].(document)
	if !replaced {
		meta = maps.Clone(before)
	}
	if v, ok := b["metadata"]; ok && v == nil {
		meta = document{}
	}
	for _, name := range grantedInMetadata {
		if c.admin() {
			break
		}
		if v, ok := before[name]; ok {
			meta[name] = v
		} else {
			delete(meta, name)
		}
	}
	changed := given(b, "metadata")
	for _, name := range inMetadata {
		v, ok := b[name]
		if !ok {
			continue
		}
		changed = true
		if v == nil {
			delete(meta, name)
			continue
		}
		meta[name] = v
	}
	if changed {
		d["metadata"] = meta
	}
}

// putNewKey stores a key, and the budget object that LiteLLM makes for a soft budget.
func (c *call) putNewKey(ch change, token string, d, b document) error {
	if _, exists, err := ch.get(keys.KindKey, keys.Hash(token)); err != nil || exists {
		if exists {
			return refuse(400, "Key already exists. Please choose another key.")
		}
		return err
	}
	if err := c.softBudget(ch, d, b); err != nil {
		return err
	}
	return ch.put(keys.KindKey, keys.Hash(token), text(d, "key_alias"), d)
}

// softBudget keeps a key's soft budget in a budget object, as LiteLLM does.
func (c *call) softBudget(ch change, d, b document) error {
	v, ok := b["soft_budget"]
	if !ok || v == nil && text(d, "budget_id") == "" {
		return nil
	}
	id := text(d, "budget_id")
	budget, exists, err := ch.get(keys.KindBudget, id)
	if err != nil {
		return err
	}
	if !exists {
		id, budget = newID(), document{}
		budget["budget_id"] = id
	}
	budget["soft_budget"] = v
	c.touched(budget)
	d["budget_id"] = id
	return ch.put(keys.KindBudget, id, "", budget)
}

func aliasTaken(err error, alias string) error {
	if errors.Is(err, store.ErrTaken) {
		return problem(400, "bad_request_error", "key_alias", "Key with alias '%s' already exists. Unique key aliases across all keys are required.", printable(alias))
	}
	return err
}

func checkAlias(alias string) error {
	if strings.Contains(alias, "..") || strings.ContainsFunc(alias, func(r rune) bool { return r < ' ' || r == 0x7f }) || len(alias) > 4096 {
		return problem(400, "bad_request_error", "key_alias", "Invalid key_alias")
	}
	return nil
}

// checkAmounts refuses sums that are none.
func checkAmounts(b document, names ...string) error {
	for _, name := range names {
		if n, ok := number(b, name); ok && (math.IsNaN(n) || math.IsInf(n, 0) || n < 0) {
			return refuse(400, "%s must be a non-negative finite number. Received: %v", name, n)
		}
	}
	return nil
}

func checkModelBudgets(budgets document) error {
	for model, v := range budgets {
		if _, ok := number(budgets, model); ok {
			continue
		}
		b, ok := v.(document)
		if !ok {
			return refuse(400, "Invalid model_max_budget: %s has no budget. Example of valid model_max_budget: https://docs.litellm.ai/docs/proxy/users", printable(model))
		}
		for _, name := range []string{"time_period", "budget_duration"} {
			if _, _, err := budget.ParseWindow(text(b, name)); err != nil {
				return refuse(400, "Invalid model_max_budget: %s. Example of valid model_max_budget: https://docs.litellm.ai/docs/proxy/users", err)
			}
		}
	}
	return nil
}

func maskKey(token string) string {
	if len(token) < 24 {
		return "****"
	}
	return printable(token[:4]) + "****" + printable(token[len(token)-4:])
}

// generateServiceKey is POST /key/service-account/generate: a team's key that is nobody's.
func generateServiceKey(c *call) (any, error) {
	id := text(c.body, "team_id")
	if id == "" {
		return nil, say(400, "team_id is required for service account keys. Please specify `team_id` in the request body.")
	}
	team, ok := c.find(keys.KindTeam, id)
	if !ok {
		return nil, say(400, "Unable to find team object in database. Team ID: %s", printable(id))
	}
	if !c.governs(team) {
		return nil, say(403, "Only proxy admins and admins of the team can make service account keys. team_id=%s", printable(id))
	}
	if err := checkAmounts(c.body, "max_budget", "soft_budget"); err != nil {
		return nil, err
	}
	if err := c.mayGrant(c.body); err != nil {
		return nil, err
	}
	if err := c.mayAlias(c.body, id, ""); err != nil {
		return nil, err
	}
	delete(c.body, "user_id")
	token, d, err := c.newKey(c.body)
	if err != nil {
		return nil, err
	}
	if err := c.change(func(ch change) error { return c.putNewKey(ch, token, d, c.body) }); err != nil {
		return nil, aliasTaken(err, text(d, "key_alias"))
	}
	return c.generated(token, d, c.body), nil
}
