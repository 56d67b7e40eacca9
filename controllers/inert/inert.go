// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package inert reconciles the kind that this version checks and does not act
// on: AccessRequest. It says so in Ready, instead of standing there as if it
// worked.
package inert

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
)

// +kubebuilder:rbac:groups=seatkeeper.dev,resources=accessrequests,verbs=get;list;watch
// +kubebuilder:rbac:groups=seatkeeper.dev,resources=accessrequests/status,verbs=get;patch
// +kubebuilder:rbac:groups=seatkeeper.dev,resources=applications,verbs=get;list;watch

// SetupWithManager registers the controller. A change of an Application wakes
// every AccessRequest in its namespace.
func SetupWithManager(mgr ctrl.Manager, env *reconcile.Env, workers int) error {
	l := accessRequests(env)
	all := reconcile.InNamespace(env.Client, func() client.ObjectList { return &v1alpha1.AccessRequestList{} })
	err := ctrl.NewControllerManagedBy(mgr).Named(l.Kind).
		For(l.New(), builder.WithPredicates(reconcile.Changed())).
		Watches(&v1alpha1.Application{}, handler.EnqueueRequestsFromMapFunc(all), builder.WithPredicates(reconcile.Changed())).
		WithOptions(reconcile.ControllerOptions(workers)).
		Complete(l)
	if err != nil {
		return fmt.Errorf("set up the controller of %s: %w", l.Kind, err)
	}
	return nil
}

func accessRequests(env *reconcile.Env) *reconcile.Loop[*v1alpha1.AccessRequest] {
	return &reconcile.Loop[*v1alpha1.AccessRequest]{
		Env: env, Kind: v1alpha1.KindAccessRequest, New: func() *v1alpha1.AccessRequest { return &v1alpha1.AccessRequest{} },
		Owned: []string{v1alpha1.ConditionGranted},
		Step: func(ctx context.Context, r *v1alpha1.AccessRequest, c *reconcile.Conditions) (reconcile.Outcome, error) {
			c.Unknown(v1alpha1.ConditionGranted, v1alpha1.ReasonNotImplemented, "this version grants no access")
			return reconcile.Outcome{}, check(ctx, env.Client, r)
		},
	}
}

// check finds what a request refers to; nil is never the end of it.
func check(ctx context.Context, c client.Reader, r *v1alpha1.AccessRequest) error {
	var app v1alpha1.Application
	err := c.Get(ctx, types.NamespacedName{Namespace: r.Namespace, Name: string(r.Spec.ApplicationRef.Name)}, &app)
	if apierrors.IsNotFound(err) {
		return reconcile.Stalling(v1alpha1.ReasonReferenceNotFound, "spec.applicationRef.name: there is no Application %q in this namespace", r.Spec.ApplicationRef.Name)
	}
	if err != nil {
		return fmt.Errorf("read Application %q: %w", r.Spec.ApplicationRef.Name, err)
	}
	if app.Spec.Catalog == nil || !app.Spec.Catalog.Requestable {
		return reconcile.Stalling(v1alpha1.ReasonNotRequestable, "Application %q has no spec.catalog.requestable: true", app.Name)
	}
	return reconcile.Stalling(v1alpha1.ReasonNotImplemented, "this version checks an AccessRequest and does not act on it yet: nobody was asked and no access was granted")
}
