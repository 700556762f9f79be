package adapters

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"hash/crc32"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/sluicegw/sluice/internal/apierror"
)

// some is one of the list's elements, chosen by the input, where inputs are made up by the thousand; else all.
func some[T any](list []T, input []byte) []T {
	if f := flag.Lookup("test.fuzz"); f == nil || f.Value.String() == "" {
		return list
	}
	i := int(crc32.ChecksumIEEE(input) % uint32(len(list)))
	return list[i : i+1]
}

func validJSON(b []byte) bool { return json.Valid(b) }

// goldenInputs are the requests of the goldens: seeds.
func goldenInputs(tb testing.TB) [][]byte { return goldenFiles(tb, "in.json") }

func goldenFiles(tb testing.TB, name string) (list [][]byte) {
	tb.Helper()
	paths, _ := filepath.Glob("testdata/*/*.txtar")
	for _, path := range paths {
		a, err := txtar.ParseFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		for _, f := range a.Files {
			if f.Name == name {
				list = append(list, f.Data)
			}
		}
	}
	if len(list) == 0 {
		tb.Fatalf("no golden has %s", name)
	}
	return list
}

func fuzzTargets(tb testing.TB) (list []*Target) {
	tb.Helper()
	for _, p := range []Params{
		{Model: "openai/gpt-4o", DropParams: true, Defaults: map[string]json.RawMessage{"temperature": []byte("1")}},
		{Model: "openai/o3"},
		{Model: "anthropic/claude-sonnet-4-20250514"},
		{Model: "anthropic/claude-opus-4-8", DropParams: true, ExtraBody: []byte(`{"a":1}`)},
		{Model: "mistral/x", DropParams: true},
		{Model: "groq/llama", AdditionalDropParams: []string{"user"}},
		{Model: "deepseek/x"},
		{Model: "gemini/gemini-2.5-flash", DropParams: true},
		{Model: "gemini/gemini-3-pro-preview", ExtraBody: []byte(`{"generationConfig":{"topK":1},"labels":{"a":"b"}}`)},
		{Model: "gemini/gemini-1.5-pro", DropParams: true},
		{Model: "vertex_ai/gemini-2.5-pro", APIKey: "k", Settings: map[string]string{"vertex_project": "p"}, DropParams: true},
		{Model: "vertex_ai/claude-sonnet-4-5", APIKey: "k", Settings: map[string]string{"vertex_project": "p"}},
		{Model: "vertex_ai/text-embedding-005", APIKey: "k", Settings: map[string]string{"vertex_project": "p"}},
		{Model: "bedrock/anthropic.claude-3-7-sonnet-20250219-v1:0", APIKey: "k", DropParams: true},
		{Model: "bedrock/amazon.nova-pro-v1:0", APIKey: "k"},
		{Model: "bedrock/invoke/anthropic.claude-opus-4-8", APIKey: "k", DropParams: true},
		{Model: "bedrock/amazon.titan-text-express-v1", APIKey: "k", DropParams: true},
		{Model: "bedrock/amazon.titan-embed-text-v2:0", APIKey: "k", Fanout: "/f"},
		{Model: "bedrock/cohere.embed-v4:0", APIKey: "k"},
	} {
		t, err := New(p)
		if err != nil {
			tb.Fatal(err)
		}
		list = append(list, t)
	}
	return list
}

func headers(pairs ...string) func(string) string {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h.Get
}

func replyTo(t *testing.T, model, body string) *Reply {
	t.Helper()
	target, err := New(Params{Model: model, APIKey: "sk-test-0123456789"})
	if err != nil {
		t.Fatal(err)
	}
	r, e := Parse(Chat, []byte(body))
	if e != nil {
		t.Fatal(e)
	}
	return target.Reply(r, `al"ias`)
}

const (
	askWhole  = `{"model":"m","messages":[{"role":"user","content":"Hi"}]}`
	askStream = `{"model":"m","messages":[{"role":"user","content":"Hi"}],"stream":true}`
	answered  = `{"id":"1","model":"x","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}`
)

func TestGzip(t *testing.T) {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write([]byte(answered))
	_ = w.Close()
	for _, encoding := range []string{"gzip", ""} {
		p := replyTo(t, "openai/gpt-4o", askWhole)
		p.Begin(200, headers("content-type", "application/json", "content-encoding", encoding))
		out, err := p.Whole(z.Bytes())
		if err != nil || !strings.Contains(string(out), `"model":"al\"ias"`) {
			t.Errorf("%v %s", err, out)
		}
	}
	p := replyTo(t, "openai/gpt-4o", askWhole)
	p.Begin(200, headers("content-encoding", "gzip"))
	if _, err := p.Whole(z.Bytes()[:z.Len()-10]); err == nil || err.Kind != apierror.BadReply {
		t.Errorf("cut: %v", err)
	}
	p = replyTo(t, "openai/gpt-4o", askStream)
	if f := p.Begin(200, headers("content-type", "text/event-stream", "content-encoding", "gzip")); f != Whole {
		t.Error("a packed stream cannot be read in pieces")
	}
}

func TestGzipBomb(t *testing.T) {
	if testing.Short() {
		t.Skip("unpacks 128 MiB")
	}
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	chunk := make([]byte, 1<<20)
	for range MaxWhole>>20 + 1 {
		_, _ = w.Write(chunk)
	}
	_ = w.Close()
	p := replyTo(t, "openai/gpt-4o", askWhole)
	p.Begin(200, headers("content-encoding", "gzip"))
	if _, err := p.Whole(z.Bytes()); err == nil || !strings.Contains(err.Message, "more than 128 MiB") {
		t.Errorf("%v", err)
	}
}

func TestBeginAndContentType(t *testing.T) {
	for _, c := range []struct {
		ask     string
		status  int
		media   string
		framing Framing
		content string
	}{
		{askStream, 200, "text/event-stream; charset=utf-8", Events, "text/event-stream"},
		{askStream, 200, "application/json", Whole, "text/event-stream"},
		{askStream, 429, "text/event-stream", Whole, "text/event-stream"},
		{askWhole, 200, "text/event-stream", Whole, "application/json"},
		{askWhole, 200, "application/json", Whole, "application/json"},
	} {
		p := replyTo(t, "openai/gpt-4o", c.ask)
		if f := p.Begin(c.status, headers("content-type", c.media)); f != c.framing || p.ContentType() != c.content {
			t.Errorf("%+v: %v %s", c, f, p.ContentType())
		}
	}
}

func TestStreamEnds(t *testing.T) {
	stream := headers("content-type", "text/event-stream")
	p := replyTo(t, "openai/gpt-4o", askStream)
	p.Begin(200, stream)
	if out := string(p.End(nil)); !strings.Contains(out, "closed the stream") || !strings.HasSuffix(out, done) {
		t.Errorf("an empty stream: %s", out)
	}
	if out := p.End(p.Events(p.Fail(nil, apierror.New("x", 500, "late")), []byte("data: {}\n\n"))); out != nil {
		t.Errorf("after the end: %s", out)
	}
	p = replyTo(t, "openai/gpt-4o", askStream)
	p.Begin(200, stream)
	out := string(p.Fail([]byte("before\n"), apierror.New(apierror.Timeout, 408, "too slow")))
	if !strings.HasPrefix(out, "before\ndata: {\"error\":{\"message\":\"too slow\"") || p.Err() == nil || p.Err().Status != 408 {
		t.Errorf("failed: %s", out)
	}
	p = replyTo(t, "openai/gpt-4o", askStream)
	p.Begin(200, stream)
	big := bytes.Repeat([]byte("x"), 1<<20)
	got := p.Events(nil, []byte("data: "))
	for range 17 {
		got = p.Events(got, big)
	}
	if !strings.Contains(string(got), "larger than 16 MiB") || len(got) > 1000 {
		t.Errorf("an endless event: %.200s", got)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		name, value string
		want        time.Duration
	}{
		{"retry-after", "7", 7 * time.Second},
		{"retry-after", " 0.5 ", 500 * time.Millisecond},
		{"retry-after", now.Add(90 * time.Second).Format(http.TimeFormat), 90 * time.Second},
		{"retry-after", now.Add(-time.Hour).Format(http.TimeFormat), 0},
		{"retry-after", "-1", 0},
		{"retry-after", "soon", 0},
		{"retry-after", "NaN", 0},
		{"retry-after", "1e300", 24 * time.Hour},
		{"retry-after-ms", "1500", 1500 * time.Millisecond},
		{"x", "", 0},
	} {
		if got := retryAfter(headers(c.name, c.value), now); got != c.want {
			t.Errorf("%s: %s: %s", c.name, c.value, got)
		}
	}
}

func TestErrorsHoldNoCredential(t *testing.T) {
	target, err := New(Params{
		Model: "openai/gpt-4o", APIKey: "sk-test-0123456789",
		ExtraHeaders: map[string]string{"X-Gateway": "Bearer hush-hush-token"},
	})
	if err != nil {
		t.Fatal(err)
	}
	r, _ := Parse(Chat, []byte(askWhole))
	for _, body := range []string{
		`{"error":{"message":"bad sk-test-0123456789 and hush-hush-token"}}`,
		`<h1>bad sk-test-0123456789 and hush-hush-token</h1>`,
		`{"detail":{"sent":"sk-test-0123456789 hush-hush-token"}}`,
	} {
		p := target.Reply(r, "m")
		p.Begin(401, headers())
		if _, err := p.Whole([]byte(body)); err == nil || strings.Contains(err.Message, "0123") || strings.Contains(err.Message, "hush") {
			t.Errorf("%v", err)
		}
		p = target.Reply(r, "m")
		p.Begin(200, headers())
		if _, err := p.Whole([]byte(body)); err == nil || strings.Contains(err.Message, "0123") || strings.Contains(err.Message, "hush") {
			t.Errorf("200: %v", err)
		}
	}
}

func TestLongErrorsAreCut(t *testing.T) {
	p := replyTo(t, "openai/gpt-4o", askWhole)
	p.Begin(500, headers())
	if _, err := p.Whole([]byte("<p>" + strings.Repeat("é ", 1<<20))); err == nil || len(err.Message) > 400 {
		t.Errorf("%d bytes", len(err.Message))
	}
	p = replyTo(t, "openai/gpt-4o", askWhole)
	p.Begin(500, headers())
	if _, err := p.Whole([]byte(`{"error":{"message":"` + strings.Repeat("é", 1<<20) + `"}}`)); err == nil || len(err.Message) > 5000 {
		t.Errorf("%d bytes", len(err.Message))
	}
}

// FuzzReply: whatever a provider sends, there is no panic, the cuts do not matter, and the client gets
// valid events or one valid error.
func FuzzReply(f *testing.F) {
	for _, name := range []string{"upstream.sse", "upstream.json", "upstream.txt"} {
		for _, s := range goldenFiles(f, name) {
			f.Add(s, uint64(1))
		}
	}
	targets := fuzzTargets(f)
	chat, _ := Parse(Chat, []byte(`{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"Hi"}]}`))
	plain, _ := Parse(Chat, []byte(askWhole))
	schema, _ := Parse(Chat, []byte(`{"model":"m","stream":true,"messages":[{"role":"user","content":"Hi"}],"response_format":{"type":"json_schema","json_schema":{"schema":{"type":"object"}}}}`))
	f.Fuzz(func(t *testing.T, body []byte, seed uint64) {
		for _, target := range some(targets, body) {
			for _, r := range []*Request{chat, schema} {
				whole := fuzzStream(target, r, body, func(rest int) int { return rest })
				checkStream(t, target.Provider(), whole)
				rnd := rand.New(rand.NewPCG(seed, 3))
				if cut := fuzzStream(target, r, body, func(rest int) int { return 1 + rnd.IntN(rest) }); !bytes.Equal(cut, whole) {
					t.Fatalf("%s: cut:\n%s\nwhole:\n%s", target.Provider(), cut, whole)
				}
			}
			for _, status := range []int{200, 400, 529} {
				for _, media := range []string{"application/json", "text/event-stream"} {
					p := target.Reply(plain, "m")
					p.Begin(status, headers("content-type", media))
					out, err := p.Whole(bytes.Clone(body))
					if err != nil {
						if err.Status < 400 || err.Status > 599 || !json.Valid(err.JSON()) {
							t.Fatalf("error %d %s", err.Status, err.JSON())
						}
					} else if !json.Valid(out) || status != 200 {
						t.Fatalf("%s: %d: %s", target.Provider(), status, out)
					}
				}
				p := target.Reply(chat, "m")
				p.Begin(status, headers("content-type", "application/json"))
				if out, err := p.Whole(bytes.Clone(body)); err == nil {
					checkStream(t, target.Provider(), out)
				}
			}
		}
	})
}

func fuzzStream(target *Target, r *Request, body []byte, cut func(int) int) []byte {
	p := target.Reply(r, "m")
	p.Begin(200, headers("content-type", "text/event-stream"))
	var out []byte
	for len(body) > 0 {
		n := cut(len(body))
		out = p.Events(out, bytes.Clone(body[:n]))
		body = body[n:]
	}
	return p.End(out)
}
