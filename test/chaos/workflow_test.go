// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"math/rand/v2"
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

// leaver is a user's Workflow with two actions and a wait between them.
func leaver() workflow.Definition {
	account := map[string]any{"userId": "${input.account}"}
	retry := workflow.Retry{Base: workflow.Span{Elapsed: 50 * time.Millisecond}}
	return workflow.Definition{
		Language: workflow.LanguageCEL, Subject: workflow.SubjectPerson, When: "person.email != ''",
		Steps: []workflow.Step{
			{Name: "seat", Action: &workflow.ActionStep{Integration: "zoom", Action: "license.remove", With: account, Retry: retry}},
			{Name: "known", Switch: &workflow.SwitchStep{When: []workflow.CaseStep{{When: "steps.seat.result in ['done', 'already']", Steps: []workflow.Step{
				{Name: "pause", Wait: &workflow.WaitStep{For: workflow.Span{Elapsed: 200 * time.Millisecond}}},
			}}}}},
			{Name: "account", Action: &workflow.ActionStep{Integration: "zoom", Action: "user.deactivate", With: account, Retry: retry}},
		},
	}
}

// startWorkflows puts the Workflow there and asks for one run for each person,
// at every start of the process: the keys make it one.
func startWorkflows(ctx context.Context, s *store.Store, tenant model.TenantID, c config) error {
	def := leaver()
	if c.Approval {
		def = approved()
	}
	definition, err := def.Marshal()
	if err != nil {
		return err
	}
	state := store.WorkflowState{Name: "leaver", TriggerKind: workflow.TriggerManual, Subject: workflow.SubjectPerson, State: store.WorkflowReady}
	if _, err := s.PutWorkflow(ctx, tenant, state, definition); err != nil {
		return err
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

// newWorkflowWorld has the people of the seats in the directory.
func newWorkflowWorld(t *testing.T, dsn string, seats int) *world {
	t.Helper()
	w := newWorld(t, dsn, seats)
	w.workflow = true
	s, err := store.Open(t.Context(), store.Options{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if err := putPeople(t.Context(), s, w.seats); err != nil {
		t.Fatal(err)
	}
	return w
}

func putPeople(ctx context.Context, s *store.Store, seats []seat) error {
	if err := s.Migrate(ctx); err != nil {
		return err
	}
	tenant, err := s.EnsureTenant(ctx, "acme")
	if err != nil {
		return err
	}
	if _, err := s.UpsertIntegration(ctx, tenant, store.IntegrationSpec{Name: "hris", UID: "hris", Connector: "csv", Interval: time.Hour}); err != nil {
		return err
	}
	c, err := s.ClaimIntegration(ctx, tenant, "hris", "chaos", time.Minute)
	if err != nil {
		return err
	}
	y, err := s.BeginSync(ctx, c)
	if err != nil {
		return err
	}
	var people []model.Record
	for _, one := range seats {
		people = append(people, model.Record{Person: &model.Person{ExternalID: one.PersonID, Email: one.Email, DisplayName: one.Name, Lifecycle: model.LifecycleCurrent}})
	}
	if err := y.Stage(ctx, "people", "", people); err != nil {
		return err
	}
	_, err = y.FinishStream(ctx, "people", store.StreamOutcome{Complete: true, Types: []model.DataType{model.DataPeople}, Guard: model.DefaultShrinkGuard})
	return errors.Join(err, y.Close(ctx), s.FinishIntegration(ctx, c, store.IntegrationResult{Synced: true}))
}

// checkWorkflow compares what happened with what should have: each action once
// for each person.
func (w *world) checkWorkflow(r report) {
	w.t.Helper()
	n := len(w.seats)
	for _, action := range []string{"run.start", "license.remove", "user.deactivate"} {
		if r.Audits[action] != n {
			w.t.Errorf("%d audit records of %s, want %d", r.Audits[action], action, n)
		}
	}
	if r.Outcomes[""] != n {
		w.t.Errorf("outcomes %v, want %d that succeeded", r.Outcomes, n)
	}
	for _, s := range w.seats {
		for _, action := range []string{"license.remove", "user.deactivate"} {
			if got := w.sim.EffectCount(fakesaas.Zoom, action, s.AccountID); got != 1 {
				w.t.Errorf("%s of %s had %d effects", action, s.AccountID, got)
			}
		}
	}
	if v := w.sim.Violations(); len(v) > 0 {
		w.t.Errorf("the simulators refused: %+v", v)
	}
}

// TestWorkflowKilledAtFailpoints kills the process at the instants that matter
// to a user's Workflow, each time that it comes there; at the others it is what
// TestKilledAtEveryFailpoint kills.
func TestWorkflowKilledAtFailpoints(t *testing.T) {
	for _, name := range []string{
		failpoint.RunCreatedBeforeCommit, failpoint.AfterIntentBeforeSend, failpoint.AfterEffectBeforeOutcome, failpoint.OutcomeBeforeCommit,
		failpoint.AfterOutcomeBeforeNext, failpoint.WaitFiredBeforeCommit,
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
					w := newWorkflowWorld(t, dsn, 1)
					r, kills := w.toTheEnd(name+":"+strconv.Itoa(n), 0, nil)
					w.checkWorkflow(r)
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

// TestWorkflowKilledAtRandom kills the process at random instants while many
// runs of a user's Workflow are under way, and the vendor loses answers.
func TestWorkflowKilledAtRandom(t *testing.T) {
	total, seed := envInt(t, "SEATKEEPER_CHAOS_KILLS", 5), envInt(t, "SEATKEEPER_CHAOS_SEED", 2)
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		random := rand.New(rand.NewPCG(uint64(seed), 1))
		w := newWorkflowWorld(t, dsn, 20)
		for i, kind := range []fakesaas.FaultKind{fakesaas.FaultLostResponse, fakesaas.FaultError, fakesaas.FaultDropConnection} {
			w.sim.AddFault(fakesaas.Fault{Kind: kind, Vendor: fakesaas.Zoom, Method: "PATCH", Path: "/v2/users/*", Skip: i, Times: 1})
			w.sim.AddFault(fakesaas.Fault{Kind: kind, Vendor: fakesaas.Zoom, Method: "PUT", Path: "/v2/users/*/status", Skip: i, Times: 1})
		}
		r, kills := w.toTheEnd("", 0, func(p *process, start int) {
			if start >= total {
				return
			}
			select {
			case <-time.After(time.Duration(50+random.IntN(400)) * time.Millisecond):
				_ = p.cmd.Process.Kill()
			case <-p.ended:
			}
		})
		t.Logf("killed %d times", kills)
		w.checkWorkflow(r)
	})
}
