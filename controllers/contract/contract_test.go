// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package contract_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/controllers/contract"
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

type connectors struct{}

func (connectors) Domains(context.Context, *v1alpha1.Integration) []string {
	return []string{"zoom.us"}
}

type fixture struct {
	*testing.T
	client     client.Client
	namespace  string
	clock      *clocktesting.FakeClock
	store      *store.Store
	tenant     model.TenantID
	reconciler *contract.Reconciler
	booked     []string
}

// backend records what is booked, and passes everything on to the store.
type backend struct {
	govern.Backend
	f *fixture
}

func (b backend) BookRealised(ctx context.Context, namespace, app, from, to, line string, fewer int64, annual model.Money) error {
	b.f.booked = append(b.f.booked, fmt.Sprintf("%s %s>%s %s %d x %d %s", app, from, to, line, fewer, annual.Minor, annual.Currency))
	return b.Backend.BookRealised(ctx, namespace, app, from, to, line, fewer, annual)
}

func on(t *testing.T, now time.Time, fn func(*fixture)) {
	t.Helper()
	env := testenv.Cluster(t)
	c := env.Client(t)
	clock := clocktesting.NewFakeClock(now)
	f := &fixture{T: t, client: c, namespace: env.Namespace(t), clock: clock, store: storetest.Open(t, storetest.SQLite(t), storetest.WithClock(clock))}
	var err error
	f.tenant, err = f.store.EnsureTenant(t.Context(), f.namespace)
	f.must(err)
	f.reconciler = &contract.Reconciler{Env: &reconcile.Env{Client: c, Clock: clock}, Backend: backend{govern.Backend{Store: f.store}, f}, Connectors: connectors{}}
	fn(f)
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func create[T client.Object](f *fixture, name, text string, obj T) T {
	f.Helper()
	return reconciletest.Create(f, f.client, f.namespace, name, text, obj)
}

const application = `
spec:
  domains: [zoom.us]
  plans: [{name: Licensed, vendorKeys: [zoom.type.2]}]`

const text = `
spec:
  applicationRef: {name: zoom}
  term: {start: "2026-04-01", end: "2027-03-31"}
  renewal: {type: Auto, noticePeriodDays: 60, termMonths: 12}
  reminders: [{before: 90d}, {before: 60d}, {before: 30d}]
  lines: [{plan: Licensed, quantity: 100, unitCost: {minor: 2000, currency: EUR}, period: Month}]`

func (f *fixture) want(c *v1alpha1.Contract, status metav1.ConditionStatus, reason string, words ...string) {
	f.Helper()
	reconciletest.Steady(f, f.client, c, f.reconciler)
	reconciletest.WantReady(f, c, status, reason, words...)
}

// Journey 9: end 2027-03-31, notice 60 days, renews by itself.
func TestDeadlineAndStage(t *testing.T) {
	on(t, time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC), func(f *fixture) {
		create(f, "default", "spec: {timeZone: Asia/Tokyo}", &v1alpha1.Organization{})
		create(f, "zoom", application, &v1alpha1.Application{})
		c := create(f, "zoom-2026", text, &v1alpha1.Contract{})
		f.want(c, metav1.ConditionTrue, v1alpha1.ReasonTermOpen, "cancel by 2027-01-30")
		if c.Status.Stage != v1alpha1.StageActive || c.Status.CancellationDeadline != "2027-01-30" || *c.Status.Annual != (v1alpha1.Money{Minor: 2400000, Currency: "EUR"}) {
			f.Errorf("%+v", c.Status)
		}
		// In Tokyo 31 January begins at 15:00 UTC on the 30th.
		f.clock.SetTime(time.Date(2027, 1, 30, 14, 30, 0, 0, time.UTC))
		f.want(c, metav1.ConditionTrue, v1alpha1.ReasonTermOpen)
		if c.Status.Stage != v1alpha1.StageInNotice {
			f.Errorf("on the last day: %s", c.Status.Stage)
		}
		wake := f.clock.Now().Add(reconciletest.Reconcile(f, f.reconciler, c).RequeueAfter)
		if midnight := time.Date(2027, 1, 30, 15, 0, 0, 0, time.UTC); wake.Before(midnight) || wake.After(midnight.Add(15*time.Minute)) {
			f.Errorf("wakes at %s", wake)
		}
		f.clock.SetTime(wake)
		f.want(c, metav1.ConditionTrue, v1alpha1.ReasonDeadlineMissed, "2027-01-30 has passed")
		if c.Status.Stage != v1alpha1.StageMissed {
			f.Errorf("a day later: %s", c.Status.Stage)
		}
		notice := int32(30)
		c.Spec.Renewal.NoticePeriodDays = &notice
		f.must(f.client.Update(f.Context(), c))
		f.want(c, metav1.ConditionTrue, v1alpha1.ReasonTermOpen, "2027-03-01")
		f.clock.SetTime(time.Date(2027, 4, 2, 12, 0, 0, 0, time.UTC))
		f.want(c, metav1.ConditionTrue, v1alpha1.ReasonTermEnded, "2027-03-31")
	})
}

func TestSeatsAgainstLines(t *testing.T) {
	on(t, time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), func(f *fixture) {
		create(f, "zoom", application, &v1alpha1.Application{})
		create(f, "zoom", "spec: {connector: zoom, credentialsRef: {name: zoom}}", &v1alpha1.Integration{})
		app := governtest.New(f.store, f.tenant, "zoom", f.clock.Now)
		app.AddMany("a", 80, 3)
		app.Sync(f)
		c := create(f, "zoom-2026", text, &v1alpha1.Contract{})
		// No policy has judged these seats: that they are idle is not known, only
		// that 20 of 100 are given to nobody.
		f.want(c, metav1.ConditionTrue, v1alpha1.ReasonTermOpen)
		if s := c.Status.Seats; s.Contracted != 100 || s.Assigned != 80 || s.Unused != 20 || s.Unknown != 80 {
			f.Errorf("%+v", s)
		}
		if c.Status.Summary != "EUR 4800.00" {
			f.Errorf("%s, %+v", c.Status.Summary, c.Status.PotentialSavings)
		}
		findings := func(yield func(model.Finding, error) bool) {
			for i := range 80 {
				class := model.SeatActive
				if i < 30 {
					class = model.SeatInactive
				}
				if !yield(model.Finding{Policy: "p", Integration: "zoom", AccountID: fmt.Sprintf("a%04d", i), PlanKey: governtest.Plan, Class: class, Reason: "x"}, nil) {
					return
				}
			}
		}
		_, err := f.store.ReplaceFindings(f.Context(), f.tenant, "p", findings)
		f.must(err)
		f.want(c, metav1.ConditionTrue, v1alpha1.ReasonTermOpen)
		if s := c.Status.Seats; s.Unused != 50 || s.Unknown != 0 || c.Status.Summary != "EUR 12000.00" {
			f.Errorf("%+v, %s", s, c.Status.Summary)
		}
	})
}

func TestContractsThatDoNotFit(t *testing.T) {
	on(t, time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), func(f *fixture) {
		c := create(f, "zoom-2026", text, &v1alpha1.Contract{})
		f.want(c, metav1.ConditionFalse, v1alpha1.ReasonReferenceNotFound, `no Application "zoom"`)
		if c.Status.CancellationDeadline != "2027-01-30" {
			f.Errorf("the deadline needs no Application: %+v", c.Status)
		}
		app := create(f, "zoom", strings.ReplaceAll(application, "Licensed", "Pro"), &v1alpha1.Application{})
		f.want(c, metav1.ConditionFalse, v1alpha1.ReasonPlanNotFound, "spec.lines[0].plan", "Licensed")
		app.Spec.Plans[0].Name = "Licensed"
		f.must(f.client.Update(f.Context(), app))
		f.want(c, metav1.ConditionTrue, v1alpha1.ReasonTermOpen)
		second := create(f, "zoom-b", text, &v1alpha1.Contract{})
		f.want(second, metav1.ConditionFalse, v1alpha1.ReasonContractOverlap, "zoom-2026", "Licensed")
		f.want(c, metav1.ConditionTrue, v1alpha1.ReasonTermOpen)
	})
}

// Journey 10: realised is what the renewal buys less, once it is in force.
func TestRenewalBooksWhatFell(t *testing.T) {
	on(t, time.Date(2027, 3, 31, 12, 0, 0, 0, time.UTC), func(f *fixture) {
		create(f, "zoom", application, &v1alpha1.Application{})
		create(f, "zoom-2026", text, &v1alpha1.Contract{})
		next := create(f, "zoom-2027", `
spec:
  applicationRef: {name: zoom}
  previousRef: {name: zoom-2026}
  term: {start: "2027-04-01", end: "2028-03-31"}
  lines: [{plan: Licensed, quantity: 85, unitCost: {minor: 2100, currency: EUR}, period: Month}]`, &v1alpha1.Contract{})
		f.want(next, metav1.ConditionTrue, v1alpha1.ReasonReconciled)
		if len(f.booked) > 0 {
			f.Errorf("booked before the term: %v", f.booked)
		}
		f.clock.SetTime(time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC))
		f.want(next, metav1.ConditionTrue, v1alpha1.ReasonTermOpen)
		if len(f.booked) == 0 || f.booked[0] != "zoom zoom-2026>zoom-2027 Licensed 15 x 24000 EUR" {
			f.Errorf("%v", f.booked)
		}
	})
}
