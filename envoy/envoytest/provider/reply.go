package provider

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Reply is one answer. Its methods return changed copies.
type Reply struct {
	// Status is the HTTP status; 0: 200.
	Status int `json:"status,omitempty"`
	// Header is sent as it is; a content-length given here may lie.
	Header map[string]string `json:"header,omitempty"`
	// Delay is how long the headers take to come.
	Delay Duration `json:"delay,omitempty"`
	// Chunks are the body, each sent at once when its time has come. A single one without a wait is sent
	// with a content-length, everything else chunked.
	Chunks []Chunk `json:"chunks,omitempty"`
	// Gzip compresses the body, whatever the client accepts.
	Gzip bool `json:"gzip,omitempty"`
	// End is what happens after the last chunk.
	End End `json:"end,omitempty"`
	// NoHeaders has End happen instead of an answer: after Delay, before the status line.
	NoHeaders bool `json:"no_headers,omitempty"`
	// Raw is written to the connection in place of an HTTP answer (HTTP/1.1 only), then End happens.
	Raw string `json:"raw,omitempty"`
}

// Chunk is a piece of a body.
type Chunk struct {
	// After is how long it waits for its turn.
	After Duration `json:"after,omitempty"`
	Data  string   `json:"data"`
}

// End is how an answer ends.
type End string

// The ends of an answer. On HTTP/2, Close and Reset both reset the stream alone.
const (
	Complete End = ""      // as HTTP has it
	Close    End = "close" // the connection is closed (FIN) where the body should go on
	Reset    End = "reset" // the connection is reset (RST)
	Hang     End = "hang"  // nothing more comes until the client leaves
)

// Duration is a [time.Duration] that scripts write as "5ms".
type Duration time.Duration

// MarshalText implements [encoding.TextMarshaler].
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = Duration(parsed)
	return err
}

// After has the headers come after d.
func (r Reply) After(d time.Duration) Reply {
	r.Delay = Duration(d)
	return r
}

// Every has d pass before each chunk but the first.
func (r Reply) Every(d time.Duration) Reply {
	r.Chunks = slices.Clone(r.Chunks)
	for i := range r.Chunks {
		if i > 0 {
			r.Chunks[i].After = Duration(d)
		}
	}
	return r
}

// With adds a header.
func (r Reply) With(name, value string) Reply {
	r.Header = maps.Clone(r.Header)
	if r.Header == nil {
		r.Header = map[string]string{}
	}
	r.Header[name] = value
	return r
}

// Gzipped compresses the body.
func (r Reply) Gzipped() Reply {
	r.Gzip = true
	return r
}

// CutAfter keeps the first n chunks and ends there.
func (r Reply) CutAfter(n int, end End) Reply {
	r.Chunks = r.Chunks[:min(n, len(r.Chunks))]
	r.End = end
	return r
}

// CutAfterBytes keeps the first n bytes of the body and ends there.
func (r Reply) CutAfterBytes(n int, end End) Reply {
	var kept []Chunk
	for _, c := range r.Chunks {
		if n <= 0 {
			break
		}
		c.Data = c.Data[:min(n, len(c.Data))]
		n -= len(c.Data)
		kept = append(kept, c)
	}
	r.Chunks, r.End = kept, end
	return r
}

// SplitEvery sends the body in pieces of n bytes, wherever its events end.
func (r Reply) SplitEvery(n int) Reply {
	var pieces []Chunk
	for _, c := range r.Chunks {
		wait := c.After
		for part := range slices.Chunk([]byte(c.Data), max(1, n)) {
			pieces = append(pieces, Chunk{wait, string(part)})
			wait = 0
		}
	}
	r.Chunks = pieces
	return r
}

// Times repeats a reply, for "n failures, then well": s.On(m, append(bad.Times(2), good)...).
func (r Reply) Times(n int) []Reply { return slices.Repeat([]Reply{r}, n) }

// NoAnswer ends before any header is sent: Close, Reset or Hang.
func NoAnswer(end End) Reply { return Reply{NoHeaders: true, End: end} }

// Rule is one rule of a script file.
type Rule struct {
	Match
	Replies []Reply `json:"replies"`
}

// ParseScript reads rules from JSON:
//
//	[{"path": "/v1/*", "model": "gpt-4o", "replies": [{"status": 500}, {"chunks": [{"data": "{}"}]}]}]
func ParseScript(text []byte) ([]Rule, error) {
	var rules []Rule
	if err := json.Unmarshal(text, &rules); err != nil {
		return nil, fmt.Errorf("provider script: %w", err)
	}
	for i, rule := range rules {
		for j, reply := range rule.Replies {
			switch reply.End {
			case Complete, Close, Reset, Hang:
			default:
				return nil, fmt.Errorf("provider script: rule %d, reply %d: end %q: must be close, reset, hang or empty", i+1, j+1, reply.End)
			}
			if reply.Status != 0 && (reply.Status < 200 || reply.Status > 999) {
				return nil, fmt.Errorf("provider script: rule %d, reply %d: status %d", i+1, j+1, reply.Status)
			}
		}
	}
	return rules, nil
}
