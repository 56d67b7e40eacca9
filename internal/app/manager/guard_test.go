// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

// syncNow asks for a sync and waits until a worker answered.
func (w *world) syncNow(i *v1alpha1.Integration, request string) {
	w.t.Helper()
	w.annotate(i, v1alpha1.RequestedAtAnnotation, request)
	NewWithT(w.t).Eventually(func(g Gomega) {
		w.get(i.Name, i)
		g.Expect(i.Status.LastHandledReconcileAt).To(Equal(request))
	}).Should(Succeed())
}

func dataType(i *v1alpha1.Integration, name v1alpha1.DataType) v1alpha1.DataTypeStatus {
	for _, d := range i.Status.DataTypes {
		if d.Name == name {
			return d
		}
	}
	return v1alpha1.DataTypeStatus{}
}

func TestShrunkListingIsHeldUntilItsSetIsReleased(t *testing.T) {
	w := newWorld(t)
	g := NewWithT(t)
	w.secret("zoom", secrets["zoom"])
	zoom := w.integration("zoom", nil)
	w.create(zoom)
	w.ready(zoom, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	before := records(zoom)[v1alpha1.DataAccounts]
	g.Expect(before).To(BeNumerically(">", 40))

	w.vendors.AddFault(fakesaas.Fault{Vendor: fakesaas.Zoom, Kind: fakesaas.FaultShrink, Percent: 60})
	w.annotate(zoom, v1alpha1.RequestedAtAnnotation, "shrunk")
	c := w.ready(zoom, metav1.ConditionFalse, v1alpha1.ReasonGuardHeld)
	g.Expect(c.Message).To(ContainSubstring(v1alpha1.ReleaseAnnotation))
	w.condition(zoom, v1alpha1.ConditionHeld, metav1.ConditionTrue, v1alpha1.ReasonGuardHeld)
	g.Expect(dataType(zoom, v1alpha1.DataAccounts).State).To(Equal(v1alpha1.DataTypeHeld))
	g.Expect(records(zoom)[v1alpha1.DataAccounts]).To(Equal(before), "a held listing changed rows")
	g.Expect(zoom.Status.Held).NotTo(BeNil())
	g.Expect(zoom.Status.Held.Count).To(BeNumerically(">", zoom.Status.Held.Allowed))

	// Another digest, as one left in git, releases nothing.
	w.annotate(zoom, v1alpha1.ReleaseAnnotation, "not-this-set")
	w.syncNow(zoom, "again")
	w.ready(zoom, metav1.ConditionFalse, v1alpha1.ReasonGuardHeld)
	g.Expect(records(zoom)[v1alpha1.DataAccounts]).To(Equal(before))

	w.annotate(zoom, v1alpha1.ReleaseAnnotation, zoom.Status.Held.Digest)
	w.ready(zoom, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	g.Expect(records(zoom)[v1alpha1.DataAccounts]).To(BeNumerically("<", before))
	g.Expect(zoom.Status.Held).To(BeNil())
}

func TestFailingStreamChangesNothing(t *testing.T) {
	w := newWorld(t)
	g := NewWithT(t)
	w.secret("okta", secrets["okta"])
	okta := w.integration("okta", map[string]any{"domain": "acme.okta.com"})
	w.create(okta)
	w.ready(okta, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	before := records(okta)

	w.vendors.AddFault(fakesaas.Fault{Vendor: fakesaas.Okta, Path: "/api/v1/groups", Kind: fakesaas.FaultTruncate})
	w.annotate(okta, v1alpha1.RequestedAtAnnotation, "truncated")
	NewWithT(t).Eventually(func(g Gomega) {
		w.get("okta", okta)
		g.Expect(dataType(okta, v1alpha1.DataGroups).State).To(Equal(v1alpha1.DataTypeStale))
	}).Should(Succeed())
	g.Expect(records(okta)).To(Equal(before))
	g.Expect(dataType(okta, v1alpha1.DataApps).State).To(Equal(v1alpha1.DataTypeFresh), "the others go on")
	w.condition(okta, v1alpha1.ConditionSynced, metav1.ConditionFalse, v1alpha1.ReasonSyncFailed)

	w.vendors.ClearFaults()
	w.annotate(okta, v1alpha1.RequestedAtAnnotation, "healed")
	w.ready(okta, metav1.ConditionTrue, v1alpha1.ReasonSynced)
}

func TestAnotherRemoteAccountIsNotMixedIn(t *testing.T) {
	w := newWorld(t)
	g := NewWithT(t)
	w.secret("slack", secrets["slack"])
	slack := w.integration("slack", nil)
	w.create(slack)
	w.ready(slack, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	first, before := slack.Status.Account.ID, records(slack)

	w.vendors.AddFault(fakesaas.Fault{Vendor: fakesaas.Slack, Kind: fakesaas.FaultAccountChanged})
	rotated := map[string]string{"note": "rotated"}
	for k, v := range secrets["slack"] {
		rotated[k] = v
	}
	w.secret("slack", rotated)
	w.annotate(slack, v1alpha1.RequestedAtAnnotation, "rotated")
	c := w.ready(slack, metav1.ConditionFalse, v1alpha1.ReasonAccountChanged)
	g.Expect(c.Message).To(And(ContainSubstring(first), ContainSubstring(`"kind":"Integration"`), ContainSubstring(v1alpha1.AcceptAccountAnnotation)))
	w.condition(slack, v1alpha1.ConditionTested, metav1.ConditionFalse, v1alpha1.ReasonAccountChanged)
	g.Expect(slack.Status.Account.ID).To(Equal(first))
	g.Expect(records(slack)).To(Equal(before), "rows of the old account were not kept")

	// Accepting some other account accepts nothing.
	w.annotate(slack, v1alpha1.AcceptAccountAnnotation, "T-SOMEBODY-ELSE")
	w.ready(slack, metav1.ConditionFalse, v1alpha1.ReasonAccountChanged)
}

// TestAnotherAccountOfASingleAccountConnector can only replace the first, and
// the message says how.
func TestAnotherAccountOfASingleAccountConnector(t *testing.T) {
	w := newWorld(t)
	g := NewWithT(t)
	w.secret("zoom", secrets["zoom"])
	zoom := w.integration("zoom", nil)
	w.create(zoom)
	w.ready(zoom, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	first := zoom.Status.Account.ID

	w.vendors.AddFault(fakesaas.Fault{Vendor: fakesaas.Zoom, Kind: fakesaas.FaultAccountChanged})
	rotated := map[string]string{"note": "rotated"}
	for k, v := range secrets["zoom"] {
		rotated[k] = v
	}
	w.secret("zoom", rotated)
	w.annotate(zoom, v1alpha1.RequestedAtAnnotation, "rotated")
	c := w.ready(zoom, metav1.ConditionFalse, v1alpha1.ReasonAccountChanged)
	g.Expect(c.Message).NotTo(ContainSubstring("apiVersion"))
	_, found, ok := strings.Cut(c.Message, v1alpha1.AcceptAccountAnnotation+"=")
	g.Expect(ok).To(BeTrue(), c.Message)
	w.condition(zoom, v1alpha1.ConditionTested, metav1.ConditionFalse, v1alpha1.ReasonAccountChanged)

	w.annotate(zoom, v1alpha1.AcceptAccountAnnotation, found)
	w.ready(zoom, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	g.Expect(zoom.Status.Account.ID).To(And(Equal(found), Not(Equal(first))))
}

// TestTheSecondIntegrationThatIsPrintedApplies as it stands in the message: the
// API server takes it, and it lacks nothing but its Secret.
func TestTheSecondIntegrationThatIsPrintedApplies(t *testing.T) {
	w := newWorld(t)
	g := NewWithT(t)
	w.secret("okta", secrets["okta"])
	first := w.integration("okta", map[string]any{"domain": "acme.okta.com"})
	first.Spec.DisplayName = "Okta of Acme"
	w.create(first)
	w.ready(first, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	g.Expect(first.Spec.Config).NotTo(BeEmpty())

	w.vendors.AddFault(fakesaas.Fault{Vendor: fakesaas.Okta, Kind: fakesaas.FaultAccountChanged})
	rotated := map[string]string{"note": "rotated"}
	for k, v := range secrets["okta"] {
		rotated[k] = v
	}
	w.secret("okta", rotated)
	w.annotate(first, v1alpha1.RequestedAtAnnotation, "rotated")
	c := w.ready(first, metav1.ConditionFalse, v1alpha1.ReasonAccountChanged)

	at := strings.Index(c.Message, `{"apiVersion"`)
	g.Expect(at).To(BeNumerically(">", 0), c.Message)
	second := &v1alpha1.Integration{}
	g.Expect(yaml.UnmarshalStrict([]byte(c.Message[at:]), second)).To(Succeed())
	g.Expect(second.Spec.Connector).To(Equal("okta"))
	g.Expect(second.Spec.Config).To(Equal(first.Spec.Config))
	g.Expect(second.Spec.DisplayName).To(HavePrefix("Okta of Acme ("))
	g.Expect(w.client.Create(t.Context(), second)).To(Succeed())
	w.ready(second, metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound)

	// With its Secret it is a second connected account.
	w.secret(string(second.Spec.CredentialsRef.Name), rotated)
	w.annotate(second, v1alpha1.RequestedAtAnnotation, "supplied")
	w.ready(second, metav1.ConditionTrue, v1alpha1.ReasonSynced)
}

// TestRenamingKeepsTheAccount: what people call a connected account is not who it
// is. Nothing of it is new, or read anew into other rows.
func TestRenamingKeepsTheAccount(t *testing.T) {
	w := newWorld(t)
	g := NewWithT(t)
	w.secret("zoom", secrets["zoom"])
	zoom := w.integration("zoom", nil)
	zoom.Spec.DisplayName = "Zoom"
	w.create(zoom)
	w.ready(zoom, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	tenant, err := w.store.TenantByNamespace(t.Context(), w.ns)
	g.Expect(err).NotTo(HaveOccurred())
	inventory := func() map[string]time.Time {
		rows, _, err := w.store.ListAccounts(t.Context(), tenant, store.AccountQuery{Page: store.Page{Limit: 1000}})
		g.Expect(err).NotTo(HaveOccurred())
		out := map[string]time.Time{}
		for _, a := range rows {
			out[a.Integration+"/"+a.ExternalID] = a.FirstSeenAt
		}
		return out
	}
	before, first := zoom.Status, inventory()
	g.Expect(first).NotTo(BeEmpty())
	w.patch(zoom, map[string]any{"spec": map[string]any{"displayName": "Zoom (Europe)"}})
	g.Eventually(func() string {
		states, err := w.store.ListIntegrations(t.Context(), tenant)
		g.Expect(err).NotTo(HaveOccurred())
		var spec handover.Spec
		g.Expect(json.Unmarshal(states[0].Spec, &spec)).To(Succeed())
		return spec.DisplayName
	}).Should(Equal("Zoom (Europe)"))
	w.syncNow(zoom, "look again")
	w.ready(zoom, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	g.Expect(zoom.Status.Account).To(Equal(before.Account))
	g.Expect(zoom.Status.Digest).To(Equal(before.Digest))
	g.Expect(inventory()).To(Equal(first))
}

func TestDeletedIntegrationIsHeldWhileOthersNameIt(t *testing.T) {
	w := newWorld(t)
	g := NewWithT(t)
	w.secret("zoom", secrets["zoom"])
	zoom := w.integration("zoom", nil)
	app := &v1alpha1.Application{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "zoom"},
		Spec:       v1alpha1.ApplicationSpec{IntegrationRefs: []v1alpha1.ObjectReference{{Name: "zoom"}}},
	}
	w.create(zoom, app)
	w.ready(zoom, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	w.ready(app, metav1.ConditionTrue, v1alpha1.ReasonReconciled)
	users := app.Status.Users.Total
	g.Expect(users).To(BeNumerically(">", 0))

	g.Expect(w.client.Delete(t.Context(), zoom)).To(Succeed())
	c := w.ready(zoom, metav1.ConditionFalse, v1alpha1.ReasonDependentsExist)
	g.Expect(c.Message).To(ContainSubstring("Application/zoom"))
	w.condition(zoom, v1alpha1.ConditionDisconnectHeld, metav1.ConditionTrue, v1alpha1.ReasonDependentsExist)

	// A confirmation for another object of the name confirms nothing.
	w.annotate(zoom, v1alpha1.ConfirmDisconnectAnnotation, "00000000-0000-0000-0000-000000000000")
	g.Consistently(func() error { return w.client.Get(t.Context(), client.ObjectKeyFromObject(zoom), zoom) }, time.Second).Should(Succeed())

	w.annotate(zoom, v1alpha1.ConfirmDisconnectAnnotation, string(zoom.UID))
	g.Eventually(func() bool {
		return apierrors.IsNotFound(w.client.Get(t.Context(), client.ObjectKeyFromObject(zoom), &v1alpha1.Integration{}))
	}).Should(BeTrue())
	g.Expect(w.vendors.Writes(fakesaas.Zoom)).To(BeZero(), "disconnecting touched the vendor")
	w.ready(app, metav1.ConditionFalse, v1alpha1.ReasonReferenceNotFound)
	g.Expect(app.Status.Users.Total).To(BeZero(), "rows of a disconnected Integration are shown")
	g.Expect(app.Status.Sources).To(ContainElement("zoom"), "a source that is gone is forgotten")

	// The way back: the same account within retainFor restores the rows at once.
	again := w.integration("zoom", nil)
	w.create(again)
	w.ready(again, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	w.ready(app, metav1.ConditionTrue, v1alpha1.ReasonReconciled)
	g.Eventually(func() int64 { w.get("zoom", app); return app.Status.Users.Total }).Should(Equal(users))
}

func TestDeletedIntegrationGoesWhenNothingNamesIt(t *testing.T) {
	w := newWorld(t)
	// Its Secret never existed: deleting must work without credentials.
	zoom := w.integration("zoom", nil)
	w.create(zoom)
	w.ready(zoom, metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound)
	if err := w.client.Delete(t.Context(), zoom); err != nil {
		t.Fatal(err)
	}
	NewWithT(t).Eventually(func() bool {
		return apierrors.IsNotFound(w.client.Get(t.Context(), client.ObjectKeyFromObject(zoom), &v1alpha1.Integration{}))
	}).Should(BeTrue())
}

func TestSecondIntegrationOfASingleAccountConnector(t *testing.T) {
	w := newWorld(t)
	g := NewWithT(t)
	w.secret("zoom", secrets["zoom"])
	first := w.integration("zoom", nil)
	w.create(first)
	w.ready(first, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	g.Expect(first.Status.Capabilities.Accounts).To(Equal(v1alpha1.AccountsSingle))
	second := w.integration("zoom", nil)
	second.Name = "zoom-2"
	w.create(second)
	c := w.ready(second, metav1.ConditionFalse, v1alpha1.ReasonSingleAccountConnector)
	g.Expect(c.Message).To(ContainSubstring(`"zoom"`))
}

func TestTwoIntegrationsOfOneRemoteAccount(t *testing.T) {
	w := newWorld(t)
	g := NewWithT(t)
	w.secret("slack", secrets["slack"])
	first := w.integration("slack", nil)
	w.create(first)
	w.ready(first, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	second := w.integration("slack", nil)
	second.Name = "slack-2"
	w.create(second)
	c := w.ready(second, metav1.ConditionFalse, v1alpha1.ReasonAccountAlreadyConnected)
	g.Expect(c.Message).To(ContainSubstring(`"slack"`))
}
