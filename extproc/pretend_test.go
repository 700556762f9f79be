package extproc

import (
	"log/slog"
	"testing"

	"github.com/sluicegw/sluice/adapters"
	"github.com/sluicegw/sluice/policy/keys"
	"github.com/sluicegw/sluice/policy/observe"
	"github.com/sluicegw/sluice/policy/route"
)

// TestPretendedFailureKeepsLimits: who has one model count as failed to come to another is kept to the limits that hold
// for that one.
func TestPretendedFailureKeepsLimits(t *testing.T) {
	table, err := route.NewTable([]route.Deployment{{ID: "a", Group: "cheap"}, {ID: "b", Group: "dear"}}, route.DefaultSettings())
	if err != nil {
		t.Fatal(err)
	}
	health := route.NewHealth(nil, nil)
	health.Apply(table)
	s := NewServer(Options{Log: slog.New(slog.DiscardHandler), Health: health, Metrics: observe.New("test"), MaxHeld: 1 << 20})
	snapshot := &Snapshot{Table: table, Keys: keys.New(testKey), Deployments: map[string]*Deployment{}}
	for _, id := range []string{"a", "b"} {
		target, err := adapters.New(adapters.Params{Model: "openai/up", APIKey: "k", APIBase: "http://up.example/v1"})
		if err != nil {
			t.Fatal(err)
		}
		snapshot.Deployments[id] = &Deployment{ID: id, Target: target}
	}
	key := &keys.Key{Hash: "hash"}
	key.Limits.ModelRPM = map[string]int64{"dear": 1}
	admit := func(body string) int {
		c := &Call{server: s, snapshot: snapshot, key: key, op: adapters.Chat}
		if err := c.admit([]byte(body)); err != nil {
			return err.Status
		}
		return 200
	}
	const around = `{"model":"cheap","messages":[{"role":"user","content":"hi"}],"mock_testing_fallbacks":true,"fallbacks":["dear"]}`
	if first, second := admit(around), admit(around); first != 200 || second != 429 {
		t.Errorf("%d, then %d", first, second)
	}
	if got := admit(`{"model":"cheap","messages":[{"role":"user","content":"hi"}]}`); got != 200 {
		t.Errorf("the other model: %d", got)
	}
}
