// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import "time"

// maxOffset is more than any zone ever was from UTC.
const maxOffset = 16 * time.Hour

// At is the instant of a wall time of a day: the first at which clocks show it
// or more.
func At(d Day, hour, minute int, loc *time.Location) time.Time {
	return at(time.Date(d.Year, d.Month, d.Day, hour, minute, 0, 0, time.UTC), loc)
}

// AddDays is the instant n calendar days after t, at the same wall time.
func AddDays(t time.Time, n int, loc *time.Location) time.Time {
	return at(wallOf(t.In(loc)).AddDate(0, 0, n), loc)
}

// at is the first instant at which clocks show the wall time or more. Neither
// time.Date nor ZoneBounds alone gives it: the former picks either side of a
// change, the latter knows no wall times.
func at(wall time.Time, loc *time.Location) time.Time {
	for t := wall.Add(-maxOffset); ; {
		in := t.In(loc)
		_, offset := in.Zone()
		shows := wall.Add(-time.Duration(offset) * time.Second)
		_, end := in.ZoneBounds()
		switch {
		case !shows.After(t): // t is the end of a gap, or the very instant
			return t.UTC()
		case end.IsZero() || shows.Before(end):
			return shows.UTC()
		}
		t = end
	}
}

// wallOf is what clocks show at an instant, as if it were UTC.
func wallOf(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}
