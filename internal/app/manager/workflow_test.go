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
)

func raw(t *testing.T, v any) v1alpha1.Value {
	t.Helper()
	out, err := v1alpha1.NewValue(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// leave is a Workflow that deactivates the Zoom account of a person, unless
// their department keeps it.
func (w *world) leave() *v1alpha1.Workflow {
	return &v1alpha1.Workflow{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "zoom-leaver"},
		Spec: v1alpha1.WorkflowSpec{
			DisplayName: "Zoom leaver", Direction: v1alpha1.DirectionOffboarding,
			Trigger: v1alpha1.Trigger{Manual: &v1alpha1.ManualTrigger{Subject: "Person"}},
			Steps: []v1alpha1.Step{
				{StepBase: v1alpha1.StepBase{Name: "dept"}, Switch: []v1alpha1.Case{
					{When: "person.department == input.keep", Steps: []v1alpha1.InnerStep{
						{StepBase: v1alpha1.StepBase{Name: "kept"}, StepAction: v1alpha1.StepAction{Wait: &v1alpha1.WaitStep{For: "1s"}}}}},
					{Steps: []v1alpha1.InnerStep{{StepBase: v1alpha1.StepBase{Name: "off"}, StepAction: v1alpha1.StepAction{Action: &v1alpha1.ActionStep{
						Integration: "zoom", Name: "user.deactivate", With: map[string]v1alpha1.Value{"userId": raw(w.t, "${person.accounts.filter(a, a.integration == 'zoom')[0].externalId}")}}}}}},
				}},
				{StepBase: v1alpha1.StepBase{Name: "settle"}, StepAction: v1alpha1.StepAction{Wait: &v1alpha1.WaitStep{For: "1s"}}},
			},
		},
	}
}

// zoomPerson returns the address of a person of the directory who has an active
// Zoom account.
func (w *world) zoomPerson() string {
	w.t.Helper()
	tenant, err := w.store.TenantByNamespace(w.t.Context(), w.ns)
	if err != nil {
		w.t.Fatal(err)
	}
	accounts, _, err := w.store.ListAccounts(w.t.Context(), tenant, store.AccountQuery{Page: store.Page{Limit: 1000}, Integrations: []string{"zoom"}, Statuses: []string{"active"}})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, a := range accounts {
		if a.PersonEmail != "" {
			return a.PersonEmail
		}
	}
	w.t.Fatal("nobody has a Zoom account")
	return ""
}

// TestWorkflowRunByHand takes a user's Workflow through the whole manager: it
// is checked, started by a WorkflowRun, acts once at the vendor and is followed
// to its end.
func TestWorkflowRunByHand(t *testing.T) {
	w := newWorld(t)
	g := NewWithT(t)
	for name, data := range secrets {
		w.secret(name, data)
	}
	zoom, hris := w.integration("zoom", nil), w.integration("csv", hrisConfig())
	hris.Name, hris.Spec.CredentialsRef.Name = "hris", "hris"
	hris.Spec.DataTypes = []v1alpha1.DataType{v1alpha1.DataPeople}
	leave := w.leave()
	w.create(acme(w.ns), hris, zoom, leave)
	w.condition(leave, v1alpha1.ConditionValid, metav1.ConditionFalse, v1alpha1.ReasonPermissionRead)
	for _, i := range []*v1alpha1.Integration{hris, zoom} {
		w.ready(i, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	}
	w.patch(zoom, map[string]any{"spec": map[string]any{"permission": "ReadAndAct"}})
	w.condition(leave, v1alpha1.ConditionValid, metav1.ConditionFalse, v1alpha1.ReasonActionNotAllowed)
	w.patch(zoom, map[string]any{"spec": map[string]any{"destructiveActions": []string{"user.deactivate"}}})
	w.condition(leave, v1alpha1.ConditionValid, metav1.ConditionTrue, v1alpha1.ReasonCompiled)
	w.ready(leave, metav1.ConditionTrue, v1alpha1.ReasonReconciled)
	g.Expect(leave.Status.Revision).To(Equal(int64(1)))

	who := w.zoomPerson()
	run := func(name string, dry bool, person string) *v1alpha1.WorkflowRun {
		r := &v1alpha1.WorkflowRun{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: name}, Spec: v1alpha1.WorkflowRunSpec{
			WorkflowRef: v1alpha1.ObjectReference{Name: "zoom-leaver"}, Subject: &v1alpha1.RunSubject{Person: v1alpha1.Email(person)}, DryRun: dry,
			Input: map[string]v1alpha1.Value{"keep": raw(t, "nobody's")}}}
		w.create(r)
		return r
	}
	stranger := run("stranger", false, "nobody@acme.example")
	w.condition(stranger, v1alpha1.ConditionSucceeded, metav1.ConditionFalse, v1alpha1.ReasonSubjectNotFound)
	dry := run("dry", true, who)
	w.condition(dry, v1alpha1.ConditionSucceeded, metav1.ConditionTrue, v1alpha1.ReasonCompleted)
	g.Expect(w.vendors.Writes(fakesaas.Zoom)).To(BeZero(), "a dry run wrote")

	first := run("first", false, who)
	w.condition(first, v1alpha1.ConditionSucceeded, metav1.ConditionTrue, v1alpha1.ReasonCompleted)
	g.Expect(w.vendors.Writes(fakesaas.Zoom)).To(Equal(1))
	names := []string{}
	for _, s := range first.Status.Steps {
		names = append(names, s.Name+" "+string(s.State))
	}
	g.Expect(names).To(Equal([]string{"dept Succeeded", "dept.off Succeeded", "settle Succeeded"}))
	g.Expect(w.runs()).To(HaveLen(2))

	// The name is the idempotency key: deleted and created again, it follows the
	// run that is there.
	w.must(w.client.Delete(t.Context(), first))
	again := run("first", false, who)
	w.condition(again, v1alpha1.ConditionSucceeded, metav1.ConditionTrue, v1alpha1.ReasonCompleted)
	g.Expect(again.Status.RunID).To(Equal(first.Status.RunID))
	g.Expect(w.vendors.Writes(fakesaas.Zoom)).To(Equal(1))
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}
