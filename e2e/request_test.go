package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sluicegw/sluice/envoy/envoytest/provider"
)

// TestBadBodies: what is no request is told what is wrong with it, and nothing reaches a provider.
func TestBadBodies(t *testing.T) {
	shared(t)
	deep := strings.Repeat(`[`, 200_000)
	for _, tt := range []struct {
		name, body string
		param      string // "": null
		words      string
	}{
		{"not JSON", `{"model": "m0", "messages"`, "", "not a valid JSON"},
		{"text", `hello`, "", "not a valid JSON"},
		{"an array", `[]`, "", "JSON object"},
		{"null", `null`, "", "JSON object"},
		{"two documents", `{"model":"m0"}{"model":"m1"}`, "", "JSON"},
		{"no model", `{"messages":[{"role":"user","content":"x"}]}`, "model", "model"},
		{"model is a number", `{"model":7,"messages":[]}`, "model", "string"},
		{"model is null", `{"model":null,"messages":[]}`, "model", "model"},
		{"messages is a string", `{"model":"m0","messages":"x"}`, "messages", "array"},
		{"messages is empty", `{"model":"m0","messages":[]}`, "messages", "at least one"},
		{"a message is a number", `{"model":"m0","messages":[3]}`, "messages[0]", "object"},
		{"stream is a string", `{"model":"m0","messages":[{"role":"user","content":"x"}],"stream":"yes"}`, "stream", "true or false"},
		{"unknown model", question("no-such-model"), "", "no-such-model"},
		{"own api_base", question("m0", `"api_base":"http://127.0.0.1:1"`), "api_base", "may not be set"},
		{"own api_key", question("m0", `"api_key":"x"`), "api_key", "may not be set"},
		{"timeout is a word", question("m0", `"timeout":"soon"`), "timeout", "seconds"},
		{"retries are negative", question("m0", `"num_retries":-1`), "num_retries", "num_retries"},
		{"deep nesting", `{"model":"m0","messages":` + deep, "", "JSON"},
		{"deep nesting, closed", `{"model":"m0","messages":` + deep + strings.Repeat(`]`, 200_000) + `}`, "", ""},
		{"a lone surrogate in a key", `{"model":"m0","\ud800":1,"messages":3}`, "messages", "array"},
		{"a zero byte", "{\"model\":\"m0\x00\"}", "", "JSON"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := wantError(t, post(t, completions, tt.body), http.StatusBadRequest, tt.words)
			if got := text(e.Param); tt.param != "" && got != tt.param {
				t.Errorf("param %q, want %q", got, tt.param)
			}
		})
	}
	t.Cleanup(func() {
		if n := len(received("m0")); n > 0 {
			t.Errorf("%d of these reached the provider", n)
		}
	})
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// TestDuplicateModel: the name that was checked is the name that counts; a second one cannot differ.
func TestDuplicateModel(t *testing.T) {
	mine, other := model(t), model(t)
	a := post(t, completions, `{"model":"`+mine+`","model":"`+other+`","messages":[{"role":"user","content":"x"}]}`)
	if a.status == http.StatusOK {
		served := a.header.Get("x-litellm-model-id")
		if n := len(received(mine)) + len(received(other)); n != 1 {
			t.Errorf("%d requests reached the providers", n)
		}
		for _, r := range received(served) {
			if strings.Count(string(r.Body), `"model"`) != 1 {
				t.Errorf("the provider was sent %s", r.Body)
			}
		}
		return
	}
	wantError(t, a, http.StatusBadRequest, "model")
}

// TestInvalidUTF8 reaches the provider as it came, or is refused; it breaks nothing.
func TestInvalidUTF8(t *testing.T) {
	m := model(t)
	a := post(t, completions, "{\"model\":\""+m+"\",\"messages\":[{\"role\":\"user\",\"content\":\"\xff\xfe\xed\xa0\x80\"}]}")
	if a.status != http.StatusOK {
		wantError(t, a, http.StatusBadRequest)
	}
	wantError(t, post(t, completions, "{\"model\":\"\xff\xfe\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}"), http.StatusBadRequest)
}

// TestShapesOfRequests are odd, and fine or refused in the right shape.
func TestShapesOfRequests(t *testing.T) {
	shared(t)
	m := model(t)
	for _, tt := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
	}{
		{"empty body", "POST", completions, "", nil, 400},
		{"no content-type", "POST", completions, question(m), []string{"content-type", ""}, 200},
		{"another content-type", "POST", completions, question(m), []string{"content-type", "text/plain"}, 200},
		{"query string", "POST", completions + "?a=b&c=%00", question(m), nil, 200},
		{"trailing slash", "POST", completions + "/", question(m), nil, 404},
		{"double slash", "POST", "//v1//chat/completions", question(m), nil, 200},
		{"dot segments", "POST", "/v1/x/../chat/./completions", question(m), nil, 200},
		{"without v1", "POST", "/chat/completions", question(m), nil, 200},
		{"GET on a model path", "GET", completions, "", nil, 405},
		{"PUT on a model path", "PUT", completions, question(m), nil, 405},
		{"DELETE on a model path", "DELETE", "/v1/embeddings", "", nil, 405},
		{"no such path", "POST", "/v1/no/such/path", question(m), nil, 404},
		{"encoded path", "POST", "/v1/chat%2Fcompletions", question(m), nil, 404},
		{"a provider's path", "POST", "/v1/messages", question(m), nil, 404},
		{"gzip that is none", "POST", completions, question(m), []string{"content-encoding", "gzip"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			headers := append([]string{"content-type", "application/json", "authorization", "Bearer " + masterKey}, tt.headers...)
			a := request(t, tt.method, tt.path, strings.NewReader(tt.body), headers...)
			switch {
			case tt.status == http.StatusOK:
				wantChat(t, a)
			case tt.status == 0 && a.status == http.StatusOK:
			case tt.status == 0:
				wantError(t, a, a.status)
			default:
				wantError(t, a, tt.status)
			}
		})
	}
}

// TestSmuggledHeaders: none of a client's headers that could steer Envoy or name another call reaches the
// provider or has an effect.
func TestSmuggledHeaders(t *testing.T) {
	m, other := model(t, provider.Error(500, "", "", "down")), model(t)
	headers := []string{
		"x-envoy-max-retries", "9",
		"x-envoy-retry-on", "5xx",
		"x-envoy-upstream-rq-timeout-ms", "1",
		"x-envoy-upstream-rq-per-try-timeout-ms", "1",
		"x-envoy-original-path", "/metrics",
		"x-envoy-attempt-count", "7",
		"x-envoy-decorator-operation", "x",
		"x-sluice-group", other,
		"x-sluice-next-attempt", "1",
		"x-sluice-filter", "upstream",
		"x-request-id", "0000-smuggled",
		"x-forwarded-for", "203.0.113.9",
		"x-forwarded-host", "evil.example",
		"x-forwarded-proto", "https",
		"forwarded", "for=203.0.113.9",
		"cookie", "session=" + clientToken,
		"x-api-key", clientToken,
		"api-key", clientToken,
		"x-goog-api-key", clientToken,
		"openai-organization", "smuggled",
		"anthropic-version", "smuggled",
		"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		"accept-encoding", "gzip",
		"user-agent", "smuggler",
		"te", "trailers",
		"x-litellm-tags", "smuggled",
		"x-custom", "smuggled",
	}
	wantError(t, post(t, completions, question(m), headers...), 500)
	all := received(m)
	if len(all) != 1 || len(received(other)) != 0 {
		t.Fatalf("%d attempts at %s, %d at %s", len(all), m, len(received(other)), other)
	}
	allowed := map[string]bool{"Content-Type": true, "Content-Length": true, "Authorization": true,
		"X-Request-Id": true, "Accept": true, "Accept-Encoding": true, "User-Agent": true}
	for name, values := range all[0].Header {
		if !allowed[name] {
			t.Errorf("the provider got %s: %q", name, values)
		}
		for _, v := range values {
			if strings.Contains(v, "smuggle") || strings.Contains(v, clientToken) || strings.Contains(v, masterKey) {
				t.Errorf("the provider got the client's %s: %q", name, v)
			}
		}
	}
	if got := all[0].Header.Get("accept-encoding"); got != "" && got != "identity" {
		t.Errorf("accept-encoding %q reached the provider", got)
	}
	if all[0].Key != providerKey {
		t.Errorf("the provider got the key %q", all[0].Key)
	}
	// What a Connection header names is the hop's own (RFC 9110, 7.6.1): the key is gone, and nothing else.
	wantError(t, post(t, completions, question(m), "connection", "authorization, x-request-id"), 401)
}

// TestOverTheLimit: a body that is too large is refused with and without a length, and by the length
// alone, before anything was sent.
func TestOverTheLimit(t *testing.T) {
	shared(t)
	const tooMuch = 40 << 20
	t.Run("with a length", func(t *testing.T) {
		in := bufio.NewReader(declare(t, fmt.Sprintf("Content-Length: %d", tooMuch)))
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		wantError(t, readAnswer(t, res), http.StatusRequestEntityTooLarge)
	})
	t.Run("with an absurd length", func(t *testing.T) {
		in := bufio.NewReader(declare(t, "Content-Length: 9223372036854775807"))
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		wantError(t, readAnswer(t, res), http.StatusRequestEntityTooLarge)
	})
	t.Run("50 MB, sent whole", func(t *testing.T) {
		conn := declare(t, fmt.Sprintf("Content-Length: %d", 50_000_000))
		go func() { _, _ = io.CopyN(conn, endless{}, 50_000_000) }()
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		wantError(t, readAnswer(t, res), http.StatusRequestEntityTooLarge)
	})
	t.Run("chunked", func(t *testing.T) {
		conn := declare(t, "Transfer-Encoding: chunked")
		go func() {
			piece := strings.Repeat("x", 1<<20)
			for sent := 0; sent < tooMuch; sent += len(piece) {
				if _, err := fmt.Fprintf(conn, "%x\r\n%s\r\n", len(piece), piece); err != nil {
					return
				}
			}
		}()
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		wantError(t, readAnswer(t, res), http.StatusRequestEntityTooLarge, "limit")
	})
}

// declare sends the head of a chat completion.
func declare(t *testing.T, headers ...string) io.ReadWriter {
	t.Helper()
	conn := dial(t)
	if _, err := io.WriteString(conn, head(completions, append(headers, "Content-Type: application/json")...)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// endless is text without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// TestKeysAreReadFirst: a bad key is answered while the body is still on its way, however long it is.
func TestKeysAreReadFirst(t *testing.T) {
	shared(t)
	for _, tt := range []struct{ name, header string }{
		{"none", "X-Nothing: x"},
		{"wrong bearer", "Authorization: Bearer " + wrongKey},
		{"wrong x-api-key", "x-api-key: " + wrongKey},
		{"not sk-", "api-key: " + clientToken},
		{"basic", "Authorization: Basic dXNlcjpwYXNzd29yZA=="},
		{"empty bearer", "Authorization: Bearer "},
	} {
		for _, framing := range []string{"Transfer-Encoding: chunked", "Content-Length: 1000000"} {
			t.Run(tt.name+", "+framing, func(t *testing.T) {
				conn := dial(t)
				_, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: gateway\r\n%s\r\n%s\r\n\r\n", completions, tt.header, framing)
				if err != nil {
					t.Fatal(err)
				}
				// The body's first piece comes, its end never does.
				_, _ = io.WriteString(conn, "5\r\n{\"mod\r\n")
				res, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				wantError(t, readAnswer(t, res), http.StatusUnauthorized)
			})
		}
	}
}

// TestKeysAreRead wherever clients put them.
func TestKeysAreRead(t *testing.T) {
	m := model(t)
	for _, header := range [][2]string{
		{"authorization", "Bearer " + masterKey},
		{"authorization", "bearer " + masterKey},
		{"x-api-key", masterKey},
		{"api-key", masterKey},
		{"x-litellm-api-key", "Bearer " + masterKey},
		{"x-goog-api-key", masterKey},
		{"ocp-apim-subscription-key", masterKey},
	} {
		wantChat(t, request(t, http.MethodPost, completions, strings.NewReader(question(m)), header[0], header[1]))
	}
}

// TestClientLeavesWhileSending: half a request is no request.
func TestClientLeavesWhileSending(t *testing.T) {
	m := model(t)
	for _, framing := range []string{"Content-Length: 5000", "Transfer-Encoding: chunked"} {
		conn := dial(t)
		if _, err := io.WriteString(conn, head(completions, framing)+"20\r\n"+question(m)[:20]); err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
	}
	wantChat(t, chat(t, model(t)))
	if n := len(received(m)); n != 0 {
		t.Errorf("%d requests reached the provider", n)
	}
	shared(t).alive(t)
}
