// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/notify"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// approval asks the manager, then the owner of the app.
func approval(name string, change ...func(*Step)) Step {
	s := Step{Name: name, Ask: &AskStep{
		Matter: &AskMatter{Kind: notify.Approval, Text: "Delete the account of ${person.displayName}?"}, Options: []string{notify.Approve, notify.Reject},
		Stages:  []AskStage{{To: &Recipient{Role: RoleManager}}, {To: &Recipient{Role: RoleAppOwner}, Group: 1}},
		Timeout: Hours(72), OnTimeout: notify.Reject, Reminders: []Span{Hours(36)}, NotSelf: true,
	}}
	for _, c := range change {
		c(&s)
	}
	return s
}

// alone leaves the manager as the only one to ask.
func alone(s *Step) { s.Ask.Stages = s.Ask.Stages[:1] }

// asked starts a run of the steps and returns what it asks.
func (k *kit) asked(steps ...Step) store.Prompt {
	k.t.Helper()
	k.ada(nil)
	k.put(cel(steps...))
	k.by("a")
	return k.open()
}

// open is the only question that is open.
func (k *kit) open() store.Prompt {
	k.t.Helper()
	prompts, err := k.store.ListPrompts(k.t.Context(), k.tenant, store.PromptFilter{State: store.PromptOpen})
	if err != nil || len(prompts) != 1 {
		k.t.Fatalf("%d questions are open, %v; %+v", len(prompts), err, k.run().Run)
	}
	return prompts[0]
}

// onCLI answers as the cluster's user.
func (k *kit) onCLI(p store.Prompt, user, choice, text string) store.AnswerOutcome {
	k.t.Helper()
	k.clock.Step(time.Second)
	out, err := k.store.AnswerPrompt(k.t.Context(), k.tenant, store.AnswerRequest{PromptID: p.ID, Actor: store.Identity{KubernetesUser: user}, Choice: choice, Reason: text})
	if err != nil {
		k.t.Fatal(err)
	}
	return out
}

func (k *kit) status(out store.AnswerOutcome, want store.AnswerStatus) {
	k.t.Helper()
	if out.Status != want || out.Message == "" {
		k.t.Errorf("the answer is %s: %q, want %s", out.Status, out.Message, want)
	}
}

// sentTo is who was sent what, in order: U-mia Approve.
func (k *kit) sentTo() []string {
	k.vendor.mu.Lock()
	defer k.vendor.mu.Unlock()
	var out []string
	for _, c := range k.vendor.sent {
		if c.Action == "message.send" {
			out = append(out, fmt.Sprint(c.Integration, " ", c.Input["userId"]))
		}
	}
	return out
}

// tickets are their texts, in order.
func (k *kit) tickets() []string {
	k.vendor.mu.Lock()
	defer k.vendor.mu.Unlock()
	var out []string
	for _, c := range k.vendor.sent {
		if c.Action == "ticket.create" {
			out = append(out, fmt.Sprint(c.Input["text"]))
		}
	}
	return out
}

func (k *kit) lastSent() string {
	k.vendor.mu.Lock()
	defer k.vendor.mu.Unlock()
	for i := len(k.vendor.sent) - 1; i >= 0; i-- {
		if k.vendor.sent[i].Action == "message.send" {
			return fmt.Sprint(k.vendor.sent[i].Input["text"])
		}
	}
	return ""
}

func TestApproved(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		p := k.asked(approval("ok"), ticket("done", "${steps.ok.result} ${steps.ok.approved} ${steps.ok.by} ${steps.ok.text}"))
		r := k.expect(store.RunWaiting, "", "WaitingForApproval")
		if strings.Contains(r.Message, "Mia") || !strings.Contains(r.Message, p.ID) {
			t.Errorf("the run says %q", r.Message)
		}
		text := k.lastSent()
		for _, want := range []string{"Your approval is asked for: wf", "Why: started by hand by test", "About: Ada (ada@acme.example)", "Delete the account of Ada?", "others are asked instead", "2026-11-05 10:00 UTC"} {
			if !strings.Contains(text, want) {
				t.Errorf("the message lacks %q:\n%s", want, text)
			}
		}
		// Others are told who can answer, nothing changes, and it is audited.
		out := k.answer(p, "U-oz", notify.Approve)
		k.status(out, store.AnswerWrongPerson)
		if !strings.Contains(out.Message, "Mia") {
			t.Errorf("the stranger is told %q", out.Message)
		}
		k.status(k.onCLI(p, "ops", notify.Approve, ""), store.AnswerWrongPerson)
		k.settle()
		k.expect(store.RunWaiting, "", "WaitingForApproval")
		k.status(k.onCLI(p, "mia", notify.Approve, "they have left"), store.AnswerAccepted)
		k.settle()
		k.expect(store.RunSucceeded, "", "")
		k.want("tickets", k.tickets(), []string{"Approved true mia@acme.example they have left"})
		if got := k.lastUpdate(); !strings.Contains(got, "You answered Approve: they have left.") {
			t.Errorf("the message became %q", got)
		}
		k.status(k.answer(p, "U-mia", notify.Reject), store.AnswerAlready)
		k.effects(map[string]int{"message.send": 1, "message.update": 1, "ticket.create": 1})
		if n := k.audits(); n["prompt.refuse"] != 2 || n["prompt.answer"] != 1 {
			t.Errorf("audits %v", n)
		}
		records, err := k.store.Audit(t.Context(), k.tenant, store.AuditQuery{Action: "ticket.create"})
		if err != nil || len(records) != 1 || records[0].Actor != "person:p-mia" {
			t.Errorf("the effect is audited as %+v, %v", records, err)
		}
	})
}

// Who was asked about for days is read again behind the answer.
func TestPersonIsReadAgainBehindAnAnswer(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		p := k.asked(approval("ok"), ticket("done", "${person.department}"))
		k.ada(func(p *model.Person) { p.Department = "Support" })
		k.status(k.answer(p, "U-mia", notify.Approve), store.AnswerAccepted)
		k.settle()
		k.want("tickets", k.tickets(), []string{"Support"})
	})
}

func TestRejected(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		d := cel(approval("ok"), ticket("never", "x"))
		d.OnFailure = []Step{ticket("sorry", "${steps.ok.result} ${steps.ok.text}")}
		k.put(d)
		k.by("a")
		k.status(k.onCLI(k.open(), "mia", notify.Reject, "too early"), store.AnswerAccepted)
		k.settle()
		r := k.expect(store.RunFailed, "failed", "Rejected")
		if strings.Contains(r.Message, "too early") {
			t.Errorf("the run says %q", r.Message)
		}
		k.want("tickets", k.tickets(), []string{"Rejected too early"})
		k.want("steps", k.steps(), []string{"ok Rejected", "sorry done"})
	})
	t.Run("looked at", func(t *testing.T) {
		eachStore(t, func(t *testing.T, k *kit) {
			p := k.asked(approval("ok", func(s *Step) { s.OnError = OnErrorContinue }), ticket("said", "${steps.ok.result} ${steps.ok.approved}"))
			k.status(k.answer(p, "U-mia", notify.Reject), store.AnswerAccepted)
			k.settle()
			k.expect(store.RunSucceeded, "", "")
			k.want("tickets", k.tickets(), []string{"Rejected false"})
		})
	})
}

// After a silence the fallback is asked, and after that onTimeout applies.
func TestApprovalTimesOut(t *testing.T) {
	for onTimeout, want := range map[string]store.RunState{notify.Approve: store.RunSucceeded, notify.Reject: store.RunFailed} {
		t.Run(onTimeout, func(t *testing.T) {
			eachStore(t, func(t *testing.T, k *kit) {
				first := k.asked(approval("ok", func(s *Step) { s.Ask.OnTimeout = onTimeout }), ticket("done", "${steps.ok.result} ${steps.ok.source}"))
				k.pass(36 * time.Hour) // the reminder falls into the night
				k.pass(36*time.Hour - time.Second)
				k.want("messages", k.sentTo(), []string{"slack U-mia", "slack U-mia"})
				k.pass(time.Minute)
				second := k.open()
				out := k.answer(first, "U-mia", notify.Approve)
				k.status(out, store.AnswerLate)
				if !strings.Contains(out.Message, "others are asked now") {
					t.Errorf("the late answer is told %q", out.Message)
				}
				if got := k.lastSent(); !strings.Contains(got, "Without an answer by then: it counts as "+onTimeout) {
					t.Errorf("the fallback reads %q", got)
				}
				k.pass(72 * time.Hour)
				r := k.run()
				if r.State != want {
					t.Fatalf("the run is %s: %s %s", r.State, r.Reason, r.Message)
				}
				if want == store.RunSucceeded {
					k.want("tickets", k.tickets(), []string{"Approved timeout"})
				}
				out = k.answer(second, "U-oz", notify.Reject)
				k.status(out, store.AnswerLate)
				if !strings.Contains(out.Message, "the declared default applied: "+onTimeout) {
					t.Errorf("the late answer is told %q", out.Message)
				}
				if got := k.lastUpdate(); !strings.Contains(got, "it counted as "+onTimeout) {
					t.Errorf("the messages became %q", got)
				}
				if n := k.audits(); n["prompt.default"] != 1 {
					t.Errorf("audits %v", n)
				}
			})
		})
	}
}

// Nobody approves their own: neither the person concerned nor who started it.
func TestNobodyApprovesTheirOwn(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		ada, err := k.store.PersonByEmail(t.Context(), k.tenant, "ada@acme.example")
		if err != nil {
			t.Fatal(err)
		}
		k.world.set(func() {
			k.world.holders[RoleManager] = []store.Assignee{
				{PersonID: ada.ID, Name: "Ada", Email: "ada@acme.example", KubernetesUser: "ada@acme.example"},
				{PersonID: "p-mia", Name: "Mia", Email: "mia@acme.example", KubernetesUser: "Mia@acme.example"},
			}
		})
		k.put(cel(approval("ok")))
		k.by("a", func(r *StartRequest) { r.By.Actor = "mia@acme.example" })
		p := k.open()
		if len(p.Assignees) != 1 || p.Assignees[0].PersonID != "p-oz" {
			t.Fatalf("asked %+v", p.Assignees)
		}
		for _, user := range []string{"ada@acme.example", "mia@acme.example"} {
			k.status(k.onCLI(p, user, notify.Approve, ""), store.AnswerWrongPerson)
		}
	})
}

// Where no channel reaches anybody the first who was found can still answer,
// silence decides nothing, and the question goes out when a channel is there.
func TestApprovalThatReachesNobody(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.world.set(func() { k.world.slack = map[string]string{} })
		p := k.asked(approval("ok"), ticket("done", "${steps.ok.by}"))
		k.expect(store.RunWaiting, "", "NoReachableChannel")
		if p.Assignees[0].PersonID != "p-mia" {
			t.Fatalf("asked %+v", p.Assignees)
		}
		for range 100 {
			k.pass(time.Hour)
		}
		k.expect(store.RunWaiting, "", "NoReachableChannel")
		k.effects(map[string]int{})
		k.status(k.onCLI(k.open(), "mia", notify.Approve, ""), store.AnswerAccepted)
		k.settle()
		k.expect(store.RunSucceeded, "", "")
		k.want("tickets", k.tickets(), []string{"mia@acme.example"})
	})
	t.Run("a channel comes", func(t *testing.T) {
		eachStore(t, func(t *testing.T, k *kit) {
			k.world.set(func() { k.world.slack = map[string]string{} })
			k.asked(approval("ok"))
			k.world.set(func() { k.world.slack = map[string]string{"p-mia": "U-mia"} })
			k.pass(time.Hour)
			k.expect(store.RunWaiting, "", "WaitingForApproval")
			k.want("messages", k.sentTo(), []string{"slack U-mia"})
			k.pass(72 * time.Hour) // to the owner, whom nothing reaches
			k.expect(store.RunWaiting, "", "NoReachableChannel")
			if p := k.open(); p.Assignees[0].PersonID != "p-oz" {
				t.Errorf("asked %+v", p.Assignees)
			}
		})
	})
	t.Run("nobody", func(t *testing.T) {
		eachStore(t, func(t *testing.T, k *kit) {
			k.world.set(func() { k.world.holders = nil })
			k.ada(nil)
			k.put(cel(approval("ok")))
			k.by("a")
			k.expect(store.RunWaiting, "", "NoReachableChannel")
			k.world.set(func() { k.world.holders = newWorld().holders })
			k.pass(24 * time.Hour)
			k.expect(store.RunWaiting, "", "WaitingForApproval")
		})
	})
}

// A channel that does not take a message is followed by the next, and a person
// whom none reaches by the next person of the same list.
func TestApprovalTakesTheNextWay(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.world.set(func() {
			k.world.ways = []ChannelRef{{Kind: "pigeon"}, {Kind: ChannelSlack, Integration: "old"}, {Kind: ChannelSlack, Integration: "new"}}
		})
		k.vendor.script("message.send", denied)
		k.asked(approval("ok"))
		k.want("messages", k.sentTo(), []string{"old U-mia", "new U-mia"})
		k.expect(store.RunWaiting, "", "WaitingForApproval")
	})
	t.Run("person", func(t *testing.T) {
		eachStore(t, func(t *testing.T, k *kit) {
			k.vendor.script("message.send", denied)
			k.asked(approval("ok", func(s *Step) { s.Ask.Stages[1].Group = 0 }))
			k.want("messages", k.sentTo(), []string{"slack U-mia", "slack U-oz"})
			p := k.open()
			if p.Assignees[0].PersonID != "p-oz" {
				t.Errorf("asked %+v", p.Assignees)
			}
			if got := k.lastSent(); !strings.Contains(got, "it counts as Reject") {
				t.Errorf("there is nobody after them, and they read %q", got)
			}
		})
	})
	t.Run("none", func(t *testing.T) {
		eachStore(t, func(t *testing.T, k *kit) {
			for range 4 {
				k.vendor.script("message.send", denied)
			}
			k.asked(approval("ok"))
			k.expect(store.RunWaiting, "", "NoReachableChannel")
			if p := k.open(); p.Assignees[0].PersonID != "p-mia" {
				t.Errorf("asked %+v", p.Assignees)
			}
			k.want("messages", k.sentTo(), []string{"slack U-mia", "slack U-oz"})
		})
	})
}

// Whether a message came through in the end need not be known.
func TestApprovalWhoseDeliveryIsInDoubt(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.vendor.infos["message.send"] = ActionInfo{Class: ClassUnsafe}
		for range 4 {
			k.vendor.script("message.send", func(c Call) (Result, error) {
				k.vendor.do(c)
				return Result{Class: ResultUnknown, Sent: true, Message: "the answer was lost"}, nil
			})
		}
		k.asked(approval("ok", alone))
		for range 3 {
			k.pass(time.Minute)
		}
		k.expect(store.RunWaiting, "", "NoReachableChannel")
		k.status(k.answer(k.open(), "U-mia", notify.Approve), store.AnswerAccepted)
		k.settle()
		k.expect(store.RunSucceeded, "", "")
	})
}

func TestApprovalWithinTheStepsTimeout(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		p := k.asked(approval("ok", func(s *Step) { s.Timeout = Hours(2) }))
		k.pass(2 * time.Hour)
		k.expect(store.RunFailed, "failed", reasonTimedOut)
		k.status(k.answer(p, "U-mia", notify.Approve), store.AnswerLate)
	})
	t.Run("of the run", func(t *testing.T) {
		eachStore(t, func(t *testing.T, k *kit) {
			k.ada(nil)
			d := cel(approval("ok"))
			d.Timeout = Hours(1)
			k.put(d)
			k.by("a")
			p := k.open()
			k.pass(time.Hour)
			k.expect(store.RunFailed, "failed", reasonTimedOut)
			k.status(k.answer(p, "U-mia", notify.Approve), store.AnswerLate)
		})
	})
	t.Run("stopped", func(t *testing.T) {
		eachStore(t, func(t *testing.T, k *kit) {
			p := k.asked(approval("ok"))
			if _, err := k.store.StopRun(t.Context(), k.tenant, p.RunID, store.Decider{Actor: "ops"}); err != nil {
				t.Fatal(err)
			}
			k.settle()
			k.expect(store.RunStopped, "stopped", "StopRequested")
			k.status(k.answer(p, "U-mia", notify.Approve), store.AnswerLate)
		})
	})
}

func TestDryApproval(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.put(cel(approval("ok"), Step{Name: "sure", When: "steps.ok.approved", Action: ticket("x", "y").Action}))
		k.by("a", func(r *StartRequest) { r.DryRun = true })
		k.expect(store.RunSucceeded, "", "")
		k.effects(map[string]int{})
		steps, err := StepResults(k.run().Run)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]any{"kind": "approval", "to": []any{"Manager", "AppOwner"}, "text": "Delete the account of Ada?", "options": []any{"Approve", "Reject"}}
		if d := cmp.Diff(want, steps[0].Request); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		k.want("steps", k.steps(), []string{"ok dryRun", "sure dryRun"})
	})
}

func TestCheckOfMatters(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Step)
		want   string
	}{
		"text":    {func(s *Step) { s.Ask.Matter.Text = "${nobody}" }, "steps[ok].approval.text: column 3: undeclared reference"},
		"address": {func(s *Step) { s.Ask.Stages[0].To = &Recipient{Email: "${person.x}"} }, "steps[ok].approval.to[0]: "},
		"nobody":  {func(s *Step) { s.Ask.Stages[0].To = nil }, "steps[ok].approval: a stage without anybody"},
		"stages":  {func(s *Step) { s.Ask.Stages = nil }, "steps[ok].approval: there is nobody to ask"},
		"options": {func(s *Step) { s.Ask.Options = nil }, "steps[ok].approval: there is nothing to choose from"},
		"silence": {func(s *Step) { s.Ask.OnTimeout = "Maybe" }, `steps[ok].approval: silence counts as "Maybe"`},
		"kind":    {func(s *Step) { s.Ask.Matter.Kind = "poll" }, `steps[ok]: nobody knows how to ask a "poll"`},
	} {
		t.Run(name, func(t *testing.T) {
			if err := Check(cel(approval("ok", c.change)), expr.Workflow{}); err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
}

func toJSON(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// A run that is sent back to its question asks it anew: the answer of before
// was to another.
func TestAskedAgainAfterRetry(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		first := k.asked(approval("ok"), ticket("done", "${steps.ok.by}"), tells(func(s *Step) { s.Notify.To = s.Notify.To[:1] }))
		k.status(k.answer(first, "U-mia", notify.Reject), store.AnswerAccepted)
		k.settle()
		k.expect(store.RunFailed, "failed", "Rejected")
		if err := k.do(Verb{Kind: VerbRetry, FromStep: "ok"}); err != nil {
			t.Fatal(err)
		}
		second := k.open()
		if second.ID == first.ID {
			t.Fatal("the question is the old one")
		}
		k.status(k.answer(first, "U-mia", notify.Approve), store.AnswerAlready)
		k.status(k.answer(second, "U-mia", notify.Approve), store.AnswerAccepted)
		k.settle()
		k.expect(store.RunSucceeded, "", "")
		k.want("tickets", k.tickets(), []string{"mia@acme.example"})
		k.effects(map[string]int{"message.send": 3, "message.update": 2, "ticket.create": 1})
	})
}

// Who may skip steps may not pass over an approval, and what was asked at a step
// that was skipped takes no answer any more.
func TestSkippedQuestions(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		p := k.asked(approval("ok"), task("Optional"), ticket("done", "x"))
		k.refuses(Verb{Kind: VerbSkip}, "only who is asked can give")
		k.status(k.answer(p, "U-mia", notify.Approve), store.AnswerAccepted)
		k.settle()
		p = k.open()
		if err := k.do(Verb{Kind: VerbSkip}); err != nil {
			t.Fatal(err)
		}
		k.expect(store.RunSucceeded, "", "")
		k.status(k.answer(p, "U-mia", notify.Done), store.AnswerLate)
	})
	t.Run("rejected", func(t *testing.T) {
		eachStore(t, func(t *testing.T, k *kit) {
			p := k.asked(approval("ok"), ticket("never", "x"))
			k.status(k.answer(p, "U-mia", notify.Reject), store.AnswerAccepted)
			k.settle()
			k.refuses(Verb{Kind: VerbSkip}, "only who is asked can give")
		})
	})
}
