package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// answer is what a client got.
type answer struct {
	status int
	header http.Header
	body   string
	err    error // of reading the body: a cut
}

// client leaves compression and redirects to the test.
var client = &http.Client{
	Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 4, ExpectContinueTimeout: patience},
	CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	},
}

const completions = "/v1/chat/completions"

// chat asks a model something; more is added to the request's fields, such as `"stream":true`.
func chat(t testing.TB, model string, more ...string) answer {
	t.Helper()
	return post(t, completions, question(model, more...))
}

func question(model string, more ...string) string {
	fields := append([]string{fmt.Sprintf(`"model":%q`, model), `"messages":[{"role":"user","content":"hello"}]`}, more...)
	return "{" + strings.Join(fields, ",") + "}"
}

// post sends a body with the master key; headers come as name, value.
func post(t testing.TB, path, body string, headers ...string) answer {
	t.Helper()
	return request(t, http.MethodPost, path, strings.NewReader(body),
		append([]string{"content-type", "application/json", "authorization", "Bearer " + masterKey}, headers...)...)
}

func get(t testing.TB, path string, headers ...string) answer {
	t.Helper()
	return request(t, http.MethodGet, path, nil, headers...)
}

// request reads the whole answer. An empty value removes a header.
func request(t testing.TB, method, path string, body io.Reader, headers ...string) answer {
	t.Helper()
	return requestTo(t, shared(t), method, path, body, headers...)
}

func requestTo(t testing.TB, g *gateway, method, path string, body io.Reader, headers ...string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, g.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i+1] == "" {
			req.Header.Del(headers[i])
			continue
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return readAnswer(t, res)
}

func readAnswer(t testing.TB, res *http.Response) answer {
	t.Helper()
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil && errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the answer did not end: %v", err)
	}
	a := answer{res.StatusCode, res.Header, string(body), err}
	remember(a)
	return a
}

// remember keeps answers, the beginnings of large ones, for the search for secrets in the end.
func remember(a answer) {
	var b bytes.Buffer
	_ = a.header.Write(&b)
	b.WriteString(a.body[:min(len(a.body), 64<<10)])
	_, _ = world.seen.Write(b.Bytes())
}

// apiError is OpenAI's error object.
type apiError struct {
	Message *string `json:"message"`
	Type    *string `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`
}

// wantError checks an answer to be an error of OpenAI's shape, with a status and words in its message.
func wantError(t testing.TB, a answer, status int, words ...string) apiError {
	t.Helper()
	e, err := parseError(a.body)
	if err != nil {
		t.Fatalf("status %d, %v: %.600q", a.status, err, a.body)
	}
	if a.status != status {
		t.Errorf("status %d (%s), want %d", a.status, a.body, status)
	}
	if ct := a.header.Get("content-type"); !strings.HasPrefix(ct, "application/json") {
		t.Errorf("content-type %q of an error", ct)
	}
	for _, word := range words {
		if !strings.Contains(*e.Message, word) {
			t.Errorf("the message %q does not have %q in it", *e.Message, word)
		}
	}
	return e
}

func parseError(body string) (apiError, error) {
	var shape struct {
		Error map[string]json.RawMessage `json:"error"`
	}
	d := json.NewDecoder(strings.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&shape); err != nil {
		return apiError{}, fmt.Errorf("no error of OpenAI's shape: %w", err)
	}
	var e apiError
	for _, name := range []string{"message", "type", "param", "code"} {
		if _, ok := shape.Error[name]; !ok {
			return e, fmt.Errorf("the error has no %s", name)
		}
	}
	whole, _ := json.Marshal(shape.Error)
	if err := json.Unmarshal(whole, &e); err != nil {
		return e, err
	}
	if e.Message == nil || *e.Message == "" || e.Type == nil || e.Code == nil {
		return e, errors.New("the error lacks a message, a type or a code")
	}
	return e, nil
}

// wantChat checks an answer to be a completion, and returns its text.
func wantChat(t testing.TB, a answer) string {
	t.Helper()
	var c struct {
		Object  string
		Model   string
		Choices []struct{ Message struct{ Content string } }
	}
	if err := json.Unmarshal([]byte(a.body), &c); err != nil || a.status != http.StatusOK || len(c.Choices) == 0 {
		t.Fatalf("no completion: status %d, %v, %v: %.600q", a.status, err, a.err, a.body)
	}
	return c.Choices[0].Message.Content
}

// stream is a read event stream.
type stream struct {
	text   string
	err    *apiError
	done   bool // [DONE] came, as the last event
	events int
}

// wantStream reads an answer as events.
func wantStream(t testing.TB, a answer) stream {
	t.Helper()
	if a.status != http.StatusOK || !strings.HasPrefix(a.header.Get("content-type"), "text/event-stream") {
		t.Fatalf("no stream: status %d, %q: %.600q", a.status, a.header.Get("content-type"), a.body)
	}
	var s stream
	for block := range strings.SplitSeq(strings.TrimSuffix(a.body, "\n\n"), "\n\n") {
		data, ok := strings.CutPrefix(block, "data: ")
		if !ok {
			t.Fatalf("not an event: %q in %.2000q", block, a.body)
		}
		if s.done {
			t.Errorf("an event after [DONE]: %q", data)
		}
		if data == "[DONE]" {
			s.done = true
			continue
		}
		s.events++
		if strings.HasPrefix(data, `{"error"`) {
			e, err := parseError(data)
			if err != nil {
				t.Errorf("%v: %s", err, data)
			}
			s.err = &e
			continue
		}
		var c struct {
			Choices []struct{ Delta struct{ Content string } }
		}
		if err := json.Unmarshal([]byte(data), &c); err != nil {
			t.Errorf("an event that is no JSON: %q", data)
		}
		for _, choice := range c.Choices {
			s.text += choice.Delta.Content
		}
	}
	return s
}

// dial opens a connection for what no HTTP client would send.
func dial(t testing.TB) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", shared(t).addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// raw sends text as it is and reads n answers.
func raw(t testing.TB, text string, n int) []answer {
	t.Helper()
	conn := dial(t)
	go func() { _, _ = io.WriteString(conn, text) }() // the answer may come before the end
	in := bufio.NewReader(conn)
	var out []answer
	for range n {
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("after %d answers: %v", len(out), err)
		}
		out = append(out, readAnswer(t, res))
	}
	return out
}

// head is the head of an HTTP/1.1 POST with the master key.
func head(path string, headers ...string) string {
	return "POST " + path + " HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer " + masterKey + "\r\n" +
		strings.Join(append(headers, "\r\n"), "\r\n")
}
