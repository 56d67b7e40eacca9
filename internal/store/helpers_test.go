// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/store/storetest"
)

var t0 = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// world is a store with a fake clock and one tenant.
type world struct {
	*testing.T
	s      *store.Store
	clock  *clocktesting.FakePassiveClock
	tenant model.TenantID
}

// eachWorld runs a test on both databases.
func eachWorld(t *testing.T, fn func(w *world)) {
	storetest.Each(t, func(t *testing.T, open storetest.Opener) {
		clock := clocktesting.NewFakePassiveClock(t0)
		s := open(storetest.WithClock(clock))
		tenant, err := s.EnsureTenant(t.Context(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		fn(&world{t, s, clock, tenant})
	})
}

func (w *world) step(d time.Duration) { w.clock.SetTime(w.clock.Now().Add(d)) }

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// otherTenant is the same world as seen by another tenant.
func (w *world) otherTenant(namespace string) *world {
	w.Helper()
	id, err := w.s.EnsureTenant(w.Context(), namespace)
	w.must(err)
	return &world{w.T, w.s, w.clock, id}
}

var requests int

// claim hands the Integration over, asks for a sync and claims it.
func (w *world) claim(integration, connector string) store.Claim {
	w.Helper()
	requests++
	_, err := w.s.UpsertIntegration(w.Context(), w.tenant, store.IntegrationSpec{Name: integration, UID: "uid-" + integration, Generation: 1,
		Connector: connector, RequestedAt: fmt.Sprint(requests), Interval: time.Hour})
	w.must(err)
	claims, err := w.s.ClaimDueIntegrations(w.Context(), "replica-1", 100, time.Minute)
	w.must(err)
	var found *store.Claim
	for _, c := range claims {
		if c.Name == integration && c.Tenant == w.tenant {
			found = &c
		}
	}
	if found == nil {
		w.Fatalf("integration %q was not due: %v", integration, claims)
	}
	return *found
}

// listing is what a stream delivers in one sync.
type listing struct {
	stream   string
	records  []model.Record
	outcome  store.StreamOutcome
	partOf   map[string][]model.Record // instead of records
	wantHeld bool
}

// complete is a stream that was read to its end.
func complete(stream string, types []model.DataType, records ...model.Record) listing {
	return listing{stream: stream, records: records, outcome: store.StreamOutcome{Complete: true, Types: types, Guard: model.DefaultShrinkGuard}}
}

func accountsOf(records ...model.Record) listing {
	return complete("users", []model.DataType{model.DataAccounts}, records...)
}

// sync runs one whole sync of an Integration.
func (w *world) sync(integration string, listings ...listing) []store.StreamResult {
	w.Helper()
	c := w.claim(integration, integration)
	return w.syncClaimed(c, listings...)
}

func (w *world) syncClaimed(c store.Claim, listings ...listing) []store.StreamResult {
	w.Helper()
	y, err := w.s.BeginSync(w.Context(), c)
	w.must(err)
	var out []store.StreamResult
	for _, l := range listings {
		w.must(y.Stage(w.Context(), l.stream, "", l.records))
		for part, records := range l.partOf {
			w.must(y.Stage(w.Context(), l.stream, part, records))
		}
		res, err := y.FinishStream(w.Context(), l.stream, l.outcome)
		w.must(err)
		if (res.Held != nil) != l.wantHeld {
			w.Fatalf("stream %s: held = %+v, want held %v", l.stream, res.Held, l.wantHeld)
		}
		out = append(out, res)
	}
	w.must(y.Close(w.Context()))
	w.must(w.s.FinishIntegration(w.Context(), c, store.IntegrationResult{Status: json.RawMessage(`{"ok":true}`), Synced: true}))
	return out
}

func account(id string, edit ...func(*model.Account)) model.Record {
	a := &model.Account{ExternalID: id, PersonKey: id + "@acme.example", Username: id, DisplayName: "User " + id, Status: model.AccountActive, ActivityReported: true}
	for _, e := range edit {
		e(a)
	}
	return model.Record{Account: a}
}

// accounts returns n accounts u0000, u0001, …
func accounts(n int) []model.Record {
	out := make([]model.Record, n)
	for i := range out {
		out[i] = account(fmt.Sprintf("u%04d", i))
	}
	return out
}

func person(id, email string, edit ...func(*model.Person)) model.Record {
	p := &model.Person{ExternalID: id, Email: email, DisplayName: "Person " + id, Lifecycle: model.LifecycleCurrent}
	for _, e := range edit {
		e(p)
	}
	return model.Record{Person: p}
}

func employee(id string) func(*model.Person) { return func(p *model.Person) { p.EmployeeID = id } }

func lifecycle(l model.Lifecycle) func(*model.Person) {
	return func(p *model.Person) { p.Lifecycle = l }
}

func seat(accountID, plan string, paid bool) model.Record {
	return model.Record{Assignment: &model.Assignment{AccountExternalID: accountID, PlanKey: plan, PlanName: plan, Paid: paid, State: model.AssignmentActive}}
}

// list returns every account of the tenant that is not removed, by external id.
func (w *world) list(q store.AccountQuery) map[string]store.AccountView {
	w.Helper()
	out := map[string]store.AccountView{}
	for {
		rows, next, err := w.s.ListAccounts(w.Context(), w.tenant, q)
		w.must(err)
		for _, a := range rows {
			out[a.ExternalID] = a
		}
		if q.Cursor = next; next == "" {
			return out
		}
	}
}

// people returns every person of the tenant by e-mail.
func (w *world) people() map[string]store.PersonView {
	w.Helper()
	out := map[string]store.PersonView{}
	rows, next, err := w.s.ListPeople(w.Context(), w.tenant, store.PeopleQuery{Page: store.Page{Limit: 1000}})
	w.must(err)
	if next != "" {
		w.Fatal("more people than the test expects")
	}
	for _, p := range rows {
		out[p.Email] = p
	}
	return out
}

// events returns the unhandled events and handles them.
func (w *world) events() map[model.EventKind][]model.Event {
	w.Helper()
	out := map[model.EventKind][]model.Event{}
	for {
		batch, err := w.s.NewEvents(w.Context(), w.tenant, 1000)
		w.must(err)
		if len(batch) == 0 {
			return out
		}
		ids := make([]string, len(batch))
		for i, e := range batch {
			out[e.Kind] = append(out[e.Kind], e)
			ids[i] = e.ID
		}
		for len(ids) > 0 {
			n := min(500, len(ids))
			w.must(w.s.MarkEventsHandled(w.Context(), w.tenant, ids[:n]))
			ids = ids[n:]
		}
	}
}

func subjects(events []model.Event) []string {
	out := make([]string, len(events))
	for i, e := range events {
		out[i] = e.Subject
	}
	return out
}

// spend is a transaction; change adjusts it.
func spend(id string, change ...func(*model.Transaction)) model.Record {
	r := model.Transaction{ExternalID: id, Date: "2026-02-28", Amount: model.Money{Minor: 1999, Currency: "EUR"}, VendorName: "Zoom", Kind: model.TransactionCard}
	for _, fn := range change {
		fn(&r)
	}
	return model.Record{Transaction: &r}
}

// agreement is a contract as a source reports it; change adjusts it.
func agreement(id string, change ...func(*model.Contract)) model.Record {
	cost := int64(1500)
	r := model.Contract{ExternalID: id, Name: "Zoom 2026", AppHint: "zoom.us", Start: "2026-01-01", End: "2026-12-31", Currency: "EUR",
		Lines: []model.ContractLine{{PlanKey: "pro", Quantity: 30, UnitCostMinor: &cost}, {PlanKey: "basic", Quantity: 5}}}
	for _, fn := range change {
		fn(&r)
	}
	return model.Record{Contract: &r}
}
