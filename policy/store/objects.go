package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Object is a document that an administrator made.
type Object struct {
	Kind, ID string
	Version  int64  // of the change that wrote it; a higher one is newer
	Deleted  bool   // it is gone; the Doc is empty
	Unique   string // another name that no other object of the kind has; empty: none
	Doc      json.RawMessage
}

// Objects are all documents of a database.
type Objects struct{ db *DB }

// Objects gives the documents of the database.
func (db *DB) Objects() *Objects { return &Objects{db} }

// ErrTaken is a write whose Unique name another object of the kind has.
var ErrTaken = errors.New("another object has this name")

// Change is a change of any number of objects that happens as a whole. It is valid during Change's call.
type Change struct {
	ctx     context.Context
	tx      *sql.Tx
	version int64
	now     int64
}

// channel is PostgreSQL's NOTIFY channel.
const channel = "sluice_changes"

// Change runs f and commits what it wrote, all or nothing; no other change is under way meanwhile, on any
// replica, so what f reads stays true until the commit. f may run several times. The version that comes back
// is what [Objects.Follow]'s apply will have seen once the change is known here.
func (o *Objects) Change(ctx context.Context, f func(*Change) error) (version int64, err error) {
	err = o.db.Tx(ctx, func(tx *sql.Tx) error {
		c := &Change{ctx: ctx, tx: tx, now: time.Now().UnixMicro()}
		if err := tx.QueryRowContext(ctx, "UPDATE sluice_sequence SET last = last + 1 WHERE one = 1 RETURNING last").Scan(&c.version); err != nil {
			return err
		}
		version = c.version
		if err := f(c); err != nil {
			return err
		}
		if o.db.Postgres() { // delivered with the commit
			_, err := tx.ExecContext(ctx, "SELECT pg_notify($1, $2)", channel, fmt.Sprint(c.version))
			return err
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return version, nil
}

// Tx is the transaction of the change, for tables of other packages.
func (c *Change) Tx() *sql.Tx { return c.tx }

// Version is the number of this change.
func (c *Change) Version() int64 { return c.version }

// Get reads an object; false: there is none, or none any more.
func (c *Change) Get(kind, id string) (Object, bool, error) {
	out := Object{Kind: kind, ID: id}
	var unique sql.NullString
	var doc string
	err := c.tx.QueryRowContext(c.ctx, "SELECT version, unique_name, doc FROM sluice_objects WHERE kind = $1 AND id = $2 AND deleted = 0",
		kind, id).Scan(&out.Version, &unique, &doc)
	if errors.Is(err, sql.ErrNoRows) {
		return Object{}, false, nil
	}
	out.Unique, out.Doc = unique.String, json.RawMessage(doc)
	return out, err == nil, err
}

// Put writes an object: a new one, or in the place of the one that has its kind and id.
func (c *Change) Put(o Object) error {
	unique := sql.NullString{String: o.Unique, Valid: o.Unique != ""}
	// Asked first: after a failed statement PostgreSQL's transaction takes no other.
	if unique.Valid {
		var id string
		err := c.tx.QueryRowContext(c.ctx, "SELECT id FROM sluice_objects WHERE kind = $1 AND unique_name = $2", o.Kind, o.Unique).Scan(&id)
		if err == nil && id != o.ID {
			return ErrTaken
		}
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
	}
	_, err := c.tx.ExecContext(c.ctx, `INSERT INTO sluice_objects (kind, id, version, deleted, unique_name, doc, changed_at)
		VALUES ($1, $2, $3, 0, $4, $5, $6)
		ON CONFLICT (kind, id) DO UPDATE SET version = excluded.version, deleted = 0, unique_name = excluded.unique_name,
			doc = excluded.doc, changed_at = excluded.changed_at`,
		o.Kind, o.ID, c.version, unique, string(o.Doc), c.now)
	return err
}

// Delete leaves a tombstone. Deleting what is not there does nothing.
func (c *Change) Delete(kind, id string) error {
	_, err := c.tx.ExecContext(c.ctx, `UPDATE sluice_objects SET deleted = 1, doc = '', unique_name = NULL, version = $1, changed_at = $2
		WHERE kind = $3 AND id = $4 AND deleted = 0`, c.version, c.now, kind, id)
	return err
}
