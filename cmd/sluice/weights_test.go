package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sluicegw/sluice/cmd/sluice/config"
	"github.com/sluicegw/sluice/policy/route"
)

// TestWeightsFollowTheStrategy: what Envoy shows is what the planner does, and nothing is published while
// nothing has moved.
func TestWeightsFollowTheStrategy(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(`
model_list:
  - {model_name: g, litellm_params: {model: openai/x, api_key: sk-a, weight: 3}, model_info: {id: heavy}}
  - {model_name: g, litellm_params: {model: openai/x, api_key: sk-b, weight: 1}, model_info: {id: light}}
  - {model_name: one, litellm_params: {model: openai/x, api_key: sk-c}}
router_settings: {cooldown_time: 60}
litellm_settings: {fallbacks: [{one: [g]}]}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	a, err := assemble(c, surroundings{})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_700_000_000, 0)
	health := route.NewHealth(func() time.Time { return now }, nil)
	health.Apply(a.snapshot.Table)
	var w weights
	for range 5 {
		if w.follow(a, health) {
			t.Fatal("a steady strategy moves the weights")
		}
	}
	health.Report(route.Outcome{DeploymentID: "heavy", Status: 429})
	published := 0
	for range 60 {
		if w.follow(a, health) {
			published++
			a.model.Groups = w.applied(a)
		}
	}
	if published == 0 || published > 8 {
		t.Errorf("published %d times", published)
	}
	for _, g := range a.model.Groups {
		members := g.Members
		if g.Name == "one" {
			members = g.Fallbacks[0].Members
		}
		if heavy, light := members[0].Weight, members[1].Weight; heavy > 10 || light < 85 {
			t.Errorf("%s: %d and %d, and heavy rests", g.Name, heavy, light)
		}
	}
}
