// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package application

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/offboarding"
	"github.com/seatkeeper/seatkeeper/internal/reconcile"
	"github.com/seatkeeper/seatkeeper/internal/reconcile/reconciletest"
	"github.com/seatkeeper/seatkeeper/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Start(m) }

type backend struct {
	rollup   RollUp
	query    Query
	declared map[string]Declared
}

func (b *backend) Declare(_ context.Context, _ string, d Declared) error {
	if b.declared == nil {
		b.declared = map[string]Declared{}
	}
	b.declared[d.Name] = d
	return nil
}

func (b *backend) Forget(_ context.Context, _, name string) error {
	delete(b.declared, name)
	return nil
}

func (*backend) Domains(_ context.Context, i *v1alpha1.Integration) []string {
	return []string{i.Spec.Connector + ".us"}
}

// Offboarding knows connectors that stop and delete accounts, but for csv, that
// can do nothing, and own ones, that nobody knows.
func (*backend) Offboarding(_ context.Context, i *v1alpha1.Integration) offboarding.Integration {
	out := offboarding.Integration{Name: i.Name, Known: i.Spec.Connector != "", ReadAndAct: i.Spec.Permission == v1alpha1.PermissionReadAndAct}
	for _, a := range i.Spec.DestructiveActions {
		out.Destructive = append(out.Destructive, string(a))
	}
	if i.Spec.Connector != "csv" {
		user := []offboarding.Input{{Name: "userId", Type: "account", Required: true}}
		out.Actions = []offboarding.Action{
			{Name: "user.suspend", Removes: true, Inputs: user},
			{Name: "user.delete", Removes: true, Destructive: true, Inputs: user},
		}
	}
	if i.Spec.Connector == "okta" {
		out.Actions = append(out.Actions, offboarding.Action{Name: "app.unassign", Removes: true, Inputs: []offboarding.Input{
			{Name: "userId", Type: "account", Required: true}, {Name: "appId", Type: "app", Required: true}}})
	}
	return out
}

func (*backend) Recommend(domains []string) string {
	if len(domains) > 0 && domains[0] == "zoom.us" {
		return "zoom"
	}
	return ""
}

func (b *backend) RollUp(_ context.Context, _ string, q Query) (RollUp, error) {
	b.query = q
	out := b.rollup
	if len(q.Integrations) == 0 {
		out.Plans, out.Users = nil, v1alpha1.UserCounts{}
	}
	return out, nil
}

// indexed finds by the manager's indexes with a client that has no cache.
type indexed struct{ client.Client }

func (c indexed) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	o := (&client.ListOptions{}).ApplyOptions(opts)
	selector := o.FieldSelector
	o.FieldSelector = nil
	if err := c.Client.List(ctx, list, o); err != nil || selector == nil {
		return err
	}
	all, err := meta.ExtractList(list)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(item runtime.Object) bool {
		for _, r := range selector.Requirements() {
			if !slices.Contains(indexes[r.Field](item.(client.Object)), r.Value) {
				return true
			}
		}
		return false
	})
	return meta.SetList(list, all)
}

func usd(minor int64) *v1alpha1.Money { return &v1alpha1.Money{Minor: minor, Currency: "USD"} }

func TestReconcile(t *testing.T) {
	env := testenv.Cluster(t)
	c := env.Client(t)
	ns := env.Namespace(t)
	app := &v1alpha1.Application{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "zoom"}, Spec: v1alpha1.ApplicationSpec{
		DisplayName: "Zoom", Domains: []v1alpha1.DomainName{"zoom.us"},
		Plans: []v1alpha1.ApplicationPlan{
			{Name: "Licensed", VendorKeys: []string{"zoom.type.2"}, UnitCost: usd(1999), Period: v1alpha1.PeriodMonth},
			{Name: "Basic", VendorKeys: []string{"zoom.type.1"}, UnitCost: usd(0), Period: v1alpha1.PeriodMonth},
		},
	}}
	if err := c.Create(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	b := &backend{rollup: RollUp{
		Sources: []string{"okta"}, InIDP: true, Users: v1alpha1.UserCounts{Total: 30, Active: 20, Inactive: 7, Unknown: 3}, Today: "2026-03-01",
		Plans: []Plan{
			{Integration: "zoom", Key: "zoom.type.2", Name: "Licensed", Paid: true, Purchased: ptr.To[int64](20), Assigned: 15, Used: 10, Unused: 4, Unknown: 1},
			{Integration: "zoom", Key: "zoom.type.1", Name: "Basic", Assigned: 15},
		},
	}}
	r := &Reconciler{Env: &reconcile.Env{Client: indexed{c}}, Backend: b}

	// Nothing is connected: what other sources know is shown, and what could be.
	reconciletest.Steady(t, c, app, r)
	if got := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionReady); got.Reason != v1alpha1.ReasonNotConnected || got.Status != metav1.ConditionTrue {
		t.Errorf("Ready: %+v", got)
	}
	if app.Status.RecommendedConnector != "zoom" || app.Status.Connected || !app.Status.InIDP {
		t.Errorf("status %+v", app.Status)
	}

	// Connected by domain, and synced.
	integration := &v1alpha1.Integration{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "zoom"}, Spec: v1alpha1.IntegrationSpec{Connector: "zoom"}}
	if err := c.Create(t.Context(), integration); err != nil {
		t.Fatal(err)
	}
	reconciletest.Steady(t, c, app, r)
	if v := reconciletest.Kstatus(app); v != reconciletest.InProgress {
		t.Errorf("kstatus before the first sync is %s", v)
	}
	integration.Status.Digest = "1"
	integration.Status.DataTypes = []v1alpha1.DataTypeStatus{{Name: v1alpha1.DataAccounts, State: v1alpha1.DataTypeStale}}
	if err := c.Status().Update(t.Context(), integration); err != nil {
		t.Fatal(err)
	}
	reconciletest.Steady(t, c, app, r)
	if v := reconciletest.Kstatus(app); v != reconciletest.Current {
		t.Errorf("kstatus is %s", v)
	}
	if meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionInventoryStale) == nil {
		t.Error("stale accounts are not told")
	}
	want := &v1alpha1.SeatCounts{Purchased: ptr.To[int64](20), Assigned: 15, Used: 10, Unused: 4, Unknown: 1}
	if d := cmp.Diff(want, app.Status.Seats); d != "" {
		t.Errorf("paid seats: %s", d)
	}
	// 20 purchased seats at 19.99 for 12 months.
	if s := app.Status.Spend; s == nil || s.Summary != "USD 4797.60" || s.Source != v1alpha1.SpendFromPlan {
		t.Errorf("spend %+v", s)
	}

	// A contract's price and quantity win.
	contract := &v1alpha1.Contract{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "zoom-2026"}, Spec: v1alpha1.ContractSpec{
		ApplicationRef: v1alpha1.ObjectReference{Name: "zoom"}, State: v1alpha1.ContractActive,
		Term:  v1alpha1.ContractTerm{Start: "2026-01-01", End: "2026-12-31"},
		Lines: []v1alpha1.ContractLine{{Plan: "Licensed", Quantity: ptr.To[int64](400), UnitCost: usd(1599), Period: v1alpha1.PeriodMonth}},
	}}
	if err := c.Create(t.Context(), contract); err != nil {
		t.Fatal(err)
	}
	reconciletest.Steady(t, c, app, r)
	if s := app.Status.Spend; s == nil || s.Summary != "USD 76752.00" || s.Source != v1alpha1.SpendFromContract {
		t.Errorf("spend %+v", s)
	}

	// A second Application of the same domain is the younger's problem.
	other := &v1alpha1.Application{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "zoom-too"}, Spec: v1alpha1.ApplicationSpec{Domains: app.Spec.Domains}}
	if err := c.Create(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	reconciletest.Steady(t, c, other, r)
	if got := meta.FindStatusCondition(other.Status.Conditions, v1alpha1.ConditionReady); got.Reason != v1alpha1.ReasonDomainConflict {
		t.Errorf("Ready: %+v", got)
	}

	// Whoever lists apps sees it, until it is deleted.
	declared := Declared{Name: app.Name, Title: app.Spec.DisplayName, Users: 30, Paid: 15, Unused: 4, Unknown: 1, Sources: []string{"zoom"},
		Facts: model.AppFacts{
			Name: app.Name, DisplayName: app.Spec.DisplayName, Declared: true, State: "InReview", Connected: true, Users: 30,
			Spend: &model.Money{Minor: 7675200, Currency: "USD"}, Sources: []string{"zoom"},
			KnownAs: model.AppIdentity{Names: []string{"zoom"}, Domains: []string{"zoom.us"}},
			Terms:   []string{"zoom-2026 Active 2026-01-01 2026-12-31  None USD 76752.00"},
		}}
	if d := cmp.Diff(declared, b.declared[app.Name]); d != "" {
		t.Errorf("listed (-want +got):\n%s", d)
	}
	if err := c.Delete(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(app)}); err != nil {
		t.Fatal(err)
	}
	if d, ok := b.declared[app.Name]; ok {
		t.Errorf("still listed: %+v", d)
	}
}

// TestPeersAreToldOfEachOther keeps what one status says of other Applications
// from being wrong until the next hourly look.
func TestPeersAreToldOfEachOther(t *testing.T) {
	env := testenv.Cluster(t)
	c := env.Client(t)
	ns := env.Namespace(t)
	create := func(name, category string, domains ...v1alpha1.DomainName) *v1alpha1.Application {
		app := &v1alpha1.Application{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}, Spec: v1alpha1.ApplicationSpec{Category: category, Domains: domains}}
		if err := c.Create(t.Context(), app); err != nil {
			t.Fatal(err)
		}
		return app
	}
	zoom := create("zoom", "Collaboration", "zoom.us", "zoom.com")
	create("slack", "Collaboration", "slack.com")
	create("zoom-too", "Video", "zoom.com")
	create("jira", "Work", "atlassian.com")
	r := &Reconciler{Env: &reconcile.Env{Client: indexed{c}}}
	var got []string
	for _, req := range r.peers(t.Context(), zoom) {
		got = append(got, req.Name)
	}
	slices.Sort(got)
	if d := cmp.Diff([]string{"slack", "zoom-too"}, got); d != "" {
		t.Errorf("peers (-want +got):\n%s", d)
	}

	tests := []struct {
		name   string
		change func(*v1alpha1.Application)
		want   bool
	}{
		{"nothing", func(*v1alpha1.Application) {}, false},
		{"a condition", func(a *v1alpha1.Application) { a.Status.Conditions = []metav1.Condition{{Type: "Ready"}} }, false},
		{"first users", func(a *v1alpha1.Application) { a.Status.Users = &v1alpha1.UserCounts{Total: 1} }, true},
		{"still no users", func(a *v1alpha1.Application) { a.Status.Users = &v1alpha1.UserCounts{} }, false},
		{"category", func(a *v1alpha1.Application) { a.Spec.Category = "Video" }, true},
		{"domains", func(a *v1alpha1.Application) { a.Spec.Domains = a.Spec.Domains[:1] }, true},
	}
	for _, tt := range tests {
		after := zoom.DeepCopy()
		tt.change(after)
		if got := seenByPeers(event.UpdateEvent{ObjectOld: zoom, ObjectNew: after}); got != tt.want {
			t.Errorf("%s: told is %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestSpendIsUnknownWhereItIs(t *testing.T) {
	app := &v1alpha1.Application{Spec: v1alpha1.ApplicationSpec{Plans: []v1alpha1.ApplicationPlan{
		{Name: "A", VendorKeys: []string{"a"}, UnitCost: usd(100), Period: v1alpha1.PeriodMonth},
		{Name: "B", VendorKeys: []string{"b"}, UnitCost: &v1alpha1.Money{Minor: 100, Currency: "EUR"}, Period: v1alpha1.PeriodMonth},
	}}}
	row := func(key string, paid bool) Plan { return Plan{Key: key, Name: key, Paid: paid, Assigned: 2} }
	tests := []struct {
		name string
		rows []Plan
		want string
	}{
		{"priced", []Plan{row("a", true)}, "USD 24.00"},
		{"a paid plan without a price", []Plan{row("a", true), row("c", true)}, ""},
		{"two currencies", []Plan{row("a", true), row("b", true)}, ""},
		{"a free plan costs nothing", []Plan{row("a", true), row("c", false)}, "USD 24.00"},
		{"the vendor's own price", []Plan{{Key: "d", Name: "D", Paid: true, Assigned: 3, Unit: &model.Money{Minor: 1000, Currency: "USD"}, Period: model.PeriodYear}}, "USD 30.00"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			fill(app, nil, RollUp{Plans: tt.rows, Today: "2026-03-01"}, nil)
			if app.Status.Spend != nil {
				got = app.Status.Spend.Summary
			}
			if got != tt.want {
				t.Errorf("spend %q, want %q", got, tt.want)
			}
		})
	}
}
