// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"archive/zip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// cases are schedules with what they mean, written down a second time: by the
// hands of a clock.
var cases = []struct {
	schedule string
	realTime bool
	matches  func(wall time.Time) bool
}{
	{"0 * * * *", true, func(w time.Time) bool { return w.Minute() == 0 }},
	{"*/20 * * * *", true, func(w time.Time) bool { return w.Minute()%20 == 0 }},
	{"30 */2 * * *", true, func(w time.Time) bool { return w.Minute() == 30 && w.Hour()%2 == 0 }},
	{"0 0 * * *", false, func(w time.Time) bool { return w.Minute() == 0 && w.Hour() == 0 }},
	{"30 1 * * *", false, func(w time.Time) bool { return w.Minute() == 30 && w.Hour() == 1 }},
	{"15,45 0-3,23 * * *", false, func(w time.Time) bool {
		return (w.Minute() == 15 || w.Minute() == 45) && (w.Hour() <= 3 || w.Hour() == 23)
	}},
	{"*/30 2 * * *", false, func(w time.Time) bool { return w.Minute()%30 == 0 && w.Hour() == 2 }},
	{"0 2 1 * SUN", false, func(w time.Time) bool {
		return w.Minute() == 0 && w.Hour() == 2 && (w.Day() == 1 || w.Weekday() == time.Sunday)
	}},
}

// oracle watches a clock of the zone minute by minute. A wall time of a fixed
// schedule comes when the clock first shows it or more; one on real time
// whenever the clock shows it.
func oracle(from, to time.Time, loc *time.Location, found []map[time.Time]bool) {
	shown := hands(from.Add(-24*time.Hour), loc) // the latest time that was shown
	for t := from.Add(-24 * time.Hour); t.Before(to); t = t.Add(time.Minute) {
		now := hands(t, loc)
		for i, c := range cases {
			if c.realTime && !t.Before(from) && c.matches(now) {
				found[i][t] = true
			}
		}
		for w := shown.Add(time.Minute); !w.After(now); w = w.Add(time.Minute) {
			for i, c := range cases {
				if !c.realTime && !t.Before(from) && c.matches(w) {
					found[i][t] = true
				}
			}
		}
		if now.After(shown) {
			shown = now
		}
	}
}

// hands is what a clock of the zone shows.
func hands(t time.Time, loc *time.Location) time.Time {
	_, offset := t.In(loc).Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// TestAllZones compares two years of every zone with the oracle: all the days
// around each change of its clocks, and a sample of the others, on which
// nothing sets them apart. Some zones are compared on every day.
func TestAllZones(t *testing.T) {
	start, end := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC)
	everyDay := map[string]bool{"America/New_York": true, "Africa/Cairo": true, "Australia/Lord_Howe": true}
	names := zoneNames(t)
	changes := 0
	for i, name := range names {
		if testing.Short() && i%10 != 0 && !everyDay[name] {
			continue
		}
		loc := zone(t, name)
		for day := start; day.Before(end); day = day.Add(24 * time.Hour) {
			_, before := day.Add(-36 * time.Hour).In(loc).Zone()
			_, after := day.Add(36 * time.Hour).In(loc).Zone()
			if before != after {
				changes++
			} else if !everyDay[name] && (day.YearDay()+i)%60 != 0 {
				continue
			}
			compare(t, day, day.Add(24*time.Hour), loc)
		}
		if t.Failed() {
			t.Fatalf("zone %s", name)
		}
	}
	if changes < 100 {
		t.Errorf("%d zones have %d days of change: that is no test", len(names), changes)
	}
	compare(t, time.Date(2011, 12, 28, 0, 0, 0, 0, time.UTC), time.Date(2012, 1, 2, 0, 0, 0, 0, time.UTC), zone(t, "Pacific/Apia"))
	compare(t, time.Date(1993, 8, 18, 0, 0, 0, 0, time.UTC), time.Date(1993, 8, 24, 0, 0, 0, 0, time.UTC), zone(t, "Pacific/Kwajalein"))
	compare(t, time.Date(2018, 2, 16, 0, 0, 0, 0, time.UTC), time.Date(2018, 2, 20, 0, 0, 0, 0, time.UTC), zone(t, "America/Sao_Paulo"))
}

func compare(t *testing.T, from, to time.Time, loc *time.Location) {
	t.Helper()
	want := make([]map[time.Time]bool, len(cases))
	for i := range want {
		want[i] = map[time.Time]bool{}
	}
	oracle(from, to, loc, want)
	for i, c := range cases {
		s, err := Parse(c.schedule)
		if err != nil {
			t.Fatal(err)
		}
		keys := map[string]bool{}
		got := 0
		for at := s.Next(from.Add(-1), loc); at.Before(to); at = s.Next(at, loc) {
			got++
			if !want[i][at] {
				t.Errorf("%s in %s comes at %s, and should not", c.schedule, loc, at.In(loc))
			}
			if k := Key(at, loc); keys[k] {
				t.Errorf("%s in %s has the key %s twice", c.schedule, loc, k)
			} else {
				keys[k] = true
			}
		}
		if got != len(want[i]) {
			t.Errorf("%s in %s comes %d times from %s on, want %d", c.schedule, loc, got, from, len(want[i]))
		}
	}
}

// zoneNames are all names of the database that comes with Go.
func zoneNames(t *testing.T) []string {
	root := os.Getenv("GOROOT")
	if root == "" {
		out, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
		if err != nil {
			t.Fatal(err)
		}
		root = strings.TrimSpace(string(out))
	}
	z, err := zip.OpenReader(filepath.Join(root, "lib", "time", "zoneinfo.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = z.Close() }()
	var names []string
	for _, f := range z.File {
		if zoneForm.MatchString(f.Name) {
			names = append(names, f.Name)
		}
	}
	if len(names) < 400 {
		t.Fatalf("only %d zones", len(names))
	}
	return names
}
