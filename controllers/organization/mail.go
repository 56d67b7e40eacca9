// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package organization

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
)

// Mail looks at mail servers.
type Mail interface {
	// Check signs in to the server that the Secret describes and sends nothing.
	Check(ctx context.Context, namespace, secretName string) (MailState, error)
}

// MailState is how a tenant's mail fares. Status is Unknown where the server
// does not answer for now.
type MailState struct {
	Status          metav1.ConditionStatus
	Reason, Message string
}

// mailInterval is how often the Secret is read again (decision 12).
const mailInterval = 5 * time.Minute

// mail says whether people can be asked by e-mail, before anybody is.
func (r *Reconciler) mail(ctx context.Context, obj *v1alpha1.Organization, c *reconcile.Conditions, out *reconcile.Outcome) error {
	n := obj.Spec.Notifications
	if r.Mail == nil || n == nil || n.SMTPSecretName == "" {
		return nil
	}
	st, err := r.Mail.Check(ctx, obj.Namespace, string(n.SMTPSecretName))
	if err != nil {
		return reconcile.Transient(err, v1alpha1.ReasonTransientError, "the mail server's Secret could not be read")
	}
	switch st.Status {
	case metav1.ConditionTrue:
		c.True(v1alpha1.ConditionEmailReady, st.Reason, st.Message)
	case metav1.ConditionFalse:
		c.False(v1alpha1.ConditionEmailReady, st.Reason, st.Message)
	default:
		c.Unknown(v1alpha1.ConditionEmailReady, st.Reason, st.Message)
	}
	if out.RequeueAfter == 0 || out.RequeueAfter > mailInterval {
		out.RequeueAfter = mailInterval
	}
	return nil
}
