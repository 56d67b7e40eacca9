// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/notify"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// NotifyStep tells people something. Each message is an effect of its own, with
// its result.
type NotifyStep struct {
	To []Recipient `json:"to"`
	// Via are the kinds of channels by each of which everybody is told; empty:
	// by the first that reaches them.
	Via     []string `json:"via,omitempty"`
	Subject string   `json:"subject,omitempty"` // with holes, as Text
	Text    string   `json:"text"`
}

// Results of a notice, of each message and of the step.
const (
	resultDelivered   = "delivered"
	resultUndelivered = "undelivered"
	resultPartial     = "partial"
)

// reasonNotDelivered is why a step fails that could tell nobody.
const reasonNotDelivered = "NotDelivered"

// notice is how far a step that tells people is.
type notice struct {
	To      []store.Assignee `json:"to"`
	Results []map[string]any `json:"results,omitempty"`
}

// notifyAll tells everybody.
func (t *turn) notifyAll(n *node, s *NotifyStep) {
	subject, text, err := t.noticeText(n)
	if err != nil {
		t.failStep(n, reasonExpression, err.Error())
		return
	}
	to, err := t.noticeTo(n, s)
	if err != nil {
		t.failStep(n, reasonExpression, err.Error())
		return
	}
	switch {
	case t.dryRun():
		names := make([]any, len(to))
		for i, r := range to {
			names[i] = cmp.Or(string(r.Role), r.address)
		}
		t.complete(n, map[string]any{"result": resultDryRun, "request": map[string]any{"to": names, "via": s.Via, "subject": subject, "text": text}})
		return
	case t.cur.Notice == nil && !t.noticeFound(s, to):
		return
	}
	for t.cur.At < len(t.cur.Deliveries) {
		if t.noticeSend(subject, text) {
			return
		}
	}
	t.noticeEnd(n)
}

func (t *turn) noticeText(n *node) (subject, text string, err error) {
	if n.subject != nil {
		v, err := n.subject(t.scope())
		if err != nil {
			return "", "", fmt.Errorf("subject: %w", err)
		}
		subject = strings.Join(strings.Fields(inWords(v)), " ")
	}
	if text, err = t.text(n); err != nil {
		return "", "", fmt.Errorf("text: %w", err)
	}
	return subject, text, nil
}

func (t *turn) noticeTo(n *node, s *NotifyStep) ([]addressee, error) {
	out := make([]addressee, len(s.To))
	for i, r := range s.To {
		var err error
		if out[i], err = t.addressed(r, n.to[i]); err != nil {
			return nil, fmt.Errorf("to[%d]: %w", i, err)
		}
	}
	return out, nil
}

// noticeFound finds out who is told, and how.
func (t *turn) noticeFound(s *NotifyStep, to []addressee) bool {
	if t.event.kind != eventPrepared {
		how := &AskStep{}
		for _, kind := range s.Via {
			how.Channels = append(how.Channels, ChannelRef{Kind: kind})
		}
		t.need(gather{to: to, ask: how})
		return false
	}
	p := t.event.prepared
	t.event = event{kind: eventDue}
	if p.err != nil {
		t.sleep(t.now.Add(time.Minute), "LookupFailed", "whom to tell could not be found out: "+p.err.Error())
		return false
	}
	t.cur.Notice = &notice{To: p.assignees}
	for _, who := range p.missing {
		t.noted(map[string]any{"to": who, "result": resultUndelivered, "reason": "there is nobody, or they have left"})
	}
	for i, ways := range p.addresses {
		switch {
		case len(ways) == 0:
			t.noted(map[string]any{"to": p.assignees[i].Role, "result": resultUndelivered, "reason": "no channel reaches them"})
		case len(s.Via) == 0:
			first := ways[0]
			first.Else = ways[1:]
			t.cur.Deliveries = append(t.cur.Deliveries, first)
		default:
			t.cur.Deliveries = append(t.cur.Deliveries, onePerKind(ways)...)
		}
	}
	return true
}

// onePerKind groups ways by the kind of channel: of two workspaces the second
// is for when the first does not take the message.
func onePerKind(ways []delivery) []delivery {
	var out []delivery
	for _, w := range ways {
		if i := slices.IndexFunc(out, func(o delivery) bool { return o.Kind == w.Kind }); i >= 0 {
			out[i].Else = append(out[i].Else, w)
		} else {
			out = append(out, w)
		}
	}
	return out
}

func (t *turn) noted(result map[string]any) {
	t.cur.Notice.Results = append(t.cur.Notice.Results, result)
}

// noticeSend sends the message at work by its way; it reports that the turn is
// over.
func (t *turn) noticeSend(subject, text string) bool {
	d := t.cur.Deliveries[t.cur.At]
	to := t.cur.Notice.To[d.Assignee]
	out := callOutcome{message: "nothing here speaks " + d.Kind}
	if channel, ok := t.env.channels[d.Kind]; ok {
		call, err := channel.Send(d.Integration, d.Address, t.noticeFor(to, d, subject, text))
		if err == nil {
			path := fmt.Sprintf("%s#%d.%s.%s", t.run.StepPath, d.Assignee, d.Kind, d.Integration)
			if out = t.deliver(callSpec{path: path, call: call, retry: askReach, postedPoint: failpoint.PromptPostedNotRecorded}); out.pending {
				return true
			}
		} else {
			out.message = err.Error()
		}
	}
	switch {
	case out.ok:
		t.noted(map[string]any{"to": to.Role, "channel": d.Kind, "result": resultDelivered, "at": t.now.Format(time.RFC3339)})
		t.nextMessage(true)
	case len(d.Else) > 0:
		next := d.Else[0]
		next.Else = d.Else[1:]
		t.cur.Deliveries[t.cur.At] = next
		t.cur.resetEffect()
	default:
		t.noted(map[string]any{"to": to.Role, "channel": d.Kind, "result": resultUndelivered, "reason": out.message})
		t.nextMessage(false)
	}
	return false
}

// noticeFor is what one reader gets by one way.
func (t *turn) noticeFor(to store.Assignee, d delivery, subject, text string) notify.Question {
	id := uuid.NewSHA1(idemNamespace, fmt.Appendf(nil, "notice\x00%s\x00%s\x00%d\x00%d\x00%s", t.run.ID, t.run.StepPath, t.cur.Round, d.Assignee, d.Kind)).String()
	q := t.worded(&AskStep{Matter: &AskMatter{Kind: notify.Notice}}, store.Prompt{ID: id}, to)
	q.Matter.Subject, q.Matter.Text = subject, text
	return q
}

// noticeEnd ends the step: somebody who could not be told is no reason to stop,
// nobody at all is.
func (t *turn) noticeEnd(n *node) {
	results := t.cur.Notice.Results
	told := 0
	list := make([]any, len(results))
	for i, r := range results {
		list[i] = r
		if r["result"] == resultDelivered {
			told++
		}
	}
	res := map[string]any{"result": string(ResultDone), "delivered": told, "undelivered": len(results) - told, "messages": list}
	if told == len(results) && told > 0 {
		t.complete(n, res)
		return
	}
	res["reason"] = reasonNotDelivered
	first := slices.IndexFunc(results, func(r map[string]any) bool { return r["result"] == resultUndelivered })
	message := "there is nobody to tell"
	if first >= 0 {
		message = fmt.Sprintf("%d of %d messages were not delivered; first, to %v: %v", len(results)-told, len(results), results[first]["to"], results[first]["reason"])
	}
	t.run.Outcome = store.OutcomeUndelivered
	t.auditPolicy("notice.undelivered", message, resultUndelivered)
	if told == 0 {
		t.failStep(n, reasonNotDelivered, message)
		return
	}
	res["result"], res["message"] = resultPartial, message
	t.complete(n, res)
}

// notice compiles what a step that tells people has of expressions.
func (l *linker) notice(n *node, s *NotifyStep) (err error) {
	field := n.field + ".notify"
	if n.text, err = l.value(field+".text", s.Text); err != nil {
		return err
	}
	if s.Subject != "" {
		if n.subject, err = l.value(field+".subject", s.Subject); err != nil {
			return err
		}
	}
	if len(s.To) == 0 {
		return fmt.Errorf("%s.to: there is nobody to tell", field)
	}
	n.to, err = l.recipients(field, s.To)
	return err
}
