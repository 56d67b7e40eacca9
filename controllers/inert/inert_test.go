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

func TestWorkflow(t *testing.T) {
	k := newKit(t)
	action := func(name string) v1alpha1.Step {
		return v1alpha1.Step{StepBase: v1alpha1.StepBase{Name: "act"},
			StepAction: v1alpha1.StepAction{Action: &v1alpha1.ActionStep{Integration: "zoom", Name: v1alpha1.ActionName(name)}}}
	}
	known, unknown := &v1alpha1.Workflow{ObjectMeta: k.meta("leaver")}, &v1alpha1.Workflow{ObjectMeta: k.meta("joiner")}
	for w, name := range map[*v1alpha1.Workflow]string{known: "user.deactivate", unknown: "user.promote"} {
		w.Spec = v1alpha1.WorkflowSpec{Trigger: v1alpha1.Trigger{Manual: &v1alpha1.ManualTrigger{}}, Steps: []v1alpha1.Step{action(name)}}
		k.create(w)
		refuses(k, w, workflows(k.env), v1alpha1.ReasonIntegrationGone, metav1.ConditionFalse, `"zoom"`)
	}

	zoom := &v1alpha1.Integration{ObjectMeta: k.meta("zoom"), Spec: v1alpha1.IntegrationSpec{Connector: "zoom"}}
	k.create(zoom)
	zoom.Status.Capabilities = &v1alpha1.Capabilities{Actions: []v1alpha1.ActionName{"user.deactivate"},
		LastActivity: v1alpha1.LastActivityReported, Accounts: v1alpha1.AccountsSingle}
	if err := k.client.Status().Update(t.Context(), zoom); err != nil {
		t.Fatal(err)
	}
	refuses(k, known, workflows(k.env), v1alpha1.ReasonNotImplemented, metav1.ConditionUnknown, "Workflow", "no run starts")
	refuses(k, unknown, workflows(k.env), v1alpha1.ReasonActionUnknown, metav1.ConditionFalse, `"user.promote"`, `"zoom"`)
}

func TestWorkflowRun(t *testing.T) {
	k := newKit(t)
	run := &v1alpha1.WorkflowRun{ObjectMeta: k.meta("leaver-jo"), Spec: v1alpha1.WorkflowRunSpec{WorkflowRef: v1alpha1.ObjectReference{Name: "leaver"}}}
	k.create(run)
	refuses(k, run, workflowRuns(k.env), v1alpha1.ReasonReferenceNotFound, metav1.ConditionUnknown, "spec.workflowRef.name", `"leaver"`)
	k.create(&v1alpha1.Workflow{ObjectMeta: k.meta("leaver"), Spec: v1alpha1.WorkflowSpec{
		Trigger: v1alpha1.Trigger{Manual: &v1alpha1.ManualTrigger{}},
		Steps:   []v1alpha1.Step{{StepBase: v1alpha1.StepBase{Name: "all"}, StepAction: v1alpha1.StepAction{Offboarding: &v1alpha1.OffboardingStep{}}}}}})
	refuses(k, run, workflowRuns(k.env), v1alpha1.ReasonNotImplemented, metav1.ConditionUnknown, "WorkflowRun", "no run was started")
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

func TestAPIKey(t *testing.T) {
	k := newKit(t)
	key := &v1alpha1.APIKey{ObjectMeta: k.meta("scim"), Spec: v1alpha1.APIKeySpec{Type: "SCIM"}}
	k.create(key)
	refuses(k, key, apiKeys(k.env), v1alpha1.ReasonNotImplemented, metav1.ConditionFalse, "APIKey", "none works")
	if key.Status.CommonStatus.ObservedGeneration != key.Generation {
		t.Errorf("observed generation %d of %d", key.Status.CommonStatus.ObservedGeneration, key.Generation)
	}
}

// TestIntegrationsOf finds every mention, however deep, and none in an action's
// input, which is not ours to read.
func TestIntegrationsOf(t *testing.T) {
	uses, err := integrationsOf(v1alpha1.WorkflowSpec{})
	if err != nil || len(uses) != 0 {
		t.Errorf("an empty spec uses %v, %v", uses, err)
	}
	var out []use
	collect(map[string]any{
		"trigger": map[string]any{"webhook": map[string]any{"integration": "slack"}},
		"steps": []any{map[string]any{"switch": []any{map[string]any{"steps": []any{map[string]any{"action": map[string]any{
			"integration": "zoom", "name": "user.deactivate", "with": map[string]any{"integration": "input"}}}}}}}},
	}, "", &out)
	want := map[use]bool{{"slack", ""}: true, {"zoom", "user.deactivate"}: true}
	for _, u := range out {
		if !want[u] {
			t.Errorf("%+v is no mention of an Integration", u)
		}
		delete(want, u)
	}
	if len(want) > 0 {
		t.Errorf("not found: %v", want)
	}
}
