// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// BusinessDays says which days are worked. It is a calendar and knows no zone:
// the day of an instant is the one that a calendar shows where somebody is.
type BusinessDays struct {
	// weekdays has a bit for each weekday that is worked; 0: Monday to Friday.
	weekdays uint8
	// holidays are not worked. Those of every year have the year 0.
	holidays map[Day]bool
}

// ErrNoBusinessDay says that a calendar has no day of work where one is looked
// for.
var ErrNoBusinessDay = errors.New("no day of work within three years: every day is a holiday or a free weekday")

// maxSearch bounds the search for the next day of work. A year of holidays that
// come every year is the longest stretch that does not last for ever, beside
// the holidays of single years.
const maxSearch = 3 * 366

var weekdayNames = [...]string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"}

// ParseWeekday reads Mon, Tue and so on.
func ParseWeekday(s string) (time.Weekday, error) {
	if i := slices.Index(weekdayNames[:], s); i >= 0 {
		return time.Weekday(i), nil
	}
	return 0, fmt.Errorf("weekday %q: want Mon, Tue, Wed, Thu, Fri, Sat or Sun", s)
}

// leapYear is a year that has every date that any has.
const leapYear = "2000-"

// parseHoliday reads a date, or the MM-DD of one that comes every year.
func parseHoliday(s string) (Day, error) {
	d, err := ParseDay(s)
	if err == nil && d.Year > 0 {
		return d, nil
	}
	if d, err = ParseDay(leapYear + s); err == nil && len(s) == len("12-25") {
		d.Year = 0
		return d, nil
	}
	return Day{}, fmt.Errorf("holiday %q: want a date such as 2027-03-26, or 12-25 for that day of every year", s)
}

// ParseBusinessDays reads the weekdays that are worked, Monday to Friday if
// there are none, and the holidays: dates, and MM-DD for every year. A calendar
// without any day of work is refused.
func ParseBusinessDays(weekdays, holidays []string) (BusinessDays, error) {
	b := BusinessDays{holidays: make(map[Day]bool, len(holidays))}
	for _, s := range weekdays {
		w, err := ParseWeekday(s)
		if err != nil {
			return BusinessDays{}, err
		}
		b.weekdays |= 1 << w
	}
	for _, s := range holidays {
		d, err := parseHoliday(s)
		if err != nil {
			return BusinessDays{}, err
		}
		b.holidays[d] = true
	}
	if b.never() {
		return BusinessDays{}, errors.New("no day is left to work on: every day of a year is a holiday")
	}
	return b, nil
}

// never reports that the holidays of every year leave no day.
func (b BusinessDays) never() bool {
	for d := (Day{2001, 1, 1}); d.Year == 2001; d = d.AddDays(1) {
		if !b.holidays[Day{0, d.Month, d.Day}] {
			return false
		}
	}
	return true
}

// String is for people: which weekdays are worked and how many holidays there
// are.
func (b BusinessDays) String() string {
	var days []string
	for i := range weekdayNames {
		if w := time.Weekday((i + 1) % 7); b.weekday(w) {
			days = append(days, weekdayNames[w])
		}
	}
	return fmt.Sprintf("%s without %d holidays", strings.Join(days, ", "), len(b.holidays))
}

func (b BusinessDays) weekday(w time.Weekday) bool {
	if b.weekdays == 0 {
		return w != time.Saturday && w != time.Sunday
	}
	return b.weekdays&(1<<w) != 0
}

// Worked says whether a day is one of work.
func (b BusinessDays) Worked(d Day) bool {
	return b.weekday(d.Weekday()) && !b.holidays[d] && !b.holidays[Day{0, d.Month, d.Day}]
}

// Add is the n-th day of work after the day, or before it where n is negative.
// Where n is 0 it is the day itself if it is one of work, else the next that
// is.
func (b BusinessDays) Add(d Day, n int) (Day, error) {
	step := 1
	if n < 0 {
		n, step = -n, -1
	}
	if n == 0 {
		return b.next(d, step)
	}
	for range n {
		var err error
		if d, err = b.next(d.AddDays(step), step); err != nil {
			return d, err
		}
	}
	return d, nil
}

// After is the instant at the same wall time on the n-th day of work after that
// of t in the zone.
func (b BusinessDays) After(t time.Time, n int, loc *time.Location) (time.Time, error) {
	wall := wallOf(t.In(loc))
	from := DayOf(wall)
	to, err := b.Add(from, n)
	if err != nil {
		return time.Time{}, err
	}
	return at(wall.Add(to.utc().Sub(from.utc())), loc), nil
}

// next is the first day of work from d on, going by step.
func (b BusinessDays) next(d Day, step int) (Day, error) {
	for range maxSearch {
		if b.Worked(d) {
			return d, nil
		}
		d = d.AddDays(step)
	}
	return d, ErrNoBusinessDay
}
