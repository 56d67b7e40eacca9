// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package flowtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/trigger"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// Start is what came of what happened: a run, or the reason why there is none.
type Start struct {
	At              time.Time // when the run started; zero: none did
	Reason, Message string
}

// Reasons of what leaves no trace in the cluster: most of what happens is no
// Workflow's concern.
const (
	reasonNotAnswered    = "NotAnswered"
	reasonConditionFalse = "ConditionFalse"
)

const (
	// directory is how many people there are where a test does not say.
	directory = 1000
	// hris is the Integration that tells who works there where a test names none.
	hris = "hris"
)

// starts is world as the starter of runs sees it: what happened is in its outbox,
// and its directory has the people of the test.
type starts struct{ *world }

// TriggerWork implements trigger.Store.
func (w starts) TriggerWork(ctx context.Context) ([]model.TenantID, error) {
	if len(w.events) > 0 {
		return []model.TenantID{w.tenant}, nil
	}
	return w.Store.TriggerWork(ctx)
}

// NewEvents implements trigger.Store.
func (w starts) NewEvents(ctx context.Context, tenant model.TenantID, limit int) ([]model.Event, error) {
	more, err := w.Store.NewEvents(ctx, tenant, limit)
	return append(slices.Clone(w.events), more...), err
}

// ApplyStarts implements trigger.Store.
func (w starts) ApplyStarts(ctx context.Context, tenant model.TenantID, b store.StartBatch) (int, error) {
	b.Counted = nil // the test says what the guard has counted, and no other starter is at work
	started, err := w.Store.ApplyStarts(ctx, tenant, b)
	if err == nil {
		w.events = slices.DeleteFunc(w.events, func(e model.Event) bool { return slices.Contains(b.Handled, e.ID) })
	}
	return started, err
}

// StartedSince implements trigger.Store.
func (w starts) StartedSince(context.Context, model.TenantID, string, time.Time) (int64, error) {
	return w.given.Guard.Started, nil
}

// PeopleCounts implements trigger.Store.
func (w starts) PeopleCounts(context.Context, model.TenantID) (map[model.Lifecycle]int64, error) {
	n := w.given.Guard.People
	if n == 0 {
		n = directory
	}
	return map[model.Lifecycle]int64{model.LifecycleCurrent: n}, nil
}

// PersonOfEmployee implements trigger.Store.
func (w starts) PersonOfEmployee(ctx context.Context, tenant model.TenantID, employeeID string) (store.PersonView, error) {
	return w.personBy(ctx, func(p Person) bool { return p.EmployeeID == employeeID }, func() (store.PersonView, error) {
		return w.Store.PersonOfEmployee(ctx, tenant, employeeID)
	})
}

// PersonOfSource implements trigger.Store.
func (w starts) PersonOfSource(ctx context.Context, tenant model.TenantID, integration, id string) (store.PersonView, error) {
	return w.PersonOfAccount(ctx, tenant, integration, id)
}

// PersonOfAccount implements trigger.Store.
func (w starts) PersonOfAccount(ctx context.Context, _ model.TenantID, integration, account string) (store.PersonView, error) {
	return w.personBy(ctx, func(p Person) bool {
		return slices.ContainsFunc(p.Accounts, func(a Account) bool { return a.Integration == integration && a.ExternalID == account })
	}, func() (store.PersonView, error) {
		return store.PersonView{}, fmt.Errorf("person %w", store.ErrNotFound)
	})
}

// personBy is the one person of the test that fits, else whom the store has.
func (w starts) personBy(ctx context.Context, fits func(Person) bool, stored func() (store.PersonView, error)) (store.PersonView, error) {
	for _, p := range w.everybody() {
		if fits(p) {
			return w.Person(ctx, w.tenant, personID(p))
		}
	}
	return stored()
}

// happen lets it happen.
func (w *world) happen(ctx context.Context, wf *Workflow, when When, clock *clocktesting.FakeClock) error {
	switch s, g := wf.Starts, w.given; {
	case s.Person != nil && (g.Person == nil || g.Person.Email == ""):
		return errors.New("the Workflow runs for a person: give one with an email")
	case s.License != nil && (g.License == nil || g.License.ExternalID == "" || g.License.Since == ""):
		return errors.New("the Workflow runs for an unused seat: give given.license externalId and since")
	}
	if err := w.given.named(wf.Definition.Subject); err != nil {
		return err
	}
	if !when.Schedule.IsZero() {
		clock.SetTime(when.Schedule.UTC().Add(-time.Second)) // from when on the Workflow watches
	}
	if _, err := w.put(ctx, wf); err != nil {
		return err
	}
	if !when.Schedule.IsZero() {
		clock.SetTime(when.Schedule.UTC())
	}
	e, err := when.event(wf, w.given, clock.Now())
	if err != nil {
		return err
	}
	if e != nil {
		w.events = append(w.events, *e)
	}
	return nil
}

func (w *world) newStarter(clock *clocktesting.FakeClock) *trigger.Starter {
	return trigger.NewStarter(trigger.Starter{Store: starts{w}, Seats: seats{w}, Language: expr.Workflow{}, Clock: clock, Log: slog.New(slog.DiscardHandler)})
}

// look lets the starter look at what happened, and finds its run.
func (w *world) look(ctx context.Context, wf *Workflow) error {
	if w.starter == nil || w.run != "" {
		return nil // what happens once the run is under way starts others
	}
	if _, err := w.starter.Look(ctx); err != nil {
		return err
	}
	runs, err := w.ListRuns(ctx, w.tenant, store.RunFilter{Kind: workflow.KindWorkflow, Name: wf.Name})
	if err != nil || len(runs) == 0 {
		return err
	}
	w.run, w.start = runs[0].ID, Start{At: runs[0].CreatedAt}
	return nil
}

// pending is when the start that waits is looked at again; zero: none does, and
// the reason why is known.
func (w *world) pending(ctx context.Context, wf *Workflow, when When) (time.Time, error) {
	rows, err := w.ListStarts(ctx, w.tenant, store.StartQuery{Workflow: wf.Name})
	if err != nil {
		return time.Time{}, err
	}
	for _, r := range rows {
		w.start = Start{Reason: r.Reason, Message: r.Message}
		if r.Reason == trigger.ReasonFailed {
			return time.Time{}, errors.New(r.Message)
		}
		if r.State == store.StartWaiting {
			return r.LookAt, nil
		}
	}
	if len(rows) > 0 {
		return time.Time{}, nil
	}
	if next := w.clock.Now().Add(24 * time.Hour); (wf.Starts.Contract != nil || wf.Starts.License != nil) && next.Before(w.given.until(wf)) {
		return next, nil
	}
	w.start, err = unanswered(ctx, wf, w.given, when)
	return time.Time{}, err
}

// unanswered finds out whether it is the condition that kept a run from starting:
// without it one would start.
func unanswered(ctx context.Context, wf *Workflow, given Given, when When) (Start, error) {
	none := Start{Reason: reasonNotAnswered, Message: "the trigger does not answer what happened, or it is no longer so"}
	if wf.Starts.When == "" {
		return none, nil
	}
	always, spec := &Workflow{Path: wf.Path, Name: wf.Name, Spec: wf.Spec, Compiled: wf.Compiled}, *wf.Starts
	spec.When, always.Starts = "", &spec
	always.Definition = workflow.Definition{Language: workflow.LanguageCEL, Subject: wf.Definition.Subject, Steps: []workflow.Step{{Name: "pause", Wait: &workflow.WaitStep{For: workflow.Hours(1)}}}}
	out, err := Run(ctx, always, given, when)
	if err != nil || out.Start.Reason == reasonNotAnswered {
		return none, err
	}
	return Start{Reason: reasonConditionFalse, Message: "spec.when is not true"}, nil
}
