// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/notify"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// AskMatter makes an AskStep an approval, a question or a task of a user's
// Workflow. It is worded by its author, and asked whatever the inventory says.
type AskMatter struct {
	Kind notify.MatterKind `json:"kind"`
	Text string            `json:"text,omitempty"` // with holes
	// Evidence of a task is Optional or Required.
	Evidence string `json:"evidence,omitempty"`
}

// approves reports a step that nobody passes over but by an approval.
func (s Step) approves() bool {
	return s.Ask != nil && s.Ask.Matter != nil && s.Ask.Matter.Kind == notify.Approval
}

// waitsFor is why a run waits for people.
var waitsFor = map[notify.MatterKind]string{notify.Approval: "WaitingForApproval", notify.Choice: "WaitingForAnswer", notify.Task: "WaitingForTask"}

// lists are the commands that show what is asked.
var lists = map[notify.MatterKind]string{notify.Approval: "approvals", notify.Choice: "reviews", notify.Task: "tasks"}

// matter compiles what a question, an approval or a task has of expressions.
func (l *linker) matter(n *node, s *AskStep) (err error) {
	kind, ok := map[notify.MatterKind]string{notify.Approval: "approval", notify.Choice: "ask", notify.Task: "delegate"}[s.Matter.Kind]
	field := n.field + "." + kind
	switch {
	case !ok:
		return fmt.Errorf("%s: nobody knows how to ask a %q", n.field, s.Matter.Kind)
	case len(s.Stages) == 0:
		return fmt.Errorf("%s: there is nobody to ask", field)
	case len(s.Options) == 0:
		return fmt.Errorf("%s: there is nothing to choose from", field)
	case s.OnTimeout != "" && !slices.Contains(s.Options, s.OnTimeout):
		return fmt.Errorf("%s: silence counts as %q, which is none of the options", field, s.OnTimeout)
	}
	if s.Matter.Text != "" {
		if n.text, err = l.value(field+".text", s.Matter.Text); err != nil {
			return err
		}
	}
	to := make([]Recipient, len(s.Stages))
	for i, stage := range s.Stages {
		if stage.To == nil {
			return fmt.Errorf("%s: a stage without anybody to ask", field)
		}
		to[i] = *stage.To
	}
	n.to, err = l.recipients(field, to)
	return err
}

// text is the author's, with its holes filled.
func (t *turn) text(n *node) (string, error) {
	if n.text == nil {
		return "", nil
	}
	v, err := n.text(t.scope())
	if err != nil {
		return "", err
	}
	return clipped(inWords(v)), nil
}

// maxText bounds what people are sent, in characters: every channel takes it.
const maxText = 8000

func clipped(s string) string {
	if r := []rune(s); len(r) > maxText {
		return string(r[:maxText-1]) + "…"
	}
	return s
}

// inWords writes a value into a text.
func inWords(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case nil:
		return ""
	case bool, int64, uint64, float64:
		return fmt.Sprint(x)
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return masked // something in it is sensitive
	}
	return string(raw)
}

// question words what is asked.
func (t *turn) question(n *node, s *AskStep, d delivery) (notify.Question, error) {
	if s.Matter != nil {
		return t.matterQuestion(s, d)
	}
	seat, err := t.seat()
	if err != nil {
		return notify.Question{}, err
	}
	p, _ := t.prompt(t.run.StepPath)
	to := p.Assignees[d.Assignee]
	q := notify.Question{
		Asker: seat.Asker, Policy: t.run.Name, Why: seat.Why, To: to.Name, Zone: zoneOf(to.TimeZone), Deadline: p.ExpiresAt, Silence: s.OnTimeout,
		KeepFor: spanWords(s.KeepFor), NextUp: "your manager", Contact: seat.Contact,
		Seats: []notify.Seat{{
			PromptID: p.ID, Token: t.env.token(t.run.Tenant, p.ID), Options: s.Options, App: seat.AppTitle, Plan: seat.PlanName, Account: seat.Account,
			LastUse: seat.LastUse, Source: seat.Source, Observed: seat.Observed, YearlyCost: seat.YearlyCost, Effect: seat.Effect, GetBack: seat.GetBack,
		}},
	}
	if to.PersonID != t.run.PersonID {
		q.Holder = seat.PersonName
	}
	if t.cur.Phase == askRemind {
		q.Reminder = t.cur.Reminders
	}
	return q, nil
}

// matterQuestion is what is sent to one reader.
func (t *turn) matterQuestion(s *AskStep, d delivery) (notify.Question, error) {
	p, ok := t.prompt(t.run.StepPath)
	if !ok {
		return notify.Question{}, errors.New("the question's row is gone")
	}
	var m store.PromptMatter
	if err := json.Unmarshal(p.Subject, &m); err != nil {
		return notify.Question{}, fmt.Errorf("the question's row: %w", err)
	}
	q := t.worded(s, p, p.Assignees[d.Assignee])
	q.Matter.Text, q.Matter.Token = m.Text, t.env.token(t.run.Tenant, p.ID)
	if t.cur.Phase == askRemind {
		q.Reminder = t.cur.Reminders
	}
	return q, nil
}

// worded is what is asked of one reader, without the author's text.
func (t *turn) worded(s *AskStep, p store.Prompt, to store.Assignee) notify.Question {
	q := notify.Question{
		Asker: cmp.Or(t.vars.text("org.displayName"), "Seatkeeper"), Policy: t.run.Name, Why: cmp.Or(t.vars.text("start.why"), "a run of the workflow has come to it"),
		To: to.Name, Zone: t.zoneFor(to),
		Matter: &notify.Matter{Kind: s.Matter.Kind, ID: p.ID, Options: s.Options, Evidence: s.Matter.Evidence, Silence: t.silence(s), About: t.about(to)},
	}
	if p.ExpiresAt.Before(p.CreatedAt.Add(farAway / 2)) {
		q.Deadline = p.ExpiresAt
	}
	return q
}

// about names the run's person to others.
func (t *turn) about(to store.Assignee) string {
	name, email := t.vars.text("person.displayName"), t.vars.text("person.email")
	switch {
	case email == "":
		return ""
	case t.run.PersonID != "" && to.PersonID == t.run.PersonID:
		return "you"
	}
	return strings.TrimSpace(name + " (" + email + ")")
}

// silence says what happens without an answer.
func (t *turn) silence(s *AskStep) string {
	switch {
	case s.Matter.Kind == notify.Task && s.Timeout.IsZero():
		return "the workflow waits"
	case s.later(t.cur.Stage) < len(s.Stages):
		return "others are asked instead"
	case s.OnTimeout == "":
		return "the step of the workflow fails"
	}
	return "it counts as " + s.OnTimeout
}

func spanWords(s Span) string {
	switch {
	case s.Days == 1:
		return "1 day"
	case s.Days != 0:
		return fmt.Sprintf("%d days", s.Days)
	case s.Elapsed >= 48*time.Hour && s.Elapsed%(24*time.Hour) == 0:
		return fmt.Sprintf("%d days", int(s.Elapsed.Hours())/24)
	}
	return s.String()
}

// askDry says what would be asked.
func (t *turn) askDry(n *node, s *AskStep) {
	text, err := t.text(n)
	if err != nil {
		text = "the text has no value in a dry run: " + err.Error()
	}
	to := make([]any, 0, len(s.Stages))
	for i, stage := range s.Stages {
		r, err := t.addressed(*stage.To, n.to[i])
		if err != nil {
			r.address = err.Error()
		}
		to = append(to, cmp.Or(string(r.Role), r.address))
	}
	result := map[string]any{"result": resultDryRun, "request": map[string]any{"kind": string(s.Matter.Kind), "to": to, "text": text, "options": s.Options}}
	switch s.Matter.Kind {
	case notify.Approval:
		result["approved"] = true // the steps behind it are what a dry run is for
	case notify.Choice:
		result["choice"] = cmp.Or(s.OnTimeout, s.Options[0])
	case notify.Task, notify.Notice:
	}
	t.complete(n, result)
}

// noChannel says that a question stays with us.
func (s *AskStep) noChannel(does string) string {
	if s.Matter == nil {
		return "no channel of the policy " + does
	}
	return "no channel " + does + "; until one does it can be answered with `seatkeeper " + lists[s.Matter.Kind] + "`"
}
