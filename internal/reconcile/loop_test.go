// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	crreconcile "sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/reconcile/reconciletest"
	"github.com/seatkeeper/seatkeeper/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Start(m) }

type fixture struct {
	client    client.Client
	namespace string
	clock     *clocktesting.FakeClock
	loop      *reconcile.Loop[*v1alpha1.Application]
	step      func(context.Context, *v1alpha1.Application, *reconcile.Conditions) (reconcile.Outcome, error)
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	env := testenv.Cluster(t)
	c := env.Client(t)
	f := &fixture{client: c, namespace: env.Namespace(t), clock: clocktesting.NewFakeClock(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC))}
	f.step = func(context.Context, *v1alpha1.Application, *reconcile.Conditions) (reconcile.Outcome, error) {
		return reconcile.Outcome{RequeueAfter: time.Hour}, nil
	}
	f.loop = &reconcile.Loop[*v1alpha1.Application]{
		Env: &reconcile.Env{Client: c, Clock: f.clock}, Kind: "Application", New: func() *v1alpha1.Application { return &v1alpha1.Application{} },
		Owned: []string{v1alpha1.ConditionInventoryStale},
		Step: func(ctx context.Context, a *v1alpha1.Application, c *reconcile.Conditions) (reconcile.Outcome, error) {
			f.clock.Step(time.Second) // time goes on, and that alone is no change
			return f.step(ctx, a, c)
		},
	}
	return f
}

func (f *fixture) create(t *testing.T) *v1alpha1.Application {
	t.Helper()
	app := &v1alpha1.Application{ObjectMeta: metav1.ObjectMeta{Name: "zoom", Namespace: f.namespace}, Spec: v1alpha1.ApplicationSpec{DisplayName: "Zoom"}}
	if err := f.client.Create(t.Context(), app, client.FieldOwner("git")); err != nil {
		t.Fatal(err)
	}
	return app
}

func ready(app *v1alpha1.Application) *metav1.Condition {
	return meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionReady)
}

func TestVerdicts(t *testing.T) {
	f := newFixture(t)
	app := f.create(t)
	if got := reconciletest.Kstatus(app); got != reconciletest.InProgress {
		t.Errorf("before the first visit: %s, want InProgress", got)
	}
	for _, tc := range []struct {
		name    string
		err     error
		verdict reconciletest.Verdict
		reason  string
		check   func(t *testing.T, res ctrl.Result, err error)
	}{
		{"done", nil, reconciletest.Current, v1alpha1.ReasonReconciled, func(t *testing.T, res ctrl.Result, err error) {
			if err != nil || res.RequeueAfter < 54*time.Minute || res.RequeueAfter > 66*time.Minute {
				t.Errorf("%+v, %v", res, err)
			}
		}},
		{"stalled", reconcile.Stalling(v1alpha1.ReasonInvalidSpec, "spec.x: bad"), reconciletest.Failed, v1alpha1.ReasonInvalidSpec, func(t *testing.T, res ctrl.Result, err error) {
			if !errors.Is(err, crreconcile.TerminalError(nil)) || res != (ctrl.Result{}) {
				t.Errorf("%+v, %v; want a terminal error alone", res, err)
			}
		}},
		{"waiting", reconcile.Waiting(v1alpha1.ReasonReferenceNotFound, time.Minute, "no Integration"), reconciletest.InProgress, v1alpha1.ReasonReferenceNotFound, func(t *testing.T, res ctrl.Result, err error) {
			if err != nil || res.RequeueAfter < 54*time.Second || res.RequeueAfter > 66*time.Second {
				t.Errorf("%+v, %v", res, err)
			}
		}},
		{"transient", errors.New("connection refused"), reconciletest.InProgress, v1alpha1.ReasonTransientError, func(t *testing.T, res ctrl.Result, err error) {
			if err == nil || errors.Is(err, crreconcile.TerminalError(nil)) || res != (ctrl.Result{}) {
				t.Errorf("%+v, %v; want an error that is retried", res, err)
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f.step = func(context.Context, *v1alpha1.Application, *reconcile.Conditions) (reconcile.Outcome, error) {
				return reconcile.Outcome{RequeueAfter: time.Hour}, tc.err
			}
			res, err := f.loop.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(app)})
			tc.check(t, res, err)
			reconciletest.Steady(t, f.client, app, f.loop)
			if got := reconciletest.Kstatus(app); got != tc.verdict || ready(app).Reason != tc.reason {
				t.Errorf("%s, Ready reason %s; want %s, %s", got, ready(app).Reason, tc.verdict, tc.reason)
			}
		})
	}
}

// A failure whose text differs at every try must not write at every try.
func TestMovingMessagesStayStill(t *testing.T) {
	f := newFixture(t)
	app := f.create(t)
	n := 0
	f.step = func(context.Context, *v1alpha1.Application, *reconcile.Conditions) (reconcile.Outcome, error) {
		n++
		return reconcile.Outcome{}, errors.New("request 7d444840-9dc0-11d1-b245-5ffdce74fad" + string(rune('0'+n)) + " at 2026-11-21T12:00:0" + string(rune('0'+n)) + "Z failed:\n read tcp 127.0.0.1:5" + string(rune('0'+n)) + "123->127.0.0.1:5432: reset")
	}
	reconciletest.Steady(t, f.client, app, f.loop)
	if msg := ready(app).Message; !strings.Contains(msg, "failed: read tcp …127.0.0.1:5432: reset") {
		t.Errorf("the message lost what matters: %q", msg)
	}
}

func TestDomainConditionsGoWhenTheyNoLongerApply(t *testing.T) {
	f := newFixture(t)
	app := f.create(t)
	stale := true
	f.step = func(_ context.Context, _ *v1alpha1.Application, c *reconcile.Conditions) (reconcile.Outcome, error) {
		if stale {
			c.True(v1alpha1.ConditionInventoryStale, v1alpha1.ReasonInventoryStale, "zoom is stale")
		}
		return reconcile.Outcome{}, nil
	}
	reconciletest.Steady(t, f.client, app, f.loop)
	if meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionInventoryStale) == nil {
		t.Fatal("the condition is missing")
	}
	stale = false
	reconciletest.Steady(t, f.client, app, f.loop)
	if c := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionInventoryStale); c != nil {
		t.Errorf("the condition is still there: %+v", c)
	}
}

// Somebody else's condition, written while we were at work, survives.
func TestForeignConditionsSurvive(t *testing.T) {
	f := newFixture(t)
	app := f.create(t)
	f.step = func(ctx context.Context, a *v1alpha1.Application, _ *reconcile.Conditions) (reconcile.Outcome, error) {
		other := a.DeepCopy()
		other.Status.Conditions = append(other.Status.Conditions, metav1.Condition{Type: "Audited", Status: metav1.ConditionTrue, Reason: "Done", Message: "by bob", LastTransitionTime: metav1.Now()})
		if err := f.client.Status().Update(ctx, other); err != nil {
			t.Fatal(err)
		}
		a.Status.Connected = true
		return reconcile.Outcome{}, nil
	}
	if _, err := f.loop.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(app)}); err != nil {
		t.Fatal(err)
	}
	if err := f.client.Get(t.Context(), client.ObjectKeyFromObject(app), app); err != nil {
		t.Fatal(err)
	}
	if meta.FindStatusCondition(app.Status.Conditions, "Audited") == nil || ready(app) == nil || !app.Status.Connected {
		t.Errorf("lost something: %+v", app.Status)
	}
}

func TestFinalizerAndDeletion(t *testing.T) {
	f := newFixture(t)
	app := f.create(t)
	held, gone := true, false
	f.loop.Finalizer = v1alpha1.DisconnectFinalizer
	f.loop.Delete = func(context.Context, *v1alpha1.Application, *reconcile.Conditions) (bool, reconcile.Outcome, error) {
		if held {
			return false, reconcile.Outcome{}, reconcile.Waiting(v1alpha1.ReasonDependentsExist, 0, "policy zoom-90d needs it")
		}
		return true, reconcile.Outcome{}, nil
	}
	f.loop.Gone = func(context.Context, types.NamespacedName) error { gone = true; return nil }
	reconciletest.Steady(t, f.client, app, f.loop)
	if !controllerutil.ContainsFinalizer(app, v1alpha1.DisconnectFinalizer) {
		t.Fatal("no finalizer")
	}
	for _, entry := range app.ManagedFields {
		if entry.Subresource == "" && entry.FieldsV1 != nil && strings.Contains(entry.FieldsV1.GetRawString(), "f:finalizers") && strings.Contains(entry.FieldsV1.GetRawString(), "f:spec") {
			t.Errorf("the patch of the finalizer claimed the spec: %s", entry.FieldsV1.GetRawString())
		}
	}
	if err := f.client.Delete(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	reconciletest.Steady(t, f.client, app, f.loop)
	if reconciletest.Kstatus(app) != reconciletest.Terminating || ready(app).Reason != v1alpha1.ReasonDependentsExist {
		t.Errorf("%s, %+v", reconciletest.Kstatus(app), ready(app))
	}
	held = false
	reconciletest.Reconcile(t, f.loop, app)
	reconciletest.Reconcile(t, f.loop, app)
	if err := f.client.Get(t.Context(), client.ObjectKeyFromObject(app), app); err == nil || !gone {
		t.Errorf("still there (%v), Gone called: %v", err, gone)
	}
}

func TestRequestsAreEchoedAndWake(t *testing.T) {
	f := newFixture(t)
	app := f.create(t)
	reconciletest.Steady(t, f.client, app, f.loop)
	before := app.DeepCopy()
	app.Annotations = map[string]string{v1alpha1.RequestedAtAnnotation: "now"}
	if err := f.client.Update(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	if !reconcile.Changed().Update(event.UpdateEvent{ObjectOld: before, ObjectNew: app}) {
		t.Error("the request does not wake the controller")
	}
	reconciletest.Steady(t, f.client, app, f.loop)
	status := app.DeepCopy()
	status.Status.Connected = true
	if reconcile.Changed().Update(event.UpdateEvent{ObjectOld: app, ObjectNew: status}) {
		t.Error("a change of status wakes the controller")
	}
}

// Decision 28: at most one write per object in 30 s, unless a person would
// notice the change.
func TestStatusWritesAreBounded(t *testing.T) {
	f := newFixture(t)
	f.loop.Env.Writes = reconcile.NewWriteLimiter()
	app := f.create(t)
	var users int64
	f.step = func(_ context.Context, a *v1alpha1.Application, c *reconcile.Conditions) (reconcile.Outcome, error) {
		a.Status.Users = &v1alpha1.UserCounts{Total: users}
		if users == 3 {
			c.True(v1alpha1.ConditionInventoryStale, v1alpha1.ReasonInventoryStale, "zoom is stale")
		}
		return reconcile.Outcome{RequeueAfter: time.Hour}, nil
	}
	seen := func() int64 {
		t.Helper()
		if err := f.client.Get(t.Context(), client.ObjectKeyFromObject(app), app); err != nil {
			t.Fatal(err)
		}
		return app.Status.Users.Total
	}
	users = 1
	reconciletest.Reconcile(t, f.loop, app)
	users = 2
	f.clock.Step(10 * time.Second)
	if res := reconciletest.Reconcile(t, f.loop, app); res.RequeueAfter > 20*time.Second || res.RequeueAfter <= 0 {
		t.Errorf("requeue after %s; want the 20 s that are left", res.RequeueAfter)
	}
	if got := seen(); got != 1 {
		t.Errorf("written within 30 s: %d", got)
	}
	users = 3 // a condition turns: at once
	reconciletest.Reconcile(t, f.loop, app)
	if got := seen(); got != 3 {
		t.Errorf("a turned condition was not written: %d", got)
	}
	users = 4
	f.clock.Step(31 * time.Second)
	reconciletest.Reconcile(t, f.loop, app)
	if got := seen(); got != 4 {
		t.Errorf("not written after 30 s: %d", got)
	}
}

func TestSuspended(t *testing.T) {
	f := newFixture(t)
	app := f.create(t)
	f.loop.Suspended = func(*v1alpha1.Application) bool { return true }
	f.step = func(context.Context, *v1alpha1.Application, *reconcile.Conditions) (reconcile.Outcome, error) {
		t.Error("the step ran")
		return reconcile.Outcome{}, nil
	}
	reconciletest.Steady(t, f.client, app, f.loop)
	if ready(app).Reason != v1alpha1.ReasonSuspended {
		t.Errorf("%+v", ready(app))
	}
}

// The checks themselves must be able to fail.
func TestViolationsAreFound(t *testing.T) {
	now := metav1.Now()
	cond := func(kind string, status metav1.ConditionStatus, message string) metav1.Condition {
		return metav1.Condition{Type: kind, Status: status, Reason: v1alpha1.ReasonReconciled, Message: message, ObservedGeneration: 1, LastTransitionTime: now}
	}
	for name, list := range map[string][]metav1.Condition{
		"Ready is missing":     {},
		"both there":           {cond("Ready", "False", "x"), cond("Reconciling", "True", "x"), cond("Stalled", "True", "x")},
		"only while True":      {cond("Ready", "True", "x"), cond("Stalled", "False", "x")},
		"Ready is True beside": {cond("Ready", "True", "x"), cond("Reconciling", "True", "x")},
		"changes by itself":    {cond("Ready", "True", "done at 2026-11-21T12:00:00Z")},
		"needs reason":         {cond("Ready", "True", "")},
		"there twice":          {cond("Ready", "True", "x"), cond("Ready", "True", "x")},
	} {
		app := &v1alpha1.Application{ObjectMeta: metav1.ObjectMeta{Generation: 1}}
		app.Status.ObservedGeneration, app.Status.Conditions = 1, list
		if got := strings.Join(reconciletest.Violations(app), "; "); !strings.Contains(got, name) {
			t.Errorf("%q is not found: %q", name, got)
		}
	}
	app := &v1alpha1.Application{ObjectMeta: metav1.ObjectMeta{Generation: 1}}
	app.Status.ObservedGeneration, app.Status.Conditions = 1, []metav1.Condition{cond("Ready", "True", "x")}
	if got := reconciletest.Violations(app); len(got) > 0 {
		t.Errorf("a good status: %v", got)
	}
}
