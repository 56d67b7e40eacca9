// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package query

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/gateway/access"
	"github.com/seatkeeper/seatkeeper/internal/notify"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// named is whoever the header names; ops may list runs, and others may not.
type named struct{}

func (named) Check(r *http.Request, want access.Request) (string, access.Decision, string, error) {
	user := r.Header.Get("User")
	if want.Resource == "runs" && user != "ops" {
		return user, access.Forbidden, "", nil
	}
	return user, access.Allowed, "", nil
}

// Only who was asked sees and decides; an operator sees, and is told who can.
func TestPromptsAreOfThoseWhoAreAsked(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		ctx, s := t.Context(), open()
		tenant, err := s.EnsureTenant(ctx, "acme")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.CreateRuns(ctx, tenant, []store.NewRun{{Kind: "Workflow", Name: "leaver", TriggerKind: "manual", TriggerKey: "k", Definition: json.RawMessage(`{"steps":[]}`)}}); err != nil {
			t.Fatal(err)
		}
		runs, err := s.ListRuns(ctx, tenant, store.RunFilter{})
		if err != nil {
			t.Fatal(err)
		}
		held, err := s.HoldShards(ctx, store.HoldRequest{Owner: "test", Lease: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		prompt := func(id, purpose, who string, q notify.Question) store.Prompt {
			subject, _ := json.Marshal(map[string]any{"about": "Jo (jo@acme.example)", "evidence": q.Matter.Evidence, "question": q})
			return store.Prompt{ID: id, Purpose: purpose, TokenHash: store.HashPromptToken(id), State: store.PromptOpen, Options: q.Matter.Options, Subject: subject,
				Assignees: []store.Assignee{{PersonID: who, Name: who, Email: who + "@acme.example", KubernetesUser: who + "@acme.example"}}, ExpiresAt: time.Now().Add(time.Hour), CreatedAt: time.Now()}
		}
		question := func(kind notify.MatterKind, evidence string, options ...string) notify.Question {
			return notify.Question{Asker: "Acme", Policy: "leaver", Why: "started by hand by ops", Matter: &notify.Matter{Kind: kind, Text: "Really?", Options: options, Evidence: evidence, Silence: "it counts as Reject"}}
		}
		if err := s.AdvanceRuns(ctx, held.Leases, []store.RunKey{runs[0].Key()}, func(now time.Time, l store.LoadedRun) (*store.RunChange, error) {
			l.Run.State, l.Run.DueAt = store.RunWaiting, now.Add(time.Hour)
			return &store.RunChange{Run: l.Run, Prompts: []store.Prompt{
				prompt("appr-one", store.PromptApproval, "mia", question(notify.Approval, "", "Approve", "Reject")),
				prompt("appr-two", store.PromptApproval, "oz", question(notify.Approval, "", "Approve", "Reject")),
				prompt("task-one", store.PromptTask, "mia", question(notify.Task, "Required", "Done")),
			}}, nil
		}); err != nil {
			t.Fatal(err)
		}
		mux := http.NewServeMux()
		(&API{Store: s, Guard: named{}, Log: slog.New(slog.DiscardHandler)}).Register(mux)
		const mia = "mia@acme.example"
		for _, tc := range []struct {
			user, method, path, body string
			code                     int
			says, hides              string
		}{
			{mia, "GET", "approvals", "", 200, `"id":"appr-one"`, "appr-two"},
			{mia, "GET", "tasks", "", 200, `"id":"task-one"`, "appr-one"},
			{mia, "GET", "reviews", "", 200, `"items":[]`, "appr-one"},
			{mia, "GET", "approvals?all=true", "", 403, "runs", "appr-two"},
			{mia, "GET", "approvals?state=done", "", 400, "state", ""},
			{"ops", "GET", "approvals", "", 200, `"items":[]`, ""},
			{"ops", "GET", "approvals?all=true", "", 200, `"id":"appr-two"`, "Really"},
			{"ops", "GET", "approvals/appr-one", "", 200, "Really?", "token"},
			{mia, "GET", "approvals/appr-one", "", 200, "started by hand by ops", ""},
			{mia, "GET", "approvals/appr-two", "", 403, "runs", "oz"},
			{mia, "GET", "tasks/appr-one", "", 404, "seatkeeper tasks", ""},
			{mia, "GET", "approvals/none", "", 404, "", ""},
			{"ops", "POST", "approvals/appr-one/decide", `{"choice":"Approve"}`, 403, "mia, who can answer it", ""},
			{mia, "POST", "approvals/appr-two/decide", `{"choice":"Approve"}`, 403, "oz, who can answer it", ""},
			{mia, "POST", "tasks/appr-one/decide", `{"choice":"Approve"}`, 404, "", ""},
			{mia, "POST", "approvals/appr-one/decide", `{"choice":"Maybe"}`, 400, "Approve, Reject", ""},
			{mia, "POST", "approvals/appr-one/decide", `{"Choice":1}`, 400, "", ""},
			{mia, "POST", "tasks/task-one/decide", `{"choice":"Done"}`, 400, "only with evidence", ""},
			{mia, "POST", "tasks/task-one/decide", `{"choice":"Done","text":"https://x.example"}`, 200, `"answerText":"https://x.example"`, ""},
			{"Mia@Acme.Example", "POST", "approvals/appr-one/decide", `{"choice":"Reject","text":"too early"}`, 200, `"answeredBy":"mia"`, ""},
			{mia, "POST", "approvals/appr-one/decide", `{"choice":"Approve"}`, 409, "recorded already: Reject", ""},
			{mia, "GET", "approvals", "", 200, `"items":[]`, "appr-one"},
			{mia, "GET", "approvals?state=answered", "", 200, `"answer":"Reject"`, ""},
		} {
			r := httptest.NewRequest(tc.method, "/apis/v1/namespaces/acme/"+tc.path, strings.NewReader(tc.body))
			r.Header.Set("User", tc.user)
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			if w.Code != tc.code || !strings.Contains(w.Body.String(), tc.says) || tc.hides != "" && strings.Contains(w.Body.String(), tc.hides) {
				t.Errorf("%s: %s %s %s: %d %s; want %d %s, without %q", tc.user, tc.method, tc.path, tc.body, w.Code, w.Body, tc.code, tc.says, tc.hides)
			}
		}
		for action, want := range map[string]int{"prompt.answer": 2, "prompt.refuse": 2} {
			if records, err := s.Audit(ctx, tenant, store.AuditQuery{Action: action}); err != nil || len(records) != want {
				t.Errorf("%d records of %s, %v; want %d", len(records), action, err, want)
			}
		}
	})
}
