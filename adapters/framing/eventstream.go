package framing

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// EventStream splits AWS's binary event stream: frames of a prelude, headers, a payload and two
// checksums, both of which are verified. An event's name is the frame's :event-type, or, with
// [Event.Exception], its :exception-type or :error-code.
//
// https://docs.aws.amazon.com/transcribe/latest/dg/event-stream.html
type EventStream struct {
	held   []byte // the beginning of a frame whose end has not come
	data   []byte // the payload that was handed out last
	failed bool
}

// The sizes of a frame's fixed parts in bytes.
const (
	preludeSize  = 12 // total length, length of the headers, checksum of both
	checksumSize = 4
	smallestSize = preludeSize + checksumSize
)

// Errors of an event stream that cannot be read on.
var (
	errBadChecksum = errors.New("a frame of the event stream is damaged: its checksum does not match")
	errBadFrame    = errors.New("a frame of the event stream is malformed")
)

// Next implements [Splitter].
func (s *EventStream) Next(chunk []byte) (ev Event, rest []byte, ok bool, err error) {
	if s.failed || len(chunk) == 0 {
		return Event{}, nil, false, nil
	}
	frame, rest, err := s.frame(chunk)
	if err != nil {
		s.failed = true
		return Event{}, nil, false, err
	}
	if frame == nil {
		return Event{}, nil, false, nil
	}
	ev, err = s.event(frame)
	s.held = s.held[:0]
	if err != nil {
		s.failed = true
		return Event{}, nil, false, err
	}
	return ev, rest, true, nil
}

// frame is the next whole frame, nil if its end has not come: then chunk has been remembered.
func (s *EventStream) frame(chunk []byte) (frame, rest []byte, err error) {
	if len(s.held) == 0 && len(chunk) >= preludeSize {
		size, err := frameSize(chunk)
		if err != nil {
			return nil, nil, err
		}
		if len(chunk) >= size {
			return chunk[:size], chunk[size:], nil
		}
	}
	// The prelude tells how much more there is to come; until then no more than it is taken.
	if missing := preludeSize - len(s.held); missing > 0 {
		n := min(missing, len(chunk))
		s.held = append(s.held, chunk[:n]...)
		chunk = chunk[n:]
		if len(s.held) < preludeSize {
			return nil, nil, nil
		}
	}
	size, err := frameSize(s.held)
	if err != nil {
		return nil, nil, err
	}
	n := min(size-len(s.held), len(chunk))
	s.held = append(s.held, chunk[:n]...)
	if len(s.held) < size {
		return nil, nil, nil
	}
	return s.held, chunk[n:], nil
}

// frameSize reads a prelude.
func frameSize(b []byte) (int, error) {
	if crc32.ChecksumIEEE(b[:8]) != binary.BigEndian.Uint32(b[8:]) {
		return 0, errBadChecksum
	}
	total, headers := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	switch {
	case total > MaxEvent:
		return 0, ErrTooLarge
	case total < smallestSize || headers > total-smallestSize:
		return 0, errBadFrame
	}
	return int(total), nil
}

// event reads a whole frame.
func (s *EventStream) event(frame []byte) (Event, error) {
	body := len(frame) - checksumSize
	if crc32.ChecksumIEEE(frame[:body]) != binary.BigEndian.Uint32(frame[body:]) {
		return Event{}, errBadChecksum
	}
	headers := preludeSize + int(binary.BigEndian.Uint32(frame[4:]))
	ev, err := readHeaders(frame[preludeSize:headers])
	if err != nil {
		return Event{}, err
	}
	s.data = append(s.data[:0], frame[headers:body]...)
	if ev.Data == nil || len(s.data) > 0 {
		ev.Data = s.data
	}
	return ev, nil
}

// readHeaders takes what tells the kind of a frame from its headers. An error frame has no payload: its
// message, a header, becomes the event's data.
func readHeaders(b []byte) (ev Event, err error) {
	for len(b) > 0 {
		var name, value []byte
		if name, value, b, err = readHeader(b); err != nil {
			return Event{}, err
		}
		switch string(name) {
		case ":message-type":
			ev.Exception = string(value) == "exception" || string(value) == "error"
		case ":event-type", ":exception-type", ":error-code":
			ev.Name = internAWS(value)
		case ":error-message":
			ev.Data = append([]byte(nil), value...)
		}
	}
	return ev, nil
}

// fixedSize is how long the values of a header type are; -1 and -2 stand for texts, which tell
// themselves, and for types that do not exist.
var fixedSize = [...]int{0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 6: -1, 7: -1, 8: 8, 9: 16}

// readHeader cuts one header off b: a name, a type, a value.
func readHeader(b []byte) (name, value, rest []byte, err error) {
	n := int(b[0])
	if n == 0 || len(b) < 1+n+1 {
		return nil, nil, nil, errBadFrame
	}
	name, kind, b := b[1:1+n], b[1+n], b[2+n:]
	if int(kind) >= len(fixedSize) {
		return nil, nil, nil, fmt.Errorf("%w: header type %d", errBadFrame, kind)
	}
	size := fixedSize[kind]
	if size < 0 {
		if len(b) < 2 {
			return nil, nil, nil, errBadFrame
		}
		size, b = int(binary.BigEndian.Uint16(b)), b[2:]
	}
	if len(b) < size {
		return nil, nil, nil, errBadFrame
	}
	return name, b[:size], b[size:], nil
}

// Flush implements [Splitter]: half a frame is nothing.
func (s *EventStream) Flush() (Event, bool) { return Event{}, false }

// internAWS spares an allocation an event for the names that repeat.
func internAWS(name []byte) string {
	switch string(name) {
	case "chunk":
		return "chunk"
	case "contentBlockDelta":
		return "contentBlockDelta"
	case "contentBlockStart":
		return "contentBlockStart"
	case "contentBlockStop":
		return "contentBlockStop"
	}
	return string(name)
}
