// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/notify"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// onRun uses a verb on one run and lets the engine go on.
func (k *kit) onRun(id string, v Verb) error {
	k.t.Helper()
	v.By = store.Decider{Actor: "mia"}
	_, err := Do(k.t.Context(), k.store, k.tenant, id, v, expr.Workflow{})
	k.settle()
	return err
}

// A run that was stopped while an item's question was open asks about that item
// again, and does nothing again that it did for it or for those before.
func TestResumeInsideOfALoop(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		ask := approval("ok", alone)
		ask.Ask.Matter.Text = "Close ${i}?"
		k.put(cel(each("loop", "['a', 'b']", "i", ticket("before", "x${i}"), ask, ticket("act", "y${i}"))))
		k.by("k")
		k.status(k.onCLI(k.open(), "mia", notify.Approve, ""), store.AnswerAccepted)
		k.settle()
		k.stopRun()
		if err := k.do(Verb{Kind: VerbResume}); err != nil {
			t.Fatal(err)
		}
		k.expect(store.RunWaiting, "", "WaitingForApproval")
		k.status(k.onCLI(k.open(), "mia", notify.Approve, ""), store.AnswerAccepted)
		k.settle()
		k.expect(store.RunSucceeded, "", "")
		k.want("tickets", k.tickets(), []string{"xa", "ya", "xb", "yb"})
	})
}

// A run below goes on with its parent where it was.
func TestResumeOfRunsBelow(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.put(cel(ticket("pay", "pay"), waits("pause", Hours(9)), ticket("end", "end")), named("lowest"))
		k.put(cel(runs("lower", "lowest", nil)), named("child"))
		k.put(cel(runs("call", "child", nil)))
		r := k.by("k")
		if _, err := k.store.StopRun(t.Context(), k.tenant, r.ID, store.Decider{Actor: "eve"}); err != nil {
			t.Fatal(err)
		}
		k.pass(time.Minute)
		w := k.put(cel(runs("call", "child", map[string]any{"other": "input"})))
		if err := k.onRun(r.ID, Verb{Kind: VerbResume, ToRevision: w.Revision}); err == nil || !strings.Contains(err.Error(), `runs that step "call" started have begun`) {
			t.Errorf("resume in another revision: %v", err)
		}
		if err := k.onRun(r.ID, Verb{Kind: VerbResume}); err != nil {
			t.Fatal(err)
		}
		k.want("tickets after the resume", k.tickets(), []string{"pay"})
		k.pass(10 * time.Hour)
		k.want("tickets", k.tickets(), []string{"pay", "end"})
		for _, name := range []string{"lowest", "child", "wf"} {
			if of := k.of(name); len(of) != 1 || of[0].State != store.RunSucceeded {
				t.Errorf("runs of %s: %+v", name, of)
			}
		}
		if n := k.audits()["run.resume"]; n != 3 {
			t.Errorf("%d audit records of a resume, want one for each run", n)
		}
	})
}

// A resume while the last call of a run below is still under way.
func TestResumeBeforeTheRunBelowHasStopped(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.put(cel(ticket("pay", "pay"), ticket("end", "end")), named("child"))
		k.put(cel(runs("call", "child", nil)))
		k.vendor.script("ticket.create", func(c Call) (Result, error) {
			parent := k.of("wf")[0].ID
			if _, err := k.store.StopRun(t.Context(), k.tenant, parent, store.Decider{Actor: "eve"}); err != nil {
				t.Error(err)
			}
			k.clock.Step(time.Second)
			if _, err := Do(t.Context(), k.store, k.tenant, parent, Verb{Kind: VerbResume, By: store.Decider{Actor: "eve"}}, expr.Workflow{}); err != nil {
				t.Error(err)
			}
			k.clock.Step(time.Second)
			return k.vendor.do(c), nil
		})
		k.by("k")
		for _, name := range []string{"wf", "child"} {
			if of := k.of(name); len(of) != 1 || of[0].State != store.RunSucceeded {
				t.Errorf("runs of %s: %+v", name, of)
			}
		}
		k.want("tickets", k.tickets(), []string{"pay", "end"})
	})
}

// An approval is passed over in no run below either.
func TestSkipOfAnApprovalBelow(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.put(cel(approval("ok", alone)), named("lowest"))
		k.put(cel(runs("gate", "lowest", nil)), named("child"))
		k.put(cel(runs("gate", "child", nil), ticket("act", "deleted")))
		r := k.by("k")
		if err := k.onRun(r.ID, Verb{Kind: VerbSkip}); err == nil {
			t.Error("the approval was passed over")
		}
		k.status(k.onCLI(k.open(), "mia", notify.Reject, ""), store.AnswerAccepted)
		k.settle()
		if err := k.onRun(r.ID, Verb{Kind: VerbSkip}); err == nil {
			t.Error("the rejection was passed over")
		}
		k.want("tickets", k.tickets(), nil)
	})
}

// Who skips a step of onFailure does not make the failure unsaid.
func TestSkipInsideOfOnFailure(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		d := cel(ticket("act", "x"))
		d.OnFailure = []Step{ticket("sorry", "sorry")}
		k.put(d)
		k.vendor.script("ticket.create", func(Call) (Result, error) { return Result{Class: ResultDenied, Sent: true, Message: "no"}, nil })
		k.vendor.script("ticket.create", lostBeforeEffect)
		k.by("k")
		k.expect(store.RunAttention, "", reasonUnknown)
		if err := k.do(Verb{Kind: VerbSkip}); err != nil {
			t.Fatal(err)
		}
		k.expect(store.RunFailed, "failed", "Denied")
	})
}

// What nobody knows is not done again by a retry of what is around it.
func TestRetryAroundAnUnknownOutcome(t *testing.T) {
	unsafe := ticket("act", "x")
	unsafe.Action.OnAmbiguous = AmbiguousFail
	goesOn := unsafe
	goesOn.OnError = OnErrorContinue
	for name, tt := range map[string]struct {
		steps []Step
		from  string
	}{
		"a list":           {[]Step{each("loop", "['a']", "i", unsafe)}, "loop"},
		"another Workflow": {[]Step{runs("call", "child", nil)}, "call"},
		"it went on":       {[]Step{goesOn, {Name: "bad", Action: &ActionStep{Integration: "zoom", Action: "noop"}}}, "act"},
	} {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, k *kit) {
				k.ada(nil)
				k.put(cel(unsafe), named("child"))
				k.put(cel(tt.steps...))
				k.vendor.script("ticket.create", k.effectThenLost)
				k.vendor.script("noop", func(Call) (Result, error) { return Result{Class: ResultDenied, Sent: true, Message: "no"}, nil })
				r := k.by("k")
				if err := k.onRun(r.ID, Verb{Kind: VerbRetry, FromStep: tt.from}); err == nil {
					t.Error("the retry was not refused")
				}
				k.want("tickets", k.tickets(), []string{"x"})
				if err := k.onRun(r.ID, Verb{Kind: VerbRetry, FromStep: tt.from, LookedAt: true}); err != nil {
					t.Errorf("who has looked: %v", err)
				}
			})
		})
	}
}
