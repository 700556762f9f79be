// Package spend keeps the books: it takes one call's money from its reservation to its rows in the ledger.
//
// [Book.Open] holds what a call may cost on all its budgets and writes the intent into the journal, before
// anything is sent; [Entry.Settle] writes what it did cost, before the client has the last byte. A flusher takes
// what is settled from the journal to the database, in batches, by one writer; while the database is away the
// journal keeps it. After a crash, calls that nobody ended are settled at what they held and marked as orphaned.
// A reconciler compares counters with the ledger and puts them right.
//
// It joins packages budget, journal and ledger, which know nothing of each other. It leaves alone what a call
// costs.
package spend
