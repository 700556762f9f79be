package money

import (
	"math"
	"testing"
)

func TestString(t *testing.T) {
	for amount, want := range map[Amount]string{
		0: "0", Dollar: "1", Cent: "0.01", 1: "0.000000001", -Cent: "-0.01", 12_500_000: "0.0125",
		Most: "9223372036.854775807", math.MinInt64: "-9223372036.854775808",
	} {
		if got := amount.String(); got != want {
			t.Errorf("%d: %q, want %q", int64(amount), got, want)
		}
	}
}

func TestFromDollars(t *testing.T) {
	for dollars, want := range map[float64]Amount{
		0.1: Dollar / 10, 1.5e-9: 2, -1.5e-9: -2, 1e30: Most, -1e30: -Most, math.Inf(1): Most,
	} {
		if got := FromDollars(dollars); got != want {
			t.Errorf("%v dollars: %d, want %d", dollars, got, want)
		}
	}
	if got := FromDollars(math.NaN()); got != 0 {
		t.Errorf("NaN dollars: %d, want 0", got)
	}
}

func TestPlusDoesNotOverflow(t *testing.T) {
	if Most.Plus(1) != Most || (-Most).Plus(-Most) != -Most || Cent.Plus(-Cent) != 0 {
		t.Error("Plus overflows or does not add")
	}
}
