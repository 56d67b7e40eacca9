// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

func newRuns(prefix string, n int) []store.NewRun {
	runs := make([]store.NewRun, n)
	for i := range runs {
		runs[i] = store.NewRun{Kind: "Workflow", Name: "w", TriggerKind: "manual", TriggerKey: fmt.Sprintf("%s%d", prefix, i), Subject: fmt.Sprintf("s%d", i),
			Definition: json.RawMessage(`{"steps":[]}`)}
	}
	return runs
}

func mustTenant(t *testing.T, s *store.Store, namespace string) model.TenantID {
	t.Helper()
	id, err := s.EnsureTenant(t.Context(), namespace)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func hold(t *testing.T, s *store.Store, r store.HoldRequest) store.Held {
	t.Helper()
	if r.Lease == 0 {
		r.Lease = 15 * time.Second
	}
	h, err := s.HoldShards(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// Two replicas end with half of the shards each; when one dies, the other
// takes its half at a higher epoch once the lease is over, not before.
func TestShardsAreSharedAndTakenOver(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		clock := clocktesting.NewFakeClock(time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC))
		s := open(storetest.WithClock(clock))
		a := hold(t, s, store.HoldRequest{Owner: "a"})
		if len(a.Leases) != store.Shards || a.FairShare != store.Shards {
			t.Fatalf("alone, a holds %d, fair share %d", len(a.Leases), a.FairShare)
		}
		if b := hold(t, s, store.HoldRequest{Owner: "b"}); len(b.Leases) != 0 || b.FairShare != store.Shards/2 {
			t.Fatalf("b holds %d of shards that are leased, fair share %d", len(b.Leases), b.FairShare)
		}
		a = hold(t, s, store.HoldRequest{Owner: "a"})
		var surplus []int
		for id := range a.Leases {
			if len(surplus) < len(a.Leases)-a.FairShare {
				surplus = append(surplus, id)
			}
		}
		a = hold(t, s, store.HoldRequest{Owner: "a", Release: surplus})
		b := hold(t, s, store.HoldRequest{Owner: "b"})
		if len(a.Leases) != 32 || len(b.Leases) != 32 {
			t.Fatalf("a holds %d, b %d; want half each", len(a.Leases), len(b.Leases))
		}
		clock.Step(10 * time.Second)
		hold(t, s, store.HoldRequest{Owner: "b"})
		clock.Step(10 * time.Second) // a's lease is over, b's is not
		b = hold(t, s, store.HoldRequest{Owner: "b"})
		if len(b.Leases) != store.Shards {
			t.Fatalf("b holds %d after a died", len(b.Leases))
		}
		for id, epoch := range a.Leases {
			if b.Leases[id] <= epoch {
				t.Errorf("shard %d was taken over at epoch %d, not above %d", id, b.Leases[id], epoch)
			}
		}
		if rows, err := s.ShardRows(t.Context()); err != nil || len(rows) != store.Shards {
			t.Errorf("%d shard rows, %v", len(rows), err)
		}
	})
}

// A paused owner's commit fails and writes nothing.
func TestAdvanceIsFenced(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		s := open()
		tenant := mustTenant(t, s, "acme")
		if _, err := s.CreateRuns(t.Context(), tenant, newRuns("r", 3)); err != nil {
			t.Fatal(err)
		}
		old := hold(t, s, store.HoldRequest{Owner: "a"})
		hold(t, s, store.HoldRequest{Owner: "b", TakeOver: true})
		runs, err := s.ListRuns(t.Context(), tenant, store.RunFilter{})
		if err != nil || len(runs) != 3 {
			t.Fatalf("%d runs, %v", len(runs), err)
		}
		keys := []store.RunKey{runs[0].Key(), runs[1].Key(), runs[2].Key()}
		called := false
		err = s.AdvanceRuns(t.Context(), old.Leases, keys, func(_ time.Time, l store.LoadedRun) (*store.RunChange, error) {
			called = true
			l.Run.State = store.RunSucceeded
			return &store.RunChange{Run: l.Run}, nil
		})
		var fenced *store.FencedError
		if !errors.Is(err, store.ErrFenced) || !errors.As(err, &fenced) || len(fenced.Shards) == 0 {
			t.Fatalf("the old owner's commit: %v", err)
		}
		if called {
			t.Error("a decision was taken for a shard that is lost")
		}
		if after, _ := s.ListRuns(t.Context(), tenant, store.RunFilter{States: []store.RunState{store.RunReady}}); len(after) != 3 {
			t.Errorf("%d runs are as before, want 3", len(after))
		}
	})
}

func TestAdvanceWritesManyAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		s := open()
		acme, other := mustTenant(t, s, "acme"), mustTenant(t, s, "other")
		for _, tenant := range []model.TenantID{acme, other} {
			if n, err := s.CreateRuns(t.Context(), tenant, newRuns("r", 450)); err != nil || n != 450 {
				t.Fatalf("created %d, %v", n, err)
			}
		}
		held := hold(t, s, store.HoldRequest{Owner: "a"})
		due, err := s.DueRuns(t.Context(), held.Leases, store.LaneGroup{Priority: store.PriorityBulk}, 2000)
		if err != nil || len(due) != 900 {
			t.Fatalf("%d due, %v", len(due), err)
		}
		keys := make([]store.RunKey, len(due))
		for i, d := range due {
			keys[i] = d.RunKey
		}
		end := time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)
		err = s.AdvanceRuns(t.Context(), held.Leases, keys, func(_ time.Time, l store.LoadedRun) (*store.RunChange, error) {
			l.Run.State, l.Run.Outcome, l.Run.EndedAt, l.Run.Vars = store.RunSucceeded, "done", &end, json.RawMessage(`{"of":"`+l.Run.TriggerKey+`"}`)
			return &store.RunChange{Run: l.Run, Audits: []model.AuditRecord{{Actor: "x", ActorKind: model.ActorSystem, Action: "test", RunID: l.Run.ID, Result: "done"}}}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, tenant := range []model.TenantID{acme, other} {
			counts, err := s.CountRuns(t.Context(), tenant, "Workflow", "w")
			if err != nil || counts.Outcomes["done"] != 450 || counts.Active() != 0 {
				t.Errorf("counts %+v, %v", counts, err)
			}
			runs, err := s.ListRuns(t.Context(), tenant, store.RunFilter{Limit: 1000})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range runs {
				if string(r.Vars) != `{"of":"`+r.TriggerKey+`"}` || !r.EndedAt.Equal(end) {
					t.Fatalf("run %s got the values of another: %s", r.TriggerKey, r.Vars)
				}
			}
			if audits, err := s.Audit(t.Context(), tenant, store.AuditQuery{Action: "test", Limit: 1000}); err != nil || len(audits) != 450 {
				t.Errorf("%d audit records, %v", len(audits), err)
			}
		}
	})
}

// Invariant 12: nothing of a run is seen or changed from another tenant.
func TestRunsOfOtherTenantsAreInvisible(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		s := open()
		acme, other := mustTenant(t, s, "acme"), mustTenant(t, s, "other")
		if _, err := s.CreateRuns(t.Context(), acme, newRuns("r", 1)); err != nil {
			t.Fatal(err)
		}
		runs, err := s.ListRuns(t.Context(), acme, store.RunFilter{})
		if err != nil || len(runs) != 1 {
			t.Fatalf("%d runs, %v", len(runs), err)
		}
		id := runs[0].ID
		held := hold(t, s, store.HoldRequest{Owner: "a"})
		if err := s.AdvanceRuns(t.Context(), held.Leases, []store.RunKey{runs[0].Key()}, func(now time.Time, l store.LoadedRun) (*store.RunChange, error) {
			l.Run.State = store.RunWaiting
			l.Run.DueAt = now.Add(time.Hour)
			return &store.RunChange{Run: l.Run, Prompts: []store.Prompt{{ID: "p1", TokenHash: store.HashPromptToken("t"), State: store.PromptOpen, Options: []string{"Keep"},
				Assignees: []store.Assignee{{PersonID: "1", Email: "a@acme.example"}}, ExpiresAt: now.Add(time.Hour), CreatedAt: now}}}, nil
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Run(t.Context(), other, id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("read from another tenant: %v", err)
		}
		if _, err := s.StopRun(t.Context(), other, id, store.Decider{Actor: "eve"}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("stopped from another tenant: %v", err)
		}
		if n, err := s.WakeRuns(t.Context(), other, "Workflow", "w", nil); err != nil || n != 0 {
			t.Errorf("woke %d from another tenant, %v", n, err)
		}
		if out, err := s.AnswerPrompt(t.Context(), other, store.AnswerRequest{Token: "t", Actor: store.Identity{Email: "a@acme.example"}, Choice: "Keep"}); err != nil || out.Status != store.AnswerUnknown {
			t.Errorf("answered from another tenant: %+v, %v", out, err)
		}
		if n, err := s.CreateRuns(t.Context(), other, newRuns("r", 1)); err != nil || n != 1 {
			t.Errorf("the same trigger key in another tenant started %d, %v", n, err)
		}
		prompts, err := s.ListPrompts(t.Context(), acme, store.PromptFilter{PersonID: "1"})
		if err != nil || len(prompts) != 1 {
			t.Errorf("prompts of the person: %d, %v", len(prompts), err)
		}
		if prompts, err = s.ListPrompts(t.Context(), acme, store.PromptFilter{PersonID: "_"}); err != nil || len(prompts) != 0 {
			t.Errorf("prompts of a pattern: %d, %v", len(prompts), err)
		}
	})
}

// Many at once answer the same question: one is accepted.
func TestAnswersRace(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		s := open()
		tenant := mustTenant(t, s, "acme")
		if _, err := s.CreateRuns(t.Context(), tenant, newRuns("r", 1)); err != nil {
			t.Fatal(err)
		}
		runs, _ := s.ListRuns(t.Context(), tenant, store.RunFilter{})
		held := hold(t, s, store.HoldRequest{Owner: "a"})
		if err := s.AdvanceRuns(t.Context(), held.Leases, []store.RunKey{runs[0].Key()}, func(now time.Time, l store.LoadedRun) (*store.RunChange, error) {
			l.Run.State, l.Run.DueAt = store.RunWaiting, now.Add(time.Hour)
			return &store.RunChange{Run: l.Run, Prompts: []store.Prompt{{ID: "p1", TokenHash: store.HashPromptToken("t"), State: store.PromptOpen, Options: []string{"Keep", "Reclaim"},
				Assignees: []store.Assignee{{PersonID: "1", Email: "a@acme.example"}}, ExpiresAt: now.Add(time.Hour), CreatedAt: now}}}, nil
		}); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		got := map[store.AnswerStatus]int{}
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				out, err := s.AnswerPrompt(t.Context(), tenant, store.AnswerRequest{Token: "t", Actor: store.Identity{Email: "A@acme.example"}, Choice: []string{"Keep", "Reclaim"}[i%2]})
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				got[out.Status]++
			})
		}
		wg.Wait()
		if got[store.AnswerAccepted] != 1 || got[store.AnswerAlready] != 7 {
			t.Errorf("answers %v", got)
		}
		if audits, err := s.Audit(t.Context(), tenant, store.AuditQuery{Action: "prompt.answer"}); err != nil || len(audits) != 1 {
			t.Errorf("%d audit records, %v", len(audits), err)
		}
		if out, err := s.AnswerPrompt(t.Context(), tenant, store.AnswerRequest{Token: "t", Actor: store.Identity{Email: "b@acme.example"}, Choice: "Keep"}); err != nil || out.Status != store.AnswerWrongPerson {
			t.Errorf("a stranger: %+v, %v", out, err)
		}
	})
}

// The same spec is the same revision; another one is the next.
func TestRevisions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		s := open()
		tenant := mustTenant(t, s, "acme")
		for i, spec := range []string{`{"steps":[]}`, `{"steps":[]}`, `{"steps":[],"x":1}`} {
			runs := newRuns(fmt.Sprintf("r%d-", i), 1)
			runs[0].Definition = json.RawMessage(spec)
			if _, err := s.CreateRuns(t.Context(), tenant, runs); err != nil {
				t.Fatal(err)
			}
		}
		runs, err := s.ListRuns(t.Context(), tenant, store.RunFilter{})
		if err != nil || len(runs) != 3 {
			t.Fatalf("%d runs, %v", len(runs), err)
		}
		revisions := map[string]int64{}
		for _, r := range runs {
			revisions[r.TriggerKey] = r.Revision
		}
		if revisions["r0-0"] != 1 || revisions["r1-0"] != 1 || revisions["r2-0"] != 2 {
			t.Errorf("revisions %v", revisions)
		}
		if raw, err := s.Definition(t.Context(), tenant, "Workflow", "w", 2); err != nil || string(raw) != `{"steps":[],"x":1}` {
			t.Errorf("revision 2 is %s, %v", raw, err)
		}
	})
}

// A policy that goes away wakes its own waiting runs and nobody else's.
func TestRemovedPolicyWakesItsRuns(t *testing.T) {
	eachWorld(t, func(w *world) {
		other := w.otherTenant("beta")
		later := w.clock.Now().Add(72 * time.Hour)
		var keys []store.RunKey
		for _, at := range []*world{w, other} {
			w.must(w.s.UpsertPolicy(w.Context(), at.tenant, store.PolicyState{Policy: "zoom-90d", Mode: "Ask", Rules: []byte("{}")}))
			runs := newRuns("r", 1)
			runs[0].Kind, runs[0].Name = "LicensePolicy", "zoom-90d"
			_, err := w.s.CreateRuns(w.Context(), at.tenant, runs)
			w.must(err)
			list, err := w.s.ListRuns(w.Context(), at.tenant, store.RunFilter{})
			w.must(err)
			keys = append(keys, list[0].Key())
		}
		held := hold(w.T, w.s, store.HoldRequest{Owner: "a"})
		w.must(w.s.AdvanceRuns(w.Context(), held.Leases, keys, func(_ time.Time, l store.LoadedRun) (*store.RunChange, error) {
			l.Run.State, l.Run.DueAt = store.RunWaiting, later
			return &store.RunChange{Run: l.Run}, nil
		}))
		w.must(w.s.RemovePolicy(w.Context(), w.tenant, "zoom-90d"))
		for i, want := range []bool{true, false} {
			r, err := w.s.Run(w.Context(), keys[i].Tenant, keys[i].ID)
			w.must(err)
			if woken := r.State == store.RunReady && r.DueAt.Before(later); woken != want {
				w.Errorf("tenant %d: woken %v, want %v (%s, due %s)", keys[i].Tenant, woken, want, r.State, r.DueAt)
			}
		}
	})
}
