// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import "time"

// BusinessDays says which days are worked.
type BusinessDays struct {
	// Weekdays are worked; none: Monday to Friday.
	Weekdays []time.Weekday
	// Holidays are not.
	Holidays map[Day]bool
}

// maxSearch bounds the search for a day of work: more holidays than an
// Organization can have, on every day.
const maxSearch = 1000

// Worked says whether a day is one of work.
func (b BusinessDays) Worked(d Day) bool {
	if b.Holidays[d] {
		return false
	}
	w := d.Weekday()
	if len(b.Weekdays) == 0 {
		return w != time.Saturday && w != time.Sunday
	}
	for _, x := range b.Weekdays {
		if x == w {
			return true
		}
	}
	return false
}

// Add is the n-th day of work after the day, or before it where n is negative.
// Add(d, 0) is d, worked or not.
func (b BusinessDays) Add(d Day, n int) Day {
	step := 1
	if n < 0 {
		n, step = -n, -1
	}
	for range n {
		d = b.next(d.AddDays(step), step)
	}
	return d
}

// OnOrAfter is the day itself where it is worked, else the next that is.
func (b BusinessDays) OnOrAfter(d Day) Day { return b.next(d, 1) }

func (b BusinessDays) next(d Day, step int) Day {
	for range maxSearch {
		if b.Worked(d) {
			break
		}
		d = d.AddDays(step)
	}
	return d
}
