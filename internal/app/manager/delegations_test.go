// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/fakesaas"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// supply makes a link for an Integration and supplies the values, as gateway
// and owner do.
func (w *world) supply(ring *store.Keyring, i *v1alpha1.Integration, values map[string]string) store.Delegation {
	w.t.Helper()
	g := NewWithT(w.t)
	var d store.Delegation
	g.Eventually(func(g Gomega) {
		tenant, err := w.store.TenantByNamespace(w.t.Context(), w.ns)
		g.Expect(err).NotTo(HaveOccurred())
		_, err = w.store.IntegrationState(w.t.Context(), tenant, i.Name)
		g.Expect(err).NotTo(HaveOccurred())
		d.Tenant = tenant
	}).Should(Succeed())
	d.Integration, d.IntegrationUID, d.SecretName, d.CreatedBy, d.ExpiresAt = i.Name, string(i.UID), string(i.Spec.CredentialsRef.Name), "ada", time.Now().Add(time.Hour)
	_, token, err := w.store.CreateDelegation(w.t.Context(), ring, d)
	g.Expect(err).NotTo(HaveOccurred())
	d, err = w.store.SubmitDelegation(w.t.Context(), ring, token, values)
	g.Expect(err).NotTo(HaveOccurred())
	return d
}

// ended waits until the manager has dealt with a delegation, and returns the
// result that the audit shows.
func (w *world) ended(ring *store.Keyring, d store.Delegation) string {
	w.t.Helper()
	g := NewWithT(w.t)
	result := ""
	g.Eventually(func(g Gomega) {
		records, err := w.store.Audit(w.t.Context(), d.Tenant, store.AuditQuery{Action: "credential.write"})
		g.Expect(err).NotTo(HaveOccurred())
		i := slices.IndexFunc(records, func(r model.AuditRecord) bool { return r.Detail["delegation"] == d.ID })
		g.Expect(i).To(BeNumerically(">=", 0))
		result = records[i].Result
	}).WithTimeout(30 * time.Second).Should(Succeed())
	_, err := w.store.DelegatedCredential(w.t.Context(), ring, d)
	g.Expect(err).To(MatchError(store.ErrNotFound), "what was supplied must be erased")
	return result
}

// Row 84: an owner without access to the cluster supplies the credential, the
// manager writes the Secret, and the Integration connects.
func TestDelegatedCredentialConnects(t *testing.T) {
	log := &recorder{}
	keys := filepath.Join(t.TempDir(), "keys")
	ring, err := store.LoadKeyring(keys, true)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(w *world) {
		w.options.Keyring = keys
		w.options.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	g := NewWithT(t)
	zoom := w.integration("zoom", nil)
	w.create(zoom)
	w.ready(zoom, metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound)

	g.Expect(w.ended(ring, w.supply(ring, zoom, secrets["zoom"]))).To(Equal(store.DelegationWritten))
	var written corev1.Secret
	w.get("zoom", &written)
	g.Expect(written.Labels).To(HaveKeyWithValue(v1alpha1.OwnerNameLabel, "zoom"))
	g.Expect(slices.Sorted(maps.Keys(written.Data))).To(Equal([]string{"accountId", "clientId", "clientSecret"}))
	w.ready(zoom, metav1.ConditionTrue, v1alpha1.ReasonSynced) // long before the next look at every Secret

	// A new link replaces what the manager itself wrote, and nothing that another
	// put beside it.
	written.Data["kept"] = []byte("by somebody else")
	g.Expect(w.client.Update(t.Context(), &written)).To(Succeed())
	changed := maps.Clone(secrets["zoom"])
	changed["clientSecret"] = "rotated-" + fakesaas.SimZoomClientSecret
	g.Expect(w.ended(ring, w.supply(ring, zoom, changed))).To(Equal(store.DelegationWritten))
	w.get("zoom", &written)
	g.Expect(string(written.Data["clientSecret"])).To(Equal(changed["clientSecret"]))
	g.Expect(string(written.Data["kept"])).To(Equal("by somebody else"))

	g.Expect(log.String()).NotTo(ContainSubstring(fakesaas.SimZoomClientSecret)) // part of both
}

// A Secret that was not made for the Integration is nobody's to overwrite, and
// an Integration made anew is another.
func TestDelegationRefusesOtherSecrets(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys")
	ring, err := store.LoadKeyring(keys, true)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(w *world) { w.options.Keyring = keys })
	g := NewWithT(t)
	w.secret("payroll", map[string]string{"clientSecret": "of another system"})
	zoom := w.integration("zoom", nil)
	zoom.Spec.CredentialsRef.Name = "payroll"
	w.create(zoom)
	g.Expect(w.ended(ring, w.supply(ring, zoom, secrets["zoom"]))).To(Equal(store.DelegationRefused))
	var payroll corev1.Secret
	w.get("payroll", &payroll)
	g.Expect(payroll.Data).To(HaveLen(1))
	g.Expect(string(payroll.Data["clientSecret"])).To(Equal("of another system"))

	other := zoom.DeepCopy()
	other.UID = "uid-of-one-that-was-deleted"
	tenant, err := w.store.TenantByNamespace(t.Context(), w.ns)
	g.Expect(err).NotTo(HaveOccurred())
	_, token, err := w.store.CreateDelegation(t.Context(), ring, store.Delegation{Tenant: tenant, Integration: "zoom", IntegrationUID: string(other.UID), SecretName: "zoom", ExpiresAt: time.Now().Add(time.Hour)})
	g.Expect(err).NotTo(HaveOccurred())
	_, err = w.store.SubmitDelegation(t.Context(), ring, token, secrets["zoom"])
	g.Expect(err).To(MatchError(store.ErrDelegationOver))
	g.Expect(client.IgnoreNotFound(w.client.Get(t.Context(), client.ObjectKey{Namespace: w.ns, Name: "zoom"}, &corev1.Secret{}))).To(Succeed())
}
