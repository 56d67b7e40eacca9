// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package govern_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/govern"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/policy"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// TestJudgeLeaver: nothing is done to who is protected, and nothing is deleted
// of somebody who is back, or may be.
func TestJudgeLeaver(t *testing.T) {
	person := func(l model.Lifecycle) *store.PersonView {
		return &store.PersonView{Lifecycle: l}
	}
	account := func(s model.AccountStatus, synced time.Time) *store.AccountView {
		return &store.AccountView{Account: model.Account{Status: s}, SyncedAt: synced}
	}
	stopped, later := model.AccountSuspended, t0.Add(2*time.Hour)
	for name, tc := range map[string]struct {
		facts govern.LeaverFacts
		grace bool
		want  string
	}{
		"stopped at once":              {govern.LeaverFacts{Account: account(model.AccountActive, t0), Person: person(model.LifecycleCurrent), Tracked: true}, false, "Go "},
		"protected":                    {govern.LeaverFacts{Protected: "ProtectedPerson", Account: account(stopped, later)}, true, "Drop Protected"},
		"gone":                         {govern.LeaverFacts{Person: person(model.LifecyclePast)}, false, "Drop AccountGone"},
		"back before anything":         {govern.LeaverFacts{Account: account(model.AccountActive, t0), Person: person(model.LifecycleCurrent), Back: true}, false, "Drop Returned"},
		"suspended workflow":           {govern.LeaverFacts{Suspended: true, Account: account(model.AccountActive, t0)}, false, "Hold WorkflowSuspended"},
		"deleted":                      {govern.LeaverFacts{Account: account(stopped, later), Person: person(model.LifecyclePast), Tracked: true}, true, "Go "},
		"deleted, gone from directory": {govern.LeaverFacts{Account: account(stopped, later), Tracked: true}, true, "Go "},
		"not read since":               {govern.LeaverFacts{Account: account(stopped, t0.Add(time.Minute)), Person: person(model.LifecyclePast)}, true, "Hold AccountNotSynced"},
		"opened again":                 {govern.LeaverFacts{Account: account(model.AccountActive, later), Person: person(model.LifecyclePast)}, true, "Drop Returned"},
		"has not left":                 {govern.LeaverFacts{Account: account(stopped, later), Person: person(model.LifecycleCurrent), Tracked: true}, true, "Hold PersonNotLeft"},
		"nobody tells":                 {govern.LeaverFacts{Account: account(stopped, later), Person: person(model.LifecycleCurrent)}, true, "Go "},
	} {
		v := govern.JudgeLeaver(tc.facts, tc.grace, t0)
		if got := string(v.Decision) + " " + v.Reason; got != tc.want || v.Decision != workflow.Go && v.Message == "" {
			t.Errorf("%s: %s (%s), want %s", name, got, v.Message, tc.want)
		}
	}
}

// TestRecheckBeside: an account that an identity provider lists is told from its own.
// Its being gone there ends no task about the app.
func TestRecheckBeside(t *testing.T) {
	each(t, func(w *world) {
		w.app.Add("eve", 3, func(a *model.Account) { a.AppExternalID = "0oa1" })
		w.sync()
		found, err := w.store.PersonByEmail(w.Context(), w.tenant, "eve@acme.example")
		must(w, err)
		unassign := []workflow.LeavingCall{{Action: "app.unassign"}}
		for name, tc := range map[string]struct {
			app   string
			calls []workflow.LeavingCall
			want  string
		}{
			"its own": {"", unassign, "Drop AccountGone"}, "beside": {"0oa1", unassign, "Go "}, "a task": {"0oa1", nil, "Go "},
			"gone": {"0oa2", unassign, "Drop AccountGone"}, "gone, and a task": {"0oa2", nil, "Go "}, "its own, a task": {"", nil, "Drop AccountGone"},
		} {
			vars, err := json.Marshal(map[string]any{"leaver": map[string]any{"integration": "zoom", "accountID": "eve", "appID": tc.app, "calls": tc.calls, "period": 99}})
			must(w, err)
			v, err := govern.NewRechecker(w.store, w.clock).Recheck(w.Context(), w.tenant, workflow.Subject{Kind: workflow.KindOffboarding, Name: "leaver", PersonID: found.ID, Vars: vars})
			must(w, err)
			if got := string(v.Decision) + " " + v.Reason; got != tc.want {
				w.Errorf("%s: %s, want %s", name, got, tc.want)
			}
		}
	})
}

// TestRecheckLeaver reads from the store who is protected.
func TestRecheckLeaver(t *testing.T) {
	each(t, func(w *world) {
		w.app.Add("ada", 3)
		w.app.Add("robot", 3, func(a *model.Account) { a.Kind = model.AccountService })
		w.app.Add("root", 3, func(a *model.Account) { a.IsAdmin = true })
		w.app.Add("boss", 3)
		w.app.Add("listed", 3)
		w.app.Add("ruled", 3)
		w.sync()
		must(w, w.store.SetTenantFacts(w.Context(), w.tenant, store.TenantFacts{
			LifecycleIntegration: "zoom", Protected: []string{"Boss@acme.example"}, ProtectedAccounts: map[string][]string{"zoom": {"listed"}},
			ProtectedWhen: "account.username == 'ruled'",
		}))
		r := govern.NewRechecker(w.store, w.clock)
		recheck := func(id, personOf string) string {
			w.Helper()
			found, err := w.store.PersonByEmail(w.Context(), w.tenant, personOf+"@acme.example")
			must(w, err)
			vars, err := json.Marshal(map[string]any{"leaver": map[string]any{"integration": "zoom", "accountID": id, "calls": []any{map[string]any{"action": "user.suspend"}}, "lifecycle": "current", "period": 99}})
			must(w, err)
			v, err := r.Recheck(w.Context(), w.tenant, workflow.Subject{Kind: workflow.KindOffboarding, Name: "leaver", PersonID: found.ID, Vars: vars})
			must(w, err)
			return fmt.Sprint(v.Decision, " ", v.Reason, " ", v.Message)
		}
		protected := func(why string) string {
			return "Drop Protected The person or the account is protected (" + why + "); nothing is done."
		}
		for id, want := range map[string]string{
			"ada": "Go  ", "robot": protected(policy.ReasonServiceAccount), "root": protected(policy.ReasonLastAdmin), "boss": protected(policy.ReasonProtectedPerson),
			"listed": protected(policy.ReasonProtectedAccount), "ruled": protected(policy.ReasonProtectedByRule),
		} {
			if got := recheck(id, id); got != want {
				w.Errorf("%s: %s, want %s", id, got, want)
			}
		}
		if got := recheck("boss", "ada"); got != "Drop AccountGone The account is no longer there, or no longer this person's; nothing is done." {
			w.Errorf("somebody else's account: %s", got)
		}
		for name, tc := range map[string]struct {
			lifecycle model.Lifecycle
			period    int64
			want      string
		}{
			"had left": {model.LifecyclePast, 99, "Drop Returned"}, "employed anew": {model.LifecycleCurrent, -1, "Drop Returned"}, "as before": {model.LifecycleCurrent, 99, "Go "},
		} {
			found, err := w.store.PersonByEmail(w.Context(), w.tenant, "ada@acme.example")
			must(w, err)
			vars, err := json.Marshal(map[string]any{"leaver": map[string]any{"integration": "zoom", "accountID": "ada", "lifecycle": tc.lifecycle, "period": tc.period}})
			must(w, err)
			v, err := r.Recheck(w.Context(), w.tenant, workflow.Subject{Kind: workflow.KindOffboarding, Name: "leaver", PersonID: found.ID, Vars: vars})
			must(w, err)
			if got := string(v.Decision) + " " + v.Reason; got != tc.want {
				w.Errorf("%s: %s, want %s", name, got, tc.want)
			}
		}
		_, err := w.store.PutWorkflow(w.Context(), w.tenant, store.WorkflowState{Name: "leaver", State: store.WorkflowReady, Suspended: true}, nil)
		must(w, err)
		if got := recheck("ada", "ada"); got != "Hold WorkflowSuspended The Workflow is suspended; nothing is done until it goes on." {
			w.Errorf("suspended: %s", got)
		}
		must(w, w.store.SetTenantFacts(w.Context(), w.tenant, store.TenantFacts{ProtectedWhen: "account.nonsense"}))
		if got := recheck("ada", "ada"); got != protected(govern.ReasonProtectionBroken) {
			w.Errorf("an expression that does not compile: %s", got)
		}
	})
}
