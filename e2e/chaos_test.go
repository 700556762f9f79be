package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicegw/sluice/envoy/envoytest/provider"
)

// fault is a way in which a provider fails, from the moment it begins.
type fault struct {
	name  string
	begin func(p *provider.Server)
	// cuts: a stream that has begun may break, for nobody can take its words back.
	cuts bool
}

// typical is how long the providers take when all is well.
const typical = 20 * time.Millisecond

var faults = []fault{
	{name: "dies", begin: func(p *provider.Server) { p.Close() }},
	{name: "hangs before headers", begin: always(provider.NoAnswer(provider.Hang), provider.NoAnswer(provider.Hang))},
	{name: "hangs after headers", begin: always(wellWhole().CutAfterBytes(40, provider.Hang), wellStream().CutAfterBytes(0, provider.Hang))},
	{name: "cuts in the middle", begin: always(wellWhole().CutAfterBytes(40, provider.Reset), wellStream().CutAfter(4, provider.Reset).Every(typical)), cuts: true},
	{name: "answers 500 for a while", begin: forAWhile(provider.Error(500, "server_error", "", "down"))},
	{name: "429 with Retry-After", begin: always2(provider.Error(429, "rate_limit", "", "slow down").With("retry-after", "1"))},
	{name: "closes connections", begin: always2(provider.NoAnswer(provider.Close))},
	{name: "slow, p99 × 20", begin: twentyTimes},
	{name: "answers 200 and nothing, a page, half a document or an error, or a redirect", begin: noAnswers},
	{name: "a stream's first event is an error", begin: always(wellWhole(), provider.ErrorStream("server_error", "overloaded", "gives up"))},
}

func wellWhole() provider.Reply { return provider.Chat("up", "well", few).After(typical) }
func wellStream() provider.Reply {
	return provider.ChatStream("up", few, "well ", "and ", "good").After(typical)
}

func always(whole, stream provider.Reply) func(*provider.Server) {
	return func(p *provider.Server) {
		p.On(provider.Match{Model: "whole"}, whole)
		p.On(provider.Match{Model: "stream"}, stream)
	}
}

func always2(r provider.Reply) func(*provider.Server) { return always(r, r) }

// forAWhile fails for so many calls, as a provider that is down for a time does, and is well again.
func forAWhile(r provider.Reply) func(*provider.Server) {
	return func(p *provider.Server) {
		p.On(provider.Match{Model: "whole"}, append(r.Times(30), wellWhole())...)
		p.On(provider.Match{Model: "stream"}, append(r.Times(30), wellStream())...)
	}
}

// noAnswers are in turn nothing, a page for a browser, an error that has a good status, half a document, and a redirect.
func noAnswers(p *provider.Server) {
	for _, model := range []string{"whole", "stream"} {
		p.On(provider.Match{Model: model}, slices.Repeat([]provider.Reply{provider.JSON(200, ""), provider.HTML(200),
			provider.JSON(200, `{"error":{"message":"busy","type":"server_error","code":503}}`),
			provider.JSON(200, `{"id":"x","object":"chat.completion","choices":[{"ind`),
			provider.JSON(302, "").With("location", p.URL)}, 20_000)...)
	}
}

// twentyTimes has one call in eight take 20 times longer than the limit of an attempt would be for the others.
func twentyTimes(p *provider.Server) {
	for model, r := range map[string]provider.Reply{"whole": wellWhole(), "stream": wellStream()} {
		p.On(provider.Match{Model: model}, slices.Repeat(append(r.Times(7), r.After(20*20*typical)), 1000)...)
	}
}

// seen is what the clients of one fault saw.
type seen struct {
	calls, first, second int // all, and by whom they were answered
	errors               int // any answer that is none, with nothing of it seen before
	cut                  int // streams that broke after their first words
	worst                time.Duration
	examples             []string
}

// TestChaos: with a healthy fallback no client sees an error, unless its stream had begun.
func TestChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("starts providers that fail")
	}
	chaos(t, time.Second)
}

// TestSoakChaos is TestChaos for as long as SLUICE_SOAK says; its table goes to the file that
// SLUICE_CHAOS_TABLE names.
func TestSoakChaos(t *testing.T) {
	total, err := time.ParseDuration(os.Getenv("SLUICE_SOAK"))
	if err != nil || total <= 0 {
		t.Skip("`make soak` runs it: SLUICE_SOAK is the time to take")
	}
	table := chaos(t, total/time.Duration(len(faults)))
	if file := os.Getenv("SLUICE_CHAOS_TABLE"); file != "" {
		if err := os.WriteFile(file, table, 0o644); err != nil {
			t.Error(err)
		}
	}
	t.Logf("\n%s", table)
}

const chaosConfig = `
model_list:
  - {model_name: whole, litellm_params: {model: openai/whole, api_base: "%[1]s/v1", api_key: sk-one, order: 1}, model_info: {id: whole-one}}
  - {model_name: whole, litellm_params: {model: openai/whole, api_base: "%[2]s/v1", api_key: sk-two, order: 2}, model_info: {id: whole-two}}
  - {model_name: stream, litellm_params: {model: openai/stream, api_base: "%[1]s/v1", api_key: sk-one}, model_info: {id: stream-one}}
  - {model_name: spare, litellm_params: {model: openai/stream, api_base: "%[2]s/v1", api_key: sk-two}, model_info: {id: stream-two}}
router_settings: {num_retries: 1, timeout: 2, stream_timeout: 2, cooldown_time: 1, fallbacks: [{stream: [spare]}]}
general_settings: {master_key: %[3]s}
`

func chaos(t *testing.T, each time.Duration) []byte {
	var table bytes.Buffer
	table.WriteString("| the provider … | calls | answered by it | by the other | errors | streams cut after their first words | slowest |\n|---|---:|---:|---:|---:|---:|---:|\n")
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			s := underFault(t, f, each)
			fmt.Fprintf(&table, "| %s | %d | %d | %d | %d | %d | %.1f s |\n", f.name, s.calls, s.first, s.second, s.errors, s.cut, s.worst.Seconds())
			if s.errors > 0 || s.cut > 0 && !f.cuts {
				t.Errorf("of %d calls %d failed, and %d streams were cut: %s", s.calls, s.errors, s.cut, strings.Join(s.examples, "\n"))
			}
			if s.second == 0 || s.calls < 10 {
				t.Errorf("of %d calls none moved on: nothing was tried", s.calls)
			}
		})
	}
	return table.Bytes()
}

// underFault has clients call while the first provider fails.
func underFault(t *testing.T, f fault, each time.Duration) *seen {
	one, two := scripted(t), scripted(t)
	g := start(t, fmt.Sprintf(chaosConfig, one.URL, two.URL, masterKey))
	t.Cleanup(g.stop)
	g.showOnFailure(t)
	always(wellWhole(), wellStream())(one)
	always(wellWhole(), wellStream())(two)
	s := &seen{}
	var mu sync.Mutex
	var clients sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for i := range 8 {
		model, more := "whole", ""
		if i%2 == 1 {
			model, more = "stream", `"stream":true`
		}
		clients.Go(func() {
			for ctx.Err() == nil {
				began := time.Now()
				a := ask(g, question(model, fields(more)...))
				mu.Lock()
				s.note(a, more != "", time.Since(began))
				mu.Unlock()
			}
		})
	}
	time.Sleep(each / 5)
	f.begin(one)
	time.Sleep(each)
	stop()
	clients.Wait()
	g.alive(t)
	return s
}

// ask is one call, whatever becomes of it.
func ask(g *gateway, body string) answer {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url+completions, strings.NewReader(body))
	if err != nil {
		return answer{err: err}
	}
	req.Header.Set("authorization", "Bearer "+masterKey)
	res, err := client.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(text), err}
}

func scripted(t *testing.T) *provider.Server {
	t.Helper()
	p, err := provider.Listen("127.0.0.1:0", provider.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func fields(more string) []string {
	if more == "" {
		return nil
	}
	return []string{more}
}

// note counts one answer.
func (s *seen) note(a answer, stream bool, took time.Duration) {
	s.calls++
	s.worst = max(s.worst, took)
	good := a.status == http.StatusOK && a.err == nil && strings.Contains(a.body, "well")
	if stream {
		good = good && strings.Contains(a.body, "good") && strings.HasSuffix(a.body, "data: [DONE]\n\n")
	}
	switch {
	case good && strings.HasSuffix(a.header.Get("x-litellm-model-id"), "-one"):
		s.first++
	case good:
		s.second++
	case stream && a.status == http.StatusOK && strings.Contains(a.body, "well"):
		s.cut++
	default:
		s.errors++
		if len(s.examples) < 5 {
			s.examples = append(s.examples, fmt.Sprintf("%d %v %.300s", a.status, a.err, a.body))
		}
	}
}
