// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package inert

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/reconcile/reconciletest"
	"github.com/seatkeeper/seatkeeper/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Start(m) }

// kit is a namespace and the loops that act on it.
type kit struct {
	*testing.T
	client client.Client
	env    *reconcile.Env
	ns     string
}

func newKit(t *testing.T) kit {
	t.Helper()
	env := testenv.Cluster(t)
	c := env.Client(t)
	return kit{T: t, client: c, env: &reconcile.Env{Client: c}, ns: env.Namespace(t)}
}

func (k kit) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: k.ns, Name: name}
}

func (k kit) create(o client.Object) {
	k.Helper()
	if err := k.client.Create(k.Context(), o); err != nil {
		k.Fatal(err)
	}
}

// refuses fails the test unless the object settles as stalled, for the reason
// and with every part of the message, and its own condition says what it should.
func refuses[T reconcile.Object](k kit, obj T, l *reconcile.Loop[T], reason string, own metav1.ConditionStatus, parts ...string) {
	k.Helper()
	reconciletest.Steady(k.T, k.client, obj, l)
	conditions := obj.GetCommonStatus().Conditions
	ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Status != metav1.ConditionFalse || ready.Reason != reason {
		k.Fatalf("Ready is %+v, want False for %s", ready, reason)
	}
	for _, part := range parts {
		if !strings.Contains(ready.Message, part) {
			k.Errorf("the message %q lacks %q", ready.Message, part)
		}
	}
	if v := reconciletest.Kstatus(obj); v != reconciletest.Failed {
		k.Errorf("kstatus is %s: whoever waits for it would wait for ever", v)
	}
	if c := meta.FindStatusCondition(conditions, l.Owned[0]); own == "" && c != nil || own != "" && (c == nil || c.Status != own) {
		k.Errorf("%s is %+v, want %q", l.Owned[0], c, own)
	}
}

func TestAccessRequest(t *testing.T) {
	k := newKit(t)
	request := &v1alpha1.AccessRequest{ObjectMeta: k.meta("jo-slack"), Spec: v1alpha1.AccessRequestSpec{
		ApplicationRef: v1alpha1.ObjectReference{Name: "slack"}, Person: "jo@acme.example", RequestedBy: "jo@acme.example"}}
	k.create(request)
	refuses(k, request, accessRequests(k.env), v1alpha1.ReasonReferenceNotFound, metav1.ConditionUnknown, "spec.applicationRef.name", `"slack"`)
	app := &v1alpha1.Application{ObjectMeta: k.meta("slack")}
	k.create(app)
	refuses(k, request, accessRequests(k.env), v1alpha1.ReasonNotRequestable, metav1.ConditionUnknown, "spec.catalog.requestable")
	app.Spec.Catalog = &v1alpha1.Catalog{Requestable: true}
	if err := k.client.Update(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	refuses(k, request, accessRequests(k.env), v1alpha1.ReasonNotImplemented, metav1.ConditionUnknown, "AccessRequest", "no access was granted")
}
