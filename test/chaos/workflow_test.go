// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// leavers runs a user's Workflow with two actions and a wait between them.
var leavers = load{
	name: "leaver",
	start: startOne(workflow.Definition{
		When: "person.email != ''",
		Steps: []workflow.Step{
			zoomStep("seat", "license.remove"),
			{Name: "known", Switch: &workflow.SwitchStep{When: []workflow.CaseStep{{When: "steps.seat.result in ['done', 'already']", Steps: []workflow.Step{
				{Name: "pause", Wait: &workflow.WaitStep{For: workflow.Span{Elapsed: 200 * time.Millisecond}}},
			}}}}},
			zoomStep("account", "user.deactivate"),
		},
	}),
	want: expectation{
		outcomes: map[string]int{"": 1},
		audits:   map[string]int{"run.start": 1, "license.remove": 1, "user.deactivate": 1},
		zoom:     map[string]int{"license.remove": 1, "user.deactivate": 1},
	},
}

// TestWorkflowKilledAtFailpoints kills the process at the instants that matter
// to a user's Workflow; at the others it is what TestKilledAtEveryFailpoint kills.
func TestWorkflowKilledAtFailpoints(t *testing.T) {
	killedAt(t, leavers, 1, []string{
		failpoint.RunCreatedBeforeCommit, failpoint.AfterIntentBeforeSend, failpoint.AfterEffectBeforeOutcome, failpoint.OutcomeBeforeCommit,
		failpoint.AfterOutcomeBeforeNext, failpoint.WaitFiredBeforeCommit,
	}, nil)
}
