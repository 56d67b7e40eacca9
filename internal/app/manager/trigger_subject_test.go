// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// answering is a Workflow that answers a trigger with a short wait, and then with
// another if what it is about is still so.
func (w *world) answering(name string, trigger v1alpha1.Trigger, when, still string) *v1alpha1.Workflow {
	pause := func(name, when string) v1alpha1.Step {
		return v1alpha1.Step{StepBase: v1alpha1.StepBase{Name: v1alpha1.StepName(name), When: v1alpha1.Expression(when)}, StepAction: v1alpha1.StepAction{Wait: &v1alpha1.WaitStep{For: "1s"}}}
	}
	return &v1alpha1.Workflow{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: name}, Spec: v1alpha1.WorkflowSpec{
		Trigger: trigger, When: v1alpha1.Expression(when), Steps: []v1alpha1.Step{pause("pause", ""), pause("still", still)},
	}}
}

// TestAppContractAndSeatStartRuns is acceptance rows 9, 12 and 13 through the whole
// manager: an app that appears at the identity provider, a contract that nears its
// end, and a seat that nobody uses each start one run, which has them again behind
// its wait.
func TestAppContractAndSeatStartRuns(t *testing.T) {
	w := newWorld(t)
	g := NewWithT(t)
	for name, data := range secrets {
		w.secret(name, data)
	}
	hris := w.integration("csv", hrisConfig())
	hris.Name, hris.Spec.CredentialsRef.Name = "hris", "hris"
	hris.Spec.DataTypes = []v1alpha1.DataType{v1alpha1.DataPeople}
	okta, zoom := w.integration("okta", map[string]any{"domain": "acme.okta.com"}), w.integration("zoom", nil)
	app := w.zoomApp()
	w.create(acme(w.ns), hris, okta, zoom, app)
	for _, i := range []*v1alpha1.Integration{hris, okta, zoom} {
		w.ready(i, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	}
	w.ready(app, metav1.ConditionTrue, v1alpha1.ReasonReconciled)

	idle := w.company.Cases[fakesaas.CaseManagerLeft]
	for _, wf := range []*v1alpha1.Workflow{
		w.answering("triage", v1alpha1.Trigger{Application: &v1alpha1.ApplicationTrigger{Events: []v1alpha1.ApplicationEvent{v1alpha1.ApplicationDiscovered}}}, "", "!application.declared && application.inIdP"),
		w.answering("renewal", v1alpha1.Trigger{Contract: &v1alpha1.ContractTrigger{Before: "30d", Of: "End"}}, "contract.autoRenew", "contract.application == 'zoom' && application.state == 'Sanctioned'"),
		w.answering("unused", v1alpha1.Trigger{License: &v1alpha1.LicenseTrigger{InactiveFor: "90d"}}, fmt.Sprintf("license.integration == 'zoom' && person.email == %q", idle), "license.daysUnused >= 90 && application.name == 'zoom'"),
	} {
		w.create(wf)
		w.ready(wf, metav1.ConditionTrue, v1alpha1.ReasonReconciled)
	}
	day := func(days int) v1alpha1.Date {
		return v1alpha1.Date(time.Now().UTC().AddDate(0, 0, days).Format(time.DateOnly))
	}
	w.create(&v1alpha1.Contract{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "zoom-now"}, Spec: v1alpha1.ContractSpec{
		ApplicationRef: v1alpha1.ObjectReference{Name: "zoom"}, DisplayName: "Zoom now", Term: v1alpha1.ContractTerm{Start: day(-300), End: day(28)}, // since two days ago
		Renewal: &v1alpha1.ContractRenewal{Type: v1alpha1.RenewalAuto},
	}})
	w.must(w.vendors.Update(func(c *fakesaas.Company) {
		c.OktaApps = append(c.OktaApps, &fakesaas.OktaApp{ID: "0oaLoom", Name: "loom", Label: "Loom", Active: true, SignOnMode: "SAML_2_0", URL: "https://www.loom.com", Created: time.Now()})
	}))
	w.syncNow(okta, "an app more")

	g.Eventually(func() map[string]string {
		out := map[string]string{}
		for _, r := range w.runs() {
			if r.State == store.RunSucceeded {
				out[r.Name] += r.Subject
			}
		}
		return out
	}, "60s", "100ms").Should(Equal(map[string]string{"triage": "Loom", "renewal": "Zoom now", "unused": idle}), w.unstarted)
	for _, r := range w.runs() {
		g.Expect(w.progress(r)).To(Equal([]string{"pause done", "still done"}), r.Name)
	}
}

// progress are the steps of a run with their results.
func (w *world) progress(r store.Run) (out []string) {
	w.t.Helper()
	detail, err := w.store.Run(w.t.Context(), r.Tenant, r.ID)
	w.must(err)
	steps, err := workflow.Progress(detail)
	w.must(err)
	for _, s := range steps {
		out = append(out, s.Name+" "+s.Result)
	}
	return out
}

// unstarted says what runs there are, and what has none.
func (w *world) unstarted() (out string) {
	for _, r := range w.runs() {
		out += fmt.Sprintf("run %s %s: %s %s %s\n", r.Name, r.Subject, r.State, r.Reason, r.Message)
	}
	tenant, err := w.store.TenantByNamespace(w.t.Context(), w.ns)
	w.must(err)
	rows, err := w.store.ListStarts(w.t.Context(), tenant, store.StartQuery{Limit: 100})
	w.must(err)
	for _, s := range rows {
		out += fmt.Sprintf("start %s %s: %s %s %s\n", s.Workflow, s.Label, s.State, s.Reason, s.Message)
	}
	return out
}
