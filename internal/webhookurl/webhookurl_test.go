// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package webhookurl_test

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/testenv"
	"github.com/seatkeeper/seatkeeper/internal/webhookurl"
)

func TestMain(m *testing.M) { testenv.Start(m) }

type world struct {
	*testing.T
	client client.Client
	s      *store.Store
	clock  *clocktesting.FakePassiveClock
	minter *webhookurl.Minter
	ring   *store.Keyring
	owner  *v1alpha1.Integration
}

func newWorld(t *testing.T) *world {
	t.Helper()
	env := testenv.Cluster(t)
	w := &world{T: t, client: env.Client(t), clock: clocktesting.NewFakePassiveClock(time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC))}
	w.s = storetest.Open(t, storetest.SQLite(t), storetest.WithClock(w.clock))
	var err error
	w.ring, err = store.LoadKeyring(filepath.Join(t.TempDir(), "keyring"), true)
	w.must(err)
	w.minter = &webhookurl.Minter{Secrets: w.client, Store: w.s, Keyring: w.ring, PublicURL: "https://seats.acme.example/", Clock: w.clock,
		Denied: func(string, string) error { return errors.New("denied") }}
	w.owner = &v1alpha1.Integration{ObjectMeta: metav1.ObjectMeta{Namespace: env.Namespace(t), Name: "okta"}, Spec: v1alpha1.IntegrationSpec{Connector: "okta"}}
	w.must(w.client.Create(t.Context(), w.owner))
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) ensure(names ...string) webhookurl.Result {
	w.Helper()
	hooks := make([]webhookurl.Hook, len(names))
	for i, n := range names {
		hooks[i].Name = n
	}
	res, err := w.minter.Ensure(w.Context(), v1alpha1.KindIntegration, w.owner, hooks)
	w.must(err)
	return res
}

func (w *world) secret() *corev1.Secret {
	w.Helper()
	var s corev1.Secret
	w.must(w.client.Get(w.Context(), client.ObjectKey{Namespace: w.owner.Namespace, Name: "okta-webhook"}, &s))
	return &s
}

// good reports which webhook the gateway finds behind an address.
func (w *world) good(path []byte) string {
	w.Helper()
	e, err := w.s.EndpointByToken(w.Context(), w.ring, strings.TrimPrefix(string(path), "/hooks/"))
	if errors.Is(err, store.ErrNotFound) {
		return "nothing"
	}
	w.must(err)
	return e.Webhook
}

// The address is made once, rotated when asked to, and both are good until the
// overlap ends; a steady state writes nothing.
func TestRotation(t *testing.T) {
	w := newWorld(t)
	res := w.ensure("eventHook")
	first := w.secret()
	if res.SecretName != "okta-webhook" || res.Rotation != webhookurl.Current || res.PathOnly || res.Problem != nil || res.After != 0 {
		t.Fatalf("%+v", res)
	}
	if got := slices.Sorted(maps.Keys(first.Data)); !slices.Equal(got, []string{"path", "url"}) {
		t.Fatalf("keys %v", got)
	}
	if string(first.Data["url"]) != "https://seats.acme.example"+string(first.Data["path"]) || len(first.Data["path"]) < len("/hooks/")+45 {
		t.Fatalf("the address has %d bytes", len(first.Data["url"]))
	}
	if len(first.OwnerReferences) != 1 || first.OwnerReferences[0].UID != w.owner.UID || first.Labels[v1alpha1.OwnerNameLabel] != "okta" {
		t.Fatalf("owner %+v, labels %v", first.OwnerReferences, first.Labels)
	}
	w.ensure("eventHook")
	if w.secret().ResourceVersion != first.ResourceVersion {
		t.Fatal("a steady state writes")
	}
	if w.good(first.Data["path"]) != "eventHook" {
		t.Fatal("the gateway does not know the address")
	}

	w.owner.Annotations = map[string]string{v1alpha1.RotateWebhookAnnotation: "1"}
	for range 2 { // what is asked for once is done once
		if res = w.ensure("eventHook"); res.Rotation != webhookurl.Overlapping || res.After <= 0 || res.After > 24*time.Hour+time.Second {
			t.Fatalf("%+v", res)
		}
	}
	second := w.secret()
	if string(second.Data["previousPath"]) != string(first.Data["path"]) || string(second.Data["previousURL"]) != string(first.Data["url"]) || string(second.Data["path"]) == string(first.Data["path"]) {
		t.Fatal("the address before is kept beside the new one")
	}
	if w.good(first.Data["path"]) != "eventHook" || w.good(second.Data["path"]) != "eventHook" {
		t.Fatal("both are good in the overlap")
	}
	w.clock.SetTime(w.clock.Now().Add(24 * time.Hour))
	if w.good(first.Data["path"]) != "nothing" {
		t.Fatal("the overlap ends without the manager")
	}
	if res = w.ensure("eventHook"); res.Rotation != webhookurl.Current {
		t.Fatalf("%+v", res)
	}
	third := w.secret()
	if len(third.Data) != 2 || string(third.Data["path"]) != string(second.Data["path"]) || third.Annotations[v1alpha1.PreviousUntilAnnotation] != "" {
		t.Fatalf("after the overlap: %d keys, %v", len(third.Data), third.Annotations)
	}

	w.owner.Annotations = map[string]string{v1alpha1.RotateWebhookAnnotation: "2", v1alpha1.WebhookOverlapAnnotation: "0s"}
	if res = w.ensure("eventHook"); res.Rotation != webhookurl.Current || w.good(second.Data["path"]) != "nothing" || w.good(w.secret().Data["path"]) != "eventHook" {
		t.Fatalf("without overlap: %+v", res)
	}
	w.owner.Annotations[v1alpha1.WebhookOverlapAnnotation] = "a while"
	if res = w.ensure("eventHook"); res.Problem == nil || res.Problem.Reason != v1alpha1.ReasonInvalidSpec {
		t.Fatalf("%+v", res)
	}
}

// Who deletes the Secret ends its addresses; who takes the webhook away as well.
func TestAddressesEnd(t *testing.T) {
	w := newWorld(t)
	w.ensure("a", "b")
	s := w.secret()
	if got := slices.Sorted(maps.Keys(s.Data)); !slices.Equal(got, []string{"b.path", "b.url", "path", "url"}) {
		t.Fatalf("keys %v", got)
	}
	w.ensure("b", "a") // another order moves no address
	if again := w.secret(); string(again.Data["path"]) != string(s.Data["path"]) || w.good(s.Data["path"]) != "a" || w.good(s.Data["b.path"]) != "b" {
		t.Fatal("the addresses have moved")
	}
	w.ensure("b")
	if last := w.secret(); len(last.Data) != 2 || string(last.Data["path"]) != string(s.Data["b.path"]) || w.good(s.Data["path"]) != "nothing" || w.good(s.Data["b.path"]) != "b" {
		t.Fatalf("a is gone, and b stays: %v", slices.Sorted(maps.Keys(last.Data)))
	}
	w.must(w.client.Delete(w.Context(), w.secret()))
	w.ensure("b")
	if w.good(s.Data["b.path"]) != "nothing" || w.good(w.secret().Data["path"]) != "b" {
		t.Fatal("deleting the Secret ends its addresses")
	}
	if res := w.ensure(); res.SecretName != "" || w.good(w.secret().Data["path"]) != "nothing" {
		t.Fatalf("without webhooks: %+v", res)
	}
}

func TestProblems(t *testing.T) {
	w := newWorld(t)
	foreign := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.owner.Namespace, Name: "okta-webhook"}, StringData: map[string]string{"path": "/hooks/mine"}}
	w.must(w.client.Create(w.Context(), foreign))
	if res := w.ensure("eventHook"); res.Problem == nil || res.Problem.Reason != v1alpha1.ReasonSecretConflict {
		t.Fatalf("a Secret of somebody else: %+v", res.Problem)
	}
	if string(w.secret().Data["path"]) != "/hooks/mine" {
		t.Fatal("it was overwritten")
	}
	w.must(w.client.Delete(w.Context(), foreign))
	w.minter.PublicURL = ""
	if res := w.ensure("eventHook"); !res.PathOnly || len(w.secret().Data) != 1 {
		t.Fatalf("without a public address: %+v", res)
	}
	w.minter.PublicURL = "https://seats.acme.example"
	before := w.secret().Data["path"]
	w.ensure("eventHook")
	if s := w.secret(); string(s.Data["url"]) != "https://seats.acme.example"+string(before) {
		t.Fatal("the path stays when the public address is known")
	}
}

// A manager that dies between the Secret and the store is made up for by the
// next look.
func TestStoreAway(t *testing.T) {
	w := newWorld(t)
	w.minter.Store = lost{w.s}
	if _, err := w.minter.Ensure(w.Context(), v1alpha1.KindIntegration, w.owner, []webhookurl.Hook{{Name: "eventHook"}}); err == nil {
		t.Fatal("the store took it")
	}
	path := w.secret().Data["path"]
	if w.good(path) != "nothing" {
		t.Fatal("the gateway knows it already")
	}
	w.minter.Store = w.s
	w.ensure("eventHook")
	if string(w.secret().Data["path"]) != string(path) || w.good(path) != "eventHook" {
		t.Fatal("another address was made")
	}
}

// lost is a store that dies before it takes endpoints.
type lost struct{ *store.Store }

func (lost) PutEndpoints(context.Context, *store.Keyring, model.TenantID, string, string, string, []store.EndpointSpec) error {
	return errors.New("gone")
}
