// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/seatkeeper/seatkeeper/internal/answerlink"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/notify"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

const askedID = "2f1c5e4e-8f0a-5b7e-9d51-0c1f6a2b3c4d"

// question stores a run that waits for Ada's approval.
func (f *fixture) question(tenant model.TenantID, ada store.Assignee) {
	f.t.Helper()
	ctx := f.t.Context()
	subject, err := json.Marshal(map[string]any{"question": notify.Question{Asker: "Acme", Policy: "leaver", Why: "Jo has left",
		Matter: &notify.Matter{Kind: notify.Approval, ID: askedID, Text: "Delete the account?", Options: []string{notify.Approve, notify.Reject}, Silence: "it counts as Reject"}}})
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := f.store.CreateRuns(ctx, tenant, []store.NewRun{{Kind: "Workflow", Name: "leaver", TriggerKind: "manual", TriggerKey: "1", Definition: json.RawMessage(`{}`), Vars: json.RawMessage(`{}`)}}); err != nil {
		f.t.Fatal(err)
	}
	runs, err := f.store.ListRuns(ctx, tenant, store.RunFilter{})
	if err != nil || len(runs) != 1 {
		f.t.Fatalf("%d runs, %v", len(runs), err)
	}
	held, err := f.store.HoldShards(ctx, store.HoldRequest{Owner: "a manager that is gone", Lease: time.Minute})
	if err != nil {
		f.t.Fatal(err)
	}
	err = f.store.AdvanceRuns(ctx, held.Leases, []store.RunKey{runs[0].Key()}, func(now time.Time, l store.LoadedRun) (*store.RunChange, error) {
		run := l.Run
		run.State, run.DueAt, run.StepPath = store.RunWaiting, now.Add(72*time.Hour), "ok"
		return &store.RunChange{Run: run, Prompts: []store.Prompt{{Tenant: tenant, ID: askedID, RunID: run.ID, StepPath: "ok", Purpose: store.PromptApproval, TokenHash: "x",
			State: store.PromptOpen, Assignees: []store.Assignee{ada}, Options: []string{notify.Approve, notify.Reject}, Subject: subject, ExpiresAt: now.Add(72 * time.Hour), CreatedAt: now}}}, nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

// TestAnswersAreTakenAlone has neither a manager nor an API server: who was sent
// a link answers all the same, and the run is due for a manager to come.
func TestAnswersAreTakenAlone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		f := newFixtureAs(t, open(), &rest.Config{Host: "https://127.0.0.1:1"}) // nobody listens there
		tenant, err := f.store.EnsureTenant(t.Context(), f.env.Namespace(t))
		if err != nil {
			t.Fatal(err)
		}
		ada := store.Assignee{PersonID: "p-ada", Name: "Ada", Email: "ada@acme.example"}
		f.question(tenant, ada)
		token, err := answerlink.Keys(f.ring.AnswerKeys()).Token(tenant, askedID, answerlink.Addressee{PersonID: ada.PersonID, Email: ada.Email})
		if err != nil {
			t.Fatal(err)
		}
		client := f.httpClient(rest.AnonymousClientConfig(f.env.Config))
		for _, c := range []struct {
			method, token string
			code          int
			says          string
		}{
			{"GET", token, 200, "Delete the account?"},
			{"GET", token[1:], 404, "not known"},
			{"POST", token, 200, "Recorded: Approve."},
			{"POST", token, 410, "Your answer is recorded: Approve."},
		} {
			r, err := http.NewRequestWithContext(t.Context(), c.method, f.server+answerlink.Path+c.token, strings.NewReader("choice=Approve"))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			resp, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || resp.StatusCode != c.code || !strings.Contains(string(text), c.says) {
				t.Errorf("%s: %d %v\n%s", c.method, resp.StatusCode, err, text)
			}
		}
		v, err := f.store.AskedPrompt(t.Context(), tenant, askedID)
		if err != nil || v.Prompt.Answer != notify.Approve || v.Run.State != store.RunReady {
			t.Errorf("%+v, %v", v, err)
		}
	})
}
