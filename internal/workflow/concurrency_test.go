// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// limited is a definition with a bound.
func limited(policy store.SlotPolicy, most int, key string, steps ...Step) Definition {
	d := cel(steps...)
	d.Concurrency = &Concurrency{Max: most, Key: key, Policy: policy}
	return d
}

// stands says how the runs stand, the oldest first.
func (k *kit) stands() []string {
	k.t.Helper()
	runs, err := k.store.ListRuns(k.t.Context(), k.tenant, store.RunFilter{})
	if err != nil {
		k.t.Fatal(err)
	}
	var out []string
	for _, r := range slices.Backward(runs) {
		s := string(r.State)
		if r.Reason != "" {
			s += " " + r.Reason
		}
		out = append(out, s)
	}
	return out
}

func person(email string) func(*StartRequest) {
	return func(r *StartRequest) { r.Person = email }
}

// TestConcurrencyQueues lets runs with the same key wait for each other, the
// oldest first, whether the one before them ends, fails or is stopped.
func TestConcurrencyQueues(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.put(limited(store.SlotQueue, 1, "${person.email}", ticket("act", "${person.email} ${input.n}"), waits("pause", Hours(1))))
		n := func(v string) func(*StartRequest) { return withInput("n", v) }
		first := k.by("1", n("1"))
		k.by("2", n("2"))
		k.by("bob", n("0"), person("bob@acme.example"))
		k.by("3", n("3"))
		k.by("4", n("4"))
		k.by("dry", n("5"), func(r *StartRequest) { r.DryRun = true })
		const waits, queued = "waiting Waiting", "waiting ConcurrencyLimit"
		k.want("at first", k.stands(), []string{waits, queued, waits, queued, queued, "succeeded"})
		if m := k.run().Message; m != "" {
			t.Errorf("the dry run says %q", m)
		}
		if _, err := k.store.StopRun(t.Context(), k.tenant, first.ID, store.Decider{Actor: "eve"}); err != nil {
			t.Fatal(err)
		}
		k.settle()
		k.want("first stopped", k.stands(), []string{"stopped StopRequested", waits, waits, queued, queued, "succeeded"})
		k.engine = k.newEngine(func(o *Options) { o.Language = expr.Workflow{} }) // a crash forgets nothing
		k.pass(time.Hour)
		k.want("second ended", k.stands(), []string{"stopped StopRequested", "succeeded", "succeeded", waits, queued, "succeeded"})
		k.pass(time.Hour)
		k.pass(time.Hour)
		k.want("order", k.texts(), []string{"ada@acme.example 1", "bob@acme.example 0", "ada@acme.example 2", "ada@acme.example 3", "ada@acme.example 4"})
		k.want("at last", k.stands(), []string{"stopped StopRequested", "succeeded", "succeeded", "succeeded", "succeeded", "succeeded"})
	})
}

// TestConcurrencyAfterResume: a run that was stopped has lost its place, and
// waits for another when somebody resumes it.
func TestConcurrencyAfterResume(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.put(limited(store.SlotQueue, 1, "", waits("pause", Hours(1)), ticket("act", "${input.n}")))
		first := k.by("1", withInput("n", "1"))
		k.by("2", withInput("n", "2"))
		if _, err := k.store.StopRun(t.Context(), k.tenant, first.ID, store.Decider{Actor: "eve"}); err != nil {
			t.Fatal(err)
		}
		k.settle()
		if _, err := Do(t.Context(), k.store, k.tenant, first.ID, Verb{Kind: VerbResume, By: store.Decider{Actor: "eve"}}, expr.Workflow{}); err != nil {
			t.Fatal(err)
		}
		k.settle()
		k.want("resumed", k.stands(), []string{"waiting ConcurrencyLimit", "waiting Waiting"})
		k.pass(time.Hour)
		k.want("both", k.stands(), []string{"succeeded", "succeeded"})
		k.want("tickets", k.texts(), []string{"2", "1"})
	})
}

// TestConcurrencyAfterSuspension: a queued run of a suspended Workflow takes no
// place, and looks again when it goes on.
func TestConcurrencyAfterSuspension(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		d := limited(store.SlotQueue, 1, "", waits("pause", Hours(1)))
		k.put(d)
		k.by("1")
		k.by("2")
		k.put(d, func(s *store.WorkflowState) { s.Suspended = true })
		k.pass(time.Hour)
		k.want("suspended", k.stands(), []string{"waiting WorkflowSuspended", "waiting WorkflowSuspended"})
		k.put(d)
		k.settle()
		k.want("goes on", k.stands(), []string{"succeeded", "waiting Waiting"})
	})
}

func TestConcurrencySkips(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.put(limited(store.SlotSkip, 2, "", waits("pause", Hours(1))))
		for i := range 3 {
			k.by(fmt.Sprint(i))
		}
		k.want("third skipped", k.stands(), []string{"waiting Waiting", "waiting Waiting", "succeeded ConcurrencyLimit"})
		if r := k.run(); r.Outcome != "skipped" {
			t.Errorf("outcome %q: %s", r.Outcome, r.Message)
		}
		k.pass(time.Hour)
		k.by("again")
		k.want("room again", k.stands(), []string{"succeeded", "succeeded", "succeeded ConcurrencyLimit", "waiting Waiting"})
	})
}

// TestConcurrencyReplaces stops the oldest; one with a call under way keeps its
// place until the outcome is known.
func TestConcurrencyReplaces(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.put(limited(store.SlotReplace, 2, "", ticket("act", "${input.n}"), waits("pause", Hours(1))))
		n := func(v string) func(*StartRequest) { return withInput("n", v) }
		k.by("1", n("1"))
		k.by("2", n("2"))
		k.by("3", n("3"))
		k.want("oldest stopped", k.stands(), []string{"stopped StopRequested", "waiting Waiting", "waiting Waiting"})

		entered, release := make(chan struct{}), make(chan struct{})
		k.vendor.script("ticket.create", func(c Call) (Result, error) {
			close(entered)
			<-release
			return k.vendor.do(c), nil
		})
		_, _, err := Start(t.Context(), k.store, k.tenant, StartRequest{Workflow: "wf", Key: "4", Person: "ada@acme.example", Input: map[string]any{"n": "4"}})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- k.engine.Settle(context.Background()) }()
		select {
		case <-entered:
		case err := <-done:
			t.Fatalf("nothing was sent: %v", err)
		}
		for _, key := range []string{"5", "6"} { // 6 replaces 4, whose call is under way
			if _, _, err := Start(t.Context(), k.store, k.tenant, StartRequest{Workflow: "wf", Key: key, Person: "ada@acme.example", Input: map[string]any{"n": key}}); err != nil {
				t.Fatal(err)
			}
		}
		close(release)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		k.settle()
		k.want("replaced", k.stands(), []string{"stopped StopRequested", "stopped StopRequested", "stopped StopRequested", "stopped StopRequested", "waiting Waiting", "waiting Waiting"})
		k.want("tickets", slices.Sorted(slices.Values(k.texts())), []string{"1", "2", "3", "4", "5", "6"})
	})
}

// TestConcurrencyHoldsAcrossReplicas has two replicas that share the runs of one
// Workflow: never more are under way than may be, and all come to their turn.
func TestConcurrencyHoldsAcrossReplicas(t *testing.T) {
	dsn := storetest.Postgres(t)
	stores := []*store.Store{storetest.Open(t, dsn), storetest.Open(t, dsn)}
	tenant, err := stores[0].EnsureTenant(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	const n, most = 60, 3
	d := Definition{Language: LanguageCEL, Concurrency: &Concurrency{Max: most, Policy: store.SlotQueue}, Steps: []Step{ticket("one", "x"), ticket("two", "x")}}
	raw, err := d.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	state := store.WorkflowState{Name: "w", TriggerKind: TriggerManual, State: store.WorkflowReady}
	if state, err = stores[0].PutWorkflow(t.Context(), tenant, state, raw); err != nil {
		t.Fatal(err)
	}
	v := newVendor()
	var mu sync.Mutex
	now, peak := 0, 0
	v.onCall = func(Call) {
		mu.Lock()
		now++
		peak = max(peak, now)
		mu.Unlock()
		time.Sleep(5 * time.Millisecond) // as long as a vendor takes
		mu.Lock()
		now--
		mu.Unlock()
	}
	ctx, cancel := context.WithCancel(context.Background())
	var replicas sync.WaitGroup
	for i, s := range stores {
		e, err := New(Options{Store: s, Actions: v, Facts: newWorld(), People: newWorld(), PromptKey: promptKey, Language: expr.Workflow{}, Lease: 900 * time.Millisecond,
			Grace: 100 * time.Millisecond, BusyPoll: 20 * time.Millisecond, IdlePoll: 50 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		replicas.Go(func() {
			if err := e.Run(ctx); err != nil {
				t.Errorf("replica %d: %v", i, err)
			}
		})
	}
	defer replicas.Wait()
	defer cancel()
	runs := make([]store.NewRun, n)
	for i := range runs {
		runs[i] = store.NewRun{Kind: KindWorkflow, Name: "w", Revision: state.Revision, TriggerKind: "webhook", TriggerKey: fmt.Sprint(i)}
	}
	if _, err := stores[0].CreateRuns(t.Context(), tenant, runs); err != nil {
		t.Fatal(err)
	}
	until(t, "every run ended", func() bool {
		counts, err := stores[1].CountRuns(t.Context(), tenant, KindWorkflow, "w")
		return err == nil && counts.Outcomes["succeeded"] == n
	})
	if total, doubled := v.count("ticket.create"); total != 2*n || len(doubled) > 0 {
		t.Errorf("%d effects, want %d; doubled: %v", total, 2*n, doubled)
	}
	if peak > most || peak < 2 {
		t.Errorf("%d runs had a call under way at once, of at most %d", peak, most)
	}
}

// TestConcurrencyNamesWhoHasThePlace shows a run that waits which one it waits
// for, and that nothing moves before a person does.
func TestConcurrencyNamesWhoHasThePlace(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.put(limited(store.SlotQueue, 1, "k", ticket("act", "x")))
		k.vendor.script("ticket.create", lostBeforeEffect)
		first := k.by("1")
		k.clock.Step(time.Second)
		k.by("2")
		r := k.expect(store.RunWaiting, "", store.ReasonConcurrencyLimit)
		if !strings.Contains(r.Message, "run "+first.ID+" has the place and is attention: resolve it") {
			t.Errorf("people read %q", r.Message)
		}
	})
}
