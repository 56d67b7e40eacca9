// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package csvfile

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// order is how a column writes numeric dates.
type order string

const (
	orderYMD order = "YMD"
	orderDMY order = "DMY"
	orderMDY order = "MDY"
)

// dateColumn decides on the whole column how its dates are to be read: one
// value such as 31/12/2025 settles it for all.
type dateColumn struct {
	fixed          order // from the options
	numeric        bool  // has day and month as numbers, year last
	dayFirst       bool  // some value excludes MDY
	monthFirst     bool  // some value excludes DMY
	ambiguousRow   int
	ambiguousValue string
	style          string // of the first value, for the explanation
	zoneless       bool   // some value has a time of day without a zone
}

var numericDate = regexp.MustCompile(`^(\d{1,4})([./-])(\d{1,2})([./-])(\d{1,4})(?:[T ,]+(.+))?$`)

// split takes a numeric date apart. year4 first means YMD.
func split(s string) (a, b, c int, sep, clock string, ok bool) {
	m := numericDate.FindStringSubmatch(s)
	if m == nil || m[2] != m[4] {
		return 0, 0, 0, "", "", false
	}
	a, _ = strconv.Atoi(m[1])
	b, _ = strconv.Atoi(m[3])
	c, _ = strconv.Atoi(m[5])
	if len(m[1]) == 4 {
		return a, b, c, m[2], m[6], len(m[5]) <= 2
	}
	if len(m[1]) > 2 || (len(m[5]) != 4 && len(m[5]) != 2) {
		return 0, 0, 0, "", "", false
	}
	if len(m[5]) == 2 {
		c += 2000
		if c > 2068 { // POSIX: 69 to 99 belong to the last century
			c -= 100
		}
	}
	return a, b, c, m[2], m[6], true
}

// observe takes in one value of the column.
func (d *dateColumn) observe(row int, s string) *RefusedError {
	a, b, _, sep, _, ok := split(s)
	if !ok || a > 31 {
		if _, _, err := parseDate(s, orderYMD); err != nil {
			return &RefusedError{Row: row, Reason: fmt.Sprintf("%q is no date that could be read", s)}
		}
		if d.style == "" {
			d.style = "YYYY-MM-DD"
		}
		return nil
	}
	d.numeric = true
	switch {
	case a > 12 && b > 12, a == 0, b == 0:
		return &RefusedError{Row: row, Reason: fmt.Sprintf("%q is no date", s)}
	case a > 12, sep == ".": // dotted dates are day first wherever they are used
		d.dayFirst = true
	case b > 12:
		d.monthFirst = true
	case a != b && d.ambiguousRow == 0:
		d.ambiguousRow, d.ambiguousValue = row, s
	}
	if d.fixed == "" && d.dayFirst && d.monthFirst {
		return &RefusedError{Row: row, Reason: fmt.Sprintf("%q reads month first, or day first, against the rows above", s),
			Hint: "write all dates of the column in one way"}
	}
	orders := []order{orderDMY, orderMDY}
	if d.fixed != "" {
		orders = []order{d.fixed}
	}
	for _, o := range orders {
		if o == orderYMD {
			continue // the year is last
		}
		if _, _, err := parseDate(s, o); err == nil {
			return nil
		}
	}
	return &RefusedError{Row: row, Reason: fmt.Sprintf("%q is no date in the order %s", s, orders[0])}
}

func (d *dateColumn) order() order {
	switch {
	case d.fixed != "":
		return d.fixed
	case !d.numeric:
		return orderYMD
	case d.dayFirst:
		return orderDMY
	case d.monthFirst:
		return orderMDY
	}
	return ""
}

// settle ends the observation: an order that no value settled is refused.
func (d *dateColumn) settle() *RefusedError {
	if d.order() == "" && d.ambiguousRow > 0 {
		return &RefusedError{Row: d.ambiguousRow, Reason: fmt.Sprintf("%q may be day first or month first, and no row settles it", d.ambiguousValue),
			Hint: "set dateFormat to DMY or MDY"}
	}
	if d.order() == "" {
		d.fixed = orderMDY // every day equals its month: both orders agree
	}
	return nil
}

func (d *dateColumn) describe() string {
	switch {
	case !d.numeric && d.style != "":
		return "date " + d.style
	case d.order() == orderDMY:
		return "date D/M/YYYY"
	case d.numeric:
		return "date M/D/YYYY"
	}
	return "date"
}

var clockLayouts = []string{
	"15:04", "15:04:05", "15:04:05.999999999", "3:04 PM", "3:04PM", "3:04:05 PM", "3:04:05PM",
	"15:04Z07:00", "15:04:05Z07:00", "15:04:05.999999999Z07:00", "15:04:05Z0700", "15:04:05.999999999Z0700",
	"15:04:05 Z07:00", "15:04:05 Z0700",
}

var textLayouts = []string{
	"Jan 2, 2006", "January 2, 2006", "2 Jan 2006", "2 January 2006", "2-Jan-2006", "2-Jan-06", "Jan 2 2006", "Mon, 2 Jan 2006", "Mon Jan 2 2006",
}

// parseDate reads one date or moment. Zones are honoured; without one it is
// UTC. zone tells whether there was one.
func parseDate(s string, o order) (t time.Time, zone bool, err error) {
	s = strings.Join(strings.Fields(s), " ")
	if a, b, c, _, clock, ok := split(s); ok {
		y, m, d := a, b, c
		switch {
		case a > 31:
		case o == orderDMY:
			y, m, d = c, b, a
		default:
			y, m, d = c, a, b
		}
		day := time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC)
		if m < 1 || m > 12 || day.Day() != d || y < 1970 || y > 9999 {
			return time.Time{}, false, fmt.Errorf("no such day")
		}
		return withClock(day, clock)
	}
	for _, layout := range textLayouts {
		// The date may be followed by a clock: try every split at a space.
		for i := len(s); i > 0; i = strings.LastIndexByte(s[:i], ' ') {
			if day, err := time.Parse(layout, strings.TrimSuffix(s[:i], ",")); err == nil {
				return withClock(day, strings.TrimSpace(s[i:]))
			}
		}
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n >= 100_000_000 {
		if n >= 100_000_000_000 {
			if n < 253_402_300_800_000 {
				return time.UnixMilli(n).UTC(), true, nil
			}
		} else {
			return time.Unix(n, 0).UTC(), true, nil
		}
	}
	return time.Time{}, false, fmt.Errorf("no date")
}

func withClock(day time.Time, clock string) (time.Time, bool, error) {
	clock = strings.ToUpper(strings.TrimSpace(clock))
	if clock == "" {
		return day, false, nil
	}
	named := false
	for _, suffix := range []string{" UTC", " GMT", "UTC", "GMT"} {
		if strings.HasSuffix(clock, suffix) {
			clock, named = strings.TrimSpace(strings.TrimSuffix(clock, suffix)), true
			break
		}
	}
	for _, layout := range clockLayouts {
		c, err := time.Parse(layout, clock)
		if err != nil {
			continue
		}
		t := time.Date(day.Year(), day.Month(), day.Day(), c.Hour(), c.Minute(), c.Second(), c.Nanosecond(), c.Location()).UTC()
		return t, named || strings.Contains(layout, "Z07"), nil
	}
	return time.Time{}, false, fmt.Errorf("no time of day")
}
