package keys

import (
	"encoding/json"
	"sync/atomic"
	"time"

	"github.com/sluicegw/sluice/internal/money"
)

// Role is what a caller may do besides calling models
// (https://docs.litellm.ai/docs/proxy/access_control).
type Role string

// The roles of LiteLLM that are in use.
const (
	Admin          Role = "proxy_admin"
	AdminViewer    Role = "proxy_admin_viewer"
	InternalUser   Role = "internal_user"
	InternalViewer Role = "internal_user_viewer"
)

// Kinds of documents in the store, as [Directory] reads them.
const (
	KindKey      = "key"      // id: the token's hash
	KindOldKey   = "oldkey"   // id: the hash of a token that was replaced, and works until its grace is over
	KindTeam     = "team"     // id: team_id
	KindMember   = "member"   // id: see MemberID
	KindUser     = "user"     // id: user_id
	KindCustomer = "customer" // id: user_id, as calls have it in `user`
	KindBudget   = "budget"   // id: budget_id
	KindModel    = "model"    // id: model_id
)

// MemberID is the id of a user's membership in a team.
func MemberID(team, user string) string { return team + "\x1f" + user }

// Budget is what a scope may spend. The zero Budget has no limit.
type Budget struct {
	Max, Soft *money.Amount // nil: no limit
	Duration  string        // of one window, as LiteLLM writes it: "30d"; empty: the budget is for all time
	ResetAt   time.Time     // when the window that the database knows of ends; zero: it does not
}

// ModelBudget is what a scope may spend on one model.
type ModelBudget struct {
	Max      money.Amount
	Duration string // of one window: "1d"; empty: for all time
}

// Limits are rates of a scope; nil: no limit, 0: nothing is let through.
type Limits struct {
	TPM, RPM, Parallel *int64
	ModelTPM, ModelRPM map[string]int64 // by model group
}

// Scope is what keys, teams, users, members and customers have in common.
type Scope struct {
	Limits       Limits
	Budget       Budget
	ModelBudgets map[string]ModelBudget // by model group
	// Spent is what was spent before the ledger began: imported, or set by an administrator.
	Spent money.Amount
}

// Team is a team as calls of its keys see it. It is immutable.
type Team struct {
	ID, Alias  string
	Models     []string // empty: all
	Aliases    map[string]string
	Blocked    bool
	Metadata   json.RawMessage
	Tags       []string
	Guardrails []string
	Roles      map[string]string // user_id → "admin" or "user"
	Scope
	// MemberBudget is the budget_id of members that have none of their own; empty: none.
	MemberBudget string
}

// User is an internal user: somebody who owns keys. It is immutable.
type User struct {
	ID, Email, Alias string
	Role             Role
	Models           []string
	Teams            []string
	Metadata         json.RawMessage
	Scope
}

// Member is a user within a team. It is immutable.
type Member struct {
	TeamID, UserID string
	Models         []string // empty: the team's
	Scope
}

// Customer is an end user: who a call is made for, by `user` in its body. It is immutable.
type Customer struct {
	ID, Alias    string
	Blocked      bool
	DefaultModel string
	Region       string // "eu" or "us"; empty: any
	Scope
	limited bool // by a budget object of its own
}

// Key is who makes a call. It is immutable and shared by all calls of the key; what it belongs to may change
// beside it, so a call that asks more than once keeps what it was told.
type Key struct {
	Hash  string // sha256 of the token in hex, or [MasterHash]; empty without keys
	Name  string // key_name: "sk-...last4"; empty without keys
	Alias string // key_alias; may be empty
	Role  Role   // empty: the user's, see [Key.RoleInEffect]

	// Models are what the key may use: group names, patterns such as "openai/*", access groups, or LiteLLM's
	// special names ("all-proxy-models", "all-team-models"). Empty: everything.
	Models []string

	TeamID, UserID, OrganizationID string
	Aliases                        map[string]string // model names that stand for others
	AllowedRoutes                  []string          // paths, patterns and LiteLLM's names of groups; empty: all
	Metadata                       json.RawMessage   // an object, or nil
	Permissions                    json.RawMessage   // an object, or nil
	Tags, Guardrails               []string
	CustomerBudget                 string    // the budget_id of end users that have none of their own; empty: the configuration's
	Expires                        time.Time // zero: never
	Blocked                        bool
	Scope

	team   *cell[Team]
	user   *cell[User]
	member *cell[Member]
}

// cell is a place whose content is replaced as a whole.
type cell[T any] struct{ p atomic.Pointer[T] }

func (c *cell[T]) get() *T {
	if c == nil {
		return nil
	}
	return c.p.Load()
}

// Team is the key's team as it is now; nil: it has none.
func (k *Key) Team() *Team { return k.team.get() }

// User is the key's user as it is now; nil: it has none, or an id that was never registered.
func (k *Key) User() *User { return k.user.get() }

// Member is the key's user within the key's team, as it is now; nil: there is no membership.
func (k *Key) Member() *Member { return k.member.get() }

// With is the key with other relations, for whoever has no [Directory]: tests, above all. nil: none.
func (k Key) With(team *Team, user *User, member *Member) *Key {
	k.team, k.user, k.member = new(cell[Team]), new(cell[User]), new(cell[Member])
	k.team.p.Store(team)
	k.user.p.Store(user)
	k.member.p.Store(member)
	return &k
}

// RoleInEffect is the key's own role, else its user's. A key without a user has none ("").
func (k *Key) RoleInEffect() Role {
	if k.Role != "" {
		return k.Role
	}
	u := k.User()
	switch {
	case u == nil:
		return ""
	case u.Role == Admin, u.Role == AdminViewer, u.Role == InternalViewer:
		return u.Role
	}
	return InternalUser
}

// IsAdmin reports whether the key may do everything.
func (k *Key) IsAdmin() bool { return k.RoleInEffect() == Admin }

// Expired tells whether the key is over at a time.
func (k *Key) Expired(now time.Time) bool { return !k.Expires.IsZero() && k.Expires.Before(now) }

// Permits tells whether a permission is set to true, such as "allow_mock".
func (k *Key) Permits(name string) bool {
	if len(k.Permissions) == 0 {
		return k.IsAdmin()
	}
	var all map[string]json.RawMessage
	if json.Unmarshal(k.Permissions, &all) != nil {
		return false
	}
	return string(all[name]) == "true" || k.IsAdmin()
}

// ModelFor is the model that a name stands for: the team's aliases first, then the key's.
func (k *Key) ModelFor(name string) string {
	if t := k.Team(); t != nil {
		if to := t.Aliases[name]; to != "" {
			name = to
		}
	}
	if to := k.Aliases[name]; to != "" {
		name = to
	}
	return name
}
