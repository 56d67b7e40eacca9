// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

// TestTwoManagersOnOneDatabase runs two whole managers on one PostgreSQL. The
// one that leads is stopped while seats are being taken: the other takes over
// status and work, and every seat goes once.
func TestTwoManagersOnOneDatabase(t *testing.T) {
	dsn := storetest.Postgres(t)
	keys := filepath.Join(t.TempDir(), "keyring")
	if _, err := store.LoadKeyring(keys, true); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(w *world) {
		w.options.Store, w.options.Keyring = dsn, keys
		w.options.LeaderElect, w.options.LeaderElectionNamespace = true, w.ns
	})
	g := NewWithT(t)
	second := *w
	w.secret("zoom", secrets["zoom"])
	w.secret("hris", secrets["hris"])
	zoom := w.integration("zoom", nil)
	zoom.Spec.Permission = v1alpha1.PermissionReadAndAct
	hris := w.integration("csv", hrisConfig())
	hris.Name, hris.Spec.CredentialsRef.Name = "hris", "hris"
	hris.Spec.DataTypes = []v1alpha1.DataType{v1alpha1.DataPeople}
	w.create(acme(w.ns), hris, zoom, w.zoomApp())
	w.ready(hris, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	w.ready(zoom, metav1.ConditionTrue, v1alpha1.ReasonSynced)
	second.start()

	policy := &v1alpha1.LicensePolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "zoom-90d"},
		Spec: v1alpha1.LicensePolicySpec{
			ApplicationRef: &v1alpha1.ObjectReference{Name: "zoom"}, Plans: []v1alpha1.PlanName{"Licensed"}, Mode: v1alpha1.ModeAuto,
			Schedule: "* * * * *", Guard: &v1alpha1.Guard{MinItems: ptrTo(int32(100)), MaxPercent: ptrTo(int32(50))},
		},
	}
	w.create(policy)
	w.ready(policy, metav1.ConditionTrue, v1alpha1.ReasonReconciled)
	seats := int(policy.Status.Evaluated.Inactive)
	g.Expect(seats).To(BeNumerically(">", 2))
	g.Eventually(func() int { return w.vendors.Writes(fakesaas.Zoom) }, "90s", 20*time.Millisecond).Should(BeNumerically(">", 0))
	w.stop()

	g.Eventually(func(g Gomega) {
		done := 0
		for _, r := range second.runs() {
			if r.State == store.RunSucceeded && r.Outcome == "reclaimed" {
				done++
			}
		}
		g.Expect(done).To(Equal(seats), second.describe)
	}, "120s").Should(Succeed())
	g.Expect(w.vendors.Writes(fakesaas.Zoom)).To(Equal(seats), "every seat goes once")

	// The one that is left leads: it writes status.
	w.patch(zoom, map[string]any{"spec": map[string]any{"suspend": true}})
	w.ready(zoom, metav1.ConditionFalse, v1alpha1.ReasonSuspended)
}
