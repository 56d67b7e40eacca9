// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package licensepolicy

import (
	"context"
	"fmt"
	"slices"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// Mail knows whether people can be asked by e-mail.
type Mail interface {
	// Problem says why they cannot, by the reason of a condition and in words;
	// no reason: they can. It asks no mail server.
	Problem(ctx context.Context, namespace, secretName string) (reason, message string, err error)
}

// mailInterval is how soon a mended Secret is noticed, which nothing watches.
const mailInterval = 5 * time.Minute

// noMail says why nobody can be asked by e-mail.
type noMail struct {
	reason, message string
	// alone: there is no other channel, so that nobody is asked at all.
	alone bool
}

// checkMail looks whether a policy that asks by e-mail can. A question that is
// out already stays: the mode of the policy does not change.
func (r *Reconciler) checkMail(ctx context.Context, f *flow) {
	byMail := func(c workflow.ChannelRef) bool { return c.Kind == workflow.ChannelEmail }
	if r.Mail == nil || f.ask == nil || !slices.ContainsFunc(f.ask.Channels, byMail) {
		return
	}
	name := ""
	if org := f.res.org; org != nil && org.Spec.Notifications != nil {
		name = string(org.Spec.Notifications.SMTPSecretName)
	}
	reason, message, err := r.Mail.Problem(ctx, f.policy.Namespace, name)
	if err != nil { // a delivery looks again
		ctrl.LoggerFrom(ctx).Error(err, "Could not find out whether people can be asked by e-mail")
		return
	}
	if reason != "" {
		f.res.mail = &noMail{reason, message, !slices.ContainsFunc(f.ask.Channels, func(c workflow.ChannelRef) bool { return !byMail(c) })}
	}
}

// text says what the want of mail means for the policy.
func (m noMail) text() (reason, text string) {
	if m.alone {
		return v1alpha1.ReasonNoReachableChannel, fmt.Sprintf("spec.ask.channels: people are to be asked by e-mail alone, which is not possible, so nobody is asked and nothing taken back: %s", m.message)
	}
	return m.reason, "spec.ask.channels: nobody is asked by e-mail, only by the other channels: " + m.message
}
