// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package application

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/reconcile/reconciletest"
	"github.com/seatkeeper/seatkeeper/internal/testenv"
)

// TestOffboardingIsChecked follows an Application whose offboarding cannot be
// carried out until it can, and after its Integration went.
func TestOffboardingIsChecked(t *testing.T) {
	c := testenv.Cluster(t).Client(t)
	ns := testenv.Cluster(t).Namespace(t)
	app := &v1alpha1.Application{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "zoom"}, Spec: v1alpha1.ApplicationSpec{
		Domains:     []v1alpha1.DomainName{"zoom.us"},
		Offboarding: []v1alpha1.OffboardingMethod{{Name: "zoom", Method: "Automatic", Action: "user.suspend", DeleteAfter: "14d"}},
	}}
	if err := c.Create(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	r := &Reconciler{Env: &reconcile.Env{Client: indexed{c}}, Backend: &backend{rollup: RollUp{Users: v1alpha1.UserCounts{Total: 30}}}}
	expect := func(status metav1.ConditionStatus, reason string, messages []string, want ...v1alpha1.OffboardingStatus) {
		t.Helper()
		reconciletest.Steady(t, c, app, r)
		ready := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionReady)
		if ready.Status != status || ready.Reason != reason {
			t.Errorf("Ready is %s with reason %s, want %s with %s: %s", ready.Status, ready.Reason, status, reason, ready.Message)
		}
		for _, m := range messages {
			if !strings.Contains(ready.Message, m) {
				t.Errorf("Ready says %q, want …%s…", ready.Message, m)
			}
		}
		if d := cmp.Diff(want, app.Status.Offboarding); d != "" {
			t.Errorf("status.offboarding (-want +got):\n%s", d)
		}
		if app.Status.Users == nil {
			t.Error("there is no roll-up")
		}
		// A seat becomes unused without anything happening, whatever is wrong here.
		res, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(app)})
		if err != nil || res.RequeueAfter > 2*refresh || res.RequeueAfter < refresh/2 {
			t.Errorf("looked at again after %s (%v)", res.RequeueAfter, err)
		}
	}
	patch := func(obj client.Object, change func()) {
		t.Helper()
		before := obj.DeepCopyObject().(client.Object)
		change()
		if err := c.Patch(t.Context(), obj, client.MergeFrom(before)); err != nil {
			t.Fatal(err)
		}
	}

	expect(metav1.ConditionFalse, v1alpha1.ReasonReferenceNotFound, []string{`spec.offboarding[zoom].name: there is no Integration "zoom"`})

	integration := &v1alpha1.Integration{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "zoom"}, Spec: v1alpha1.IntegrationSpec{Connector: "zoom"}}
	second := &v1alpha1.Integration{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "zoom-eu"}, Spec: v1alpha1.IntegrationSpec{Connector: "zoom", Permission: v1alpha1.PermissionReadAndAct}}
	for _, i := range []*v1alpha1.Integration{integration, second} {
		if err := c.Create(t.Context(), i); err != nil {
			t.Fatal(err)
		}
		i.Status.Digest = "1"
		if err := c.Status().Update(t.Context(), i); err != nil {
			t.Fatal(err)
		}
	}
	byDefault := v1alpha1.OffboardingStatus{Name: "zoom-eu", Method: "Automatic", Action: "user.suspend", Source: "Default"}
	task := v1alpha1.OffboardingStatus{Name: "zoom", Method: "Delegate", Source: "Declared"}
	expect(metav1.ConditionFalse, v1alpha1.ReasonOffboardingInvalid, []string{"spec.offboarding[zoom].action", "ReadAndAct would allow user.suspend"}, task, byDefault)
	if v := reconciletest.Kstatus(app); v != reconciletest.Failed {
		t.Errorf("kstatus is %s", v)
	}

	patch(integration, func() { integration.Spec.Permission = v1alpha1.PermissionReadAndAct })
	expect(metav1.ConditionFalse, v1alpha1.ReasonOffboardingInvalid, []string{"spec.offboarding[zoom].deleteAfter", "user.delete is destructive"}, task, byDefault)

	before := integration.DeepCopy()
	patch(integration, func() { integration.Spec.DestructiveActions = []v1alpha1.ActionName{"user.delete"} })
	if !standingChanged(event.UpdateEvent{ObjectOld: before, ObjectNew: integration}) {
		t.Error("what an Integration may do changed, and its Applications are not looked at")
	}
	expect(metav1.ConditionTrue, v1alpha1.ReasonReconciled, nil, v1alpha1.OffboardingStatus{Name: "zoom", Method: "Automatic", Action: "user.suspend", Source: "Declared"}, byDefault)

	// Several mistakes at once; what waits for something comes last.
	patch(app, func() {
		app.Spec.Offboarding = []v1alpha1.OffboardingMethod{
			{Name: "gone", Method: "Ignore"}, {Name: "zoom", Method: "Automatic", Action: "user.deactivate"}, {Name: "zoom-eu", Method: "Delegate"},
		}
	})
	delegated := v1alpha1.OffboardingStatus{Name: "zoom-eu", Method: "Delegate", Source: "Declared"}
	expect(metav1.ConditionFalse, v1alpha1.ReasonOffboardingInvalid,
		[]string{`has no action user.deactivate; name user.suspend. spec.offboarding[gone].name: there is no Integration "gone"`}, task, delegated)

	// An Integration may see the app from the side.
	side := &v1alpha1.Integration{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "okta"}, Spec: v1alpha1.IntegrationSpec{Connector: "okta", Permission: v1alpha1.PermissionReadAndAct}}
	if err := c.Create(t.Context(), side); err != nil {
		t.Fatal(err)
	}
	known := v1alpha1.OffboardingStatus{Name: "zoom", Method: "Automatic", Action: "user.suspend", Source: "Default"}
	declared := app.Spec.Offboarding[2]
	patch(app, func() {
		app.Spec.Offboarding = []v1alpha1.OffboardingMethod{declared, {Name: "okta", Method: "Delegate"}}
	})
	beside := v1alpha1.OffboardingStatus{Name: "okta", Method: "Delegate", Source: "Declared"}
	expect(metav1.ConditionTrue, v1alpha1.ReasonReconciled, nil, beside, known, delegated)
	patch(app, func() {
		app.Spec.Offboarding[1].Method, app.Spec.Offboarding[1].Action = "Automatic", "user.suspend"
	})
	expect(metav1.ConditionFalse, v1alpha1.ReasonOffboardingInvalid, []string{"would act on the account that the person has in its own system; name app.unassign"}, beside, known, delegated)
	side.Status.Digest = "1"
	if err := c.Status().Update(t.Context(), side); err != nil {
		t.Fatal(err)
	}
	patch(app, func() { app.Spec.Offboarding[1].Action = "app.unassign" })
	beside.Method, beside.Action = "Automatic", "app.unassign"
	expect(metav1.ConditionTrue, v1alpha1.ReasonReconciled, nil, beside, known, delegated)
	patch(app, func() { app.Spec.Offboarding[1].Method, app.Spec.Offboarding[1].Action = "Ignore", "" })
	expect(metav1.ConditionTrue, v1alpha1.ReasonReconciled, nil, v1alpha1.OffboardingStatus{Name: "okta", Method: "Ignore", Source: "Declared"}, known, delegated)

	// A disconnected account takes its offboarding with it.
	patch(app, func() { app.Spec.Offboarding = app.Spec.Offboarding[:1] })
	expect(metav1.ConditionTrue, v1alpha1.ReasonReconciled, nil, known, delegated)
	if err := c.Delete(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	expect(metav1.ConditionFalse, v1alpha1.ReasonReferenceNotFound, []string{"spec.offboarding[zoom-eu].name", "remove the entry"}, known)
}
