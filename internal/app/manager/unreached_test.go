// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
	"github.com/seatkeeper/seatkeeper/internal/fakesmtp"
)

// TestUndeliverableIsACondition has Slack refuse a message, a mail server refuse its
// recipient, and nobody be reachable, and sees the Workflow of each say so; one whose
// message arrives says nothing.
func TestUndeliverableIsACondition(t *testing.T) {
	t.Parallel() // it waits most of the time
	w := newWorld(t, func(w *world) { w.options.PublicURL = "https://seatkeeper.acme.example/" })
	g := NewWithT(t)
	server, err := fakesmtp.Start(fakesmtp.Options{AuthWays: []string{"PLAIN"}, Username: "seatkeeper", Password: "p"})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(server.Close)
	for name, data := range secrets {
		w.secret(name, data)
	}
	w.secret("mail", map[string]string{"url": server.URL(), "from": "Acme IT <it@acme.example>", "username": "seatkeeper", "password": "p", "ca.crt": server.CA})
	org := acme(w.ns)
	org.Spec.Notifications = &v1alpha1.Notifications{SMTPSecretName: "mail"}
	hris, slack, zoom := w.integration("csv", hrisConfig()), w.integration("slack", nil), w.integration("zoom", nil)
	hris.Name, hris.Spec.CredentialsRef.Name = "hris", "hris"
	hris.Spec.DataTypes = []v1alpha1.DataType{v1alpha1.DataPeople}
	slack.Spec.Permission = v1alpha1.PermissionReadAndAct
	w.create(org, hris, slack, zoom)
	for _, i := range []*v1alpha1.Integration{hris, slack, zoom} {
		w.ready(i, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	}
	w.condition(org, v1alpha1.ConditionEmailReady, metav1.ConditionTrue, v1alpha1.ReasonMailServerReady)
	_, boss := w.managed()
	w.vendors.AddFault(fakesaas.Fault{Vendor: fakesaas.Slack, Path: "/api/chat.postMessage", Kind: fakesaas.FaultNotOK, Error: "is_archived"})
	server.Script(fakesmtp.RcptTo, "", "550 5.1.1 no such user")

	// Each is run before the next, for the mail server refuses the second mail.
	for _, c := range []struct {
		name, via, to string
		succeeds      bool
	}{
		{"delivered", "Email", boss, true},
		{"bounced", "Email", boss, false},
		{"refused", "Slack", boss, false},
		{"unreachable", "Slack", "nobody@elsewhere.example", false},
	} {
		tell := &v1alpha1.Workflow{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: c.name},
			Spec: v1alpha1.WorkflowSpec{
				Trigger: v1alpha1.Trigger{Manual: &v1alpha1.ManualTrigger{}},
				Steps: []v1alpha1.Step{{StepBase: v1alpha1.StepBase{Name: "tell"}, StepAction: v1alpha1.StepAction{
					Notify: &v1alpha1.NotifyStep{To: []v1alpha1.Recipient{{Email: v1alpha1.Email(c.to)}}, Via: []string{c.via}, Text: "Hello."}}}},
			},
		}
		run := &v1alpha1.WorkflowRun{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: c.name}, Spec: v1alpha1.WorkflowRunSpec{WorkflowRef: v1alpha1.ObjectReference{Name: v1alpha1.ResourceName(c.name)}}}
		w.create(tell)
		w.ready(tell, metav1.ConditionTrue, v1alpha1.ReasonReconciled)
		w.create(run)
		if c.succeeds {
			w.condition(run, v1alpha1.ConditionSucceeded, metav1.ConditionTrue, v1alpha1.ReasonCompleted)
		} else {
			ended := w.condition(run, v1alpha1.ConditionSucceeded, metav1.ConditionFalse, v1alpha1.ReasonStepFailed)
			g.Expect(ended.Message).NotTo(ContainSubstring(c.to), "a condition names a person")
		}
		// The runs are counted every minute, or when somebody asks.
		w.annotate(tell, v1alpha1.RequestedAtAnnotation, fmt.Sprint(time.Now().UnixNano()))
		if !c.succeeds {
			said := w.condition(tell, v1alpha1.ConditionPeopleUnreached, metav1.ConditionTrue, v1alpha1.ReasonNoReachableChannel)
			g.Expect(said.Message).To(ContainSubstring("seatkeeper runs --workflow " + c.name))
			w.condition(tell, v1alpha1.ConditionLastRunFailed, metav1.ConditionTrue, v1alpha1.ReasonLastRunFailed)
			continue
		}
		g.Eventually(func(g Gomega) {
			g.Expect(w.client.Get(t.Context(), client.ObjectKeyFromObject(tell), tell)).To(Succeed())
			g.Expect(tell.Status.LastHandledReconcileAt).To(Equal(tell.Annotations[v1alpha1.RequestedAtAnnotation]))
		}).Should(Succeed())
		for _, kind := range []string{v1alpha1.ConditionPeopleUnreached, v1alpha1.ConditionLastRunFailed} {
			g.Expect(meta.FindStatusCondition(tell.Status.Conditions, kind)).To(BeNil())
		}
	}
	g.Expect(server.Messages()).To(HaveLen(1))
}
