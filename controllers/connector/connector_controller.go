// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package connector reconciles Connectors: it validates the manifest and shows
// what it can do. Reading with it is the sync workers' business.
package connector

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
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

// Catalogue holds what Connectors could connect, for whoever asks what a
// namespace does not connect yet.
type Catalogue interface {
	PutConnector(ctx context.Context, namespace string, c Entry) error
	RemoveConnector(ctx context.Context, namespace, name string) error
}

// Entry is a Connector in the catalogue.
type Entry struct {
	Name, Title, Category string
	Domains               []string
}

// refresh is how often the catalogue is told that a Connector is still there.
const refresh = time.Hour

// Reconciler reconciles Connectors.
type Reconciler struct {
	Env       *reconcile.Env
	Manifests Manifests
	Catalogue Catalogue
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
		Gone: func(ctx context.Context, name types.NamespacedName) error {
			return r.Catalogue.RemoveConnector(ctx, name.Namespace, name.Name)
		},
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
	outcome, err := r.validate(obj)
	if err != nil {
		if removed := r.Catalogue.RemoveConnector(ctx, obj.Namespace, obj.Name); removed != nil {
			return outcome, reconcile.Transient(removed, v1alpha1.ReasonStoreUnavailable, "the store does not answer")
		}
		return outcome, err
	}
	entry := Entry{Name: obj.Name, Title: cmp.Or(obj.Spec.Title, obj.Name), Category: obj.Spec.Category}
	for _, d := range obj.Spec.Domains {
		entry.Domains = append(entry.Domains, string(d))
	}
	if err := r.Catalogue.PutConnector(ctx, obj.Namespace, entry); err != nil {
		return outcome, reconcile.Transient(err, v1alpha1.ReasonStoreUnavailable, "the store did not take the Connector")
	}
	return outcome, nil
}

// validate says whether Integrations may refer to the Connector, and what it can
// do.
func (r *Reconciler) validate(obj *v1alpha1.Connector) (reconcile.Outcome, error) {
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
		return reconcile.Outcome{}, reconcile.Stalling(v1alpha1.ReasonInvalidManifest, "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	obj.Status.Capabilities = capabilities
	return reconcile.Outcome{Reason: v1alpha1.ReasonManifestValid, Message: "the manifest is valid; Integrations may refer to it", RequeueAfter: refresh}, nil
}
