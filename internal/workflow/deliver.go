// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"cmp"
	"fmt"

	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/notify"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// askReach bounds how long one channel is tried before the next.
var askReach = Retry{MaxAttempts: 4}

// askDeliver sends the question, or a reminder, to each assignee.
func (t *turn) askDeliver(n *node, s *AskStep) {
	for t.cur.At < len(t.cur.Deliveries) {
		if p, ok := t.prompt(t.run.StepPath); !ok || p.State != store.PromptOpen && !t.underWay() {
			break // answered meanwhile: nobody else need be disturbed
		}
		d := t.cur.Deliveries[t.cur.At]
		q, err := t.question(n, s, d)
		if err != nil {
			t.fail("BadInput", err.Error())
			return
		}
		channel, ok := t.env.channels[d.Kind]
		if !ok {
			t.nextWay()
			continue
		}
		if d.Kind == ChannelEmail && !t.linked(n, d, &q) {
			t.nextWay()
			continue
		}
		call, err := channel.Send(d.Integration, d.Address, q)
		if err != nil && s.Matter != nil {
			t.run.Message = err.Error()
			t.nextWay()
			continue
		}
		if err != nil {
			t.fail("BadInput", err.Error())
			return
		}
		spec := callSpec{path: t.deliveryPath(n, d), loop: t.cur.At, call: call, postedPoint: failpoint.PromptPostedNotRecorded}
		if s.Matter != nil {
			spec.retry = askReach
		}
		var out callOutcome
		if s.Matter == nil {
			out = t.perform(spec.inTime())
		} else {
			out = t.deliver(spec)
		}
		switch {
		case out.pending && t.run.State == store.RunAttention && d.Kind == ChannelEmail:
			t.unpark() // whether a mail arrived need not be known: a second question does no harm
			t.nextWay()
		case out.pending:
			return
		case out.ok:
			t.delivered(n, channel, d, out.output)
		default:
			t.run.Message = out.message
			t.nextWay()
		}
	}
	t.sent(n, s)
}

// deliver makes a call that tells people something. That one channel does not
// take it is never what a run stays behind for: whether it came through in the
// end need not be known, as the same question twice does no harm.
func (t *turn) deliver(c callSpec) callOutcome {
	c.onAmbiguous = AmbiguousRetry
	out := t.perform(c.inTime())
	if out.pending && t.run.State == store.RunAttention {
		out = callOutcome{reason: t.run.Reason, message: t.run.Message}
		t.unpark()
		t.auditDoubt(c)
	}
	return out
}

// auditDoubt records a message of which nobody will know whether it arrived. Each
// attempt at an unsafe one has its record already.
func (t *turn) auditDoubt(c callSpec) {
	a := store.Attempt{Integration: c.call.Integration, Action: c.call.Action, Class: string(t.cur.Info.Class)}
	if n := len(t.change.Attempts); n > 0 {
		a = t.change.Attempts[n-1]
	}
	if Class(a.Class) != ClassUnsafe {
		t.audit(a, string(ResultUnknown))
	}
}

// inTime gives a message the time that its channel takes.
func (c callSpec) inTime() callSpec {
	if c.call.Integration == MailIntegration {
		c.retry.Timeout = mailTimeout
	}
	return c
}

// linked gives the question the links of the page where its reader answers.
func (t *turn) linked(n *node, d delivery, q *notify.Question) bool {
	if t.env.link == nil {
		t.run.Message = "no address is known under which people reach the gateway, so nobody can be asked by e-mail: set the manager's --public-url"
		return false
	}
	p, _ := t.prompt(t.run.StepPath)
	q.Links = map[string]string{}
	for _, asked := range q.Prompts() {
		link, err := t.env.link(t.run.Tenant, asked.ID, p.Assignees[d.Assignee])
		if err != nil {
			t.run.Message = "no link could be made: " + err.Error()
			return false
		}
		q.Links[asked.ID] = link
	}
	return true
}

// deliveryPath names the logical effect: stage, reminder and way.
func (t *turn) deliveryPath(n *node, d delivery) string {
	if t.cur.Phase == askRemind {
		return fmt.Sprintf("%s#%d.remind%d.%s", t.run.StepPath, t.cur.Stage, t.cur.Reminders, d.Kind)
	}
	return fmt.Sprintf("%s#%d.%s", t.run.StepPath, t.cur.Stage, d.Kind)
}

// delivered records where the message is. A message whose place is not told
// was sent all the same; it cannot be updated later.
func (t *turn) delivered(n *node, channel Channel, d delivery, output map[string]any) {
	p, _ := t.prompt(t.run.StepPath)
	if ref, err := channel.Ref(output); err == nil {
		p.Messages = append(p.Messages, store.MessageRef{Kind: d.Kind, Integration: d.Integration, PersonID: p.Assignees[d.Assignee].PersonID, Ref: ref,
			Reminder: t.cur.Phase == askRemind})
		t.putPrompt(p)
	}
	t.nextMessage(true)
}

// nextWay tries the assignee's next channel.
func (t *turn) nextWay() {
	d := t.cur.Deliveries[t.cur.At]
	if len(d.Else) == 0 {
		t.nextMessage(false)
		return
	}
	next := d.Else[0]
	next.Else = d.Else[1:]
	t.cur.Deliveries[t.cur.At] = next
	t.cur.resetEffect()
}

// sent begins the wait once every assignee was tried.
func (t *turn) sent(n *node, s *AskStep) {
	p, _ := t.prompt(t.run.StepPath)
	first := t.cur.Phase == askSend
	t.cur.Phase = askWait
	if first {
		t.cur.AskedAt = t.now
	}
	switch {
	case p.State != store.PromptOpen: // answered meanwhile: the next move sees it
	case first && t.cur.Delivered == 0 && t.cur.Stage+1 < len(s.Stages):
		t.closePrompt(p, store.PromptExpired, "no channel took the question, so others are asked now")
		found := cmp.Or(t.cur.Found, t.cur.Stage+1)
		t.nextStage(t.cur.Stage + 1)
		t.cur.Unreached, t.cur.Found = true, found
	case first && t.cur.Delivered == 0 && t.firstFound(s):
	case first && t.cur.Delivered == 0:
		p.ExpiresAt = t.now.Add(farAway)
		t.putPrompt(p)
		t.unreachable(s.noChannel("took the question: " + t.run.Message))
	default:
		t.sleepUntilNext(p, s)
	}
}

// closeReach bounds how long a run is kept by messages about what is past: some
// minutes. Buttons that nobody takes away invite people to decide in vain.
var closeReach = Retry{MaxAttempts: 8}

// replace updates messages one after the other; it reports that it is through.
// That a message cannot be replaced never fails the run: what it tells of is
// there all the same.
func (t *turn) replace(path string, retry Retry, messages []sentMessage, word func(sentMessage) notify.Closing) bool {
	for t.cur.At < len(messages) {
		m := messages[t.cur.At]
		channel, ok := t.env.channels[m.ref.Kind]
		if !ok {
			t.nextMessage(false)
			continue
		}
		call, err := channel.Update(m.ref, word(m))
		if err != nil {
			t.nextMessage(false)
			continue
		}
		out := t.deliver(callSpec{path: path, loop: t.cur.At, call: call, retry: retry, postedPoint: failpoint.MessageUpdatedNotRecorded})
		if out.pending {
			return false
		}
		t.nextMessage(out.ok)
	}
	return true
}
