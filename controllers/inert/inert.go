// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package inert reconciles the kinds that this version checks and does not act
// on: Workflow, WorkflowRun, AccessRequest and APIKey. They say so in Ready,
// instead of standing there as if they worked.
package inert

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
)

// +kubebuilder:rbac:groups=seatkeeper.dev,resources=workflows;workflowruns;accessrequests;apikeys,verbs=get;list;watch
// +kubebuilder:rbac:groups=seatkeeper.dev,resources=workflows/status;workflowruns/status;accessrequests/status;apikeys/status,verbs=get;patch
// +kubebuilder:rbac:groups=seatkeeper.dev,resources=integrations;applications,verbs=get;list;watch

// SetupWithManager registers a controller per kind.
func SetupWithManager(mgr ctrl.Manager, env *reconcile.Env, workers int) error {
	return firstError(
		setup(mgr, workflows(env), workers, &v1alpha1.Integration{}, func() client.ObjectList { return &v1alpha1.WorkflowList{} }),
		setup(mgr, workflowRuns(env), workers, &v1alpha1.Workflow{}, func() client.ObjectList { return &v1alpha1.WorkflowRunList{} }),
		setup(mgr, accessRequests(env), workers, &v1alpha1.Application{}, func() client.ObjectList { return &v1alpha1.AccessRequestList{} }),
		setup(mgr, apiKeys(env), workers, nil, nil),
	)
}

func workflows(env *reconcile.Env) *reconcile.Loop[*v1alpha1.Workflow] {
	return loop(env, v1alpha1.KindWorkflow, func() *v1alpha1.Workflow { return &v1alpha1.Workflow{} }, v1alpha1.ConditionValid, checker{env.Client}.workflow)
}

func workflowRuns(env *reconcile.Env) *reconcile.Loop[*v1alpha1.WorkflowRun] {
	return loop(env, v1alpha1.KindWorkflowRun, func() *v1alpha1.WorkflowRun { return &v1alpha1.WorkflowRun{} }, v1alpha1.ConditionSucceeded, checker{env.Client}.workflowRun)
}

func accessRequests(env *reconcile.Env) *reconcile.Loop[*v1alpha1.AccessRequest] {
	return loop(env, v1alpha1.KindAccessRequest, func() *v1alpha1.AccessRequest { return &v1alpha1.AccessRequest{} }, v1alpha1.ConditionGranted, checker{env.Client}.accessRequest)
}

func apiKeys(env *reconcile.Env) *reconcile.Loop[*v1alpha1.APIKey] {
	return loop(env, v1alpha1.KindAPIKey, func() *v1alpha1.APIKey { return &v1alpha1.APIKey{} }, v1alpha1.ConditionDelivered, checker{env.Client}.apiKey)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// step checks one object; nil means that nothing is wrong with it.
type step[T reconcile.Object] func(context.Context, T, *reconcile.Conditions) error

// setup registers the controller of one kind. A change of a referred object
// wakes every object of the kind in its namespace.
func setup[T reconcile.Object](mgr ctrl.Manager, l *reconcile.Loop[T], workers int, referred client.Object, list func() client.ObjectList) error {
	b := ctrl.NewControllerManagedBy(mgr).Named(l.Kind).
		For(l.New(), builder.WithPredicates(reconcile.Changed())).
		WithOptions(reconcile.ControllerOptions(workers))
	if referred != nil {
		b = b.Watches(referred, handler.EnqueueRequestsFromMapFunc(reconcile.InNamespace(l.Env.Client, list)), builder.WithPredicates(reconcile.Changed()))
	}
	if err := b.Complete(l); err != nil {
		return fmt.Errorf("set up the controller of %s: %w", l.Kind, err)
	}
	return nil
}

// loop returns the loop of a kind that is checked only.
func loop[T reconcile.Object](env *reconcile.Env, kind string, empty func() T, condition string, check step[T]) *reconcile.Loop[T] {
	return &reconcile.Loop[T]{Env: env, Kind: kind, New: empty, Owned: []string{condition},
		Step: func(ctx context.Context, obj T, c *reconcile.Conditions) (reconcile.Outcome, error) {
			if err := check(ctx, obj, c); err != nil {
				return reconcile.Outcome{}, err
			}
			return reconcile.Outcome{}, notYet(kind)
		}}
}

// expectations say what each kind will do.
var expectations = map[string]string{
	v1alpha1.KindWorkflow:      "its Integrations and actions were found; expressions are not checked, no trigger is watched, and no run starts",
	v1alpha1.KindWorkflowRun:   "no run was started, and none will be from this object until a release does so",
	v1alpha1.KindAccessRequest: "nobody was asked and no access was granted",
	v1alpha1.KindAPIKey:        "no key was made and none works",
}

func notYet(kind string) error {
	return reconcile.Stalling(v1alpha1.ReasonNotImplemented, "this version checks a %s and does not act on it yet: %s", kind, expectations[kind])
}

// checker finds what a spec refers to.
type checker struct{ client.Reader }

func (c checker) workflow(ctx context.Context, w *v1alpha1.Workflow, conditions *reconcile.Conditions) error {
	uses, err := integrationsOf(w.Spec)
	if err != nil {
		return err
	}
	for _, u := range uses {
		var i v1alpha1.Integration
		err := c.Get(ctx, types.NamespacedName{Namespace: w.Namespace, Name: u.integration}, &i)
		if apierrors.IsNotFound(err) {
			message := fmt.Sprintf("it needs Integration %q, and there is none of that name in this namespace", u.integration)
			conditions.False(v1alpha1.ConditionValid, v1alpha1.ReasonIntegrationGone, message)
			return reconcile.Stalling(v1alpha1.ReasonIntegrationGone, "%s", message)
		}
		if err != nil {
			return fmt.Errorf("read Integration %q: %w", u.integration, err)
		}
		known := i.Status.Capabilities
		if u.action == "" || known == nil || slices.Contains(known.Actions, v1alpha1.ActionName(u.action)) {
			continue
		}
		message := fmt.Sprintf("Integration %q has no action %q", u.integration, u.action)
		conditions.False(v1alpha1.ConditionValid, v1alpha1.ReasonActionUnknown, message)
		return reconcile.Stalling(v1alpha1.ReasonActionUnknown, "%s", message)
	}
	conditions.Unknown(v1alpha1.ConditionValid, v1alpha1.ReasonNotImplemented, "Integrations and actions were found; expressions are not checked by this version")
	return nil
}

func (c checker) workflowRun(ctx context.Context, r *v1alpha1.WorkflowRun, conditions *reconcile.Conditions) error {
	conditions.Unknown(v1alpha1.ConditionSucceeded, v1alpha1.ReasonNotImplemented, "this version starts no run")
	return c.exists(ctx, r.Namespace, "spec.workflowRef.name", r.Spec.WorkflowRef.Name, v1alpha1.KindWorkflow, &v1alpha1.Workflow{})
}

func (c checker) accessRequest(ctx context.Context, r *v1alpha1.AccessRequest, conditions *reconcile.Conditions) error {
	conditions.Unknown(v1alpha1.ConditionGranted, v1alpha1.ReasonNotImplemented, "this version grants no access")
	var app v1alpha1.Application
	if err := c.exists(ctx, r.Namespace, "spec.applicationRef.name", r.Spec.ApplicationRef.Name, v1alpha1.KindApplication, &app); err != nil {
		return err
	}
	if app.Spec.Catalog == nil || !app.Spec.Catalog.Requestable {
		return reconcile.Stalling(v1alpha1.ReasonNotRequestable, "Application %q has no spec.catalog.requestable: true", app.Name)
	}
	return nil
}

func (c checker) apiKey(_ context.Context, _ *v1alpha1.APIKey, conditions *reconcile.Conditions) error {
	conditions.False(v1alpha1.ConditionDelivered, v1alpha1.ReasonNotImplemented, "this version makes no keys")
	return nil
}

func (c checker) exists(ctx context.Context, namespace, path string, name v1alpha1.ResourceName, kind string, into client.Object) error {
	err := c.Get(ctx, types.NamespacedName{Namespace: namespace, Name: string(name)}, into)
	if apierrors.IsNotFound(err) {
		return reconcile.Stalling(v1alpha1.ReasonReferenceNotFound, "%s: there is no %s %q in this namespace", path, kind, name)
	}
	if err != nil {
		return fmt.Errorf("read %s %q: %w", kind, name, err)
	}
	return nil
}

// use is one mention of an Integration, with the action asked of it.
type use struct{ integration, action string }

// integrationsOf walks the spec as JSON, because steps nest as three types.
func integrationsOf(spec v1alpha1.WorkflowSpec) ([]use, error) {
	data, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("encode the workflow: %w", err)
	}
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil {
		return nil, fmt.Errorf("decode the workflow: %w", err)
	}
	var out []use
	collect(tree, "", &out)
	slices.SortFunc(out, func(a, b use) int {
		return cmp.Or(cmp.Compare(a.integration, b.integration), cmp.Compare(a.action, b.action))
	})
	return slices.Compact(out), nil
}

func collect(node any, under string, out *[]use) {
	switch n := node.(type) {
	case []any:
		for _, v := range n {
			collect(v, under, out)
		}
	case map[string]any:
		if name, ok := n["integration"].(string); ok {
			u := use{integration: name}
			if under == "action" {
				u.action, _ = n["name"].(string)
			}
			*out = append(*out, u)
		}
		for k, v := range n {
			if k != "with" { // an action's input is not ours to read
				collect(v, k, out)
			}
		}
	}
}
