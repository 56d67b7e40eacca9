// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"cmp"
	"fmt"
	"time"
)

// wait lets time pass. Behind it the run's person is read again: who has
// waited for months acts on who the person is now.
func (t *turn) wait(n *node, s *WaitStep) {
	if t.dryRun() {
		t.complete(n, map[string]any{"result": resultDryRun})
		return
	}
	until := s.For.After(t.cur.Since, t.zone())
	if s.Until != nil {
		var err error
		if until, err = t.moment(n, s.Until); err != nil {
			t.failStep(n, reasonExpression, "wait.until: "+err.Error())
			return
		}
	}
	if t.now.Before(until) {
		if t.stepOverdue() {
			t.failStep(n, reasonTimedOut, fmt.Sprintf("the step took longer than %s", n.step.Timeout))
			return
		}
		t.sleep(until, "Waiting", "")
		return
	}
	if !t.refreshed() {
		return
	}
	t.complete(n, map[string]any{})
}

// refreshed reads the run's person again.
func (t *turn) refreshed() bool {
	if !t.program.cel || t.program.subject != SubjectPerson {
		return true
	}
	if t.event.kind != eventPrepared {
		t.need(gather{person: true})
		return false
	}
	p := t.event.prepared
	t.event = event{kind: eventDue}
	if p.err != nil {
		t.sleep(t.now.Add(time.Minute), "PersonUnavailable", "the person of the run could not be read: "+p.err.Error())
		return false
	}
	if p.person != nil { // who is gone from the directory stays as last known
		t.vars["person"] = p.person
	}
	return true
}

// defaultTime is the wall time of a moment that names none.
const defaultTime = "09:00"

// moment is the instant of a date at a wall time in its zone.
func (t *turn) moment(n *node, m *Moment) (time.Time, error) {
	v, err := n.until(t.scope())
	if err != nil {
		return time.Time{}, err
	}
	loc := t.zoneNamed(m.Zone)
	var day time.Time
	switch x := v.(type) {
	case time.Time:
		day = x.In(loc)
	case string:
		if day, err = time.Parse(time.DateOnly, x); err != nil {
			return time.Time{}, fmt.Errorf("date %q: want a calendar date such as 2026-03-31", x)
		}
	default:
		return time.Time{}, fmt.Errorf("date: got a %T, want a calendar date", v)
	}
	wall, err := time.Parse("15:04", cmp.Or(m.Time, defaultTime))
	if err != nil {
		return time.Time{}, fmt.Errorf("time %q: want HH:MM", m.Time)
	}
	return at(day.Year(), day.Month(), day.Day()+m.OffsetDays, wall.Hour(), wall.Minute(), loc), nil
}

// at is a wall time of a day: the first of the two where a clock is set back,
// and the end of the gap where one is set forward.
func at(year int, month time.Month, day, hour, minute int, loc *time.Location) time.Time {
	t := time.Date(year, month, day, hour, minute, 0, 0, loc)
	from, to := t.ZoneBounds()
	if t.Hour() != hour || t.Minute() != minute { // inside a gap
		if want := time.Date(year, month, day, hour, minute, 0, 0, time.UTC); wallOf(t).After(want) {
			return from.UTC()
		}
		return to.UTC()
	}
	if !from.IsZero() {
		_, after := t.Zone()
		_, before := from.Add(-time.Second).Zone()
		if first := t.Add(time.Duration(after-before) * time.Second); before > after && first.Before(from) {
			return first.UTC()
		}
	}
	return t.UTC()
}

// wallOf is what clocks show at an instant, as if it were UTC.
func wallOf(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), 0, 0, time.UTC)
}

// Zones of a moment.
const (
	ZonePerson       = "Person"
	ZoneOrganization = "Organization"
)

// zone is that of the run's person, or else the organisation's.
func (t *turn) zone() *time.Location { return t.zoneNamed("") }

func (t *turn) zoneNamed(name string) *time.Location {
	org := t.vars.text("org.timeZone")
	switch name {
	case "", ZonePerson:
		return zoneOf(cmp.Or(t.vars.text("seat.timeZone"), t.vars.text("person.timeZone"), org))
	case ZoneOrganization:
		return zoneOf(org)
	}
	return zoneOf(name)
}

func zoneOf(name string) *time.Location {
	if loc, err := time.LoadLocation(name); err == nil && name != "" && name != "Local" {
		return loc
	}
	return time.UTC
}
