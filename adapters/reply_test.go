package adapters

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluicegw/sluice/internal/apierror"
)

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
