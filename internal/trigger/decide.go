// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package trigger

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// Reasons why a fact has no run.
const (
	ReasonSuspended  = "WorkflowSuspended"
	ReasonNotReady   = "WorkflowNotReady"
	ReasonMoment     = store.ReasonMoment
	ReasonNoSubject  = "SubjectNotFound"
	ReasonGuardHeld  = "GuardHeld"
	ReasonTooLate    = "TooLate"
	ReasonPassed     = "MomentPassed"
	ReasonExpression = "ExpressionFailed"
	ReasonAmbiguous  = "SubjectAmbiguous"
	ReasonBadPerson  = "InvalidPerson"
	ReasonFailed     = "StartFailed"
)

const (
	// lookAgain is how often a start that waits for something other than a
	// moment is looked at.
	lookAgain = time.Minute
	// heldAgain is the same for one that a guard holds: its window moves on.
	heldAgain = 10 * time.Minute
	// tooLate is after how long a start that could not be made is given up: what
	// happened a week ago is no reason to act any more.
	tooLate = 7 * 24 * time.Hour
	// subjectWithin is for how long the person whom an event is about is waited
	// for: the next sync may bring them.
	subjectWithin = time.Hour
)

// verdict is what becomes of a fact.
type verdict struct {
	start bool
	// drop leaves no trace: the fact is none of the Workflow's.
	drop            bool
	state           store.StartState
	due             time.Time // when the run is to start; zero: as before
	look            time.Time // when to look again
	reason, message string
}

func wait(look time.Time, reason, format string, args ...any) verdict {
	return verdict{state: store.StartWaiting, look: look, reason: reason, message: fmt.Sprintf(format, args...)}
}

func skip(now time.Time, reason, format string, args ...any) verdict {
	return verdict{state: store.StartSkipped, look: now, reason: reason, message: fmt.Sprintf(format, args...)}
}

// open says whether the Workflow takes facts at all now.
func (w *watch) open(f fact, now time.Time) (v verdict, ok bool) {
	switch {
	case w.Suspended:
		v = wait(now.Add(lookAgain), ReasonSuspended, "Workflow %q is suspended: the run starts when it is not", w.Name)
	case w.broken != "":
		v = wait(now.Add(lookAgain), ReasonNotReady, "Workflow %q cannot run: %s", w.Name, w.broken)
	case w.State != store.WorkflowReady:
		v = wait(now.Add(lookAgain), ReasonNotReady, "Workflow %q cannot run: %s", w.Name, w.Message)
	default:
		return v, true
	}
	if now.Sub(f.due) > tooLate {
		v = skip(now, ReasonTooLate, "it waited for longer than a week: %s", v.message)
	}
	return v, false
}

// decide says what becomes of a fact whose subject is known; all are the
// variables that its run would begin with, and clocks what its wall times go by.
func (w *watch) decide(f fact, now time.Time, all map[string]any, clocks workflow.Clocks) verdict {
	scope := workflow.Scope(all, now)
	if m := w.momentOf(f); m != nil {
		if v, ok := m.come(w, f, now, scope, clocks); !ok {
			return v
		}
	}
	if w.when != nil {
		yes, err := w.when(scope)
		switch {
		case err != nil:
			return skip(now, ReasonExpression, "spec.when: %v", err)
		case !yes:
			return verdict{drop: true}
		}
	}
	return verdict{start: true}
}

// stands says whether what a fact tells of a person is still so: who is back since,
// or in another employment, is none of its concern any more.
func (f fact) stands(p store.PersonView) bool {
	switch f.kind {
	case string(model.EventPersonLeft):
		return p.Period == f.period && p.Lifecycle == model.LifecyclePast
	case string(model.EventPersonJoined):
		return p.Period == f.period && p.Lifecycle != model.LifecyclePast
	case kindStartsOn, kindEndsOn:
		return p.Period == f.period
	}
	return true
}

// answers says whether the Workflow still has the fact in its trigger: it may have
// been changed since the fact was written down.
func (w *watch) answers(f fact) bool {
	switch f.kind {
	case string(model.EventPersonJoined):
		return w.watches(Joined)
	case string(model.EventPersonLeft):
		return w.watches(Left)
	case string(model.EventPersonChanged):
		return w.watches(Changed)
	case kindStartsOn:
		return w.watches(StartsOn)
	case kindEndsOn:
		return w.watches(EndsOn)
	case string(model.EventRealtime):
		return w.spec.Realtime != nil && w.spec.Realtime.Integration == f.source && w.spec.Realtime.Event == f.data["event"]
	case string(model.EventWebhook):
		return w.spec.Webhook != nil
	case kindSchedule:
		return w.spec.Schedule != nil
	case kindContract:
		return w.spec.Contract != nil
	case kindLicense:
		return w.spec.License != nil
	}
	for event, kind := range appKinds {
		if f.kind == string(kind) {
			return w.spec.Application != nil && slices.Contains(w.spec.Application.Events, event)
		}
	}
	return false
}

// moment is a time to which the start of a run is moved, compiled.
type moment struct {
	workflow.Moment
	date func(vars map[string]any) (any, error)
}

// momentOf is the moment of a fact's run; nil: it starts at once.
func (w *watch) momentOf(f fact) *moment {
	switch {
	case w.at != nil:
		return w.at
	case f.kind == kindStartsOn:
		return w.startsOn
	case f.kind == kindEndsOn:
		return w.endsOn
	case f.kind == kindContract:
		return w.contractAt
	}
	return nil
}

// instant is when the moment is; known is false while its date has no value.
func (m *moment) instant(scope map[string]any, clocks workflow.Clocks) (at time.Time, known bool, err error) {
	date, err := m.date(scope)
	if err != nil {
		return at, false, fmt.Errorf("spec.at.date: %w", err)
	}
	if text, ok := date.(string); date == nil || ok && text == "" {
		return at, false, nil
	}
	if at, err = m.Instant(date, clocks); err != nil {
		return at, false, fmt.Errorf("spec.at: %w", err)
	}
	return at, true, nil
}

// come says whether the moment of a fact has come; the verdict is for one that has
// not, or has passed before anybody knew of the fact.
func (m *moment) come(w *watch, f fact, now time.Time, scope map[string]any, clocks workflow.Clocks) (verdict, bool) {
	at, known, err := m.instant(scope, clocks)
	seen := f.at
	if !f.fresh() && !at.Equal(f.row.DueAt) { // the date is another one now
		seen = now
	}
	switch {
	case err != nil:
		return skip(now, ReasonExpression, "%v", err), false
	case !known && f.dated(): // taken back
		return verdict{drop: true}, false
	case !known && f.kind == string(model.EventPersonLeft): // who has left without a date has left
		return verdict{}, true
	case !known && now.Sub(f.at) > tooLate:
		return skip(now, ReasonTooLate, "spec.at.date had no value for a week"), false
	case !known:
		return wait(now.Add(time.Hour), ReasonMoment, "spec.at.date has no value yet"), false
	case now.Before(at):
		v := wait(at, ReasonMoment, "the run starts at %s", at.Format(time.RFC3339))
		v.due = at
		return v, false
	case f.row != nil && at.Equal(f.row.DueAt), !at.Before(seen), w.late(f, seen, at, clocks): // it was waited for, or is caught up with
		return verdict{}, true
	}
	return skip(now, ReasonPassed, "its moment, %s, had passed when this became known: spec.catchUp says what to do then", at.Format(time.RFC3339)), false
}

// late says whether a moment that had passed when the fact came to be known still
// counts. Unless the Workflow says otherwise, what has just happened does, and a
// date that is a week old does not.
func (w *watch) late(f fact, seen, at time.Time, clocks workflow.Clocks) bool {
	c := w.spec.CatchUp
	if c == nil {
		c = &CatchUp{Mode: CatchUpRun}
		if f.dated() {
			c = &CatchUp{Mode: CatchUpRunIfWithin, Within: workflow.Days(7)}
		}
	}
	switch c.Mode {
	case CatchUpRun:
		return true
	case CatchUpRunIfWithin:
		return !seen.After(c.Within.After(at, clocks.Zone("")))
	}
	return false
}

// candidate is a fact whose run may start, if the guard lets it.
type candidate struct {
	fact fact
	// accounts is how many its run is about, which is about an app or its contract.
	accounts int64
	begin    func() (store.NewRun, verdict, error) // when it is chosen
}

// released says that a person let it start, and what it is about with it.
func (c candidate) released() bool {
	return c.fact.row != nil && c.fact.row.State == store.StartReleased
}

// choose divides candidates by the guard: what a person released starts in any
// case, and of the others, the oldest first, as many as the guard leaves. It is
// pure.
func choose(candidates []candidate, allowed, started int64) (start, held []candidate) {
	sorted := slices.Clone(candidates)
	slices.SortStableFunc(sorted, func(a, b candidate) int {
		return cmp.Or(a.fact.at.Compare(b.fact.at), cmp.Compare(a.fact.key, b.fact.key))
	})
	left := max(0, allowed-started)
	for _, c := range sorted {
		switch {
		case c.fact.row != nil && c.fact.row.State == store.StartReleased:
			start = append(start, c)
		case left > 0:
			start = append(start, c)
			left--
		default:
			held = append(held, c)
		}
	}
	return start, held
}
