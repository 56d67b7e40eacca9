// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package licensepolicy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/controllers/licensepolicy"
	"github.com/seatkeeper/seatkeeper/internal/govern"
	"github.com/seatkeeper/seatkeeper/internal/govern/governtest"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/reconcile/reconciletest"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Start(m) }

var t0 = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// connectors knows the app's connector, with license.remove and a destructive
// user.deactivate, and that of the Integration okta, with group.removeMember.
type connectors struct{}

func (connectors) Domains(_ context.Context, i *v1alpha1.Integration) []string {
	if i.Name == "okta" {
		return []string{"okta.com"}
	}
	return []string{"zoom.us"}
}

func (connectors) Action(_ context.Context, i *v1alpha1.Integration, name string) (licensepolicy.Action, bool) {
	if i.Name == "okta" {
		return licensepolicy.Action{AccountInput: "userId", GroupInput: "groupId", Destructive: i.Spec.Config != nil}, name == "group.removeMember"
	}
	switch name {
	case "license.remove":
		return licensepolicy.Action{AccountInput: "userId"}, true
	case "user.deactivate":
		return licensepolicy.Action{AccountInput: "userId", Destructive: true, EndsAccount: true}, true
	}
	return licensepolicy.Action{}, false
}

// fixture is a namespace with a company in it, and a store.
type fixture struct {
	*testing.T
	client     client.Client
	namespace  string
	clock      *clocktesting.FakeClock
	store      *store.Store
	tenant     model.TenantID
	app        *governtest.App
	reconciler *licensepolicy.Reconciler
}

const organization = `
spec:
  displayName: Acme
  timeZone: UTC
  protected: {people: [boss@acme.example]}`

const application = `
spec:
  displayName: Zoom
  domains: [zoom.us]
  owners: [{email: it@acme.example, role: Primary}]
  plans: [{name: Licensed, vendorKeys: [zoom.type.2]}]`

const integration = `
spec: {connector: zoom, permission: ReadAndAct, interval: 1h, credentialsRef: {name: zoom}}`

const contract = `
spec:
  applicationRef: {name: zoom}
  term: {start: "2026-01-01", end: "2027-04-20"}
  renewal: {type: Auto, noticePeriodDays: 30, termMonths: 12}
  lines: [{plan: Licensed, quantity: 100, unitCost: {minor: 2000, currency: EUR}, period: Month}]`

const policyAuto = `
spec: {applicationRef: {name: zoom}, plans: [Licensed], mode: Auto}`

func newFixture(t *testing.T, st *store.Store, clock *clocktesting.FakeClock) *fixture {
	t.Helper()
	env := testenv.Cluster(t)
	c := env.Client(t)
	f := &fixture{T: t, client: c, namespace: env.Namespace(t), clock: clock, store: st}
	var err error
	if f.tenant, err = st.EnsureTenant(t.Context(), f.namespace); err != nil {
		t.Fatal(err)
	}
	f.app = governtest.New(st, f.tenant, "zoom", clock.Now)
	f.reconciler = &licensepolicy.Reconciler{Env: &reconcile.Env{Client: c, Clock: clock}, Backend: govern.Backend{Store: st}, Connectors: connectors{}}
	return f
}

// on runs a test on one SQLite store.
func on(t *testing.T, fn func(*fixture)) {
	clock := clocktesting.NewFakeClock(t0)
	fn(newFixture(t, storetest.Open(t, storetest.SQLite(t), storetest.WithClock(clock)), clock))
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// create makes an object of YAML.
func create[T client.Object](f *fixture, name, text string, obj T) T {
	f.Helper()
	return reconciletest.Create(f, f.client, f.namespace, name, text, obj)
}

// company makes everything that a policy rests on, with 75 active and 10 idle
// seats, and further ones that are there from the start.
func (f *fixture) company(more ...func()) {
	f.Helper()
	create(f, "default", organization, &v1alpha1.Organization{})
	create(f, "zoom", application, &v1alpha1.Application{})
	create(f, "zoom", integration, &v1alpha1.Integration{})
	create(f, "zoom-2026", contract, &v1alpha1.Contract{})
	f.app.AddMany("active", 75, 3)
	f.app.AddMany("idle", 10, 97)
	for _, add := range more {
		add()
	}
	f.sync()
}

func (f *fixture) sync() {
	f.Helper()
	f.clock.Step(time.Minute)
	f.app.Sync(f)
	f.clock.Step(time.Minute)
}

func (f *fixture) policy(text string) *v1alpha1.LicensePolicy {
	f.Helper()
	return create(f, "zoom-90d", text, &v1alpha1.LicensePolicy{})
}

func (f *fixture) steady(p *v1alpha1.LicensePolicy) {
	f.Helper()
	reconciletest.Steady(f, f.client, p, f.reconciler)
}

func (f *fixture) runs() []store.Run {
	f.Helper()
	list, err := f.store.ListRuns(f.Context(), f.tenant, store.RunFilter{Limit: 1000})
	f.must(err)
	return list
}

func (f *fixture) wantRuns(n int) {
	f.Helper()
	if got := len(f.runs()); got != n {
		f.Errorf("%d runs, want %d", got, n)
	}
}

func (f *fixture) wantReady(p *v1alpha1.LicensePolicy, status metav1.ConditionStatus, reason string, words ...string) {
	f.Helper()
	reconciletest.WantReady(f, p, status, reason, words...)
}

// The whole path, on both databases.
func TestAutoStartsRunsAndCounts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		clock := clocktesting.NewFakeClock(t0)
		f := newFixture(t, open(storetest.WithClock(clock)), clock)
		f.company(func() { f.app.Add("boss", 200) })
		p := f.policy(policyAuto)
		f.steady(p)
		f.wantReady(p, metav1.ConditionTrue, v1alpha1.ReasonReconciled, "10 of 86 seats unused for 90 days")
		if got := reconciletest.Kstatus(p); got != reconciletest.Current {
			t.Errorf("kstatus %s", got)
		}
		e, s := p.Status.Evaluated, p.Status.Savings
		if e.Candidates != 86 || e.Active != 75 || e.Inactive != 10 || e.Exempt != 1 || e.InFlight != 10 || e.Held != 0 {
			t.Errorf("%+v", e)
		}
		if len(s.PotentialAnnual) != 1 || s.PotentialAnnual[0] != (v1alpha1.Money{Minor: 240000, Currency: "EUR"}) || s.Summary != "EUR 2400.00" || len(s.Realised) != 0 {
			t.Errorf("%+v", s)
		}
		f.wantRuns(10)
		run := f.runs()[0]
		if run.Kind != "LicensePolicy" || run.Name != "zoom-90d" || !strings.HasSuffix(run.TriggerKey, "@2026-08-16") {
			t.Errorf("%+v", run)
		}
		var vars struct {
			Seat struct{ AppTitle, Contact, Effect string }
			With map[string]any
		}
		if err := json.Unmarshal(run.Vars, &vars); err != nil || vars.Seat.AppTitle != "Zoom" || vars.Seat.Contact != "it@acme.example" ||
			!strings.Contains(vars.Seat.Effect, "your account stays") || !strings.HasPrefix(fmt.Sprint(vars.With["userId"]), "idle") {
			t.Errorf("%+v, %v", vars, err)
		}
	})
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	on(t, func(f *fixture) {
		p := f.policy(policyAuto)
		f.steady(p)
		f.wantReady(p, metav1.ConditionFalse, v1alpha1.ReasonReferenceNotFound, `spec.applicationRef: there is no Application "zoom"`, "create it, or correct the name")
		if got := reconciletest.Kstatus(p); got != reconciletest.InProgress {
			f.Errorf("kstatus %s", got)
		}
		app := create(f, "zoom", strings.ReplaceAll(application, "domains: [zoom.us]", ""), &v1alpha1.Application{})
		f.steady(p)
		f.wantReady(p, metav1.ConditionFalse, v1alpha1.ReasonNotConnected, "Application zoom", "integrationRefs")

		create(f, "zoom", integration, &v1alpha1.Integration{})
		app.Spec.Domains = []v1alpha1.DomainName{"zoom.us"}
		f.must(f.client.Update(f.Context(), app))
		f.app.AddMany("active", 30, 3)
		f.app.AddMany("idle", 5, 97)
		f.app.HandOver(f)
		f.steady(p)
		f.wantReady(p, metav1.ConditionFalse, v1alpha1.ReasonDependencyNotReady, "has not completed its first sync")
		f.wantRuns(0) // invariant 3: nothing in a first sync

		f.sync()
		f.steady(p)
		f.wantReady(p, metav1.ConditionTrue, v1alpha1.ReasonModeLimited, "no Organization", "5 of 35 seats unused")
		if p.Status.EffectiveMode != v1alpha1.ModeReport || p.Status.Savings.Summary != "Unknown" || p.Status.Savings.Unpriced != 5 {
			f.Errorf("%+v", p.Status)
		}
		f.wantRuns(0) // decision 3

		create(f, "default", organization, &v1alpha1.Organization{})
		f.steady(p)
		f.wantReady(p, metav1.ConditionTrue, v1alpha1.ReasonReconciled)
		f.wantRuns(5)
	})
}

// Invariant 3: whatever limits a policy, it starts nothing and says why.
func TestLimitsStartNothing(t *testing.T) {
	for _, tc := range []struct {
		name, policy, integration string
		status                    metav1.ConditionStatus
		reason                    string
		words                     []string
	}{
		{"Report", "spec: {applicationRef: {name: zoom}, mode: Report}", integration, metav1.ConditionTrue, v1alpha1.ReasonReconciled, nil},
		{"permission Read", policyAuto, strings.ReplaceAll(integration, "ReadAndAct", "Read"), metav1.ConditionTrue, v1alpha1.ReasonPermissionRead, []string{"ReadAndAct"}},
		{"destructive action", "spec: {applicationRef: {name: zoom}, mode: Auto, removal: {via: Direct, action: user.deactivate}}", integration, metav1.ConditionTrue, v1alpha1.ReasonActionNotAllowed, []string{"user.deactivate", "destructiveActions"}},
		{"unknown action", "spec: {applicationRef: {name: zoom}, mode: Auto, removal: {via: Direct, action: app.unassign}}", integration, metav1.ConditionTrue, v1alpha1.ReasonRemovalUnsupported, []string{"app.unassign"}},
		{"mode Approve", "spec: {applicationRef: {name: zoom}, mode: Approve, approve: {approvers: [{role: Manager}]}}", integration, metav1.ConditionFalse, v1alpha1.ReasonNotImplemented, []string{"Approve does not act yet"}},
		{"delegated", "spec: {applicationRef: {name: zoom}, mode: Auto, removal: {via: Delegate}}", integration, metav1.ConditionFalse, v1alpha1.ReasonNotImplemented, []string{"removal.via"}},
		{"bad expression", "spec: {applicationRef: {name: zoom}, mode: Auto, exempt: [{when: \"person.departmnt == 'Legal'\"}]}", integration, metav1.ConditionFalse, v1alpha1.ReasonInvalidExpression, []string{"spec.exempt[0].when", "departmnt"}},
		{"bad schedule", "spec: {applicationRef: {name: zoom}, mode: Auto, schedule: \"0 99 * * *\"}", integration, metav1.ConditionFalse, v1alpha1.ReasonScheduleInvalid, []string{`hour "99"`}},
		{"suspended", "spec: {applicationRef: {name: zoom}, mode: Auto, suspend: true}", integration, metav1.ConditionFalse, v1alpha1.ReasonSuspended, nil},
		{"unknown plan", "spec: {applicationRef: {name: zoom}, mode: Auto, plans: [Gold]}", integration, metav1.ConditionFalse, v1alpha1.ReasonPlanNotFound, []string{"Gold"}},
		{"all unknown", "spec: {applicationRef: {name: zoom}, mode: Auto, signals: [sso_login]}", integration, metav1.ConditionTrue, v1alpha1.ReasonNoTrustedSignal, []string{"sso_login", "none is acted on"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			on(t, func(f *fixture) {
				create(f, "default", organization, &v1alpha1.Organization{})
				create(f, "zoom", application, &v1alpha1.Application{})
				create(f, "zoom", tc.integration, &v1alpha1.Integration{})
				f.app.AddMany("active", 30, 3)
				f.app.AddMany("idle", 5, 97)
				f.sync()
				p := f.policy(tc.policy)
				f.steady(p)
				f.wantReady(p, tc.status, tc.reason, tc.words...)
				f.wantRuns(0)
				stalled := reconciletest.Kstatus(p) == reconciletest.Failed
				if want := tc.status == metav1.ConditionFalse && tc.reason != v1alpha1.ReasonSuspended && tc.reason != v1alpha1.ReasonPlanNotFound; stalled != want {
					f.Errorf("kstatus %s", reconciletest.Kstatus(p))
				}
			})
		})
	}
}

// Invariant 4, end to end: held in status and condition, released by the
// annotation with the digest, and by no other.
func TestGuardAndReleaseByAnnotation(t *testing.T) {
	on(t, func(f *fixture) {
		f.company(func() { f.app.AddMany("older", 20, 300) })
		p := f.policy(policyAuto)
		f.steady(p)
		f.wantRuns(20)
		for _, r := range f.runs() {
			if !strings.HasPrefix(r.Subject, "zoom/older") {
				f.Errorf("%s started before those that are idle for longer", r.Subject)
			}
		}
		held := p.Status.Held
		if held == nil || held.Count != 10 || held.Allowed != 20 || held.Total != 105 || p.Status.Evaluated.Held != 10 {
			f.Fatalf("%+v, %+v", held, p.Status.Evaluated)
		}
		c := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionHeld)
		if c == nil || c.Reason != v1alpha1.ReasonGuardHeld || !strings.Contains(c.Message, held.Digest) {
			f.Errorf("%+v", c)
		}
		annotate := func(digest string) {
			f.Helper()
			p.Annotations = map[string]string{v1alpha1.ReleaseAnnotation: digest}
			f.must(f.client.Update(f.Context(), p))
			f.steady(p)
		}
		annotate("sha256:0000")
		f.wantRuns(20)
		if c := meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionHeld); !strings.Contains(c.Message, "names another set") {
			f.Error(c.Message)
		}
		annotate(held.Digest)
		f.wantRuns(30)
		if p.Status.Held != nil || meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionHeld) != nil {
			f.Errorf("still held: %+v", p.Status.Held)
		}
	})
}

// With a schedule runs start when it comes, not whenever something wakes the
// policy; the numbers are always new.
func TestScheduleSaysWhenToAct(t *testing.T) {
	on(t, func(f *fixture) {
		f.company()
		p := f.policy("spec: {applicationRef: {name: zoom}, mode: Auto, schedule: \"0 18 * * *\"}")
		f.steady(p)
		f.wantRuns(0)
		if p.Status.Evaluated.Inactive != 10 {
			f.Errorf("%+v", p.Status.Evaluated)
		}
		res := reconciletest.Reconcile(f, f.reconciler, p)
		if at := f.clock.Now().Add(res.RequeueAfter); !at.Equal(time.Date(2026, 11, 21, 18, 0, 0, 0, time.UTC)) {
			f.Errorf("wakes at %s", at)
		}
		f.clock.SetTime(time.Date(2026, 11, 21, 18, 0, 0, 0, time.UTC))
		f.steady(p)
		f.wantRuns(10)
		f.app.Account("active0000").LastActivityAt = f.app.Account("idle0000").LastActivityAt
		f.sync()
		f.steady(p)
		f.wantRuns(10) // until tomorrow
	})
}

func TestHourlyAtAnOffset(t *testing.T) {
	on(t, func(f *fixture) {
		f.company()
		p := f.policy(policyAuto)
		f.steady(p)
		first := f.clock.Now().Add(reconciletest.Reconcile(f, f.reconciler, p).RequeueAfter)
		f.clock.SetTime(first)
		second := f.clock.Now().Add(reconciletest.Reconcile(f, f.reconciler, p).RequeueAfter)
		if second.Sub(first) != time.Hour {
			f.Errorf("%s after %s", second, first)
		}
	})
}

// A policy that went away acts no more, and its runs find that out.
func TestDeletedPolicyIsGone(t *testing.T) {
	on(t, func(f *fixture) {
		f.company()
		p := f.policy(policyAuto)
		f.steady(p)
		f.must(f.client.Delete(f.Context(), p))
		if _, err := f.reconciler.Reconcile(f.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(p)}); err != nil {
			f.Fatal(err)
		}
		state, err := f.store.Policy(f.Context(), f.tenant, p.Name)
		f.must(err)
		if !state.Removed {
			f.Errorf("%+v", state)
		}
	})
}
