// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"strings"
	"testing"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// tells is a step that tells the manager, the person and a mailbox.
func tells(change ...func(*Step)) Step {
	s := Step{Name: "tell", Notify: &NotifyStep{
		To: []Recipient{{Role: RoleManager}, {Email: "${person.email}"}, {Role: RoleManager}}, Subject: "${person.displayName} leaves", Text: "On ${person.endDate} <!channel>",
	}}
	for _, c := range change {
		c(&s)
	}
	return s
}

func (k *kit) told(steps ...Step) {
	k.t.Helper()
	k.ada(nil)
	k.put(cel(steps...))
	k.by("a")
}

func TestNotify(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.told(tells(), ticket("done", "${steps.tell.result} ${steps.tell.delivered} ${steps.tell.messages[0].to} ${steps.tell.messages[1].channel}"))
		k.expect(store.RunSucceeded, "", "")
		k.want("messages", k.sentTo(), []string{"slack U-mia", "slack U-ada"}) // nobody twice
		k.want("tickets", k.tickets(), []string{"done 2 Manager slack"})
		if got := k.lastSent(); !strings.HasPrefix(got, "Ada leaves\n\nHello Ada, Seatkeeper tells you about wf. Why: started by hand by test") || !strings.Contains(got, "On 2026-11-20 <!channel>") {
			t.Errorf("the message reads %q", got)
		}
		for _, c := range k.vendor.sent {
			if c.Action == "message.send" && strings.Contains(strings.Join(strings.Fields(toJSON(t, c.Input["blocks"])), " "), "<!channel>") {
				t.Error("a text became a mention of everybody")
			}
		}
	})
}

// Somebody who cannot be told is no reason to stop, but it shows.
func TestNotifyInPart(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.world.set(func() { delete(k.world.slack, "p-mia") })
		k.told(tells(), ticket("done", "${steps.tell.result} ${steps.tell.delivered}/${steps.tell.undelivered} ${steps.tell.messages[0].reason}"))
		r := k.expect(store.RunSucceeded, store.OutcomeUndelivered, "")
		k.want("tickets", k.tickets(), []string{"partial 1/1 no channel reaches them"})
		if n := k.audits(); n["notice.undelivered"] != 1 {
			t.Errorf("audits %v", n)
		}
		steps, err := Progress(r)
		if err != nil || steps[0].Reason != reasonNotDelivered || !strings.Contains(steps[0].Message, "1 of 2 messages were not delivered; first, to Manager") {
			t.Errorf("steps %+v, %v", steps, err)
		}
		counts, err := k.store.WorkflowLoad(t.Context(), k.tenant, "wf")
		if err != nil || counts.Unreached != 1 {
			t.Errorf("counts %+v, %v", counts, err)
		}
		k.clock.Step(25 * 3600e9)
		if counts, err = k.store.WorkflowLoad(t.Context(), k.tenant, "wf"); err != nil || counts.Unreached != 0 {
			t.Errorf("a day later %+v, %v", counts, err)
		}
	})
}

// Where nobody could be told the step has failed.
func TestNotifyNobody(t *testing.T) {
	for name, c := range map[string]struct {
		world func(*kit)
		says  string
	}{
		"no channel": {func(k *kit) { k.world.slack = nil }, "no channel reaches them"},
		"refused": {func(k *kit) {
			for range 4 {
				k.vendor.script("message.send", denied)
			}
		}, "2 of 2 messages were not delivered"},
		"nobody": {func(k *kit) { k.world.holders = nil }, "there is nobody, or they have left"},
	} {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, k *kit) {
				c.world(k)
				k.told(tells(), ticket("never", "x"))
				r := k.expect(store.RunFailed, "failed", reasonNotDelivered)
				if !strings.Contains(r.Message, c.says) {
					t.Errorf("the run says %q", r.Message)
				}
				if counts, err := k.store.WorkflowLoad(t.Context(), k.tenant, "wf"); err != nil || counts.Unreached != 1 {
					t.Errorf("counts %+v, %v", counts, err)
				}
			})
		})
	}
}

// Every channel that the step names is used, and of two workspaces the second
// when the first does not take the message.
func TestNotifyVia(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.world.set(func() {
			k.world.ways = []ChannelRef{{Kind: ChannelSlack, Integration: "old"}, {Kind: ChannelSlack, Integration: "new"}, {Kind: ChannelEmail}}
		})
		k.vendor.infos[ActionMailSend] = ActionInfo{Class: ClassKeyed}
		k.engine = k.newEngine(func(o *Options) { o.Channels = []Channel{Slack{}, Email{}} })
		k.vendor.script("message.send", denied)
		k.told(tells(func(s *Step) { s.Notify.Via = []string{ChannelSlack, ChannelEmail}; s.Notify.To = s.Notify.To[:1] }), ticket("done", "${steps.tell.delivered}"))
		k.expect(store.RunSucceeded, "", "")
		k.want("messages", k.sentTo(), []string{"old U-mia", "new U-mia"})
		if n := k.vendor.calls[ActionMailSend]; n != 1 {
			t.Errorf("%d mails", n)
		}
		k.want("tickets", k.tickets(), []string{"2"})
	})
}

// A mailbox that is no person's is told by e-mail.
func TestNotifyMailbox(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.world.set(func() { k.world.ways = append(k.world.ways, ChannelRef{Kind: ChannelEmail}) })
		k.vendor.infos[ActionMailSend] = ActionInfo{Class: ClassKeyed}
		k.engine = k.newEngine(func(o *Options) { o.Channels = []Channel{Slack{}, Email{}} })
		k.told(tells(func(s *Step) { s.Notify.To = []Recipient{{Email: "it@acme.example"}} }))
		k.expect(store.RunSucceeded, "", "")
		k.vendor.mu.Lock()
		defer k.vendor.mu.Unlock()
		mail := k.vendor.sent[0]
		if mail.Action != ActionMailSend || mail.Input[MailTo] != "it@acme.example" || mail.Input[MailSubject] != "Ada leaves" || !strings.Contains(toJSON(t, mail.Input[MailText]), "On 2026-11-20") {
			t.Errorf("sent %+v", mail)
		}
	})
}

func TestNotifyDry(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.put(cel(tells()))
		k.by("a", func(r *StartRequest) { r.DryRun = true })
		k.expect(store.RunSucceeded, "", "")
		k.effects(map[string]int{})
		steps, err := StepResults(k.run().Run)
		if err != nil || len(steps) != 1 || steps[0].Request["subject"] != "Ada leaves" {
			t.Errorf("steps %+v, %v", steps, err)
		}
	})
}

func TestCheckOfNotices(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*NotifyStep)
		want   string
	}{
		"text":    {func(s *NotifyStep) { s.Text = "${nobody}" }, "steps[tell].notify.text: column 3"},
		"subject": {func(s *NotifyStep) { s.Subject = "${" }, "steps[tell].notify.subject: "},
		"address": {func(s *NotifyStep) { s.To[1].Email = "${input" }, "steps[tell].notify.to[1]: "},
		"nobody":  {func(s *NotifyStep) { s.To = nil }, "steps[tell].notify.to: there is nobody"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := Check(cel(tells(func(s *Step) { c.change(s.Notify) })), expr.Workflow{}); err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
}

// A text that an expression made too long is cut, so that channels take it.
func TestNotifyAtLength(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		k.put(cel(tells(func(s *Step) { s.Notify.Text = "${input.long}" })))
		k.by("a", func(r *StartRequest) { r.Input = map[string]any{"long": strings.Repeat("ü+", 8_000)} })
		k.expect(store.RunSucceeded, "", "")
		if n := len([]rune(k.lastSent())); n < maxText || n > maxText+1000 {
			t.Errorf("%d characters were sent", n)
		}
	})
}
