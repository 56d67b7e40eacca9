// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package governtest fills a store with the seats of one app, through the same
// sync that workers run, for tests of policies.
package governtest

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// Plan is the plan that every seat has.
const Plan = "zoom.type.2"

// App is an app's Integration with its accounts, each with a paid seat.
type App struct {
	Store       *store.Store
	Tenant      model.TenantID
	Integration string
	Now         func() time.Time
	// AccountsOnly lists no people, as an app that does not know who works here.
	AccountsOnly bool
	accounts     map[string]*model.Account
	people       map[string]*model.Person
	order        []string
	groups       []group
	requests     int
}

type group struct {
	model.Group
	members []string
}

// New returns an app without accounts.
func New(st *store.Store, tenant model.TenantID, integration string, now func() time.Time) *App {
	return &App{Store: st, Tenant: tenant, Integration: integration, Now: now, accounts: map[string]*model.Account{}, people: map[string]*model.Person{}}
}

// Add adds an account, last used so many days ago; below 0 is never. The
// account is 700 days old.
func (a *App) Add(id string, idleDays int, edit ...func(*model.Account)) {
	created := a.Now().AddDate(0, 0, -700)
	acc := &model.Account{
		ExternalID: id, PersonKey: id + "@acme.example", Username: id, DisplayName: id, Status: model.AccountActive, CreatedAt: &created,
		ActivityReported: true, LastActivitySource: "zoom.last_login_time",
	}
	if idleDays >= 0 {
		last := a.Now().AddDate(0, 0, -idleDays)
		acc.LastActivityAt = &last
	}
	for _, e := range edit {
		e(acc)
	}
	if a.accounts[id] == nil {
		a.order = append(a.order, id)
	}
	a.accounts[id] = acc
	a.people[id] = &model.Person{ExternalID: "hr-" + id, Email: acc.PersonKey, DisplayName: id, Department: "Sales", Lifecycle: model.LifecycleCurrent}
}

// AddGroup adds a group of accounts, as an identity provider has them.
func (a *App) AddGroup(id, name string, members ...string) {
	a.groups = append(a.groups, group{model.Group{ExternalID: id, Name: name}, members})
}

// AddMany adds accounts named prefix0000, … .
func (a *App) AddMany(prefix string, n, idleDays int) {
	for i := range n {
		a.Add(fmt.Sprintf("%s%04d", prefix, i), idleDays)
	}
}

// Person returns a person to change before the next Sync.
func (a *App) Person(id string) *model.Person { return a.people[id] }

// Account returns an account to change before the next Sync.
func (a *App) Account(id string) *model.Account { return a.accounts[id] }

// Remove takes the account away.
func (a *App) Remove(id string) {
	delete(a.accounts, id)
	delete(a.people, id)
}

// HandOver connects the Integration without syncing it.
func (a *App) HandOver(t testing.TB) {
	t.Helper()
	a.requests++
	_, err := a.Store.UpsertIntegration(t.Context(), a.Tenant, store.IntegrationSpec{
		Name: a.Integration, UID: "uid-" + a.Integration, Generation: 1, Connector: a.Integration, RequestedAt: fmt.Sprint(a.requests), Interval: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Sync lists everything once, completely.
func (a *App) Sync(t testing.TB) {
	t.Helper()
	a.HandOver(t)
	ctx := t.Context()
	claims, err := a.Store.ClaimDueIntegrations(ctx, "test", 100, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range claims {
		if c.Tenant != a.Tenant || c.Name != a.Integration {
			continue
		}
		y, err := a.Store.BeginSync(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{
			y.Stage(ctx, "users", "", a.records()), finish(t, y),
			y.Close(ctx), a.Store.FinishIntegration(ctx, c, store.IntegrationResult{Status: json.RawMessage(`{"synced":true}`), Synced: true}),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	t.Fatalf("integration %s was not due", a.Integration)
}

func finish(t testing.TB, y *store.Sync) error {
	t.Helper()
	types := []model.DataType{model.DataAccounts, model.DataAssignments, model.DataPlans, model.DataPeople, model.DataGroups, model.DataMemberships}
	_, err := y.FinishStream(t.Context(), "users", store.StreamOutcome{Complete: true, Types: types, Guard: model.Guard{MinItems: 1 << 30, MaxPercent: 100}})
	return err
}

func (a *App) records() []model.Record {
	out := []model.Record{{Plan: &model.Plan{Key: Plan, Name: "Licensed", Paid: true}}}
	for _, id := range a.order {
		acc := a.accounts[id]
		if acc == nil {
			continue
		}
		if !a.AccountsOnly {
			out = append(out, model.Record{Person: a.people[id]})
		}
		out = append(out, model.Record{Account: acc},
			model.Record{Assignment: &model.Assignment{AccountExternalID: id, PlanKey: Plan, PlanName: "Licensed", Paid: true, State: model.AssignmentActive}})
	}
	for _, g := range a.groups {
		out = append(out, model.Record{Group: &g.Group})
		for _, id := range g.members {
			out = append(out, model.Record{Membership: &model.Membership{GroupExternalID: g.ExternalID, AccountExternalID: id}})
		}
	}
	return out
}
