// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// workday sets what the organisation says of its days of work.
func (k *kit) workday(weekdays []string, holidays ...string) {
	k.t.Helper()
	if err := k.store.SetTenantFacts(k.t.Context(), k.tenant, store.TenantFacts{Workday: store.WorkdayFacts{Weekdays: weekdays, Holidays: holidays}}); err != nil {
		k.t.Fatal(err)
	}
}

// until checks until when the newest run waits, and what people read of it.
func (k *kit) until(want time.Time, says string) {
	k.t.Helper()
	r := k.expect(store.RunWaiting, "", store.ReasonWaiting)
	var cur cursor
	if err := json.Unmarshal(r.Cursor, &cur); err != nil {
		k.t.Fatal(err)
	}
	// A date of a person is looked at again every day.
	if !cur.Until.Equal(want) || r.DueAt.After(want) || !strings.Contains(r.Message, says) {
		k.t.Fatalf("waits until %s, looks at %s (%s), want %s (%s)", cur.Until, r.DueAt, r.Message, want.UTC(), says)
	}
}

func businessDays(name string, n int) Step {
	return Step{Name: name, Wait: &WaitStep{BusinessDays: n}}
}

// A wait of days of work ends at the same wall time where the person is, and
// goes by the organisation's calendar as it is, not as it was when it began.
func TestWaitOfBusinessDays(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		berlin, err := time.LoadLocation("Europe/Berlin")
		if err != nil {
			t.Fatal(err)
		}
		at := func(day int) time.Time { return time.Date(2026, 11, day, 11, 0, 0, 0, berlin) } // start is Monday the 2nd, 11:00 in Berlin
		k.ada(nil)
		k.workday(nil, "2026-11-04", "11-05")
		k.put(cel(businessDays("pause", 3), ticket("then", "${person.department}")))
		k.by("k")
		k.until(at(9), "until 2026-11-09T11:00:00+01:00 (Europe/Berlin)")
		k.pass(24 * time.Hour)

		k.workday(nil, "11-05") // the run may be due earlier
		k.settle()
		k.until(at(6), "not until 2026-11-09T11:00:00+01:00")
		k.workday([]string{"Mon", "Tue"}) // later
		k.settle()
		k.until(at(10), "until 2026-11-10T11:00:00+01:00 (Europe/Berlin), not until 2026-11-06")
		k.ada(func(p *model.Person) { p.Department = "Legal" })
		k.pass(at(10).Sub(k.clock.Now()) - time.Second)
		k.until(at(10), "not until 2026-11-06")
		k.pass(time.Second)
		k.expect(store.RunSucceeded, "", "")
		k.want("tickets", k.texts(), []string{"Legal"})
	})
}

// On a Saturday the first day of work is Monday.
func TestWaitFromAFreeDay(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.clock.Step(5 * 24 * time.Hour)
		k.ada(nil)
		k.put(cel(businessDays("pause", 1)))
		k.by("k")
		k.until(start.AddDate(0, 0, 7), "until 2026-11-09T11:00:00+01:00 (Europe/Berlin)")
	})
}

// A moment moved by days of work; and a calendar without any holds the run,
// with a reason, until somebody mends it.
func TestMomentOfBusinessDays(t *testing.T) {
	offset := func(n int) *int { return &n }
	berlin := time.FixedZone("CET", 3600)
	for name, tc := range map[string]struct {
		n    int
		date string
		want time.Time
	}{
		"before":                       {-3, "person.endDate", time.Date(2026, 11, 16, 9, 0, 0, 0, berlin)}, // Friday the 20th; the 18th is free
		"after":                        {1, "person.endDate", time.Date(2026, 11, 23, 9, 0, 0, 0, berlin)},
		"a day of work as it is":       {0, "person.endDate", time.Date(2026, 11, 20, 9, 0, 0, 0, berlin)},
		"a free day to the next":       {0, "'2026-11-21'", time.Date(2026, 11, 23, 9, 0, 0, 0, berlin)},
		"a free day to the one before": {-1, "'2026-11-21'", time.Date(2026, 11, 20, 9, 0, 0, 0, berlin)},
	} {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, k *kit) {
				k.ada(nil)
				k.workday(nil, "11-18")
				k.put(cel(Step{Name: "until", Wait: &WaitStep{Until: &Moment{Date: tc.date, OffsetBusinessDays: offset(tc.n)}}}))
				k.by("k")
				k.until(tc.want, "(Europe/Berlin)")
			})
		})
	}
	eachStore(t, func(t *testing.T, k *kit) {
		var free []string
		for d := start; d.Before(start.AddDate(3, 6, 0)); d = d.AddDate(0, 0, 1) {
			free = append(free, d.Format(time.DateOnly))
		}
		k.ada(nil)
		k.workday(nil, free...)
		k.put(cel(businessDays("pause", 1)))
		k.by("k")
		if r := k.expect(store.RunWaiting, "", "NoBusinessDay"); !strings.Contains(r.Message, "spec.workday of the Organization") {
			t.Error(r.Message)
		}
		k.workday(nil)
		k.pass(holdFor)
		k.until(start.AddDate(0, 0, 1), "until 2026-11-03T11:00:00+01:00")
	})
}

// What has waited long enough by the calendar of now goes on at once, and an
// elapsed wait knows no calendar.
func TestCalendarIsLookedAtAgain(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.workday(nil, "2026-11-03", "2026-11-04", "2026-11-05")
		k.put(cel(businessDays("pause", 1), waits("more", Hours(30))))
		k.by("k")
		k.until(start.AddDate(0, 0, 4), "")
		k.pass(50 * time.Hour)
		k.until(start.AddDate(0, 0, 4), "")
		k.workday(nil)
		k.settle()
		k.until(start.Add(80*time.Hour), "until 2026-11-05T19:00:00+01:00 (Europe/Berlin)")
		k.workday([]string{"Sun"})
		k.settle()
		k.until(start.Add(80*time.Hour), "until 2026-11-05T19:00:00+01:00 (Europe/Berlin)")
		if r := k.run(); strings.Contains(r.Message, "not until") {
			t.Error(r.Message)
		}
		k.pass(30 * time.Hour)
		k.expect(store.RunSucceeded, "", "")
	})
}
