// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"testing"

	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/notify"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// approvals run a user's Workflow that acts once somebody approved, and tells
// them: one question, one answer, one effect and one notice for each person.
var approvals = load{
	name:    "approval",
	choices: []string{"Approve"},
	start: startOne(workflow.Definition{Steps: []workflow.Step{
		{Name: "ok", Ask: &workflow.AskStep{
			Matter: &workflow.AskMatter{Kind: notify.Approval, Text: "Really?"}, Options: []string{notify.Approve, notify.Reject}, OnTimeout: notify.Reject,
			Stages: []workflow.AskStage{{To: themselves()}}, Timeout: workflow.Hours(1),
		}},
		onlyIf("steps.ok.approved", zoomStep("seat", "license.remove")),
		{Name: "tell", Notify: &workflow.NotifyStep{To: []workflow.Recipient{*themselves()}, Text: "It is done."}},
	}}),
	want: expectation{
		outcomes: map[string]int{"": 1},
		audits:   map[string]int{"run.start": 1, "prompt.answer": 1, "license.remove": 1, "message.send": 2, "message.update": 1},
		zoom:     map[string]int{"license.remove": 1},
		slack:    map[string]int{"message.send": 2, "message.update": 1},
	},
}

// themselves is the person that a run is about.
func themselves() *workflow.Recipient { return &workflow.Recipient{Email: "${person.email}"} }

func onlyIf(when string, s workflow.Step) workflow.Step {
	s.When = when
	return s
}

// TestApprovalKilledAtFailpoints kills the process where a question, its answer
// or a notice is under way.
func TestApprovalKilledAtFailpoints(t *testing.T) {
	killedAt(t, approvals, 1, []string{
		failpoint.PromptPostedNotRecorded, failpoint.AnswerBeforeCommit, failpoint.AnswerRecordedBeforeAck, failpoint.MessageUpdatedNotRecorded,
	}, nil)
}
