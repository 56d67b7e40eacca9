// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package trigger

import (
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

func at(m workflow.Moment) func(*Spec) { return func(s *Spec) { s.At = &m } }

func startsAt(d model.Date) func(*model.Person) {
	return func(p *model.Person) { p.StartDate, p.Lifecycle = d, model.LifecycleFuture }
}

// TestStartsOn: a date moves its run as long as it has not started, and is
// answered once.
func TestStartsOn(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(50)
		o.people = append(o.people,
			person("there", startsAt("2026-11-05")), // known from the first listing on
			person("past", startsAt("2026-10-01")),  // had begun before anybody looked
			person("later", startsAt("2026-12-24"))) // moved below
		o.sync()
		o.workflow("prepare", joiners(on(Joined, StartsOn), at(workflow.Moment{Date: "person.startDate", OffsetDays: -3, Time: "09:00"})))
		o.notStarted("prepare", "there@acme.example waiting WaitingForMoment")
		o.people = append(o.people,
			person("hire", startsAt("2026-11-20")),
			person("late", startsAt("2026-11-04")), // in two days: three days before it has passed
			person("old", startsAt("2026-09-01")))
		o.change("later", startsAt("2026-11-06"))
		o.sync()
		o.look()
		o.started("prepare", "late@acme.example")
		o.notStarted("prepare", "hire@acme.example waiting WaitingForMoment", "later@acme.example waiting WaitingForMoment", "old@acme.example skipped MomentPassed", "there@acme.example waiting WaitingForMoment")

		o.clock.SetTime(time.Date(2026, 11, 2, 7, 59, 0, 0, time.UTC)) // 08:59 in Berlin
		o.look()
		o.started("prepare", "late@acme.example")
		o.pass(time.Minute)
		o.started("prepare", "late@acme.example", "there@acme.example")
		o.change("hire", startsAt("2026-12-20"))
		o.change("later", func(p *model.Person) { p.StartDate = "" })
		o.sync()
		o.clock.SetTime(time.Date(2026, 11, 18, 8, 0, 0, 0, time.UTC))
		o.look()
		o.started("prepare", "late@acme.example", "there@acme.example")
		o.change("hire", func(p *model.Person) { p.Lifecycle = model.LifecycleCurrent }) // Joined is the same fact
		o.sync()
		o.clock.SetTime(time.Date(2026, 12, 17, 8, 0, 0, 0, time.UTC))
		o.look()
		o.started("prepare", "hire@acme.example", "late@acme.example", "there@acme.example")
	})
}

// TestEndsOn waits for the end of the last day where the person is.
func TestEndsOn(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(50)
		o.people = append(o.people, person("tokyo", func(p *model.Person) { p.TimeZone = "Asia/Tokyo" }), person("berlin"))
		o.sync()
		o.workflow("goodbye", joiners(on(EndsOn)))
		for _, id := range []string{"tokyo", "berlin"} {
			o.change(id, func(p *model.Person) { p.EndDate = "2026-11-10" })
		}
		o.sync()
		o.look()
		o.started("goodbye")
		for _, tc := range []struct {
			at   time.Time
			want []string
		}{
			{time.Date(2026, 11, 10, 8, 59, 0, 0, time.UTC), nil},
			{time.Date(2026, 11, 10, 9, 0, 0, 0, time.UTC), []string{"tokyo@acme.example"}},
			{time.Date(2026, 11, 10, 16, 59, 0, 0, time.UTC), []string{"tokyo@acme.example"}},
			{time.Date(2026, 11, 10, 17, 0, 0, 0, time.UTC), []string{"berlin@acme.example", "tokyo@acme.example"}},
		} {
			o.clock.SetTime(tc.at)
			o.look()
			o.started("goodbye", tc.want...)
		}
	})
}

// TestLeaversWaitForTheEndOfTheDay moves the run of an event to a moment.
func TestLeaversWaitForTheEndOfTheDay(t *testing.T) {
	eachOffice(t, func(o *office) {
		o.employ(50)
		o.sync()
		end := func(mode string) func(*Spec) {
			return func(s *Spec) {
				s.At = &workflow.Moment{Date: "person.endDate", Time: workflow.EndOfDay, Zone: "Organization"}
				if mode != "" {
					s.CatchUp = &CatchUp{Mode: mode}
				}
			}
		}
		o.workflow("offboard", joiners(on(Left), end("")))
		o.workflow("strict", joiners(on(Left), end(CatchUpSkip)))
		leave := func(id string, last model.Date) {
			o.change(id, func(p *model.Person) { p.Lifecycle, p.EndDate = model.LifecyclePast, last })
		}
		leave("e001", "2026-11-02")
		leave("e002", "2026-10-31") // the source is late: the access ends now, unless the Workflow says Skip
		o.sync()
		o.look()
		o.started("offboard", "e002@acme.example")
		o.started("strict")
		o.clock.SetTime(time.Date(2026, 11, 2, 17, 0, 0, 0, time.UTC))
		o.look()
		o.started("offboard", "e001@acme.example", "e002@acme.example")
		o.started("strict", "e001@acme.example")
		o.notStarted("strict", "e002@acme.example skipped MomentPassed")
	})
}

// TestSchedule: a missed time is caught up with once, unless all are wanted.
func TestSchedule(t *testing.T) {
	eachOffice(t, func(o *office) {
		cron := &Schedule{Cron: "0 3 * * *"}
		o.workflow("nightly", Spec{Schedule: cron})
		o.workflow("every", Spec{Schedule: cron, CatchUp: &CatchUp{Mode: CatchUpRun}})
		o.workflow("punctual", Spec{Schedule: cron, CatchUp: &CatchUp{Mode: CatchUpSkip}})
		o.pass(time.Hour)
		o.started("nightly")
		o.clock.SetTime(time.Date(2026, 11, 3, 2, 0, 3, 0, time.UTC)) // three in Berlin
		o.look()
		o.look()
		for _, name := range []string{"nightly", "every", "punctual"} {
			o.started(name, "2026-11-03T03:00")
		}
		o.clock.SetTime(time.Date(2026, 11, 6, 12, 0, 0, 0, time.UTC)) // the manager was away
		o.look()
		o.started("nightly", "2026-11-03T03:00", "2026-11-06T03:00")
		o.started("every", "2026-11-03T03:00", "2026-11-04T03:00", "2026-11-05T03:00", "2026-11-06T03:00")
		o.started("punctual", "2026-11-03T03:00")
		o.workflow("nightly", Spec{Schedule: cron}, func(w *store.WorkflowState) { w.Suspended = true })
		o.pass(48 * time.Hour)
		o.workflow("nightly", Spec{Schedule: cron})
		o.pass(time.Hour)
		o.started("nightly", "2026-11-03T03:00", "2026-11-06T03:00")
		o.notStarted("nightly")
	})
}
