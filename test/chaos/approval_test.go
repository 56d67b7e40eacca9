// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"strconv"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
	"github.com/seatkeeper/seatkeeper/internal/notify"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// approved is a user's Workflow that acts once somebody approved, and tells
// them.
func approved() workflow.Definition {
	who := workflow.Recipient{Email: "${person.email}"}
	return workflow.Definition{
		Language: workflow.LanguageCEL, Subject: workflow.SubjectPerson,
		Steps: []workflow.Step{
			{Name: "ok", Ask: &workflow.AskStep{
				Matter: &workflow.AskMatter{Kind: notify.Approval, Text: "Really?"}, Options: []string{notify.Approve, notify.Reject}, OnTimeout: notify.Reject,
				Stages: []workflow.AskStage{{To: &who}}, Timeout: workflow.Hours(1),
			}},
			{Name: "seat", When: "steps.ok.approved", Action: &workflow.ActionStep{Integration: "zoom", Action: "license.remove", With: map[string]any{"userId": "${input.account}"},
				Retry: workflow.Retry{Base: workflow.Span{Elapsed: 50 * time.Millisecond}}}},
			{Name: "tell", Notify: &workflow.NotifyStep{To: []workflow.Recipient{who}, Text: "It is done."}},
		},
	}
}

// checkApproved compares what happened with what should have: one question, one
// answer, one effect and one notice for each person.
func (w *world) checkApproved(r report) {
	w.t.Helper()
	n := len(w.seats)
	for action, count := range map[string]int{"run.start": n, "prompt.answer": n, "license.remove": n, "message.send": 2 * n, "message.update": n} {
		if r.Audits[action] != count {
			w.t.Errorf("%d audit records of %s, want %d", r.Audits[action], action, count)
		}
	}
	if r.Outcomes[""] != n {
		w.t.Errorf("outcomes %v, want %d that succeeded", r.Outcomes, n)
	}
	for _, s := range w.seats {
		if got := w.sim.EffectCount(fakesaas.Zoom, "license.remove", s.AccountID); got != 1 {
			w.t.Errorf("seat %s was removed %d times", s.AccountID, got)
		}
		if got := w.sim.EffectCount(fakesaas.Slack, "message.send", s.SlackUser); got != 2 {
			w.t.Errorf("%s got %d messages", s.SlackUser, got)
		}
		if got := w.sim.EffectCount(fakesaas.Slack, "message.update", s.SlackUser); got != 1 {
			w.t.Errorf("the question of %s was updated %d times", s.SlackUser, got)
		}
	}
	for _, m := range w.sim.Messages() {
		if len(m.Buttons()) > 0 {
			w.t.Errorf("message %s still has buttons", m.TS)
		}
	}
	if v := w.sim.Violations(); len(v) > 0 {
		w.t.Errorf("the simulators refused: %+v", v)
	}
}

// TestApprovalKilledAtFailpoints kills the process where a question, its answer
// or a notice is under way, each time that it comes there.
func TestApprovalKilledAtFailpoints(t *testing.T) {
	for _, name := range []string{
		failpoint.PromptPostedNotRecorded, failpoint.AnswerBeforeCommit, failpoint.AnswerRecordedBeforeAck, failpoint.MessageUpdatedNotRecorded,
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
					w.approval = true
					r, kills := w.toTheEnd(name+":"+strconv.Itoa(n), 0, nil)
					w.checkApproved(r)
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
