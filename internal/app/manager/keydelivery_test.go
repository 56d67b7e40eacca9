// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/controllers/apikey"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/reconcile/reconciletest"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/testenv"
)

// faulty is a client some of whose calls fail.
type faulty struct {
	client.Client
	create, get, remove error
}

func (f *faulty) Create(ctx context.Context, o client.Object, opts ...client.CreateOption) error {
	if _, ok := o.(*corev1.Secret); ok && f.create != nil {
		return f.create
	}
	return f.Client.Create(ctx, o, opts...)
}

func (f *faulty) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	if _, ok := o.(*corev1.Secret); ok && f.get != nil {
		return f.get
	}
	return f.Client.Get(ctx, key, o, opts...)
}

func (f *faulty) Delete(ctx context.Context, o client.Object, opts ...client.DeleteOption) error {
	if f.remove != nil {
		return f.remove
	}
	return f.Client.Delete(ctx, o, opts...)
}

// forgetful is a backend that dies before it records a delivery.
type forgetful struct {
	apiKeys
	dies error
}

func (b *forgetful) Delivered(ctx context.Context, namespace, keyID string) error {
	if b.dies != nil {
		return b.dies
	}
	return b.apiKeys.Delivered(ctx, namespace, keyID)
}

// keyLoop is the controller of keys on a clock of its own.
type keyLoop struct {
	*testing.T
	*WithT
	clock   *clocktesting.FakeClock
	store   *store.Store
	client  *faulty
	backend *forgetful
	r       *apikey.Reconciler
	key     *v1alpha1.APIKey
}

func newKeyLoop(t *testing.T, spec v1alpha1.APIKeySpec) *keyLoop {
	t.Helper()
	env := testenv.Cluster(t)
	clock := clocktesting.NewFakeClock(time.Now().UTC().Truncate(time.Second))
	l := &keyLoop{T: t, WithT: NewWithT(t), clock: clock, client: &faulty{Client: env.Client(t)},
		key: &v1alpha1.APIKey{ObjectMeta: metav1.ObjectMeta{Namespace: env.Namespace(t), Name: "export"}, Spec: spec}}
	l.store = storetest.Open(t, storetest.SQLite(t), storetest.WithClock(clock))
	l.backend = &forgetful{apiKeys: apiKeys{l.store, clock}}
	l.r = &apikey.Reconciler{Env: &reconcile.Env{Client: l.client, Clock: clock}, Backend: l.backend}
	if err := l.client.Client.Create(t.Context(), l.key); err != nil {
		t.Fatal(err)
	}
	return l
}

// pass reconciles once, and returns when it wants to again.
func (l *keyLoop) pass() time.Duration {
	l.Helper()
	res := reconciletest.Reconcile(l.T, l.r, l.key)
	l.Expect(l.client.Client.Get(l.T.Context(), client.ObjectKeyFromObject(l.key), l.key)).To(Succeed())
	return res.RequeueAfter
}

func (l *keyLoop) wants(kind string, status metav1.ConditionStatus, reason, part string) {
	l.Helper()
	c := meta.FindStatusCondition(l.key.Status.Conditions, kind)
	if c == nil || c.Status != status || c.Reason != reason || !strings.Contains(c.Message, part) {
		l.Errorf("%s is %+v, want %s for %s with %q", kind, c, status, reason, part)
	}
}

// secret is what a Secret has; false if there is none.
func (l *keyLoop) secret(name string) (string, bool) {
	l.Helper()
	var s corev1.Secret
	err := l.client.Client.Get(l.T.Context(), client.ObjectKey{Namespace: l.key.Namespace, Name: name}, &s)
	if err != nil && !apierrors.IsNotFound(err) {
		l.Fatal(err)
	}
	return string(s.Data["token"]), err == nil
}

// working are the tokens that work.
func (l *keyLoop) working() (ids []string) {
	l.Helper()
	tenant, err := l.store.TenantByNamespace(l.T.Context(), l.key.Namespace)
	l.Expect(err).NotTo(HaveOccurred())
	key, err := l.store.APIKey(l.T.Context(), tenant, "export")
	l.Expect(err).NotTo(HaveOccurred())
	for _, t := range key.Tokens {
		if t.Ended(l.clock.Now()) == "" {
			ids = append(ids, t.KeyID)
		}
	}
	return ids
}

func deliverTo(secret string, after v1alpha1.Duration) v1alpha1.APIKeySpec {
	return v1alpha1.APIKeySpec{Type: v1alpha1.APIKeyREST, DeliverTo: &v1alpha1.KeyDelivery{SecretName: v1alpha1.ResourceName(secret), DeleteAfter: after}}
}

func TestDeliveredKeyIsTakenBack(t *testing.T) {
	l := newKeyLoop(t, deliverTo("out", "2h"))
	l.Expect(l.pass()).To(Equal(2 * time.Hour))
	token, _ := l.secret("out")
	parsed, err := store.ParseAPIToken(token)
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(l.working()).To(Equal([]string{parsed.KeyID}))
	l.Expect(l.key.Status.SecretName).To(Equal("out"))
	reconciletest.Steady(t, l.client, l.key, l.r)

	l.clock.Step(2*time.Hour - time.Second)
	l.Expect(l.pass()).To(Equal(time.Second))
	_, there := l.secret("out")
	l.Expect(there).To(BeTrue())
	l.clock.Step(time.Second)
	l.Expect(l.pass()).To(BeZero())
	_, there = l.secret("out")
	l.Expect(there).To(BeFalse())
	l.Expect(l.key.Status.SecretName).To(BeEmpty())
	l.wants(v1alpha1.ConditionDelivered, metav1.ConditionTrue, v1alpha1.ReasonIssued, "removed")
	l.wants(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonIssued, "")
	l.Expect(l.working()).To(Equal([]string{parsed.KeyID}), "the key goes on working")
	reconciletest.Steady(t, l.client, l.key, l.r)

	// A token that somebody made by hand is not replaced by a delivery.
	tenant, err := l.store.TenantByNamespace(t.Context(), l.key.Namespace)
	l.Expect(err).NotTo(HaveOccurred())
	_, _, err = l.store.IssueAPIKey(t.Context(), tenant, "export", store.IssueAPIKey{By: model.Actor{Name: "ada"}, Rotate: true})
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(l.pass()).To(Equal(24 * time.Hour))
	l.Expect(l.working()).To(HaveLen(2))
	l.clock.Step(24 * time.Hour)
	l.pass()
	l.Expect(l.working()).To(HaveLen(1))
	l.Expect(l.working()).NotTo(ContainElement(parsed.KeyID))
}

// The Secret that a token was delivered to is remembered as long as the key: a
// token that somebody rotated to by hand is not replaced when what was delivered
// has long ended.
func TestDeliveryIsNotRepeated(t *testing.T) {
	l := newKeyLoop(t, deliverTo("out", ""))
	l.pass()
	l.clock.Step(2 * time.Hour)
	l.pass()
	_, there := l.secret("out")
	l.Expect(there).To(BeFalse())
	tenant, err := l.store.TenantByNamespace(t.Context(), l.key.Namespace)
	l.Expect(err).NotTo(HaveOccurred())
	byHand, _, err := l.store.IssueAPIKey(t.Context(), tenant, "export", store.IssueAPIKey{By: model.Actor{Name: "ada"}, Rotate: true})
	l.Expect(err).NotTo(HaveOccurred())

	l.clock.Step(keyRetention + 48*time.Hour)
	l.Expect(l.store.PruneAPIKeys(t.Context(), tenant, l.clock.Now().Add(-keyRetention))).To(Succeed())
	l.Expect(l.pass()).To(BeZero())
	_, there = l.secret("out")
	l.Expect(there).To(BeFalse(), "nothing is delivered again")
	l.Expect(l.working()).To(Equal([]string{byHand.KeyID}))
	l.wants(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonIssued, "")

	// Another name is how a delivered key is rotated.
	l.key.Spec.DeliverTo.SecretName = "next"
	l.Expect(l.client.Update(t.Context(), l.key)).To(Succeed())
	l.pass()
	token, _ := l.secret("next")
	parsed, err := store.ParseAPIToken(token)
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(l.working()).To(ConsistOf(parsed.KeyID, byHand.KeyID))
}

// Who may not delete Secrets empties them.
func TestDeliveredKeyIsBlanked(t *testing.T) {
	l := newKeyLoop(t, deliverTo("out", "1m"))
	l.client.remove = apierrors.NewForbidden(corev1.Resource("secrets"), "out", errors.New("no"))
	l.pass()
	l.clock.Step(time.Minute)
	l.pass()
	token, there := l.secret("out")
	l.Expect(there).To(BeTrue())
	l.Expect(token).To(BeEmpty())
	l.wants(v1alpha1.ConditionDelivered, metav1.ConditionTrue, v1alpha1.ReasonIssued, "removed")
}

// Whatever dies between the token and its Secret, one token works, and it is the
// one that is in the Secret.
func TestDeliveryDiesOnItsWay(t *testing.T) {
	l := newKeyLoop(t, deliverTo("out", ""))
	l.client.create = errors.New("the API server is away: skp_quotes_nothing")
	l.pass()
	l.wants(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDeliveryPending, "")
	for _, c := range l.key.Status.Conditions {
		l.Expect(c.Message).NotTo(ContainSubstring("skp_"))
	}
	l.Expect(l.working()).To(HaveLen(1))
	lost := l.working()[0]
	l.client.create = nil

	l.backend.dies = errors.New("killed")
	l.pass()
	token, _ := l.secret("out")
	parsed, err := store.ParseAPIToken(token)
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(l.working()).To(Equal([]string{parsed.KeyID}))
	l.Expect(parsed.KeyID).NotTo(Equal(lost))

	l.backend.dies = nil
	l.pass()
	l.wants(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonIssued, "")
	again, _ := l.secret("out")
	l.Expect(again).To(Equal(token), "what is there is not made anew")
	l.Expect(l.working()).To(Equal([]string{parsed.KeyID}))
}

func TestDeliveryWithoutRights(t *testing.T) {
	l := newKeyLoop(t, deliverTo("out", ""))
	l.r.TenantRole = func(namespace string) string { return "{kind: RoleBinding, namespace: " + namespace + "}" }
	l.client.get = apierrors.NewForbidden(corev1.Resource("secrets"), "out", errors.New("no"))
	l.pass()
	l.wants(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSecretAccessDenied, "{kind: RoleBinding, namespace: "+l.key.Namespace)
	l.wants(v1alpha1.ConditionDelivered, metav1.ConditionFalse, v1alpha1.ReasonSecretAccessDenied, "seatkeeper-tenant")
	l.Expect(l.working()).To(BeEmpty(), "no token is made that cannot be delivered")
}

func TestKeyWarnsBeforeItExpires(t *testing.T) {
	const day = 24 * time.Hour
	l := newKeyLoop(t, v1alpha1.APIKeySpec{Type: v1alpha1.APIKeySCIM})
	l.pass()
	l.wants(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonNotIssued, "seatkeeper keys create export")
	tenant, err := l.store.TenantByNamespace(t.Context(), l.key.Namespace)
	l.Expect(err).NotTo(HaveOccurred())
	_, _, err = l.store.IssueAPIKey(t.Context(), tenant, "export", store.IssueAPIKey{By: model.Actor{Name: "ada"}})
	l.Expect(err).NotTo(HaveOccurred())
	at := metav1.NewTime(l.clock.Now().Add(31 * day))
	l.key.Spec.ExpiresAt = &at
	l.Expect(l.client.Update(t.Context(), l.key)).To(Succeed())

	l.Expect(l.pass()).To(Equal(day))
	l.Expect(meta.FindStatusCondition(l.key.Status.Conditions, v1alpha1.ConditionExpiring)).To(BeNil())
	l.Expect(expiryGauge(t, l.key.Namespace)).To(BeEquivalentTo(at.Unix()))
	for _, s := range []struct {
		step  time.Duration
		words string
		next  time.Duration
	}{{day, "30 days", 23 * day}, {23 * day, "7 days", 6 * day}, {6 * day, "1 day ", day}} {
		l.clock.Step(s.step)
		l.Expect(l.pass()).To(Equal(s.next), s.words)
		l.wants(v1alpha1.ConditionExpiring, metav1.ConditionTrue, v1alpha1.ReasonExpiresSoon, s.words)
		l.wants(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonIssued, "")
		reconciletest.Steady(t, l.client, l.key, l.r)
	}
	l.clock.Step(day)
	l.pass()
	l.wants(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonExpired, "spec.expiresAt")
	l.Expect(l.working()).To(BeEmpty())
}

// expiryGauge is the metric of the key of a namespace; 0 if there is none.
func expiryGauge(t *testing.T, namespace string) float64 {
	t.Helper()
	families, err := metrics.Registry.(prometheus.Gatherer).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "seatkeeper_api_key_expiry_timestamp_seconds" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, label := range m.GetLabel() {
				if label.GetName() == "namespace" && label.GetValue() == namespace {
					return m.GetGauge().GetValue()
				}
			}
		}
	}
	return 0
}
