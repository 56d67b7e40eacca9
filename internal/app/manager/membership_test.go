// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/reconcile/reconciletest"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

const zoomGroup = "Zoom Licensed"

// TestReclaimedByTheIdentityProvidersGroup takes unused Zoom seats by ending
// memberships in Okta: Zoom itself is only read. Who has no account in Okta, or
// is not in the group, is left alone and it is said why.
func TestReclaimedByTheIdentityProvidersGroup(t *testing.T) {
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		keys := filepath.Join(t.TempDir(), "keyring")
		if _, err := store.LoadKeyring(keys, true); err != nil {
			t.Fatal(err)
		}
		var without, outside string // of the group: who have an idle seat
		var members []string        // of Okta, with an idle seat
		w := newWorld(t, func(w *world) {
			w.options.Store, w.options.Keyring = dsn, keys
			without, outside, members = provisionZoomByGroup(t, w.vendors)
		})
		g := NewWithT(t)
		for name, data := range secrets {
			w.secret(name, data)
		}
		zoom, okta := w.integration("zoom", nil), w.integration("okta", map[string]any{"domain": "acme.okta.com"})
		hris := w.integration("csv", hrisConfig())
		hris.Name, hris.Spec.CredentialsRef.Name = "hris", "hris"
		hris.Spec.DataTypes = []v1alpha1.DataType{v1alpha1.DataPeople}
		w.create(acme(w.ns), hris, okta, zoom, w.zoomApp())
		for _, i := range []*v1alpha1.Integration{hris, okta, zoom} {
			w.ready(i, metav1.ConditionTrue, v1alpha1.ReasonSynced)
		}

		policy := &v1alpha1.LicensePolicy{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "zoom-90d"},
			Spec: v1alpha1.LicensePolicySpec{
				ApplicationRef: &v1alpha1.ObjectReference{Name: "zoom"}, Plans: []v1alpha1.PlanName{"Licensed"}, Mode: v1alpha1.ModeAuto,
				Schedule: "* * * * *", Guard: &v1alpha1.Guard{MinItems: ptrTo(int32(100)), MaxPercent: ptrTo(int32(50))},
				Removal: &v1alpha1.Removal{Via: v1alpha1.ViaIdentityProvider, Integration: "okta", Group: strings.ToLower(zoomGroup)},
			},
		}
		w.create(policy)
		c := w.ready(policy, metav1.ConditionFalse, v1alpha1.ReasonGroupNotFound)
		g.Expect(c.Message).To(And(ContainSubstring(`"zoom licensed"`), ContainSubstring(`"Zoom Licensed" (id 00gzoom)`)))
		w.patch(policy, map[string]any{"spec": map[string]any{"removal": map[string]any{"group": "Twice"}}})
		c = w.ready(policy, metav1.ConditionFalse, v1alpha1.ReasonGroupAmbiguous)
		g.Expect(c.Message).To(And(ContainSubstring("00gtwice1"), ContainSubstring("00gtwice2")))
		w.patch(policy, map[string]any{"spec": map[string]any{"removal": map[string]any{"group": zoomGroup}}})
		c = w.ready(policy, metav1.ConditionTrue, v1alpha1.ReasonPermissionRead)
		g.Expect(c.Message).To(ContainSubstring("Integration okta has permission Read"))
		g.Expect(w.vendors.Writes(fakesaas.Okta)).To(BeZero())
		g.Expect(w.runs()).To(BeEmpty())

		w.patch(okta, map[string]any{"spec": map[string]any{"permission": "ReadAndAct"}})
		c = w.ready(policy, metav1.ConditionTrue, v1alpha1.ReasonReconciled)
		g.Expect(c.Message).To(And(MatchRegexp(`[1-9]\d* whose person has no account there \(NoDirectoryAccount\)`),
			MatchRegexp(`[1-9]\d* whose person is not in the group \(NotGroupMember\)`)))
		// The status may still be that of the evaluation before the permission.
		g.Eventually(func() int64 { w.get("zoom-90d", policy); return policy.Status.Evaluated.Inactive }, "30s").Should(BeNumerically("==", len(members)))
		g.Eventually(func(g Gomega) {
			done := 0
			for _, r := range w.runs() {
				if r.State == store.RunSucceeded && r.Outcome == "reclaimed" {
					done++
					g.Expect(r.Message).To(Equal("removed from group Zoom Licensed in okta; the seat ends when okta's provisioning has taken it"))
				}
			}
			g.Expect(done).To(Equal(len(members)), w.describe)
		}, "120s").Should(Succeed())

		for _, id := range members {
			g.Expect(w.vendors.EffectCount(fakesaas.Okta, "group.removeMember", id)).To(Equal(1))
		}
		g.Expect(w.vendors.Writes(fakesaas.Okta)).To(Equal(len(members)), "somebody else was touched")
		g.Expect(w.vendors.Writes(fakesaas.Zoom)).To(BeZero(), "Zoom is only read")
		left, err := w.vendors.Company()
		g.Expect(err).NotTo(HaveOccurred())
		for _, group := range left.OktaGroups {
			if group.Name == zoomGroup {
				g.Expect(group.Members).To(And(Not(BeEmpty()), Not(ContainElement(BeElementOf(members)))))
			}
		}
		w.booksOfMemberships(g, len(members))
		w.leftAlone(g, map[string]string{without: "NoDirectoryAccount", outside: "NotGroupMember"})

		// The app's next syncs change nothing: who left the group is no candidate.
		w.syncBehindTheAPI("okta")
		w.syncBehindTheAPI("zoom")
		g.Eventually(func() string { return w.ready(policy, metav1.ConditionTrue, v1alpha1.ReasonReconciled).Message }, "60s").
			Should(ContainSubstring("whose person is not in the group"))
		g.Expect(w.vendors.Writes(fakesaas.Okta)).To(Equal(len(members)))
		reconciletest.Check(t, w.client, policy)
	})
}

// provisionZoomByGroup gives everybody's Zoom licence by a group in Okta, but
// for one with an unused seat who has no account there and one who is not in
// the group.
func provisionZoomByGroup(t *testing.T, vendors *fakesaas.Server) (without, outside string, members []string) {
	t.Helper()
	err := vendors.Update(func(c *fakesaas.Company) {
		idle := map[string]bool{} // by employee
		for _, s := range c.Truth(fakesaas.TruthOptions{Now: c.Config.Now, Zone: "Europe/Berlin", IncludeSeats: true}).Verdicts {
			if s.Vendor == fakesaas.Zoom && s.Disposition == fakesaas.Candidate && s.EmployeeID != "" {
				idle[s.EmployeeID] = true
			}
		}
		group := &fakesaas.OktaGroup{ID: "00gzoom", Type: "OKTA_GROUP", Name: zoomGroup, Members: []string{}}
		gone := ""
		for _, u := range c.OktaUsers {
			zoom := slices.IndexFunc(c.ZoomUsers, func(z *fakesaas.ZoomUser) bool { return z.EmployeeID == u.EmployeeID && z.EmployeeID != "" })
			switch {
			case zoom < 0 || u.Status == "DEPROVISIONED":
			case !idle[u.EmployeeID]:
				group.Members = append(group.Members, u.ID)
			case without == "":
				without, gone = c.ZoomUsers[zoom].ID, u.ID
			case outside == "":
				outside = c.ZoomUsers[zoom].ID
			default:
				group.Members, members = append(group.Members, u.ID), append(members, u.ID)
			}
		}
		c.OktaUsers = slices.DeleteFunc(c.OktaUsers, func(u *fakesaas.OktaUser) bool { return u.ID == gone })
		for _, other := range c.OktaGroups {
			other.Members = slices.DeleteFunc(other.Members, func(id string) bool { return id == gone })
		}
		for _, app := range c.OktaApps {
			app.Assignments = slices.DeleteFunc(app.Assignments, func(a *fakesaas.OktaAssignment) bool { return a.UserID == gone })
		}
		c.OktaGroups = append(c.OktaGroups, group,
			&fakesaas.OktaGroup{ID: "00gtwice1", Type: "OKTA_GROUP", Name: "Twice", Members: []string{}},
			&fakesaas.OktaGroup{ID: "00gtwice2", Type: "OKTA_GROUP", Name: "Twice", Members: []string{}})
	})
	if err != nil || without == "" || outside == "" || len(members) < 2 {
		t.Fatalf("the company has too few unused seats: %q, %q, %v, %v", without, outside, members, err)
	}
	return without, outside, members
}

// booksOfMemberships checks that audit and ledger name the app's seat and what
// was done.
func (w *world) booksOfMemberships(g Gomega, n int) {
	w.t.Helper()
	ctx := w.t.Context()
	tenant, err := w.store.TenantByNamespace(ctx, w.ns)
	g.Expect(err).NotTo(HaveOccurred())
	records, err := w.store.Audit(ctx, tenant, store.AuditQuery{Action: "group.removeMember"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(records).To(HaveLen(n))
	for _, r := range records {
		g.Expect(r.ObjectName).To(Equal("okta"))
		g.Expect(r.Detail).To(And(HaveKeyWithValue("application", "zoom"), HaveKeyWithValue("seatIntegration", "zoom"), HaveKeyWithValue("group", "00gzoom")))
		g.Expect(r.Subject).To(And(HaveKey("account"), HaveKey("directoryAccount")))
	}
	ledger, err := w.store.Ledger(ctx, tenant, store.LedgerQuery{Policy: "zoom-90d"})
	g.Expect(err).NotTo(HaveOccurred())
	potential := 0
	for _, e := range ledger {
		if e.Kind == model.LedgerPotential {
			potential++
			g.Expect(e.Integration).To(Equal("zoom"))
			g.Expect(e.Reason).To(ContainSubstring("group.removeMember: removed from group Zoom Licensed in okta"))
		}
	}
	g.Expect(potential).To(Equal(n))
}

// leftAlone checks the verdicts on seats by the app's account.
func (w *world) leftAlone(g Gomega, reasons map[string]string) {
	w.t.Helper()
	tenant, err := w.store.TenantByNamespace(w.t.Context(), w.ns)
	g.Expect(err).NotTo(HaveOccurred())
	verdicts, _, err := w.store.SeatVerdicts(w.t.Context(), tenant, store.VerdictQuery{Policy: "zoom-90d", Page: store.Page{Limit: 1000}})
	g.Expect(err).NotTo(HaveOccurred())
	found := map[string]string{}
	for _, v := range verdicts {
		if _, ok := reasons[v.AccountID]; ok {
			g.Expect(v.Class).To(Equal(model.SeatHeld))
			found[v.AccountID] = v.Reason
		}
	}
	g.Expect(found).To(Equal(reasons))
}
