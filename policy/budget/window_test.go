package budget

import (
	"testing"
	"time"
	_ "time/tzdata"

	"pgregory.net/rapid"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	l, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Month ends, leap years, and the days on which clocks change.
func TestWindows(t *testing.T) {
	for _, tt := range []struct{ zone, duration, at, start, end string }{
		{"UTC", "1d", "2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"},
		{"UTC", "1d", "2026-02-28T23:59:59Z", "2026-02-28T00:00:00Z", "2026-03-01T00:00:00Z"},
		{"UTC", "24h", "2026-02-28T23:59:59Z", "2026-02-28T00:00:00Z", "2026-03-01T00:00:00Z"},
		{"UTC", "daily", "2024-02-29T12:00:00Z", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"},
		{"UTC", "7d", "2026-11-25T12:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"}, // Wednesday; Mondays
		{"UTC", "7d", "2026-11-23T00:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"},
		{"UTC", "1w", "2026-11-22T23:59:59Z", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"},
		{"UTC", "2w", "1970-01-06T00:00:00Z", "1970-01-05T00:00:00Z", "1970-01-19T00:00:00Z"},
		{"UTC", "30d", "2026-01-31T23:59:59Z", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"},
		{"UTC", "30d", "2026-02-28T23:00:00Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"},
		{"UTC", "1mo", "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{"UTC", "1m", "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{"UTC", "3mo", "2026-11-25T00:00:00Z", "2026-10-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{"UTC", "12mo", "2026-11-25T00:00:00Z", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{"UTC", "10d", "1970-01-15T00:00:00Z", "1970-01-11T00:00:00Z", "1970-01-21T00:00:00Z"},
		{"UTC", "1h", "2026-11-25T13:59:59Z", "2026-11-25T13:00:00Z", "2026-11-25T14:00:00Z"},
		{"UTC", "5h", "2026-11-25T22:00:00Z", "2026-11-25T20:00:00Z", "2026-11-26T00:00:00Z"}, // the day's last is short
		{"UTC", "30s", "2026-11-25T22:00:31Z", "2026-11-25T22:00:30Z", "2026-11-25T22:01:00Z"},
		{"UTC", "36h", "1970-01-02T13:00:00Z", "1970-01-02T12:00:00Z", "1970-01-04T00:00:00Z"},
		// New York: clocks go from 2:00 to 3:00 on 8 March, and from 2:00 back to 1:00 on 1 November 2026.
		{"America/New_York", "1d", "2026-03-08T12:00:00-04:00", "2026-03-08T00:00:00-05:00", "2026-03-09T00:00:00-04:00"},
		{"America/New_York", "1d", "2026-11-01T12:00:00-05:00", "2026-11-01T00:00:00-04:00", "2026-11-02T00:00:00-05:00"},
		{"America/New_York", "7d", "2026-03-08T12:00:00-04:00", "2026-03-02T00:00:00-05:00", "2026-03-09T00:00:00-04:00"},
		{"America/New_York", "1mo", "2026-03-31T23:59:59-04:00", "2026-03-01T00:00:00-05:00", "2026-04-01T00:00:00-04:00"},
		{"America/New_York", "1h", "2026-11-01T01:30:00-04:00", "2026-11-01T01:00:00-04:00", "2026-11-01T01:00:00-05:00"},
		{"America/New_York", "1h", "2026-11-01T01:30:00-05:00", "2026-11-01T01:00:00-05:00", "2026-11-01T02:00:00-05:00"},
		{"America/New_York", "6h", "2026-03-08T23:30:00-04:00", "2026-03-08T19:00:00-04:00", "2026-03-09T00:00:00-04:00"},
		// Beirut: midnight of 29 March 2026 does not exist, the day begins at 1:00.
		{"Asia/Beirut", "1d", "2026-03-29T12:00:00+03:00", "2026-03-29T01:00:00+03:00", "2026-03-30T00:00:00+03:00"},
		{"Asia/Beirut", "1d", "2026-03-28T23:59:59+02:00", "2026-03-28T00:00:00+02:00", "2026-03-29T01:00:00+03:00"},
		{"Asia/Kolkata", "1d", "2026-03-29T12:00:00+05:30", "2026-03-29T00:00:00+05:30", "2026-03-30T00:00:00+05:30"},
	} {
		c := Calendar{Zone: zone(t, tt.zone)}
		w, minutes, err := ParseWindow(tt.duration)
		if err != nil || minutes != (tt.duration == "1m") {
			t.Fatalf("%s: %v %v", tt.duration, minutes, err)
		}
		at, _ := time.Parse(time.RFC3339, tt.at)
		start, end := c.Start(w, at).Format(time.RFC3339), c.End(w, at).In(c.zone()).Format(time.RFC3339)
		if start != tt.start || end != tt.end {
			t.Errorf("%s %s at %s: %s to %s, want %s to %s", tt.zone, tt.duration, tt.at, start, end, tt.start, tt.end)
		}
	}
}

func TestResetTime(t *testing.T) {
	c := Calendar{Zone: zone(t, "Europe/Berlin"), At: 12 * time.Hour}
	w, _, _ := ParseWindow("1d")
	at := time.Date(2026, 11, 25, 11, 59, 0, 0, c.Zone)
	if got := c.Start(w, at).Format(time.RFC3339); got != "2026-11-24T12:00:00+01:00" {
		t.Error(got)
	}
	if got := c.End(w, at).Format(time.RFC3339); got != "2026-11-25T12:00:00+01:00" {
		t.Error(got)
	}
}

func TestDurationsThatAreNone(t *testing.T) {
	for _, s := range []string{"0d", "-1d", "1y", "d", "1.5h", "99999999999999999999d", "1000000d", "never", "1 d"} {
		if w, _, err := ParseWindow(s); err == nil {
			t.Errorf("%q is %v", s, w)
		}
	}
	if w, _, err := ParseWindow(""); err != nil || !w.IsZero() {
		t.Error("no duration is all time")
	}
}

// In every zone, windows follow each other without a gap and never go back.
func TestWindowsFollow(t *testing.T) {
	zones := []string{"UTC", "America/New_York", "Asia/Beirut", "Asia/Kolkata", "Australia/Lord_Howe", "America/Havana", "Pacific/Apia", "Africa/Cairo"}
	durations := []string{"1d", "7d", "30d", "1mo", "5mo", "3d", "1h", "5h", "36h", "90s"}
	rapid.Check(t, func(rt *rapid.T) {
		c := Calendar{Zone: zone(t, rapid.SampledFrom(zones).Draw(rt, "zone")), At: time.Duration(rapid.IntRange(0, 23).Draw(rt, "hour")) * time.Hour}
		w, _, _ := ParseWindow(rapid.SampledFrom(durations).Draw(rt, "duration"))
		at := time.Unix(rapid.Int64Range(0, 4e9).Draw(rt, "at"), 0)
		start, end := c.Start(w, at), c.End(w, at)
		if start.After(at) || !end.After(at) {
			rt.Fatalf("%s: %s is not within %s and %s", w, at, start, end)
		}
		if next := c.Start(w, end); !next.Equal(end) {
			rt.Fatalf("%s: a window ends at %s, and the next begins at %s", w, end, next)
		}
		if again := c.Start(w, start); !again.Equal(start) {
			rt.Fatalf("%s: at %s begins the window of %s", w, start, again)
		}
		if last := c.Start(w, end.Add(-time.Second)); !last.Equal(start) {
			rt.Fatalf("%s: before its end at %s the window began at %s, not %s", w, end, last, start)
		}
	})
}
