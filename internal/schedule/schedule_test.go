// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := Zone(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// TestDaylightSaving is what other schedulers get wrong: robfig/cron skips the
// day of a gap and comes twice on a repeat, gronx misses a real hour.
func TestDaylightSaving(t *testing.T) {
	for _, tc := range []struct {
		name, schedule, zone, from string
		want                       []string
	}{
		{"in the gap", "30 2 * * *", "America/New_York", "2026-03-07T12:00:00-05:00", []string{"2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00"}},
		{"two times of one gap come once", "15,30 2 * * *", "America/New_York", "2026-03-07T12:00:00-05:00", []string{"2026-03-08T03:00:00-04:00", "2026-03-09T02:15:00-04:00"}},
		{"a step in an hour that is skipped", "*/30 2 * * *", "America/New_York", "2026-03-07T12:00:00-05:00", []string{"2026-03-08T03:00:00-04:00", "2026-03-09T02:00:00-04:00"}},
		{"on the repeat", "30 1 * * *", "America/New_York", "2026-10-31T12:00:00-04:00", []string{"2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"}},
		{"asked for in the repeat", "30 1 * * *", "America/New_York", "2026-11-01T01:10:00-05:00", []string{"2026-11-02T01:30:00-05:00"}},
		{"hourly on the repeat", "0 * * * *", "America/New_York", "2026-11-01T00:30:00-04:00", []string{"2026-11-01T01:00:00-04:00", "2026-11-01T01:00:00-05:00", "2026-11-01T02:00:00-05:00"}},
		{"hourly in the gap", "0 * * * *", "America/New_York", "2026-03-08T00:30:00-05:00", []string{"2026-03-08T01:00:00-05:00", "2026-03-08T03:00:00-04:00"}},
		{"midnight in the gap", "0 0 * * *", "Africa/Cairo", "2026-04-23T12:00:00+02:00", []string{"2026-04-24T01:00:00+03:00", "2026-04-25T00:00:00+03:00"}},
		{"half an hour", "45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00+11:00", []string{"2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"}},
		{"a day that was left out", "0 9 30 * *", "Pacific/Apia", "2011-12-01T00:00:00-10:00", []string{"2011-12-31T00:00:00+14:00", "2012-01-30T09:00:00+14:00"}},
		{"a leap day", "0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", []string{"2104-02-29T00:00:00Z"}},
		{"day or weekday", "0 0 13 * FRI", "UTC", "2026-11-01T00:00:00Z", []string{"2026-11-06T00:00:00Z", "2026-11-13T00:00:00Z", "2026-11-20T00:00:00Z"}},
		{"strictly later", "0 9 * * *", "UTC", "2026-11-01T09:00:00Z", []string{"2026-11-02T09:00:00Z"}},
		{"within a second", "* * * * *", "UTC", "2026-11-01T08:59:59.5Z", []string{"2026-11-01T09:00:00Z", "2026-11-01T09:01:00Z"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := Parse(tc.schedule)
			if err != nil {
				t.Fatal(err)
			}
			loc := zone(t, tc.zone)
			at, err := time.Parse(time.RFC3339Nano, tc.from)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range tc.want {
				at = s.Next(at, loc)
				if got := at.In(loc).Format(time.RFC3339); got != want {
					t.Fatalf("comes at %s, want %s", got, want)
				}
			}
		})
	}
	if at := (Schedule{}).Next(time.Now(), time.UTC); !at.IsZero() {
		t.Errorf("no schedule comes at %s", at)
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "five cron fields",
		"@daily":                  "five cron fields",
		"0 9 * *":                 "got 4",
		"0 0 9 * * *":             "got 6",
		"TZ=UTC 9 * * *":          `minute "TZ=UTC"`,
		"61 9 * * *":              `minute "61"`,
		"0 24 * * *":              `hour "24"`,
		"0 9 0 * *":               `day of month "0"`,
		"0 9 * 13 *":              `month "13"`,
		"0 9 * * 7":               `weekday "7"`,
		"0 9 * * MON,":            "an item of the list is empty",
		"0 9 * * Mo":              `weekday "Mo"`,
		"+5 9 * * *":              "'+' has no meaning",
		"*/0 9 * * *":             `minute "*/0"`,
		"0 9 30 2 *":              "never comes",
		"0 9 31 4,6,9 *":          "never comes",
		strings.Repeat("1,", 500): "five cron fields",
		"0 9 5-3 * *":             `day of month "5-3"`,
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q", text, err, want)
		}
	}
	for _, text := range []string{"0 9 * * MON-FRI", "*/15 * * * *", "0 0 31 2 MON", "0  9 1,15 jan *", "59 23 29 2 ?"} {
		if _, err := Parse(text); err != nil {
			t.Error(err)
		}
	}
}

func TestKey(t *testing.T) {
	ny := zone(t, "America/New_York")
	first := time.Date(2026, 11, 1, 5, 30, 10, 0, time.UTC) // 01:30 in summer time
	for at, want := range map[time.Time]string{
		first:                                 "2026-11-01T01:30",
		first.Add(time.Hour):                  "2026-11-01T01:30-05:00",
		first.AddDate(0, 0, 1).Add(time.Hour): "2026-11-02T01:30",
		time.Date(2026, 3, 8, 7, 0, 0, 0, time.UTC): "2026-03-08T03:00",
	} {
		if got := Key(at, ny); got != want {
			t.Errorf("%s: %s, want %s", at, got, want)
		}
	}
}

func TestZone(t *testing.T) {
	for _, bad := range []string{"", "Local", "EST", "CET", "EST5EDT", "GMT", "posix/Europe/Berlin", "../etc/localtime", "Europe/Nowhere", "europe/berlin", "+02:00"} {
		if loc, err := Zone(bad); err == nil {
			t.Errorf("%q is %s", bad, loc)
		}
	}
	for _, good := range []string{"UTC", "Europe/Berlin", "America/Argentina/Ushuaia", "Etc/GMT+5"} {
		zone(t, good)
	}
}

func TestMoment(t *testing.T) {
	for _, tc := range []struct {
		day    Day
		offset int
		hour   int
		zone   string
		want   string
	}{
		{Day{2026, 3, 11}, -3, 2, "America/New_York", "2026-03-08T03:00:00-04:00"},
		{Day{2026, 2, 28}, 1, 9, "Asia/Tokyo", "2026-03-01T09:00:00+09:00"},
		{Day{2024, 3, 1}, -1, 18, "UTC", "2024-02-29T18:00:00Z"},
		{Day{2011, 12, 30}, 0, 9, "Pacific/Apia", "2011-12-31T00:00:00+14:00"},
	} {
		m := Moment{Day: tc.day, OffsetDays: tc.offset, Hour: tc.hour, Zone: zone(t, tc.zone)}
		if got, err := m.Instant(); err != nil || got.In(m.Zone).Format(time.RFC3339) != tc.want {
			t.Errorf("%v%+d: %s, %v; want %s", tc.day, tc.offset, got, err, tc.want)
		}
	}
	for _, bad := range []string{"", "2026-02-30", "2026-1-1", "tomorrow"} {
		if d, err := ParseDay(bad); err == nil {
			t.Errorf("%q is %s", bad, d)
		}
	}
	for _, bad := range []string{"", "24:00", "9:00", "09:60", "EndOfDay"} {
		if h, m, err := ParseTimeOfDay(bad); err == nil {
			t.Errorf("%q is %d:%d", bad, h, m)
		}
	}
}

// TestWallTimes compares wall times around every change of a clock of a year
// with what a search over the minutes finds.
func TestWallTimes(t *testing.T) {
	for _, name := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kolkata", "America/Santiago"} {
		loc := zone(t, name)
		for day := range 366 {
			d := time.Date(2026, 1, 1+day, 12, 0, 0, 0, time.UTC)
			_, before := d.AddDate(0, 0, -1).In(loc).Zone()
			if _, after := d.AddDate(0, 0, 1).In(loc).Zone(); before == after && day%60 != 0 {
				continue // nothing changes around that day
			}
			for _, minute := range []int{0, 30, 90, 120, 150, 180, 195, 1439} {
				got := At(DayOf(d), minute/60, minute%60, loc)
				if want := search(d, minute, loc); !got.Equal(want) {
					t.Errorf("%s %s %02d:%02d is %s, want %s", name, d.Format(time.DateOnly), minute/60, minute%60, got.In(loc), want.In(loc))
				}
			}
		}
	}
}

// search finds the first instant at which a clock shows the wall time or, where
// it is skipped, more.
func search(day time.Time, minute int, loc *time.Location) time.Time {
	want := time.Date(day.Year(), day.Month(), day.Day(), minute/60, minute%60, 0, 0, time.UTC)
	from := want.Add(-15 * time.Hour)
	for i := 0; ; i++ {
		if t := from.Add(time.Duration(i) * time.Minute); !wallOf(t.In(loc)).Before(want) {
			return t
		}
	}
}

func TestAddDays(t *testing.T) {
	ny := zone(t, "America/New_York")
	for from, want := range map[string]string{
		"2026-03-07T02:30:15-05:00": "2026-03-08T03:00:00-04:00", // into the gap
		"2026-10-31T01:30:15-04:00": "2026-11-01T01:30:15-04:00", // onto the repeat
		"2026-11-01T01:30:00-05:00": "2026-11-02T01:30:00-05:00", // from the second of it
		"2026-01-31T12:00:00-05:00": "2026-02-01T12:00:00-05:00",
	} {
		at, err := time.Parse(time.RFC3339, from)
		if err != nil {
			t.Fatal(err)
		}
		if got := AddDays(at, 1, ny).In(ny).Format(time.RFC3339); got != want {
			t.Errorf("a day after %s: %s, want %s", from, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"0 9 * * MON-FRI", "*/15 * * * *", "30 2 29 2 *", "TZ=x", "0 0 31 2,4 *", "1-5/2,7 ? * JAN *", "\x00 , / - *"} {
		f.Add(s)
	}
	loc, err := Zone("America/New_York")
	if err != nil {
		f.Fatal(err)
	}
	from := time.Date(2026, 3, 8, 6, 59, 0, 1, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		next := s.Next(from, loc)
		if !next.After(from) || !next.Equal(next.Truncate(time.Minute)) {
			t.Fatalf("%q comes at %s after %s", text, next, from)
		}
		if then := s.Next(next, loc); !then.After(next) || Key(then, loc) == Key(next, loc) {
			t.Fatalf("%q comes at %s, then at %s", text, next, then)
		}
		again, err := Parse(s.String())
		if err != nil || fmt.Sprint(again) != fmt.Sprint(s) {
			t.Fatalf("%q is read again as %q: %v", text, again, err)
		}
	})
}
