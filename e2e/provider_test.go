package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluicegw/sluice/envoy/envoytest/provider"
)

var few = provider.Usage{Input: 3, Output: 4}

// TestBrokenProviders: whatever a provider answers instead of JSON, the client gets an error of OpenAI's
// shape with LiteLLM's status.
func TestBrokenProviders(t *testing.T) {
	shared(t)
	chatReply := provider.Chat("up", "hi", few)
	for _, tt := range []struct {
		name   string
		reply  provider.Reply
		status int
		words  string
	}{
		{"garbage", provider.Garbage(), 500, "unreadable"},
		{"empty", provider.JSON(200, ""), 500, "empty"},
		{"an HTML page with 200", provider.HTML(200), 500, "HTML"},
		{"an HTML page with 502", provider.HTML(502), 502, "Bad Gateway"},
		{"an HTML page with 404", provider.HTML(404), 404, "Not Found"},
		{"an array", provider.JSON(200, "[1,2]"), 500, "unreadable"},
		{"no choices", provider.JSON(200, `{"id":"x"}`), 500, ""},
		{"an error with 200", provider.JSON(200, `{"error":{"message":"out of cheese","type":"server_error"}}`), 500, "out of cheese"},
		{"an error that is a string", provider.JSON(400, `{"error":"out of cheese"}`), 400, "out of cheese"},
		{"an error that is null", provider.JSON(500, `{"error":null}`), 500, ""},
		{"rate limit", provider.Error(429, "rate_limit_error", "rate_limit_exceeded", "slow down"), 429, "slow down"},
		{"overloaded", provider.JSON(529, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`), 500, "Overloaded"},
		{"context length", provider.Error(400, "invalid_request_error", "context_length_exceeded", "maximum context length is 5"), 400, "maximum context length"},
		{"401", provider.Error(401, "invalid_request_error", "invalid_api_key", "bad key "+providerKey), 401, "bad key ***"},
		{"a redirect", provider.JSON(302, "").With("Location", "http://127.0.0.1:1/"), 500, "redirect"},
		{"a permanent redirect", provider.JSON(308, "").With("Location", "/elsewhere"), 500, "redirect"},
		{"304", provider.Reply{Status: 304}, 500, ""},
		{"204", provider.Reply{Status: 204}, 500, ""},
		{"599", provider.JSON(599, `{}`), 599, ""},
		{"status 700", provider.Reply{Raw: "HTTP/1.1 700 Strange\r\nContent-Length: 2\r\n\r\n{}"}, 500, ""},
		{"no HTTP", provider.Reply{Raw: "SSH-2.0-OpenSSH_9.9\r\n"}, 500, ""},
		{"two content-lengths", provider.Reply{Raw: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"}, 500, ""},
		{"both framings", provider.Reply{Raw: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"}, 500, ""},
		{"huge headers", chatReply.With("X-Long", strings.Repeat("h", 200<<10)), 500, ""},
		{"gone", provider.NoAnswer(provider.Close), 500, "hung up"},
		{"reset", provider.NoAnswer(provider.Reset), 500, ""},
		{"cut in JSON", chatReply.CutAfterBytes(40, provider.Close), 500, ""},
		{"cut by a reset in JSON", chatReply.CutAfterBytes(40, provider.Reset), 500, ""},
		{"cut short of its length", provider.JSON(200, `{"id":"x"`).With("Content-Length", "9000"), 500, ""},
		{"gzip that is none", chatReply.With("Content-Encoding", "gzip"), 500, "gzip"},
		{"an encoding nobody knows", provider.JSON(200, "\x8b\x03\x80").With("Content-Encoding", "br"), 500, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, more := range []string{`"stream":false`, `"stream":true`} {
				m := model(t, tt.reply)
				a := chat(t, m, more)
				if a.err != nil {
					t.Errorf("%s: cut: %v after %q", more, a.err, a.body)
					continue
				}
				wantError(t, a, tt.status, tt.words)
				// A whole answer that was cut is told by Envoy itself. No attempt followed it, so that
				// one by the client is worth its while.
				if !strings.Contains(tt.name, "cut") && a.header.Get("x-should-retry") != "false" {
					t.Errorf("%s: x-should-retry %q", more, a.header.Get("x-should-retry"))
				}
			}
		})
	}
}

// TestOddProviders answer strangely, but do answer.
func TestOddProviders(t *testing.T) {
	shared(t)
	whole, events := provider.Chat("up", "hello there", few), provider.ChatStream("up", few, "hello", " there")
	for _, tt := range []struct {
		name   string
		reply  provider.Reply
		stream bool
	}{
		{"gzip that nobody asked for", whole.Gzipped(), false},
		{"a gzip stream", events.Gzipped(), true},
		{"byte by byte", whole.SplitEvery(1), false},
		{"a stream byte by byte", events.SplitEvery(1), true},
		{"a stream in sevens", events.SplitEvery(7), true},
		{"a stream at once", whole1(events), true},
		{"JSON for a stream", whole, true},
		{"a stream for JSON", events, false},
		{"no content-type", whole.With("Content-Type", ""), false},
		{"an interim answer", provider.Reply{Raw: "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
			fmt.Sprint(len(whole.Chunks[0].Data)) + "\r\n\r\n" + whole.Chunks[0].Data}, false},
		{"CRLF and comments", provider.SSE(": ping\r\n\r\n", strings.ReplaceAll(joined(events), "\n", "\r\n")), true},
		{"ended by closing", provider.Reply{Raw: "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + joined(events)}, true},
		{"no [DONE]", events.CutAfter(len(events.Chunks)-1, provider.Complete), true},
		{"201", status(whole, 201), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := chat(t, model(t, tt.reply), fmt.Sprintf(`"stream":%t`, tt.stream))
			if !tt.stream {
				if got := wantChat(t, a); got != "hello there" {
					t.Errorf("the text is %q", got)
				}
				return
			}
			s := wantStream(t, a)
			if s.text != "hello there" || !s.done || s.err != nil || a.err != nil {
				t.Errorf("%+v, %v\n%s", s, a.err, a.body)
			}
		})
	}
}

func status(r provider.Reply, code int) provider.Reply {
	r.Status = code
	return r
}

func joined(r provider.Reply) string {
	var b strings.Builder
	for _, c := range r.Chunks {
		b.WriteString(c.Data)
	}
	return b.String()
}

func whole1(r provider.Reply) provider.Reply {
	r.Chunks = []provider.Chunk{{Data: joined(r)}}
	return r
}

// TestStreamsThatBreak: an end that comes too early is an error event and [DONE]; a cut connection is one
// too, or else a cut that the client can see.
func TestStreamsThatBreak(t *testing.T) {
	shared(t)
	events := provider.ChatStream("up", few, "hello", " there")
	claudeEvents := provider.MessageStream("up", few, "hello", " there")
	failing := provider.SSE(joined(events.CutAfter(2, provider.Complete)), "data: {\"error\":{\"message\":\"out of cheese\",\"type\":\"server_error\"}}\n\n")
	for _, tt := range []struct {
		name   string
		claude bool
		reply  provider.Reply
		words  string
		cut    bool // the client may see the connection break instead of an event
	}{
		{"ends early", false, events.CutAfter(2, provider.Complete), "before the answer was complete", false},
		{"Anthropic ends early", true, claudeEvents.CutAfter(5, provider.Complete), "before the answer was complete", false},
		{"ends in an event", false, events.CutAfterBytes(len(joined(events.CutAfter(2, provider.Complete)))+40, provider.Complete), "before the answer was complete", false},
		{"an error event", false, failing, "out of cheese", false},
		{"garbage in an event", false, provider.SSE(joined(events.CutAfter(2, provider.Complete)), "data: {\"choices\": nonsense\n\n", "data: [DONE]\n\n"), "unreadable", false},
		{"closed", false, events.CutAfter(2, provider.Close), "", true},
		{"reset", false, events.CutAfter(2, provider.Reset), "", true},
		{"Anthropic reset", true, claudeEvents.CutAfter(5, provider.Reset), "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			pick := model
			if tt.claude {
				pick = claude
			}
			a := chat(t, pick(t, tt.reply), `"stream":true`)
			if tt.cut && a.err != nil {
				if strings.Contains(a.body, "[DONE]") {
					t.Errorf("[DONE] before the cut: %s", a.body)
				}
				return
			}
			if tt.cut && a.status != http.StatusOK { // the break was there before the first event had passed
				wantError(t, a, http.StatusInternalServerError)
				return
			}
			s := wantStream(t, a)
			if s.err == nil || !s.done || !strings.Contains(text(s.err.Message), tt.words) {
				t.Errorf("%+v\n%s", s, a.body)
			}
			if !strings.HasPrefix(s.text, "hello") {
				t.Errorf("what came before the break is lost: %q", s.text)
			}
		})
	}
}

// TestNeverEnding: a provider that does not answer, or does not end its answer, is a 408.
func TestNeverEnding(t *testing.T) {
	shared(t)
	whole := provider.Chat("up", "hello", few)
	for _, tt := range []struct {
		name  string
		reply provider.Reply
	}{
		{"before headers", provider.NoAnswer(provider.Hang)},
		{"in the JSON", whole.CutAfterBytes(30, provider.Hang)},
		{"after the headers", provider.Reply{Header: map[string]string{"Content-Type": "application/json"}, End: provider.Hang}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := model(t, tt.reply)
			a := chat(t, m, `"timeout":0.3`)
			wantError(t, a, http.StatusRequestTimeout, "time")
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if _, err := world.pool.upstream.Wait(ctx, cancelledFor(m, time.Time{})); err != nil {
				t.Error("the provider was left hanging: ", err)
			}
		})
	}
}

// cancelledFor is for Wait: a request to a model was given up, later than since.
func cancelledFor(model string, since time.Time) func([]provider.Request) bool {
	return func(all []provider.Request) bool {
		for _, r := range all {
			if r.Model == "up-"+model && r.Cancelled.After(since) {
				return true
			}
		}
		return false
	}
}

// TestGone: nobody listens there.
func TestGone(t *testing.T) {
	g := shared(t)
	own := start(t, fmt.Sprintf(`
model_list:
  - model_name: gone
    litellm_params: {model: openai/gone, api_base: "http://127.0.0.1:9/v1", api_key: %s, num_retries: 0}
  - model_name: lost
    litellm_params: {model: openai/lost, api_base: "http://no-such-host.invalid/v1", api_key: %[1]s, num_retries: 0}
general_settings: {master_key: %s}
`, providerKey, masterKey))
	defer own.stop()
	own.showOnFailure(t)
	for _, m := range []string{"gone", "lost"} {
		a := requestTo(t, own, http.MethodPost, completions, strings.NewReader(question(m)), "authorization", "Bearer "+masterKey)
		if e := wantError(t, a, a.status); a.status != 500 && a.status != 503 {
			t.Errorf("%s: %d %s", m, a.status, text(e.Message))
		}
	}
	own.alive(t)
	g.alive(t)
}

// TestAllCoolingDown: when no deployment is left, the client is told when to come back, and the providers
// are spared.
func TestAllCoolingDown(t *testing.T) {
	shared(t)
	bad := provider.Error(429, "rate_limit_error", "rate_limit_exceeded", "slow down").With("Retry-After", "120")
	script("cold-one", []provider.Reply{bad})
	script("cold-two", []provider.Reply{bad})
	deadline := time.Now().Add(patience)
	for {
		before := len(received("cold-one")) + len(received("cold-two"))
		a := chat(t, "cold")
		wantError(t, a, http.StatusTooManyRequests)
		if len(received("cold-one"))+len(received("cold-two")) == before {
			if a.header.Get("retry-after") == "" {
				t.Errorf("no retry-after in %v", a.header)
			}
			return
		}
		if time.Now().After(deadline) { // the log of attempts comes a little after the answer
			t.Fatal("the deployments never cooled down")
		}
	}
}

// TestRetries are made when asked for, end with the first good answer, and are counted in a header.
func TestRetries(t *testing.T) {
	good := provider.Chat("up", "at last", few)
	m := model(t, append(provider.Error(500, "server_error", "", "down").Times(2), good)...)
	a := chat(t, m, `"num_retries":2`)
	if got := wantChat(t, a); got != "at last" || a.header.Get("x-litellm-attempted-retries") != "2" {
		t.Errorf("%q, %v", got, a.header)
	}
	for _, r := range received(m) {
		if r.Key != providerKey {
			t.Errorf("an attempt came with the key %q", r.Key)
		}
	}
	hang := model(t, provider.NoAnswer(provider.Reset), good)
	wantChat(t, chat(t, hang, `"num_retries":1`))
	out := model(t, provider.Error(500, "server_error", "", "down"))
	a = chat(t, out, `"num_retries":3`)
	wantError(t, a, 500, "down")
	if n := len(received(out)); n != 4 || a.header.Get("x-should-retry") != "false" {
		t.Errorf("%d attempts, x-should-retry %q", n, a.header.Get("x-should-retry"))
	}
	// No header of a provider's can ask for another attempt of a good answer, which would be paid for again.
	pushy := model(t, good.With("x-sluice-next-attempt", "1").With("x-envoy-retriable-header-names", "content-type"))
	wantChat(t, chat(t, pushy, `"num_retries":3`))
	if n := len(received(pushy)); n != 1 {
		t.Errorf("a good answer was fetched %d times", n)
	}
}

// TestLeavingCancels: when a client goes, its call ends at the provider within 100 ms, whether it was
// waiting for headers, for JSON or in a stream. Three tries forgive a machine that was busy elsewhere.
func TestLeavingCancels(t *testing.T) {
	shared(t)
	events := provider.ChatStream("up", few, "hello", " there")
	for _, tt := range []struct {
		name    string
		reply   provider.Reply
		stream  bool
		headers bool // the client sees the answer begin
	}{
		{"before headers", provider.NoAnswer(provider.Hang), false, false},
		{"in JSON", provider.Chat("up", "x", few).CutAfterBytes(20, provider.Hang), false, false},
		{"in a stream", events.CutAfter(2, provider.Hang), true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var took time.Duration
			for range 3 {
				if took = leave(t, model(t, tt.reply), tt.stream, tt.headers); took < 100*time.Millisecond {
					return
				}
			}
			t.Errorf("the provider's call ended %v after the client had left", took)
		})
	}
}

// leave makes a call, goes away while it is under way, and tells how long the provider took to notice.
func leave(t *testing.T, m string, stream, headers bool) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn := dial(t)
	body := question(m, fmt.Sprintf(`"stream":%t`, stream))
	if _, err := io.WriteString(conn, head(completions, fmt.Sprintf("Content-Length: %d", len(body)))+body); err != nil {
		t.Fatal(err)
	}
	arrived := func(all []provider.Request) bool {
		for _, r := range all {
			if r.Model == "up-"+m {
				return true
			}
		}
		return false
	}
	if _, err := world.pool.upstream.Wait(ctx, arrived); err != nil {
		t.Fatal(err)
	}
	if headers {
		in := bufio.NewReader(conn)
		for line := ""; !strings.HasPrefix(line, "data: "); {
			var err error
			if line, err = in.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
	}
	left := time.Now()
	_ = conn.Close()
	all, err := world.pool.upstream.Wait(ctx, cancelledFor(m, left))
	if err != nil {
		t.Fatal(errors.Join(errors.New("the provider's call was not cancelled"), err))
	}
	for _, r := range all {
		if r.Model == "up-"+m && !r.Cancelled.IsZero() {
			return r.Cancelled.Sub(left)
		}
	}
	return 0
}
