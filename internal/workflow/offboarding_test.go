// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// plan is what every leaver's accounts come to.
type plan []Leaving

func (p plan) Plan(context.Context, model.TenantID, Subject, OffboardingStep) ([]Leaving, error) {
	return slices.Clone(p), nil
}

func (k *kit) leaving(p plan) {
	k.vendor.infos["user.suspend"] = ActionInfo{Class: ClassIdempotent}
	k.vendor.infos["user.delete"] = ActionInfo{Class: ClassIdempotent}
	k.engine = k.newEngine(func(o *Options) { o.Language, o.Leavers = expr.Workflow{}, p })
}

func suspend(app, account string, more ...LeavingCall) Leaving {
	calls := append([]LeavingCall{{Action: "user.suspend", Input: map[string]any{"userId": account}}}, more...)
	return Leaving{App: app, Title: app, Integration: app, AccountID: account, Method: LeaveAutomatic, Calls: calls}
}

// deletes is a deletion after a grace period.
func deletes(account string, days int) LeavingCall {
	return LeavingCall{Action: "user.delete", Input: map[string]any{"userId": account}, AfterDays: days}
}

// apps are the results of an offboarding step, by app.
func (k *kit) apps(name string) []string {
	k.t.Helper()
	d, err := k.store.Run(k.t.Context(), k.tenant, k.of("wf")[0].ID)
	if err != nil {
		k.t.Fatal(err)
	}
	v, err := parseVars(d.Vars)
	if err != nil {
		k.t.Fatal(err)
	}
	list, _ := v.lookup("steps." + name + ".apps").([]any)
	var out []string
	for _, one := range list {
		a, _ := one.(map[string]any)
		s := fmt.Sprintf("%v %v", a["app"], a["result"])
		if a["reason"] != nil {
			s += fmt.Sprintf(" %v", a["reason"])
		}
		out = append(out, s)
	}
	return out
}

// calledBy lists what was sent, by integration, action and account.
func (k *kit) called() []string {
	k.vendor.mu.Lock()
	defer k.vendor.mu.Unlock()
	var out []string
	for _, c := range k.vendor.sent {
		out = append(out, fmt.Sprintf("%s %s %v", c.Integration, c.Action, c.Input["userId"]))
	}
	slices.Sort(out)
	return out
}

// TestOffboarding suspends at once everywhere, deletes after each app's grace
// period, and holds no app up by another that fails or waits.
func TestOffboarding(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.leaving(plan{
			suspend("box", "b1", deletes("b1", 30)), suspend("google", "g1"), {App: "wiki", Integration: "wiki", AccountID: "w1", Method: LeaveIgnore, Why: "it is suspended already"},
			suspend("zoom", "z1"),
		})
		k.put(cel(Step{Name: "leave", Offboarding: &OffboardingStep{}}, ticket("after", "after")))
		for range 3 { // whichever comes first
			k.vendor.script("user.suspend", func(c Call) (Result, error) {
				if c.Integration == "google" {
					return Result{Class: ResultDenied, Sent: true, Message: "no"}, nil
				}
				return k.vendor.do(c), nil
			})
		}
		k.by("k")
		k.stand("wf", "waiting WaitingForRun")
		k.want("at once", k.called(), []string{"box user.suspend b1", "google user.suspend g1", "zoom user.suspend z1"})
		k.pass(29 * 24 * time.Hour)
		if n := len(k.called()); n != 3 {
			t.Errorf("%d calls before the grace period is over", n)
		}
		k.pass(2 * 24 * time.Hour)
		r := k.stand("wf", "failed AppsFailed")
		if r.Message != "1 of 4 accounts: google: Denied no" {
			t.Error(r.Message)
		}
		k.want("apps", k.apps("leave"), []string{"box done", "google failed Denied", "wiki skipped it is suspended already", "zoom done"})

		// Who says retry has another try at the one that failed, and at no other.
		if _, err := Do(t.Context(), k.store, k.tenant, r.ID, Verb{Kind: VerbRetry, By: store.Decider{Actor: "eve"}}, expr.Workflow{}); err != nil {
			t.Fatal(err)
		}
		k.settle()
		k.stand("wf", "succeeded")
		k.want("in all", k.called(), []string{"box user.delete b1", "box user.suspend b1", "desk ticket.create <nil>", "google user.suspend g1", "google user.suspend g1", "zoom user.suspend z1"})
	})
}

// TestOffboardingIsRecheckedBeforeEachCall has the verdicts: protected before
// anything, back before the deletion, held for now.
func TestOffboardingIsRecheckedBeforeEachCall(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.leaving(plan{suspend("box", "b1", deletes("b1", 30))})
		k.put(cel(Step{Name: "leave", Offboarding: &OffboardingStep{}}))
		verdict := func(v Verdict) { k.world.set(func() { k.world.verdict = v }) }

		verdict(Verdict{Decision: Drop, Reason: "Protected", Message: "hands off"})
		k.by("protected")
		if got := k.apps("leave"); len(k.called()) != 0 || fmt.Sprint(got) != "[box skipped Protected]" {
			t.Errorf("%q, %q", k.called(), got)
		}
		k.ledgerless()
	})
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.leaving(plan{suspend("box", "b1", deletes("b1", 30))})
		k.put(cel(Step{Name: "leave", Offboarding: &OffboardingStep{}}))
		k.by("back")
		k.world.set(func() { k.world.verdict = Verdict{Decision: Hold, Reason: "AccountNotSynced"} })
		k.pass(31 * 24 * time.Hour)
		child := k.child("box/box")
		if child.State != store.RunWaiting || child.Reason != "AccountNotSynced" {
			t.Errorf("%s %s", child.State, child.Reason)
		}
		k.world.set(func() { k.world.verdict = Verdict{Decision: Drop, Reason: "Returned"} })
		k.pass(time.Hour)
		k.stand("wf", "succeeded")
		k.want("apps", k.apps("leave"), []string{"box cancelled Returned"})
		k.want("calls", k.called(), []string{"box user.suspend b1"})
	})
}

// ledgerless checks that nothing was booked as a saving.
func (k *kit) ledgerless() {
	k.t.Helper()
	if n := len(k.ledger()); n != 0 {
		k.t.Errorf("%d entries in the ledger", n)
	}
}

// child is the newest run of an account.
func (k *kit) child(subject string) store.RunDetail {
	k.t.Helper()
	found, err := k.store.ListRuns(k.t.Context(), k.tenant, store.RunFilter{Kind: KindOffboarding, Subject: subject})
	if err != nil || len(found) == 0 {
		k.t.Fatalf("%d runs, %v", len(found), err)
	}
	d, err := k.store.Run(k.t.Context(), k.tenant, found[0].ID)
	if err != nil {
		k.t.Fatal(err)
	}
	return d
}

// TestOffboardingStops: a stop of the run stops those of its accounts, in their
// grace periods too; who resumes it has what was stopped done.
func TestOffboardingStops(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.leaving(plan{suspend("box", "b1", deletes("b1", 30))})
		k.put(cel(Step{Name: "leave", Offboarding: &OffboardingStep{}}))
		r := k.by("k")
		if _, err := k.store.StopRun(t.Context(), k.tenant, r.ID, store.Decider{Actor: "eve"}); err != nil {
			t.Fatal(err)
		}
		k.pass(40 * 24 * time.Hour)
		k.want("stopped", k.called(), []string{"box user.suspend b1"})
		if c := k.child("box/box"); c.State != store.RunStopped {
			t.Errorf("the account's run is %s", c.State)
		}
		if _, err := Do(t.Context(), k.store, k.tenant, r.ID, Verb{Kind: VerbResume, By: store.Decider{Actor: "eve"}}, expr.Workflow{}); err != nil {
			t.Fatal(err)
		}
		k.settle()
		k.pass(31 * 24 * time.Hour)
		k.stand("wf", "succeeded")
		k.want("resumed", k.called(), []string{"box user.delete b1", "box user.suspend b1", "box user.suspend b1"})
	})
}

// TestOffboardingDelegates opens a task, and shows a plan in a dry run.
func TestOffboardingDelegates(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.leaving(plan{{App: "wiki", Title: "The ${wiki}", Integration: "wiki", AccountID: "w1", Account: "ada", Method: LeaveDelegate, Why: "Integration wiki has permission Read", TransferTo: "Mia"}})
		k.put(cel(Step{Name: "leave", Offboarding: &OffboardingStep{}}))
		k.by("dry", func(r *StartRequest) { r.DryRun = true })
		if got := k.apps("leave"); len(got) != 1 || !strings.HasPrefix(got[0], "wiki") {
			t.Errorf("dry run: %q", got)
		}
		k.put(cel(Step{Name: "leave", Offboarding: &OffboardingStep{}}), named("real"))
		k.by("k", func(r *StartRequest) { r.Workflow = "real" })
		c := k.child("wiki/wiki")
		if c.State != store.RunWaiting || len(c.Prompts) != 1 {
			t.Fatalf("%s %s %s, %d prompts", c.State, c.Reason, c.Message, len(c.Prompts))
		}
		raw, err := json.Marshal(c.Prompts[0])
		if err != nil || !strings.Contains(string(raw), "Take the access to The ${wiki} away (account ada), and hand the data over to Mia.") {
			t.Errorf("task %s, %v", raw, err)
		}
	})
}

// TestOffboardingIsShown: what is done to the accounts counts as done by the
// Workflow.
func TestOffboardingIsShown(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.leaving(plan{suspend("box", "b1")})
		w := k.put(cel(Step{Name: "leave", Offboarding: &OffboardingStep{}}))
		k.by("k")
		found, _, _, err := k.store.ActionExecutions(t.Context(), k.tenant, store.ExecutionQuery{WorkflowID: w.APIID})
		if err != nil || len(found) != 1 || found[0].Action != "user.suspend" || found[0].Status != store.ExecutionSuccess {
			t.Errorf("%+v, %v", found, err)
		}
		if n := k.audits()["user.suspend"]; n != 1 {
			t.Errorf("%d audit records of one call", n)
		}
	})
}

// A suspension holds the runs for each account at once, however fresh their
// recheck is, and its end lets them go on.
func TestSuspensionHoldsTheAccountsOfALeaver(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.leaving(plan{suspend("box", "b1")})
		d := cel(Step{Name: "leave", Offboarding: &OffboardingStep{}})
		k.put(d)
		k.vendor.script("user.suspend", func(Call) (Result, error) { return Result{Class: ResultUnknown, Message: "refused"}, nil })
		k.by("k")
		k.want("calls", k.called(), []string{"box user.suspend b1"})
		k.put(d, func(s *store.WorkflowState) { s.Suspended = true })
		k.pass(20 * time.Second)
		k.want("calls while it is suspended", k.called(), []string{"box user.suspend b1"})
		if r := k.child("box/box"); r.Reason != store.ReasonWorkflowSuspended || !strings.Contains(r.Message, "Workflow wf is suspended") {
			t.Errorf("%s %s", r.Reason, r.Message)
		}
		k.put(d)
		k.settle()
		k.stand("wf", "succeeded")
		if n, _ := k.vendor.count("user.suspend"); n != 1 {
			t.Errorf("suspended %d times", n)
		}
	})
}
