// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// staff puts Ada and so many others into the directory.
func (k *kit) staff(n int) {
	k.t.Helper()
	k.ada(nil)
	k.vendor.infos["user.suspend"] = ActionInfo{Class: ClassIdempotent, Removes: true}
	k.vendor.infos["user.delete"] = ActionInfo{Class: ClassIdempotent, Removes: true}
	k.engine = k.newEngine(func(o *Options) { o.Lease = time.Hour }) // longer than a long list takes
	records := make([]model.Record, n)
	for i := range records {
		records[i].Person = &model.Person{ExternalID: fmt.Sprintf("s%d", i), Email: fmt.Sprintf("s%d@acme.example", i), Lifecycle: model.LifecycleCurrent}
	}
	k.sync("staff", model.DataPeople, records)
}

// sync lists everything that an integration has of one kind.
func (k *kit) sync(integration string, of model.DataType, records []model.Record) {
	k.t.Helper()
	ctx := k.t.Context()
	_, err := k.store.UpsertIntegration(ctx, k.tenant, store.IntegrationSpec{Name: integration, UID: integration, Connector: "csv", RequestedAt: k.clock.Now().String(), Interval: time.Hour})
	if err != nil {
		k.t.Fatal(err)
	}
	c, err := k.store.ClaimIntegration(ctx, k.tenant, integration, "worker", time.Minute)
	if err != nil {
		k.t.Fatal(err)
	}
	y, err := k.store.BeginSync(ctx, c)
	if err == nil {
		err = y.Stage(ctx, "all", "", records)
	}
	if err == nil {
		_, err = y.FinishStream(ctx, "all", store.StreamOutcome{Complete: true, Types: []model.DataType{of}, Guard: model.DefaultShrinkGuard})
	}
	if err = errors.Join(err, y.Close(ctx), k.store.FinishIntegration(ctx, c, store.IntegrationResult{Synced: true})); err != nil {
		k.t.Fatal(err)
	}
}

// removes is a step that takes access from an account.
func removes(name, action, account string) Step {
	return Step{Name: name, Action: &ActionStep{Integration: "zoom", Action: action, With: map[string]any{"userId": account}}}
}

func accounts(prefix string, n int) []any {
	out := make([]any, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	return out
}

// forNobody is a definition of a user's that is about nobody.
func forNobody(steps ...Step) Definition { return Definition{Language: LanguageCEL, Steps: steps} }

// over starts a run about nobody.
func (k *kit) over(key string, input map[string]any) store.Run {
	k.t.Helper()
	return k.by(key, func(r *StartRequest) { r.Person, r.Input = "", input })
}

// taken checks from how many accounts access was taken, none of them twice.
func (k *kit) taken(action string, want int) {
	k.t.Helper()
	n, doubled := k.vendor.count(action)
	if n != want || len(doubled) > 0 {
		k.t.Errorf("%s: %d accounts, want %d; doubled %v", action, n, want, doubled)
	}
}

// held is the hold of the Workflow's removals, if there is one.
func (k *kit) held() *store.Hold {
	k.t.Helper()
	all, err := k.store.ListHolds(k.t.Context(), k.tenant)
	if err != nil {
		k.t.Fatal(err)
	}
	for _, h := range all {
		if h.HoldSubject == store.RemovalHold("wf") {
			return &h
		}
	}
	return nil
}

func (k *kit) release(h *store.Hold) {
	k.t.Helper()
	if h == nil {
		k.t.Fatal("nothing is held")
	}
	if _, err := k.store.ReleaseHold(k.t.Context(), k.tenant, h.HoldSubject, h.Digest, model.Actor{Name: "mia", Kind: model.ActorUser}, "looked at it"); err != nil {
		k.t.Fatal(err)
	}
	k.settle()
}

// TestRemovalsAreHeld: one run over 500 accounts takes as many as the guard lets
// pass, waits for a person, and goes on with what they released.
func TestRemovalsAreHeld(t *testing.T) {
	for name, tc := range map[string]struct {
		loop Step
		n    int
	}{
		"one after the other": {each("all", "input.list", "a", removes("suspend", "user.suspend", "${a}")), 100},
		"at the same time":    {wide(50, "all", "input.list", "a", removes("suspend", "user.suspend", "${a}")), 500},
	} {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, k *kit) {
				k.staff(100)
				k.put(forNobody(tc.loop))
				r := k.over("k", map[string]any{"list": accounts("z", tc.n)})
				k.taken("user.suspend", 20)
				waits, err := k.store.ListRuns(t.Context(), k.tenant, store.RunFilter{Reason: store.ReasonGuardHeld})
				if err != nil || len(waits) == 0 || waits[0].State != store.RunWaiting || !strings.Contains(waits[0].Message, "at most 20 accounts of others in 24h0m0s, and have from 20: `seatkeeper guards removals/wf`") {
					t.Fatalf("%+v, %v", waits, err)
				}
				h := k.held()
				if h == nil {
					t.Fatal("nothing is held")
				}
				if h.Count < int64(tc.n-20) || h.Count > int64(tc.n) || h.Allowed != 20 || h.Total != 102 || h.Reason != store.ReasonGuardHeld {
					t.Fatalf("%+v, %v of %v", h.Count, h.Allowed, h.Total)
				}
				items, err := k.store.HoldItems(t.Context(), k.tenant, h.ID, "", 10)
				if err != nil || len(items) != 1 || items[0].Label != fmt.Sprintf("up to %d more accounts", h.Count) || items[0].Detail != "run "+r.ID {
					t.Errorf("%+v, %v", items, err)
				}
				k.pass(time.Hour)
				k.taken("user.suspend", 20)
				_, err = k.store.ReleaseHold(t.Context(), k.tenant, h.HoldSubject, "sha256:other", model.Actor{Name: "mia", Kind: model.ActorUser}, "")
				if other := (*store.DigestError)(nil); !errors.As(err, &other) {
					t.Errorf("another digest: %v", err)
				}
				k.release(k.held())
				k.stand("wf", "succeeded")
				k.taken("user.suspend", tc.n)
				if h := k.held(); h != nil {
					t.Errorf("still held: %+v", h)
				}
				if n := k.audits()["guard.release"]; n != 1 {
					t.Errorf("%d records of the release", n)
				}
			})
		})
	}
}

// TestReleasedRemovalsAreThose: what was approved passes and no more, and for no
// other run.
func TestReleasedRemovalsAreThose(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.staff(100)
		k.put(forNobody(each("first", "input.list", "a", removes("suspend", "user.suspend", "${a}")), each("second", "input.list", "a", removes("delete", "user.delete", "x${a}"))))
		k.over("k", map[string]any{"list": accounts("z", 30)})
		k.taken("user.suspend", 20)
		h := k.held()
		if h == nil || h.Count != 10 {
			t.Fatalf("%+v", h)
		}
		k.over("other", map[string]any{"list": accounts("y", 5)})
		both := k.held()
		if both == nil || both.Count != 15 || both.Digest == h.Digest {
			t.Fatalf("%+v", both)
		}
		if _, err := k.store.ReleaseHold(t.Context(), k.tenant, h.HoldSubject, h.Digest, model.Actor{Name: "mia"}, ""); err == nil {
			t.Error("a set was released that is not held any more")
		}
		k.release(both)
		k.taken("user.suspend", 35)
		k.taken("user.delete", 0)
		again := k.held()
		if again == nil || again.Count != 35 {
			t.Fatalf("the second list of both: %+v", again)
		}
		for _, r := range k.of("wf") {
			if _, err := k.store.StopRun(t.Context(), k.tenant, r.ID, store.Decider{Actor: "eve"}); err != nil {
				t.Fatal(err)
			}
		}
		if h := k.held(); h != nil {
			t.Errorf("held for runs that were stopped: %+v", h)
		}
	})
}

// TestRemovalsPassLater: the window moves on; an account that was counted passes
// again, and a list of no more than the guard lets pass is never held.
func TestRemovalsPassLater(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.staff(100)
		k.put(forNobody(each("all", "input.list", "a", removes("suspend", "user.suspend", "${a}"), removes("delete", "user.delete", "${a}"))))
		k.over("few", map[string]any{"list": accounts("z", 20)})
		k.stand("wf", "succeeded")
		k.over("more", map[string]any{"list": accounts("z", 21)})
		k.taken("user.suspend", 40)
		if h := k.held(); h == nil || h.Count != 1 {
			t.Fatalf("%+v", h)
		}
		k.pass(25 * time.Hour)
		for _, r := range k.of("wf") {
			if r.State != store.RunSucceeded {
				t.Errorf("%s %s", r.State, r.Message)
			}
		}
		k.taken("user.delete", 41)
		if h := k.held(); h != nil {
			t.Errorf("%+v", h)
		}
	})
}

// TestRemovalsBelow: what runs below take counts for the Workflow of the first; the
// guard that it declares is the one.
func TestRemovalsBelow(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.staff(100)
		k.put(forNobody(removes("suspend", "user.suspend", "${input.a}")), named("child"))
		k.put(forNobody(each("all", "input.list", "a", runs("call", "child", map[string]any{"a": "${a}"}))), func(s *store.WorkflowState) {
			s.Trigger = `{"guard":{"minItems":3,"maxPercent":1,"per":3600000000000}}`
		})
		k.over("k", map[string]any{"list": accounts("z", 10)})
		k.taken("user.suspend", 3)
		k.stand("wf", "waiting WaitingForRun")
		h := k.held()
		if h == nil || h.Count != 7 || h.Allowed != 3 {
			t.Fatalf("%+v", h)
		}
		k.release(h)
		k.stand("wf", "succeeded")
		k.taken("user.suspend", 10)
	})
}

// TestOwnAccountsAreNotCounted: a run about a person stands for what they have.
func TestOwnAccountsAreNotCounted(t *testing.T) {
	person := map[string]any{"email": "ada@acme.example", "accounts": []any{
		map[string]any{"integration": "zoom", "externalId": "z1", "username": "Ada.Byron"}, map[string]any{"integration": "box", "externalId": "b1"},
	}}
	license := map[string]any{"integration": "zoom", "externalId": "z7"}
	for _, tc := range []struct {
		name string
		run  store.Run
		vars vars
		call Call
		own  bool
	}{
		{"an account", store.Run{PersonID: "p"}, vars{"person": person}, Call{Integration: "zoom", Input: map[string]any{"userId": "z1"}}, true},
		{"a name", store.Run{PersonID: "p"}, vars{"person": person}, Call{Integration: "zoom", Input: map[string]any{"userId": "ada.byron"}}, true},
		{"an address", store.Run{PersonID: "p"}, vars{"person": person}, Call{Integration: "okta", Input: map[string]any{"userId": "Ada@acme.example"}}, true},
		{"of another app", store.Run{PersonID: "p"}, vars{"person": person}, Call{Integration: "zoom", Input: map[string]any{"userId": "b1"}}, false},
		{"of another", store.Run{PersonID: "p"}, vars{"person": person}, Call{Integration: "zoom", Input: map[string]any{"userId": "z2", "toUserId": "z1"}}, false},
		{"nobody named", store.Run{PersonID: "p"}, vars{"person": person}, Call{Integration: "zoom", Input: map[string]any{"email": "ada@acme.example"}}, false},
		{"no name", store.Run{PersonID: "p"}, vars{"person": map[string]any{"email": ""}}, Call{Integration: "zoom", Input: map[string]any{"userId": ""}}, false},
		{"about nobody", store.Run{}, vars{"person": person}, Call{Integration: "zoom", Input: map[string]any{"userId": "z1"}}, false},
		{"the seat", store.Run{}, vars{"license": license}, Call{Integration: "zoom", Input: map[string]any{"userId": "z7"}}, true},
		{"another seat", store.Run{}, vars{"license": license}, Call{Integration: "box", Input: map[string]any{"userId": "z7"}}, false},
	} {
		if got := (&turn{run: tc.run, vars: tc.vars}).ownAccount(tc.call); got != tc.own {
			t.Errorf("%s: %t", tc.name, got)
		}
	}
	for _, kind := range []string{KindOffboarding, KindLicensePolicy} {
		if !(&turn{run: store.Run{Kind: kind}}).mayRemove(Call{Integration: "box"}) {
			t.Errorf("a run of kind %s stands at the guard of a Workflow", kind)
		}
	}
}

func TestJudgeRemoval(t *testing.T) {
	few := model.Guard{MinItems: 3, MaxPercent: 5}
	for name, tc := range map[string]struct {
		guard store.RemovalGuard
		want  store.RemovalAnswer
	}{
		"room":               {store.RemovalGuard{Guard: few, People: 100, Taken: 4}, store.RemovalAnswer{}},
		"none":               {store.RemovalGuard{Guard: few, People: 100, Taken: 5}, store.RemovalAnswer{Held: true}},
		"counted before":     {store.RemovalGuard{Guard: few, People: 100, Taken: 5, Known: true, Left: 1}, store.RemovalAnswer{}},
		"released":           {store.RemovalGuard{Guard: few, People: 100, Taken: 5, Left: 1}, store.RemovalAnswer{Released: true}},
		"room is used first": {store.RemovalGuard{Guard: few, People: 100, Taken: 4, Left: 1}, store.RemovalAnswer{}},
		"half of a few":      {store.RemovalGuard{Guard: few, People: 4, Taken: 2}, store.RemovalAnswer{Held: true}},
		"nobody is known":    {store.RemovalGuard{Guard: few, Taken: 2}, store.RemovalAnswer{}},
	} {
		if got := judgeRemoval(tc.guard); got != tc.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestTwoReplicasHoldTogether: each has runs of the Workflow, and no more pass both
// than pass one.
func TestTwoReplicasHoldTogether(t *testing.T) {
	dsn := storetest.Postgres(t)
	stores := []*store.Store{storetest.Open(t, dsn), storetest.Open(t, dsn)}
	tenant, err := stores[0].EnsureTenant(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	v := newVendor()
	v.infos["user.suspend"] = ActionInfo{Class: ClassIdempotent, Removes: true}
	definition, err := forNobody(removes("suspend", "user.suspend", "${input.a}")).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	w, err := stores[0].PutWorkflow(t.Context(), tenant, store.WorkflowState{Name: "wf", TriggerKind: TriggerManual, State: store.WorkflowReady}, definition)
	if err != nil {
		t.Fatal(err)
	}
	runs := make([]store.NewRun, 100)
	for i := range runs {
		runs[i] = store.NewRun{Kind: KindWorkflow, Name: "wf", Revision: w.Revision, TriggerKind: TriggerManual, TriggerKey: fmt.Sprint(i), Vars: []byte(fmt.Sprintf(`{"input":{"a":"z%d"}}`, i))}
	}
	if _, err := stores[0].CreateRuns(t.Context(), tenant, runs); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var replicas sync.WaitGroup
	defer replicas.Wait()
	defer cancel()
	for i, s := range stores {
		e, err := New(Options{Store: s, Actions: v, Facts: newWorld(), People: newWorld(), PromptKey: promptKey, Language: expr.Workflow{}, Lease: 5 * time.Second,
			BusyPoll: 20 * time.Millisecond, IdlePoll: 50 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		replicas.Go(func() {
			if err := e.Run(ctx); err != nil {
				t.Errorf("replica %d: %v", i, err)
			}
		})
	}
	until(t, "every run ended or is held", func() bool {
		ended, err := stores[0].ListRuns(t.Context(), tenant, store.RunFilter{States: []store.RunState{store.RunSucceeded}, Limit: 200})
		held, errHeld := stores[0].ListRuns(t.Context(), tenant, store.RunFilter{States: []store.RunState{store.RunWaiting}, Reason: store.ReasonGuardHeld, Limit: 200})
		return err == nil && errHeld == nil && len(ended)+len(held) == len(runs)
	})
	if n, doubled := v.count("user.suspend"); n != model.DefaultActionGuard.MinItems || len(doubled) > 0 {
		t.Errorf("%d accounts passed, doubled %v", n, doubled)
	}
	h, err := stores[0].Hold(t.Context(), tenant, store.RemovalHold("wf"))
	if err != nil || h.Count != 80 {
		t.Errorf("%+v, %v", h, err)
	}
}
