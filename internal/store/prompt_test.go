// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// A task that wants evidence is not done without; the evidence is kept with
// who gave it and when.
func TestTaskWantsEvidence(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		s := open()
		tenant := mustTenant(t, s, "acme")
		if _, err := s.CreateRuns(t.Context(), tenant, newRuns("r", 1)); err != nil {
			t.Fatal(err)
		}
		runs, _ := s.ListRuns(t.Context(), tenant, store.RunFilter{})
		held := hold(t, s, store.HoldRequest{Owner: "a"})
		subject, _ := json.Marshal(store.PromptMatter{Title: "Laptop", Evidence: store.EvidenceRequired})
		if err := s.AdvanceRuns(t.Context(), held.Leases, []store.RunKey{runs[0].Key()}, func(now time.Time, l store.LoadedRun) (*store.RunChange, error) {
			l.Run.State, l.Run.DueAt = store.RunWaiting, now.Add(time.Hour)
			return &store.RunChange{Run: l.Run, Prompts: []store.Prompt{{ID: "p1", Purpose: store.PromptTask, TokenHash: store.HashPromptToken("t"), State: store.PromptOpen,
				Options: []string{"Done"}, Subject: subject, Assignees: []store.Assignee{{PersonID: "1", Name: "Mia", KubernetesUser: "Mia@acme.example"}}, ExpiresAt: now.Add(time.Hour), CreatedAt: now}}}, nil
		}); err != nil {
			t.Fatal(err)
		}
		answer := func(user, text string) store.AnswerOutcome {
			out, err := s.AnswerPrompt(t.Context(), tenant, store.AnswerRequest{PromptID: "p1", Actor: store.Identity{KubernetesUser: user}, Choice: "Done", Reason: text})
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		for _, c := range []struct {
			user, text string
			want       store.AnswerStatus
		}{
			{"ops", "done", store.AnswerWrongPerson},
			{"mia@acme.example", " ", store.AnswerNeedsText},
			{"mia@acme.example", strings.Repeat("ü", store.MaxAnswerText+1), store.AnswerTextTooLong},
			{"mia@acme.example", "https://tickets.acme.example/1", store.AnswerAccepted},
			{"mia@acme.example", "again", store.AnswerAlready},
		} {
			if out := answer(c.user, c.text); out.Status != c.want || out.Message == "" {
				t.Errorf("%s with %.10q: %s %q, want %s", c.user, c.text, out.Status, out.Message, c.want)
			}
		}
		for user, want := range map[string]int{"MIA@acme.example": 1, "ops": 0, "%": 0} {
			got, err := s.ListPrompts(t.Context(), tenant, store.PromptFilter{User: user, Purposes: []string{store.PromptApproval, store.PromptTask}})
			if err != nil || len(got) != want {
				t.Errorf("%d prompts of %s, %v", len(got), user, err)
			}
			if len(got) > 0 && (got[0].AnswerReason != "https://tickets.acme.example/1" || got[0].AnsweredBy != "person:1" || got[0].AnsweredAt == nil) {
				t.Errorf("kept %+v", got[0])
			}
		}
		if got, err := s.ListPrompts(t.Context(), tenant, store.PromptFilter{Purposes: []string{store.PromptApproval}}); err != nil || len(got) != 0 {
			t.Errorf("%d approvals, %v", len(got), err)
		}
	})
}
