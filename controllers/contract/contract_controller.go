// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package contract reconciles Contracts: where they stand in their term, which
// deadline comes, and what their lines buy against what is used.
package contract

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/govern"
	"github.com/seatkeeper/seatkeeper/internal/intent"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/policy"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/schedule"
)

// Backend is what the controller needs of the store; govern.Backend is it.
type Backend interface {
	// Use returns how many seats of each plan are in use.
	Use(ctx context.Context, namespace string, integrations []string) ([]govern.PlanUse, error)
	// BookRealised books that a Contract buys fewer seats than the one before,
	// once.
	BookRealised(ctx context.Context, namespace, app, from, to, line string, fewer int64, annual model.Money) error
	// DeclareContract records a Contract for the runs about it; ForgetContract one
	// that is gone.
	DeclareContract(ctx context.Context, namespace string, c model.ContractFacts) error
	ForgetContract(ctx context.Context, namespace, name string) error
}

var _ Backend = govern.Backend{}

// Connectors is what the controller needs to know of connectors.
type Connectors interface {
	// Domains returns the web domains of the connector of an Integration.
	Domains(ctx context.Context, i *v1alpha1.Integration) []string
}

// refresh is how often seats are counted again when nothing else wakes the
// Contract: a seat becomes unused without anything happening.
const refresh = time.Hour

// Reconciler reconciles Contracts.
type Reconciler struct {
	Env        *reconcile.Env
	Backend    Backend
	Connectors Connectors
}

// +kubebuilder:rbac:groups=seatkeeper.dev,resources=contracts;applications;integrations;organizations;licensepolicies,verbs=get;list;watch
// +kubebuilder:rbac:groups=seatkeeper.dev,resources=contracts/status,verbs=get;patch

// SetupWithManager registers the controller. What was found about seats reaches
// it through the status of LicensePolicies and Applications.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, workers int) error {
	list := func() client.ObjectList { return &v1alpha1.ContractList{} }
	all := handler.EnqueueRequestsFromMapFunc(reconcile.InNamespace(r.Env.Client, list))
	its := handler.EnqueueRequestsFromMapFunc(reconcile.InNamespace(r.Env.Client, list, ofApplication))
	return ctrl.NewControllerManagedBy(mgr).
		Named("contract").
		For(&v1alpha1.Contract{}, builder.WithPredicates(reconcile.Changed())).
		Watches(&v1alpha1.Contract{}, all, builder.WithPredicates(reconcile.Changed())).
		Watches(&v1alpha1.Organization{}, all, builder.WithPredicates(reconcile.Changed())).
		Watches(&v1alpha1.Application{}, its, builder.WithPredicates(reconcile.Changed())).
		Watches(&v1alpha1.LicensePolicy{}, all, builder.WithPredicates(predicate.Funcs{UpdateFunc: countsChanged})).
		WithOptions(reconcile.ControllerOptions(workers)).
		Complete(r.loop())
}

// ofApplication says whether a Contract is about the Application that changed.
func ofApplication(changed, woken client.Object) bool {
	c, ok := woken.(*v1alpha1.Contract)
	return ok && string(c.Spec.ApplicationRef.Name) == changed.GetName()
}

// countsChanged passes an update of a policy that found something else.
func countsChanged(e event.UpdateEvent) bool {
	before, okBefore := e.ObjectOld.(*v1alpha1.LicensePolicy)
	after, okAfter := e.ObjectNew.(*v1alpha1.LicensePolicy)
	if !okBefore || !okAfter || before.Status.Evaluated == nil || after.Status.Evaluated == nil {
		return okBefore && okAfter && before.Status.Evaluated != after.Status.Evaluated
	}
	return *before.Status.Evaluated != *after.Status.Evaluated
}

func (r *Reconciler) loop() *reconcile.Loop[*v1alpha1.Contract] {
	return &reconcile.Loop[*v1alpha1.Contract]{
		Env: r.Env, Kind: v1alpha1.KindContract, New: func() *v1alpha1.Contract { return &v1alpha1.Contract{} },
		Step: r.step,
		Gone: func(ctx context.Context, key types.NamespacedName) error {
			return r.Backend.ForgetContract(ctx, key.Namespace, key.Name)
		},
	}
}

// Reconcile implements reconcile.Reconciler, for tests without a manager.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	return r.loop().Reconcile(ctx, req)
}

func (r *Reconciler) step(ctx context.Context, obj *v1alpha1.Contract, _ *reconcile.Conditions) (reconcile.Outcome, error) {
	zone, err := r.zone(ctx, obj.Namespace)
	if err != nil {
		return reconcile.Outcome{}, err
	}
	now := r.Env.Time().Now()
	today := model.DateOf(now, zone)
	c := intent.Contract(obj)
	// What needs nothing but the Contract itself is shown whatever else is wrong.
	obj.Status.Stage = v1alpha1.ContractStage(c.Stage(today))
	deadline, _ := c.Deadline()
	obj.Status.CancellationDeadline = v1alpha1.Date(deadline)
	obj.Status.Annual = nil
	if annual, ok := c.Annual(); ok {
		obj.Status.Annual = amount(annual)
	}
	app, err := r.application(ctx, obj)
	if declared := r.Backend.DeclareContract(ctx, obj.Namespace, intent.ContractFacts(obj, app)); declared != nil {
		return reconcile.Outcome{}, reconcile.Transient(declared, v1alpha1.ReasonStoreUnavailable, "the store does not answer")
	}
	if err != nil {
		return reconcile.Outcome{}, err
	}
	if err := r.count(ctx, obj, c, app); err != nil {
		return reconcile.Outcome{}, err
	}
	if err := r.checkOthers(ctx, obj, c, today); err != nil {
		return reconcile.Outcome{}, err
	}
	out := outcome(c, today)
	out.RequeueAfter = untilNext(c, today, now, zone)
	return out, nil
}

func amount(m model.Money) *v1alpha1.Money {
	return &v1alpha1.Money{Minor: m.Minor, Currency: v1alpha1.CurrencyCode(m.Currency)}
}

// untilNext is the time until the stage may change, or until seats are counted
// again.
func untilNext(c policy.Contract, today model.Date, now time.Time, zone *time.Location) time.Duration {
	if at, ok := c.NextChange(today).In(zone); ok {
		// A second past midnight and the jitter's share, so that the visit is
		// not just before the day that it is for.
		if d := at.Sub(now); d < refresh {
			return d + d/5 + time.Second
		}
	}
	return refresh
}

func (r *Reconciler) zone(ctx context.Context, namespace string) (*time.Location, error) {
	var org v1alpha1.Organization
	err := r.Env.Client.Get(ctx, types.NamespacedName{Namespace: namespace, Name: v1alpha1.OrganizationName}, &org)
	if apierrors.IsNotFound(err) || (err == nil && org.Spec.TimeZone == "") {
		return time.UTC, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the Organization: %w", err)
	}
	zone, err := schedule.Zone(string(org.Spec.TimeZone))
	if err != nil {
		return nil, reconcile.Waiting(v1alpha1.ReasonDependencyNotReady, 0, "Organization spec.timeZone: %q is no IANA time zone such as Europe/Berlin", org.Spec.TimeZone)
	}
	return zone, nil
}

func (r *Reconciler) application(ctx context.Context, obj *v1alpha1.Contract) (*v1alpha1.Application, error) {
	var app v1alpha1.Application
	err := r.Env.Client.Get(ctx, types.NamespacedName{Namespace: obj.Namespace, Name: string(obj.Spec.ApplicationRef.Name)}, &app)
	if apierrors.IsNotFound(err) {
		return nil, reconcile.Waiting(v1alpha1.ReasonReferenceNotFound, 0,
			"spec.applicationRef: there is no Application %q in this namespace; create it, or correct the name", obj.Spec.ApplicationRef.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("read the Application: %w", err)
	}
	if len(app.Spec.Plans) == 0 {
		return &app, nil
	}
	for i, l := range obj.Spec.Lines {
		if !slices.ContainsFunc(app.Spec.Plans, func(p v1alpha1.ApplicationPlan) bool { return p.Name == l.Plan }) {
			return &app, reconcile.Waiting(v1alpha1.ReasonPlanNotFound, 0,
				"spec.lines[%d].plan: Application %q has no plan %q; correct the name, or add it to the Application's spec.plans", i, app.Name, l.Plan)
		}
	}
	return &app, nil
}

// count sets what the lines buy against what is used.
func (r *Reconciler) count(ctx context.Context, obj *v1alpha1.Contract, c policy.Contract, app *v1alpha1.Application) error {
	var list v1alpha1.IntegrationList
	if err := r.Env.Client.List(ctx, &list, client.InNamespace(obj.Namespace)); err != nil {
		return fmt.Errorf("list Integrations: %w", err)
	}
	var own []string
	for i := range list.Items {
		if intent.Delivers(app, list.Items[i].Name, r.Connectors.Domains(ctx, &list.Items[i])) {
			own = append(own, list.Items[i].Name)
		}
	}
	use, err := r.Backend.Use(ctx, obj.Namespace, own)
	if err != nil {
		return reconcile.Transient(err, v1alpha1.ReasonStoreUnavailable, "the store does not answer")
	}
	byPlan := map[string]govern.PlanUse{}
	for _, u := range use {
		name := intent.PlanName(app, u.Key, u.Name)
		sum := byPlan[name]
		sum.Assigned, sum.Used, sum.Unused, sum.Unknown = sum.Assigned+u.Assigned, sum.Used+u.Used, sum.Unused+u.Unused, sum.Unknown+u.Unknown
		byPlan[name] = sum
	}
	seats, saving := against(c, byPlan)
	obj.Status.Seats = &seats
	obj.Status.PotentialSavings, obj.Status.Summary = nil, "Unknown"
	if saving != nil {
		obj.Status.PotentialSavings, obj.Status.Summary = amount(*saving), saving.String()
	}
	return nil
}

// against compares the lines with use. Saving is nil, unknown, if a line with
// unused seats has no price, or currencies differ.
func against(c policy.Contract, byPlan map[string]govern.PlanUse) (seats v1alpha1.ContractSeats, saving *model.Money) {
	total, known := model.Money{}, len(c.Lines) > 0
	needed := map[string]int64{}
	for plan, u := range byPlan {
		needed[plan] = u.Used + u.Unknown // a seat is needed if it is used, or if nobody knows
	}
	for _, l := range c.Lines {
		taken := min(l.Quantity, needed[l.Plan])
		needed[l.Plan] -= taken // a second line of the plan buys further seats
		unused := l.Quantity - taken
		seats.Contracted += l.Quantity
		seats.Unused += unused
		if u, ok := byPlan[l.Plan]; ok {
			seats.Assigned += u.Assigned
			seats.Unknown += u.Unknown
			delete(byPlan, l.Plan)
		}
		annual, ok := unitAnnual(l)
		if !ok || (total.Currency != "" && total.Currency != annual.Currency) {
			known = known && unused == 0
			continue
		}
		line, err := annual.MulDiv(unused, 1)
		if err != nil {
			return seats, nil
		}
		total = model.Money{Minor: total.Minor + line.Minor, Currency: line.Currency}
	}
	if !known || total.Currency == "" {
		return seats, nil
	}
	return seats, &total
}

// unitAnnual is what a year of one seat of the line costs.
func unitAnnual(l policy.ContractLine) (model.Money, bool) {
	if l.Unit == nil {
		return model.Money{}, false
	}
	return l.Unit.Annual(l.Period)
}

// checkOthers compares with the other Contracts of the Application: the one
// before, for what billing fell by, and any that covers the same plan and time.
func (r *Reconciler) checkOthers(ctx context.Context, obj *v1alpha1.Contract, c policy.Contract, today model.Date) error {
	var list v1alpha1.ContractList
	if err := r.Env.Client.List(ctx, &list, client.InNamespace(obj.Namespace)); err != nil {
		return fmt.Errorf("list Contracts: %w", err)
	}
	for i := range list.Items {
		o := &list.Items[i]
		if o.Name == obj.Name {
			continue
		}
		other := intent.Contract(o)
		if other.Name == c.Previous && c.App == other.App && c.InForce(today) && c.State == model.ContractActive {
			if err := r.bookRealised(ctx, obj.Namespace, other, c); err != nil {
				return err
			}
		}
		if plan, ok := c.Overlaps(other); ok && younger(obj, o) {
			return reconcile.Waiting(v1alpha1.ReasonContractOverlap, 0,
				"Contract %q is in force for plan %q at the same time; end one before the other begins, or set one's state to Draft", o.Name, plan)
		}
	}
	return nil
}

func younger(a, b *v1alpha1.Contract) bool {
	if a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.Name > b.Name
	}
	return b.CreationTimestamp.Before(&a.CreationTimestamp)
}

func (r *Reconciler) bookRealised(ctx context.Context, namespace string, from, to policy.Contract) error {
	now := map[string]int64{}
	for _, l := range to.Lines {
		now[l.Plan] += l.Quantity
	}
	for _, l := range from.Lines {
		fewer := min(l.Quantity, l.Quantity-now[l.Plan])
		annual, ok := unitAnnual(l)
		if !ok || fewer <= 0 {
			continue
		}
		if err := r.Backend.BookRealised(ctx, namespace, from.App, from.Name, to.Name, l.Plan, fewer, annual); err != nil {
			return reconcile.Transient(err, v1alpha1.ReasonStoreUnavailable, "the store did not take the ledger's entry")
		}
	}
	return nil
}

func outcome(c policy.Contract, today model.Date) reconcile.Outcome {
	deadline, ok := c.Deadline()
	switch c.Stage(today) {
	case policy.StageMissed:
		return reconcile.Outcome{Reason: v1alpha1.ReasonDeadlineMissed, Message: fmt.Sprintf(
			"the cancellation deadline %s has passed: the contract renews after %s", deadline, c.End)}
	case policy.StageExpired:
		return reconcile.Outcome{Reason: v1alpha1.ReasonTermEnded, Message: fmt.Sprintf("the term ended on %s; no price of this contract is used any more", c.End)}
	case policy.StageActive, policy.StageInNotice:
		if ok {
			return reconcile.Outcome{Reason: v1alpha1.ReasonTermOpen, Message: fmt.Sprintf("in force until %s; cancel by %s", c.End, deadline)}
		}
		return reconcile.Outcome{Reason: v1alpha1.ReasonTermOpen, Message: "in force until " + string(c.End)}
	}
	return reconcile.Outcome{}
}
