// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// startNested asks for one run for each person of a Workflow with two items: one
// gives the seat back, the other has another Workflow close the account. Only one
// run of that other Workflow may be under way at once.
func startNested(ctx context.Context, s *store.Store, tenant model.TenantID, c config) error {
	retry := workflow.Retry{Base: workflow.Span{Elapsed: 50 * time.Millisecond}}
	act := func(name, action string) workflow.Step {
		return workflow.Step{Name: name, Action: &workflow.ActionStep{Integration: "zoom", Action: action, With: map[string]any{"userId": "${input.account}"}, Retry: retry}}
	}
	inner := workflow.Definition{
		Language: workflow.LanguageCEL, Subject: workflow.SubjectPerson, Steps: []workflow.Step{act("close", "user.deactivate")},
		Concurrency: &workflow.Concurrency{Max: 1, Policy: store.SlotQueue},
	}
	outer := workflow.Definition{Language: workflow.LanguageCEL, Subject: workflow.SubjectPerson, Steps: []workflow.Step{
		{Name: "items", ForEach: &workflow.ForEachStep{In: "['seat', 'account']", As: "item", Steps: []workflow.Step{
			{Name: "which", Switch: &workflow.SwitchStep{
				When: []workflow.CaseStep{{When: "item == 'seat'", Steps: []workflow.Step{act("seat", "license.remove")}}},
				Otherwise: []workflow.Step{
					{Name: "account", Workflow: &workflow.CallStep{Name: "inner", Input: map[string]any{"account": "${input.account}"}}},
				},
			}},
		}}},
		{Name: "pause", When: "steps.items.failed == 0", Wait: &workflow.WaitStep{For: workflow.Span{Elapsed: 100 * time.Millisecond}}},
	}}
	for name, d := range map[string]workflow.Definition{"inner": inner, "leaver": outer} {
		raw, err := d.Marshal()
		if err != nil {
			return err
		}
		state := store.WorkflowState{Name: name, TriggerKind: workflow.TriggerManual, Subject: workflow.SubjectPerson, State: store.WorkflowReady}
		if _, err := s.PutWorkflow(ctx, tenant, state, raw); err != nil {
			return err
		}
	}
	for _, one := range c.Seats {
		if _, _, err := workflow.Start(ctx, s, tenant, workflow.StartRequest{
			Workflow: "leaver", Key: one.PersonID, Person: one.Email, Input: map[string]any{"account": one.AccountID},
			By: store.Decider{Actor: "chaos", Kind: model.ActorUser},
		}); err != nil {
			return err
		}
	}
	return nil
}

// TestNestedWorkflowKilledAtFailpoints kills the process at the instants that
// matter, each time that it comes there: the run goes on at the right item, the
// other Workflow runs once, and whoever waits for it or for a place goes on.
func TestNestedWorkflowKilledAtFailpoints(t *testing.T) {
	for _, name := range []string{
		failpoint.AfterEffectBeforeOutcome, failpoint.OutcomeBeforeCommit, failpoint.AfterOutcomeBeforeNext, failpoint.EndBeforeCommit,
	} {
		t.Run(name, func(t *testing.T) {
			storetest.EachDSN(t, func(t *testing.T, _ string) {
				t.Parallel()
				kind := t.Name()[len(t.Name())-6:]
				hits := 0
				for n := 1; ; n++ {
					dsn := ""
					if kind == "sqlite" {
						dsn = storetest.SQLite(t)
					} else {
						dsn = storetest.Postgres(t)
					}
					w := newWorkflowWorld(t, dsn, 2)
					w.nested = true
					r, kills := w.toTheEnd(name+":"+strconv.Itoa(n), 0, nil)
					w.checkNested(r)
					hits += kills
					if kills == 0 || t.Failed() {
						break
					}
				}
				t.Logf("killed %d times", hits)
				if hits == 0 {
					t.Errorf("no run came to failpoint %s", name)
				}
			})
		})
	}
}

func (w *world) checkNested(r report) {
	w.t.Helper()
	n := len(w.seats)
	if r.Outcomes[""] != 2*n {
		w.t.Errorf("outcomes %v, want %d that succeeded", r.Outcomes, 2*n)
	}
	for action, want := range map[string]int{"run.start": 2 * n, "license.remove": n, "user.deactivate": n} {
		if r.Audits[action] != want {
			w.t.Errorf("%d audit records of %s, want %d", r.Audits[action], action, want)
		}
	}
	for _, s := range w.seats {
		for _, action := range []string{"license.remove", "user.deactivate"} {
			if got := w.sim.EffectCount(fakesaas.Zoom, action, s.AccountID); got != 1 {
				w.t.Errorf("%s of %s had %d effects", action, s.AccountID, got)
			}
		}
	}
}
