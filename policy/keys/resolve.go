package keys

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/sluicegw/sluice/policy/store"
)

// key makes the key of a document; nil for one that is gone. rel is set while everything is loaded.
func (d *Directory) key(o store.Object, rel *relations) *Key {
	if o.Deleted {
		return nil
	}
	if o.Kind == KindOldKey {
		return d.oldKey(o, rel)
	}
	r, a := decode(o.Doc)
	k := &Key{
		Hash: o.ID, Name: r.KeyName, Alias: r.KeyAlias, Models: r.Models,
		TeamID: r.TeamID, UserID: r.UserID, OrganizationID: r.OrganizationID,
		Aliases: r.Aliases, AllowedRoutes: r.AllowedRoutes, Metadata: json.RawMessage(r.Metadata), Permissions: json.RawMessage(r.Permissions),
		Tags: a.Tags, Guardrails: a.Guardrails, CustomerBudget: a.EndUsers, Expires: r.Expires.time(), Blocked: r.Blocked,
		Scope: r.scope(&a, d.budget(r.BudgetID)),
	}
	if rel != nil {
		k.Models, k.Tags, k.AllowedRoutes = rel.list(k.Models), rel.list(k.Tags), rel.list(k.AllowedRoutes)
		k.Metadata, k.Permissions = within(o.Doc, k.Metadata), within(o.Doc, k.Permissions)
	}
	d.relate(k, rel)
	return k
}

// oldKey is the key that replaced another, as long as the old token is to work.
func (d *Directory) oldKey(o store.Object, rel *relations) *Key {
	r, _ := decode(o.Doc)
	if !r.RevokeAt.time().After(time.Now()) {
		return nil
	}
	active, ok := d.Get(KindKey, r.Active)
	if !ok {
		return nil
	}
	k := d.key(active, rel)
	if k != nil && (k.Expires.IsZero() || k.Expires.After(r.RevokeAt.time())) {
		k.Expires = r.RevokeAt.time()
	}
	return k
}

func (d *Directory) budget(id string) *row {
	if id == "" {
		return nil
	}
	o, ok := d.Get(KindBudget, id)
	if !ok {
		return nil
	}
	r, _ := decode(o.Doc)
	return &r
}

func (d *Directory) team(o store.Object) *Team {
	if o.Deleted {
		return nil
	}
	r, a := decode(o.Doc)
	t := &Team{
		ID: o.ID, Alias: r.TeamAlias, Models: r.Models, Aliases: r.ModelAliases, Blocked: r.Blocked, Metadata: json.RawMessage(r.Metadata),
		Tags: a.Tags, Guardrails: a.Guardrails, Roles: map[string]string{},
		Scope: r.scope(&a, d.budget(r.BudgetID)), MemberBudget: a.MemberBudget,
	}
	for _, m := range r.MembersWithRoles {
		if m.UserID != "" {
			t.Roles[m.UserID] = m.Role
		}
	}
	return t
}

func (d *Directory) user(o store.Object) *User {
	if o.Deleted {
		return nil
	}
	r, a := decode(o.Doc)
	return &User{
		ID: o.ID, Email: r.UserEmail, Alias: r.UserAlias, Role: Role(r.UserRole), Models: r.Models, Teams: r.Teams,
		Metadata: json.RawMessage(r.Metadata), Scope: r.scope(&a, d.budget(r.BudgetID)),
	}
}

func (d *Directory) member(o store.Object) *Member {
	if o.Deleted {
		return nil
	}
	team, user, _ := strings.Cut(o.ID, "\x1f")
	r, a := decode(o.Doc)
	id := r.BudgetID
	if id == "" { // the team's budget for those without one of their own
		if t, ok := d.Get(KindTeam, team); ok {
			_, about := decode(t.Doc)
			id = about.MemberBudget
		}
	}
	b := d.budget(id)
	m := &Member{TeamID: team, UserID: user, Scope: r.scope(&a, b)}
	if b != nil {
		m.Models = b.AllowedModels
	}
	return m
}

func (d *Directory) customer(o store.Object) *Customer {
	if o.Deleted {
		return nil
	}
	r, a := decode(o.Doc)
	own := d.budget(r.BudgetID)
	return &Customer{
		ID: o.ID, Alias: r.Alias, Blocked: r.Blocked, DefaultModel: r.DefaultModel, Region: r.Region,
		Scope: r.scope(&a, own), limited: own != nil,
	}
}

// ByHash is the key of a token's sha256 sum in hex, or nil.
func (d *Directory) ByHash(hash string) *Key {
	s, ok := sumOf(hash)
	if !ok {
		return nil
	}
	return d.keys.get(s)
}

// Team, User, Member and Customer are what has that id now, or nil.
func (d *Directory) Team(id string) *Team { return d.teams.get(id).get() }

// User is the user of an id, or nil.
func (d *Directory) User(id string) *User { return d.users.get(id).get() }

// Member is a user's membership in a team, or nil.
func (d *Directory) Member(team, user string) *Member {
	return d.members.get(MemberID(team, user)).get()
}

// Customer is the end user of an id, or nil: most end users are not registered.
func (d *Directory) Customer(id string) *Customer { return d.customers.get(id) }

// CustomerOr is the end user of an id, with the limits of a budget object if it has none of its own, registered or
// not. Without such a budget it is [Directory.Customer].
func (d *Directory) CustomerOr(id, budget string) *Customer {
	c := d.Customer(id)
	if id == "" || budget == "" || c != nil && c.limited {
		return c
	}
	s := d.standard(budget)
	if s == nil {
		return c
	}
	out := Customer{ID: id}
	if c != nil {
		out = *c
	}
	out.Limits, out.Budget, out.ModelBudgets = s.Limits, s.Budget, s.ModelBudgets
	return &out
}

// standard is what a budget object says, read once for each change of anything; nil: there is none.
func (d *Directory) standard(id string) *Scope {
	at := d.changed.Load()
	if s := d.standards.get(id); s != nil && s.at == at {
		return s.scope
	}
	d.writing.Lock()
	defer d.writing.Unlock()
	s := &standard{at: d.changed.Load()}
	if b := d.budget(id); b != nil {
		scope := new(row).scope(new(about), b)
		s.scope = &scope
	}
	d.standards.set(id, s)
	return s.scope
}

type standard struct {
	at    int64 // of [Directory.Changes]
	scope *Scope
}

// Get is a document as it is stored.
func (d *Directory) Get(kind, id string) (store.Object, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	o, ok := d.docs[kind][id]
	return o, ok
}

// List is all documents of a kind, in no order.
func (d *Directory) List(kind string) []store.Object {
	d.mu.RLock()
	defer d.mu.RUnlock()
	out := make([]store.Object, 0, len(d.docs[kind]))
	for _, o := range d.docs[kind] {
		out = append(out, o)
	}
	return out
}
