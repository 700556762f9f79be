package ledger

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/sluicegw/sluice/internal/money"
)

// Row is one attempt that reached a provider.
type Row struct {
	ID        string // unique: the call's id and the attempt's number
	RequestID string // the call's id as its client knows it (x-litellm-call-id)
	Attempt   int
	CallType  string // LiteLLM's: acompletion, atext_completion, aembedding

	Key, KeyAlias string // the key's hash
	Team          string
	User          string // the key's user_id
	Customer      string // the request's user: LiteLLM's end_user
	Organization  string
	Session       string
	Tags          []string

	Model      string // as the provider knows it
	Group      string // model_group: as the client asked for it
	Deployment string // model_id
	Provider   string
	APIBase    string

	Prompt, Completion         int64 // tokens
	CachedRead, CacheWrite     int64 // of Prompt
	Reasoning                  int64 // of Completion
	Spend                      money.Amount
	Started, FirstToken, Ended time.Time
	Stream, CacheHit           bool
	Estimated                  bool   // tokens or price are not what the provider reported
	Orphaned                   bool   // the process ended before the call: settled at its reservation
	Status                     int    // HTTP; 0: none came
	Failure                    string // kind of failure; empty: success
}

// Tokens is what the attempt used.
func (r *Row) Tokens() int64 { return r.Prompt + r.Completion }

const rowVersion = 1

// usualLength has room for most rows.
const usualLength = 480

// flags of an encoded row.
const (
	flagStream = 1 << iota
	flagCacheHit
	flagEstimated
	flagOrphaned
)

func (r *Row) texts() [16]*string {
	return [...]*string{&r.ID, &r.RequestID, &r.CallType, &r.Key, &r.KeyAlias, &r.Team, &r.User, &r.Customer, &r.Organization,
		&r.Session, &r.Model, &r.Group, &r.Deployment, &r.Provider, &r.APIBase, &r.Failure}
}

func (r *Row) numbers() [6]*int64 {
	return [...]*int64{&r.Prompt, &r.Completion, &r.CachedRead, &r.CacheWrite, &r.Reasoning, (*int64)(&r.Spend)}
}

func (r *Row) times() [3]*time.Time { return [...]*time.Time{&r.Started, &r.FirstToken, &r.Ended} }

// Append appends the row's binary form, for the journal.
func (r *Row) Append(b []byte) []byte {
	if b == nil {
		b = make([]byte, 0, usualLength)
	}
	b = append(b, rowVersion, r.flags())
	for _, s := range r.texts() {
		b = appendText(b, *s)
	}
	b = binary.AppendUvarint(b, uint64(len(r.Tags)))
	for _, tag := range r.Tags {
		b = appendText(b, tag)
	}
	for _, n := range r.numbers() {
		b = binary.AppendVarint(b, *n)
	}
	for _, t := range r.times() {
		b = binary.AppendVarint(b, micros(*t))
	}
	b = binary.AppendVarint(b, int64(r.Attempt))
	return binary.AppendVarint(b, int64(r.Status))
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func (r *Row) flags() (f byte) {
	if r.Stream {
		f |= flagStream
	}
	if r.CacheHit {
		f |= flagCacheHit
	}
	if r.Estimated {
		f |= flagEstimated
	}
	if r.Orphaned {
		f |= flagOrphaned
	}
	return f
}

var errRow = errors.New("a ledger row in the journal cannot be read")

// ReadRow reads a row that Append wrote, and returns what follows it.
func ReadRow(b []byte) (Row, []byte, error) {
	var r Row
	if len(b) < 2 || b[0] != rowVersion {
		return r, nil, errRow
	}
	f := b[1]
	r.Stream, r.CacheHit, r.Estimated, r.Orphaned = f&flagStream != 0, f&flagCacheHit != 0, f&flagEstimated != 0, f&flagOrphaned != 0
	d := decoder{b: b[2:]}
	for _, s := range r.texts() {
		*s = d.text()
	}
	if n := d.count(); n > 0 {
		r.Tags = make([]string, n)
		for i := range r.Tags {
			r.Tags[i] = d.text()
		}
	}
	for _, n := range r.numbers() {
		*n = d.number()
	}
	for _, t := range r.times() {
		*t = fromMicros(d.number())
	}
	r.Attempt, r.Status = int(d.number()), int(d.number())
	if d.bad {
		return Row{}, nil, errRow
	}
	return r, d.b, nil
}

// decoder reads what was appended; after the first fault everything is zero.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) number() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad, n = true, 0
	}
	d.b = d.b[n:]
	return v
}

// count is a length that what is left can hold.
func (d *decoder) count() int {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > uint64(len(d.b)-n) {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return int(v)
}

func (d *decoder) text() string {
	n := d.count()
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

// micros is a time as it is stored; the zero time is 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

const dayMicros = 24 * 60 * 60 * 1_000_000

// dayOf is the UTC day of a time in microseconds, in days since 1970.
func dayOf(us int64) int64 {
	if us < 0 {
		us -= dayMicros - 1
	}
	return us / dayMicros
}
