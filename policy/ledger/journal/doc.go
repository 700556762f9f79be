// Package journal keeps what calls owe until a database has it: an append-only file on the local disk.
//
// A call's intent is appended before it is sent to a provider, its settlement before its client has the last
// byte, and a settlement is forgotten once it was flushed to a database. What is left when the process starts
// again is given back by [Open]: settlements to flush, and intents whose calls nobody ended.
//
// Each append is one write(2), unbuffered: what was appended survives a killed process. Memory mapping would
// save a microsecond, but a full disk would then be a SIGBUS in the middle of a call instead of an error at its
// start. A group fsync every few milliseconds bounds what a lost machine loses.
//
// A full disk refuses intents and never settlements: each segment's blocks are reserved when it is made, with
// room at its end for the calls that are under way.
//
// What the entries mean is others' business.
package journal
