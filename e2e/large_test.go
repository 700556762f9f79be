package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/sluicegw/sluice/envoy/envoytest/provider"
)

// TestTenMegabytes pass both ways by default, whole and streamed, to both kinds of provider.
func TestTenMegabytes(t *testing.T) {
	shared(t)
	const size = 10 << 20
	large := strings.Repeat("0123456789abcde\n", size/16)
	for _, tt := range []struct {
		name          string
		model         func(testing.TB, ...provider.Reply) string
		whole, stream provider.Reply
	}{
		{"OpenAI", model, provider.Chat("up", large, few), provider.ChatStream("up", few, pieces(large, 16<<10)...)},
		{"Anthropic", claude, provider.Message("up", large, few), provider.MessageStream("up", few, pieces(large, 16<<10)...)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := tt.model(t, tt.whole)
			body := fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":%q}]}`, m, large)
			if got := wantChat(t, post(t, completions, body)); got != large {
				t.Errorf("%d bytes of text came back, not %d", len(got), len(large))
			}
			sent := received(m)
			if len(sent) != 1 || len(sent[0].Body) < size {
				t.Errorf("the provider got %d requests", len(sent))
			}
			if got := wantStream(t, chat(t, tt.model(t, tt.stream), `"stream":true`)); got.text != large || !got.done {
				t.Errorf("%d bytes of text came in the stream, not %d: %v", len(got.text), len(large), got.err)
			}
		})
	}
}

// slowReaders is how many clients read slowly at once.
const slowReaders = 500

// TestOneSetting: --max-body-size raises every limit together; then, on the same gateway, memory stays
// bounded while five hundred clients read slowly what the providers sent fast.
func TestOneSetting(t *testing.T) {
	if testing.Short() {
		t.Skip("it moves gigabytes")
	}
	upstream := provider.New(t, provider.Options{Keep: 2})
	// With an eager collector, what is resident is close to what is held.
	g := startWith(t, []string{"GOGC=25"}, fmt.Sprintf(`
model_list:
  - model_name: big
    litellm_params: {model: openai/big, api_base: "%s/v1", api_key: %s}
  - model_name: json
    litellm_params: {model: openai/json, api_base: "%[1]s/v1", api_key: %[2]s}
  - model_name: events
    litellm_params: {model: openai/events, api_base: "%[1]s/v1", api_key: %[2]s}
general_settings: {master_key: %s}
`, upstream.URL, providerKey, masterKey), "--max-body-size", "70MiB")
	defer g.stop()
	g.showOnFailure(t)
	megabyte := strings.Repeat("m", 1<<20)
	upstream.On(provider.Match{Model: "json"}, provider.Chat("json", megabyte, few))
	upstream.On(provider.Match{Model: "events"}, provider.ChatStream("events", few, pieces(megabyte, 4<<10)...))

	readSlowly(t, g, "json", false)
	readSlowly(t, g, "events", true)

	large := strings.Repeat("x", 64<<20)
	upstream.On(provider.Match{Model: "big"}, provider.Chat("big", large, few))
	body := fmt.Sprintf(`{"model":"big","messages":[{"role":"user","content":"%s"}]}`, large)
	a := requestTo(t, g, http.MethodPost, completions, strings.NewReader(body), "authorization", "Bearer "+masterKey)
	if got := wantChat(t, a); len(got) != len(large) {
		t.Errorf("%d bytes of text came back, not %d", len(got), len(large))
	}
	over := io.LimitReader(endless{}, 71<<20)
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url+completions, over) // no length: chunked
	req.Header.Set("authorization", "Bearer "+masterKey)
	if res, err := client.Do(req); err == nil { // or the connection broke while the rest was sent
		wantError(t, readAnswer(t, res), http.StatusRequestEntityTooLarge)
	}
	g.alive(t)
}

func pieces(text string, size int) []string {
	var out []string
	for ; len(text) > size; text = text[size:] {
		out = append(out, text[:size])
	}
	return append(out, text)
}

// readSlowly has many clients start an answer and stop reading; it measures the memory of both processes
// while all of them stand still, and then reads everything to its end.
func readSlowly(t *testing.T, g *gateway, model string, stream bool) {
	t.Helper()
	before := memory(t, g)
	body := question(model, fmt.Sprintf(`"stream":%t`, stream))
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	conns := make([]*slowReader, slowReaders)
	var wg sync.WaitGroup
	for i := range conns {
		wg.Go(func() { conns[i] = slowly(t, ctx, g, body) })
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	during := memory(t, g)
	t.Logf("%d slow readers of %s: sluice %d MB (before %d), Envoy %d MB (before %d)", slowReaders, model,
		during.sluice>>20, before.sluice>>20, during.envoy>>20, before.envoy>>20)
	// Each answer is a megabyte. What a provider sends faster than its client reads, Envoy holds once or
	// twice (1.1 to 1.6 MB a reader, measured); through sluice it only passes (0.7 MB a reader measured for
	// JSON and 1.6 for events, most of it not yet collected).
	if during.sluice-before.sluice > 3*slowReaders<<20 || during.envoy-before.envoy > 3*slowReaders<<20 {
		t.Error("memory is not bounded")
	}
	limit := make(chan struct{}, 32)
	for _, c := range conns {
		wg.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			c.finish(t)
		})
	}
	wg.Wait()
}

type slowReader struct {
	res    *http.Response
	in     *bufio.Reader
	cancel func()
}

// slowly begins a call on a connection with a small window and reads the first kilobyte.
func slowly(t *testing.T, ctx context.Context, g *gateway, body string) *slowReader {
	conn, err := dialer.DialContext(ctx, "tcp", g.addr)
	if err != nil {
		t.Error(err)
		return nil
	}
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	_, err = io.WriteString(conn, head(completions, fmt.Sprintf("Content-Length: %d", len(body)))+body)
	if err != nil {
		t.Error(err)
		return nil
	}
	in := bufio.NewReaderSize(conn, 1<<10)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Errorf("a slow reader got no answer: %v", err)
		return nil
	}
	if _, err := io.CopyN(io.Discard, res.Body, 1<<10); err != nil {
		t.Errorf("a slow reader got status %d and %v", res.StatusCode, err)
	}
	return &slowReader{res, in, func() { _ = conn.Close() }}
}

// finish reads the rest, which must be all of it.
func (s *slowReader) finish(t *testing.T) {
	if s == nil {
		return
	}
	defer s.cancel()
	rest, err := io.ReadAll(s.res.Body)
	if err != nil || len(rest) < 1<<20-2<<10 {
		t.Errorf("a slow reader got %d bytes more and %v", len(rest), err)
	}
	if !bytes.Contains(rest[max(0, len(rest)-600):], []byte(`usage`)) && !bytes.HasSuffix(rest, []byte("data: [DONE]\n\n")) {
		t.Errorf("the answer ends in %q", rest[max(0, len(rest)-100):])
	}
}

// sizes are resident bytes.
type sizes struct{ sluice, envoy int }

func memory(t *testing.T, g *gateway) sizes {
	t.Helper()
	s := sizes{sluice: resident(t, g.pid)}
	for _, pid := range children(t, g.pid) {
		s.envoy += resident(t, pid)
	}
	if s.envoy == 0 {
		t.Error("the gateway has no Envoy")
	}
	return s
}

// children are the processes that a process has started, and theirs.
func children(t *testing.T, pid int) []int {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	var out []int
	for _, file := range lists {
		text, _ := os.ReadFile(file) // a thread that has ended has no children
		for field := range strings.FieldsSeq(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				out = append(append(out, child), children(t, child)...)
			}
		}
	}
	return out
}

func resident(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.Atoi(fields[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// dialer gives connections little room, so that a reader that stands still is felt by the gateway.
var dialer = &net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 16<<10)
	})
}}
