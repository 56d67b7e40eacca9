// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package trigger

import (
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// workday sets what the organisation says of its days of work.
func (o *office) workday(weekdays []string, holidays ...string) {
	o.Helper()
	o.must(o.store.SetTenantFacts(o.Context(), o.tenant, store.TenantFacts{LifecycleIntegration: "hris", Domains: []string{"acme.example"}, TimeZone: "Europe/Berlin",
		Workday: store.WorkdayFacts{Weekdays: weekdays, Holidays: holidays}}))
}

// TestStartsOnBusinessDays: a start moves with the calendar, earlier as well as
// later, and dates are found however far they are from their moments.
func TestStartsOnBusinessDays(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(50)
		o.people = append(o.people, person("near", startsAt("2026-11-16")), person("far", startsAt("2027-01-04")))
		o.sync()
		o.workday(nil, "12-24", "12-25", "12-31", "01-01")
		before := func(n int) func(*Spec) {
			return at(workflow.Moment{Date: "person.startDate", OffsetBusinessDays: &n})
		}
		o.workflow("prepare", joiners(on(StartsOn), before(-3)))
		o.workflow("welcome", joiners(on(StartsOn), before(2)))
		o.workflow("far", joiners(on(StartsOn), before(-30))) // six weeks and four holidays before
		o.clock.SetTime(time.Date(2026, 11, 10, 9, 0, 0, 0, time.UTC))
		o.look()
		o.notStarted("prepare", "near@acme.example waiting WaitingForMoment")
		o.workday(nil, "2026-11-13") // Friday the 13th: three days before Monday the 16th is the 10th
		o.look()
		o.started("prepare", "near@acme.example")
		o.started("welcome")
		o.clock.SetTime(time.Date(2026, 11, 17, 8, 0, 0, 0, time.UTC))
		o.look()
		o.notStarted("welcome", "near@acme.example waiting WaitingForMoment")
		o.workday([]string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}, "2026-11-18")
		o.clock.SetTime(time.Date(2026, 11, 18, 8, 0, 0, 0, time.UTC))
		o.look()
		o.started("welcome")
		o.clock.SetTime(time.Date(2026, 11, 19, 8, 0, 0, 0, time.UTC))
		o.look()
		o.started("welcome", "near@acme.example")
	})
}

// TestFarBusinessDays: thirty days of work are more than a month.
func TestFarBusinessDays(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(50)
		o.people = append(o.people, person("far", startsAt("2027-01-04")), person("gone", startsAt("2026-11-02")))
		o.sync()
		o.workday(nil, "12-24", "12-25", "12-31", "01-01")
		for name, n := range map[string]int{"before": -30, "after": 30} {
			o.workflow(name, joiners(on(StartsOn), at(workflow.Moment{Date: "person.startDate", OffsetBusinessDays: &n})))
		}
		o.clock.SetTime(time.Date(2026, 11, 17, 7, 59, 0, 0, time.UTC))
		o.look()
		o.notStarted("before", "far@acme.example waiting WaitingForMoment")
		o.pass(time.Minute)
		o.started("before", "far@acme.example")
		o.clock.SetTime(time.Date(2026, 12, 13, 8, 0, 0, 0, time.UTC))
		o.look()
		o.notStarted("after", "gone@acme.example waiting WaitingForMoment")
		o.pass(24 * time.Hour)
		o.started("after", "gone@acme.example")
	})
}

// TestScheduleMovesWithTheZone: the time that comes next is found again when
// the organisation says another zone.
func TestScheduleMovesWithTheZone(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.workflow("nightly", Spec{Schedule: &Schedule{Cron: "0 3 * * *"}})
		o.must(o.store.SetTenantFacts(o.Context(), o.tenant, store.TenantFacts{LifecycleIntegration: "hris", Domains: []string{"acme.example"}, TimeZone: "Asia/Tokyo"}))
		o.clock.SetTime(time.Date(2026, 11, 2, 18, 0, 5, 0, time.UTC)) // three in Tokyo
		o.look()
		o.started("nightly", "2026-11-03T03:00")
	})
}

// TestStarterLooksAgain: a new process resolves what waits by its own rules, even
// if it is due earlier than the one before it had found.
func TestStarterLooksAgain(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(50)
		o.people = append(o.people, person("hire", startsAt("2026-11-06")))
		o.sync()
		o.workflow("prepare", joiners(on(StartsOn), at(workflow.Moment{Date: "person.startDate", OffsetDays: -3})))
		o.pass(20 * time.Hour)
		rows, err := o.store.ListStarts(o.Context(), o.tenant, store.StartQuery{Workflow: "prepare", Limit: 10})
		o.must(err)
		if len(rows) != 1 {
			o.Fatalf("%d starts", len(rows))
		}
		row := rows[0]
		right := row.DueAt
		row.DueAt, row.LookAt = right.Add(time.Hour), right.Add(time.Hour) // by rules that were others
		_, err = o.store.ApplyStarts(o.Context(), o.tenant, store.StartBatch{Starts: []store.WorkflowStart{row}})
		o.must(err)
		o.clock.SetTime(right)
		o.look()
		o.started("prepare")
		o.starter = NewStarter(Starter{Store: o.store, Language: o.starter.Language, Clock: o.clock, Log: o.starter.Log})
		o.look()
		o.started("prepare", "hire@acme.example")
	})
}
