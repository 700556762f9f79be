package framing

import "bytes"

// NDJSON splits a stream of JSON texts, one a line: Ollama's.
//
// https://github.com/ndjson/ndjson-spec
type NDJSON struct {
	line    []byte // the beginning of a line whose end has not come
	emitted bool   // line was handed out: the next one starts anew
	failed  bool
}

// Next implements [Splitter]. Blank lines are no events.
func (s *NDJSON) Next(chunk []byte) (ev Event, rest []byte, ok bool, err error) {
	if s.failed {
		return Event{}, nil, false, nil
	}
	for len(chunk) > 0 {
		if s.emitted {
			s.emitted, s.line = false, s.line[:0]
		}
		end := bytes.IndexByte(chunk, '\n')
		size := end
		if end < 0 {
			size = len(chunk)
		}
		if len(s.line)+size > MaxEvent {
			s.failed = true
			return Event{}, nil, false, ErrTooLarge
		}
		s.line = append(s.line, chunk[:size]...)
		if end < 0 {
			return Event{}, nil, false, nil
		}
		chunk = chunk[end+1:]
		s.emitted = true
		if line := bytes.TrimSpace(s.line); len(line) > 0 {
			return Event{Data: line}, chunk, true, nil
		}
	}
	return Event{}, nil, false, nil
}

// Flush implements [Splitter].
func (s *NDJSON) Flush() (Event, bool) {
	line := bytes.TrimSpace(s.line)
	if s.failed || s.emitted || len(line) == 0 {
		return Event{}, false
	}
	s.emitted = true
	return Event{Data: line}, true
}
