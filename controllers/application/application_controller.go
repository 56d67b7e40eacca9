// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package application reconciles Applications: it rolls up what every source
// knows of an app, and what it costs.
package application

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/offboarding"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
)

// refresh is how often a roll-up is made again when nothing changed but the
// time: a seat becomes unused without anything happening.
const refresh = time.Hour

// Backend is what the controller needs of connectors and the store.
type Backend interface {
	// Domains returns the web domains of the connector of an Integration.
	Domains(ctx context.Context, i *v1alpha1.Integration) []string
	// Offboarding says what an Integration can do to a leaver's account.
	Offboarding(ctx context.Context, i *v1alpha1.Integration) offboarding.Integration
	// Recommend returns a built-in connector of one of the domains, or "".
	Recommend(domains []string) string
	// Declare records an app for those who list apps; Forget one that is gone.
	Declare(ctx context.Context, namespace string, d Declared) error
	Forget(ctx context.Context, namespace, name string) error
	// RollUp counts what the inventory knows of an app.
	RollUp(ctx context.Context, namespace string, q Query) (RollUp, error)
}

// Declared is an app as it is listed.
type Declared struct {
	Name, Title string
	Users       int64
	// Paid seats assigned; Unused and Unknown of them.
	Paid, Unused, Unknown int64
	// Sources are the Integrations that deliver its own accounts.
	Sources []string
	// Facts are what runs about it know.
	Facts model.AppFacts
}

// Query says what belongs to an app.
type Query struct {
	// Integrations whose own accounts are the app's.
	Integrations []string
	// KnownAs is by what other sources know the app.
	KnownAs model.AppIdentity
}

// RollUp is what the inventory knows of an app.
type RollUp struct {
	// Sources are the Integrations that know the app.
	Sources []string
	InIDP   bool
	// IDPKnown says that an identity provider has told of its apps.
	IDPKnown bool
	Users    v1alpha1.UserCounts
	Plans    []Plan
	// Today is the date in the organisation's zone.
	Today model.Date
}

// Plan is one plan of one Integration.
type Plan struct {
	Integration, Key, Name string
	Paid                   bool
	Purchased              *int64 // as the vendor says
	Assigned               int64
	Used, Unused, Unknown  int64
	Unit                   *model.Money // as the vendor says
	Period                 model.Period
}

// Reconciler reconciles Applications.
type Reconciler struct {
	Env     *reconcile.Env
	Backend Backend
}

// +kubebuilder:rbac:groups=seatkeeper.dev,resources=applications;integrations;connectors;contracts,verbs=get;list;watch
// +kubebuilder:rbac:groups=seatkeeper.dev,resources=applications/status,verbs=get;patch

// What a roll-up looks at besides its own Application is found by index: with
// thousands of them, reading all for each is quadratic.
const (
	categoryIndex = "spec.category"            // Applications
	domainIndex   = "spec.domains"             // Applications
	contractIndex = "spec.applicationRef.name" // Contracts
)

// indexes are the values by which an object is found, by index.
var indexes = map[string]client.IndexerFunc{
	categoryIndex: func(o client.Object) []string { return []string{o.(*v1alpha1.Application).Spec.Category} },
	domainIndex:   func(o client.Object) []string { return texts(o.(*v1alpha1.Application).Spec.Domains) },
	contractIndex: func(o client.Object) []string {
		return []string{string(o.(*v1alpha1.Contract).Spec.ApplicationRef.Name)}
	},
}

// SetupWithManager registers the controller. changed carries an Application
// whenever the inventory that it rests on changed.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, changed <-chan event.GenericEvent, workers int) error {
	for index, object := range map[string]client.Object{categoryIndex: &v1alpha1.Application{}, domainIndex: &v1alpha1.Application{}, contractIndex: &v1alpha1.Contract{}} {
		if err := mgr.GetFieldIndexer().IndexField(context.Background(), object, index, indexes[index]); err != nil {
			return fmt.Errorf("index %T by %s: %w", object, index, err)
		}
	}
	all := handler.EnqueueRequestsFromMapFunc(reconcile.InNamespace(r.Env.Client, func() client.ObjectList { return &v1alpha1.ApplicationList{} }))
	return ctrl.NewControllerManagedBy(mgr).
		Named("application").
		For(&v1alpha1.Application{}, builder.WithPredicates(reconcile.Changed())).
		Watches(&v1alpha1.Application{}, handler.EnqueueRequestsFromMapFunc(r.peers), builder.WithPredicates(predicate.Funcs{
			// What is new has no users yet, and what it conflicts with is older.
			CreateFunc: func(event.CreateEvent) bool { return false },
			UpdateFunc: seenByPeers,
		})).
		Watches(&v1alpha1.Integration{}, all, builder.WithPredicates(predicate.Funcs{UpdateFunc: standingChanged})).
		Watches(&v1alpha1.Connector{}, all, builder.WithPredicates(reconcile.Changed())).
		Watches(&v1alpha1.Contract{}, handler.EnqueueRequestsFromMapFunc(ofContract), builder.WithPredicates(reconcile.Changed())).
		WatchesRawSource(source.Channel(changed, &handler.EnqueueRequestForObject{})).
		WithOptions(reconcile.ControllerOptions(workers)).
		Complete(r.loop())
}

// standingChanged passes updates of an Integration that change what an app can
// rest on. Data is told of by the store.
func standingChanged(e event.UpdateEvent) bool {
	before, okBefore := e.ObjectOld.(*v1alpha1.Integration)
	after, okAfter := e.ObjectNew.(*v1alpha1.Integration)
	return !okBefore || !okAfter || before.Generation != after.Generation || !equality.Semantic.DeepEqual(standing(before), standing(after))
}

func standing(i *v1alpha1.Integration) map[string]bool {
	out := map[string]bool{"synced": i.Status.Digest != ""}
	for _, d := range i.Status.DataTypes {
		out[string(d.Name)+"/"+string(d.State)] = true
	}
	return out
}

// seenByPeers passes updates of an Application that change what the status of
// others says: which apps are alike, and which domains are claimed.
func seenByPeers(e event.UpdateEvent) bool {
	before, okBefore := e.ObjectOld.(*v1alpha1.Application)
	after, okAfter := e.ObjectNew.(*v1alpha1.Application)
	return okBefore && okAfter && (used(before) != used(after) || before.Spec.Category != after.Spec.Category ||
		!slices.Equal(before.Spec.Domains, after.Spec.Domains))
}

// peers maps an Application to those that share its category or a domain.
func (r *Reconciler) peers(ctx context.Context, obj client.Object) []ctrl.Request {
	app, ok := obj.(*v1alpha1.Application)
	if !ok {
		return nil
	}
	in, err := r.gather(ctx, app)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Could not list the peers of an Application", "namespace", app.Namespace, "name", app.Name)
		return nil
	}
	var out []ctrl.Request
	for _, o := range slices.Concat(in.apps, in.alike) {
		if o.Name != app.Name {
			out = append(out, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(&o)})
		}
	}
	return out
}

func ofContract(_ context.Context, obj client.Object) []ctrl.Request {
	c, ok := obj.(*v1alpha1.Contract)
	if !ok {
		return nil
	}
	return []ctrl.Request{{NamespacedName: client.ObjectKey{Namespace: c.Namespace, Name: string(c.Spec.ApplicationRef.Name)}}}
}

func (r *Reconciler) loop() *reconcile.Loop[*v1alpha1.Application] {
	return &reconcile.Loop[*v1alpha1.Application]{
		Env: r.Env, Kind: v1alpha1.KindApplication, New: func() *v1alpha1.Application { return &v1alpha1.Application{} },
		Owned: []string{v1alpha1.ConditionInventoryStale}, Step: r.step,
		Gone: func(ctx context.Context, key types.NamespacedName) error {
			return r.Backend.Forget(ctx, key.Namespace, key.Name)
		},
	}
}

// Reconcile implements reconcile.Reconciler, for tests without a manager.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	return r.loop().Reconcile(ctx, req)
}

func (r *Reconciler) step(ctx context.Context, app *v1alpha1.Application, c *reconcile.Conditions) (reconcile.Outcome, error) {
	in, err := r.gather(ctx, app)
	if err != nil {
		return reconcile.Outcome{}, err
	}
	if err := validate(app, in.apps); err != nil {
		return reconcile.Outcome{}, err
	}
	own, missing := ownIntegrations(app, in.integrations, func(i *v1alpha1.Integration) []string { return r.Backend.Domains(ctx, i) })
	rollup, err := r.Backend.RollUp(ctx, app.Namespace, queryOf(app, own))
	if err != nil {
		return reconcile.Outcome{}, reconcile.Transient(err, v1alpha1.ReasonStoreUnavailable, "the store does not answer")
	}
	fill(app, own, rollup, in.contracts)
	if err := r.Backend.Declare(ctx, app.Namespace, listed(app, own, rollup.IDPKnown, in.contracts)); err != nil {
		return reconcile.Outcome{}, reconcile.Transient(err, v1alpha1.ReasonStoreUnavailable, "the store does not answer")
	}
	app.Status.SimilarApps = similar(app, in.alike)
	app.Status.RecommendedConnector = ""
	if len(own) == 0 {
		app.Status.RecommendedConnector = r.Backend.Recommend(texts(app.Spec.Domains))
	}
	if stale := staleSources(own); len(stale) > 0 {
		c.True(v1alpha1.ConditionInventoryStale, v1alpha1.ReasonInventoryStale,
			"use counts as unknown where these are stale: "+reconcile.List(stale, 8))
	}
	return outcome(own, missing, r.offboard(ctx, app, in.integrations, own))
}

// input is what the roll-up looks at beside the inventory. It is the cache's own
// memory, to be read only.
type input struct {
	integrations []v1alpha1.Integration
	contracts    []v1alpha1.Contract
	apps, alike  []v1alpha1.Application
}

func (r *Reconciler) gather(ctx context.Context, app *v1alpha1.Application) (in input, err error) {
	var integrations v1alpha1.IntegrationList
	var contracts v1alpha1.ContractList
	if err := r.list(ctx, app, &integrations); err != nil {
		return in, err
	}
	if err := r.list(ctx, app, &contracts, client.MatchingFields{contractIndex: app.Name}); err != nil {
		return in, err
	}
	in.integrations, in.contracts = integrations.Items, contracts.Items
	for _, domain := range app.Spec.Domains {
		var apps v1alpha1.ApplicationList
		if err := r.list(ctx, app, &apps, client.MatchingFields{domainIndex: string(domain)}); err != nil {
			return in, err
		}
		in.apps = append(in.apps, apps.Items...)
	}
	if app.Spec.Category != "" {
		var alike v1alpha1.ApplicationList
		if err := r.list(ctx, app, &alike, client.MatchingFields{categoryIndex: app.Spec.Category}); err != nil {
			return in, err
		}
		in.alike = alike.Items
	}
	return in, nil
}

// list reads objects of the app's namespace without copying them.
func (r *Reconciler) list(ctx context.Context, app *v1alpha1.Application, into client.ObjectList, opts ...client.ListOption) error {
	opts = append(opts, client.InNamespace(app.Namespace), client.UnsafeDisableDeepCopy)
	if err := r.Env.Client.List(ctx, into, opts...); err != nil {
		return fmt.Errorf("read what the roll-up rests on: %w", err)
	}
	return nil
}

// outcome says whether the app is as declared.
func outcome(own []v1alpha1.Integration, missing []string, unfit error) (reconcile.Outcome, error) {
	if len(missing) > 0 {
		return reconcile.Outcome{}, reconcile.Waiting(v1alpha1.ReasonReferenceNotFound, 0,
			"spec.integrationRefs: there is no Integration %s in this namespace; create it, or correct the name", reconcile.List(missing, 8))
	}
	if unfit != nil {
		return reconcile.Outcome{}, unfit
	}
	if len(own) == 0 {
		return reconcile.Outcome{Reason: v1alpha1.ReasonNotConnected, RequeueAfter: refresh,
			Message: "no Integration delivers this app's own accounts; what other sources know is shown"}, nil
	}
	synced := slices.ContainsFunc(own, func(i v1alpha1.Integration) bool { return i.Status.Digest != "" })
	if !synced {
		return reconcile.Outcome{}, reconcile.Waiting(v1alpha1.ReasonDependencyNotReady, 0,
			"Integration %q has not completed a first sync", own[0].Name)
	}
	return reconcile.Outcome{RequeueAfter: refresh, Message: "rolled up from " + names(own)}, nil
}

func names(list []v1alpha1.Integration) string {
	out := make([]string, len(list))
	for i := range list {
		out[i] = list[i].Name
	}
	return reconcile.List(out, 8)
}
