// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package licensepolicy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/intent"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/policy"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/schedule"
)

// Defaults of a LicensePolicy.
const (
	defaultInactiveAfter = 90
	defaultPer           = 24 * time.Hour
	defaultInterval      = time.Hour
	// minStaleAfter is the least age at which a listing counts as stale: one
	// failed sync must not turn a whole app Unknown.
	minStaleAfter = 24 * time.Hour
	// staleIntervals is how many intervals may be missed.
	staleIntervals = 3
)

// limitedMode is the mode that applies, and why it is less than spec.mode.
type limitedMode struct {
	mode            v1alpha1.PolicyMode
	reason, message string
}

// resolution is what a policy rests on, resolved.
type resolution struct {
	rules  policy.Rules
	prices map[model.SeatKey]model.Price
	mode   limitedMode
	per    time.Duration
	zone   *time.Location
	apps   map[string]*v1alpha1.Application // by name
	org    *v1alpha1.Organization           // nil: there is none
	// integrations by name, of those whose seats the policy covers; barred
	// says of some why nothing may act on them.
	integrations map[string]*v1alpha1.Integration
	barred       map[string]string
	// mail says why nobody can be asked by e-mail; nil: they can, or need not.
	mail *noMail
	// waiting are Integrations whose first sync has not completed.
	waiting []string
}

// resolve reads everything that the policy refers to.
func (r *Reconciler) resolve(ctx context.Context, obj *v1alpha1.LicensePolicy, now time.Time) (*resolution, error) {
	res := &resolution{apps: map[string]*v1alpha1.Application{}, integrations: map[string]*v1alpha1.Integration{}, barred: map[string]string{}, zone: time.UTC,
		mode: limitedMode{mode: modeOf(obj)}}
	if err := r.resolveOrganization(ctx, obj, res); err != nil {
		return nil, err
	}
	if err := r.resolveApplications(ctx, obj, res); err != nil {
		return nil, err
	}
	if err := r.resolveIntegrations(ctx, obj, res); err != nil {
		return nil, err
	}
	if err := r.resolveRules(obj, res); err != nil {
		return nil, err
	}
	return res, r.resolvePlans(ctx, obj, res, now)
}

func modeOf(obj *v1alpha1.LicensePolicy) v1alpha1.PolicyMode {
	if obj.Spec.Mode == "" {
		return v1alpha1.ModeReport
	}
	return obj.Spec.Mode
}

func (r *Reconciler) resolveOrganization(ctx context.Context, obj *v1alpha1.LicensePolicy, res *resolution) error {
	var org v1alpha1.Organization
	err := r.Env.Client.Get(ctx, types.NamespacedName{Namespace: obj.Namespace, Name: v1alpha1.OrganizationName}, &org)
	switch {
	case apierrors.IsNotFound(err):
		if res.mode.mode != v1alpha1.ModeReport {
			res.mode = limitedMode{v1alpha1.ModeReport, v1alpha1.ReasonOrganizationMissing,
				"this namespace has no Organization, so the policy only reports; create an Organization named default"}
		}
		return nil
	case err != nil:
		return fmt.Errorf("read the Organization: %w", err)
	}
	res.org = &org
	if org.Spec.TimeZone == "" {
		return nil
	}
	zone, err := schedule.Zone(string(org.Spec.TimeZone))
	if err != nil {
		return reconcile.Waiting(v1alpha1.ReasonDependencyNotReady, 0, "Organization spec.timeZone: %q is no IANA time zone such as Europe/Berlin", org.Spec.TimeZone)
	}
	res.zone = zone
	return nil
}

func (r *Reconciler) resolveApplications(ctx context.Context, obj *v1alpha1.LicensePolicy, res *resolution) error {
	if ref := obj.Spec.ApplicationRef; ref != nil {
		var app v1alpha1.Application
		err := r.Env.Client.Get(ctx, types.NamespacedName{Namespace: obj.Namespace, Name: string(ref.Name)}, &app)
		if apierrors.IsNotFound(err) {
			return reconcile.Waiting(v1alpha1.ReasonReferenceNotFound, 0,
				"spec.applicationRef: there is no Application %q in this namespace; create it, or correct the name", ref.Name)
		}
		if err != nil {
			return fmt.Errorf("read the Application: %w", err)
		}
		res.apps[app.Name] = &app
		return nil
	}
	selector, err := metav1.LabelSelectorAsSelector(obj.Spec.ApplicationSelector)
	if err != nil {
		return reconcile.Stalling(v1alpha1.ReasonInvalidSpec, "spec.applicationSelector: %v", err)
	}
	var list v1alpha1.ApplicationList
	if err := r.Env.Client.List(ctx, &list, client.InNamespace(obj.Namespace), client.MatchingLabelsSelector{Selector: selector}); err != nil {
		return fmt.Errorf("list Applications: %w", err)
	}
	for i := range list.Items {
		res.apps[list.Items[i].Name] = &list.Items[i]
	}
	if len(res.apps) == 0 {
		return reconcile.Waiting(v1alpha1.ReasonReferenceNotFound, 0, "spec.applicationSelector selects no Application in this namespace; label one, or change the selector")
	}
	return nil
}

// resolveIntegrations finds the Integrations whose own accounts are the apps'.
func (r *Reconciler) resolveIntegrations(ctx context.Context, obj *v1alpha1.LicensePolicy, res *resolution) error {
	var list v1alpha1.IntegrationList
	if err := r.Env.Client.List(ctx, &list, client.InNamespace(obj.Namespace)); err != nil {
		return fmt.Errorf("list Integrations: %w", err)
	}
	states, err := r.Backend.Integrations(ctx, obj.Namespace)
	if err != nil {
		return storeError(err)
	}
	res.rules.Sources = map[string]policy.Source{}
	for _, app := range res.apps {
		for i := range list.Items {
			in := &list.Items[i]
			if !intent.Delivers(app, in.Name, r.Connectors.Domains(ctx, in)) {
				continue
			}
			res.integrations[in.Name] = in
			state, known := states[in.Name]
			if !known || state.FirstSyncedAt == nil {
				res.waiting = append(res.waiting, in.Name)
				continue
			}
			res.rules.Sources[in.Name] = policy.Source{App: app.Name, KnownAs: intent.Identity(app), StaleAfter: staleAfter(in), FirstSyncedAt: *state.FirstSyncedAt}
		}
	}
	slices.Sort(res.waiting)
	if len(res.integrations) == 0 {
		return reconcile.Waiting(v1alpha1.ReasonNotConnected, 0,
			"no Integration delivers the accounts of Application %s; create one, or name it in the Application's spec.integrationRefs", names(res.apps))
	}
	if len(res.rules.Sources) == 0 {
		return reconcile.Waiting(v1alpha1.ReasonDependencyNotReady, 0,
			"Integration %s has not completed its first sync; nothing is evaluated before", strings.Join(res.waiting, ", "))
	}
	return nil
}

func staleAfter(in *v1alpha1.Integration) time.Duration {
	interval, err := in.Spec.Interval.Parse()
	if err != nil || interval <= 0 {
		interval = defaultInterval
	}
	return max(staleIntervals*interval, minStaleAfter)
}

func names[V any](m map[string]V) string {
	list := make([]string, 0, len(m))
	for name := range m {
		list = append(list, name)
	}
	return reconcile.List(list, 5)
}

// resolveRules translates the spec.
func (r *Reconciler) resolveRules(obj *v1alpha1.LicensePolicy, res *resolution) (err error) {
	s := obj.Spec
	rules := &res.rules
	rules.Policy, rules.Zone, rules.HoldOnLeave = obj.Name, res.zone.String(), s.OnLeave != v1alpha1.OnLeaveEvaluate
	if rules.InactiveAfterDays, err = count("spec.inactiveAfter", s.InactiveAfter, defaultInactiveAfter); err != nil {
		return err
	}
	if rules.NeverUsedAfterDays, err = count("spec.neverUsedAfter", s.NeverUsedAfter, rules.InactiveAfterDays); err != nil {
		return err
	}
	for _, signal := range s.Signals {
		rules.Signals = append(rules.Signals, string(signal))
	}
	if len(rules.Signals) == 0 {
		rules.Signals = []string{string(v1alpha1.SignalActivity), string(v1alpha1.SignalLogin)}
	}
	for _, e := range s.Exempt {
		x := policy.Exemption{Groups: e.Groups, When: string(e.When), Until: model.Date(e.Until), Reason: e.Reason}
		for _, p := range e.People {
			x.People = append(x.People, string(p))
		}
		rules.Exempt = append(rules.Exempt, x)
	}
	if res.org != nil {
		rules.Protected = protectedOf(res.org.Spec.Protected)
		rules.Org = expr.Org{DisplayName: res.org.Spec.DisplayName, TimeZone: rules.Zone}
		for _, d := range res.org.Spec.Domains {
			rules.Org.Domains = append(rules.Org.Domains, string(d))
		}
	}
	rules.Applications = map[string]expr.Application{}
	for name, app := range res.apps {
		rules.Applications[name] = expr.Application{Name: name, DisplayName: intent.Title(app), Category: app.Spec.Category, State: string(app.Spec.State), Tags: app.Spec.Tags}
	}
	res.per = defaultPer
	if g := s.Guard; g != nil && g.Per != "" {
		if res.per, err = g.Per.Parse(); err != nil {
			return reconcile.Stalling(v1alpha1.ReasonInvalidSpec, "spec.guard.per: %v", err)
		}
	}
	return nil
}

func count(field string, d v1alpha1.Days, unset int) (int, error) {
	if d == "" {
		return unset, nil
	}
	n, err := d.Count()
	if err != nil {
		return 0, reconcile.Stalling(v1alpha1.ReasonInvalidSpec, "%s: %v", field, err)
	}
	return n, nil
}

func protectedOf(p *v1alpha1.Protected) policy.Protected {
	if p == nil {
		return policy.Protected{}
	}
	out := policy.Protected{When: string(p.When), Accounts: map[string][]string{}}
	for _, m := range p.People {
		out.People = append(out.People, string(m))
	}
	for _, a := range p.Accounts {
		out.Accounts[string(a.Integration)] = a.ExternalIDs
	}
	return out
}

func guardOf(obj *v1alpha1.LicensePolicy) model.Guard {
	g := model.DefaultActionGuard
	if s := obj.Spec.Guard; s != nil {
		if s.MinItems != nil {
			g.MinItems = int(*s.MinItems)
		}
		if s.MaxPercent != nil {
			g.MaxPercent = int(*s.MaxPercent)
		}
	}
	return g
}

// resolvePlans finds the vendor's plans that the policy covers and what a seat
// of each costs.
func (r *Reconciler) resolvePlans(ctx context.Context, obj *v1alpha1.LicensePolicy, res *resolution, now time.Time) error {
	sources := make([]string, 0, len(res.rules.Sources))
	for name := range res.rules.Sources {
		sources = append(sources, name)
	}
	plans, err := r.Backend.Plans(ctx, obj.Namespace, sources)
	if err != nil {
		return storeError(err)
	}
	var contracts v1alpha1.ContractList
	if err := r.Env.Client.List(ctx, &contracts, client.InNamespace(obj.Namespace)); err != nil {
		return fmt.Errorf("list Contracts: %w", err)
	}
	byApp := map[string][]policy.Contract{}
	for i := range contracts.Items {
		c := intent.Contract(&contracts.Items[i])
		byApp[c.App] = append(byApp[c.App], c)
	}
	today := model.DateOf(now, res.zone)
	res.prices = map[model.SeatKey]model.Price{}
	covered, found := map[string][]string{}, map[string]bool{}
	for _, p := range plans {
		app := res.apps[res.rules.Sources[p.Integration].App]
		name := intent.PlanName(app, p.Key, p.Name)
		if price, ok := policy.PriceOf(name, byApp[app.Name], intent.ListPrices(app), today); ok {
			res.prices[model.SeatKey{Integration: p.Integration, PlanKey: p.Key}] = price
		}
		if slices.Contains(obj.Spec.Plans, v1alpha1.PlanName(name)) {
			covered[p.Integration], found[name] = append(covered[p.Integration], p.Key), true
		}
	}
	if len(obj.Spec.Plans) == 0 {
		return nil
	}
	var missing []string
	for _, name := range obj.Spec.Plans {
		if !found[string(name)] && !declares(res.apps, name) {
			missing = append(missing, string(name))
		}
	}
	if len(missing) > 0 {
		return reconcile.Waiting(v1alpha1.ReasonPlanNotFound, 0, "spec.plans: neither the Application nor the vendor has a plan %s; correct the name, or add it to the Application's spec.plans",
			reconcile.List(missing, 5))
	}
	res.rules.Plans = covered
	return nil
}

func declares(apps map[string]*v1alpha1.Application, name v1alpha1.PlanName) bool {
	for _, app := range apps {
		if slices.ContainsFunc(app.Spec.Plans, func(p v1alpha1.ApplicationPlan) bool { return p.Name == name }) {
			return true
		}
	}
	return false
}
