package main

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// scenario is one kind of load. All are closed loop: each connection sends its next request when the
// answer to the last one is there.
type scenario struct {
	name  string
	what  string
	size  int    // bytes of text in the request
	mark  string // what the provider is told
	conns int
	// spread is the time over which the connections start, so that slow streams don't run in step.
	spread time.Duration
	aim    float64 // CPU against the plain proxy; 0: none is set
	group  string  // another model group than the system's own, where that has OpenAI's format
	limits bool    // with a key that has budgets and limits, where the system has one
}

var scenarios = []scenario{
	{name: "small", what: "a body of 200 bytes", size: 60, conns: 16, aim: 5},
	{name: "100k", what: "a body of 100 KB", size: 100 << 10, conns: 8, aim: 5},
	{name: "1m", what: "a body of 1 MB", size: 1 << 20, conns: 4},
	{name: "fast-stream", what: "a stream of 20 events without a pause", size: 60, mark: fastMark, conns: 16},
	{name: "slow-stream", what: "a stream of 20 events, one each 60 ms", size: 60, mark: slowMark, conns: 200,
		spread: streamEvents * streamGap, aim: 3},
	{name: "limits", what: "the first, by a key with budgets and limits of its own, its team's and its user's", size: 60, conns: 16, limits: true},
	{name: "watched", what: "the first, its answer judged before it is used", size: 60, conns: 16, group: "bench-watched"},
	{name: "watched-stream", what: "the fast stream, judged by its first words", size: 60, mark: fastMark, conns: 16, group: "bench-watched"},
	{name: "watched-slow", what: "the slow stream, judged by its first words", size: 60, mark: slowMark, conns: 200, spread: streamEvents * streamGap, group: "bench-watched"},
	{name: "routed", what: "the first, chosen by p2c among ten deployments with limits of their own", size: 60, conns: 16, group: "bench-routed"},
	{name: "pool", what: "the first, over a cluster of two addresses", size: 60, conns: 16, group: "bench-pool"},
	{name: "held", what: "the first, its answer held until it is whole", size: 60, conns: 16, group: "bench-held"},
}

func scenarioNamed(name string) *scenario {
	for i := range scenarios {
		if scenarios[i].name == name {
			return &scenarios[i]
		}
	}
	return nil
}

// request is a scenario's request in full, made once.
func (s *system) request(sc scenario) []byte {
	text := strings.Repeat("The quick brown fox jumps. ", sc.size/27+1)[:sc.size]
	stream := ""
	if sc.mark != "" {
		stream = `,"stream":true`
	}
	model := s.model
	if sc.group != "" && s.name == toOpenAI {
		model = sc.group
	}
	body := fmt.Sprintf(`{"model":%q,"messages":[{"role":"system","content":"You answer. %s"},{"role":"user","content":"%s"}],"temperature":0.5%s}`,
		model, sc.mark, text, stream)
	auth, key := "", s.key
	if sc.limits && s.limited != "" {
		key = s.limited
	}
	if key != "" {
		auth = "Authorization: Bearer " + key + "\r\n"
	}
	return fmt.Appendf(nil, "POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\n%sContent-Type: application/json\r\nUser-Agent: bench\r\nAccept: */*\r\nContent-Length: %d\r\n\r\n%s",
		s.address, auth, len(body), body)
}

// verify looks at one answer closely, so that nothing but good ones is measured.
func verify(s *system, sc scenario) error {
	c, err := dial(s.address)
	if err != nil {
		return err
	}
	defer c.close()
	c.keep = true
	if err := c.do(s.request(sc)); err != nil {
		return err
	}
	if sc.mark == "" {
		if !bytes.Contains(c.body, []byte(`lorem ipsum`)) || !bytes.Contains(c.body, []byte(`"choices"`)) {
			return fmt.Errorf("not the provider's answer in OpenAI's format: %.300s", c.body)
		}
		return nil
	}
	for i := range streamEvents {
		if !bytes.Contains(c.body, fmt.Appendf(nil, `" tok%d"`, i)) {
			return fmt.Errorf("event %d of %d is missing: %.2000s", i+1, streamEvents, c.body)
		}
	}
	if !bytes.HasSuffix(bytes.TrimSpace(c.body), []byte("[DONE]")) {
		return fmt.Errorf("the stream does not end with [DONE]: %.2000s", c.body)
	}
	return nil
}
