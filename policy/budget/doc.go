// Package budget answers one question: may this call spend that much?
//
// A call asks for its [Limit]s, one for each scope that it belongs to (everybody, its team, its key, its tags …),
// and gets a [Hold] on all of them at once or on none. What it holds counts as spent until it is settled with
// what the call did cost, so that no number of calls at once can spend more than a budget has. Where a scope has
// less room than asked, but enough to be useful, the hold is for that less, and the caller makes the call smaller.
//
// Budgets begin anew at the boundaries of their [Window], which follow the calendar. A call counts in the window
// in which it began. Counters are caches: what was spent before is asked of a [Loader], which sums the ledger.
//
// It leaves alone what a call costs, and where its costs are written down.
package budget
