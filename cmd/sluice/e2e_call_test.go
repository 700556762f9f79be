package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// got is an answer.
type got struct {
	status int
	header http.Header
	body   string
}

func (g *got) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d\n", g.status)
	for _, name := range slices.Sorted(maps.Keys(g.header)) {
		fmt.Fprintf(&b, "%s: %s\n", strings.ToLower(name), strings.Join(g.header[name], ", "))
	}
	fmt.Fprintf(&b, "\n%s\n", g.body)
	return b.String()
}

// client makes a connection a call: what a connection does to the next call is for load's client to meet.
var client = &http.Client{Timeout: patience, Transport: &http.Transport{
	DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}

func fetch(method, url, body string, header map[string]string) (*got, error) {
	return fetchBy(context.Background(), client, method, url, body, header)
}

func fetchBy(ctx context.Context, c *http.Client, method, url, body string, header map[string]string) (*got, error) {
	res, err := send(ctx, c, method, url, body, header)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return &got{res.StatusCode, res.Header, string(text)}, err
}

func send(ctx context.Context, c *http.Client, method, url, body string, header map[string]string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range header {
		req.Header.Set(name, value)
	}
	return c.Do(req)
}

// request is a chat call as a script writes it: MODEL [field=JSON…] [header:value…]. A field that is no
// JSON is a text.
func (s *step) request() (body string, header map[string]string) {
	fields := map[string]any{"model": s.next("the model"), "messages": []any{map[string]any{"role": "user", "content": "hello"}}}
	header = map[string]string{}
	for _, arg := range s.args {
		eq, colon := strings.IndexByte(arg, '='), strings.IndexByte(arg, ':')
		switch {
		case eq > 0 && (colon < 0 || eq < colon):
			var value any
			if json.Unmarshal([]byte(arg[eq+1:]), &value) != nil {
				value = arg[eq+1:]
			}
			fields[arg[:eq]] = value
		case colon > 0:
			header[arg[:colon]] = strings.TrimSpace(arg[colon+1:])
		default:
			s.Fatalf("%q is neither field=value nor header:value", arg)
		}
	}
	text, err := json.Marshal(fields)
	s.Check(err)
	return string(text), header
}

func (s *step) status() int { return s.number(s.next("the status expected")) }

func (s *step) expect(status int, g *got, err error) {
	s.Check(err)
	fmt.Fprint(s.Stdout(), g)
	if g.status != status {
		s.Fatalf("the status is %d, not %d: %s", g.status, status, g.body)
	}
}

// cmdChat: chat [@NAME] STATUS MODEL [field=JSON…] [header:value…]
//
// Makes a chat completion call and prints status, headers and body.
func cmdChat(s *step) {
	p, status := s.mustRun(), s.status()
	body, header := s.request()
	g, err := fetch("POST", p.url+"/v1/chat/completions", body, header)
	s.expect(status, g, err)
}

// cmdWaitFor: wait-for [@NAME] STATUS MODEL [field=JSON…] [header:value…]
//
// Makes calls as chat does until one has the status.
func cmdWaitFor(s *step) {
	p, status := s.mustRun(), s.status()
	body, header := s.request()
	s.eventually(fmt.Sprintf("a call has the status %d", status), func() bool {
		g, err := fetch("POST", p.url+"/v1/chat/completions", body, header)
		return err == nil && g.status == status
	})
}

// cmdGet: get [@NAME] STATUS PATH [header:value…]
func cmdGet(s *step) {
	p, status, path := s.mustRun(), s.status(), s.next("the path")
	header := map[string]string{}
	for _, arg := range s.args {
		name, value, _ := strings.Cut(arg, ":")
		header[name] = strings.TrimSpace(value)
	}
	if s.neg { // nobody listens
		if g, err := fetch("GET", p.url+path, "", header); err == nil {
			s.Fatalf("there is an answer: %v", g)
		}
		return
	}
	g, err := fetch("GET", p.url+path, "", header)
	s.expect(status, g, err)
}

// openStream is a streamed call under way.
type openStream struct {
	cancel context.CancelFunc
	text   bytes.Buffer // complete when ended is closed
	ended  chan struct{}
	err    error
}

// cmdStream: stream start|end STREAM [@NAME] MODEL …
//
// start makes a streamed chat call and returns at its first event; end waits for its end, prints it, and
// fails unless it ended with [DONE].
func cmdStream(s *step) {
	verb, name := s.next("start or end"), s.next("the stream's name")
	if verb == "end" {
		o := s.w.streams[name]
		select {
		case <-o.ended:
		case <-time.After(patience):
			s.Fatalf("the stream does not end")
		}
		fmt.Fprint(s.Stdout(), o.text.String())
		if whole := o.err == nil && strings.HasSuffix(strings.TrimSpace(o.text.String()), "data: [DONE]"); whole == s.neg {
			s.Fatalf("the end of the stream (error: %v):\n%s", o.err, o.text.String())
		}
		return
	}
	p := s.mustRun()
	s.args = append(s.args, "stream=true")
	body, header := s.request()
	ctx, cancel := context.WithCancel(context.Background())
	res, err := send(ctx, client, "POST", p.url+"/v1/chat/completions", body, header)
	s.Check(err)
	o := &openStream{cancel: cancel, ended: make(chan struct{})}
	s.w.streams[name] = o
	reader := bufio.NewReader(res.Body)
	line, err := reader.ReadString('\n')
	s.Check(err)
	o.text.WriteString(line)
	go func() {
		defer close(o.ended)
		defer res.Body.Close()
		_, o.err = io.Copy(&o.text, reader)
	}()
}

// cmdLeave: leave [@NAME] TIME MODEL …
//
// Makes a chat call and leaves after TIME, before the answer is complete.
func cmdLeave(s *step) {
	p, wait := s.mustRun(), s.duration(s.next("a time"))
	body, header := s.request()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	time.AfterFunc(wait, func() {
		s.w.leftAt = time.Now()
		cancel()
	})
	g, err := fetchBy(ctx, client, "POST", p.url+"/v1/chat/completions", body, header)
	if !errors.Is(err, context.Canceled) {
		s.Fatalf("the call ended before its client left: %v, %v", g, err)
	}
}

// load is calls without pause from several clients, each with a connection that it keeps.
type load struct {
	cancel context.CancelFunc
	counts chan map[string]int
	n      int
}

// cmdLoad: load start|stop LOAD [@NAME] CLIENTS MODEL …
//
// start has CLIENTS make one call after the other. stop prints how many answers there were of each kind;
// unless all are 200 it fails.
func cmdLoad(s *step) {
	verb, name := s.next("start or stop"), s.next("the load's name")
	if verb == "stop" {
		s.stopLoad(s.w.loads[name])
		return
	}
	p, n := s.mustRun(), s.number(s.next("the number of clients"))
	body, header := s.request()
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{cancel: cancel, counts: make(chan map[string]int, n), n: n}
	s.w.loads[name] = l
	for range n {
		go func() {
			c := &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
			defer c.CloseIdleConnections()
			counts := map[string]int{}
			for ctx.Err() == nil {
				g, err := fetchBy(context.WithoutCancel(ctx), c, "POST", p.url+"/v1/chat/completions", body, header)
				switch {
				case err != nil:
					counts[err.Error()]++
				case g.status != 200:
					counts[strconv.Itoa(g.status)+" "+g.body]++
				default:
					counts["200"]++
				}
				time.Sleep(2 * time.Millisecond)
			}
			l.counts <- counts
		}()
	}
}

func (s *step) stopLoad(l *load) {
	l.cancel()
	all := map[string]int{}
	for range l.n {
		for what, n := range <-l.counts {
			all[what] += n
		}
	}
	for what, n := range all {
		fmt.Fprintf(s.Stdout(), "%d answers: %s\n", n, what)
		s.Logf("%d answers: %s", n, what)
	}
	if len(all) != 1 || all["200"] == 0 {
		s.Fatalf("not every answer was good: %v", all)
	}
}

// cmdShares: shares [@NAME] N MODEL ID=PERCENT…
//
// Makes N calls and fails unless each deployment answered its share, give or take four standard
// deviations.
func cmdShares(s *step) {
	p, n := s.mustRun(), s.number(s.next("the number of calls"))
	model := s.next("the model")
	wanted := s.args
	s.args = []string{model}
	body, header := s.request()
	counts := map[string]int{}
	c := &http.Client{Timeout: patience}
	defer c.CloseIdleConnections()
	for range n {
		g, err := fetchBy(context.Background(), c, "POST", p.url+"/v1/chat/completions", body, header)
		s.Check(err)
		if g.status != 200 {
			s.Fatalf("the status is %d: %s", g.status, g.body)
		}
		counts[g.header.Get("x-litellm-model-id")]++
	}
	s.Logf("answers: %v", counts)
	for _, w := range wanted {
		id, percent, _ := strings.Cut(w, "=")
		share := float64(s.number(percent)) / 100
		mean, variance := float64(n)*share, float64(n)*share*(1-share)
		if off := float64(counts[id]) - mean; off*off > 16*variance {
			s.Fatalf("%s answered %d of %d calls, not about %.0f", id, counts[id], n, mean)
		}
	}
}
