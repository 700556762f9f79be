package keys

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicegw/sluice/policy/store"
)

// sum is a token's sha256.
type sum [sha256.Size]byte

// Directory holds every key, team, user, member, customer and budget in memory. [Directory.Apply] brings
// changes in; calls look up without locks. It is safe for concurrent use.
type Directory struct {
	keys      table[sum, Key]
	teams     table[string, cell[Team]]
	users     table[string, cell[User]]
	members   table[string, cell[Member]]
	customers table[string, Customer]
	standards table[string, standard] // budgets of customers without one, as they were read last

	writing sync.Mutex
	mu      sync.RWMutex // guards docs
	docs    map[string]map[string]store.Object
	loaded  atomic.Bool
	changed atomic.Int64 // counts changes, for caches of what is made from documents
	// Trouble says why the store cannot be asked, if it cannot; nil: it always can.
	trouble func() error
}

// NewDirectory makes an empty directory. trouble says why the store cannot be asked at the moment, or nil; then
// an unknown token may be one that this process has not heard of.
func NewDirectory(trouble func() error) *Directory {
	return &Directory{docs: map[string]map[string]store.Object{}, trouble: trouble}
}

// Loaded tells whether the store has been read.
func (d *Directory) Loaded() bool { return d.loaded.Load() }

// Changes counts what has been applied.
func (d *Directory) Changes() int64 { return d.changed.Load() }

// Apply takes in changed documents, or, as the whole, all there are. An older version of a document than the one
// here changes nothing.
func (d *Directory) Apply(changed []store.Object, whole bool) {
	d.writing.Lock()
	defer d.writing.Unlock()
	switch {
	case whole:
		d.load(changed)
	case len(changed) > many:
		for _, o := range changed {
			d.remember(o)
		}
		d.load(d.everything())
	default:
		for _, o := range changed {
			if d.remember(o) {
				d.applyOne(o)
			}
		}
	}
	d.changed.Add(1)
	d.loaded.Store(true)
}

// many changes at once, as of an import, are taken in like a start: that costs as much as some thousands one by one.
const many = 5000

func (d *Directory) everything() []store.Object {
	d.mu.RLock()
	defer d.mu.RUnlock()
	var all []store.Object
	for _, docs := range d.docs {
		for _, o := range docs {
			all = append(all, o)
		}
	}
	return all
}

// remember keeps the document, unless a newer one is here.
func (d *Directory) remember(o store.Object) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	docs := d.docs[o.Kind]
	if docs == nil {
		docs = map[string]store.Object{}
		d.docs[o.Kind] = docs
	}
	if before, ok := docs[o.ID]; ok && before.Version > o.Version {
		return false
	}
	if o.Deleted {
		delete(docs, o.ID)
	} else {
		docs[o.ID] = o
	}
	return true
}

// load replaces everything. Keys are many, so their documents are read on all processors, and nothing is put into
// the tables one by one.
func (d *Directory) load(all []store.Object) {
	docs := map[string]map[string]store.Object{}
	var p packer
	for _, o := range all {
		if o.Deleted {
			continue
		}
		o = p.pack(o)
		if docs[o.Kind] == nil {
			docs[o.Kind] = map[string]store.Object{}
		}
		docs[o.Kind][o.ID] = o
	}
	d.mu.Lock()
	d.docs = docs
	d.mu.Unlock()
	rel := &relations{teams: d.teams.all(), users: d.users.all(), members: d.members.all(), lists: map[string][]string{}}
	fill(rel.teams, docs[KindTeam], d.team)
	fill(rel.users, docs[KindUser], d.user)
	fill(rel.members, docs[KindMember], d.member)
	customers := make(map[string]*Customer, len(docs[KindCustomer]))
	for id, o := range docs[KindCustomer] {
		customers[id] = d.customer(o)
	}
	read := d.readKeys(docs, rel)
	d.teams.replace(rel.teams)
	d.users.replace(rel.users)
	d.members.replace(rel.members)
	d.customers.replace(customers)
	d.keys.replace(read)
}

// fill gives every cell what the documents say. Cells stay the same places: calls hold keys that point to them.
func fill[T any](cells map[string]*cell[T], docs map[string]store.Object, read func(store.Object) *T) {
	for id, c := range cells {
		if _, ok := docs[id]; !ok {
			c.p.Store(nil)
		}
	}
	for id, o := range docs {
		if cells[id] == nil {
			cells[id] = new(cell[T])
		}
		cells[id].p.Store(read(o))
	}
}

// relations finds the cells of what keys belong to, while everything is loaded.
type relations struct {
	sync.Mutex
	teams   map[string]*cell[Team]
	users   map[string]*cell[User]
	members map[string]*cell[Member]
	lists   map[string][]string
}

// list is the list, or an earlier one that says the same: a hundred thousand keys have a few lists between them, which
// nobody changes.
func (rel *relations) list(l []string) []string {
	if len(l) == 0 {
		return l
	}
	name := strings.Join(l, "\x00")
	rel.Lock()
	defer rel.Unlock()
	if same, ok := rel.lists[name]; ok {
		return same
	}
	rel.lists[name] = l
	return l
}

func (d *Directory) readKeys(docs map[string]map[string]store.Object, rel *relations) map[sum]*Key {
	all := make([]store.Object, 0, len(docs[KindKey])+len(docs[KindOldKey]))
	for _, kind := range []string{KindKey, KindOldKey} {
		for _, o := range docs[kind] {
			all = append(all, o)
		}
	}
	read := make([]*Key, len(all))
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(all); i += workers {
				read[i] = d.key(all[i], rel)
			}
		})
	}
	wg.Wait()
	out := make(map[sum]*Key, len(all))
	for i, o := range all {
		if s, ok := sumOf(o.ID); ok && read[i] != nil {
			out[s] = read[i]
		}
	}
	return out
}

func sumOf(hash string) (sum, bool) {
	var s sum
	if len(hash) != hex.EncodedLen(len(s)) {
		return s, false
	}
	_, err := hex.Decode(s[:], []byte(hash))
	return s, err == nil
}

// applyOne makes what calls see of one document.
func (d *Directory) applyOne(o store.Object) {
	switch o.Kind {
	case KindKey, KindOldKey:
		if s, ok := sumOf(o.ID); ok {
			d.keys.set(s, d.key(o, nil))
		}
		if o.Kind == KindKey {
			d.redirect(o.ID)
		}
	case KindTeam:
		place(&d.teams, o.ID).p.Store(d.team(o))
	case KindUser:
		place(&d.users, o.ID).p.Store(d.user(o))
	case KindMember:
		place(&d.members, o.ID).p.Store(d.member(o))
	case KindCustomer:
		d.customers.set(o.ID, d.customer(o))
	case KindBudget:
		d.useBudget(o.ID)
	}
}

// redirect renews the keys whose grace ends in the key that changed.
func (d *Directory) redirect(hash string) {
	for _, o := range d.List(KindOldKey) {
		if r, _ := decode(o.Doc); r.Active == hash {
			if s, ok := sumOf(o.ID); ok {
				d.keys.set(s, d.key(o, nil))
			}
		}
	}
}

// useBudget renews everything that names a budget.
func (d *Directory) useBudget(id string) {
	for _, kind := range []string{KindKey, KindOldKey, KindTeam, KindUser, KindMember, KindCustomer} {
		for _, o := range d.List(kind) {
			if kind != KindOldKey && kind != KindMember && !bytes.Contains(o.Doc, []byte(id)) {
				continue // most of a hundred thousand: not worth decoding
			}
			r, a := decode(o.Doc)
			if r.BudgetID == id || a.MemberBudget == id || kind == KindOldKey || kind == KindMember && r.BudgetID == "" {
				d.applyOne(o)
			}
		}
	}
}

// Refresh renews what depends on the clock: raised budgets whose time is over, and old keys. Call it now and
// then.
func (d *Directory) Refresh() {
	d.writing.Lock()
	defer d.writing.Unlock()
	d.standards.replace(nil)
	for _, kind := range []string{KindKey, KindMember, KindOldKey} {
		for _, o := range d.List(kind) {
			if kind == KindKey && !bytes.Contains(o.Doc, []byte("temp_budget_increase")) {
				continue
			}
			r, a := decode(o.Doc)
			if a.TempIncrease != nil || r.RevokeAt.time().Before(time.Now()) && kind == KindOldKey || kind == KindMember && r.BudgetID != "" {
				d.applyOne(o)
			}
		}
	}
}

// place is the cell of an id, made if it is new: who belongs to it may come before it.
func place[T any](t *table[string, cell[T]], id string) *cell[T] {
	c := t.get(id)
	if c == nil {
		c = new(cell[T])
		t.set(id, c)
	}
	return c
}

// placeIn is place while everything is loaded.
func placeIn[T any](m map[string]*cell[T], id string) *cell[T] {
	c := m[id]
	if c == nil {
		c = new(cell[T])
		m[id] = c
	}
	return c
}

// relate points a key to what it belongs to.
func (d *Directory) relate(k *Key, rel *relations) {
	both := k.TeamID != "" && k.UserID != ""
	if rel == nil {
		if k.TeamID != "" {
			k.team = place(&d.teams, k.TeamID)
		}
		if k.UserID != "" {
			k.user = place(&d.users, k.UserID)
		}
		if both {
			k.member = place(&d.members, MemberID(k.TeamID, k.UserID))
		}
		return
	}
	rel.Lock()
	defer rel.Unlock()
	if k.TeamID != "" {
		k.team = placeIn(rel.teams, k.TeamID)
	}
	if k.UserID != "" {
		k.user = placeIn(rel.users, k.UserID)
	}
	if both {
		k.member = placeIn(rel.members, MemberID(k.TeamID, k.UserID))
	}
}
