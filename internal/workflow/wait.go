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
	if !t.program.cel || !HasPerson(t.program.subject) {
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

// moment is the instant of a date at a wall time in its zone.
func (t *turn) moment(n *node, m *Moment) (time.Time, error) {
	date, err := n.until(t.scope())
	if err != nil {
		return time.Time{}, err
	}
	return m.Instant(date, t.clocks())
}

// zone is that of the run's person, or else the organisation's.
func (t *turn) zone() *time.Location { return t.clocks().Zone("") }

func (t *turn) clocks() Clocks { return ClocksIn(t.vars) }

// ClocksIn are the clocks of a run with these variables.
func ClocksIn(all map[string]any) Clocks {
	v := vars(all)
	return Clocks{Person: cmp.Or(v.text("seat.timeZone"), v.text("person.timeZone")), Organization: v.text("org.timeZone"), EndOfDay: v.text("workday.end")}
}
