// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// TestWorkflowOffboards takes the step offboarding through the whole manager:
// the app's own method acts once at the vendor, and never on who is protected. An
// action that a Workflow calls by its name leaves them alone as well.
func TestWorkflowOffboards(t *testing.T) {
	w := newWorld(t)
	g := NewWithT(t)
	for name, data := range secrets {
		w.secret(name, data)
	}
	zoom, hris := w.integration("zoom", nil), w.integration("csv", hrisConfig())
	zoom.Spec.Permission, zoom.Spec.DestructiveActions = v1alpha1.PermissionReadAndAct, []v1alpha1.ActionName{"user.deactivate"}
	hris.Name, hris.Spec.CredentialsRef.Name = "hris", "hris"
	hris.Spec.DataTypes = []v1alpha1.DataType{v1alpha1.DataPeople}
	leave := &v1alpha1.Workflow{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "leaver"}, Spec: v1alpha1.WorkflowSpec{
		Direction: v1alpha1.DirectionOffboarding, Trigger: v1alpha1.Trigger{Manual: &v1alpha1.ManualTrigger{Subject: "Person"}},
		Steps: []v1alpha1.Step{{StepBase: v1alpha1.StepBase{Name: "leave"}, StepAction: v1alpha1.StepAction{Offboarding: &v1alpha1.OffboardingStep{}}}},
	}}
	direct := &v1alpha1.Workflow{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "direct"}, Spec: v1alpha1.WorkflowSpec{
		Trigger: v1alpha1.Trigger{Manual: &v1alpha1.ManualTrigger{Subject: "Person"}},
		Steps: []v1alpha1.Step{{StepBase: v1alpha1.StepBase{Name: "off"}, StepAction: v1alpha1.StepAction{Action: &v1alpha1.ActionStep{
			Integration: "zoom", Name: "user.deactivate", With: map[string]v1alpha1.Value{"userId": raw(t, "${person.accounts.filter(a, a.integration == 'zoom')[0].externalId}")}}}}},
	}}
	organization := acme(w.ns)
	w.create(organization, hris, zoom, leave, direct)
	for _, i := range []*v1alpha1.Integration{hris, zoom} {
		w.ready(i, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	}
	w.ready(leave, metav1.ConditionTrue, v1alpha1.ReasonReconciled)
	who := w.zoomPerson()
	start := func(name, of string) *v1alpha1.WorkflowRun {
		r := &v1alpha1.WorkflowRun{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: name}, Spec: v1alpha1.WorkflowRunSpec{
			WorkflowRef: v1alpha1.ObjectReference{Name: v1alpha1.ResourceName(of)}, Subject: &v1alpha1.RunSubject{Person: v1alpha1.Email(who)}}}
		w.create(r)
		return r
	}
	run := func(name string) {
		w.condition(start(name, "leaver"), v1alpha1.ConditionSucceeded, metav1.ConditionTrue, v1alpha1.ReasonCompleted)
	}
	outcomes := func() (out []string) {
		tenant, err := w.store.TenantByNamespace(t.Context(), w.ns)
		w.must(err)
		found, err := w.store.ListRuns(t.Context(), tenant, store.RunFilter{Kind: workflow.KindOffboarding})
		w.must(err)
		for _, r := range found {
			out = append(out, r.Subject+" "+r.Outcome+" "+r.Reason)
		}
		return out
	}

	w.patch(organization, map[string]any{"spec": map[string]any{"protected": map[string]any{"people": []string{who}}}})
	w.ready(organization, metav1.ConditionTrue, v1alpha1.ReasonReconciled)
	run("protected")
	w.condition(start("by-name", "direct"), v1alpha1.ConditionSucceeded, metav1.ConditionFalse, v1alpha1.ReasonStepFailed)
	g.Expect(outcomes()).To(Equal([]string{"zoom/zoom skipped Protected"}))
	g.Expect(w.vendors.Writes(fakesaas.Zoom)).To(BeZero(), "a protected person was touched")

	w.patch(organization, map[string]any{"spec": map[string]any{"protected": nil}})
	w.ready(organization, metav1.ConditionTrue, v1alpha1.ReasonReconciled)
	run("leaves")
	g.Expect(outcomes()).To(Equal([]string{"zoom/zoom done ", "zoom/zoom skipped Protected"}))
	g.Expect(w.vendors.Writes(fakesaas.Zoom)).To(Equal(1))
}

// TestWorkflowOffboardsBeside takes apps that only an identity provider lists through
// the whole manager: one is unassigned there, as its Application says, and the other,
// of which nothing is said, waits for a person.
func TestWorkflowOffboardsBeside(t *testing.T) {
	w := newWorld(t)
	g := NewWithT(t)
	for name, data := range secrets {
		w.secret(name, data)
	}
	okta, hris := w.integration("okta", map[string]any{"domain": "acme.okta.com"}), w.integration("csv", hrisConfig())
	okta.Spec.Permission = v1alpha1.PermissionReadAndAct
	hris.Name, hris.Spec.CredentialsRef.Name = "hris", "hris"
	hris.Spec.DataTypes = []v1alpha1.DataType{v1alpha1.DataPeople}
	app := func(name, title string, methods ...v1alpha1.OffboardingMethod) *v1alpha1.Application {
		return &v1alpha1.Application{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: name}, Spec: v1alpha1.ApplicationSpec{DisplayName: title, Offboarding: methods}}
	}
	notion := app("notion", "Notion", v1alpha1.OffboardingMethod{Name: "okta", Method: "Automatic", Action: "app.unassign"})
	leave := &v1alpha1.Workflow{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "leaver"}, Spec: v1alpha1.WorkflowSpec{
		Direction: v1alpha1.DirectionOffboarding, Trigger: v1alpha1.Trigger{Manual: &v1alpha1.ManualTrigger{Subject: "Person"}},
		Steps: []v1alpha1.Step{{StepBase: v1alpha1.StepBase{Name: "leave"}, StepAction: v1alpha1.StepAction{Offboarding: &v1alpha1.OffboardingStep{Applications: []v1alpha1.ResourceName{"notion", "zoom"}}}}},
	}}
	w.create(acme(w.ns), hris, okta, notion, app("zoom", "Zoom"), leave)
	for _, i := range []*v1alpha1.Integration{hris, okta} {
		w.ready(i, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	}
	w.ready(leave, metav1.ConditionTrue, v1alpha1.ReasonReconciled)
	assigned := func(name string) map[string]bool {
		out := map[string]bool{}
		for _, a := range w.company.OktaApps {
			for _, as := range a.Assignments {
				out[as.UserID] = out[as.UserID] || a.Label == name
			}
		}
		return out
	}
	inZoom, inNotion := assigned("Zoom"), assigned("Notion")
	var who *fakesaas.OktaUser
	for _, u := range w.company.OktaUsers {
		if p := w.company.PersonByEmail(u.Email); p != nil && p.Lifecycle == fakesaas.LifecycleCurrent && u.Status == "ACTIVE" && inZoom[u.ID] && inNotion[u.ID] {
			who = u
		}
	}
	w.create(&v1alpha1.WorkflowRun{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "leaves"}, Spec: v1alpha1.WorkflowRunSpec{
		WorkflowRef: v1alpha1.ObjectReference{Name: "leaver"}, Subject: &v1alpha1.RunSubject{Person: v1alpha1.Email(who.Email)}}})
	g.Eventually(func() map[string]string {
		out := map[string]string{}
		for _, r := range w.runs() {
			if r.Kind == workflow.KindOffboarding {
				out[r.Subject] = string(r.State) + " " + r.Reason
			}
		}
		return out
	}, "60s", "100ms").Should(Equal(map[string]string{"notion/okta": "succeeded ", "zoom/okta": "waiting NoReachableChannel"}))
	g.Expect(w.vendors.EffectCount(fakesaas.Okta, "app.unassign", who.ID)).To(Equal(1))
	g.Expect(w.vendors.Writes(fakesaas.Okta)).To(Equal(1), "more than the one app was touched")
}
