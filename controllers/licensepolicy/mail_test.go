// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package licensepolicy_test

import (
	"context"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
)

// mailbox is the want of a mail server.
type mailbox struct{ reason, message, asked string }

func (m *mailbox) Problem(_ context.Context, _, secretName string) (string, string, error) {
	m.asked = secretName
	return m.reason, m.message, nil
}

// Whom nothing could ask is not asked at all: a policy says it beforehand.
func TestAskedByMail(t *testing.T) {
	const alone = `
spec:
  applicationRef: {name: zoom}
  plans: [Licensed]
  mode: Ask
  ask: {channels: [{email: true}]}`
	missing := mailbox{reason: v1alpha1.ReasonPublicURLUnset, message: "no address is known"}
	for name, c := range map[string]struct {
		policy string
		mail   mailbox
		reason string
		words  string
		runs   int
	}{
		"can":             {alone, mailbox{}, v1alpha1.ReasonReconciled, "10 of 85 seats", 10},
		"cannot":          {alone, missing, v1alpha1.ReasonNoReachableChannel, "no address is known", 0},
		"another channel": {strings.Replace(alone, "{email: true}", "{integration: slack}, {email: true}", 1), missing, v1alpha1.ReasonPublicURLUnset, "only by the other channels", 10},
		"no mail":         {strings.Replace(alone, "{email: true}", "{integration: slack}", 1), missing, v1alpha1.ReasonReconciled, "10 of 85 seats", 10},
	} {
		t.Run(name, func(t *testing.T) {
			on(t, func(f *fixture) {
				f.reconciler.Mail = &c.mail
				f.company()
				p := f.policy(c.policy)
				f.steady(p)
				f.wantReady(p, metav1.ConditionTrue, c.reason, c.words)
				f.wantRuns(c.runs)
				if p.Status.EffectiveMode != v1alpha1.ModeAsk {
					t.Errorf("the policy is in mode %s, so that what was asked is withdrawn", p.Status.EffectiveMode)
				}
			})
		})
	}
}
