package journal

import (
	"encoding/binary"
	"hash/crc32"
)

// A record: its mark, its kind, the length of its payload, a checksum of all the rest; the call's id; the
// payload.
const (
	mark        = 0xE5
	kindIntent  = 1
	kindSettle  = 2
	headerBytes = 1 + 1 + 4 + 4 + 16
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func appendRecord(dst []byte, kind byte, id ID, payload []byte) []byte {
	start := len(dst)
	dst = append(dst, mark, kind)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(payload)))
	dst = append(dst, 0, 0, 0, 0)
	dst = append(dst, id[:]...)
	dst = append(dst, payload...)
	binary.LittleEndian.PutUint32(dst[start+6:], checksum(dst[start:]))
	return dst
}

// checksum is of a record without its own four bytes.
func checksum(record []byte) uint32 {
	return crc32.Update(crc32.Checksum(record[:6], castagnoli), castagnoli, record[10:])
}

// record is one read from a file.
type record struct {
	kind    byte
	id      ID
	off     int64 // of the payload
	payload []byte
}

// scan calls f with every whole record of a file's content. Where one is damaged it looks for the next whole
// one; damaged is how many bytes it passed over, end where the last whole one ended. Zeros, as reserved blocks
// have, are no damage.
func scan(data []byte, f func(record)) (end int64, damaged int64) {
	var skipped int64
	for i := 0; i < len(data); {
		r, n := parse(data[i:])
		if n == 0 {
			if data[i] != 0 {
				skipped++
			}
			i++
			continue
		}
		damaged += skipped
		skipped = 0
		r.off = int64(i + headerBytes)
		f(r)
		i += n
		end = int64(i)
	}
	return end, damaged
}

// parse reads the record that data begins with; 0: there is no whole one.
func parse(data []byte) (record, int) {
	if len(data) < headerBytes || data[0] != mark || data[1] != kindIntent && data[1] != kindSettle {
		return record{}, 0
	}
	length := binary.LittleEndian.Uint32(data[2:])
	if length > maxPayload || int(length) > len(data)-headerBytes {
		return record{}, 0
	}
	n := headerBytes + int(length)
	if binary.LittleEndian.Uint32(data[6:]) != checksum(data[:n]) {
		return record{}, 0
	}
	return record{kind: data[1], id: ID(data[10:26]), payload: data[headerBytes:n:n]}, n
}

// queue is a first-in-first-out list.
type queue struct {
	items []ID
	head  int
}

func (q *queue) len() int { return len(q.items) - q.head }

func (q *queue) push(id ID) { q.items = append(q.items, id) }

func (q *queue) pop() (ID, bool) {
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
		if cap(q.items) > 4096 {
			q.items = nil
		}
		return ID{}, false
	}
	id := q.items[q.head]
	q.head++
	if q.head > 4096 && q.head > len(q.items)/2 {
		q.items = append([]ID(nil), q.items[q.head:]...)
		q.head = 0
	}
	return id, true
}

// unshift puts ids back before all others.
func (q *queue) unshift(ids []ID) {
	q.items = append(append(make([]ID, 0, len(ids)+q.len()), ids...), q.items[q.head:]...)
	q.head = 0
}
