package ratelimit

import (
	"strings"
	"time"
)

// Kind is what a limit holds for.
type Kind uint8

// The kinds of scopes. Their names are part of a shared store's keys: add, but never renumber or rename.
const (
	Global       Kind = iota + 1 // the whole gateway
	Organization                 //
	Team                         //
	Member                       // a user within a team; ID: team and user
	User                         //
	Key                          // a virtual key; ID: its hash, never the key
	Customer                     // the end user that a request names
	Tag                          //
	Deployment                   // one provider's endpoint with its credentials
)

var kindNames = [...]string{"none", "global", "organization", "team", "member", "user", "key", "customer", "tag", "deployment"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// Scope is one holder of limits. Two limits of one scope share its counters where Unit and Window are the same.
type Scope struct {
	Kind  Kind
	ID    string // unique within the kind; empty for Global
	Model string // a model group, where the limit is for that model alone; else empty
}

// String is the scope as a shared store's key holds it: kind, id and model, each escaped, between colons.
func (s Scope) String() string {
	text := s.Kind.String() + ":" + escape(s.ID)
	if s.Model != "" {
		text += ":" + escape(s.Model)
	}
	return text
}

// escape keeps one scope from being spelled like another, and out of a Redis key's hash tag.
var escaper = strings.NewReplacer("%", "%25", ":", "%3A", "{", "%7B", "}", "%7D")

func escape(s string) string { return escaper.Replace(s) }

// Unit is what is counted.
type Unit uint8

// The units.
const (
	Requests Unit = iota + 1 // one for each call, in Window
	Tokens                   // the estimate, then what was used, in Window
	Parallel                 // calls under way at the same time
)

// String is LiteLLM's rate_limit_type.
func (u Unit) String() string {
	switch u {
	case Requests:
		return "requests"
	case Tokens:
		return "tokens"
	case Parallel:
		return "max_parallel_requests"
	}
	return "unknown"
}

// Limit is how much of a unit a scope may use.
type Limit struct {
	Scope  Scope
	Unit   Unit
	Max    int64         // in a Window, or at once; 0 or less: nothing is let through. Leave out what has no limit.
	Window time.Duration // 0: a minute; without meaning for Parallel
}

func (l *Limit) window() time.Duration {
	if l.Window <= 0 {
		return time.Minute
	}
	return l.Window
}

// cost is what a call of so many tokens takes from the limit. An estimate above the limit itself counts as the
// limit: such a call passes when the window is empty, as otherwise it never could, and is corrected later.
func (l *Limit) cost(tokens int64) int64 {
	if l.Unit == Tokens {
		return min(max(tokens, 0), max(l.Max, 0))
	}
	return 1
}

// sameCounter tells whether two limits are kept by one counter, which a call must not take from twice.
func (l *Limit) sameCounter(o *Limit) bool {
	return l.Unit == o.Unit && (l.Unit == Parallel || l.window() == o.window()) && l.Scope == o.Scope
}
