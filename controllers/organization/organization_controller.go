// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package organization reconciles the Organization of a namespace: it checks
// the tenant's own facts and writes them to the store, where syncs, policies
// and workflows find them.
package organization

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/currency"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/schedule"
)

// Backend is what the controller needs of the store.
type Backend interface {
	// PutFacts records the tenant's facts, writing only if they changed. nil
	// means that there is no Organization: defaults, and no mode beyond Report.
	PutFacts(ctx context.Context, namespace string, spec *v1alpha1.OrganizationSpec) error
	// Counts returns how many people and apps the tenant knows.
	Counts(ctx context.Context, namespace string) (v1alpha1.PeopleCounts, int64, error)
	// SCIM returns how the tenant's identity provider fares.
	SCIM(ctx context.Context, namespace string) (SCIMState, error)
}

// SCIMState is how an identity provider fares.
type SCIMState struct {
	// Failing: so many requests fail that it may give up.
	Failing bool
	// Held are people who would leave; nil if a guard holds nobody.
	Held *v1alpha1.HeldSet
}

// scimInterval is how often the state of SCIM is looked at: no event tells that
// failures have ended.
const scimInterval = time.Minute

// Reconciler reconciles Organizations.
type Reconciler struct {
	Env     *reconcile.Env
	Backend Backend
	Mail    Mail // nil: nothing is said of it
}

// +kubebuilder:rbac:groups=seatkeeper.dev,resources=organizations,verbs=get;list;watch
// +kubebuilder:rbac:groups=seatkeeper.dev,resources=organizations/status,verbs=get;patch
// +kubebuilder:rbac:groups=seatkeeper.dev,resources=integrations,verbs=get;list;watch

// SetupWithManager registers the controller. changed carries the Organization
// of a namespace whenever its inventory changed.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, changed <-chan event.GenericEvent, workers int) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("organization").
		For(&v1alpha1.Organization{}, builder.WithPredicates(reconcile.Changed())).
		Watches(&v1alpha1.Integration{}, handler.EnqueueRequestsFromMapFunc(ofNamespace), builder.WithPredicates(reconcile.Changed())).
		WatchesRawSource(source.Channel(changed, &handler.EnqueueRequestForObject{})).
		WithOptions(reconcile.ControllerOptions(workers)).
		Complete(r.loop())
}

// ofNamespace maps any object to the Organization of its namespace.
func ofNamespace(_ context.Context, obj client.Object) []ctrl.Request {
	return []ctrl.Request{{NamespacedName: types.NamespacedName{Namespace: obj.GetNamespace(), Name: v1alpha1.OrganizationName}}}
}

func (r *Reconciler) loop() *reconcile.Loop[*v1alpha1.Organization] {
	return &reconcile.Loop[*v1alpha1.Organization]{
		Env: r.Env, Kind: v1alpha1.KindOrganization, New: func() *v1alpha1.Organization { return &v1alpha1.Organization{} },
		Owned: []string{v1alpha1.ConditionSCIMServed, v1alpha1.ConditionHeld, v1alpha1.ConditionEmailReady},
		Step:  r.step,
		Gone: func(ctx context.Context, key types.NamespacedName) error {
			if key.Name != v1alpha1.OrganizationName {
				return nil
			}
			return r.Backend.PutFacts(ctx, key.Namespace, nil)
		},
	}
}

// Reconcile implements reconcile.Reconciler, for tests without a manager.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	return r.loop().Reconcile(ctx, req)
}

func (r *Reconciler) step(ctx context.Context, obj *v1alpha1.Organization, c *reconcile.Conditions) (reconcile.Outcome, error) {
	// Facts that do not hold are not written: the ones before them go on.
	if err := validate(obj.Spec); err != nil {
		return reconcile.Outcome{}, err
	}
	if err := r.Backend.PutFacts(ctx, obj.Namespace, &obj.Spec); err != nil {
		return reconcile.Outcome{}, reconcile.Transient(err, v1alpha1.ReasonStoreUnavailable, "the store did not take the tenant's facts")
	}
	people, apps, err := r.Backend.Counts(ctx, obj.Namespace)
	if err != nil {
		return reconcile.Outcome{}, reconcile.Transient(err, v1alpha1.ReasonStoreUnavailable, "the store does not answer")
	}
	obj.Status.People, obj.Status.Applications = &people, apps
	out, err := r.scim(ctx, obj, c)
	if err != nil {
		return out, err
	}
	if err := r.mail(ctx, obj, c, &out); err != nil {
		return out, err
	}
	return out, r.findSource(ctx, obj)
}

// scim says how the identity provider fares, where one may call.
func (r *Reconciler) scim(ctx context.Context, obj *v1alpha1.Organization, c *reconcile.Conditions) (reconcile.Outcome, error) {
	if obj.Spec.SCIM == nil || !obj.Spec.SCIM.Enabled {
		return reconcile.Outcome{}, nil
	}
	st, err := r.Backend.SCIM(ctx, obj.Namespace)
	if err != nil {
		return reconcile.Outcome{}, reconcile.Transient(err, v1alpha1.ReasonStoreUnavailable, "the store does not answer")
	}
	if st.Failing {
		c.False(v1alpha1.ConditionSCIMServed, v1alpha1.ReasonSCIMFailing, fmt.Sprintf(
			"more than 40 %% of the identity provider's requests failed in the last 30 minutes: look at `seatkeeper scim log --failed -n %s`", obj.Namespace))
	} else {
		message := "requests of the identity provider are answered"
		if p := obj.Spec.Protected; p != nil && (p.When != "" || len(p.Accounts) > 0) {
			message += "; spec.protected.when and spec.protected.accounts protect accounts, and nobody from being changed over SCIM: list such people in spec.protected.people"
		}
		c.True(v1alpha1.ConditionSCIMServed, v1alpha1.ReasonSCIMServing, message)
	}
	if h := st.Held; h != nil {
		c.True(v1alpha1.ConditionHeld, v1alpha1.ReasonGuardHeld, fmt.Sprintf("%d of %d people would leave, as the identity provider says: "+
			"look at `seatkeeper guards shrink/SCIM/leavers -n %s`, then release %s, or enable them again", h.Count, h.Total, obj.Namespace, h.Digest))
	}
	return reconcile.Outcome{RequeueAfter: scimInterval}, nil
}

// findSource looks for the Integration that decides who works here.
func (r *Reconciler) findSource(ctx context.Context, obj *v1alpha1.Organization) error {
	src := obj.Spec.LifecycleSource
	if src == nil || src.Integration == "" {
		return nil
	}
	var i v1alpha1.Integration
	err := r.Env.Client.Get(ctx, types.NamespacedName{Namespace: obj.Namespace, Name: string(src.Integration)}, &i)
	if apierrors.IsNotFound(err) {
		return reconcile.Waiting(v1alpha1.ReasonReferenceNotFound, 0,
			"spec.lifecycleSource.integration: there is no Integration %q in this namespace; until there is, nobody's lifecycle changes", src.Integration)
	}
	if err != nil {
		return fmt.Errorf("read the lifecycle source: %w", err)
	}
	if !slices.Contains(i.Spec.DataTypes, v1alpha1.DataPeople) && len(i.Spec.DataTypes) > 0 {
		return reconcile.Stalling(v1alpha1.ReasonInvalidSpec,
			"spec.lifecycleSource.integration: Integration %q leaves people out of its dataTypes, so it cannot say who works here", src.Integration)
	}
	return nil
}

// validate checks what the schema cannot.
func validate(s v1alpha1.OrganizationSpec) error {
	if s.TimeZone != "" {
		if _, err := schedule.Zone(string(s.TimeZone)); err != nil {
			return reconcile.Stalling(v1alpha1.ReasonInvalidSpec, "spec.timeZone: %q is no IANA time zone such as Europe/Berlin", s.TimeZone)
		}
	}
	if err := validWorkday(s.Workday); err != nil {
		return err
	}
	if err := validCurrency("spec.currency", s.Currency); err != nil {
		return err
	}
	for i, r := range s.ExchangeRates {
		path := fmt.Sprintf("spec.exchangeRates[%d]", i)
		if err := errors.Join(validCurrency(path+".from", r.From), validCurrency(path+".to", r.To)); err != nil {
			return err
		}
		if rate, ok := new(big.Rat).SetString(r.Rate); !ok || rate.Sign() <= 0 {
			return reconcile.Stalling(v1alpha1.ReasonInvalidSpec, "%s.rate: %q is no decimal above 0", path, r.Rate)
		}
	}
	for i, r := range s.Roles {
		// The API server compares letters of ASCII alone.
		if j := slices.IndexFunc(s.Roles, func(o v1alpha1.Role) bool { return strings.EqualFold(o.Name, r.Name) }); j < i {
			return reconcile.Stalling(v1alpha1.ReasonInvalidSpec, "spec.roles[%d].name: %q differs from %q in capitals alone; name one of them otherwise", i, r.Name, s.Roles[j].Name)
		}
	}
	if p := s.Protected; p != nil && p.When != "" {
		return validCondition("spec.protected.when", p.When)
	}
	return nil
}

func validWorkday(w *v1alpha1.Workday) error {
	if w == nil {
		return nil
	}
	var weekdays, holidays []string
	for _, d := range w.Weekdays {
		weekdays = append(weekdays, string(d))
	}
	for _, d := range w.Holidays {
		holidays = append(holidays, string(d))
	}
	if _, err := schedule.ParseBusinessDays(weekdays, holidays); err != nil {
		return reconcile.Stalling(v1alpha1.ReasonInvalidSpec, "spec.workday: %v", err)
	}
	return nil
}

func validCurrency(path string, c v1alpha1.CurrencyCode) error {
	if c == "" {
		return nil
	}
	if _, err := currency.ParseISO(string(c)); err != nil {
		return reconcile.Stalling(v1alpha1.ReasonInvalidSpec, "%s: %q is no ISO 4217 currency such as EUR", path, c)
	}
	return nil
}

func validCondition(path string, e v1alpha1.Expression) error {
	env, err := expr.Policy()
	if err != nil {
		return fmt.Errorf("build the environment of conditions: %w", err)
	}
	if _, err := env.Compile(string(e), expr.Bool); err != nil {
		return reconcile.Stalling(v1alpha1.ReasonInvalidExpression, "%s: %v", path, err)
	}
	return nil
}
