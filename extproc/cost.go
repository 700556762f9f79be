package extproc

import (
	"math"
	"strconv"
)

// cost is what the answer cost in US dollars so far, by what the provider has reported. known is false
// while it has reported nothing, and for models whose prices nobody knows.
func (c *Call) cost() (dollars float64, known bool) {
	d := c.deployment(c.answering)
	if d == nil || c.reply == nil || d.Prices == nil {
		return 0, false
	}
	u, ok := c.reply.Usage()
	if !ok {
		return 0, false
	}
	if u.Cost > 0 && !d.Prices.Fixed() {
		return u.Cost, true
	}
	t := u.Tokens(c.reply.ServiceTier())
	t.Seconds = since(c.sent).Seconds()
	return d.Prices.For(c.target(c.answering).Model(), c.reply.Model()).Dollars(t)
}

// inDollars writes a cost as LiteLLM does, in Python's way: 0.0125, 1.25e-05, 0.0. Twelve digits are more
// than a price list has, and fewer than a sum of floats makes up.
func inDollars(d float64) string {
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(d, 'g', 12, 64), 64)
	if err != nil {
		rounded = d
	}
	switch {
	case rounded == math.Trunc(rounded) && math.Abs(rounded) < 1e16:
		return strconv.FormatFloat(rounded, 'f', 1, 64)
	case math.Abs(rounded) < 1e-4:
		return strconv.FormatFloat(rounded, 'e', -1, 64)
	}
	return strconv.FormatFloat(rounded, 'f', -1, 64)
}
