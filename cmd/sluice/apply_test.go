package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sluicegw/sluice/cmd/sluice/config"
	"github.com/sluicegw/sluice/extproc"
	"github.com/sluicegw/sluice/policy/observe"
	"github.com/sluicegw/sluice/policy/route"
	"github.com/sluicegw/sluice/xds"
)

// TestWhatCallsMayStillNeed stays in Envoy's configuration after another has replaced theirs, and a
// configuration that fails takes nothing of it away.
func TestWhatCallsMayStillNeed(t *testing.T) {
	health, metrics := route.NewHealth(nil, nil), observe.New("test")
	g := &gateway{log: slog.New(slog.DiscardHandler), xds: xds.NewServer(t.Context(), slog.New(slog.DiscardHandler)),
		health: health, metrics: metrics, proc: extproc.NewServer(extproc.Options{Health: health, Metrics: metrics})}
	first, second := assemblyOf(t, "first"), assemblyOf(t, "second")
	for _, a := range []*assembly{first, second} {
		if err := g.apply(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string) {
		t.Helper()
		now := g.withRetired(g.current.Load().model)
		for _, a := range []*assembly{first, second} {
			if !slices.ContainsFunc(now.Clusters, func(c xds.Cluster) bool { return c.Name == a.model.Clusters[0].Name }) {
				t.Errorf("%s: a cluster of %s is gone", when, a.model.Groups[0].Name)
			}
			if !slices.ContainsFunc(now.Groups, func(one xds.Group) bool { return one.Name == a.model.Groups[0].Name }) {
				t.Errorf("%s: the route of %s is gone", when, a.model.Groups[0].Name)
			}
		}
	}
	check("replaced")
	bad := assemblyOf(t, "first")
	bad.model.Limits.Body = 0
	if err := g.apply(t.Context(), bad); err == nil {
		t.Fatal("a model without limits was published")
	}
	if g.current.Load() != second {
		t.Error("what failed is in effect")
	}
	check("after a failure")
}

func assemblyOf(t *testing.T, group string) *assembly {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	text := "model_list:\n  - model_name: " + group + "\n    litellm_params: {model: openai/x, api_base: http://127.0.0.1:1/v1, api_key: k}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	a, err := assemble(c, surroundings{listener: xds.Listener{Address: "127.0.0.1", Port: 4000}})
	if err != nil {
		t.Fatal(err)
	}
	return a
}
