package journal

import (
	"errors"
	"fmt"
	"time"
)

// room decides whether one more call may begin; the caller holds the lock.
func (j *Journal) room() error {
	switch {
	case j.closed:
		return ErrClosed
	case j.pending.len() >= j.o.MaxPending:
		return fmt.Errorf("%w: %d settled calls wait for the database", ErrFull, j.pending.len())
	case j.failure != nil && time.Since(j.full) < retryFull:
		return j.failure
	}
	if j.failure == nil && j.current().size < j.o.SegmentBytes {
		return nil
	}
	if err := j.rotate(); err != nil {
		return j.failed(err)
	}
	if j.failure != nil {
		j.o.Log.Info("the spend journal has room again")
		j.failure = nil
	}
	return nil
}

// failed notes that the disk takes no more, and says so once.
func (j *Journal) failed(err error) error {
	j.full = time.Now()
	if j.failure == nil {
		j.o.Log.Error("the spend journal cannot be written: calls are refused until it can", "dir", j.o.Dir, "error", err)
	}
	j.failure = fmt.Errorf("%w: %w", ErrFull, err)
	return j.failure
}

// append writes one record; the caller holds the lock. A record that was written in part is cut off again,
// and if even that fails, the reader finds the next one.
func (j *Journal) append(kind byte, id ID, payload []byte) (place, error) {
	if len(payload) > maxPayload {
		return place{}, fmt.Errorf("spend journal: an entry of %d bytes is too long", len(payload))
	}
	seg := j.current()
	j.buf = appendRecord(j.buf[:0], kind, id, payload)
	n, err := seg.file.WriteAt(j.buf, seg.size)
	if err != nil {
		if n > 0 {
			err = errors.Join(err, seg.file.Truncate(seg.size))
		}
		return place{}, j.failed(err)
	}
	at := place{in: seg, off: seg.size + headerBytes, len: len(payload)}
	seg.size += int64(len(j.buf))
	select {
	case j.dirty <- struct{}{}:
	default:
	}
	return at, nil
}

// carried bounds how many intents are appended again so that an old file can go.
const carried = 4096

// rotate begins the next file. Long calls would keep every file since their beginning: their intents are
// appended again.
func (j *Journal) rotate() error {
	if err := j.next(); err != nil {
		return err
	}
	j.sweep()
	if len(j.own.segments) < 4 || j.own.segments[0].live > carried {
		return nil
	}
	oldest := j.own.segments[0]
	for _, it := range j.live {
		if it.settled.in == oldest {
			return nil // it waits for the database, as will most of them
		}
	}
	for id, it := range j.live {
		if it.intent.in != oldest {
			continue
		}
		if it.settled.in != nil { // behind its settlement it would pass for a call that nobody ended
			oldest.live--
			it.intent = place{}
			continue
		}
		payload, err := it.intent.read()
		if err != nil {
			return err
		}
		at, err := j.append(kindIntent, id, payload)
		if err != nil {
			return err
		}
		oldest.live--
		at.in.live++
		it.intent = at
	}
	j.sweep()
	return nil
}

// next makes a new file the current one.
func (j *Journal) next() error {
	number := 1
	if seg := j.current(); seg != nil {
		number = seg.number + 1
		if err := datasync(seg.file); err != nil {
			return err
		}
	}
	seg, err := create(j.own.dir, number)
	if err != nil {
		return err
	}
	if err := reserve(seg.file, j.o.SegmentBytes+headroom(j.o.SegmentBytes)); err != nil {
		seg.remove()
		return err
	}
	if err := syncDir(j.own.dir); err != nil {
		seg.remove()
		return err
	}
	j.own.segments = append(j.own.segments, seg)
	return nil
}

// headroom is the room at a file's end for the settlements of calls that are under way when it is full.
func headroom(segment int64) int64 { return segment/4 + 64<<10 }

// sweep removes files that nothing is left in, oldest first: a settlement must not go before its intent.
func (j *Journal) sweep() {
	for len(j.adopted) > 0 && j.adopted[0].live() == 0 {
		j.adopted[0].remove()
		j.adopted = j.adopted[1:]
	}
	if len(j.adopted) > 0 {
		return // settlements of theirs may be in our files
	}
	for len(j.own.segments) > 1 && j.own.segments[0].live == 0 {
		j.own.segments[0].remove()
		j.own.segments = j.own.segments[1:]
	}
}
