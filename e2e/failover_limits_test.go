package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicegw/sluice/envoy/envoytest/provider"
)

// crowd is a provider that knows how many requests it has had, and how many at once at most.
type crowd struct {
	*httptest.Server
	now, most, all atomic.Int64
	hold           atomic.Pointer[chan struct{}] // what its answers wait for; nil: a moment
}

func newCrowd(t *testing.T) *crowd {
	c := &crowd{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.all.Add(1)
		n := c.now.Add(1)
		over := sync.OnceFunc(func() { c.now.Add(-1) })
		defer over()
		for most := c.most.Load(); n > most && !c.most.CompareAndSwap(most, n); most = c.most.Load() {
		}
		_, _ = io.Copy(io.Discard, r.Body)
		if hold := c.hold.Load(); hold != nil {
			select {
			case <-*hold:
			case <-r.Context().Done():
				return
			}
		} else {
			time.Sleep(5 * time.Millisecond)
		}
		over() // before its client can know
		w.Header().Set("content-type", "application/json")
		_, _ = io.WriteString(w, `{"id":"x","object":"chat.completion","created":1,"model":"up","choices":[{"index":0,"message":{"role":"assistant","content":"well"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}`)
	}))
	t.Cleanup(c.Close)
	return c
}

// idle waits until nothing is under way.
func (c *crowd) idle() {
	for until := time.Now().Add(patience); c.now.Load() != 0 && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
}

// TestFailoversKeepLimits: calls that fail over at the same moment do not overrun the limits of the deployment that they
// are led to, and places come back, whoever leaves in between.
func TestFailoversKeepLimits(t *testing.T) {
	const calls, room = 10, 2
	down := provider.New(t)
	down.Always(provider.Error(500, "server_error", "", "down").After(20 * time.Millisecond))
	counted, parallel := newCrowd(t), newCrowd(t)
	g := start(t, fmt.Sprintf(`model_list:
  - {model_name: counted, litellm_params: {model: openai/x, api_base: "%[1]s/v1", api_key: %[4]s, order: 1}}
  - {model_name: counted, litellm_params: {model: openai/x, api_base: "%[2]s/v1", api_key: %[4]s, order: 2, rpm: 2}}
  - {model_name: parallel, litellm_params: {model: openai/x, api_base: "%[1]s/v1", api_key: %[4]s, order: 1}}
  - {model_name: parallel, litellm_params: {model: openai/x, api_base: "%[3]s/v1", api_key: %[4]s, order: 2, max_parallel_requests: 2}}
  - {model_name: again, litellm_params: {model: openai/x, api_base: "%[1]s/v1", api_key: %[4]s, max_parallel_requests: 1}}
router_settings: {num_retries: 1, disable_cooldowns: true}
general_settings: {master_key: %[5]s}
`, down.URL, counted.URL, parallel.URL, providerKey, masterKey))
	t.Cleanup(g.stop)
	g.showOnFailure(t)

	atOnce := func(model string, patience func(i int) time.Duration) (good int64) {
		var wg sync.WaitGroup
		var ok atomic.Int64
		for i := range calls {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), patience(i))
				defer cancel()
				req, _ := http.NewRequestWithContext(ctx, http.MethodPost, g.url+completions, strings.NewReader(question(model)))
				req.Header.Set("authorization", "Bearer "+masterKey)
				res, err := client.Do(req)
				if err != nil {
					return
				}
				defer res.Body.Close()
				text, _ := io.ReadAll(res.Body)
				switch {
				case res.StatusCode == 200:
					ok.Add(1)
				case res.StatusCode != 500 || !strings.Contains(string(text), "down"):
					t.Errorf("%s: %d %s", model, res.StatusCode, text)
				}
			})
		}
		wg.Wait()
		return ok.Load()
	}
	stays := func(int) time.Duration { return patience }

	if good := atOnce("counted", stays); good != room || counted.all.Load() != room {
		t.Errorf("rpm 2: %d calls were answered, the provider had %d", good, counted.all.Load())
	}
	for round := range 100 {
		if round%2 == 0 {
			atOnce("parallel", stays)
			continue
		}
		most := parallel.most.Load()
		atOnce("parallel", func(i int) time.Duration {
			if i%3 == 0 {
				return time.Duration(18+i) * time.Millisecond // leaves while its call fails over
			}
			return patience
		})
		parallel.idle()
		parallel.most.Store(most) // the provider learns a little later than sluice that a client has left
	}
	if most := parallel.most.Load(); most > room {
		t.Errorf("max_parallel_requests 2: the provider had %d at once", most)
	}
	if all := parallel.all.Load(); all < 100 {
		t.Errorf("of 100 rounds, %d calls reached the other deployment: places were lost", all)
	}

	// Both places are free: two calls meet there.
	parallel.idle()
	parallel.most.Store(0)
	hold := make(chan struct{})
	parallel.hold.Store(&hold)
	go func() {
		defer close(hold)
		for until := time.Now().Add(patience); parallel.now.Load() < room && time.Now().Before(until); {
			time.Sleep(time.Millisecond)
		}
	}()
	if good := atOnce("parallel", stays); good < room || parallel.most.Load() != room {
		t.Errorf("after all that, %d calls were answered, %d at once", good, parallel.most.Load())
	}

	// A retry at the same deployment is not kept away by the place of the attempt that has failed.
	down.Reset()
	down.Always(append(provider.Error(500, "server_error", "", "down").Times(1), wellWhole())...)
	if a := g.ask(t, masterKey, completions, question("again")); a.status != 200 {
		t.Errorf("again: %d %s", a.status, a.body)
	}
	g.alive(t)
}
