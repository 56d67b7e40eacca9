// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/notify"
	engine "github.com/seatkeeper/seatkeeper/internal/workflow"
)

// defaultAnswer is how long people have who are asked, as the API documents it.
var defaultAnswer = engine.Hours(72)

// reminded is the shortest timeout within which people are reminded.
const reminded = 8 * time.Hour

// night is when nobody is reminded.
var night = engine.QuietHours{From: "20:00", To: "08:00"}

// taskReminders are after how many days somebody is reminded of a task: soon,
// then less and less often, as long as a run may take.
var taskReminders = []int{2, 5, 10, 20, 30, 45, 60, 75}

// asks translates a step that asks people, nil for one that does not.
func (t *translator) asks(field string, s step) (*engine.AskStep, error) {
	a := s.action
	switch {
	case a.Approval != nil && s.base.OnError == engine.OnErrorAsk:
		return nil, &stepError{field + ".onError", "Ask is not for an approval: a rejection is an answer; use Continue and look at steps." + string(s.base.Name) + ".approved"}
	case a.Approval != nil:
		return t.approval(field+".approval", *a.Approval)
	case a.Ask != nil:
		return t.ask(field+".ask", *a.Ask)
	case a.Delegate != nil:
		return t.delegate(field+".delegate", *a.Delegate)
	}
	return nil, nil
}

func (t *translator) approval(field string, a v1alpha1.ApprovalStep) (*engine.AskStep, error) {
	out := &engine.AskStep{
		Matter:  &engine.AskMatter{Kind: notify.Approval, Text: string(a.Text)},
		Options: []string{notify.Approve, notify.Reject}, OnTimeout: notify.Reject, NotSelf: true, Quiet: &night,
	}
	if a.OnTimeout != "" {
		out.OnTimeout = a.OnTimeout
	}
	for i, list := range [][]v1alpha1.Recipient{a.Approvers, a.Fallback} {
		at := field + []string{".approvers", ".fallback"}[i]
		if slices.ContainsFunc(list, func(r v1alpha1.Recipient) bool { return r.Role == v1alpha1.RolePerson }) {
			return nil, &stepError{at, "nobody approves what concerns themselves; leave role Person out"}
		}
		stages, err := t.recipients(at, list)
		if err != nil {
			return nil, err
		}
		for _, to := range stages {
			out.Stages = append(out.Stages, engine.AskStage{To: to, Group: i})
		}
	}
	return out, within(out, field, a.Timeout)
}

func (t *translator) ask(field string, a v1alpha1.AskStep) (*engine.AskStep, error) {
	out := &engine.AskStep{
		Matter: &engine.AskMatter{Kind: notify.Choice, Text: string(a.Text)}, Options: a.Options, OnTimeout: a.Default, Quiet: &night,
		Stages: []engine.AskStage{{To: &engine.Recipient{Email: string(a.To)}}},
	}
	for i, o := range a.Options {
		if slices.Contains(a.Options[:i], o) {
			return nil, &stepError{field + ".options", fmt.Sprintf("%q is there twice", o)}
		}
	}
	if a.Default != "" && !slices.Contains(a.Options, a.Default) {
		return nil, &stepError{field + ".default", fmt.Sprintf("%q is none of the options: %s", a.Default, strings.Join(a.Options, ", "))}
	}
	for i, c := range a.Via {
		if c.Integration == "" {
			out.Channels = append(out.Channels, engine.ChannelRef{Kind: engine.ChannelEmail})
			continue
		}
		out.Channels = append(out.Channels, engine.ChannelRef{Kind: engine.ChannelSlack, Integration: string(c.Integration)})
		t.plan.uses = append(t.plan.uses, use{
			field: field + ".via[" + strconv.Itoa(i) + "]", integration: string(c.Integration), action: "message.send", inputs: []string{"text", "callback"},
		})
	}
	return out, within(out, field, a.Timeout)
}

func (t *translator) delegate(field string, d v1alpha1.DelegateStep) (*engine.AskStep, error) {
	out := &engine.AskStep{
		Matter: &engine.AskMatter{Kind: notify.Task, Text: string(d.Text), Evidence: "Optional"}, Options: []string{notify.Done}, Quiet: &night,
	}
	if d.Evidence != "" {
		out.Matter.Evidence = d.Evidence
	}
	stages, err := t.recipients(field+".to", d.To)
	if err != nil {
		return nil, err
	}
	for _, to := range stages {
		out.Stages = append(out.Stages, engine.AskStage{To: to})
	}
	for _, days := range taskReminders {
		out.Reminders = append(out.Reminders, engine.Days(days))
	}
	return out, nil
}

// within sets the timeout of a question, and a reminder in the middle of it.
func within(s *engine.AskStep, field string, timeout v1alpha1.DurationOrDays) error {
	s.Timeout = defaultAnswer
	if timeout != "" {
		var err error
		if s.Timeout, err = limit(field+".timeout", timeout); err != nil {
			return err
		}
	}
	switch {
	case s.Timeout.Days > 1:
		s.Reminders = []engine.Span{engine.Days(s.Timeout.Days / 2)}
	case s.Timeout.Days == 1:
		s.Reminders = []engine.Span{engine.Hours(12)}
	case s.Timeout.Elapsed >= reminded:
		s.Reminders = []engine.Span{{Elapsed: s.Timeout.Elapsed / 2}}
	}
	return nil
}

// recipients translates whom a step turns to. A role that nobody can hold for
// the runs of this trigger is a mistake.
func (t *translator) recipients(field string, in []v1alpha1.Recipient) ([]*engine.Recipient, error) {
	out := make([]*engine.Recipient, len(in))
	for i, r := range in {
		out[i] = &engine.Recipient{Role: engine.Role(r.Role), Email: escape(string(r.Email))}
		if r.Role == "" {
			continue
		}
		at := field + "[" + strconv.Itoa(i) + "].role"
		subject := t.plan.definition.Subject
		roles := rolesOf[subject]
		switch {
		case slices.Contains(roles, r.Role):
		case subject == "":
			return nil, &stepError{at, fmt.Sprintf("nobody is %s: runs of this trigger are about nobody; name somebody by email", r.Role)}
		default:
			return nil, &stepError{at, fmt.Sprintf("nobody is %s: runs of this trigger have the subject %s; use %s, or name somebody by email", r.Role, subject, oneOf(roles))}
		}
	}
	return out, nil
}

// rolesOf are the roles that somebody can have for a run, by its subject.
var rolesOf = map[string][]v1alpha1.RecipientRole{
	engine.SubjectPerson:      {v1alpha1.RolePerson, v1alpha1.RoleManager},
	engine.SubjectLicense:     {v1alpha1.RolePerson, v1alpha1.RoleManager, v1alpha1.RoleAppOwner},
	engine.SubjectApplication: {v1alpha1.RoleAppOwner},
	engine.SubjectContract:    {v1alpha1.RoleAppOwner, v1alpha1.RoleOwner},
}

func oneOf(roles []v1alpha1.RecipientRole) string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = string(r)
	}
	return strings.Join(names, " or ")
}

func (t *translator) notify(field string, s v1alpha1.NotifyStep) (*engine.NotifyStep, error) {
	out := &engine.NotifyStep{Subject: string(s.Subject), Text: string(s.Text)}
	to, err := t.recipients(field+".to", s.To)
	if err != nil {
		return nil, err
	}
	for _, r := range to {
		out.To = append(out.To, *r)
	}
	for _, via := range s.Via {
		out.Via = append(out.Via, strings.ToLower(via)) // as the engine calls channels: slack, email
	}
	return out, nil
}
