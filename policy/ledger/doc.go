// Package ledger answers one question: what was spent, by whom, on what?
//
// It has one [Row] for each attempt that reached a provider, and writes rows in batches, in one transaction with
// the totals of the days that they belong to. A row has an id of its own, so that writing it twice is harmless,
// and only rows that were really written count in the totals. Sums over whole days come from the totals, parts of
// days from the rows: see [Ledger.Sum].
//
// Amounts are in billionths of a dollar, times in microseconds since 1970; days are UTC's.
//
// It leaves alone what a call costs, who may spend, and what waits to be written (package journal).
package ledger
