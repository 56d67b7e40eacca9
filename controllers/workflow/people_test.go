// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/notify"
	engine "github.com/seatkeeper/seatkeeper/internal/workflow"
)

// planOf translates steps of a Workflow for a person.
func planOf(t *testing.T, subject, steps string) (*plan, error) {
	t.Helper()
	var spec v1alpha1.WorkflowSpec
	if err := yaml.UnmarshalStrict([]byte("trigger: {manual: {subject: "+subject+"}}\nsteps:\n"+steps), &spec); err != nil {
		t.Fatal(err)
	}
	p, err := translate(spec)
	if err == nil {
		err = engine.Check(p.definition, expr.Workflow{})
	}
	return p, err
}

func TestStepsThatAskPeople(t *testing.T) {
	p, err := planOf(t, "Person", `
- name: ok
  onError: Continue
  approval: {approvers: [{role: Manager}, {email: it@acme.example}], fallback: [{email: cio@acme.example}], text: "Delete ${person.email}?", timeout: 4d, onTimeout: Approve}
- {name: short, approval: {approvers: [{role: Manager}], timeout: 2h}}
- name: choice
  ask: {to: "${person.email}", via: [{integration: slack}, {email: true}], text: "Which?", options: [E3, E5], default: E3}
- {name: task, delegate: {to: [{role: Manager}], text: "Collect the laptop", evidence: Required}}
- {name: small, delegate: {to: [{role: Person}], text: x}}
- {name: tell, notify: {to: [{role: Manager}, {email: it@acme.example}], via: [Slack, Email], subject: "${person.email}", text: x}}
`)
	if err != nil {
		t.Fatal(err)
	}
	quiet := &engine.QuietHours{From: "20:00", To: "08:00"}
	tasks := []engine.Span{engine.Days(2), engine.Days(5), engine.Days(10), engine.Days(20), engine.Days(30), engine.Days(45), engine.Days(60), engine.Days(75)}
	yesNo := []string{"Approve", "Reject"}
	manager := &engine.Recipient{Role: engine.RoleManager}
	want := []engine.Step{
		{Name: "ok", OnError: "Continue", Ask: &engine.AskStep{
			Matter: &engine.AskMatter{Kind: notify.Approval, Text: "Delete ${person.email}?"}, Options: yesNo, OnTimeout: "Approve", NotSelf: true, Quiet: quiet,
			Timeout: engine.Days(4), Reminders: []engine.Span{engine.Days(2)},
			Stages: []engine.AskStage{{To: manager}, {To: &engine.Recipient{Email: "it@acme.example"}}, {To: &engine.Recipient{Email: "cio@acme.example"}, Group: 1}},
		}},
		{Name: "short", Ask: &engine.AskStep{
			Matter: &engine.AskMatter{Kind: notify.Approval}, Options: yesNo, OnTimeout: "Reject", NotSelf: true, Quiet: quiet, Timeout: engine.Hours(2), Stages: []engine.AskStage{{To: manager}},
		}},
		{Name: "choice", Ask: &engine.AskStep{
			Matter: &engine.AskMatter{Kind: notify.Choice, Text: "Which?"}, Options: []string{"E3", "E5"}, OnTimeout: "E3", Quiet: quiet, Timeout: engine.Hours(72), Reminders: []engine.Span{engine.Hours(36)},
			Stages:   []engine.AskStage{{To: &engine.Recipient{Email: "${person.email}"}}},
			Channels: []engine.ChannelRef{{Kind: engine.ChannelSlack, Integration: "slack"}, {Kind: engine.ChannelEmail}},
		}},
		{Name: "task", Ask: &engine.AskStep{
			Matter: &engine.AskMatter{Kind: notify.Task, Text: "Collect the laptop", Evidence: "Required"}, Options: []string{"Done"}, Quiet: quiet, Reminders: tasks, Stages: []engine.AskStage{{To: manager}},
		}},
		{Name: "small", Ask: &engine.AskStep{
			Matter: &engine.AskMatter{Kind: notify.Task, Text: "x", Evidence: "Optional"}, Options: []string{"Done"}, Quiet: quiet, Reminders: tasks,
			Stages: []engine.AskStage{{To: &engine.Recipient{Role: engine.RolePerson}}},
		}},
		{Name: "tell", Notify: &engine.NotifyStep{
			To: []engine.Recipient{{Role: engine.RoleManager}, {Email: "it@acme.example"}}, Via: []string{engine.ChannelSlack, engine.ChannelEmail}, Subject: "${person.email}", Text: "x",
		}},
	}
	if d := cmp.Diff(want, p.definition.Steps); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if len(p.uses) != 1 || p.uses[0].integration != "slack" || p.uses[0].action != "message.send" || p.uses[0].field != "spec.steps[choice].ask.via[0]" {
		t.Errorf("uses %+v", p.uses)
	}
}

func TestStepsThatAskNobody(t *testing.T) {
	for name, c := range map[string]struct{ subject, step, want string }{
		"self":     {"Person", "{name: s, approval: {approvers: [{role: Person}]}}", "spec.steps[s].approval.approvers: nobody approves what concerns themselves"},
		"fallback": {"Person", "{name: s, approval: {approvers: [{role: Manager}], fallback: [{role: Person}]}}", "spec.steps[s].approval.fallback: nobody approves"},
		"owner":    {"Person", "{name: s, approval: {approvers: [{role: Manager}, {role: AppOwner}]}}", "spec.steps[s].approval.approvers[1].role: nobody is AppOwner"},
		"nobody":   {"None", "{name: s, delegate: {to: [{role: Manager}], text: x}}", "spec.steps[s].delegate.to[0].role: nobody is Manager"},
		"onError":  {"Person", "{name: s, onError: Ask, approval: {approvers: [{role: Manager}]}}", "spec.steps[s].onError: Ask is not for an approval"},
		"twice":    {"Person", "{name: s, ask: {to: a@b.example, text: x, options: [a, b, a]}}", `spec.steps[s].ask.options: "a" is there twice`},
		"default":  {"Person", "{name: s, ask: {to: a@b.example, text: x, options: [a, b], default: c}}", `spec.steps[s].ask.default: "c" is none of the options: a, b`},
		"to":       {"None", "{name: s, ask: {to: '${person.email}', text: x, options: [a]}}", "steps[s].ask.to"},
		"text":     {"Person", "{name: s, delegate: {to: [{role: Manager}], text: '${nobody}'}}", "steps[s].delegate.text: column 3"},
		"outputs":  {"Person", "{name: s, outputs: {x: {value: resp.x}}, delegate: {to: [{role: Manager}], text: x}}", "spec.steps[s].outputs: only a step that calls"},
		"timeout":  {"Person", "{name: s, approval: {approvers: [{role: Manager}], timeout: 99999h59999m}}", "spec.steps[s].approval.timeout: "},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := planOf(t, c.subject, "- "+c.step+"\n"); err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
}

// The sample is what the documentation shows.
func TestSampleThatAsksPeople(t *testing.T) {
	text, err := os.ReadFile("../../config/samples/workflow-people.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var w v1alpha1.Workflow
	if err := yaml.UnmarshalStrict(text, &w); err != nil {
		t.Fatal(err)
	}
	p, err := translate(w.Spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.Check(p.definition, expr.Workflow{}); err != nil {
		t.Error(err)
	}
}
