// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"cmp"
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/notify"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// Results of an approval.
const (
	StepApproved = "Approved"
	StepRejected = "Rejected"
)

// Reasons of steps that ask people.
const (
	reasonRejected = "Rejected"
	reasonNoAnswer = "NoAnswer"
)

// settled is how a matter ended, kept while those who were asked are told.
type settled struct {
	decision
	Email string `json:"email,omitempty"` // of who decided
	// Failed is why the step fails; empty: it does not.
	Failed  string `json:"failed,omitempty"`
	Message string `json:"message"`
}

// answered takes the recorded answer.
func (t *turn) answered(n *node, s *AskStep, p store.Prompt) {
	t.settle(n, s, whoAnswered(p), "answered "+p.Answer)
}

// whoAnswered is the decision that a recorded answer is.
func whoAnswered(p store.Prompt) decision {
	d := decision{Answer: p.Answer, By: p.AnsweredBy, Kind: model.ActorEmployee, Reason: p.AnswerReason, Source: sourceAnswer}
	for _, a := range p.Assignees {
		switch p.AnsweredBy {
		case "person:" + a.PersonID:
			d.Name, d.Role = a.Name, a.Role
		case "user:" + a.KubernetesUser:
			d.Name, d.Role, d.Kind = a.Name, a.Role, model.ActorUser
		}
	}
	return d
}

// withdraw ends a question that no longer arises, whether it was sent or not.
func (t *turn) withdraw(n *node, p store.Prompt, v Verdict) {
	if p.ID != "" {
		t.closePrompt(p, store.PromptWithdrawn, v.Message)
	}
	t.auditPolicy("prompt.withdraw", v.Reason, Withdrawn)
	t.settleAs(n, decision{Answer: Withdrawn, Source: sourceWithdrawn, Reason: v.Reason}, v.Reason, v.Message, false)
}

// settle ends the ask with a decision.
func (t *turn) settle(n *node, s *AskStep, d decision, message string) {
	if s.Matter != nil {
		t.settleAnswer(n, s, d)
		return
	}
	t.settleAs(n, d, d.Source, message, true)
}

func (t *turn) settleAs(n *node, d decision, reason, message string, decides bool) {
	if decides {
		t.vars["decision"] = map[string]any{"answer": d.Answer, "by": d.By, "kind": string(d.Kind), "role": d.Role, "name": d.Name, "reason": d.Reason, "source": d.Source}
	}
	t.complete(n, map[string]any{"answer": d.Answer, "source": d.Source, "reason": reason, "message": message})
}

// settleAnswer is settleMatter for a decision.
func (t *turn) settleAnswer(n *node, s *AskStep, d decision) {
	end := settled{decision: d}
	switch d.Source {
	case sourceTimeout:
		end.Message = "nobody answered in time, so it counted as " + d.Answer
	case sourceNoApprover:
		end.Message = "nobody else may answer, so it counted as " + d.Answer
	}
	if p, ok := t.answeredHere(s); ok && d.Source == sourceAnswer {
		// Names stay with the question: messages of runs are shown in status.
		did := "answered"
		if s.Matter.Kind == notify.Approval {
			did = map[string]string{notify.Approve: "approved", notify.Reject: "rejected"}[d.Answer]
		}
		end.Message = fmt.Sprintf("%s; `seatkeeper %s %s` shows by whom", did, lists[s.Matter.Kind], p.ID)
		for _, a := range p.Assignees {
			if d.By == a.AnswerName() {
				end.Email = a.Email
			}
		}
	}
	switch {
	case d.Answer == "":
		end.Failed, end.Message = reasonNoAnswer, "nobody answered in time, and the step has no default"
	case s.Matter.Kind == notify.Approval && d.Answer == notify.Reject && n.step.OnError != OnErrorContinue:
		end.Failed = reasonRejected
	}
	if s.Matter.Kind != notify.Task && d.Answer != "" { // a task that is done decides nothing
		t.vars["decision"] = map[string]any{"answer": d.Answer, "by": d.By, "kind": string(d.Kind), "role": d.Role, "name": d.Name, "reason": d.Reason, "source": d.Source}
	}
	t.settleMatter(end)
}

// settleMatter keeps how it ended and turns to those who were asked.
func (t *turn) settleMatter(end settled) {
	for _, p := range t.prompts {
		if p.StepPath == t.run.StepPath && p.State == store.PromptOpen {
			t.closePrompt(p, store.PromptWithdrawn, end.Message)
		}
	}
	cur := t.cur.fresh(t.cur.Since)
	cur.Stage, cur.Entered, cur.Settled = t.cur.Stage, t.cur.Entered, &end
	t.cur, t.event = cur, event{kind: eventDue}
}

// askClose tells those who were asked how it ended, and ends the step.
func (t *turn) askClose(n *node, s *AskStep) {
	end := *t.cur.Settled
	var messages []sentMessage
	ours := t.ours(s)
	for _, m := range t.messages() {
		if ours[m.prompt] {
			messages = append(messages, m)
		}
	}
	if !t.replace(t.run.StepPath+"#close", closeReach, messages, func(m sentMessage) notify.Closing { return t.closingMatter(s, end, m.reader) }) {
		return
	}
	if !t.refreshed() { // people take their time
		return
	}
	result := map[string]any{"answer": end.Answer, "source": end.Source, "reason": cmp.Or(end.Failed, end.Source), "message": end.Message}
	if end.Source == sourceAnswer {
		result["by"], result["byName"], result["text"] = end.Email, end.Name, end.Reason
	}
	switch s.Matter.Kind {
	case notify.Approval:
		result["result"], result["approved"] = StepRejected, end.Answer == notify.Approve
		if end.Answer == notify.Approve {
			result["result"] = StepApproved
		}
	case notify.Choice:
		result["result"], result["choice"] = "answered", end.Answer
		if end.Source != sourceAnswer {
			result["result"] = "default"
		}
	case notify.Task:
		result["result"], result["evidence"] = string(ResultDone), end.Reason
	case notify.Notice:
	}
	switch {
	case end.Failed == reasonRejected:
		t.keep(n, result) // for onFailure, and for people
		t.fail(end.Failed, end.Message)
	case end.Failed != "":
		t.failStep(n, end.Failed, end.Message)
	default:
		t.complete(n, result)
	}
}

func (t *turn) closingMatter(s *AskStep, end settled, reader store.Assignee) notify.Closing {
	q := t.worded(s, store.Prompt{}, reader)
	c := notify.Closing{Outcome: notify.Settled, Title: q.Title(), At: t.now, Zone: q.Zone, Detail: end.Message}
	if end.Source == sourceAnswer {
		who := cmp.Or(end.Name, "somebody who was asked")
		if end.By == reader.AnswerName() {
			who = "you"
		}
		c.Detail = who + " answered " + end.Answer
		if end.Reason != "" {
			c.Detail += ": " + end.Reason
		}
	}
	c.Detail = sentence(c.Detail)
	return c
}

// sentence begins with a capital.
func sentence(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return s
	}
	return string(unicode.ToUpper(r)) + s[size:]
}

// auditPolicy records a decision that no person took.
func (t *turn) auditPolicy(action, reason, result string) {
	t.change.Audits = append(t.change.Audits, model.AuditRecord{
		Actor: t.run.Kind + "/" + t.run.Name, ActorKind: model.ActorPolicy, Action: action, ObjectKind: t.run.Kind, ObjectName: t.run.Name,
		PersonID: t.run.PersonID, Reason: reason, Cause: t.run.Cause, RunID: t.run.ID, Result: result,
	})
}
