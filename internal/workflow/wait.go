// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"cmp"
	"fmt"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/schedule"
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
	var day schedule.Day
	switch x := v.(type) {
	case time.Time:
		day = schedule.DayOf(x.In(loc))
	case string:
		if day, err = schedule.ParseDay(x); err != nil {
			return time.Time{}, err
		}
	default:
		return time.Time{}, fmt.Errorf("date: got a %T, want a calendar date", v)
	}
	hour, minute, err := schedule.ParseTimeOfDay(cmp.Or(m.Time, defaultTime))
	if err != nil {
		return time.Time{}, err
	}
	return schedule.Moment{Day: day, OffsetDays: m.OffsetDays, Hour: hour, Minute: minute, Zone: loc}.Instant(), nil
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
	if loc, err := schedule.Zone(name); err == nil {
		return loc
	}
	return time.UTC
}
