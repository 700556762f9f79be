package e2e

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/sluicegw/sluice/envoy/envoytest/provider"
)

// TestClientThatIsBehind: an HTTP/2 client reads nothing of a large answer, and asks on for what is refused, or what is
// held until it is whole.
func TestClientThatIsBehind(t *testing.T) {
	t.Run("refused", func(t *testing.T) { behind(t, 0, failure(400, []string{"no"})) })
	t.Run("held", func(t *testing.T) { behind(t, 1, provider.Chat("small", "good", few)) })
	t.Run("a redirect", func(t *testing.T) { behind(t, 0, provider.JSON(302, "").With("location", "/")) })
	t.Run("held, large", func(t *testing.T) { behind(t, 1, provider.Chat("large", strings.Repeat("good ", 1<<20), few)) })
}

func behind(t *testing.T, retries int, answer provider.Reply) {
	up := provider.New(t, provider.Options{Keep: 4})
	g := start(t, fmt.Sprintf(`model_list:
  - {model_name: large, litellm_params: {model: openai/large, api_base: "%s/v1", api_key: %s}}
  - {model_name: refused, litellm_params: {model: openai/refused, api_base: "%[1]s/v1", api_key: %[2]s}}
router_settings: {num_retries: %[3]d, disable_cooldowns: true}
general_settings: {master_key: %[4]s}
`, up.URL, providerKey, retries, masterKey))
	defer g.stop()
	g.showOnFailure(t)
	up.On(provider.Match{Model: "large"}, provider.ChatStream("large", few, pieces(strings.Repeat("0123456789abcde ", 1<<20), 16<<10)...))
	up.On(provider.Match{Model: "refused"}, answer)

	conn, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	c := h2Writer{t, http2.NewFramer(conn, nil)}
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	c.must(c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30}))
	c.must(c.WriteWindowUpdate(0, 1<<30))
	c.must(c.WriteSettingsAck())
	c.ask(1, question("large", `"stream":true`))
	asked := func(n int) {
		for deadline := time.Now().Add(patience); up.Count() < n && time.Now().Before(deadline); {
			time.Sleep(10 * time.Millisecond)
		}
		if got := up.Count(); got < n {
			t.Fatalf("the provider was asked %d times, not %d", got, n)
		}
	}
	asked(1)
	time.Sleep(500 * time.Millisecond) // for the answer to fill what is between
	const refusals = 20
	for i := range refusals {
		c.ask(uint32(3+2*i), question("refused", `"stream":false`))
		asked(2 + i)
	}
	time.Sleep(200 * time.Millisecond) // for the last refusal to come back
	g.alive(t)
}

// h2Writer asks on an HTTP/2 connection without reading from it.
type h2Writer struct {
	t *testing.T
	*http2.Framer
}

func (c h2Writer) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c h2Writer) ask(stream uint32, body string) {
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	for _, h := range [][2]string{{":method", "POST"}, {":path", completions}, {":scheme", "http"}, {":authority", "sluice"},
		{"authorization", "Bearer " + masterKey}, {"content-type", "application/json"}} {
		c.must(e.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}))
	}
	c.must(c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true}))
	c.must(c.WriteData(stream, true, []byte(body)))
}
