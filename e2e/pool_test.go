package e2e

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sluicegw/sluice/envoy/envoytest/provider"
)

// pool is a provider with many models in front of it.
type pool struct {
	upstream *provider.Server
	openai   atomic.Int32
	claude   atomic.Int32
}

const (
	openaiModels = 150
	claudeModels = 40
)

func newPool(t testing.TB) *pool {
	t.Helper()
	upstream, err := provider.Listen("127.0.0.1:0", provider.Options{Keep: 4000})
	if err != nil {
		t.Fatal(err)
	}
	return &pool{upstream: upstream}
}

// config has groups of one deployment each, so that a test can have some for itself, and no retries but
// those that a test asks for.
func (p *pool) config() string {
	var b strings.Builder
	b.WriteString("model_list:\n")
	for i := range openaiModels {
		p.deployment(&b, fmt.Sprintf("m%d", i), fmt.Sprintf("m%d", i), "openai", "/v1")
	}
	for i := range claudeModels {
		p.deployment(&b, fmt.Sprintf("c%d", i), fmt.Sprintf("c%d", i), "anthropic", "")
	}
	for _, member := range []string{"one", "two"} {
		p.deployment(&b, "pair", "pair-"+member, "openai", "/v1")
		p.deployment(&b, "cold", "cold-"+member, "openai", "/v1")
		p.deployment(&b, "measured", "measured-"+member, "openai", "/v1")
	}
	p.deployment(&b, "spare", "spare", "openai", "/v1")
	fmt.Fprintf(&b, "router_settings:\n  num_retries: 0\n  cooldown_time: 600\n  fallbacks:\n    - measured: [spare]\n")
	fmt.Fprintf(&b, "general_settings:\n  master_key: %s\n", masterKey)
	return b.String()
}

func (p *pool) deployment(b *strings.Builder, group, id, kind, path string) {
	fmt.Fprintf(b, `  - model_name: %s
    litellm_params: {model: %s/up-%s, api_base: "%s%s", api_key: %s}
    model_info: {id: %s}
`, group, kind, id, p.upstream.URL, path, providerKey, id)
}

// model is a group that no other test uses, answered with replies.
func model(t testing.TB, replies ...provider.Reply) string {
	t.Helper()
	shared(t)
	n := world.pool.openai.Add(1) // m0 is for requests that must not get through
	if n >= openaiModels {
		t.Fatal("the pool is empty: raise openaiModels")
	}
	return script(fmt.Sprintf("m%d", n), replies)
}

// claude is a model behind Anthropic's format.
func claude(t testing.TB, replies ...provider.Reply) string {
	t.Helper()
	shared(t)
	n := world.pool.claude.Add(1) - 1
	if n >= claudeModels {
		t.Fatal("the pool is empty: raise claudeModels")
	}
	return script(fmt.Sprintf("c%d", n), replies)
}

func script(name string, replies []provider.Reply) string {
	if len(replies) > 0 {
		world.pool.upstream.On(provider.Match{Model: "up-" + name}, replies...)
	}
	return name
}

// received are the requests that reached the provider for a deployment.
func received(id string) []provider.Request {
	var out []provider.Request
	for _, r := range world.pool.upstream.Requests() {
		if r.Model == "up-"+id {
			out = append(out, r)
		}
	}
	return out
}
