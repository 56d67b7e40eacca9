// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package reconciletest holds what the status of every kind must keep, as
// checks for tests: invariants of conditions, the verdict that kstatus would
// give, and silence in steady state. Every controller test runs it.
package reconciletest

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/yaml"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	own "github.com/seatkeeper/seatkeeper/internal/reconcile"
)

// MaxObjectBytes is the largest object that a controller may leave behind.
const MaxObjectBytes = 50 << 10

// Verdict is what kstatus says of an object.
type Verdict string

// Verdicts.
const (
	Current     Verdict = "Current"
	InProgress  Verdict = "InProgress"
	Failed      Verdict = "Failed"
	Terminating Verdict = "Terminating"
)

// Kstatus gives the verdict of the generic algorithm of
// sigs.k8s.io/cli-utils/pkg/kstatus, by which Flux and Argo CD wait.
func Kstatus(obj own.Object) Verdict {
	if !obj.GetDeletionTimestamp().IsZero() {
		return Terminating
	}
	status := obj.GetCommonStatus()
	if status.ObservedGeneration != obj.GetGeneration() {
		return InProgress
	}
	is := func(kind string, want metav1.ConditionStatus) bool {
		return slices.ContainsFunc(status.Conditions, func(c metav1.Condition) bool { return c.Type == kind && c.Status == want })
	}
	switch {
	case is(v1alpha1.ConditionReconciling, metav1.ConditionTrue):
		return InProgress
	case is(v1alpha1.ConditionStalled, metav1.ConditionTrue):
		return Failed
	case is(v1alpha1.ConditionReady, metav1.ConditionTrue):
		return Current
	case is(v1alpha1.ConditionReady, metav1.ConditionFalse), is(v1alpha1.ConditionReady, metav1.ConditionUnknown):
		return InProgress
	}
	return Current
}

// moving is what no message may hold: it would change at every try.
var moving = regexp.MustCompile(`\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|0x[0-9a-f]{6,}`)

// Violations lists what is wrong with the status of an object that was
// reconciled.
func Violations(obj own.Object) (list []string) {
	bad := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	status := obj.GetCommonStatus()
	byType := map[string]*metav1.Condition{}
	for i := range status.Conditions {
		c := &status.Conditions[i]
		if byType[c.Type] != nil {
			bad("condition %s is there twice", c.Type)
		}
		byType[c.Type] = c
		if c.Reason == "" || c.Message == "" {
			bad("condition %s needs reason and message", c.Type)
		}
		if c.LastTransitionTime.IsZero() {
			bad("condition %s has no lastTransitionTime", c.Type)
		}
		limit := own.MaxMessage
		if c.Type == v1alpha1.ConditionReady && c.Status == metav1.ConditionFalse {
			limit = own.MaxVerbatim
		}
		if len(c.Message) > limit {
			bad("the message of condition %s has %d bytes, at most %d", c.Type, len(c.Message), limit)
		}
		if m := moving.FindString(c.Message); m != "" {
			bad("the message of condition %s holds %q, which changes by itself", c.Type, m)
		}
		if c.ObservedGeneration > obj.GetGeneration() || c.ObservedGeneration <= 0 {
			bad("condition %s observed generation %d of %d", c.Type, c.ObservedGeneration, obj.GetGeneration())
		}
		if reason := c.Reason; !slices.ContainsFunc(v1alpha1.Reasons, func(r v1alpha1.ReasonInfo) bool { return r.Reason == reason }) {
			bad("condition %s has the unregistered reason %s", c.Type, reason)
		}
	}
	ready, reconciling, stalled := byType[v1alpha1.ConditionReady], byType[v1alpha1.ConditionReconciling], byType[v1alpha1.ConditionStalled]
	if ready == nil {
		bad("Ready is missing")
		return list
	}
	if reconciling != nil && stalled != nil {
		bad("Reconciling and Stalled are both there")
	}
	for _, c := range []*metav1.Condition{reconciling, stalled} {
		if c == nil {
			continue
		}
		if c.Status != metav1.ConditionTrue {
			bad("%s is %s: it is there only while True", c.Type, c.Status)
		}
		if ready.Status == metav1.ConditionTrue {
			bad("Ready is True beside %s", c.Type)
		}
		if c.ObservedGeneration != ready.ObservedGeneration {
			bad("%s and Ready observed different generations", c.Type)
		}
	}
	if stalled != nil && ready.Status != metav1.ConditionFalse {
		bad("Ready is %s while Stalled", ready.Status)
	}
	if status.ObservedGeneration != obj.GetGeneration() {
		bad("status observed generation %d, the object is at %d", status.ObservedGeneration, obj.GetGeneration())
	}
	if ready.ObservedGeneration != status.ObservedGeneration {
		bad("Ready observed generation %d, the status %d", ready.ObservedGeneration, status.ObservedGeneration)
	}
	if at, ok := own.RequestedAt(obj); ok && status.LastHandledReconcileAt != at {
		bad("the request %q is not echoed in lastHandledReconcileAt %q", at, status.LastHandledReconcileAt)
	}
	raw, err := json.Marshal(obj)
	if err != nil || len(raw) > MaxObjectBytes {
		bad("the object has %d bytes, at most %d (%v)", len(raw), MaxObjectBytes, err)
	}
	return list
}

// Check reads the object and fails the test for each violation.
func Check(t testing.TB, c client.Client, obj own.Object) {
	t.Helper()
	read(t, c, obj)
	for _, v := range Violations(obj) {
		t.Errorf("%s: %s", client.ObjectKeyFromObject(obj), v)
	}
}

func read(t testing.TB, c client.Client, obj client.Object) {
	t.Helper()
	if err := c.Get(context.Background(), client.ObjectKeyFromObject(obj), obj); err != nil {
		t.Fatalf("read %s: %v", client.ObjectKeyFromObject(obj), err)
	}
}

// passes is how often Steady reconciles.
const passes = 4

// Steady reconciles the object until it has settled and then some more, and
// fails if a pass wrote anything (invariant 13) or if the status breaks an
// invariant. obj holds the object afterwards. A client that reads what it wrote
// is needed, not a cache.
func Steady(t testing.TB, c client.Client, obj own.Object, r reconcile.Reconciler) {
	t.Helper()
	Reconcile(t, r, obj)
	Check(t, c, obj)
	for pass := 2; pass <= passes; pass++ {
		version := obj.GetResourceVersion()
		before, err := json.Marshal(obj)
		if err != nil {
			t.Fatal(err)
		}
		Reconcile(t, r, obj)
		Check(t, c, obj)
		if obj.GetResourceVersion() != version {
			after, _ := json.Marshal(obj)
			t.Errorf("pass %d wrote although nothing had changed\nbefore %s\nafter  %s", pass, before, after)
			return
		}
	}
}

// Reconcile runs one pass. A stalled object returns an error, which is the
// verdict and no failure of the test.
func Reconcile(t testing.TB, r reconcile.Reconciler, obj client.Object) ctrl.Result {
	t.Helper()
	res, err := r.Reconcile(context.Background(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(obj)})
	if err != nil {
		t.Logf("Reconcile: %v", err)
	}
	if err != nil && res.RequeueAfter != 0 {
		t.Errorf("RequeueAfter %s beside an error", res.RequeueAfter)
	}
	return res
}

// Create makes an object of YAML, as git would.
func Create[T client.Object](t testing.TB, c client.Client, namespace, name, text string, obj T) T {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(text), obj); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	obj.SetName(name)
	obj.SetNamespace(namespace)
	if err := c.Create(context.Background(), obj, client.FieldOwner("git")); err != nil {
		t.Fatalf("create %s: %v", name, err)
	}
	return obj
}

// WantReady compares condition Ready, whose message has to hold the words.
func WantReady(t testing.TB, obj own.Object, status metav1.ConditionStatus, reason string, words ...string) {
	t.Helper()
	ready := meta.FindStatusCondition(obj.GetCommonStatus().Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Status != status || ready.Reason != reason {
		t.Errorf("Ready is %+v; want %s %s", ready, status, reason)
		return
	}
	for _, w := range words {
		if !strings.Contains(ready.Message, w) {
			t.Errorf("the message does not say %q: %s", w, ready.Message)
		}
	}
}
