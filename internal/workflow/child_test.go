// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

func named(name string) func(*store.WorkflowState) {
	return func(s *store.WorkflowState) { s.Name = name }
}

// runs is a step that runs another Workflow.
func runs(name, workflow string, input map[string]any) Step {
	return Step{Name: name, Workflow: &CallStep{Name: workflow, Input: input}}
}

// of returns the runs of a Workflow, the oldest first.
func (k *kit) of(name string) []store.Run {
	k.t.Helper()
	found, err := k.store.ListRuns(k.t.Context(), k.tenant, store.RunFilter{Kind: KindWorkflow, Name: name})
	if err != nil {
		k.t.Fatal(err)
	}
	for i, j := 0, len(found)-1; i < j; i, j = i+1, j-1 {
		found[i], found[j] = found[j], found[i]
	}
	return found
}

// stand says how the only run of a Workflow stands.
func (k *kit) stand(name, want string) store.Run {
	k.t.Helper()
	found := k.of(name)
	if len(found) != 1 {
		k.t.Fatalf("%d runs of %s", len(found), name)
	}
	if got := strings.TrimSpace(string(found[0].State) + " " + found[0].Reason); got != want {
		k.t.Fatalf("the run of %s is %s (%s), want %s", name, got, found[0].Message, want)
	}
	return found[0]
}

// TestWorkflowStep runs another Workflow for each of two items: with its input,
// for the same person, once each; its end wakes the one that waits.
func TestWorkflowStep(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		open := ticket("open", "${person.displayName} ${input.item} ${event.kind}")
		open.Outputs = map[string]string{"where": "resp.ts"}
		k.put(cel(open, waits("pause", Hours(2))), named("child"))
		call := runs("call", "child", map[string]any{"item": "${i}"})
		call.Outputs = map[string]string{"where": "resp.steps.open.where"}
		k.put(cel(each("loop", "['a', 'b']", "i", call, ticket("tell", "${i} at ${steps.call.where}"))))
		k.by("k")
		parent := k.stand("wf", "waiting WaitingForRun")
		child := k.stand("child", "waiting Waiting")
		if child.ParentID != parent.ID || child.PersonID != parent.PersonID || child.TriggerKind != TriggerWorkflow || !strings.Contains(child.TriggerKey, "loop[#0]/call") {
			t.Errorf("child %+v", child)
		}
		k.pass(time.Minute)
		if v := k.stand("wf", "waiting WaitingForRun").Version; v != parent.Version {
			t.Errorf("the waiting run was looked at: version %d, then %d", parent.Version, v)
		}
		k.pass(2 * time.Hour) // the first ends, and the next begins
		if n := len(k.of("child")); n != 2 {
			t.Errorf("%d children", n)
		}
		k.pass(2 * time.Hour)
		k.stand("wf", "succeeded")
		k.want("tickets", k.texts(), []string{"Ada a workflow", "a at 1.0", "Ada b workflow", "b at 3.0"})
		if n := k.audits()["run.start"]; n != 3 {
			t.Errorf("%d records of starts, want 3", n)
		}
	})
}

// TestWorkflowStepFails: what ends a run badly fails the step that waits for
// it; who says retry has another run.
func TestWorkflowStepFails(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.put(cel(ticket("act", "x")), named("child"))
		call := runs("call", "child", nil)
		call.OnError = OnErrorAsk
		k.put(cel(call, ticket("after", "after")))
		k.vendor.script("ticket.create", func(Call) (Result, error) { return Result{Class: ResultDenied, Sent: true, Message: "no"}, nil })
		r := k.by("k")
		if m := k.stand("wf", "attention WorkflowFailed").Message; !strings.Contains(m, "of Workflow child failed: Denied: no; say retry") {
			t.Error(m)
		}
		if _, err := k.store.ResolveAttention(t.Context(), k.tenant, r.ID, store.ResolveRetry, store.Decider{Actor: "eve"}); err != nil {
			t.Fatal(err)
		}
		k.settle()
		k.stand("wf", "succeeded")
		k.want("tickets", k.texts(), []string{"x", "x", "after"})
		if n := len(k.of("child")); n != 2 {
			t.Errorf("%d children", n)
		}
	})
}

// TestWorkflowStepStops: a stop of the run that waits, and its timeout, stop
// the other; a stop of the other is known at once.
func TestWorkflowStepStops(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.put(cel(waits("pause", Hours(9)), ticket("never", "never")), named("leaf"))
		k.put(cel(runs("call", "leaf", nil)), named("child"))
		stop := func(id string) {
			t.Helper()
			if _, err := k.store.StopRun(t.Context(), k.tenant, id, store.Decider{Actor: "eve"}); err != nil {
				t.Fatal(err)
			}
			k.settle()
		}
		last := func(name, want string) store.Run {
			t.Helper()
			found := k.of(name)
			r := found[len(found)-1]
			if got := strings.TrimSpace(string(r.State) + " " + r.Reason); got != want {
				t.Errorf("the last run of %s is %s (%s), want %s", name, got, r.Message, want)
			}
			return r
		}
		call := runs("call", "child", nil)
		k.put(cel(call))
		stop(k.by("stopped").ID)
		for _, name := range []string{"wf", "child", "leaf"} {
			last(name, "stopped StopRequested")
		}
		k.by("child stopped")
		stop(last("leaf", "waiting Waiting").ID)
		last("child", "failed WorkflowStopped")
		last("wf", "failed WorkflowFailed")

		call.Timeout, call.OnError = Hours(1), OnErrorContinue
		k.put(cel(call, ticket("after", "${steps.call.reason}")))
		k.by("late")
		k.pass(time.Hour)
		last("wf", "succeeded")
		last("child", "stopped StopRequested")
		last("leaf", "stopped StopRequested")
		k.pass(10 * time.Hour)
		k.want("tickets", k.texts(), []string{"TimedOut"})
	})
}

// TestWorkflowStepAfterResume: who resumes a run that waited for another has that
// one go on as well, since it was stopped with it.
func TestWorkflowStepAfterResume(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.put(cel(waits("pause", Hours(1)), ticket("act", "x")), named("child"))
		k.put(cel(runs("call", "child", nil), ticket("after", "after")))
		r := k.by("k")
		if _, err := k.store.StopRun(t.Context(), k.tenant, r.ID, store.Decider{Actor: "eve"}); err != nil {
			t.Fatal(err)
		}
		k.pass(time.Minute)
		if _, err := Do(t.Context(), k.store, k.tenant, r.ID, Verb{Kind: VerbResume, By: store.Decider{Actor: "eve"}}, expr.Workflow{}); err != nil {
			t.Fatal(err)
		}
		k.settle()
		k.stand("wf", "waiting WaitingForRun")
		if all := k.of("child"); len(all) != 1 || all[0].State != store.RunWaiting {
			t.Fatalf("children %+v", all)
		}
		if _, err := Do(t.Context(), k.store, k.tenant, r.ID, Verb{Kind: VerbSkip, By: store.Decider{Actor: "eve"}}, expr.Workflow{}); err != nil {
			t.Fatal(err)
		}
		k.settle()
		k.stand("wf", "succeeded")
		if all := k.of("child"); all[0].State != store.RunStopped {
			t.Errorf("a skipped step leaves its run %s", all[0].State)
		}
		k.want("tickets", k.texts(), []string{"after"})
	})
}

// TestWorkflowStepWaitsForItsWorkflow says why it cannot begin, and begins when
// it can.
func TestWorkflowStepWaitsForItsWorkflow(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		child := cel(ticket("act", "x"))
		k.put(cel(runs("call", "child", nil)))
		k.by("k")
		k.stand("wf", "waiting WorkflowNotReady")
		k.put(child, named("child"), func(s *store.WorkflowState) { s.Suspended = true })
		k.pass(holdFor)
		if m := k.stand("wf", "waiting WorkflowNotReady").Message; m != `Workflow "child" is suspended` {
			t.Error(m)
		}
		k.put(child, named("child"))
		k.pass(holdFor)
		k.stand("wf", "succeeded")
		k.want("tickets", k.texts(), []string{"x"})

		k.by("dry", func(r *StartRequest) { r.DryRun = true })
		k.settle()
		if n := len(k.texts()); n != 1 || len(k.of("child")) != 2 {
			t.Errorf("a dry run sent %d tickets; %d children", n-1, len(k.of("child")))
		}
		k.put(child, named("child"), func(s *store.WorkflowState) { s.TriggerKind = "webhook" })
		k.by("not manual")
		if r := k.of("wf")[2]; r.Reason != "TriggerMismatch" {
			t.Errorf("%s: %s", r.Reason, r.Message)
		}
	})
}

// TestWorkflowStepDepth ends a chain that checks did not see.
func TestWorkflowStepDepth(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.put(cel(runs("call", "wf", nil)))
		k.by("k")
		all := k.of("wf")
		if len(all) != MaxDepth {
			t.Fatalf("%d runs, want %d", len(all), MaxDepth)
		}
		for i, r := range all {
			want := "WorkflowFailed"
			if i == MaxDepth-1 {
				want = "TooDeep"
			}
			if r.State != store.RunFailed || r.Reason != want {
				t.Errorf("run %d is %s %s: %s", i, r.State, r.Reason, r.Message)
			}
		}
	})
}

// TestWorkflowStepDuringACall: the run that is waited for is stopped with a call
// under way, which is resolved first.
func TestWorkflowStepDuringACall(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.put(cel(ticket("act", "x"), ticket("never", "never")), named("child"))
		k.put(cel(runs("call", "child", nil)))
		k.vendor.onCall = func(Call) {
			parent := k.of("wf")[0]
			if _, err := k.store.StopRun(context.Background(), k.tenant, parent.ID, store.Decider{Actor: "eve"}); err != nil {
				t.Error(err)
			}
		}
		k.by("k")
		k.stand("wf", "stopped StopRequested")
		child := k.stand("child", "stopped StopRequested")
		d, err := k.store.Run(t.Context(), k.tenant, child.ID)
		if err != nil || len(d.Attempts) != 1 || d.Attempts[0].State != store.AttemptOK {
			t.Errorf("%+v, %v", d.Attempts, err)
		}
		if got := fmt.Sprint(k.texts()); got != "[x]" {
			t.Errorf("tickets %s", got)
		}
	})
}
