package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Month is the fixed length that a month has where a plain span is needed, such as a timeout. Budgets
// and the expiry of keys use Duration's Months on the calendar instead.
const Month = 30 * 24 * time.Hour

// Duration is a span as LiteLLM writes it: whole months, or a length of time, never both.
type Duration struct {
	Months int
	Span   time.Duration
}

// Length is the duration as one span, a month counted as [Month].
func (d Duration) Length() time.Duration { return d.Span + time.Duration(d.Months)*Month }

// IsZero tells whether no time was given.
func (d Duration) IsZero() bool { return d == Duration{} }

// AddTo is t moved on by d. A month ends on the last day of a shorter month: 31 January + 1mo is the end
// of February.
func (d Duration) AddTo(t time.Time) time.Time {
	if d.Months != 0 {
		day := t.Day()
		first := time.Date(t.Year(), t.Month()+time.Month(d.Months), 1, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), t.Location())
		last := first.AddDate(0, 1, -1).Day()
		t = first.AddDate(0, 0, min(day, last)-1)
	}
	return t.Add(d.Span)
}

var units = map[string]time.Duration{
	"": time.Second, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour,
}

// maxSpan keeps every duration far from overflow: a hundred years.
const maxSpan = 100 * 365 * 24 * time.Hour

// ParseDuration reads "30s", "5m" (minutes), "1h", "7d", "2w", "1mo" or a number of seconds such as "30"
// and "0.5". A negative, unknown or endless duration is an error that says what is understood.
//
// https://docs.litellm.ai/docs/proxy/users#reset-budgets lists the units.
func ParseDuration(s string) (Duration, error) {
	text := strings.TrimSpace(s)
	cut := strings.IndexFunc(text, func(r rune) bool { return r >= 'a' && r <= 'z' && r != 'e' })
	number, unit := text, ""
	if cut >= 0 {
		number, unit = strings.TrimSpace(text[:cut]), text[cut:]
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || strings.ContainsAny(number, "xX_pP") || math.IsNaN(n) {
		return Duration{}, fmt.Errorf("%q is not a duration; write 30s, 5m (minutes), 1h, 7d, 2w, 1mo or a number of seconds", s)
	}
	if n < 0 {
		return Duration{}, errors.New("a duration cannot be negative")
	}
	if unit == "mo" {
		if n != math.Trunc(n) || n > 1200 {
			return Duration{}, fmt.Errorf("%q: months are whole, at most 1200", s)
		}
		return Duration{Months: int(n)}, nil
	}
	size, ok := units[unit]
	if !ok {
		return Duration{}, fmt.Errorf("%q has the unknown unit %q; units are s, m (minutes), h, d, w, mo", s, unit)
	}
	if n*float64(size) > float64(maxSpan) {
		return Duration{}, fmt.Errorf("%q is longer than a hundred years", s)
	}
	return Duration{Span: time.Duration(n * float64(size))}, nil
}
