// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package csvfile

import (
	"fmt"
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

// number cuts leading digits, at most 4, off s.
func number(s string) (n, digits int, rest string) {
	for digits < len(s) && digits < 5 && s[digits] >= '0' && s[digits] <= '9' {
		n = n*10 + int(s[digits]-'0')
		digits++
	}
	return n, digits, s[digits:]
}

// split takes a numeric date apart: three numbers with one separator, and a
// time of day after a T, a space or a comma. Four digits first mean YMD.
func split(s string) (a, b, c int, sep, clock string, ok bool) {
	a, na, rest := number(s)
	if rest == "" || !strings.ContainsRune("./-", rune(rest[0])) {
		return 0, 0, 0, "", "", false
	}
	sep = rest[:1]
	b, nb, rest := number(rest[1:])
	if nb < 1 || nb > 2 || !strings.HasPrefix(rest, sep) {
		return 0, 0, 0, "", "", false
	}
	c, nc, rest := number(rest[1:])
	clock = strings.TrimLeft(rest, "T ,")
	if rest != "" && (clock == rest || clock == "") {
		return 0, 0, 0, "", "", false
	}
	switch {
	case na == 4 && nc >= 1 && nc <= 2:
		return a, b, c, sep, clock, true
	case na < 1 || na > 2 || (nc != 4 && nc != 2):
		return 0, 0, 0, "", "", false
	case nc == 2:
		c += 2000
		if c > 2068 { // POSIX: 69 to 99 belong to the last century
			c -= 100
		}
	}
	return a, b, c, sep, clock, true
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
			Hint: "say which: --date-format of an import, config.dateFormat of an Integration (DMY or MDY)"}
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
	if d, ok := plainClock(clock); ok {
		return day.Add(d), false, nil
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

// plainClock reads HH:MM and HH:MM:SS, which nearly every export has, without
// trying layouts.
func plainClock(s string) (time.Duration, bool) {
	if (len(s) != 5 && len(s) != 8) || s[2] != ':' || (len(s) == 8 && s[5] != ':') {
		return 0, false
	}
	var parts [3]int
	for i := 0; i < len(s); i += 3 {
		a, b := s[i]-'0', s[i+1]-'0'
		if a > 9 || b > 9 {
			return 0, false
		}
		parts[i/3] = int(a)*10 + int(b)
	}
	if parts[0] > 23 || parts[1] > 59 || parts[2] > 59 {
		return 0, false
	}
	return time.Duration(parts[0])*time.Hour + time.Duration(parts[1])*time.Minute + time.Duration(parts[2])*time.Second, true
}
