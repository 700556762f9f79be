package budget

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Window is how long a budget lasts until it begins anew. The zero Window is for all time.
//
// Days begin at midnight, seven days on a Monday, 30 days and months on the first of the month, as LiteLLM has
// them (https://docs.litellm.ai/docs/proxy/users#reset-budgets). Other numbers of days and months are counted
// from 1970 on; hours and less from midnight on, with a shorter window at the end of a day that they do not
// divide.
type Window struct {
	Months, Days int
	Span         time.Duration // a part of a day, or a whole number of hours that is no number of days
}

// IsZero tells whether the budget is for all time.
func (w Window) IsZero() bool { return w == Window{} }

// String is the window as budget_duration has it.
func (w Window) String() string {
	switch {
	case w.Months > 0:
		return strconv.Itoa(w.Months) + "mo"
	case w.Days > 0:
		return strconv.Itoa(w.Days) + "d"
	case w.Span == 0:
		return ""
	case w.Span%time.Hour == 0:
		return strconv.Itoa(int(w.Span/time.Hour)) + "h"
	}
	return strconv.Itoa(int(w.Span/time.Second)) + "s"
}

const day = 24 * time.Hour

var words = map[string]string{"hourly": "1h", "daily": "24h", "weekly": "7d", "monthly": "30d"}

// notADuration is LiteLLM's.
const notADuration = "Invalid budget_duration '%.40s'. Use a format like '1h', '24h', '7d', or '30d'."

// ParseWindow reads a budget_duration: 30s, 2h, 1d, 7d, 30d, 1w, 1mo, or a word such as "daily". 1m is one month
// (LiteLLM: a minute), and inMinutes tells that it was written so. Empty text is the zero Window.
func ParseWindow(s string) (w Window, inMinutes bool, err error) {
	text := strings.ToLower(strings.TrimSpace(s))
	if text == "" {
		return Window{}, false, nil
	}
	if word, ok := words[text]; ok {
		text = word
	}
	cut := strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' })
	if cut < 0 {
		cut = len(text)
	}
	n, err := strconv.Atoi(text[:cut])
	const most = 36500
	if err != nil || n <= 0 {
		return Window{}, false, fmt.Errorf(notADuration, s)
	}
	w, inMinutes, ok := window(n, text[cut:])
	if !ok {
		return Window{}, false, fmt.Errorf(notADuration, s)
	}
	if w.Days > most || w.Months > most/28 || w.Span < 0 || w.Span > most*day {
		return Window{}, false, errors.New("a budget_duration is at most a hundred years")
	}
	return w, inMinutes, nil
}

func window(n int, unit string) (w Window, inMinutes, ok bool) {
	if n > 1e9 {
		n = 1e9 // too long in every unit but seconds, and far from overflow
	}
	span := time.Duration(0)
	switch unit {
	case "", "s":
		span = time.Duration(n) * time.Second
	case "h":
		span = time.Duration(min(n, 1e6)) * time.Hour
	case "d":
		w.Days = n
	case "w":
		w.Days = 7 * n
	case "mo":
		w.Months = n
	case "m":
		return Window{Months: n}, true, true
	default:
		return w, false, false
	}
	if span > 0 && span%day == 0 {
		w.Days, span = int(span/day), 0
	}
	w.Span = span
	if w.Days == 30 {
		w = Window{Months: 1}
	}
	return w, false, true
}

// Calendar is where and when days begin.
type Calendar struct {
	Zone *time.Location // nil: UTC; litellm_settings.timezone
	// At is the time of day at which days, weeks and months begin: litellm_settings.budget_reset_time.
	At time.Duration
}

// Start is when the window that t is in began. It never goes back as t goes on.
func (c Calendar) Start(w Window, t time.Time) time.Time {
	if w.IsZero() {
		return time.Time{}
	}
	if w.Span > 0 {
		return c.part(w, t)
	}
	y, m, d := t.In(c.zone()).Date()
	for back := 0; ; back++ {
		// The day's beginning may be after t, or not exist on a day when clocks change.
		if start := c.begin(w, y, m, d-back); !start.After(t) {
			return start
		}
	}
}

// End is when the window that t is in ends, and the next begins. The zero Window never ends: the zero time.
func (c Calendar) End(w Window, t time.Time) time.Time {
	if w.IsZero() {
		return time.Time{}
	}
	start := c.Start(w, t)
	switch {
	case w.Span >= day:
		return start.Add(w.Span)
	case w.Span > 0:
		next := c.midnight(t, 1)
		if end := start.Add(w.Span); end.Before(next) {
			return end
		}
		return next
	}
	y, m, d := start.In(c.zone()).Date()
	if w.Months > 0 {
		return c.at(y, m+time.Month(w.Months), 1)
	}
	return c.at(y, m, d+w.Days)
}

func (c Calendar) zone() *time.Location {
	if c.Zone == nil {
		return time.UTC
	}
	return c.Zone
}

// begin is the beginning of the window of whole days or months that a date is in.
func (c Calendar) begin(w Window, y int, m time.Month, d int) time.Time {
	date := time.Date(y, m, d, 0, 0, 0, 0, time.UTC) // normalised, without a zone's gaps
	if w.Months > 0 {
		months := (date.Year()-1970)*12 + int(date.Month()) - 1
		return c.at(1970, time.Month(floor(months, w.Months)+1), 1)
	}
	days := int(floor64(date.Unix(), 86400) / 86400)
	first := 0
	if w.Days%7 == 0 {
		first = 4 // 5 January 1970 was a Monday
	}
	return c.at(1970, 1, floor(days-first, w.Days)+first+1)
}

// at is a date's beginning. On a day without a midnight it is the first moment after the gap.
func (c Calendar) at(y int, m time.Month, d int) time.Time {
	t := time.Date(y, m, d, 0, 0, 0, int(c.At), c.zone())
	want := time.Date(y, m, d, 0, 0, 0, int(c.At), time.UTC)
	if t.Day() != want.Day() || t.Hour() < want.Hour() {
		if later := t.Add(time.Hour); later.Day() == want.Day() {
			return later
		}
	}
	return t
}

func (c Calendar) midnight(t time.Time, days int) time.Time {
	y, m, d := t.In(c.zone()).Date()
	return Calendar{Zone: c.Zone}.at(y, m, d+days)
}

// part is the beginning of a window that is counted in hours or less: in time that passes, since the wall clock
// shows an hour twice on one day of the year.
func (c Calendar) part(w Window, t time.Time) time.Time {
	base := c.midnight(t, 0)
	if w.Span > day {
		base = Calendar{Zone: c.Zone}.at(1970, 1, 1)
	}
	if w.Span < day && base.After(t) {
		base = c.midnight(t, -1)
	}
	return base.Add(time.Duration(floor64(int64(t.Sub(base)), int64(w.Span))))
}

// floor is the multiple of n at or below v.
func floor(v, n int) int { return int(floor64(int64(v), int64(n))) }

func floor64(v, n int64) int64 {
	r := v % n
	if r < 0 {
		r += n
	}
	return v - r
}
