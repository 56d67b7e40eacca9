// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package licensepolicy reconciles LicensePolicies: it resolves what a policy
// rests on, has it evaluated, and shows the result. It decides nothing itself.
package licensepolicy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/govern"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/policy"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// Backend is what the controller needs of the store; govern.Backend is it.
type Backend interface {
	Integrations(ctx context.Context, namespace string) (map[string]store.IntegrationState, error)
	Plans(ctx context.Context, namespace string, integrations []string) ([]store.PlanRollup, error)
	Groups(ctx context.Context, namespace, integration, ref string) (found []model.DirectoryGroup, listed int64, err error)
	Put(ctx context.Context, namespace string, p store.PolicyState) (store.PolicyState, error)
	Remove(ctx context.Context, namespace, name string) error
	Evaluate(ctx context.Context, namespace string, req govern.Request) (govern.Result, error)
	Acted(ctx context.Context, namespace, name string, at time.Time) error
	Release(ctx context.Context, namespace, name, digest string, by model.Actor) (bool, error)
	Outcomes(ctx context.Context, namespace, name string) (store.RunCounts, []store.LedgerTotal, error)
	Released(ctx context.Context) ([][2]string, error)
}

var _ Backend = govern.Backend{}

// Connectors is what the controller needs to know of connectors.
type Connectors interface {
	// Domains returns the web domains of the connector of an Integration.
	Domains(ctx context.Context, i *v1alpha1.Integration) []string
	// Action describes an action of it; ok is false if it has none of that name.
	Action(ctx context.Context, i *v1alpha1.Integration, name string) (a Action, ok bool)
}

// Action is what matters about an action that takes a seat back.
type Action struct {
	Destructive bool
	// EndsAccount says that the account goes with the seat.
	EndsAccount bool
	// AccountInput, PlanInput and GroupInput name the inputs that take the
	// vendor's account id, plan key and group id; empty: there is none.
	AccountInput, PlanInput, GroupInput string
}

// Reconciler reconciles LicensePolicies.
type Reconciler struct {
	Env        *reconcile.Env
	Backend    Backend
	Connectors Connectors
	Mail       Mail // nil: nothing is said of it
}

// +kubebuilder:rbac:groups=seatkeeper.dev,resources=licensepolicies;applications;integrations;contracts;organizations,verbs=get;list;watch
// +kubebuilder:rbac:groups=seatkeeper.dev,resources=licensepolicies/status,verbs=get;patch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// SetupWithManager registers the controller. changed carries a LicensePolicy
// whenever the inventory that it rests on changed.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, changed <-chan event.GenericEvent, workers int) error {
	released := make(chan event.GenericEvent, 64)
	if err := mgr.Add(&releaseWatcher{backend: r.Backend, clock: r.Env.Time(), out: released}); err != nil {
		return fmt.Errorf("add the watch for releases: %w", err)
	}
	// All of them rest on the Organization, and telling the others apart costs
	// more than an evaluation that writes nothing.
	list := func() client.ObjectList { return &v1alpha1.LicensePolicyList{} }
	all := handler.EnqueueRequestsFromMapFunc(reconcile.InNamespace(r.Env.Client, list))
	its := handler.EnqueueRequestsFromMapFunc(reconcile.InNamespace(r.Env.Client, list, mayRestOn))
	intent := builder.WithPredicates(reconcile.Changed())
	return ctrl.NewControllerManagedBy(mgr).
		Named("licensepolicy").
		For(&v1alpha1.LicensePolicy{}, builder.WithPredicates(reconcile.Changed(v1alpha1.ReleaseAnnotation))).
		Watches(&v1alpha1.Organization{}, all, intent).
		Watches(&v1alpha1.Application{}, its, builder.WithPredicates(intentOrLabels{})).
		Watches(&v1alpha1.Integration{}, all, intent).
		Watches(&v1alpha1.Contract{}, all, intent).
		WatchesRawSource(source.Channel(changed, &handler.EnqueueRequestForObject{})).
		WatchesRawSource(source.Channel(released, &handler.EnqueueRequestForObject{})).
		WithOptions(reconcile.ControllerOptions(workers)).
		Complete(r.loop())
}

// mayRestOn says whether a policy names the Application that changed, or selects
// by labels, which it may have had before. With thousands of Applications a
// policy would be evaluated for ever otherwise.
func mayRestOn(changed, woken client.Object) bool {
	p, ok := woken.(*v1alpha1.LicensePolicy)
	return ok && (p.Spec.ApplicationRef == nil || string(p.Spec.ApplicationRef.Name) == changed.GetName())
}

func (r *Reconciler) loop() *reconcile.Loop[*v1alpha1.LicensePolicy] {
	return &reconcile.Loop[*v1alpha1.LicensePolicy]{
		Env: r.Env, Kind: v1alpha1.KindLicensePolicy, New: func() *v1alpha1.LicensePolicy { return &v1alpha1.LicensePolicy{} },
		Owned: []string{v1alpha1.ConditionHeld, v1alpha1.ConditionInventoryStale, v1alpha1.ConditionPeopleUnreached},
		Step:  r.step,
		Gone: func(ctx context.Context, key types.NamespacedName) error {
			return r.Backend.Remove(ctx, key.Namespace, key.Name)
		},
	}
}

// Reconcile implements reconcile.Reconciler, for tests without a manager.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	return r.loop().Reconcile(ctx, req)
}

func (r *Reconciler) step(ctx context.Context, obj *v1alpha1.LicensePolicy, c *reconcile.Conditions) (reconcile.Outcome, error) {
	now := r.Env.Time().Now()
	res, err := r.resolve(ctx, obj, now)
	if err != nil {
		return reconcile.Outcome{}, r.disarm(ctx, obj, err)
	}
	rules, err := policy.Compile(res.rules)
	if err != nil {
		return reconcile.Outcome{}, r.disarm(ctx, obj, invalid(err))
	}
	flow, problem := r.flowOf(ctx, obj, res)
	mode := res.mode
	if problem != nil {
		mode = limitedMode{v1alpha1.ModeReport, v1alpha1.ReasonModeLimited, ""}
	}
	state, err := r.put(ctx, obj, res, mode.mode, obj.Spec.Suspend)
	if err != nil {
		return reconcile.Outcome{}, err
	}
	obj.Status.EffectiveMode = mode.mode
	if obj.Spec.Suspend {
		return reconcile.Outcome{}, reconcile.Waiting(v1alpha1.ReasonSuspended, 0,
			"spec.suspend is true: nothing is evaluated, and what is in flight takes no further step, until it is false")
	}
	if digest := obj.Annotations[v1alpha1.ReleaseAnnotation]; digest != "" {
		by := model.Actor{Name: "annotation " + v1alpha1.ReleaseAnnotation, Kind: model.ActorUser}
		if _, err := r.Backend.Release(ctx, obj.Namespace, obj.Name, digest, by); err != nil {
			return reconcile.Outcome{}, storeError(err)
		}
	}
	due, err := dueAt(obj, res.zone, now)
	if err != nil {
		return reconcile.Outcome{}, err
	}
	req := govern.Request{Rules: rules, Prices: res.prices, Guard: guardOf(obj), Per: res.per, Now: now}
	if mode.mode != v1alpha1.ModeReport {
		req.NewRun, req.MayAct, req.Directory = flow.newRun, flow.mayAct, flow.directory()
		req.Observe = !due.mayAct(state)
	}
	result, err := r.Backend.Evaluate(ctx, obj.Namespace, req)
	if err != nil {
		return reconcile.Outcome{}, storeError(err)
	}
	if req.NewRun != nil && !req.Observe && !due.last.IsZero() {
		if err := r.Backend.Acted(ctx, obj.Namespace, obj.Name, due.last); err != nil {
			return reconcile.Outcome{}, storeError(err)
		}
	}
	if err := r.report(ctx, obj, c, result, res); err != nil {
		return reconcile.Outcome{}, err
	}
	if problem != nil {
		return reconcile.Outcome{}, problem
	}
	out := summary(obj, result, mode, res)
	out.RequeueAfter, out.Exact = due.next.Sub(now), true
	if res.mail != nil {
		out.RequeueAfter = min(out.RequeueAfter, mailInterval)
	}
	return out, nil
}

// disarm makes sure that a policy that cannot be resolved any more acts no
// further, also in what is in flight, and passes the reason on.
func (r *Reconciler) disarm(ctx context.Context, obj *v1alpha1.LicensePolicy, cause error) error {
	var stalling *reconcile.StallingError
	var waiting *reconcile.WaitingError
	if !errors.As(cause, &stalling) && !errors.As(cause, &waiting) {
		return cause
	}
	_, err := r.Backend.Put(ctx, obj.Namespace, store.PolicyState{
		Policy: obj.Name, UID: string(obj.UID), Generation: obj.Generation, Mode: string(v1alpha1.ModeReport), Suspended: true, Rules: []byte("{}"),
	})
	if err != nil {
		return storeError(err)
	}
	obj.Status.EffectiveMode = v1alpha1.ModeReport
	return cause
}

func storeError(err error) error {
	return reconcile.Transient(err, v1alpha1.ReasonStoreUnavailable, "the store did not answer; the evaluation is repeated")
}

func invalid(err error) error {
	var bad *policy.ExpressionError
	if errors.As(err, &bad) {
		return reconcile.Stalling(v1alpha1.ReasonInvalidExpression, "%v", err)
	}
	return reconcile.Stalling(v1alpha1.ReasonInvalidSpec, "%v", err)
}
