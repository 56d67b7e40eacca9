// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package organization

import (
	"context"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/reconcile/reconciletest"
	"github.com/seatkeeper/seatkeeper/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Start(m) }

// backend remembers the last facts.
type backend struct {
	facts  *v1alpha1.OrganizationSpec
	writes int
	scim   SCIMState
}

func (b *backend) PutFacts(_ context.Context, _ string, spec *v1alpha1.OrganizationSpec) error {
	b.writes++
	b.facts = nil
	if spec != nil {
		b.facts = spec.DeepCopy()
	}
	return nil
}

func (b *backend) SCIM(context.Context, string) (SCIMState, error) { return b.scim, nil }

func (b *backend) Counts(context.Context, string) (v1alpha1.PeopleCounts, int64, error) {
	return v1alpha1.PeopleCounts{Total: 3, Current: 2, Past: 1}, 7, nil
}

func TestReconcile(t *testing.T) {
	env := testenv.Cluster(t)
	c := env.Client(t)
	tests := []struct {
		name    string
		spec    v1alpha1.OrganizationSpec
		verdict reconciletest.Verdict
		reason  string
		message string
		written bool
	}{
		{"good", v1alpha1.OrganizationSpec{TimeZone: "Europe/Berlin", Currency: "EUR", Domains: []v1alpha1.DomainName{"acme.example"},
			Protected:     &v1alpha1.Protected{When: "account.kind == 'service'"},
			ExchangeRates: []v1alpha1.ExchangeRate{{From: "USD", To: "EUR", Rate: "0.92", AsOf: "2026-01-01"}}},
			reconciletest.Current, v1alpha1.ReasonReconciled, "", true},
		{"a holiday that never comes", v1alpha1.OrganizationSpec{Workday: &v1alpha1.Workday{Holidays: []v1alpha1.Holiday{"12-25", "2026-02-30"}}},
			reconciletest.Failed, v1alpha1.ReasonInvalidSpec, `spec.workday: holiday "2026-02-30"`, false},
		{"unknown zone", v1alpha1.OrganizationSpec{TimeZone: "Europe/Atlantis"},
			reconciletest.Failed, v1alpha1.ReasonInvalidSpec, "spec.timeZone", false},
		{"unknown currency", v1alpha1.OrganizationSpec{ExchangeRates: []v1alpha1.ExchangeRate{{From: "XQQ", To: "EUR", Rate: "2", AsOf: "2026-01-01"}}},
			reconciletest.Failed, v1alpha1.ReasonInvalidSpec, "spec.exchangeRates[0].from", false},
		{"roles that differ in capitals alone", v1alpha1.OrganizationSpec{Roles: []v1alpha1.Role{{Name: "Prüfer"}, {Name: "PRÜFER"}}},
			reconciletest.Failed, v1alpha1.ReasonInvalidSpec, "spec.roles[1].name", false},
		{"misspelt field", v1alpha1.OrganizationSpec{Protected: &v1alpha1.Protected{When: "account.knid == 'service'"}},
			reconciletest.Failed, v1alpha1.ReasonInvalidExpression, "spec.protected.when", false},
		{"no condition", v1alpha1.OrganizationSpec{Protected: &v1alpha1.Protected{When: "account.kind"}},
			reconciletest.Failed, v1alpha1.ReasonInvalidExpression, "bool", false},
		{"source that is not there", v1alpha1.OrganizationSpec{LifecycleSource: &v1alpha1.LifecycleSource{Integration: "hris"}},
			reconciletest.InProgress, v1alpha1.ReasonReferenceNotFound, `"hris"`, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := &backend{}
			r := &Reconciler{Env: &reconcile.Env{Client: c}, Backend: b}
			org := &v1alpha1.Organization{ObjectMeta: metav1.ObjectMeta{Namespace: env.Namespace(t), Name: v1alpha1.OrganizationName}, Spec: tt.spec}
			if err := c.Create(t.Context(), org); err != nil {
				t.Fatal(err)
			}
			reconciletest.Steady(t, c, org, r)
			ready := org.Status.Conditions[0]
			for _, cond := range org.Status.Conditions {
				if cond.Type == v1alpha1.ConditionReady {
					ready = cond
				}
			}
			if ready.Reason != tt.reason || !strings.Contains(ready.Message, tt.message) {
				t.Errorf("Ready is %s %q, want %s naming %q", ready.Reason, ready.Message, tt.reason, tt.message)
			}
			if v := reconciletest.Kstatus(org); v != tt.verdict {
				t.Errorf("kstatus is %s, want %s", v, tt.verdict)
			}
			if (b.facts != nil) != tt.written {
				t.Errorf("facts written: %v, want %v", b.facts != nil, tt.written)
			}
			if err := c.Delete(t.Context(), org); err != nil {
				t.Fatal(err)
			}
			reconciletest.Reconcile(t, r, org)
			if b.facts != nil || b.writes == 0 {
				t.Error("the facts of an Organization that is gone still apply")
			}
		})
	}
}

// A stream of failures and held leavers show, and end.
func TestSCIMConditions(t *testing.T) {
	env := testenv.Cluster(t)
	c := env.Client(t)
	b := &backend{}
	r := &Reconciler{Env: &reconcile.Env{Client: c}, Backend: b}
	org := &v1alpha1.Organization{ObjectMeta: metav1.ObjectMeta{Namespace: env.Namespace(t), Name: v1alpha1.OrganizationName},
		Spec: v1alpha1.OrganizationSpec{SCIM: &v1alpha1.SCIMSettings{Enabled: true}}}
	if err := c.Create(t.Context(), org); err != nil {
		t.Fatal(err)
	}
	see := func(condition string, status metav1.ConditionStatus, reason, message string) {
		t.Helper()
		reconciletest.Steady(t, c, org, r)
		got := meta.FindStatusCondition(org.Status.Conditions, condition)
		if got == nil && status == "" {
			return
		}
		if got == nil || got.Status != status || got.Reason != reason || !strings.Contains(got.Message, message) {
			t.Fatalf("%s is %+v, want %s %s naming %q", condition, got, status, reason, message)
		}
	}
	see(v1alpha1.ConditionSCIMServed, metav1.ConditionTrue, v1alpha1.ReasonSCIMServing, "")
	b.scim = SCIMState{Failing: true, Held: &v1alpha1.HeldSet{Digest: "sha256:abc", Count: 300, Total: 1000}}
	see(v1alpha1.ConditionSCIMServed, metav1.ConditionFalse, v1alpha1.ReasonSCIMFailing, "seatkeeper scim log --failed")
	see(v1alpha1.ConditionHeld, metav1.ConditionTrue, v1alpha1.ReasonGuardHeld, "300 of 1000 people")
	b.scim = SCIMState{}
	see(v1alpha1.ConditionSCIMServed, metav1.ConditionTrue, v1alpha1.ReasonSCIMServing, "")
	see(v1alpha1.ConditionHeld, "", "", "")
	org.Spec.Protected = &v1alpha1.Protected{When: "account.kind == 'service'"}
	if err := c.Update(t.Context(), org); err != nil {
		t.Fatal(err)
	}
	see(v1alpha1.ConditionSCIMServed, metav1.ConditionTrue, v1alpha1.ReasonSCIMServing, "spec.protected.people")
	org.Spec.SCIM.Enabled = false
	if err := c.Update(t.Context(), org); err != nil {
		t.Fatal(err)
	}
	see(v1alpha1.ConditionSCIMServed, "", "", "")
}
