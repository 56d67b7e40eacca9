// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// nested runs a Workflow with two items: one gives the seat back, the other has
// another Workflow close the account. Only one run of that other Workflow may be
// under way at once.
var nested = load{
	name:    "nested",
	start:   startNested(1),
	perSeat: 2,
	want: expectation{
		outcomes: map[string]int{"": 2},
		audits:   map[string]int{"run.start": 2, "license.remove": 1, "user.deactivate": 1},
		zoom:     map[string]int{"license.remove": 1, "user.deactivate": 1},
	},
}

// parallel is nested with both items at work at the same time, each in a run of
// its own.
var parallel = load{
	name:    "parallel",
	start:   startNested(2),
	perSeat: 4,
	want: expectation{
		outcomes: map[string]int{"": 4},
		audits:   nested.want.audits,
		zoom:     nested.want.zoom,
	},
}

func startNested(atOnce int) func(context.Context, *store.Store, model.TenantID, config) error {
	return func(ctx context.Context, s *store.Store, tenant model.TenantID, c config) error {
		return putNested(ctx, s, tenant, c, atOnce)
	}
}

func putNested(ctx context.Context, s *store.Store, tenant model.TenantID, c config, atOnce int) error {
	inner := workflow.Definition{
		Steps: []workflow.Step{zoomStep("close", "user.deactivate")}, Concurrency: &workflow.Concurrency{Max: 1, Policy: store.SlotQueue},
	}
	outer := workflow.Definition{Steps: []workflow.Step{
		{Name: "items", ForEach: &workflow.ForEachStep{In: "['seat', 'account']", As: "item", MaxParallel: atOnce, Steps: []workflow.Step{
			{Name: "which", Switch: &workflow.SwitchStep{
				When: []workflow.CaseStep{{When: "item == 'seat'", Steps: []workflow.Step{zoomStep("seat", "license.remove")}}},
				Otherwise: []workflow.Step{
					{Name: "account", Workflow: &workflow.CallStep{Name: "inner", Input: map[string]any{"account": "${input.account}"}}},
				},
			}},
		}}},
		{Name: "pause", When: "steps.items.failed == 0", Wait: &workflow.WaitStep{For: workflow.Span{Elapsed: 100 * time.Millisecond}}},
	}}
	if err := putWorkflow(ctx, s, tenant, byHand("inner"), inner); err != nil {
		return err
	}
	return startOne(outer)(ctx, s, tenant, c)
}

// TestNestedWorkflowKilledAtFailpoints kills the process at the instants that
// matter: the run goes on at the right item, the other Workflow runs once, and
// whoever waits for it or for a place goes on.
func TestNestedWorkflowKilledAtFailpoints(t *testing.T) {
	killedAt(t, nested, 2, []string{
		failpoint.AfterEffectBeforeOutcome, failpoint.OutcomeBeforeCommit, failpoint.AfterOutcomeBeforeNext, failpoint.EndBeforeCommit,
	}, nil)
}

// TestParallelItemsKilledAtFailpoints does the same where the items are at work at
// the same time: each has its run once, and what it came to is counted once.
func TestParallelItemsKilledAtFailpoints(t *testing.T) {
	killedAt(t, parallel, 1, []string{
		failpoint.BeforeIntent, failpoint.AfterEffectBeforeOutcome, failpoint.OutcomeBeforeCommit, failpoint.AfterOutcomeBeforeNext, failpoint.EndBeforeCommit,
	}, nil)
}
