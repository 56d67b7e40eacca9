// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/notify"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// byMail lets the kit ask by e-mail, and by Slack where both is true.
func (k *kit) byMail(links, both bool) ReclaimSpec {
	k.t.Helper()
	k.vendor.infos[ActionMailSend] = ActionInfo{Class: ClassIdempotent}
	k.engine = k.newEngine(func(o *Options) {
		o.Channels = append(o.Channels, Email{})
		if links {
			o.AnswerLink = func(tenant model.TenantID, prompt string, to store.Assignee) (string, error) {
				return fmt.Sprintf("https://seatkeeper.acme.example/answer/%d/%s/%s", tenant, prompt, to.PersonID), nil
			}
		}
	})
	s := k.spec()
	s.Ask.Channels = []ChannelRef{{Kind: ChannelEmail}}
	if both {
		s.Ask.Channels = append(s.Ask.Channels, ChannelRef{Kind: ChannelSlack, Integration: "slack"})
	}
	return s
}

// mails are those that were handed to the server, whatever came of them.
func (k *kit) mails() []Call {
	k.vendor.mu.Lock()
	defer k.vendor.mu.Unlock()
	var out []Call
	for _, c := range k.vendor.sent {
		if c.Action == ActionMailSend {
			out = append(out, c)
		}
	}
	return out
}

func accepted(Call) (Result, error) {
	return Result{Class: ResultDone, Sent: true, Output: map[string]any{MailMessageID: "<1@acme.example>", MailTo: "ada@acme.example"}}, nil
}

func TestAskedByMail(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		s := k.byMail(true, true)
		k.vendor.script(ActionMailSend, accepted)
		k.begin(s)
		r := k.expect(store.RunWaiting, "", "WaitingForAnswer")
		mails := k.mails()
		if len(mails) != 1 || mails[0].Integration != MailIntegration || mails[0].Input[MailTo] != "ada@acme.example" {
			t.Fatalf("%+v", mails)
		}
		link := fmt.Sprintf("https://seatkeeper.acme.example/answer/%d/%s/p-ada", k.tenant, r.Prompts[0].ID)
		for _, part := range []string{MailText, MailHTML} {
			text := fmt.Sprint(mails[0].Input[part])
			if !strings.Contains(text, link) || strings.Contains(text, k.engine.token(k.tenant, r.Prompts[0].ID)) {
				t.Errorf("%s:\n%s", part, text)
			}
		}
		if strings.Contains(string(r.Prompts[0].Subject), "answer/") || strings.Contains(string(r.Cursor), "answer/") || strings.Contains(string(r.Vars), "answer/") {
			t.Error("the link is kept")
		}
		q, ok := QuestionOf(r.Prompts[0], r.Prompts[0].Assignees[0])
		if !ok || notify.Text(q) != notify.Text(notify.Question{Asker: q.Asker, Policy: "zoom-90d", Why: s.Seat.Why, To: "Ada", Zone: q.Zone, Seats: q.Seats,
			Deadline: r.Prompts[0].ExpiresAt, Silence: "Keep", KeepFor: "90 days", NextUp: q.NextUp, Contact: "it@acme.example"}) {
			t.Errorf("the page asks something else: %v %s", ok, notify.Text(q))
		}
	})
}

// A mail whose fate nobody knows goes out again as the same mail; what a server
// puts off is tried again; neither makes a run wait for a person.
func TestMailIsRepeated(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		s := k.byMail(true, false)
		k.vendor.script(ActionMailSend, func(Call) (Result, error) {
			return Result{Class: ResultFailed, Message: "the mail server refused the reader's address: 451 later"}, nil
		})
		k.vendor.script(ActionMailSend, func(Call) (Result, error) { return Result{Class: ResultUnknown, Sent: true, Message: "lost"}, nil })
		k.vendor.script(ActionMailSend, accepted)
		k.begin(s)
		k.expect(store.RunWaiting, "", "Retrying")
		k.pass(10 * time.Second)
		k.pass(10 * time.Second)
		k.expect(store.RunWaiting, "", "WaitingForAnswer")
		mails := k.mails()
		if len(mails) != 3 || mails[0].IdemKey != mails[1].IdemKey || mails[1].IdemKey != mails[2].IdemKey || mails[1].Input[MailText] != mails[2].Input[MailText] {
			t.Errorf("%+v", mails)
		}
	})
	eachStore(t, func(t *testing.T, k *kit) { // never known: the next channel, and nobody is bothered
		s := k.byMail(true, true)
		for range 400 {
			k.vendor.script(ActionMailSend, func(Call) (Result, error) { return Result{}, errors.New("the connection broke") })
		}
		k.begin(s)
		for range 400 {
			if k.run().Reason != "Retrying" {
				break
			}
			k.pass(10 * time.Minute)
		}
		k.expect(store.RunWaiting, "", "WaitingForAnswer")
		k.effects(map[string]int{"message.send": 1})
	})
}

// A mail that is refused for good takes the next channel; without one the
// question is held, and says why.
func TestMailIsRefused(t *testing.T) {
	refused := func(Call) (Result, error) {
		return Result{Class: ResultDenied, Message: "the mail server refused the reader's address: 550 unknown"}, nil
	}
	eachStore(t, func(t *testing.T, k *kit) {
		s := k.byMail(true, true)
		k.vendor.script(ActionMailSend, refused)
		k.begin(s)
		k.expect(store.RunWaiting, "", "WaitingForAnswer")
		k.effects(map[string]int{"message.send": 1})
	})
	eachStore(t, func(t *testing.T, k *kit) {
		s := k.byMail(true, false)
		s.Ask.OnTimeout = "Reclaim"
		for range 100 {
			k.vendor.script(ActionMailSend, refused)
		}
		k.begin(s)
		if r := k.expect(store.RunWaiting, "", "NoReachableChannel"); !strings.Contains(r.Message, "550 unknown") {
			t.Errorf("message %q", r.Message)
		}
		k.pass(90 * time.Hour)
		k.expect(store.RunWaiting, "", "NoReachableChannel")
		k.effects(map[string]int{})
	})
	eachStore(t, func(t *testing.T, k *kit) {
		s := k.byMail(false, false)
		k.begin(s)
		if r := k.expect(store.RunWaiting, "", "NoReachableChannel"); !strings.Contains(r.Message, "--public-url") || len(k.mails()) != 0 {
			t.Errorf("message %q", r.Message)
		}
	})
}

// What happened follows the question, once, and not each of its reminders.
func TestMailIsFollowedUp(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		s := k.byMail(true, false)
		for range 3 {
			k.vendor.script(ActionMailSend, accepted)
		}
		k.begin(s)
		k.pass(25 * time.Hour)
		if mails := k.mails(); len(mails) != 2 || !strings.HasPrefix(fmt.Sprint(mails[1].Input[MailSubject]), "Reminder: ") || mails[0].IdemKey == mails[1].IdemKey {
			t.Fatalf("%+v", mails)
		}
		k.pass(50 * time.Hour)
		k.expect(store.RunSucceeded, "kept", "")
		mails := k.mails()
		if last := mails[len(mails)-1]; len(mails) != 3 || last.Input[MailInReplyTo] != "<1@acme.example>" || !strings.Contains(fmt.Sprint(last.Input[MailText]), "nobody answered in time") {
			t.Errorf("%d mails, the last: %+v", len(mails), last)
		}
	})
}

// A mail has as long for a notice and for what follows a question as for the
// question itself.
func TestTimeOfEveryMail(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.byMail(true, false)
		k.world.set(func() { k.world.ways = []ChannelRef{{Kind: ChannelEmail}} })
		k.ada(nil)
		for range 3 {
			k.vendor.script(ActionMailSend, accepted)
		}
		k.put(cel(Step{Name: "tell", Notify: &NotifyStep{To: []Recipient{{Role: RoleManager}}, Text: "x"}}, approval("ok", alone)))
		k.by("k")
		k.status(k.onCLI(k.open(), "mia", notify.Approve, ""), store.AnswerAccepted)
		k.settle()
		r := k.expect(store.RunSucceeded, "", "")
		if len(r.Attempts) != 3 {
			t.Errorf("%d mails: want the notice, the question and how it ended", len(r.Attempts))
		}
		for _, a := range r.Attempts {
			if got := a.DeadlineAt.Sub(a.StartedAt); got != 2*time.Minute {
				t.Errorf("the mail of %s has %s", a.StepPath, got)
			}
		}
	})
}

// The page says whom a question is about to each reader of their own.
func TestPageSaysWhomItIsAbout(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		p, err := k.store.PersonByEmail(t.Context(), k.tenant, "ada@acme.example")
		if err != nil {
			t.Fatal(err)
		}
		k.world.set(func() {
			k.world.holders[RoleManager] = []store.Assignee{{PersonID: p.ID, Name: "Ada", Email: "ada@acme.example"}, {PersonID: "p-mia", Name: "Mia", Email: "mia@acme.example"}}
		})
		k.put(cel(approval("ok", alone, func(s *Step) {
			s.Ask.Matter.Kind, s.Ask.Options, s.Ask.OnTimeout, s.Ask.NotSelf = notify.Choice, []string{"Keep", "Delete"}, "Keep", false
		})))
		k.by("k")
		asked := k.open()
		for i, want := range []string{"you", "Ada (ada@acme.example)"} {
			q, ok := QuestionOf(asked, asked.Assignees[i])
			if !ok || q.Matter.About != want {
				t.Errorf("%s reads: about %q, want %q", asked.Assignees[i].Name, q.Matter.About, want)
			}
		}
	})
}
