// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package trigger

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/govern"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// t0 is a Monday morning.
var t0 = time.Date(2026, 11, 2, 6, 0, 0, 0, time.UTC)

// office is a tenant with an HR system that says who works there.
type office struct {
	*testing.T
	store   *store.Store
	clock   *clocktesting.FakeClock
	tenant  model.TenantID
	starter *Starter
	people  []model.Record
	groups  map[string][]string // by name: ids of people, who then have accounts
	asked   int
	hooks   int
	shrink  model.Guard
}

// eachOffice runs a test on both databases.
func eachOffice(t *testing.T, fn func(o *office)) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		clock := clocktesting.NewFakeClock(t0)
		st := open(storetest.WithClock(clock))
		fn(newOffice(t, st, clock))
	})
}

func newOffice(t *testing.T, st *store.Store, clock *clocktesting.FakeClock) *office {
	t.Helper()
	tenant, err := st.EnsureTenant(t.Context(), "acme")
	o := &office{T: t, store: st, clock: clock, tenant: tenant, shrink: model.DefaultShrinkGuard, starter: NewStarter(Starter{Store: st, Seats: govern.Unused{Store: st, Clock: clock}, Language: expr.Workflow{}, Clock: clock, Log: slog.New(slog.DiscardHandler)})}
	o.must(err)
	o.must(st.SetTenantFacts(t.Context(), tenant, store.TenantFacts{LifecycleIntegration: "hris", Domains: []string{"acme.example"}, TimeZone: "Europe/Berlin"}))
	return o
}

func (o *office) must(err error) {
	o.Helper()
	if err != nil {
		o.Fatal(err)
	}
}

// employ adds people without a sync.
func (o *office) employ(n int) {
	for i := range n {
		o.people = append(o.people, person(fmt.Sprintf("e%03d", i)))
	}
}

func person(id string, edit ...func(*model.Person)) model.Record {
	p := &model.Person{ExternalID: id, Email: id + "@acme.example", DisplayName: id, EmployeeID: "N-" + id, Department: "Sales", Lifecycle: model.LifecycleCurrent}
	for _, e := range edit {
		e(p)
	}
	return model.Record{Person: p}
}

// change changes what the HR system says of somebody.
func (o *office) change(id string, edit func(*model.Person)) {
	for _, r := range o.people {
		if r.Person.ExternalID == id {
			edit(r.Person)
		}
	}
}

// sync lists everybody.
func (o *office) sync() {
	o.Helper()
	o.asked++
	ctx := o.Context()
	_, err := o.store.UpsertIntegration(ctx, o.tenant, store.IntegrationSpec{Name: "hris", UID: "uid-hris", Generation: 1, Connector: "workday", RequestedAt: fmt.Sprint(o.asked), Interval: time.Hour})
	o.must(err)
	claims, err := o.store.ClaimDueIntegrations(ctx, "test", 10, time.Minute)
	o.must(err)
	y, err := o.store.BeginSync(ctx, claims[0])
	o.must(err)
	o.must(y.Stage(ctx, "workers", "", o.people))
	_, err = y.FinishStream(ctx, "workers", store.StreamOutcome{Complete: true, Types: []model.DataType{model.DataPeople}, Guard: o.shrink})
	o.must(err)
	var accounts []model.Record
	for name, members := range o.groups {
		accounts = append(accounts, model.Record{Group: &model.Group{ExternalID: name, Name: name}})
		for _, id := range members {
			accounts = append(accounts, model.Record{Account: &model.Account{ExternalID: "a-" + id, PersonKey: id + "@acme.example", Username: id, Status: model.AccountActive}},
				model.Record{Membership: &model.Membership{GroupExternalID: name, AccountExternalID: "a-" + id}})
		}
	}
	if len(accounts) > 0 {
		o.must(y.Stage(ctx, "users", "", accounts))
		_, err = y.FinishStream(ctx, "users", store.StreamOutcome{Complete: true, Types: []model.DataType{model.DataAccounts, model.DataGroups}, Guard: model.DefaultShrinkGuard})
		o.must(err)
	}
	o.must(y.Close(ctx))
	o.must(o.store.FinishIntegration(ctx, claims[0], store.IntegrationResult{Status: json.RawMessage(`{}`), Synced: true}))
}

// workflow declares a Workflow.
func (o *office) workflow(name string, s Spec, edit ...func(*store.WorkflowState)) {
	o.Helper()
	raw, err := s.Marshal()
	o.must(err)
	o.must(Check(s, expr.Workflow{}))
	d := workflow.Definition{Language: workflow.LanguageCEL, Subject: s.Subject, When: s.When, Steps: []workflow.Step{{Name: "pause", Wait: &workflow.WaitStep{For: workflow.Hours(1)}}}}
	definition, err := d.Marshal()
	o.must(err)
	w := store.WorkflowState{Name: name, TriggerKind: kindOf(s), Subject: s.Subject, Trigger: raw, State: store.WorkflowReady}
	for _, e := range edit {
		e(&w)
	}
	_, err = o.store.PutWorkflow(o.Context(), o.tenant, w, definition)
	o.must(err)
	o.look() // what it finds from the beginning
}

// kindOf names what starts runs as the controller does.
func kindOf(s Spec) string {
	for kind, set := range map[string]bool{"application": s.Application != nil, "contract": s.Contract != nil, "license": s.License != nil} {
		if set {
			return kind
		}
	}
	return "test"
}

// list has a source list these records, each type in a stream of its own, and
// nothing else.
func (o *office) list(integration string, records ...model.Record) {
	o.Helper()
	o.asked++
	ctx := o.Context()
	_, err := o.store.UpsertIntegration(ctx, o.tenant, store.IntegrationSpec{Name: integration, UID: "uid-" + integration, Generation: 1, Connector: integration, RequestedAt: fmt.Sprint(o.asked), Interval: time.Hour})
	o.must(err)
	claims, err := o.store.ClaimDueIntegrations(ctx, "test", 10, time.Minute)
	o.must(err)
	i := slices.IndexFunc(claims, func(c store.Claim) bool { return c.Name == integration })
	y, err := o.store.BeginSync(ctx, claims[i])
	o.must(err)
	for _, of := range []model.DataType{model.DataAccounts, model.DataPlans, model.DataAssignments, model.DataApps, model.DataContracts} {
		var part []model.Record
		for _, r := range records {
			if r.Type() == of {
				part = append(part, r)
			}
		}
		if len(part) > 0 {
			o.must(y.Stage(ctx, string(of), "", part))
		}
		_, err = y.FinishStream(ctx, string(of), store.StreamOutcome{Complete: true, Types: []model.DataType{of}, Guard: model.DefaultShrinkGuard})
		o.must(err)
	}
	o.must(y.Close(ctx))
	for _, c := range claims {
		o.must(o.store.FinishIntegration(ctx, c, store.IntegrationResult{Status: json.RawMessage(`{}`), Synced: true}))
	}
}

// seats are accounts of people with a paid seat each, last used then.
func seats(used time.Time, ids ...string) (out []model.Record) {
	for _, id := range ids {
		out = append(out, model.Record{Account: &model.Account{ExternalID: "z-" + id, PersonKey: id + "@acme.example", Username: id, Status: model.AccountActive,
			ActivityReported: true, LastActivityAt: &used, LastActivitySource: "zoom.last_login_time"}},
			model.Record{Assignment: &model.Assignment{AccountExternalID: "z-" + id, PlanKey: "pro", PlanName: "Pro", Paid: true, State: model.AssignmentActive}})
	}
	return out
}

// declare records an Application.
func (o *office) declare(a model.AppFacts) {
	o.Helper()
	a.Declared = true
	o.must(o.store.PutDeclaredApp(o.Context(), o.tenant, store.DeclaredApp{Name: a.Name, Title: a.DisplayName, Users: a.Users, Sources: a.Sources, Facts: a}))
}

// agree records a Contract.
func (o *office) agree(c model.ContractFacts) {
	o.Helper()
	if c.State == "" {
		c.State = model.ContractActive
	}
	o.must(o.store.PutDeclaredContract(o.Context(), o.tenant, c))
}

// vars are the variables of the only run of a Workflow.
func (o *office) vars(name string) map[string]any {
	o.Helper()
	runs, err := o.store.ListRuns(o.Context(), o.tenant, store.RunFilter{Kind: workflow.KindWorkflow, Name: name, Limit: 10})
	o.must(err)
	if len(runs) != 1 {
		o.Fatalf("Workflow %s has %d runs", name, len(runs))
	}
	out := map[string]any{}
	o.must(json.Unmarshal(runs[0].Vars, &out))
	return out
}

// about checks what the only run of a Workflow reads again behind a wait.
func (o *office) about(name string, want workflow.About) {
	o.Helper()
	raw, err := json.Marshal(o.vars(name)["about"])
	o.must(err)
	var got workflow.About
	o.must(json.Unmarshal(raw, &got))
	if diff := cmp.Diff(want, got); diff != "" {
		o.Errorf("the run is about (-want +got):\n%s", diff)
	}
}

// release lets what the guard of a Workflow holds start.
func (o *office) release(name string) store.Hold {
	o.Helper()
	hold, err := o.store.Hold(o.Context(), o.tenant, store.WorkflowHold(name))
	o.must(err)
	_, err = o.store.ReleaseHold(o.Context(), o.tenant, store.WorkflowHold(name), hold.Digest, model.Actor{Name: "ada", Kind: model.ActorUser}, "")
	o.must(err)
	return hold
}

// byHand makes a Workflow one that people alone start.
func (o *office) byHand(name string) {
	o.Helper()
	d := workflow.Definition{Language: workflow.LanguageCEL, Steps: []workflow.Step{{Name: "pause", Wait: &workflow.WaitStep{For: workflow.Hours(1)}}}}
	raw, err := d.Marshal()
	o.must(err)
	_, err = o.store.PutWorkflow(o.Context(), o.tenant, store.WorkflowState{Name: name, TriggerKind: "manual", State: store.WorkflowReady}, raw)
	o.must(err)
}

// leavers changes what the HR system says of some.
func leavers(o *office, from, to int, f func(p *model.Person)) {
	for i := from; i < to; i++ {
		o.change(fmt.Sprintf("e%03d", i), f)
	}
}

// at has the clock show a time, and everything handled.
func (o *office) at(text string) {
	o.Helper()
	t, err := time.Parse(time.DateTime, text)
	o.must(err)
	o.clock.SetTime(t)
	o.look()
}

// look has everything handled that happened.
func (o *office) look() {
	o.Helper()
	_, err := o.starter.Look(o.Context())
	o.must(err)
}

func (o *office) pass(d time.Duration) {
	o.Helper()
	o.clock.Step(d)
	o.look()
}

// runs are the subjects of a Workflow's runs, sorted.
func (o *office) runs(name string) []string {
	o.Helper()
	runs, err := o.store.ListRuns(o.Context(), o.tenant, store.RunFilter{Kind: workflow.KindWorkflow, Name: name, Limit: 1000})
	o.must(err)
	out := []string{}
	for _, r := range runs {
		out = append(out, r.Subject)
	}
	slices.Sort(out)
	return out
}

// started checks who has runs.
func (o *office) started(name string, want ...string) {
	o.Helper()
	if got := o.runs(name); !slices.Equal(got, append([]string{}, want...)) {
		o.Fatalf("Workflow %s has runs about %v, want %v; not started: %v", name, got, want, o.starts(name))
	}
}

// starts are what did not start, as "label state reason".
func (o *office) starts(name string) []string {
	o.Helper()
	rows, err := o.store.ListStarts(o.Context(), o.tenant, store.StartQuery{Workflow: name, Limit: 1000})
	o.must(err)
	out := []string{}
	for _, r := range rows {
		out = append(out, r.Label+" "+string(r.State)+" "+r.Reason)
	}
	slices.Sort(out)
	return out
}

func (o *office) notStarted(name string, want ...string) {
	o.Helper()
	if got := o.starts(name); !slices.Equal(got, append([]string{}, want...)) {
		o.Fatalf("Workflow %s has not started %q, want %q", name, got, want)
	}
}

// hook is a body that reached the address of a Workflow.
func (o *office) hook(name, body string) string {
	o.Helper()
	o.hooks++
	id := fmt.Sprintf("hook-%03d", o.hooks)
	payload, err := json.Marshal(model.WebhookEvent{EventID: id, ReceivedAt: o.clock.Now(), Body: json.RawMessage(body)})
	o.must(err)
	o.apply(store.Hook{OwnerKind: workflow.KindWorkflow, OwnerName: name}, model.Event{ID: id, Kind: model.EventWebhook, Subject: workflow.KindWorkflow + "/" + name, Payload: payload, CreatedAt: o.clock.Now()})
	return id
}

// tell is an event of the HR system's webhook.
func (o *office) tell(id string, e model.RealtimeEvent) {
	o.Helper()
	payload, err := json.Marshal(e)
	o.must(err)
	o.apply(store.Hook{OwnerKind: "Integration", OwnerName: "hris", Webhook: "events"}, model.Event{ID: id, Kind: model.EventRealtime, Subject: e.Account, Payload: payload, CreatedAt: o.clock.Now()})
}

func (o *office) apply(h store.Hook, e model.Event) {
	o.Helper()
	_, err := o.store.ApplyHook(context.WithoutCancel(o.Context()), store.HookEvents{Tenant: o.tenant, Hook: h, Events: []model.Event{e}})
	o.must(err)
}
