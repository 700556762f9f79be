package admin

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/sluicegw/sluice/policy/budget"
	"github.com/sluicegw/sluice/policy/keys"
	"github.com/sluicegw/sluice/policy/store"
)

// When a budget begins anew is told of the window at hand, however long ago it was set, and at the time of day that the
// configuration says.
func TestResetIsInTheFuture(t *testing.T) {
	a := newAPI(t, store.Options{})
	calendar := budget.Calendar{At: 12 * time.Hour}
	a.server.o.Storage.Calendar = func() budget.Calendar { return calendar }
	d := document{"budget_duration": "1d", "budget_reset_at": "2024-02-29T12:00:00.000000Z", "spend": json.Number("5")}
	raw, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	token := "sk-0123456789abcdef"
	if _, err := a.db.Objects().Change(t.Context(), func(c *store.Change) error {
		return c.Put(store.Object{Kind: keys.KindKey, ID: keys.Hash(token), Doc: raw})
	}); err != nil {
		t.Fatal(err)
	}
	if err := a.server.o.Storage.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	info, _ := a.want(200, master, "/key/info?key="+token, "")["info"].(document)
	at := keys.ParseTime(text(info, "budget_reset_at"))
	if now := time.Now(); !at.After(now) || at.After(now.Add(24*time.Hour+time.Minute)) || at.Hour() != 12 {
		t.Errorf("budget_reset_at is %s", at)
	}
	// What had been spent before belongs to that day, not to the window that a change begins.
	a.want(200, master, "/key/update", `{"key":"`+token+`","budget_duration":"1mo"}`)
	if k := a.dir.ByHash(keys.Hash(token)); k.Spent != 0 || k.Budget.ResetAt.Day() != 1 {
		t.Errorf("%v are spent until %v", k.Spent, k.Budget.ResetAt)
	}
}
