// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package connector reconciles Connectors: it validates the manifest and shows
// what it can do. Reading with it is the sync workers' business.
package connector

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
)

// Manifests validates manifests.
type Manifests interface {
	// Validate returns what the manifest of a Connector can do, or every fault.
	Validate(name string, spec json.RawMessage) (*v1alpha1.Capabilities, error)
	// Builtin lists the names of the built-in connectors.
	Builtin() []string
}

// Reconciler reconciles Connectors.
type Reconciler struct {
	Env       *reconcile.Env
	Manifests Manifests
}

// +kubebuilder:rbac:groups=seatkeeper.dev,resources=connectors;integrations,verbs=get;list;watch
// +kubebuilder:rbac:groups=seatkeeper.dev,resources=connectors/status,verbs=get;patch

// SetupWithManager registers the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, workers int) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("connector").
		For(&v1alpha1.Connector{}, builder.WithPredicates(reconcile.Changed())).
		Watches(&v1alpha1.Integration{}, handler.EnqueueRequestsFromMapFunc(used), builder.WithPredicates(reconcile.Changed())).
		WithOptions(reconcile.ControllerOptions(workers)).
		Complete(r.loop())
}

// used maps an Integration to the Connector that it refers to.
func used(_ context.Context, obj client.Object) []ctrl.Request {
	i, ok := obj.(*v1alpha1.Integration)
	if !ok || i.Spec.ConnectorRef == nil {
		return nil
	}
	return []ctrl.Request{{NamespacedName: client.ObjectKey{Namespace: i.Namespace, Name: string(i.Spec.ConnectorRef.Name)}}}
}

func (r *Reconciler) loop() *reconcile.Loop[*v1alpha1.Connector] {
	return &reconcile.Loop[*v1alpha1.Connector]{
		Env: r.Env, Kind: v1alpha1.KindConnector, New: func() *v1alpha1.Connector { return &v1alpha1.Connector{} }, Step: r.step,
	}
}

// Reconcile implements reconcile.Reconciler, for tests without a manager.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	return r.loop().Reconcile(ctx, req)
}

func (r *Reconciler) step(ctx context.Context, obj *v1alpha1.Connector, _ *reconcile.Conditions) (reconcile.Outcome, error) {
	var all v1alpha1.IntegrationList
	if err := r.Env.Client.List(ctx, &all, client.InNamespace(obj.Namespace)); err != nil {
		return reconcile.Outcome{}, fmt.Errorf("list Integrations: %w", err)
	}
	obj.Status.Integrations = 0
	for _, i := range all.Items {
		if i.Spec.ConnectorRef != nil && string(i.Spec.ConnectorRef.Name) == obj.Name {
			obj.Status.Integrations++
		}
	}
	obj.Status.Capabilities = nil
	if slices.Contains(r.Manifests.Builtin(), obj.Name) {
		return reconcile.Outcome{}, reconcile.Stalling(v1alpha1.ReasonNameReserved,
			"a built-in connector is called %q; give this one another name", obj.Name)
	}
	spec, err := json.Marshal(obj.Spec)
	if err != nil {
		return reconcile.Outcome{}, fmt.Errorf("encode the manifest: %w", err)
	}
	capabilities, err := r.Manifests.Validate(obj.Name, spec)
	if err != nil {
		return reconcile.Outcome{}, reconcile.Stalling(v1alpha1.ReasonInvalidManifest, "%v", err)
	}
	obj.Status.Capabilities = capabilities
	return reconcile.Outcome{Reason: v1alpha1.ReasonManifestValid, Message: "the manifest is valid; Integrations may refer to it"}, nil
}
