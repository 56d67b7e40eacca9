// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"context"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
)

type noMail struct{}

func (noMail) ProblemIn(context.Context, string) (string, string, error) {
	return v1alpha1.ReasonMailNotConfigured, "the Organization names no mail server", nil
}

// Steps that need e-mail are named where there is none, at any depth.
func TestStepsThatNeedMail(t *testing.T) {
	k := newKit(t)
	k.r.Mail = noMail{}
	for name, c := range map[string]struct{ steps, names string }{
		"none":   {"{name: a, delegate: {to: [{role: Manager}], text: x}}", ""},
		"slack":  {"{name: a, notify: {to: [{role: Manager}], via: [Slack], text: x}}", ""},
		"ask":    {"{name: a, ask: {to: '${person.email}', via: [{email: true}], text: x, options: [b]}}", "the steps a need e-mail"},
		"notify": {"{name: a, notify: {to: [{role: Manager}], via: [Slack, Email], text: x}}", "the steps a need e-mail"},
		"inside": {"{name: s, switch: [{when: 'true', steps: [{name: b, notify: {to: [{role: Manager}], via: [Email], text: x}}]}]}\n- {name: c, notify: {to: [{role: Manager}], via: [Email], text: x}}", "the steps b, c need e-mail"},
	} {
		w := k.workflow(name, "trigger: {manual: {subject: Person}}\nsteps:\n- "+c.steps+"\n")
		k.settles(w, "Valid=True "+v1alpha1.ReasonCompiled+" Ready=True "+v1alpha1.ReasonReconciled)
		got := meta.FindStatusCondition(w.Status.Conditions, v1alpha1.ConditionPeopleUnreached)
		switch {
		case c.names == "" && got != nil:
			t.Errorf("%s: %+v", name, got)
		case c.names != "" && (got == nil || got.Reason != v1alpha1.ReasonMailNotConfigured || !strings.Contains(got.Message, c.names)):
			t.Errorf("%s: %+v, want %q", name, got, c.names)
		}
	}
}
