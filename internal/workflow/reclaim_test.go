// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/store"
)

// Journey 7, first half: Reclaim twice is one removal, one audit record of it,
// and the message says what happened.
func TestReclaimTwiceRemovesOnce(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		r := k.begin(k.spec())
		k.expect(store.RunWaiting, "", "WaitingForAnswer")
		p := r.Prompts[0]
		if out := k.answer(p, "U-ada", "Reclaim"); out.Status != store.AnswerAccepted {
			t.Fatalf("first answer: %+v", out)
		}
		if out := k.answer(p, "U-ada", "Reclaim"); out.Status != store.AnswerAlready {
			t.Fatalf("second answer: %+v", out)
		}
		k.settle()
		k.expect(store.RunSucceeded, "reclaimed", "")
		k.effects(map[string]int{"message.send": 1, "license.remove": 1, "message.update": 1})
		if got := k.audits(); got["license.remove"] != 1 || got["prompt.answer"] != 1 || got["message.send"] != 1 || got["message.update"] != 1 {
			t.Errorf("audit records: %v", got)
		}
		if text := k.lastUpdate(); !strings.Contains(text, "Given back: Zoom, Licensed") || !strings.Contains(text, "you chose Reclaim") {
			t.Errorf("the message says %q", text)
		}
		steps, err := StepResults(k.run().Run)
		if err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, s := range steps {
			said = append(said, s.Name+"="+s.Result)
		}
		if got := strings.Join(said, " "); got != "ask=Reclaim recheck=Go remove=done book=Reclaimed tell=" {
			t.Errorf("steps: %s", got)
		}
		ledger := k.ledger()
		if len(ledger) == 0 || ledger[0].DecidedBy != "person:p-ada" {
			t.Errorf("ledger: %+v", ledger)
		}
		if out := k.answer(p, "U-ada", "Keep"); out.Status != store.AnswerAlready {
			t.Errorf("an answer afterwards: %+v", out)
		}
	})
}

// Journey 7, second half: Keep exempts for keepFor.
func TestKeepExempts(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		r := k.begin(k.spec())
		k.answer(r.Prompts[0], "U-ada", "Keep")
		k.settle()
		k.expect(store.RunSucceeded, "kept", "")
		k.effects(map[string]int{"message.send": 1, "message.update": 1})
		keeps, err := k.store.Keeps(t.Context(), k.tenant, "zoom-90d")
		if err != nil || len(keeps) != 1 {
			t.Fatalf("keeps: %+v, %v", keeps, err)
		}
		// 90 calendar days in Berlin at the same wall time.
		if want := time.Date(2027, 1, 31, 10, 0, 1, 0, time.UTC); !keeps[0].Until.Equal(want) || keeps[0].By != "person:p-ada" {
			t.Errorf("kept until %s by %s, want %s by person:p-ada", keeps[0].Until, keeps[0].By, want)
		}
	})
}

// Journey 8: the manager has left, the app owner is asked, silence keeps.
func TestEscalationFallsBackAndTimesOut(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		r := k.begin(k.spec())
		k.world.set(func() { k.world.holders[RoleManager] = nil })
		k.answer(r.Prompts[0], "U-ada", "Escalate")
		k.settle()
		r = k.run()
		if n := len(r.Prompts); n != 2 {
			t.Fatalf("%d prompts, want 2", n)
		}
		if p := r.Prompts[1]; p.Assignees[0].PersonID != "p-oz" || p.Assignees[0].Role != "AppOwner" {
			t.Fatalf("escalation asks %+v", p.Assignees)
		}
		k.pass(73 * time.Hour)
		k.expect(store.RunSucceeded, "kept", "")
		k.effects(map[string]int{"message.send": 2, "message.update": 2})
		if n := k.audits()["prompt.default"]; n != 1 {
			t.Errorf("the default that silence stood for is audited %d times", n)
		}
		if out := k.answer(r.Prompts[1], "U-oz", "Reclaim"); out.Status != store.AnswerLate || !strings.Contains(out.Message, "default applied: Keep") {
			t.Errorf("late answer: %+v", out)
		}
	})
}

// The manager does not answer: after three days the fallback is asked.
func TestEscalationAsksManagerThenFallback(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		r := k.begin(k.spec())
		k.answer(r.Prompts[0], "U-ada", "Escalate")
		k.settle()
		if p := k.run().Prompts[1]; p.Assignees[0].PersonID != "p-mia" {
			t.Fatalf("escalation asks %+v first", p.Assignees)
		}
		k.pass(73 * time.Hour)
		r = k.run()
		if len(r.Prompts) != 3 || r.Prompts[2].Assignees[0].PersonID != "p-oz" {
			t.Fatalf("after three days: %+v", r.Prompts)
		}
		if out := k.answer(r.Prompts[1], "U-mia", "Reclaim"); out.Status != store.AnswerLate {
			t.Errorf("the manager's late answer: %+v", out)
		}
		k.answer(r.Prompts[2], "U-oz", "Reclaim")
		k.settle()
		k.expect(store.RunSucceeded, "reclaimed", "")
	})
}

// A manager whom no channel reaches keeps nobody waiting: the fallback is asked.
// Where the fallback is out of reach too, or is nobody, silence means nothing.
func TestEscalationPassesThoseWhoCannotBeReached(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		r := k.begin(k.spec())
		k.world.set(func() { delete(k.world.slack, "p-mia") })
		k.answer(r.Prompts[0], "U-ada", "Escalate")
		k.settle()
		r = k.expect(store.RunWaiting, "", "WaitingForAnswer")
		if p := r.Prompts[len(r.Prompts)-1]; p.Assignees[0].PersonID != "p-oz" {
			t.Fatalf("escalation asks %+v", p.Assignees)
		}
		k.answer(r.Prompts[len(r.Prompts)-1], "U-oz", "Keep")
		k.settle()
		k.expect(store.RunSucceeded, "kept", "")
	})
	for name, cut := range map[string]func(*world){
		"out of reach": func(w *world) { delete(w.slack, "p-oz") },
		"nobody":       func(w *world) { w.holders[RoleAppOwner] = nil },
	} {
		t.Run("fallback "+name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, k *kit) {
				s := k.spec()
				s.Ask.OnTimeout = "Reclaim"
				r := k.begin(s)
				k.world.set(func() { delete(k.world.slack, "p-mia"); cut(k.world) })
				k.answer(r.Prompts[0], "U-ada", "Escalate")
				k.settle()
				k.pass(200 * time.Hour)
				k.expect(store.RunWaiting, "", "NoReachableChannel")
				if n, _ := k.vendor.count("license.remove"); n != 0 {
					t.Fatalf("%d removals that nobody decided", n)
				}
				k.world.set(func() { k.world.slack["p-mia"] = "U-mia" })
				k.pass(time.Hour)
				r = k.expect(store.RunWaiting, "", "WaitingForAnswer")
				open := slices.DeleteFunc(r.Prompts, func(p store.Prompt) bool { return p.State != store.PromptOpen })
				if len(open) != 1 || open[0].Assignees[0].PersonID != "p-mia" {
					t.Fatalf("open questions: %+v", open)
				}
			})
		})
	}
}

// Nobody approves their own case: not as their own manager, not as the owner.
func TestNoSelfApproval(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		r := k.begin(k.spec())
		k.world.set(func() {
			ada := k.world.holders[RolePerson][0]
			k.world.holders[RoleManager] = []store.Assignee{ada}
			k.world.holders[RoleAppOwner] = []store.Assignee{ada}
		})
		k.answer(r.Prompts[0], "U-ada", "Escalate")
		k.settle()
		k.expect(store.RunSucceeded, "kept", "")
		if n := len(k.run().Prompts); n != 1 {
			t.Errorf("%d prompts: the person decided about themselves", n)
		}
		k.effects(map[string]int{"message.send": 1, "message.update": 1})
	})
}

// Decision 15: an answer counts only from the person asked.
func TestWrongPersonChangesNothing(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		r := k.begin(k.spec())
		out := k.answer(r.Prompts[0], "U-mia", "Reclaim")
		if out.Status != store.AnswerWrongPerson || !strings.Contains(out.Message, "Ada") {
			t.Fatalf("a stranger's answer: %+v", out)
		}
		k.settle()
		k.expect(store.RunWaiting, "", "WaitingForAnswer")
		k.effects(map[string]int{"message.send": 1})
		if n := k.audits()["prompt.refuse"]; n != 1 {
			t.Errorf("%d refusals audited", n)
		}
		// The same Slack user id of another workspace is another person.
		other, err := k.store.AnswerPrompt(t.Context(), k.tenant, store.AnswerRequest{Token: k.engine.token(k.tenant, r.Prompts[0].ID),
			Actor: store.Identity{SlackIntegration: "other", SlackUserID: "U-ada"}, Choice: "Reclaim"})
		if err != nil || other.Status != store.AnswerWrongPerson {
			t.Errorf("the user of another workspace: %+v, %v", other, err)
		}
		unknown, err := k.store.AnswerPrompt(t.Context(), k.tenant, store.AnswerRequest{Token: "forged", Actor: store.Identity{SlackIntegration: "slack", SlackUserID: "U-ada"}, Choice: "Reclaim"})
		if err != nil || unknown.Status != store.AnswerUnknown {
			t.Errorf("a forged token: %+v, %v", unknown, err)
		}
	})
}

// Decision 15: late answers are told what happened instead.
func TestAnswerAfterRenewedUse(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		r := k.begin(k.spec())
		k.world.set(func() {
			k.world.verdict = Verdict{Decision: Drop, Reason: "RenewedUse", Message: "Zoom was used on 2026-11-02, so the seat stays"}
		})
		k.answer(r.Prompts[0], "U-ada", "Reclaim")
		k.settle()
		k.expect(store.RunSucceeded, "skipped", "RenewedUse")
		k.effects(map[string]int{"message.send": 1, "message.update": 1})
		if text := k.lastUpdate(); !strings.Contains(text, "Zoom was used on 2026-11-02") {
			t.Errorf("the message says %q", text)
		}
	})
}

func TestRenewedUseWithdrawsTheQuestion(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		r := k.begin(k.spec())
		k.world.set(func() {
			k.world.verdict = Verdict{Decision: Drop, Reason: "PolicyGone", Message: "The policy zoom-90d is no more"}
		})
		if n, err := k.store.WakeRuns(t.Context(), k.tenant, KindLicensePolicy, "zoom-90d", []string{r.Subject}); err != nil || n != 1 {
			t.Fatalf("woke %d, %v", n, err)
		}
		k.settle()
		k.expect(store.RunSucceeded, "skipped", "PolicyGone")
		out := k.answer(r.Prompts[0], "U-ada", "Reclaim")
		if out.Status != store.AnswerLate || !strings.Contains(out.Message, "no more") {
			t.Errorf("late answer: %+v", out)
		}
		k.effects(map[string]int{"message.send": 1, "message.update": 1})
	})
}

func TestReminderThenTimeoutReclaims(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		s := k.spec()
		s.Ask.OnTimeout = "Reclaim"
		k.begin(s)
		k.pass(25 * time.Hour)
		k.expect(store.RunWaiting, "", "WaitingForAnswer")
		k.effects(map[string]int{"message.send": 2})
		k.pass(time.Hour) // once only
		k.effects(map[string]int{"message.send": 2})
		k.pass(47 * time.Hour)
		k.expect(store.RunSucceeded, "reclaimed", "")
		k.effects(map[string]int{"message.send": 2, "license.remove": 1, "message.update": 2})
		records, err := k.store.Audit(t.Context(), k.tenant, store.AuditQuery{Action: "license.remove"})
		if err != nil || len(records) != 1 || records[0].Actor != "LicensePolicy/zoom-90d" || !strings.Contains(records[0].Reason, "nobody answered in time") {
			t.Errorf("audit: %+v, %v", records, err)
		}
	})
}

func TestAutoAsksNobody(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		s := k.spec()
		s.Mode, s.Ask = ModeAuto, nil
		k.begin(s)
		k.expect(store.RunSucceeded, "reclaimed", "")
		k.effects(map[string]int{"license.remove": 1})
	})
}

func TestGuardHoldsTheRemoval(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		s := k.spec()
		s.Mode, s.Ask = ModeAuto, nil
		k.world.verdict = Verdict{Decision: Hold, Reason: "GuardHeld", Message: "the guard holds 30 seats"}
		r := k.begin(s)
		k.expect(store.RunWaiting, "", "GuardHeld")
		k.pass(time.Hour)
		k.expect(store.RunWaiting, "", "GuardHeld")
		k.effects(map[string]int{})
		k.world.set(func() { k.world.verdict = Verdict{Decision: Go} })
		if _, err := k.store.WakeRuns(t.Context(), k.tenant, r.Kind, r.Name, nil); err != nil {
			t.Fatal(err)
		}
		k.settle()
		k.expect(store.RunSucceeded, "reclaimed", "")
	})
}

// Decision 31: without a channel the question is held, and silence means
// nothing; an answer by another way still counts.
func TestNoReachableChannel(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.world.slack = map[string]string{}
		s := k.spec()
		s.Ask.OnTimeout = "Reclaim"
		k.begin(s)
		k.expect(store.RunWaiting, "", "NoReachableChannel")
		k.pass(200 * time.Hour)
		k.expect(store.RunWaiting, "", "NoReachableChannel")
		k.effects(map[string]int{})
		k.world.set(func() { k.world.slack["p-ada"] = "U-ada" })
		k.pass(time.Hour)
		k.expect(store.RunWaiting, "", "WaitingForAnswer")
		k.effects(map[string]int{"message.send": 1})
		if n := len(k.run().Prompts); n != 1 {
			t.Errorf("%d prompts, want the one", n)
		}
	})
}

// A holder who has left, or whom nobody knows, keeps nothing by silence: those
// who decide about the seat otherwise are asked.
func TestHolderWhoHasLeftIsNotTheOneToAsk(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.world.holders[RolePerson], k.world.holders[RoleManager] = nil, nil
		k.begin(k.spec())
		r := k.expect(store.RunWaiting, "", "WaitingForAnswer")
		if len(r.Prompts) != 1 || r.Prompts[0].Assignees[0].PersonID != "p-oz" || slices.Contains(r.Prompts[0].Options, "Escalate") {
			t.Fatalf("asked: %+v", r.Prompts)
		}
		if n := k.audits()["prompt.escalate"]; n != 1 {
			t.Errorf("that the policy turned to others is audited %d times", n)
		}
		k.answer(r.Prompts[0], "U-oz", "Reclaim")
		k.settle()
		k.expect(store.RunSucceeded, "reclaimed", "")
		k.effects(map[string]int{"message.send": 1, "message.update": 1, "license.remove": 1})
	})
}

// With nobody to ask at all nothing is decided, whatever silence would stand
// for, and every day somebody is looked for again.
func TestNobodyToAskHoldsTheQuestion(t *testing.T) {
	for _, silence := range []string{"Keep", "Reclaim"} {
		for _, escalates := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, escalation %v", silence, escalates), func(t *testing.T) {
				eachStore(t, func(t *testing.T, k *kit) {
					holders := k.world.holders
					k.world.holders = map[Role][]store.Assignee{}
					s := k.spec()
					s.Ask.OnTimeout = silence
					if !escalates {
						s.Ask.Options, s.Ask.Escalate = []string{"Reclaim", "Keep"}, nil
					}
					k.begin(s)
					for range 3 {
						r := k.expect(store.RunWaiting, "", "NoReachableChannel")
						if !r.DueAt.Equal(k.clock.Now().Add(24*time.Hour)) || len(r.Prompts) != 0 {
							t.Fatalf("looks again at %s, prompts %+v", r.DueAt, r.Prompts)
						}
						k.pass(24 * time.Hour)
					}
					k.effects(map[string]int{})
					if keeps, err := k.store.Keeps(t.Context(), k.tenant, "zoom-90d"); err != nil || len(keeps) != 0 {
						t.Fatalf("keeps: %+v, %v", keeps, err)
					}
					if n := k.audits()["prompt.default"]; n != 0 {
						t.Errorf("a default applied %d times though nobody was asked", n)
					}
					k.world.set(func() { k.world.holders = holders })
					k.pass(24 * time.Hour)
					if r := k.expect(store.RunWaiting, "", "WaitingForAnswer"); len(r.Prompts) != 1 {
						t.Fatalf("asked: %+v", r.Prompts)
					}
				})
			})
		}
	}
}

// A question that is held ends like any other when it no longer arises.
func TestHeldQuestionEndsWithItsReason(t *testing.T) {
	for name, cut := range map[string]func(*world){
		"nobody to ask": func(w *world) { w.holders = map[Role][]store.Assignee{} },
		"no channel":    func(w *world) { w.slack = map[string]string{} },
	} {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, k *kit) {
				cut(k.world)
				k.begin(k.spec())
				k.expect(store.RunWaiting, "", "NoReachableChannel")
				k.world.set(func() { k.world.verdict = Verdict{Decision: Drop, Reason: "SeatGone", Message: "the seat is gone"} })
				k.pass(24 * time.Hour)
				r := k.expect(store.RunSucceeded, "skipped", "SeatGone")
				for _, p := range r.Prompts {
					if p.State == store.PromptOpen {
						t.Errorf("prompt %s is still open", p.ID)
					}
				}
				k.effects(map[string]int{})
			})
		})
	}
}

func TestQuietHours(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		s := k.spec()
		s.Ask.Quiet = &QuietHours{From: "10:30", To: "13:00"} // it is 11:00 in Berlin
		k.begin(s)
		r := k.expect(store.RunWaiting, "", "QuietHours")
		if want := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC); !r.DueAt.Equal(want) {
			t.Errorf("asks at %s, want %s", r.DueAt, want)
		}
		k.pass(2 * time.Hour)
		k.expect(store.RunWaiting, "", "WaitingForAnswer")
	})
}

// A question that waits for the morning is not asked if it no longer arises.
func TestQuestionIsLookedAtAgainAfterQuietHours(t *testing.T) {
	for name, tc := range map[string]struct {
		verdict Verdict
		state   store.RunState
		outcome string
	}{
		"policy gone":      {Verdict{Decision: Drop, Reason: "PolicyGone", Message: "the policy went away"}, store.RunSucceeded, "skipped"},
		"policy suspended": {Verdict{Decision: Hold, Reason: "PolicySuspended", Message: "the policy is suspended"}, store.RunWaiting, ""},
	} {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, k *kit) {
				s := k.spec()
				s.Ask.Quiet = &QuietHours{From: "10:30", To: "13:00"}
				k.begin(s)
				k.expect(store.RunWaiting, "", "QuietHours")
				k.world.set(func() { k.world.verdict = tc.verdict })
				k.pass(3 * time.Hour)
				k.expect(tc.state, tc.outcome, tc.verdict.Reason)
				k.effects(map[string]int{})
			})
		})
	}
}

func TestSeatAlreadyGone(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		s := k.spec()
		s.Mode, s.Ask = ModeAuto, nil
		k.vendor.seats["acc1"] = false
		k.begin(s)
		k.expect(store.RunSucceeded, "skipped", "SeatGone")
		if n := len(k.ledger()); n != 0 {
			t.Errorf("%d ledger entries for a seat that was gone already", n)
		}
		if n := k.audits()["license.remove"]; n != 0 {
			t.Errorf("%d audit records of a write that was not made", n)
		}
	})
}

func TestSameTriggerStartsOnce(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.begin(k.spec())
		r, err := k.spec().NewRun()
		if err != nil {
			t.Fatal(err)
		}
		if n, err := k.store.CreateRuns(t.Context(), k.tenant, []store.NewRun{r, r}); err != nil || n != 0 {
			t.Errorf("the same trigger started %d runs, %v", n, err)
		}
	})
}

// People may answer before the process knows that the message was sent: the
// message is updated all the same.
func TestAnswerBeforeDeliveryIsRecorded(t *testing.T) {
	for _, lost := range []bool{false, true} {
		eachStore(t, func(t *testing.T, k *kit) {
			k.vendor.script("message.send", func(c Call) (Result, error) {
				res := k.vendor.do(c)
				prompts, err := k.store.ListPrompts(t.Context(), k.tenant, store.PromptFilter{State: store.PromptOpen})
				if err != nil || len(prompts) != 1 {
					t.Errorf("open prompts: %d, %v", len(prompts), err)
					return res, nil
				}
				k.answer(prompts[0], "U-ada", "Keep")
				if lost {
					return Result{}, errLost
				}
				return res, nil
			})
			k.begin(k.spec())
			k.expect(store.RunSucceeded, "kept", "")
			k.effects(map[string]int{"message.send": 1, "message.update": 1})
		})
	}
}
