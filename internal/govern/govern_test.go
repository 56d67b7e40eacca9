// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package govern_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/govern"
	"github.com/seatkeeper/seatkeeper/internal/govern/governtest"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/policy"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

var t0 = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

const name = "zoom-90d"

// world is a store with one app, a policy over it and a clock.
type world struct {
	*testing.T
	store  *store.Store
	clock  *clocktesting.FakePassiveClock
	tenant model.TenantID
	app    *governtest.App
	rules  policy.Rules
	guard  model.Guard
	mode   string
}

func each(t *testing.T, fn func(*world)) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		clock := clocktesting.NewFakePassiveClock(t0)
		st := open(storetest.WithClock(clock))
		tenant, err := st.EnsureTenant(t.Context(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		w := &world{T: t, store: st, clock: clock, tenant: tenant, app: governtest.New(st, tenant, "zoom", clock.Now), guard: model.DefaultActionGuard, mode: "Auto"}
		w.rules = policy.Rules{Policy: name, InactiveAfterDays: 90, Signals: []string{"activity", "login"}, HoldOnLeave: true, Zone: "UTC",
			Sources: map[string]policy.Source{"zoom": {App: "zoom", StaleAfter: 24 * time.Hour, FirstSyncedAt: t0}}}
		must(t, st.SetTenantFacts(t.Context(), tenant, store.TenantFacts{LifecycleIntegration: "zoom"}))
		fn(w)
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sync lists the app again and moves the clock on, so that what comes later is
// seen to be later.
func (w *world) sync() {
	w.Helper()
	w.clock.SetTime(w.clock.Now().Add(time.Minute))
	w.app.Sync(w)
	if w.rules.Sources["zoom"].FirstSyncedAt.Equal(t0) {
		w.rules.Sources["zoom"] = policy.Source{App: "zoom", StaleAfter: 24 * time.Hour, FirstSyncedAt: w.clock.Now()}
	}
}

func (w *world) put() {
	w.Helper()
	raw, err := json.Marshal(w.rules)
	must(w, err)
	must(w, w.store.UpsertPolicy(w.Context(), w.tenant, store.PolicyState{Policy: name, UID: "u", Generation: 1, App: "zoom", Mode: w.mode, Rules: raw}))
}

func newRun(s model.Seat, c policy.Candidate, annual *model.Money) (store.NewRun, error) {
	return workflow.ReclaimSpec{
		Policy: name, Generation: 1, Mode: workflow.ModeAuto, IdleSince: c.Since, Removal: workflow.ReclaimRemoval{Action: "license.remove"},
		Seat: workflow.ReclaimSeat{App: "zoom", Integration: s.Integration, AccountID: s.AccountExternalID, PlanKey: s.PlanKey, PersonID: s.PersonID, YearlyCost: annual},
	}.NewRun()
}

func (w *world) evaluate(change ...func(*govern.Request)) govern.Result {
	w.Helper()
	w.put()
	rules, err := policy.Compile(w.rules)
	must(w, err)
	req := govern.Request{Rules: rules, Guard: w.guard, Per: 24 * time.Hour, Now: w.clock.Now(), NewRun: newRun, MayAct: func(string) bool { return true }}
	for _, f := range change {
		f(&req)
	}
	res, err := govern.Evaluate(w.Context(), w.store, w.tenant, req)
	must(w, err)
	return res
}

func (w *world) runs() map[string]bool {
	w.Helper()
	list, err := w.store.ListRuns(w.Context(), w.tenant, store.RunFilter{Limit: 1000})
	must(w, err)
	out := map[string]bool{}
	for _, r := range list {
		out[r.TriggerKey] = true
	}
	return out
}

func (w *world) wantRuns(n int) {
	w.Helper()
	if got := len(w.runs()); got != n {
		w.Errorf("%d runs, want %d", got, n)
	}
}

func TestEvaluateActsOncePerSeat(t *testing.T) {
	each(t, func(w *world) {
		w.app.AddMany("active", 40, 3)
		w.app.AddMany("idle", 5, 97)
		w.app.Add("never", -1)
		w.app.Add("mute", -1, func(a *model.Account) { a.ActivityReported = false })
		w.sync()
		res := w.evaluate()
		c := res.Counts
		if c.Covered != 47 || c.Active != 40 || c.Inactive != 6 || c.Unknown != 1 || c.UnknownBy[policy.ReasonNoTrustedSignal] != 1 {
			w.Errorf("%+v", c)
		}
		if res.Started != 6 || res.Held != nil {
			w.Errorf("started %d, held %+v", res.Started, res.Held)
		}
		again := w.evaluate()
		if again.Started != 0 || again.Counts.InFlight != 6 || again.Counts.Inactive != 6 {
			w.Errorf("the second evaluation: %+v", again)
		}
		w.wantRuns(6)
		findings, err := w.store.Findings(w.Context(), w.tenant, store.FindingQuery{Policy: name, Classes: []model.SeatClass{model.SeatInFlight}})
		must(w, err)
		if len(findings) != 6 {
			w.Errorf("%d findings in flight, want 6", len(findings))
		}
	})
}

// Invariant 3: no external write, and so no run, in report mode, with
// permission Read, or before the scheduled time.
func TestNothingActsThatMayNot(t *testing.T) {
	each(t, func(w *world) {
		w.app.AddMany("active", 40, 3)
		w.app.AddMany("idle", 30, 97)
		w.sync()
		report := w.evaluate(func(r *govern.Request) { r.NewRun = nil })
		read := w.evaluate(func(r *govern.Request) { r.MayAct = func(string) bool { return false } })
		early := w.evaluate(func(r *govern.Request) { r.Observe = true })
		for what, res := range map[string]govern.Result{"report": report, "read": read, "early": early} {
			if res.Counts.Inactive != 30 || res.Started != 0 || res.Held != nil {
				w.Errorf("%s: %+v", what, res)
			}
		}
		if read.Barred != 30 {
			w.Errorf("barred %d, want 30", read.Barred)
		}
		w.wantRuns(0)
	})
}

// Invariant 4: beyond the guard nothing starts until a person releases the
// held set, which is listed; a release is for that set and no later one.
func TestGuardHoldsUntilReleased(t *testing.T) {
	each(t, func(w *world) {
		w.app.AddMany("active", 65, 3)
		w.app.AddMany("idle", 30, 97)
		w.app.AddMany("later", 5, 120) // on leave for now
		for i := range 5 {
			w.app.Person(fmt.Sprintf("later%04d", i)).Lifecycle = model.LifecycleOnLeave
		}
		w.sync()
		res := w.evaluate()
		if res.Started != 20 || res.Held == nil || res.Held.Count != 10 || res.Held.Allowed != 20 || res.Held.Total != 100 {
			w.Fatalf("%+v, held %+v", res, res.Held)
		}
		w.wantRuns(20)
		items, err := w.store.HoldItems(w.Context(), w.tenant, res.Held.ID, "", 100)
		must(w, err)
		if len(items) != 10 || items[0].Label == "" || !strings.Contains(items[0].Detail, "since 2026-08-16") {
			w.Errorf("the held set: %+v", items)
		}
		if again := w.evaluate(); again.Started != 0 || again.Held.Digest != res.Held.Digest {
			w.Errorf("an hour later: %+v", again)
		}

		// A release of another set is refused, and one of this set releases no
		// seat that came later.
		backend := govern.Backend{Store: w.store}
		by := model.Actor{Name: "ada", Kind: model.ActorUser}
		if ok, err := backend.Release(w.Context(), "acme", name, "sha256:other", by); ok || err != nil {
			w.Errorf("another digest: %v, %v", ok, err)
		}
		if again := w.evaluate(); again.Started != 0 {
			w.Errorf("started %d by the digest of another set", again.Started)
		}
		ok, err := backend.Release(w.Context(), "acme", name, res.Held.Digest, by)
		must(w, err)
		if !ok {
			w.Fatal("not released")
		}
		if released, err := backend.Released(w.Context()); err != nil || fmt.Sprint(released) != "[[acme zoom-90d]]" {
			w.Errorf("released: %v, %v", released, err)
		}
		for i := range 5 {
			w.app.Person(fmt.Sprintf("later%04d", i)).Lifecycle = model.LifecycleCurrent
		}
		w.sync()
		after := w.evaluate()
		if after.Started != 10 || after.Held == nil || after.Held.Count != 5 || after.Held.Digest == res.Held.Digest {
			w.Errorf("after the release: started %d, held %+v", after.Started, after.Held)
		}
		for key := range w.runs() {
			if strings.HasPrefix(key, "zoom/later") {
				w.Errorf("%s was not in the released set", key)
			}
		}
		if ok, _ := backend.Release(w.Context(), "acme", name, res.Held.Digest, by); ok {
			w.Error("the old digest released a new set")
		}
		w.wantRuns(30)
		audit, err := w.store.Audit(w.Context(), w.tenant, store.AuditQuery{Action: "guard.release"})
		must(w, err)
		if len(audit) != 1 || audit[0].Actor != "ada" {
			w.Errorf("audit of the release: %+v", audit)
		}

		// The window moves on: what it lets through is let through again.
		w.clock.SetTime(w.clock.Now().Add(25 * time.Hour))
		w.sync()
		if next := w.evaluate(); next.Started != 5 || next.Held != nil {
			w.Errorf("the next day: %+v", next)
		}
	})
}

// Invariant 5, over a whole evaluation: people on leave, service accounts, the
// listed and the last administrator get no run.
func TestProtectedGetNoRun(t *testing.T) {
	each(t, func(w *world) {
		w.app.AddMany("active", 40, 3)
		w.app.Add("boss", 200)
		w.app.Add("glass", 200)
		w.app.Add("robot", 200, func(a *model.Account) { a.Kind = model.AccountService })
		w.app.Add("admin1", 200, func(a *model.Account) { a.IsAdmin = true })
		w.app.Add("admin2", 200, func(a *model.Account) { a.IsAdmin = true })
		w.app.Add("away", 200)
		w.app.Person("away").Lifecycle = model.LifecycleOnLeave
		w.rules.Protected = policy.Protected{People: []string{"boss@acme.example"}, Accounts: map[string][]string{"zoom": {"glass"}}}
		w.sync()
		res := w.evaluate()
		if res.Counts.Protected != 4 || res.Counts.OnLeave != 1 || res.Counts.Inactive != 1 {
			w.Errorf("%+v", res.Counts)
		}
		for key := range w.runs() {
			if !strings.HasPrefix(key, "zoom/admin") {
				w.Errorf("a run for %s", key)
			}
		}
		w.wantRuns(1)
	})
}

func subject(w *world, account string) workflow.Subject {
	vars, err := json.Marshal(map[string]any{"seat": workflow.ReclaimSeat{Integration: "zoom", AccountID: account, PlanKey: governtest.Plan}})
	must(w, err)
	return workflow.Subject{RunID: "r", Kind: "LicensePolicy", Name: name, Vars: vars}
}

// What became of the reason to act, looked at right before the effect.
func TestRecheck(t *testing.T) {
	each(t, func(w *world) {
		r := govern.NewRechecker(w.store, w.clock)
		w.app.AddMany("idle", 10, 97)
		w.sync()
		w.put()
		want := func(account string, decision workflow.Decision, reason string) {
			w.Helper()
			v, err := r.Recheck(w.Context(), w.tenant, subject(w, account))
			must(w, err)
			if v.Decision != decision || v.Reason != reason || (v.Message == "") != (decision == workflow.Go) {
				w.Errorf("%s: %+v, want %s %s", account, v, decision, reason)
			}
		}
		want("idle0000", workflow.Go, "")
		used := w.clock.Now()
		w.app.Account("idle0000").LastActivityAt = &used
		w.app.Person("idle0001").Lifecycle = model.LifecycleOnLeave
		w.app.Remove("idle0002")
		w.app.Account("idle0003").ActivityReported, w.app.Account("idle0003").LastActivityAt = false, nil
		w.app.Account("idle0004").IsAdmin = true
		w.sync()
		must(w, w.store.KeepSeat(w.Context(), w.tenant, model.Keep{Policy: name, Integration: "zoom", AccountID: "idle0005", PlanKey: governtest.Plan, Until: w.clock.Now().Add(time.Hour), By: "ada"}, ""))
		w.rules.Protected.People = []string{"idle0006@acme.example"}
		w.rules.Exempt = []policy.Exemption{{When: "person.email == 'idle0007@acme.example'"}}
		w.put()
		want("idle0000", workflow.Drop, govern.ReasonRenewedUse)
		want("idle0001", workflow.Hold, policy.ReasonOnLeave)
		want("idle0002", workflow.Drop, govern.ReasonSeatGone)
		want("idle0003", workflow.Hold, policy.ReasonNoTrustedSignal)
		want("idle0004", workflow.Drop, govern.ReasonProtected)
		want("idle0005", workflow.Drop, policy.ReasonExempt)
		want("idle0006", workflow.Drop, govern.ReasonProtected)
		want("idle0007", workflow.Drop, policy.ReasonExempt)
		want("idle0008", workflow.Go, "")

		w.clock.SetTime(w.clock.Now().Add(25 * time.Hour)) // nothing was listed since
		want("idle0008", workflow.Hold, policy.ReasonSyncStale)
		w.mode = "Report"
		w.put()
		want("idle0008", workflow.Drop, govern.ReasonPolicyGone)
		w.mode = "Auto"
		w.put()
		must(w, w.store.RemovePolicy(w.Context(), w.tenant, name))
		want("idle0008", workflow.Drop, govern.ReasonPolicyGone)
		unknown := subject(w, "idle0008")
		unknown.Name = "never-was"
		if v, err := r.Recheck(w.Context(), w.tenant, unknown); err != nil || v.Reason != govern.ReasonPolicyGone {
			w.Errorf("%+v, %v", v, err)
		}
	})
}
