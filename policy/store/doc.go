// Package store keeps what must outlive the process: in a SQLite file by default, in PostgreSQL where a
// database URL is configured.
//
// [Open] gives a [DB] at once; a PostgreSQL that is down is tried again until it answers, and [DB.Ready]
// tells when the schema is in place. Both databases speak through database/sql, with the same SQL: $1
// placeholders, TEXT, BIGINT and DOUBLE PRECISION columns, times as microseconds since 1970, JSON as TEXT.
//
// What administrators create (keys, teams, users, models …) are [Object]s: JSON documents under a kind and
// an id. Every replica holds all of them in memory, so the database is read at the start and for changes
// only. Each change takes the next number of one sequence, in the order of commits; replicas ask for what
// is newer than the number they have (see [Objects.Follow]). A NOTIFY only says that it is worth asking
// now: one that is late, twice or lost does no harm.
//
// # Own tables
//
// Other packages keep tables of their own here: a file migrations/NNN_name.sql, which runs once, in order,
// in one transaction, on both databases. Where the two need different words, write NNN_name.sqlite.sql and
// NNN_name.postgres.sql with one meaning. Numbers: 0xx are the store's own, 1xx the ledger's. A migration
// that has been released is never edited. Queries go through [DB.SQL], writes that belong together through
// [DB.Tx]; [Change.Tx] joins a change of objects.
//
// It knows nothing of what the documents mean.
package store
