// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"net"
	"net/http"
	"slices"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// managed returns the address of somebody with an active Zoom account, and of
// their manager, who has one in Slack.
func (w *world) managed() (person, manager string) {
	w.t.Helper()
	tenant, err := w.store.TenantByNamespace(w.t.Context(), w.ns)
	if err != nil {
		w.t.Fatal(err)
	}
	has := map[string]map[string]bool{"zoom": {}, "slack": {}}
	accounts, _, err := w.store.ListAccounts(w.t.Context(), tenant, store.AccountQuery{Page: store.Page{Limit: 1000}, Integrations: []string{"zoom", "slack"}, Statuses: []string{"active"}})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, a := range accounts {
		has[a.Integration][a.PersonID] = true
	}
	people, _, err := w.store.ListPeople(w.t.Context(), tenant, store.PeopleQuery{Page: store.Page{Limit: 1000}})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range people {
		if p.ManagerEmail == "" || !has["zoom"][p.ID] {
			continue
		}
		m, err := w.store.PersonByEmail(w.t.Context(), tenant, p.ManagerEmail)
		if err == nil && has["slack"][m.ID] && m.ID != p.ID {
			return p.Email, m.Email
		}
	}
	w.t.Fatal("nobody has both")
	return "", ""
}

// TestApprovedInSlack takes a user's Workflow that asks through the whole
// manager: the manager of the person approves in Slack, does a task with
// evidence, and is told of the end.
func TestApprovedInSlack(t *testing.T) {
	address := make(chan net.Addr, 1)
	w := newWorld(t, func(w *world) {
		w.options.Gateway = true
		w.options.GatewayOptions = GatewayOptions{Listen: "127.0.0.1:0", Listening: func(a net.Addr) { address <- a }}
	})
	g := NewWithT(t)
	for name, data := range secrets {
		w.secret(name, data)
	}
	zoom, slack, hris := w.integration("zoom", nil), w.integration("slack", nil), w.integration("csv", hrisConfig())
	zoom.Spec.Permission, slack.Spec.Permission = v1alpha1.PermissionReadAndAct, v1alpha1.PermissionReadAndAct
	zoom.Spec.DestructiveActions = []v1alpha1.ActionName{"user.deactivate"}
	hris.Name, hris.Spec.CredentialsRef.Name = "hris", "hris"
	hris.Spec.DataTypes = []v1alpha1.DataType{v1alpha1.DataPeople}
	step := func(name string, a v1alpha1.StepAction) v1alpha1.Step {
		return v1alpha1.Step{StepBase: v1alpha1.StepBase{Name: v1alpha1.StepName(name)}, StepAction: a}
	}
	manager := []v1alpha1.Recipient{{Role: v1alpha1.RoleManager}}
	leave := &v1alpha1.Workflow{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "leaver"},
		Spec: v1alpha1.WorkflowSpec{
			Direction: v1alpha1.DirectionOffboarding, Trigger: v1alpha1.Trigger{Manual: &v1alpha1.ManualTrigger{Subject: "Person"}},
			Steps: []v1alpha1.Step{
				step("ok", v1alpha1.StepAction{Approval: &v1alpha1.ApprovalStep{Approvers: manager, Text: "Deactivate ${person.displayName}?"}}),
				step("off", v1alpha1.StepAction{Action: &v1alpha1.ActionStep{Integration: "zoom", Name: "user.deactivate",
					With: map[string]v1alpha1.Value{"userId": raw(t, "${person.accounts.filter(a, a.integration == 'zoom')[0].externalId}")}}}),
				step("laptop", v1alpha1.StepAction{Delegate: &v1alpha1.DelegateStep{To: manager, Text: "Collect the laptop.", Evidence: "Required"}}),
				step("tell", v1alpha1.StepAction{Notify: &v1alpha1.NotifyStep{To: manager, Text: "Done: ${steps.laptop.evidence}"}}),
			},
		},
	}
	w.create(acme(w.ns), hris, slack, zoom, leave)
	for _, i := range []*v1alpha1.Integration{hris, slack, zoom} {
		w.ready(i, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	}
	w.ready(leave, metav1.ConditionTrue, v1alpha1.ReasonReconciled)
	w.vendors.SetInteractivityURL("http://" + (<-address).String() + "/slack/interactions/" + w.ns + "/slack")
	who, boss := w.managed()
	run := &v1alpha1.WorkflowRun{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "jo"}, Spec: v1alpha1.WorkflowRunSpec{
		WorkflowRef: v1alpha1.ObjectReference{Name: "leaver"}, Subject: &v1alpha1.RunSubject{Person: v1alpha1.Email(who)}}}
	w.create(run)

	message := func(n int) fakesaas.Message {
		var m fakesaas.Message
		g.Eventually(func(g Gomega) {
			all := slices.DeleteFunc(w.vendors.Messages(), func(m fakesaas.Message) bool { return m.Ephemeral })
			g.Expect(all).To(HaveLen(n), "%+v", w.runs())
			m = all[n-1]
		}, "60s").Should(Succeed())
		return m
	}
	click := func(m fakesaas.Message, choice, by string, o fakesaas.ClickOptions) {
		t.Helper()
		res, err := w.vendors.Click(t.Context(), m.TS, choice, by, o)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(res.Status).To(Equal(http.StatusOK))
	}
	question := message(1)
	g.Expect(question.Text).To(ContainSubstring("Deactivate "))
	click(question, "Approve", who, fakesaas.ClickOptions{}) // about themselves: it counts for nothing
	g.Expect(w.vendors.Writes(fakesaas.Zoom)).To(BeZero(), "somebody approved their own")
	click(question, "Approve", boss, fakesaas.ClickOptions{})
	task := message(2)
	g.Expect(w.vendors.Writes(fakesaas.Zoom)).To(Equal(1))
	click(task, "Done", boss, fakesaas.ClickOptions{}) // without evidence: not done
	click(task, "Done", boss, fakesaas.ClickOptions{Text: "https://inventory.acme.example/4711"})
	g.Expect(message(3).Text).To(ContainSubstring("Done: https://inventory.acme.example/4711"))
	w.condition(run, v1alpha1.ConditionSucceeded, metav1.ConditionTrue, v1alpha1.ReasonCompleted)
	for _, m := range w.vendors.Messages() {
		g.Expect(m.Buttons()).To(BeEmpty(), m.Text)
	}
	g.Expect(w.vendors.Violations()).To(BeEmpty())
	tenant, err := w.store.TenantByNamespace(t.Context(), w.ns)
	g.Expect(err).NotTo(HaveOccurred())
	for action, n := range map[string]int{"prompt.answer": 2, "prompt.refuse": 1, "message.send": 3, "user.deactivate": 1} {
		records, err := w.store.Audit(t.Context(), tenant, store.AuditQuery{Action: action})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(records).To(HaveLen(n), action)
	}
}
