// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"fmt"
	"time"
)

// Day is a calendar day. It is comparable.
type Day struct {
	Year  int
	Month time.Month
	Day   int
}

// DayOf is the day that a calendar shows at an instant, in t's zone.
func DayOf(t time.Time) Day {
	y, m, d := t.Date()
	return Day{y, m, d}
}

// ParseDay reads YYYY-MM-DD.
func ParseDay(s string) (Day, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return Day{}, fmt.Errorf("date %q: want a calendar date such as 2026-03-31", s)
	}
	return DayOf(t), nil
}

func (d Day) utc() time.Time { return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC) }

// String returns the form that ParseDay reads.
func (d Day) String() string { return d.utc().Format(time.DateOnly) }

// Weekday of the day.
func (d Day) Weekday() time.Weekday { return d.utc().Weekday() }

// AddDays is the day n days later, or earlier where n is negative.
func (d Day) AddDays(n int) Day { return DayOf(d.utc().AddDate(0, 0, n)) }

// Moment is a day, moved by days, at a wall time in a zone.
type Moment struct {
	Day        Day
	OffsetDays int
	// OffsetBusinessDays moves the day to a day of work of Business, after
	// OffsetDays; nil: it stays whether it is one or not.
	OffsetBusinessDays *int
	Business           BusinessDays
	Hour, Minute       int
	Zone               *time.Location
}

// Instant resolves the moment. The error is ErrNoBusinessDay.
func (m Moment) Instant() (time.Time, error) {
	day := m.Day.AddDays(m.OffsetDays)
	if m.OffsetBusinessDays != nil {
		var err error
		if day, err = m.Business.Add(day, *m.OffsetBusinessDays); err != nil {
			return time.Time{}, err
		}
	}
	return At(day, m.Hour, m.Minute, m.Zone), nil
}

// DefaultEndOfDay is when a day of work ends where nobody says.
const DefaultEndOfDay = "18:00"

// ParseTimeOfDay reads HH:MM, 00:00 to 23:59.
func ParseTimeOfDay(s string) (hour, minute int, err error) {
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != len("15:04") {
		return 0, 0, fmt.Errorf("time %q: want HH:MM from 00:00 to 23:59", s)
	}
	return t.Hour(), t.Minute(), nil
}
