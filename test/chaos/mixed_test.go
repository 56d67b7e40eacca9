// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/gateway/webhook"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/notify"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// mixed runs every kind of step: for each person one run that does nearly all of
// them and begins two others, one that fails, one with a request that nothing makes
// safe to repeat, and one that a webhook starts.
var mixed = load{
	name: "mixed", prepare: prepareTold, start: startMixed, perSeat: 6, parks: true,
	choices: []string{notify.Approve, notify.Done, "E5"},
	want: expectation{
		outcomes: map[string]int{"failed": 1},
		audits: map[string]int{
			"run.start": 4, "license.remove": 1, "user.deactivate": 1, "prompt.answer": 3, "message.send": 4, "message.update": 3,
		},
		zoom:  map[string]int{"license.remove": 1, "user.deactivate": 1},
		slack: map[string]int{"message.send": 4, "message.update": 3},
		desk:  map[string]int{"keyed": 1, "verifiable": 1, "inner": 1, "mourned": 1, "told": 1, refused: 0},
	},
}

func startMixed(ctx context.Context, s *store.Store, tenant model.TenantID, c config) error {
	ask := func(name string, kind notify.MatterKind, options ...string) workflow.Step {
		a := &workflow.AskStep{Matter: &workflow.AskMatter{Kind: kind, Text: "Well?"}, Options: options, Stages: []workflow.AskStage{{To: themselves()}}}
		if kind != notify.Task {
			a.Timeout, a.OnTimeout = workflow.Hours(1), options[len(options)-1]
		}
		return workflow.Step{Name: name, Ask: a}
	}
	steps := []workflow.Step{
		deskStep(workflow.ClassKeyed),
		deskStep(workflow.ClassVerifiable),
		zoomStep("seat", "license.remove"),
		{Name: "known", Switch: &workflow.SwitchStep{When: []workflow.CaseStep{{When: "steps.seat.result in ['done', 'already']", Steps: []workflow.Step{
			{Name: "pause", Wait: &workflow.WaitStep{For: workflow.Span{Elapsed: 200 * time.Millisecond}}},
		}}}}},
		{Name: "items", ForEach: &workflow.ForEachStep{In: "['one', 'two']", As: "item", Steps: []workflow.Step{
			{Name: "which", Switch: &workflow.SwitchStep{When: []workflow.CaseStep{{When: "item == 'two'", Steps: []workflow.Step{
				{Name: "call", Workflow: &workflow.CallStep{Name: "inner", Input: map[string]any{"account": "${input.account}"}}},
			}}}}},
		}}},
		ask("ok", notify.Approval, notify.Approve, notify.Reject),
		ask("plan", notify.Choice, "E3", "E5"),
		ask("laptop", notify.Task, notify.Done),
		onlyIf("steps.ok.approved && steps.plan.choice == 'E5'", workflow.Step{
			Name: "tell", Notify: &workflow.NotifyStep{To: []workflow.Recipient{*themselves()}, Text: "It is done."},
		}),
		{Name: "leave", Offboarding: &workflow.OffboardingStep{}},
	}
	for name, d := range map[string]workflow.Definition{
		"inner": {Steps: []workflow.Step{deskPost("inner", workflow.ClassKeyed, "${input.account}")}, Concurrency: &workflow.Concurrency{Max: 1, Policy: store.SlotQueue}},
		"main":  {Steps: steps},
		"broken": { // idempotent: any other that is refused after a lost answer is for a person
			Steps:     []workflow.Step{deskPost(refused, workflow.ClassIdempotent, "${input.account}")},
			OnFailure: []workflow.Step{deskPost("mourned", workflow.ClassKeyed, "${input.account}")},
		},
		"unsafe": {Steps: []workflow.Step{deskStep(workflow.ClassUnsafe)}},
	} {
		if err := putWorkflow(ctx, s, tenant, byHand(name), d); err != nil {
			return err
		}
	}
	for _, name := range []string{"main", "broken", "unsafe"} {
		if err := startEach(ctx, s, tenant, name, c.Seats); err != nil {
			return err
		}
	}
	return nil
}

// Where the mixed load is killed, beside at any instant.
var mixedPoints = append([]string{store.EventBeforeCommit, webhook.StoredNotAnswered, webhook.AppliedNotFinished},
	failpoint.RunCreatedBeforeCommit, failpoint.BeforeIntent, failpoint.AfterIntentBeforeSend, failpoint.AfterEffectBeforeOutcome,
	failpoint.PromptPostedNotRecorded, failpoint.OutcomeBeforeCommit, failpoint.AfterOutcomeBeforeNext, failpoint.WaitFiredBeforeCommit,
	failpoint.AnswerBeforeCommit, failpoint.AnswerRecordedBeforeAck, failpoint.BeforeVerify, failpoint.AfterVerifyBeforeOutcome,
	failpoint.MessageUpdatedNotRecorded, failpoint.EndBeforeCommit)

// TestMixedKilledAtRandom kills the process at random instants and failpoints,
// while the vendors lose answers and every kind of step is under way.
// SEATKEEPER_CHAOS_KILLS says how often, SEATKEEPER_CHAOS_SEED when.
func TestMixedKilledAtRandom(t *testing.T) {
	killedAtRandom(t, mixed, 4, 3, mixedPoints)
}
