// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func businessDays(t testing.TB, weekdays, holidays []string) BusinessDays {
	t.Helper()
	b, err := ParseBusinessDays(weekdays, holidays)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBusinessDays(t *testing.T) {
	friday, saturday := Day{2026, 12, 18}, Day{2026, 12, 19}
	plain := BusinessDays{}
	feast := businessDays(t, nil, []string{"2026-12-21", "12-25", "01-01"})
	gulf := businessDays(t, []string{"Sun", "Mon", "Tue", "Wed", "Thu"}, nil)
	for _, tc := range []struct {
		b    BusinessDays
		from Day
		n    int
		want string
	}{
		{plain, friday, 0, "2026-12-18"}, {plain, friday, 1, "2026-12-21"}, {plain, friday, -1, "2026-12-17"}, {plain, friday, 5, "2026-12-25"}, {plain, friday, -5, "2026-12-11"},
		{plain, saturday, 0, "2026-12-21"}, {plain, saturday, 1, "2026-12-21"}, {plain, saturday, -1, "2026-12-18"}, {plain, saturday, 2, "2026-12-22"},
		{feast, friday, 1, "2026-12-22"}, {feast, friday, 4, "2026-12-28"}, {feast, friday, 8, "2027-01-04"}, {feast, Day{2027, 12, 24}, 1, "2027-12-27"},
		{gulf, friday, 0, "2026-12-20"}, {gulf, friday, 1, "2026-12-20"}, {gulf, friday, -1, "2026-12-17"},
	} {
		if got, err := tc.b.Add(tc.from, tc.n); err != nil || got.String() != tc.want {
			t.Errorf("%s: %s%+d: %s, %v; want %s", tc.b, tc.from, tc.n, got, err, tc.want)
		}
	}
	if got := feast.String(); got != "Mon, Tue, Wed, Thu, Fri without 3 holidays" {
		t.Error(got)
	}
}

// Holidays without an end are refused; those that end are passed over.
func TestBusinessDaysWithoutEnd(t *testing.T) {
	var year []string
	for d := (Day{2000, 1, 1}); d.Year == 2000; d = d.AddDays(1) {
		year = append(year, d.String()[len("2000-"):])
	}
	if _, err := ParseBusinessDays(nil, year); err == nil {
		t.Error("nobody ever works")
	}
	if _, err := ParseBusinessDays(nil, slices.DeleteFunc(slices.Clone(year), func(s string) bool { return s == "02-29" })); err == nil {
		t.Error("one day in four years is worked")
	}
	rare := businessDays(t, []string{"Sun"}, slices.DeleteFunc(year, func(s string) bool { return s == "12-25" }))
	if got, err := rare.Add(Day{2026, 1, 1}, 1); !errors.Is(err, ErrNoBusinessDay) {
		t.Errorf("the next Sunday that is a Christmas day is %s, %v", got, err)
	}
	if got, err := rare.Add(Day{2032, 1, 1}, 1); err != nil || got.String() != "2033-12-25" {
		t.Errorf("the next Sunday that is a Christmas day is %s, %v", got, err)
	}
}

func TestParseBusinessDays(t *testing.T) {
	for _, bad := range []string{"", "2026-02-30", "02-30", "13-01", "1-1", "2026-1-1", "0000-12-25", "--12-25", "12-25 ", "2026-12-25T00:00:00Z"} {
		if _, err := ParseBusinessDays(nil, []string{bad}); err == nil {
			t.Errorf("%q is a holiday", bad)
		}
	}
	for _, bad := range []string{"", "mon", "Monday", "Mon,Tue"} {
		if _, err := ParseBusinessDays([]string{bad}, nil); err == nil {
			t.Errorf("%q is a weekday", bad)
		}
	}
}

// calendar is an organisation's calendar with what it means, written down a
// second time.
type calendar struct {
	weekdays, holidays []string
}

func (c calendar) worked(date time.Time) bool {
	weekdays := c.weekdays
	if len(weekdays) == 0 {
		weekdays = []string{"Mon", "Tue", "Wed", "Thu", "Fri"}
	}
	return slices.Contains(weekdays, date.Format("Mon")) && !slices.Contains(c.holidays, date.Format("2006-01-02")) && !slices.Contains(c.holidays, date.Format("01-02"))
}

// count walks a day at a time and counts those of work.
func (c calendar) count(from time.Time, n int) time.Time {
	if n == 0 {
		for !c.worked(from) {
			from = from.AddDate(0, 0, 1)
		}
	}
	for ; n > 0; n-- {
		for from = from.AddDate(0, 0, 1); !c.worked(from); {
			from = from.AddDate(0, 0, 1)
		}
	}
	for ; n < 0; n++ {
		for from = from.AddDate(0, 0, -1); !c.worked(from); {
			from = from.AddDate(0, 0, -1)
		}
	}
	return from
}

// someCalendar is any: some weekdays, some dates, some days of every year.
func someCalendar(r *rand.Rand) (c calendar) {
	for _, w := range weekdayNames {
		if r.IntN(3) > 0 {
			c.weekdays = append(c.weekdays, w)
		}
	}
	for range r.IntN(40) {
		d := time.Date(2024+r.IntN(8), 1, 1+r.IntN(366), 0, 0, 0, 0, time.UTC)
		form := "2006-01-02"
		if r.IntN(3) == 0 {
			form = "01-02"
		}
		c.holidays = append(c.holidays, d.Format(form))
	}
	return c
}

// TestBusinessDaysInAllZones compares the instants after so many days of work
// with what somebody finds who walks the days of the calendar and then watches
// a clock, in every zone.
func TestBusinessDaysInAllZones(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for i, name := range zoneNames(t) {
		if testing.Short() && i%10 != 0 {
			continue
		}
		loc := zone(t, name)
		for range 40 {
			c := someCalendar(r)
			b := businessDays(t, c.weekdays, c.holidays)
			from := time.Date(2025, 1, 1, 0, r.IntN(5*366*24*60), 0, 0, time.UTC)
			n := r.IntN(50) - 20
			y, m, d := from.In(loc).Date()
			day := c.count(time.Date(y, m, d, 0, 0, 0, 0, time.UTC), n)
			want := search(day, from.In(loc).Hour()*60+from.In(loc).Minute(), loc)
			if got, err := b.After(from, n, loc); err != nil || !got.Equal(want) {
				t.Fatalf("%s, %+v: %d days of work after %s: %s, %v; want %s", name, c, n, from.In(loc), got.In(loc), err, want.In(loc))
			}
			offset := n
			got, err := Moment{Day: DayOf(from.In(loc)), OffsetBusinessDays: &offset, Business: b, Hour: 9, Zone: loc}.Instant()
			if want := search(day, 9*60, loc); err != nil || !got.Equal(want) {
				t.Fatalf("%s, %+v: 09:00, %d days of work after %s: %s, %v; want %s", name, c, n, from.In(loc), got.In(loc), err, want.In(loc))
			}
		}
	}
}

// There and back again: the n-th day of work before the n-th after a day of
// work is the day.
func FuzzBusinessDays(f *testing.F) {
	f.Add("Mon", "Thu", "2026-12-25", "01-01", 2026, 355, 3)
	f.Add("Sat", "", "02-29", "2028-02-28", 2028, 58, -7)
	f.Add("", "", "0000-01-01", "-12-25", 1, 1, 0)
	f.Fuzz(func(t *testing.T, w1, w2, h1, h2 string, year, day, n int) {
		weekdays := []string{w1, w2}
		if w1 == "" && w2 == "" {
			weekdays = nil
		}
		b, err := ParseBusinessDays(weekdays, []string{h1, h2})
		if err != nil || year < 1 || year > 9000 || n < -1000 || n > 1000 || day < 0 || day > 400 {
			return
		}
		from, err := b.Add(DayOf(time.Date(year, 1, day, 0, 0, 0, 0, time.UTC)), 0)
		if err != nil {
			return
		}
		there, err := b.Add(from, n)
		if err != nil || !b.Worked(there) {
			t.Fatalf("%s: %s%+d is %s, %v", b, from, n, there, err)
		}
		back, err := b.Add(there, -n)
		if err != nil || back != from {
			t.Fatalf("%s: %s%+d is %s, and back %s, %v", b, from, n, there, back, err)
		}
		if again, err := ParseDay(fmt.Sprint(there)); err != nil || again != there {
			t.Fatalf("%s is read as %s, %v", there, again, err)
		}
	})
}
