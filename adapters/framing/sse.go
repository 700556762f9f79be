// Package framing cuts a provider's streamed reply into events, whatever the network did to it.
//
// A [Splitter] is fed pieces cut anywhere and yields whole events; the same bytes yield the same events
// however they are cut. It remembers one unfinished event and no more than [MaxEvent] bytes. What an
// event means is left to the dialects.
package framing

import (
	"bytes"
	"errors"
)

// MaxEvent is the largest event in bytes that is put together; a whole image in base64 fits.
const MaxEvent = 16 << 20

// ErrTooLarge reports an event above [MaxEvent].
var ErrTooLarge = errors.New("a streamed event is larger than 16 MiB")

// Event is one event of a stream. Its fields are good until the next call of the Splitter.
type Event struct {
	Name string // the event's type; "" where the framing has none
	Data []byte
	// Exception: the framing itself says that this is an error, of the kind that Name tells.
	Exception bool
}

// Splitter cuts one stream into events. It belongs to one stream and one goroutine.
type Splitter interface {
	// Next consumes chunk up to the end of the next event and returns what is left of it. With ok
	// false, chunk is used up and remembered as far as needed. After an error it yields nothing more.
	Next(chunk []byte) (ev Event, rest []byte, ok bool, err error)
	// Flush yields the event that the end of the stream left unfinished, if any.
	Flush() (ev Event, ok bool)
}

// SSE splits server-sent events: lines ending in \n, \r\n or \r, comments, data over several lines.
//
// https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
type SSE struct {
	line    []byte // the beginning of a line whose end has not come
	data    []byte // the data lines of the event so far
	name    string
	hasData bool
	emitted bool // data and name were handed out: the next line starts anew
	afterCR bool // a \n that comes now belongs to the \r before it
	started bool // the first line is behind: no byte order mark can come
	failed  bool
}

var bom = []byte("\xef\xbb\xbf")

// Next implements [Splitter].
func (s *SSE) Next(chunk []byte) (ev Event, rest []byte, ok bool, err error) {
	if s.failed {
		return Event{}, nil, false, nil
	}
	nl := -2 // where the next \n of chunk is: unknown
	for len(chunk) > 0 {
		if s.afterCR {
			s.afterCR = false
			if chunk[0] == '\n' {
				chunk = chunk[1:]
				nl = -2
				continue
			}
		}
		if nl == -2 {
			nl = bytes.IndexByte(chunk, '\n')
		}
		end := nl
		if end < 0 {
			end = len(chunk)
		}
		if cr := bytes.IndexByte(chunk[:end], '\r'); cr >= 0 {
			end = cr
			s.afterCR = true
		}
		if len(s.line)+end+len(s.data) > MaxEvent {
			s.failed = true
			return Event{}, nil, false, ErrTooLarge
		}
		if end == len(chunk) {
			s.line = append(s.line, chunk...)
			return Event{}, nil, false, nil
		}
		line := chunk[:end]
		if len(s.line) > 0 {
			s.line = append(s.line, line...)
			line, s.line = s.line, s.line[:0]
		}
		chunk = chunk[end+1:]
		if nl >= 0 {
			if nl -= end + 1; nl < 0 {
				nl = -2
			}
		}
		if ev, ok = s.endLine(line); ok {
			return ev, chunk, true, nil
		}
	}
	return Event{}, nil, false, nil
}

// endLine takes one line without its end; an empty one completes the event.
func (s *SSE) endLine(line []byte) (Event, bool) {
	if s.emitted {
		s.emitted, s.hasData, s.name, s.data = false, false, "", s.data[:0]
	}
	if !s.started {
		s.started = true
		line = bytes.TrimPrefix(line, bom)
	}
	if len(line) == 0 {
		s.emitted = true
		return Event{Name: s.name, Data: s.data}, s.hasData
	}
	field, value, _ := bytes.Cut(line, []byte{':'})
	value = bytes.TrimPrefix(value, []byte{' '})
	switch string(field) {
	case "data":
		if s.hasData {
			s.data = append(s.data, '\n')
		}
		s.data = append(s.data, value...)
		s.hasData = true
	case "event":
		s.name = intern(value)
	}
	return Event{}, false
}

// Flush implements [Splitter]. A stream should end with an empty line; some providers forget it after
// their last event.
func (s *SSE) Flush() (Event, bool) {
	if s.failed {
		return Event{}, false
	}
	if len(s.line) > 0 {
		line := s.line
		s.line = nil
		if ev, ok := s.endLine(line); ok {
			return ev, true
		}
	}
	if s.emitted || !s.hasData {
		return Event{}, false
	}
	s.emitted = true
	return Event{Name: s.name, Data: s.data}, true
}

// intern spares an allocation an event for the names that Anthropic repeats thousands of times.
func intern(name []byte) string {
	switch string(name) {
	case "content_block_delta":
		return "content_block_delta"
	case "content_block_start":
		return "content_block_start"
	case "content_block_stop":
		return "content_block_stop"
	case "ping":
		return "ping"
	}
	return string(name)
}
