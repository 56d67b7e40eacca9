// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/reconcile/reconciletest"
)

func money(minor int64, currency string) *v1alpha1.Money {
	return &v1alpha1.Money{Minor: minor, Currency: v1alpha1.CurrencyCode(currency)}
}

// zoomApp is the Application of the simulated Zoom.
func (w *world) zoomApp() *v1alpha1.Application {
	return &v1alpha1.Application{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "zoom"},
		Spec: v1alpha1.ApplicationSpec{
			DisplayName: "Zoom", Domains: []v1alpha1.DomainName{"zoom.us"}, Category: "Collaboration", State: v1alpha1.ApplicationSanctioned,
			IntegrationRefs: []v1alpha1.ObjectReference{{Name: "zoom"}},
			Plans: []v1alpha1.ApplicationPlan{{Name: "Licensed", VendorKeys: []string{"zoom.type.2"},
				UnitCost: money(1999, "USD"), Period: v1alpha1.PeriodMonth}},
		},
	}
}

func acme(ns string) *v1alpha1.Organization {
	return &v1alpha1.Organization{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: v1alpha1.OrganizationName},
		Spec: v1alpha1.OrganizationSpec{DisplayName: "Acme", Domains: []v1alpha1.DomainName{"acme.example"}, TimeZone: "Europe/Berlin",
			LifecycleSource: &v1alpha1.LifecycleSource{Integration: "hris"}},
	}
}

func TestApplicationAndOrganizationEqualTheTruth(t *testing.T) {
	w := newWorld(t)
	g := NewWithT(t)
	for name, data := range secrets {
		w.secret(name, data)
	}
	hris := w.integration("csv", hrisConfig())
	hris.Name, hris.Spec.CredentialsRef.Name = "hris", "hris"
	hris.Spec.DataTypes = []v1alpha1.DataType{v1alpha1.DataPeople}
	okta := w.integration("okta", map[string]any{"domain": "acme.okta.com"})
	org, app := acme(w.ns), w.zoomApp()
	w.create(org, app, hris, okta, w.integration("zoom", nil))
	w.ready(org, metav1.ConditionTrue, v1alpha1.ReasonReconciled)
	w.ready(hris, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	w.ready(okta, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	w.ready(app, metav1.ConditionTrue, v1alpha1.ReasonReconciled)

	// A count that changes right after a write waits for the interval to end.
	const held = 2 * reconcile.StatusWriteInterval
	truth := w.vendors.Truth(fakesaas.TruthOptions{Now: time.Now(), Zone: "Europe/Berlin"})
	seats := truth.Seats[fakesaas.Zoom]
	g.Eventually(func(g Gomega) {
		w.get("zoom", app)
		g.Expect(app.Status.Connected).To(BeTrue())
		g.Expect(app.Status.InIDP).To(BeTrue())
		g.Expect(app.Status.Sources).To(ContainElements("okta", "zoom"))
		s := app.Status.Seats
		g.Expect([]int64{s.Assigned, s.Used, s.Unused, s.Unknown}).To(Equal(
			[]int64{int64(seats.Paid), int64(seats.Active), int64(seats.Unused), int64(seats.Unknown)}))
		g.Expect(app.Status.Users.Total).To(BeEquivalentTo(truth.Accounts[fakesaas.Zoom]))
		g.Expect(app.Status.Spend).NotTo(BeNil())
		g.Expect(app.Status.Spend.Summary).To(HavePrefix("USD "))
	}, held).Should(Succeed())
	g.Eventually(func(g Gomega) {
		w.get(v1alpha1.OrganizationName, org)
		g.Expect(org.Status.People).NotTo(BeNil())
		g.Expect(org.Status.People.Current).To(BeEquivalentTo(truth.ByLifecycle[fakesaas.LifecycleCurrent]))
		g.Expect(org.Status.Applications).To(BeEquivalentTo(truth.Apps))
	}, held).Should(Succeed())
}

// TestSteadyStateIsSilent is invariant 13: nothing changed, so nothing is
// written, however often workers sync and controllers look.
func TestSteadyStateIsSilent(t *testing.T) {
	w := newWorld(t)
	g := NewWithT(t)
	for name, data := range secrets {
		w.secret(name, data)
	}
	zoom, okta := w.integration("zoom", nil), w.integration("okta", map[string]any{"domain": "acme.okta.com"})
	org, app := acme(w.ns), w.zoomApp()
	org.Spec.LifecycleSource = nil
	zoom.Spec.Permission, zoom.Spec.DestructiveActions = v1alpha1.PermissionReadAndAct, []v1alpha1.ActionName{"user.deactivate"}
	flow := w.leave()
	objects := []reconcile.Object{zoom, okta, org, app, flow}
	w.create(org, app, zoom, okta, flow)
	w.ready(zoom, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	w.ready(okta, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	w.ready(app, metav1.ConditionTrue, v1alpha1.ReasonReconciled)
	g.Eventually(func() []string { w.get("zoom", app); return app.Status.Sources }, 2*reconcile.StatusWriteInterval).Should(ContainElement("okta"))

	// What the write limiter held back is written within its interval.
	versions := func() (out []string) {
		for _, o := range objects {
			w.get(o.GetName(), o)
			out = append(out, o.GetResourceVersion())
		}
		return out
	}
	settled := versions()
	g.Eventually(func() bool {
		now := versions()
		same := equal(now, settled)
		settled = now
		return same
	}, 2*reconcile.StatusWriteInterval, 5*time.Second).Should(BeTrue())

	writes := w.writes.Load()
	// Both are synced again and again, as the interval would, without a change of
	// the objects.
	for range 3 {
		w.syncBehindTheAPI("zoom")
		w.syncBehindTheAPI("okta")
		time.Sleep(4 * w.options.StatusInterval) // polls of the leader, not a wait for anything
	}
	g.Expect(versions()).To(Equal(settled), "an object was written in steady state")
	g.Expect(w.writes.Load()).To(Equal(writes), "the API server got a write in steady state")
	for _, o := range objects {
		reconciletest.Check(t, w.client, o)
	}
}

func equal(a, b []string) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return len(a) == len(b)
}

func TestTenantsDoNotSeeEachOther(t *testing.T) {
	w := newWorld(t)
	g := NewWithT(t)
	other := *w
	other.ns = w.otherNamespace()
	w.secret("zoom", secrets["zoom"])
	first := w.integration("zoom", nil)
	w.create(first, w.zoomApp())
	w.ready(first, metav1.ConditionTrue, v1alpha1.ReasonSynced)

	// The same names in another namespace: its own Secret is asked for, its own
	// rows are counted, and deleting there changes nothing here.
	second, app := other.integration("zoom", nil), other.zoomApp()
	app.Spec.IntegrationRefs = nil
	app.Spec.Domains = nil
	other.create(second, app)
	other.ready(second, metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound)
	other.ready(app, metav1.ConditionTrue, v1alpha1.ReasonNotConnected)
	g.Expect(app.Status.Users.Total).To(BeZero(), "rows of another tenant are counted")
	g.Expect(app.Status.Sources).To(BeEmpty())

	g.Expect(w.client.Delete(t.Context(), second)).To(Succeed())
	g.Eventually(func() error {
		return w.client.Get(t.Context(), client.ObjectKeyFromObject(second), &v1alpha1.Integration{})
	}).ShouldNot(Succeed())
	mine := w.zoomApp()
	w.ready(mine, metav1.ConditionTrue, v1alpha1.ReasonReconciled)
	g.Expect(mine.Status.Users.Total).To(BeNumerically(">", 0))
}

func TestKindsThatDoNotActSaySo(t *testing.T) {
	w := newWorld(t)
	g := NewWithT(t)
	request := &v1alpha1.AccessRequest{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "jo-slack"}, Spec: v1alpha1.AccessRequestSpec{
		ApplicationRef: v1alpha1.ObjectReference{Name: "zoom"}, Person: "jo@acme.example", RequestedBy: "jo@acme.example"}}
	app := w.zoomApp()
	app.Spec.Catalog = &v1alpha1.Catalog{Requestable: true}
	// A Workflow waits for what it names, and then for what starts it.
	left := w.leave()
	left.Name, left.Spec.Trigger = "left", v1alpha1.Trigger{Person: &v1alpha1.PersonTrigger{Events: []v1alpha1.PersonEvent{v1alpha1.PersonLeft}}}
	w.create(app, request, left)
	c := w.ready(request, metav1.ConditionFalse, v1alpha1.ReasonNotImplemented)
	g.Expect(c.Message).To(ContainSubstring("no access was granted"))
	c = w.ready(left, metav1.ConditionFalse, v1alpha1.ReasonIntegrationGone)
	g.Expect(c.Message).To(ContainSubstring(`"zoom"`))

	w.secret("zoom", secrets["zoom"])
	zoom := w.integration("zoom", nil)
	zoom.Spec.Permission, zoom.Spec.DestructiveActions = v1alpha1.PermissionReadAndAct, []v1alpha1.ActionName{"user.deactivate"}
	w.create(zoom)
	w.ready(zoom, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	w.condition(left, v1alpha1.ConditionValid, metav1.ConditionTrue, v1alpha1.ReasonCompiled)
	c = w.ready(left, metav1.ConditionTrue, v1alpha1.ReasonReconciled)
	g.Expect(c.Message).To(ContainSubstring("spec.trigger.person"))
	for _, o := range []reconcile.Object{request, left, zoom} {
		reconciletest.Check(t, w.client, o)
	}
	g.Expect(w.runs()).To(BeEmpty())
}
