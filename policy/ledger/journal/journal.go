package journal

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// ID is a call's, chosen by the caller, never used twice.
type ID [16]byte

// Options of a journal.
type Options struct {
	// Dir holds one folder for each process that keeps a journal there at the same time.
	Dir string
	// SegmentBytes is when the next file is begun; 0: 16 MiB.
	SegmentBytes int64
	// SyncEvery is the time between appending and fsync; 0: 5 ms; below 0: never.
	SyncEvery time.Duration
	// MaxPending is how many settlements may wait for [Journal.Flushed] before intents are refused; 0: a million.
	MaxPending int
	Log        *slog.Logger
}

// Entry is what was left of a call.
type Entry struct {
	ID ID
	// Intent is nil if only the settlement is left.
	Intent []byte
	// Settled is nil if nobody ended the call.
	Settled []byte
}

// ErrFull is wrapped by the errors of intents that were refused because there is no room: on the disk, or for
// more settlements that no database takes.
var ErrFull = errors.New("the spend journal is full")

// ErrClosed is wrapped by the errors of appends after [Journal.Close].
var ErrClosed = errors.New("the spend journal is closed")

const (
	defaultSegment = 16 << 20
	defaultSync    = 5 * time.Millisecond
	defaultPending = 1_000_000
	// maxPayload bounds an entry: many tags and long names fit.
	maxPayload = 1 << 20
	// retryFull is how often a full disk is tried again.
	retryFull = time.Second
)

// Journal is safe for concurrent use.
type Journal struct {
	o Options

	mu      sync.Mutex
	own     *chain
	adopted []*chain     // of processes that are gone, until all of theirs is flushed
	live    map[ID]*item // what has not been flushed
	pending queue        // settled, oldest first
	buf     []byte
	full    time.Time // when the disk last had no room; zero: it has
	failure error     // of the disk: intents are refused while it lasts
	closed  bool

	dirty   chan struct{}
	stop    chan struct{}
	stopped chan struct{}
	syncs   atomic.Int64
}

// item is where a call's records are.
type item struct {
	intent, settled place
	taken           bool // being flushed
}

// place is a payload in a file; a nil segment: there is none.
type place struct {
	in  *segment
	off int64
	len int
}

// Open takes the first free folder under o.Dir, and adopts those that processes left behind. Entries are in
// the order in which they were appended.
func Open(o Options) (*Journal, []Entry, error) {
	o.SegmentBytes = cmp.Or(o.SegmentBytes, defaultSegment)
	o.SyncEvery = cmp.Or(o.SyncEvery, defaultSync)
	o.MaxPending = cmp.Or(o.MaxPending, defaultPending)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	j := &Journal{
		o: o, live: map[ID]*item{},
		dirty: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	entries, err := j.adopt()
	if err == nil {
		err = j.next()
	}
	if err != nil {
		j.release()
		return nil, nil, fmt.Errorf("spend journal in %s: %w", o.Dir, err)
	}
	go j.syncer()
	return j, entries, nil
}

// Intent appends what a call may cost. After an error the call must not be made.
func (j *Journal) Intent(id ID, payload []byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.room(); err != nil {
		return err
	}
	at, err := j.append(kindIntent, id, payload)
	if err != nil {
		return err
	}
	at.in.live++
	j.live[id] = &item{intent: at}
	return nil
}

// Settle appends what a call did cost; it stays until it is [Journal.Flushed]. An empty payload says that the
// call cost nothing worth keeping. Settling what is not known, or is settled already, is an error.
func (j *Journal) Settle(id ID, payload []byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return ErrClosed
	}
	it := j.live[id]
	if it == nil || it.settled.in != nil {
		return errors.New("the call is settled already, or never began")
	}
	at, err := j.append(kindSettle, id, payload)
	if err != nil {
		return err
	}
	it.settled = at
	at.in.live++
	if len(payload) == 0 {
		j.forget(id)
		return nil
	}
	j.pending.push(id)
	return nil
}

// Pending gives up to n settlements for flushing, oldest first, and keeps them from being given again until
// [Journal.Flushed] or [Journal.Return].
func (j *Journal) Pending(n int) ([]Entry, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []Entry
	var near window
	for len(out) < n {
		id, ok := j.pending.pop()
		if !ok {
			break
		}
		it := j.live[id]
		if it == nil {
			continue
		}
		payload, err := near.read(it.settled)
		if err != nil {
			j.pending.push(id)
			return out, err
		}
		it.taken = true
		out = append(out, Entry{ID: id, Settled: payload})
	}
	return out, nil
}

// Return puts entries back that could not be flushed.
func (j *Journal) Return(entries []Entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.pending.unshift(j.givenBack(entries))
}

// Postpone puts entries back, behind all others.
func (j *Journal) Postpone(entries []Entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, id := range j.givenBack(entries) {
		j.pending.push(id)
	}
}

func (j *Journal) givenBack(entries []Entry) []ID {
	ids := make([]ID, 0, len(entries))
	for _, e := range entries {
		if it := j.live[e.ID]; it != nil && it.taken {
			it.taken = false
			ids = append(ids, e.ID)
		}
	}
	return ids
}

// Flushed forgets entries that a database has, and removes the files that nothing is left in.
func (j *Journal) Flushed(entries []Entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range entries {
		j.forget(e.ID)
	}
	j.sweep()
}

// Unflushed calls f with every settlement that was not flushed, those being flushed among them. The caller sees to it
// that nobody calls [Journal.Flushed] meanwhile. Calls go on: after an outage of the database there may be a million.
func (j *Journal) Unflushed(f func(payload []byte)) error {
	for _, p := range j.unflushed() {
		payload, err := p.read()
		if err != nil {
			return err
		}
		f(payload)
	}
	return nil
}

func (j *Journal) unflushed() []place {
	j.mu.Lock()
	defer j.mu.Unlock()
	all := make([]place, 0, len(j.live))
	for _, it := range j.live {
		if it.settled.in != nil {
			all = append(all, it.settled)
		}
	}
	return all
}

// State is what the journal holds.
type State struct {
	Live    int // calls under way, or settled and not flushed
	Pending int // settled and not flushed
	Files   int
	Bytes   int64
	Err     error // why intents are refused; nil: they are not
}

// State tells what the journal holds.
func (j *Journal) State() State {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := State{Live: len(j.live), Pending: j.pending.len(), Err: j.failure}
	for _, it := range j.live {
		if it.taken {
			s.Pending++
		}
		if s.Live > 10_000 {
			break // taken ones are few, and this is for a person
		}
	}
	for _, c := range append([]*chain{j.own}, j.adopted...) {
		s.Files += len(c.segments)
		for _, seg := range c.segments {
			s.Bytes += seg.size
		}
	}
	return s
}

// forget drops an item; the caller holds the lock.
func (j *Journal) forget(id ID) {
	it := j.live[id]
	if it == nil {
		return
	}
	for _, p := range [...]place{it.intent, it.settled} {
		if p.in != nil {
			p.in.live--
		}
	}
	delete(j.live, id)
}

// Close syncs and lets go of the folder. Nothing is lost by not calling it.
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil
	}
	j.closed = true
	j.sweep()
	j.mu.Unlock()
	close(j.stop)
	<-j.stopped
	err := j.Sync()
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.live) == 0 {
		for _, seg := range j.own.segments { // all is in the database
			seg.remove()
		}
	}
	j.release()
	return err
}

// release closes all files; the caller holds the lock, or is alone.
func (j *Journal) release() {
	chains := j.adopted
	if j.own != nil {
		chains = append(chains, j.own)
	}
	for _, c := range chains {
		c.close()
	}
}

// current is the segment that is appended to.
func (j *Journal) current() *segment {
	if n := len(j.own.segments); n > 0 {
		return j.own.segments[n-1]
	}
	return nil
}

// Sync makes what was appended survive a lost machine.
func (j *Journal) Sync() error {
	j.mu.Lock()
	seg := j.current()
	j.mu.Unlock()
	if seg == nil {
		return nil
	}
	j.syncs.Add(1)
	if err := datasync(seg.file); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("spend journal: %w", err)
	}
	return nil
}

// syncer runs a group fsync after appends. A disk that fails it is treated as one that is full.
func (j *Journal) syncer() {
	defer close(j.stopped)
	for {
		select {
		case <-j.stop:
			return
		case <-j.dirty:
		}
		if j.o.SyncEvery < 0 {
			continue
		}
		time.Sleep(j.o.SyncEvery)
		if err := j.Sync(); err != nil {
			j.mu.Lock()
			j.failed(err)
			j.mu.Unlock()
		}
	}
}
