// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"fmt"
	"net"
	"net/http"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/reconcile/reconciletest"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// describe says how runs stand and what people were told.
func (w *world) describe() string {
	out := ""
	for _, r := range w.runs() {
		out += fmt.Sprintf("%s %s %s %s %s\n", r.Subject, r.State, r.StepPath, r.Reason, r.Message)
	}
	for _, m := range w.vendors.Messages() {
		if m.Ephemeral {
			out += "told: " + m.Text + "\n"
		}
	}
	return out
}

func ptrTo[T any](v T) *T { return &v }

// TestAskedInSlackAndReclaimed is journey 7 through the whole manager: the
// holder of an unused seat is asked in Slack, presses Reclaim, and the seat is
// downgraded at the vendor, once.
func TestAskedInSlackAndReclaimed(t *testing.T) {
	address := make(chan net.Addr, 1)
	w := newWorld(t, func(w *world) {
		w.options.Gateway = true
		w.options.GatewayOptions = GatewayOptions{Listen: "127.0.0.1:0", Listening: func(a net.Addr) { address <- a }}
	})
	g := NewWithT(t)
	for name, data := range secrets {
		w.secret(name, data)
	}
	zoom, slack := w.integration("zoom", nil), w.integration("slack", nil)
	zoom.Spec.Permission, slack.Spec.Permission = v1alpha1.PermissionReadAndAct, v1alpha1.PermissionReadAndAct
	hris := w.integration("csv", hrisConfig())
	hris.Name, hris.Spec.CredentialsRef.Name = "hris", "hris"
	hris.Spec.DataTypes = []v1alpha1.DataType{v1alpha1.DataPeople}
	w.create(acme(w.ns), hris, slack, zoom, w.zoomApp())
	for _, i := range []*v1alpha1.Integration{hris, slack, zoom} {
		w.ready(i, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	}
	g.Expect(w.vendors.Writes(fakesaas.Zoom)).To(BeZero(), "the first sync wrote")
	w.vendors.SetInteractivityURL("http://" + (<-address).String() + "/slack/interactions/" + w.ns + "/slack")

	policy := &v1alpha1.LicensePolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "zoom-90d"},
		Spec: v1alpha1.LicensePolicySpec{
			ApplicationRef: &v1alpha1.ObjectReference{Name: "zoom"}, Plans: []v1alpha1.PlanName{"Licensed"}, Mode: v1alpha1.ModeAsk,
			Schedule: "* * * * *",
			Ask: &v1alpha1.Ask{Channels: []v1alpha1.AskChannel{{Integration: "slack"}}, Options: []v1alpha1.AskOption{v1alpha1.OptionReclaim, v1alpha1.OptionKeep},
				Timeout: "72h", KeepFor: "90d", OnTimeout: v1alpha1.TimeoutKeep},
			Guard: &v1alpha1.Guard{MinItems: ptrTo(int32(100)), MaxPercent: ptrTo(int32(50))},
		},
	}
	w.create(policy)
	w.ready(policy, metav1.ConditionTrue, v1alpha1.ReasonReconciled)
	g.Expect(policy.Status.Evaluated.Inactive).To(BeNumerically(">", 0))

	var question fakesaas.Message
	g.Eventually(func(g Gomega) {
		messages := w.vendors.Messages()
		g.Expect(messages).NotTo(BeEmpty(), "nobody was asked: %+v", w.runs())
		question = messages[0]
		g.Expect(question.Buttons()).NotTo(BeEmpty())
	}, "90s").Should(Succeed())
	g.Expect(w.vendors.Writes(fakesaas.Zoom)).To(BeZero(), "a seat went before anybody answered")

	forged, err := w.vendors.Click(t.Context(), question.TS, "Reclaim", "", fakesaas.ClickOptions{Forge: true})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(forged.Status).To(Equal(http.StatusUnauthorized))
	elsewhere, err := w.vendors.Click(t.Context(), question.TS, "Keep", "", fakesaas.ClickOptions{Team: "T0ELSEWHERE"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(elsewhere.Status).To(Equal(http.StatusOK)) // and it counts for nothing
	click, err := w.vendors.Click(t.Context(), question.TS, "Reclaim", "", fakesaas.ClickOptions{Times: 2})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(click.Statuses).To(HaveEach(http.StatusOK))

	g.Eventually(func(g Gomega) {
		done := 0
		for _, r := range w.runs() {
			if r.State == store.RunSucceeded && r.Outcome == "reclaimed" {
				done++
			}
		}
		g.Expect(done).To(Equal(1), w.describe)
	}, "60s").Should(Succeed())
	g.Expect(w.vendors.Writes(fakesaas.Zoom)).To(Equal(1), "two clicks had more than one effect")
	tenant, err := w.store.TenantByNamespace(t.Context(), w.ns)
	g.Expect(err).NotTo(HaveOccurred())
	ledger, err := w.store.Ledger(t.Context(), tenant, store.LedgerQuery{Policy: "zoom-90d"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(ledger).NotTo(BeEmpty())
	g.Expect(ledger[0].Kind).NotTo(Equal(model.LedgerRealised), "a saving is not realised before billing falls")
	reconciletest.Check(t, w.client, policy)
}

func (w *world) runs() []store.Run {
	w.t.Helper()
	tenant, err := w.store.TenantByNamespace(w.t.Context(), w.ns)
	if err != nil {
		w.t.Fatal(err)
	}
	runs, err := w.store.ListRuns(w.t.Context(), tenant, store.RunFilter{})
	if err != nil {
		w.t.Fatal(err)
	}
	return runs
}
