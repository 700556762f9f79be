package budget

import (
	"fmt"
	"time"

	"github.com/sluicegw/sluice/internal/money"
)

// Kind is what sort of thing has a budget.
type Kind uint8

// The kinds of scopes.
const (
	Global   Kind = iota // all keys together; the ID is empty
	Team                 // by team_id
	Member               // a user within a team: their ids, parted by \x1f
	User                 // by user_id
	Customer             // an end user, by the request's user
	Key                  // by the key's hash
	Tag                  // by the tag
	KeyModel             // a model group for one key: "hash/group"
	Provider             // by the provider's name
)

var kindNames = [...]string{
	Global: "global", Team: "team", Member: "team_member", User: "user", Customer: "customer", Key: "key", Tag: "tag",
	KeyModel: "key_model", Provider: "provider",
}

// String is the kind's name in events, metrics and the database.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Scope is whose spend is counted.
type Scope struct {
	Kind Kind
	ID   string
}

// Limit is a scope's budget.
type Limit struct {
	Scope  Scope
	Max    money.Amount // below 0: none, the spend is only counted
	Soft   money.Amount // of an event; 0: none
	Window Window
	Name   string // of the scope, for people; empty: its ID
}

// None is the Max of a scope that is only counted.
const None money.Amount = -1

// Exceeded says which budget has no room for a call.
type Exceeded struct {
	Limit Limit
	Spent money.Amount // in the window
	Held  money.Amount // by calls under way
	Reset time.Time    // when the budget begins anew; zero: never
	// Busy: without the calls under way there would be room.
	Busy bool
	// Changed is closed when the scope's spend or holds change. It is nil unless Busy, and for counters that
	// cannot tell.
	Changed <-chan struct{}
}

// Message is LiteLLM's.
func (e *Exceeded) Message() string {
	who := map[Kind]string{Team: "Team=", Member: "TeamMember=", User: "User=", Customer: "Customer=", Key: "Key=", Tag: "Tag=",
		KeyModel: "Model=", Provider: "Provider="}[e.Limit.Scope.Kind]
	if who != "" {
		name := e.Limit.Name
		if name == "" {
			name = e.Limit.Scope.ID
		}
		who += name + " "
	}
	text := fmt.Sprintf("Budget has been exceeded! %sCurrent cost: %s, Max budget: %s", who, e.Spent, e.Limit.Max)
	if e.Held > 0 {
		text += fmt.Sprintf(" (calls under way hold another %s)", e.Held)
	}
	if !e.Reset.IsZero() {
		text += ". It begins anew at " + e.Reset.Format(time.RFC3339)
	}
	return text
}

// Event is a budget crossing a mark, told once per window.
type Event struct {
	Limit Limit
	Mark  Mark
	Spent money.Amount
	Reset time.Time // zero: never
}

// Mark is what a budget's spend has reached.
type Mark string

// The marks.
const (
	SoftReached Mark = "soft_budget"     // soft_budget
	NearlySpent Mark = "threshold_80"    // 80 % of max_budget
	AllSpent    Mark = "budget_exceeded" // 100 % of it
)

// marks are the bits of those that a spend has reached.
func (l *Limit) marks(spent money.Amount) uint8 {
	var bits uint8
	if l.Soft > 0 && spent >= l.Soft {
		bits |= 1
	}
	if l.Max > 0 && spent >= l.Max/5*4 {
		bits |= 2
	}
	if l.Max > 0 && spent >= l.Max {
		bits |= 4
	}
	return bits
}

var markOf = [...]Mark{SoftReached, NearlySpent, AllSpent}
