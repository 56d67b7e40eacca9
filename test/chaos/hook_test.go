// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/gateway/webhook"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/trigger"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// told runs a Workflow for each person that its webhook is told of.
var told = load{
	name: "told", prepare: prepareTold, start: nothing,
	want: expectation{
		outcomes: map[string]int{"": 1}, audits: map[string]int{"http.post": 1},
		desk: map[string]int{"told": 1},
	},
}

// nothing is what a load does at a start that others begin.
func nothing(context.Context, *store.Store, model.TenantID, config) error { return nil }

func prepareTold(w *world, s *store.Store, ring *store.Keyring, tenant model.TenantID) error {
	ctx := w.t.Context()
	spec := trigger.Spec{Webhook: &trigger.Webhook{Match: []trigger.Match{{Field: trigger.MatchEmail, Value: "${body.email}"}}}, Subject: workflow.SubjectPerson}
	raw, err := spec.Marshal()
	if err != nil {
		return err
	}
	d := workflow.Definition{Steps: []workflow.Step{deskPost("told", workflow.ClassKeyed, "${event.data.body.account}")}}
	if err := putWorkflow(ctx, s, tenant, store.WorkflowState{Name: "told", TriggerKind: "webhook", Subject: workflow.SubjectPerson, Trigger: raw}, d); err != nil {
		return err
	}
	token, err := store.NewEndpointToken(tenant)
	if err != nil {
		return err
	}
	w.hook = "/hooks/" + token
	return s.PutEndpoints(ctx, ring, tenant, workflow.KindWorkflow, "told", "told", []store.EndpointSpec{{Token: token, Config: []byte("{}")}})
}

// TestWebhookKilledAtFailpoints kills the process on the way of a delivery from
// its sender to its run. Who was not answered sends it again, and it is one run.
func TestWebhookKilledAtFailpoints(t *testing.T) {
	killedAt(t, told, 1, []string{
		store.EventBeforeCommit, webhook.StoredNotAnswered, webhook.AppliedNotFinished, failpoint.RunCreatedBeforeCommit,
	}, nil)
}

// nightly runs a Workflow on a schedule. Its processes start two days after the
// Workflow was made, so that a tick is due.
var nightly = load{
	name: "nightly", prepare: prepareNightly, start: nothing,
	want: expectation{
		outcomes: map[string]int{"": 1}, audits: map[string]int{"http.post": 1},
		desk: map[string]int{"nightly": 1},
	},
}

func prepareNightly(w *world, s *store.Store, _ *store.Keyring, tenant model.TenantID) error {
	ctx := w.t.Context()
	w.shift = 48 * time.Hour
	raw, err := trigger.Spec{Schedule: &trigger.Schedule{Cron: "0 3 * * *"}}.Marshal()
	if err != nil {
		return err
	}
	d := workflow.Definition{Steps: []workflow.Step{deskPost("nightly", workflow.ClassKeyed, w.seats[0].AccountID)}}
	d.Steps[0].HTTP.Body = nil
	if err := putWorkflow(ctx, s, tenant, store.WorkflowState{Name: "nightly", TriggerKind: "schedule", Trigger: raw}, d); err != nil {
		return err
	}
	_, err = trigger.NewStarter(trigger.Starter{Store: s, Language: expr.Workflow{}, Clock: clock.RealClock{}, Log: slog.New(slog.DiscardHandler)}).Look(ctx)
	return err
}

// TestScheduleKilledAtFailpoints kills the process while it starts what a tick of
// a schedule is for.
func TestScheduleKilledAtFailpoints(t *testing.T) {
	killedAt(t, nightly, 1, []string{failpoint.RunCreatedBeforeCommit}, nil)
}
