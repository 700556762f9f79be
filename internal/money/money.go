// Package money holds amounts exactly: sums of millions of calls must come out to the cent.
//
// An [Amount] is a whole number of billionths of a US dollar. Prices per token are smaller than that and
// stay floating-point numbers; a call's cost is rounded once, when it becomes an Amount. What something
// costs, and who may spend it, is decided elsewhere.
package money

import (
	"math"
	"strconv"
)

// Amount is a sum in billionths of a US dollar. The largest is 9.2 billion dollars.
type Amount int64

// The usual sums.
const (
	Zero   Amount = 0
	Cent   Amount = 10_000_000
	Dollar Amount = 1_000_000_000
	Most   Amount = math.MaxInt64
)

// FromDollars rounds half away from zero. What is not a number is zero, what is too large is [Most].
func FromDollars(d float64) Amount {
	n := math.Round(d * float64(Dollar))
	switch {
	case n != n:
		return Zero
	case n >= math.MaxInt64:
		return Most
	case n <= -math.MaxInt64:
		return -Most
	}
	return Amount(n)
}

// Dollars is the amount as the API shows it.
func (a Amount) Dollars() float64 { return float64(a) / float64(Dollar) }

// Plus adds without overflow: a sum too large to hold is [Most].
func (a Amount) Plus(b Amount) Amount {
	sum := a + b
	switch {
	case a > 0 && b > 0 && sum < 0:
		return Most
	case a < 0 && b < 0 && sum >= 0:
		return -Most
	}
	return sum
}

// String is the amount in dollars, with as many digits as it needs: "0.0125".
func (a Amount) String() string { return string(a.Append(nil)) }

// Append appends String to dst.
func (a Amount) Append(dst []byte) []byte {
	n := uint64(a)
	if a < 0 {
		dst, n = append(dst, '-'), -n
	}
	dst = strconv.AppendUint(dst, n/uint64(Dollar), 10)
	rest := n % uint64(Dollar)
	if rest == 0 {
		return dst
	}
	dst = append(dst, '.')
	for unit := uint64(Dollar) / 10; rest > 0; unit /= 10 {
		dst = append(dst, byte('0'+rest/unit))
		rest %= unit
	}
	return dst
}
