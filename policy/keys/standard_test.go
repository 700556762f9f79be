package keys

import (
	"testing"

	"github.com/sluicegw/sluice/policy/store"
)

func TestCustomersWithoutABudget(t *testing.T) {
	d := NewDirectory(nil)
	d.Apply([]store.Object{
		{Kind: KindBudget, ID: "all", Version: 1, Doc: []byte(`{"max_budget": 2, "rpm_limit": 5, "budget_duration": "1d"}`)},
		{Kind: KindBudget, ID: "own", Version: 1, Doc: []byte(`{"rpm_limit": 7}`)},
		{Kind: KindCustomer, ID: "limited", Version: 1, Doc: []byte(`{"budget_id": "own"}`)},
		{Kind: KindCustomer, ID: "blocked", Version: 1, Doc: []byte(`{"blocked": true}`)},
	}, true)
	for _, test := range []struct {
		id, budget string
		max        float64 // below 0: none
		rpm        int64   // 0: none
	}{
		{"unknown", "", -1, 0},
		{"unknown", "gone", -1, 0},
		{"unknown", "all", 2, 5},
		{"blocked", "all", 2, 5},
		{"limited", "all", -1, 7},
		{"", "all", -1, 0},
	} {
		c, max, rpm := d.CustomerOr(test.id, test.budget), -1.0, int64(0)
		if c != nil && c.Budget.Max != nil {
			max = c.Budget.Max.Dollars()
		}
		if c != nil && c.Limits.RPM != nil {
			rpm = *c.Limits.RPM
		}
		if max != test.max || rpm != test.rpm {
			t.Errorf("%q with %q: budget %v, rpm %d", test.id, test.budget, max, rpm)
		}
	}
	if !d.CustomerOr("blocked", "all").Blocked {
		t.Error("a blocked customer is let in by everybody's budget")
	}
	d.Apply([]store.Object{{Kind: KindBudget, ID: "all", Version: 2, Doc: []byte(`{"max_budget": 3}`)}}, false)
	if c := d.CustomerOr("unknown", "all"); c.Budget.Max.Dollars() != 3 || c.Limits.RPM != nil {
		t.Error("a changed budget is not in effect")
	}
}
