// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package organization

import (
	"context"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/reconcile/reconciletest"
	"github.com/seatkeeper/seatkeeper/internal/testenv"
)

type mailState struct {
	MailState
	secret string
}

func (m *mailState) Check(_ context.Context, _, secretName string) (MailState, error) {
	m.secret = secretName
	return m.MailState, nil
}

func TestMailCondition(t *testing.T) {
	env := testenv.Cluster(t)
	c := env.Client(t)
	m := &mailState{}
	r := &Reconciler{Env: &reconcile.Env{Client: c}, Backend: &backend{}, Mail: m}
	org := &v1alpha1.Organization{ObjectMeta: metav1.ObjectMeta{Namespace: env.Namespace(t), Name: v1alpha1.OrganizationName},
		Spec: v1alpha1.OrganizationSpec{Notifications: &v1alpha1.Notifications{SMTPSecretName: "mail"}}}
	if err := c.Create(t.Context(), org); err != nil {
		t.Fatal(err)
	}
	for _, st := range []MailState{
		{metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound, "there is no Secret"},
		{metav1.ConditionUnknown, v1alpha1.ReasonMailServerUnreachable, "no answer"},
		{metav1.ConditionTrue, v1alpha1.ReasonMailServerReady, "it lets us in"},
	} {
		m.MailState = st
		reconciletest.Steady(t, c, org, r)
		got := meta.FindStatusCondition(org.Status.Conditions, v1alpha1.ConditionEmailReady)
		if got == nil || got.Status != st.Status || got.Reason != st.Reason || got.Message != st.Message || m.secret != "mail" {
			t.Errorf("%+v, want %+v", got, st)
		}
		if v := reconciletest.Kstatus(org); v != reconciletest.Current {
			t.Errorf("want of mail makes the Organization %s", v)
		}
	}
	org.Spec.Notifications = nil
	if err := c.Update(t.Context(), org); err != nil {
		t.Fatal(err)
	}
	reconciletest.Steady(t, c, org, r)
	if got := meta.FindStatusCondition(org.Status.Conditions, v1alpha1.ConditionEmailReady); got != nil {
		t.Errorf("without a mail server: %+v", got)
	}
}
