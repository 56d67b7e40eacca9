// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package integration reconciles Integrations. It checks what they say, hands
// them over to the sync workers, shows how syncing goes, and guards the
// disconnect. It reads no vendor itself.
package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

// Backend is what the controller needs of connectors, Secrets and the store. A
// *handover.Problem is for the user to see; an error is ours.
type Backend interface {
	// Describe returns what the connector can do.
	Describe(spec handover.Spec) (Connector, *handover.Problem)
	// Check reads the Secret again and says whether config and credentials are
	// what the connector asks for.
	Check(ctx context.Context, name string, spec handover.Spec) (Checked, *handover.Problem)
	// HandOver tells the sync workers what to do; it writes nothing if nothing
	// changed.
	HandOver(ctx context.Context, h HandOver) error
	// State returns what a worker left, nil before the first sync ended.
	State(ctx context.Context, namespace, name string) (*handover.Status, error)
	// Release lets the held set with this digest pass; false if none is held.
	Release(ctx context.Context, namespace, name, stream, digest string) (bool, error)
	// Webhooks says what the connector's webhooks need and how they fare.
	Webhooks(ctx context.Context, namespace, name string, spec handover.Spec) (Webhooks, *handover.Problem, error)
	// Disconnect hides the rows at once and has them purged after retainFor.
	Disconnect(ctx context.Context, namespace, name, reason string, retainFor time.Duration) error
}

// Connector is what a connector can do.
type Connector struct {
	Name         string
	MultiAccount bool
	DataTypes    []model.DataType
	Actions      []string
	Capabilities *v1alpha1.Capabilities
}

// Checked is what a look at connector and Secret found.
type Checked struct {
	// SecretVersion is the version of the Secret that was read.
	SecretVersion string
	// Overridden tells that the operator redirects a host of the connector.
	Overridden bool
}

// HandOver is what the sync workers get.
type HandOver struct {
	Namespace, Name, UID string
	Generation           int64
	// Request is the request for a sync now, empty for none.
	Request string
	Spec    handover.Spec
}

// Reconciler reconciles Integrations.
type Reconciler struct {
	Env     *reconcile.Env
	Backend Backend
	// Reader reads namespaces and Connectors, uncached.
	Reader client.Reader
	// Addresses makes the addresses of webhooks; nil makes none.
	Addresses Addresses
}

// +kubebuilder:rbac:groups=seatkeeper.dev,resources=integrations,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=seatkeeper.dev,resources=integrations/status,verbs=get;patch
// +kubebuilder:rbac:groups=seatkeeper.dev,resources=integrations/finalizers,verbs=update
// +kubebuilder:rbac:groups=seatkeeper.dev,resources=applications;licensepolicies;workflows;organizations;connectors,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// SetupWithManager registers the controller. changed carries an Integration
// whenever a worker left a new state.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, changed <-chan event.GenericEvent, workers int) error {
	dependents := handler.EnqueueRequestsFromMapFunc(r.terminatingIn)
	return ctrl.NewControllerManagedBy(mgr).
		Named("integration").
		For(&v1alpha1.Integration{}, builder.WithPredicates(reconcile.Changed(
			v1alpha1.ConfirmDisconnectAnnotation, v1alpha1.ReleaseAnnotation, v1alpha1.AcceptAccountAnnotation,
			v1alpha1.RotateWebhookAnnotation, v1alpha1.WebhookOverlapAnnotation))).
		Watches(&v1alpha1.Connector{}, handler.EnqueueRequestsFromMapFunc(r.usersOf), builder.WithPredicates(reconcile.Changed())).
		Watches(&v1alpha1.Application{}, dependents, builder.WithPredicates(reconcile.Changed())).
		Watches(&v1alpha1.LicensePolicy{}, dependents, builder.WithPredicates(reconcile.Changed())).
		Watches(&v1alpha1.Workflow{}, dependents, builder.WithPredicates(reconcile.Changed())).
		WatchesRawSource(source.Channel(changed, &handler.EnqueueRequestForObject{})).
		WithOptions(reconcile.ControllerOptions(workers)).
		Complete(r.loop())
}

func (r *Reconciler) loop() *reconcile.Loop[*v1alpha1.Integration] {
	return &reconcile.Loop[*v1alpha1.Integration]{
		Env: r.Env, Kind: v1alpha1.KindIntegration, New: func() *v1alpha1.Integration { return &v1alpha1.Integration{} },
		Owned: []string{v1alpha1.ConditionTested, v1alpha1.ConditionSynced, v1alpha1.ConditionHeld,
			v1alpha1.ConditionEndpointOverridden, v1alpha1.ConditionDisconnectHeld, v1alpha1.ConditionWebhookReady},
		Step: r.step, Finalizer: v1alpha1.DisconnectFinalizer, Delete: r.delete, Gone: r.gone,
	}
}

// Reconcile implements reconcile.Reconciler, for tests without a manager.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	return r.loop().Reconcile(ctx, req)
}

func (r *Reconciler) step(ctx context.Context, obj *v1alpha1.Integration, c *reconcile.Conditions) (reconcile.Outcome, error) {
	spec, state, problem, err := r.handOver(ctx, obj, false)
	if err != nil {
		return reconcile.Outcome{}, err
	}
	overridden := false
	if problem == nil {
		if overridden, problem, err = r.check(ctx, obj, &spec); err != nil {
			return reconcile.Outcome{}, err
		}
	}
	// What cannot be synced is handed over all the same, suspended, so that no
	// worker goes on with an older spec.
	h := HandOver{Namespace: obj.Namespace, Name: obj.Name, UID: string(obj.UID), Generation: obj.Generation, Spec: spec}
	h.Request, _ = reconcile.RequestedAt(obj)
	h.Spec.Suspended, h.Spec.Problem = spec.Suspended || problem != nil, problem
	if err := r.Backend.HandOver(ctx, h); err != nil {
		return reconcile.Outcome{}, reconcile.Transient(err, v1alpha1.ReasonStoreUnavailable, "the store did not take the hand-over")
	}
	if err := r.release(ctx, obj, state); err != nil {
		return reconcile.Outcome{}, err
	}
	again, err := r.webhooks(ctx, obj, c, spec, state, problem)
	if err != nil {
		return reconcile.Outcome{}, err
	}
	report(obj, c, spec, state, overridden)
	out, err := verdict(obj, spec, state, problem)
	out.RequeueAfter = again
	return out, err
}

// handOver builds what the workers get and reads what they left. A problem is
// what keeps the spec from being built as a whole.
func (r *Reconciler) handOver(ctx context.Context, obj *v1alpha1.Integration, disconnecting bool) (handover.Spec, *handover.Status, *handover.Problem, error) {
	spec, err := specOf(obj)
	var problem *handover.Problem
	var stalling *reconcile.StallingError
	if errors.As(err, &stalling) {
		problem = &handover.Problem{Reason: stalling.Reason, Message: stalling.Message}
	} else if err != nil {
		return spec, nil, nil, err
	}
	spec.Disconnecting = disconnecting
	obj.Status.Connector = spec.Connector
	if ref := obj.Spec.ConnectorRef; ref != nil {
		obj.Status.Connector = string(ref.Name)
		var conn v1alpha1.Connector
		err := r.Env.Client.Get(ctx, types.NamespacedName{Namespace: obj.Namespace, Name: string(ref.Name)}, &conn)
		switch {
		case apierrors.IsNotFound(err):
			problem = &handover.Problem{Reason: v1alpha1.ReasonConnectorNotFound,
				Message: fmt.Sprintf("spec.connectorRef.name: there is no Connector %q in this namespace", ref.Name)}
		case err != nil:
			return spec, nil, nil, fmt.Errorf("read Connector %q: %w", ref.Name, err)
		default:
			if spec.Manifest, err = json.Marshal(conn.Spec); err != nil {
				return spec, nil, nil, fmt.Errorf("encode Connector %q: %w", ref.Name, err)
			}
		}
	}
	state, err := r.Backend.State(ctx, obj.Namespace, obj.Name)
	if err != nil {
		return spec, nil, nil, reconcile.Transient(err, v1alpha1.ReasonStoreUnavailable, "the store does not answer")
	}
	setAccount(obj, state)
	return spec, state, problem, nil
}

// check returns the first thing that keeps the spec from being synced, and
// whether the operator redirects the connector.
func (r *Reconciler) check(ctx context.Context, obj *v1alpha1.Integration, spec *handover.Spec) (overridden bool, _ *handover.Problem, _ error) {
	conn, problem := r.Backend.Describe(*spec)
	if problem != nil {
		return false, problem, nil
	}
	obj.Status.Capabilities = conn.Capabilities
	if problem := checkAgainst(obj, conn); problem != nil {
		return false, problem, nil
	}
	var all v1alpha1.IntegrationList
	if err := r.Env.Client.List(ctx, &all, client.InNamespace(obj.Namespace)); err != nil {
		return false, nil, fmt.Errorf("list Integrations: %w", err)
	}
	if problem := checkSiblings(obj, conn, all.Items); problem != nil {
		return false, problem, nil
	}
	checked, problem := r.Backend.Check(ctx, obj.Name, *spec)
	spec.SecretVersion = checked.SecretVersion
	return checked.Overridden, problem, nil
}

// release passes the release annotation on. A digest that is not held releases
// nothing.
func (r *Reconciler) release(ctx context.Context, obj *v1alpha1.Integration, state *handover.Status) error {
	digest := obj.Annotations[v1alpha1.ReleaseAnnotation]
	if digest == "" || state == nil {
		return nil
	}
	for _, h := range state.Held {
		if h.Digest != digest {
			continue
		}
		released, err := r.Backend.Release(ctx, obj.Namespace, obj.Name, h.Stream, digest)
		if err != nil {
			return reconcile.Transient(err, v1alpha1.ReasonStoreUnavailable, "the store did not take the release")
		}
		if released {
			r.Env.Events.Normal(obj, v1alpha1.ReasonGuardHeld, "Release", fmt.Sprintf("released the held set of stream %s: %d of %d records may go", h.Stream, h.Count, h.Total))
		}
	}
	return nil
}

// usersOf maps a Connector to the Integrations that refer to it.
func (r *Reconciler) usersOf(ctx context.Context, conn client.Object) []ctrl.Request {
	return r.requests(ctx, conn.GetNamespace(), func(i *v1alpha1.Integration) bool {
		return i.Spec.ConnectorRef != nil && string(i.Spec.ConnectorRef.Name) == conn.GetName()
	})
}

// terminatingIn maps a possible dependent to the Integrations of its namespace
// that may wait for it to let go.
func (r *Reconciler) terminatingIn(ctx context.Context, obj client.Object) []ctrl.Request {
	return r.requests(ctx, obj.GetNamespace(), func(i *v1alpha1.Integration) bool { return !i.DeletionTimestamp.IsZero() })
}

func (r *Reconciler) requests(ctx context.Context, namespace string, match func(*v1alpha1.Integration) bool) []ctrl.Request {
	var all v1alpha1.IntegrationList
	if err := r.Env.Client.List(ctx, &all, client.InNamespace(namespace)); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Could not list Integrations", "namespace", namespace)
		return nil
	}
	var out []ctrl.Request
	for i := range all.Items {
		if match(&all.Items[i]) {
			out = append(out, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(&all.Items[i])})
		}
	}
	return out
}
