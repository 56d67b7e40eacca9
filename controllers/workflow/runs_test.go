// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/reconcile/reconciletest"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// runKit is a kit whose clock stands still, with a Workflow and what moves its runs.
type runKit struct {
	*kit
	clock  *clocktesting.FakeClock
	leases store.Leases
	w      *v1alpha1.Workflow
}

func newRunKit(t *testing.T) *runKit {
	k := &runKit{kit: newKit(t), clock: clocktesting.NewFakeClock(time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC))}
	s := storetest.Open(t, storetest.SQLite(t), storetest.WithClock(k.clock))
	tenant, err := s.EnsureTenant(t.Context(), k.ns)
	if err != nil {
		t.Fatal(err)
	}
	held, err := s.HoldShards(t.Context(), store.HoldRequest{Owner: "test", Lease: 1000 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	k.leases, k.store = held.Leases, backend{s, tenant}
	k.r.Backend, k.r.Env.Clock = k.store, k.clock
	k.w = k.workflow("leaver", act("", "zoom", "user.signOut", `userId: "a"`))
	reconciletest.Steady(t, k.client, k.w, k.r)
	return k
}

// run starts a run and has it come to a state at this moment.
func (k *runKit) run(key string, state store.RunState, reason string) (id string) {
	k.Helper()
	r, _, err := k.store.StartRun(k.Context(), k.store.tenant, store.NewRun{Kind: "Workflow", Name: "leaver", Revision: 1, TriggerKind: "manual", TriggerKey: key}, store.Decider{Actor: "test", Kind: model.ActorUser})
	if err != nil {
		k.Fatal(err)
	}
	k.comesTo(r.ID, state, reason)
	return r.ID
}

func (k *runKit) comesTo(id string, state store.RunState, reason string) {
	k.Helper()
	err := k.store.AdvanceRuns(k.Context(), k.leases, []store.RunKey{{Tenant: k.store.tenant, ID: id}}, func(now time.Time, l store.LoadedRun) (*store.RunChange, error) {
		l.Run.State, l.Run.Reason = state, reason
		if state.Ended() {
			l.Run.EndedAt = &now
		}
		return &store.RunChange{Run: l.Run}, nil
	})
	if err != nil {
		k.Fatal(err)
	}
}

// says reconciles and compares a condition's message; none: the condition is absent.
func (k *runKit) says(condition, reason string, parts ...string) {
	k.Helper()
	reconciletest.Steady(k.T, k.client, k.w, k.r)
	c := meta.FindStatusCondition(k.w.Status.Conditions, condition)
	if len(parts) == 0 {
		if c != nil {
			k.Errorf("%s is %+v", condition, *c)
		}
		return
	}
	if c == nil || c.Status != "True" || c.Reason != reason {
		k.Errorf("%s is %+v", condition, c)
		return
	}
	for _, part := range parts {
		if !strings.Contains(c.Message, part) {
			k.Errorf("%s says %q, want %q in it", condition, c.Message, part)
		}
	}
}

// ids compares the runs that the status names.
func (k *runKit) ids(attention, failed string) {
	k.Helper()
	if r := k.w.Status.Runs; r == nil || r.OldestAttention != attention || r.LastFailed != failed {
		k.Errorf("status.runs is %+v, want %q and %q", r, attention, failed)
	}
}

func (k *runKit) attention(parts ...string) {
	k.Helper()
	k.says(v1alpha1.ConditionAttentionNeeded, v1alpha1.ReasonRunsNeedAttention, parts...)
}

func (k *runKit) failed(parts ...string) {
	k.Helper()
	k.says(v1alpha1.ConditionLastRunFailed, v1alpha1.ReasonLastRunFailed, parts...)
}

// Runs that wait for a person are a condition: how many, since when the oldest, and
// how to look.
func TestAttentionNeeded(t *testing.T) {
	k := newRunKit(t)
	k.attention()
	first := k.run("1", store.RunAttention, "OutcomeUnknown")
	k.attention("1 run waits", "since 2026-11-02 (OutcomeUnknown)", "`seatkeeper runs --workflow leaver --state attention`")
	k.ids(first, "")
	k.clock.Step(time.Hour)
	second := k.run("2", store.RunAttention, "Defect")
	k.attention("2 runs wait", "2026-11-02 (OutcomeUnknown)")
	k.ids(first, "")
	version := k.w.ResourceVersion
	k.clock.Step(time.Hour)
	k.attention("2 runs wait")
	if k.w.ResourceVersion != version {
		t.Error("the status is written though no run has changed")
	}
	k.comesTo(first, store.RunSucceeded, "")
	k.attention("1 run waits", "2026-11-02 (Defect)")
	k.ids(second, "")

	// Nobody overlooks them where the Workflow is suspended.
	k.w.Spec.Suspend = true
	if err := k.client.Update(t.Context(), k.w); err != nil {
		t.Fatal(err)
	}
	k.attention("1 run waits")
	k.comesTo(second, store.RunStopped, "")
	k.attention()
}

// The newest run that has ended is a condition if it failed, until one succeeds or a
// week has passed.
func TestLastRunFailed(t *testing.T) {
	k := newRunKit(t)
	k.run("0", store.RunSucceeded, "")
	k.failed()
	k.clock.Step(time.Hour)
	first := k.run("1", store.RunFailed, "Denied")
	k.failed("2026-11-02 (Denied)")
	k.ids("", first)
	k.run("2", store.RunWaiting, "Waiting")
	k.run("3", store.RunStopped, "")
	k.failed("Denied")
	k.clock.Step(time.Hour)
	second := k.run("4", store.RunFailed, "TimedOut")
	k.failed("2026-11-02 (TimedOut)")
	k.ids("", second)
	k.run("5", store.RunSucceeded, "")
	k.failed()
	k.run("6", store.RunFailed, "Denied")
	k.clock.Step(6 * 24 * time.Hour)
	k.failed("Denied")
	k.clock.Step(2 * 24 * time.Hour)
	k.failed()
}

// However fast runs come and go, a Workflow's status is written at most once in 30
// seconds.
func TestRunsWriteStatusSeldom(t *testing.T) {
	k := newRunKit(t)
	k.r.Env.Writes = reconcile.NewWriteLimiter()
	writes, version := 0, k.w.ResourceVersion
	key := types.NamespacedName{Namespace: k.ns, Name: "leaver"}
	const seconds = 300
	for i := range seconds {
		k.run(k.clock.Now().String(), []store.RunState{store.RunAttention, store.RunFailed, store.RunSucceeded}[i%3], "Denied")
		reconciletest.Reconcile(t, k.r, k.w)
		if err := k.client.Get(t.Context(), key, k.w); err != nil {
			t.Fatal(err)
		}
		if k.w.ResourceVersion != version {
			writes, version = writes+1, k.w.ResourceVersion
		}
		k.clock.Step(time.Second)
	}
	if most := seconds / 10; writes > most || writes == 0 {
		t.Errorf("%d status writes in %d s, at most %d", writes, seconds, most)
	}
	t.Logf("%d status writes", writes)
}
