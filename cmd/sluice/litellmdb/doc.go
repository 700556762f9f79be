// Package litellmdb reads LiteLLM's own PostgreSQL database into the documents that sluice keeps.
//
// Keys come by their hashes, so every token goes on working; teams, members, users, customers and budgets with what
// they have spent so far; models with their parameters opened by LITELLM_SALT_KEY. Rows are read as JSON by their
// columns' names, so that databases of older and newer versions of LiteLLM serve alike. Everything is read in one
// transaction that changes nothing.
//
// It does not write: the caller stores what comes out, and says what was left behind.
package litellmdb
