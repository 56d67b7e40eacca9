// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/schedule"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// wait lets time pass. A wait that goes by a calendar is resolved again each
// time that the run is looked at, by the calendar, the zones and the dates of what
// the run is about as they are then. Behind it that is read again: who has waited
// for months acts on what is so now.
func (t *turn) wait(n *node, s *WaitStep) {
	if t.dryRun() {
		t.complete(n, map[string]any{"result": resultDryRun})
		return
	}
	clocks, known := t.clocks(), false
	if s.byCalendar() {
		if clocks, known = t.calendar(); !known {
			return
		}
	}
	until, zone, err := t.until(n, s, clocks)
	switch {
	case errors.Is(err, schedule.ErrNoBusinessDay) && !t.stepOverdue():
		t.sleep(t.now.Add(holdFor), "NoBusinessDay", err.Error()+"; see spec.workday of the Organization")
	case err != nil:
		t.failStep(n, reasonExpression, "wait: "+err.Error())
	case t.now.Before(until) && t.stepOverdue():
		t.failStep(n, reasonTimedOut, fmt.Sprintf("the step took longer than %s", n.step.Timeout))
	case t.now.Before(until):
		t.sleepUntil(until, zone, s.Until != nil && (t.aboutPerson() || t.aboutElse() != nil))
	case known || t.refreshed(): // the calendar brings what the run is about
		t.complete(n, map[string]any{})
	}
}

// byCalendar reports that days are counted or wall times are meant.
func (s *WaitStep) byCalendar() bool {
	return s.Until != nil || s.BusinessDays != 0 || s.For.Days != 0
}

// until is when a wait is over, and the zone of its wall time.
func (t *turn) until(n *node, s *WaitStep, c Clocks) (at time.Time, zone *time.Location, err error) {
	zone = c.Zone("")
	switch {
	case s.Until != nil:
		date, err := n.until(t.scope())
		if err != nil {
			return at, zone, within("until.date", err)
		}
		at, err = s.Until.Instant(date, c)
		return at, c.Zone(s.Until.Zone), err
	case s.BusinessDays != 0:
		days, err := c.Business()
		if err != nil {
			return at, zone, err
		}
		at, err = days.After(t.cur.Since, s.BusinessDays, zone)
		return at, zone, err
	}
	return s.For.After(t.cur.Since, zone), zone, nil
}

// calendar are the clocks of the run as its organisation and its person have
// them now. They are gathered first, with all that the run is about.
func (t *turn) calendar() (Clocks, bool) {
	if t.event.kind != eventPrepared {
		t.need(gather{person: t.aboutPerson(), about: t.aboutElse(), org: true})
		return Clocks{}, false
	}
	p := t.event.prepared
	if p.err != nil || p.org == nil {
		t.sleep(t.now.Add(time.Minute), "CalendarUnavailable", fmt.Sprintf("the calendar of the organisation or what the run is about could not be read: %v", p.err))
		return Clocks{}, false
	}
	t.renew(p)
	return ClocksOf(*p.org, t.clocks().Person), true
}

// sleepUntil waits for a wall time and says which, and whether it was another
// before. A date that may be that of what the run is about is looked at again every
// day: a person may leave sooner.
func (t *turn) sleepUntil(until time.Time, zone *time.Location, daily bool) {
	message := fmt.Sprintf("until %s (%s)", until.In(zone).Format(time.RFC3339), zone)
	if was := t.cur.Until; !was.IsZero() && !was.Equal(until) {
		message += fmt.Sprintf(", not until %s: the date, the workday of the Organization, the person's time zone or its rules have changed", was.In(zone).Format(time.RFC3339))
	} else if !was.IsZero() && t.run.Message != "" && t.run.Reason == store.ReasonWaiting {
		message = t.run.Message
	}
	t.cur.Until = until
	if tomorrow := t.now.Add(24 * time.Hour); daily && until.After(tomorrow) {
		until = tomorrow
	}
	t.sleep(until, store.ReasonWaiting, message)
}

// aboutPerson reports that the variables of the run have a person of the
// directory.
func (t *turn) aboutPerson() bool { return t.program.cel && HasPerson(t.program.subject) }

// refreshed reads what the run is about again.
func (t *turn) refreshed() bool {
	about := t.aboutElse()
	if !t.aboutPerson() && about == nil {
		return true
	}
	if t.event.kind != eventPrepared {
		t.need(gather{person: t.aboutPerson(), about: about})
		return false
	}
	p := t.event.prepared
	t.event = event{kind: eventDue}
	if p.err != nil {
		t.sleep(t.now.Add(time.Minute), "SubjectUnavailable", "what the run is about could not be read: "+p.err.Error())
		return false
	}
	t.renew(p)
	return true
}

// zone is that of the run's person, or else the organisation's.
func (t *turn) zone() *time.Location { return t.clocks().Zone("") }

func (t *turn) clocks() Clocks { return ClocksIn(t.vars) }

// ClocksIn are the clocks of a run with these variables.
func ClocksIn(all map[string]any) Clocks {
	v := vars(all)
	return Clocks{Person: cmp.Or(v.text("seat.timeZone"), v.text("person.timeZone")), Organization: v.text("org.timeZone"), EndOfDay: v.text("workday.end")}
}
