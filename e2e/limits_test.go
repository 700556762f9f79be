package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegw/sluice/envoy/envoytest/provider"
	"github.com/sluicegw/sluice/internal/testtools"
)

// ask sends a body to one gateway with a key.
func (g *gateway) ask(t testing.TB, key, path, body string) answer {
	t.Helper()
	return requestTo(t, g, http.MethodPost, path, strings.NewReader(body), "content-type", "application/json", "authorization", "Bearer "+key)
}

// generate makes a key with the master key's right.
func (g *gateway) generate(t testing.TB, body string) string {
	t.Helper()
	a := g.ask(t, masterKey, "/key/generate", body)
	var made struct{ Key string }
	if err := json.Unmarshal([]byte(a.body), &made); err != nil || made.Key == "" {
		t.Fatalf("/key/generate: %d %s", a.status, a.body)
	}
	return made.Key
}

// known waits until a gateway knows a key that another has made.
func (g *gateway) known(t testing.TB, key string) {
	t.Helper()
	for until := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		a := requestTo(t, g, http.MethodGet, "/v1/models", nil, "authorization", "Bearer "+key)
		if a.status == http.StatusOK {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("the key is not known: %d %s", a.status, a.body)
		}
	}
}

func limitsConfig(upstream string) string {
	return fmt.Sprintf(`model_list:
  - {model_name: m, litellm_params: {model: openai/x, api_base: "%s/v1", api_key: %s}}
router_settings: {num_retries: 0}
general_settings: {master_key: %s}
`, upstream, providerKey, masterKey)
}

// TestKeyLimits: a key's rates, their headers, and the answer to a call above them.
func TestKeyLimits(t *testing.T) {
	up := provider.New(t)
	g := start(t, limitsConfig(up.URL))
	defer g.stop()
	g.showOnFailure(t)

	key := g.generate(t, `{"rpm_limit":2,"tpm_limit":5000,"key_alias":"search"}`)
	first := g.ask(t, key, completions, question("m"))
	if first.status != 200 || first.header.Get("x-ratelimit-remaining-requests") != "1" || first.header.Get("x-ratelimit-limit-requests") != "2" ||
		first.header.Get("x-litellm-key-rpm-limit") != "2" || first.header.Get("x-litellm-key-tpm-limit") != "5000" ||
		first.header.Get("x-ratelimit-api_key-limit-tokens") != "5000" {
		t.Errorf("%d %s\n%v", first.status, first.body, first.header)
	}
	g.ask(t, key, completions, question("m"))
	third := g.ask(t, key, completions, question("m"))
	if third.status != 429 || !strings.Contains(third.body, `"type":"throttling_error"`) || third.header.Get("rate_limit_type") != "requests" ||
		!strings.Contains(third.body, "Rate limit exceeded for api_key: search. Limit type: requests. Current limit: 2, Remaining: 0.") ||
		third.header.Get("reset_at") == "" {
		t.Errorf("%d %s\n%v", third.status, third.body, third.header)
	}
	if wait, err := strconv.Atoi(third.header.Get("retry-after")); err != nil || wait < 1 || wait > 61 {
		t.Errorf("retry-after: %q", third.header.Get("retry-after"))
	}
	if n := up.Count(); n != 2 {
		t.Errorf("the provider was asked %d times", n)
	}

	// A model's own limit is for that model of that key.
	one := g.generate(t, `{"model_rpm_limit":{"m":1}}`)
	if a := g.ask(t, one, completions, question("m")); a.status != 200 || a.header.Get("x-litellm-key-remaining-requests-m") != "0" {
		t.Errorf("%d %v", a.status, a.header)
	}
	if a := g.ask(t, one, completions, question("m")); a.status != 429 || !strings.Contains(a.body, "model_per_key") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestLimitsAreShared: three gateways let through together what one would; Redis going away does not stop calls,
// and its data coming back empty does not add places for calls that are under way.
func TestLimitsAreShared(t *testing.T) {
	if testing.Short() {
		t.Skip("starts three gateways, PostgreSQL and Valkey")
	}
	up := provider.New(t)
	redis, postgres := testtools.Valkey(t), testtools.Postgres(t)
	env := []string{"REDIS_URL=" + redis.URL, "DATABASE_URL=" + postgres.Database()}
	gateways := make([]*gateway, 3)
	for i := range gateways {
		gateways[i] = startWith(t, env, limitsConfig(up.URL))
		defer gateways[i].stop()
		gateways[i].showOnFailure(t)
	}
	key := gateways[0].generate(t, `{"rpm_limit":60}`)
	for _, g := range gateways {
		g.known(t, key)
	}
	var passed, refused atomic.Int64
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			for range 10 {
				switch a := gateways[i%3].ask(t, key, completions, question("m")); a.status {
				case 200:
					passed.Add(1)
				case 429:
					refused.Add(1)
				default:
					t.Errorf("%d %s", a.status, a.body)
				}
			}
		})
	}
	all.Wait()
	if passed.Load() != 60 || refused.Load() != 60 {
		t.Errorf("%d passed and %d were refused of 120, 60 a minute", passed.Load(), refused.Load())
	}

	gateways[0].awaitMetric(t, "sluice_gateways 3")
	redis.Pause()
	share := gateways[0].generate(t, `{"rpm_limit":9}`)
	passed.Store(0)
	for range 6 {
		if a := gateways[0].ask(t, share, completions, question("m")); a.status == 200 {
			passed.Add(1)
		}
	}
	if passed.Load() != 3 {
		t.Errorf("%d calls of a share of 3 passed without Redis", passed.Load())
	}
	redis.Resume()
}

// awaitMetric waits until a gateway's metrics have a line.
func (g *gateway) awaitMetric(t testing.TB, line string) {
	t.Helper()
	for until := time.Now().Add(patience); !strings.Contains(requestTo(t, g, http.MethodGet, "/metrics", nil).body, "\n"+line+"\n"); {
		if time.Now().After(until) {
			t.Fatalf("there is no %q in the metrics", line)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
