// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/notify"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// choice asks whose address the text gives.
func choice(to, otherwise string) Step {
	return Step{Name: "which", Ask: &AskStep{
		Matter: &AskMatter{Kind: notify.Choice, Text: "Which licence for ${person.displayName}?"}, Options: []string{"E3", "E5"}, OnTimeout: otherwise,
		Stages: []AskStage{{To: &Recipient{Email: to}}}, Timeout: Days(3),
	}}
}

func TestChoice(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		p := k.asked(choice("${person.email}", ""), ticket("done", "${steps.which.choice} ${steps.which.result} ${steps.which.by}"))
		k.expect(store.RunWaiting, "", "WaitingForAnswer")
		if got := k.lastSent(); !strings.Contains(got, "Your choices: E3; E5.") || !strings.Contains(got, "Without an answer by then: the step of the workflow fails") {
			t.Errorf("the message reads %q", got)
		}
		k.status(k.answer(p, "U-ada", "E4"), store.AnswerInvalidChoice)
		k.status(k.answer(p, "U-ada", "E5"), store.AnswerAccepted)
		k.settle()
		k.expect(store.RunSucceeded, "", "")
		k.want("tickets", k.tickets(), []string{"E5 answered ada@acme.example"})
	})
	t.Run("default", func(t *testing.T) {
		eachStore(t, func(t *testing.T, k *kit) {
			k.asked(choice("${person.email}", "E3"), ticket("done", "${steps.which.choice} ${steps.which.result}"))
			k.pass(72 * time.Hour)
			k.expect(store.RunSucceeded, "", "")
			k.want("tickets", k.tickets(), []string{"E3 default"})
		})
	})
	t.Run("no default", func(t *testing.T) {
		eachStore(t, func(t *testing.T, k *kit) {
			p := k.asked(choice("${person.email}", ""), ticket("never", "x"))
			k.pass(72 * time.Hour)
			k.expect(store.RunFailed, "failed", "NoAnswer")
			k.effects(map[string]int{"message.send": 1, "message.update": 1})
			if got := k.lastUpdate(); !strings.Contains(got, "Nobody answered in time") {
				t.Errorf("the message became %q", got)
			}
			k.status(k.answer(p, "U-ada", "E3"), store.AnswerLate)
		})
	})
	t.Run("dry", func(t *testing.T) {
		eachStore(t, func(t *testing.T, k *kit) {
			k.ada(nil)
			k.put(cel(choice("${person.email}", ""), Step{Name: "e3", When: "steps.which.choice == 'E3'", Action: ticket("x", "y").Action}))
			k.by("a", func(r *StartRequest) { r.DryRun = true })
			k.expect(store.RunSucceeded, "", "")
			k.want("steps", k.steps(), []string{"which dryRun", "e3 dryRun"})
		})
	})
}

// An address that the definition names may be no person's; one that was
// computed must be, as anybody might have sent it.
func TestAddressOfNobody(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		p := k.asked(choice("box@acme.example", ""), ticket("done", "${steps.which.by}"))
		k.expect(store.RunWaiting, "", "NoReachableChannel")
		k.status(k.onCLI(p, "box@acme.example", "E3", ""), store.AnswerAccepted)
		k.settle()
		k.expect(store.RunSucceeded, "", "")
		k.want("tickets", k.tickets(), []string{"box@acme.example"})
	})
	t.Run("computed", func(t *testing.T) {
		eachStore(t, func(t *testing.T, k *kit) {
			k.ada(nil)
			k.put(cel(choice("${'box'}@acme.example", "")))
			k.by("a")
			k.expect(store.RunWaiting, "", "NoReachableChannel")
			if prompts, err := k.store.ListPrompts(t.Context(), k.tenant, store.PromptFilter{}); err != nil || len(prompts) > 0 {
				t.Errorf("asked %+v, %v", prompts, err)
			}
		})
	})
	t.Run("no address", func(t *testing.T) {
		eachStore(t, func(t *testing.T, k *kit) {
			k.ada(nil)
			k.put(cel(choice("${person.department}", "")))
			k.by("a")
			k.expect(store.RunFailed, "failed", reasonExpression)
		})
	})
}

func task(evidence string, change ...func(*Step)) Step {
	s := Step{Name: "laptop", Ask: &AskStep{
		Matter: &AskMatter{Kind: notify.Task, Text: "Collect the laptop.", Evidence: evidence}, Options: []string{notify.Done},
		Stages: []AskStage{{To: &Recipient{Role: RoleManager}}}, Reminders: []Span{Days(2), Days(5)}, Quiet: &QuietHours{From: "20:00", To: "08:00"},
	}}
	for _, c := range change {
		c(&s)
	}
	return s
}

// A task waits as long as it takes; who did it, when and with what evidence is
// kept with it.
func TestTask(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		p := k.asked(approval("ok", alone), task(store.EvidenceRequired), ticket("done", "${steps.laptop.evidence} ${steps.laptop.by}"))
		k.status(k.answer(p, "U-mia", notify.Approve), store.AnswerAccepted)
		k.settle()
		p = k.open()
		k.expect(store.RunWaiting, "", "WaitingForTask")
		if got := k.lastSent(); !strings.Contains(got, "There is no deadline.") || !strings.Contains(got, "with a text or a link") {
			t.Errorf("the task reads %q", got)
		}
		for range 60 {
			k.pass(24 * time.Hour)
		}
		k.expect(store.RunWaiting, "", "WaitingForTask")
		if n := len(k.sentTo()); n != 4 { // approval, task, two reminders
			t.Errorf("%d messages", n)
		}
		k.status(k.answer(p, "U-mia", notify.Done), store.AnswerNeedsText)
		k.status(k.onCLI(p, "mia", notify.Done, "https://inventory.acme.example/4711"), store.AnswerAccepted)
		k.settle()
		k.expect(store.RunSucceeded, "", "")
		k.want("tickets", k.tickets(), []string{"https://inventory.acme.example/4711 mia@acme.example"})
		// The approval decided about the effect, not the task.
		records, err := k.store.Audit(t.Context(), k.tenant, store.AuditQuery{Action: "ticket.create"})
		if err != nil || len(records) != 1 || !strings.Contains(records[0].Reason, "answered Approve") {
			t.Errorf("audited as %+v, %v", records, err)
		}
	})
	t.Run("timeout", func(t *testing.T) {
		eachStore(t, func(t *testing.T, k *kit) {
			p := k.asked(task("Optional", func(s *Step) { s.Timeout = Days(3); s.OnError = OnErrorContinue }), ticket("done", "${steps.laptop.reason}"))
			if got := k.lastSent(); !strings.Contains(got, "Answer by 2026-11-05") {
				t.Errorf("the task reads %q", got)
			}
			k.pass(72 * time.Hour)
			k.expect(store.RunSucceeded, "", "")
			k.want("tickets", k.tickets(), []string{"TimedOut"})
			k.status(k.answer(p, "U-mia", notify.Done), store.AnswerLate)
		})
	})
}

// In a loop, each item's task is its own.
func TestTasksOfALoop(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		inner := task("Optional", func(s *Step) { s.Ask.Matter.Text = "Collect ${thing}." })
		p := k.asked(Step{Name: "each", ForEach: &ForEachStep{In: "['laptop', 'badge']", As: "thing", Steps: []Step{inner}}})
		k.status(k.answer(p, "U-mia", notify.Done), store.AnswerAccepted)
		k.settle()
		q := k.open()
		if p.ID == q.ID || !strings.Contains(k.lastSent(), "Collect badge.") {
			t.Errorf("the second task is %s after %s: %q", q.ID, p.ID, k.lastSent())
		}
		k.status(k.answer(q, "U-mia", notify.Done), store.AnswerAccepted)
		k.settle()
		k.expect(store.RunSucceeded, "", "")
		k.effects(map[string]int{"message.send": 2, "message.update": 2})
	})
}

// Whether somebody was asked is said by this step alone: an answer to another
// one does not make silence of nobody.
func TestAnotherStepsAnswerAsksNobody(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		choice := func(name string, role Role) Step {
			return Step{Name: name, Ask: &AskStep{Matter: &AskMatter{Kind: notify.Choice, Text: name}, Options: []string{"Keep", "Delete"},
				Stages: []AskStage{{To: &Recipient{Role: role}}}, Timeout: Hours(72), OnTimeout: "Delete"}}
		}
		k.world.set(func() { delete(k.world.holders, RoleAppOwner) })
		k.put(cel(choice("laptop", RoleManager), choice("mailbox", RoleAppOwner), ticket("act", "${steps.mailbox.choice}")))
		k.by("k")
		k.status(k.onCLI(k.open(), "mia", "Keep", ""), store.AnswerAccepted)
		k.settle()
		k.expect(store.RunWaiting, "", "NoReachableChannel")
		k.want("tickets", k.tickets(), nil)
	})
}
