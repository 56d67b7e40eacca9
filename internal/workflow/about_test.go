// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/expr"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// runAbout starts a run of these steps about something, as a trigger does.
func (k *kit) runAbout(subject string, b Beginning, steps ...Step) {
	k.t.Helper()
	k.engine.o.Language = expr.Workflow{}
	s := k.put(Definition{Language: LanguageCEL, Subject: subject, Steps: steps})
	b.Event = map[string]any{"kind": "test", "data": map[string]any{}}
	all, err := b.Vars(k.t.Context(), k.store, k.tenant)
	k.noErr(err)
	vars, err := json.Marshal(all)
	k.noErr(err)
	r := store.NewRun{Kind: KindWorkflow, Name: "wf", Revision: s.Revision, TriggerKind: "test", TriggerKey: "k", Subject: "zoom", Vars: vars}
	if b.Person != nil {
		r.PersonID = b.Person.ID
	}
	_, err = k.store.CreateRuns(k.t.Context(), k.tenant, []store.NewRun{r})
	k.noErr(err)
	k.settle()
}

func (k *kit) noErr(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

func (k *kit) declareApp(a model.AppFacts) model.AppFacts {
	k.t.Helper()
	a.Declared = true
	k.noErr(k.store.PutDeclaredApp(k.t.Context(), k.tenant, store.DeclaredApp{Name: a.Name, Title: a.DisplayName, Facts: a}))
	return a
}

func (k *kit) agree(c model.ContractFacts) model.ContractFacts {
	k.t.Helper()
	c.State = model.ContractActive
	k.noErr(k.store.PutDeclaredContract(k.t.Context(), k.tenant, c))
	return c
}

// An app is as it is after a wait; one that is gone stays as last known.
func TestAppAfterAWait(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		app := k.declareApp(model.AppFacts{Name: "zoom", State: "Discovered"})
		text := "${application.state} ${application.owners.join(' ')}"
		k.runAbout(SubjectApplication, Beginning{App: &app, About: &About{App: "zoom"}},
			ticket("one", text), waits("pause", Days(7)), ticket("two", text), waits("longer", Hours(2)), ticket("three", text))
		k.declareApp(model.AppFacts{Name: "zoom", State: "Sanctioned", Owners: []string{"oz@acme.example"}})
		k.pass(7 * 24 * time.Hour)
		k.noErr(k.store.RemoveDeclaredApp(t.Context(), k.tenant, "zoom"))
		k.pass(2 * time.Hour)
		k.expect(store.RunSucceeded, "", "")
		k.want("tickets", k.texts(), []string{"Discovered ", "Sanctioned oz@acme.example", "Sanctioned oz@acme.example"})
	})
}

// A wait until a date of a contract goes by the date as it is, and a contract that is
// gone stays as last known beside its app as it is.
func TestContractAfterAWait(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		app := k.declareApp(model.AppFacts{Name: "zoom", State: "Sanctioned"})
		c := k.agree(model.ContractFacts{Name: "zoom-2026", App: "zoom", End: "2026-11-20", Renewal: model.RenewalAuto})
		text := "${contract.end} ${string(contract.autoRenew)} ${application.state} ${string(application.contracts.size())}"
		k.runAbout(SubjectContract, Beginning{App: &app, Contract: &c, About: &About{Contract: "zoom-2026", App: "zoom"}},
			Step{Name: "end", Wait: &WaitStep{Until: &Moment{Date: "contract.end", Time: "09:00"}}}, ticket("one", text), waits("pause", Hours(1)), ticket("two", text))
		k.until(time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC), "until 2026-11-20T09:00:00Z")
		k.agree(model.ContractFacts{Name: "zoom-2026", App: "zoom", End: "2026-11-06", Renewal: model.RenewalNone})
		k.pass(24 * time.Hour)
		k.until(time.Date(2026, 11, 6, 9, 0, 0, 0, time.UTC), "not until 2026-11-20")
		k.pass(3 * 24 * time.Hour)
		k.noErr(k.store.RemoveDeclaredContract(t.Context(), k.tenant, "zoom-2026"))
		k.declareApp(model.AppFacts{Name: "zoom", State: "Closed"})
		k.pass(time.Hour)
		k.expect(store.RunSucceeded, "", "")
		k.want("tickets", k.texts(), []string{"2026-11-06 false Sanctioned 1", "2026-11-06 false Closed 0"})
	})
}

// looks finds what a test says of one seat.
type looks struct {
	found []model.Finding
	err   error
	t     *testing.T
}

func (l *looks) Now(_ context.Context, _ model.TenantID, policy string, days int, seat model.SeatKey) ([]model.Finding, error) {
	if policy != "zoom-90d" || days != 0 || seat != (model.SeatKey{Integration: "zoom", AccountID: "z1", PlanKey: "pro"}) {
		l.t.Errorf("looked at %v by %q, %d", seat, policy, days)
	}
	return l.found, l.err
}

// Whether a seat is used is looked at again behind a wait, and so is its holder.
func TestSeatAfterAWait(t *testing.T) {
	eachStore(t, func(t *testing.T, k *kit) {
		k.ada(nil)
		ada, err := k.store.PersonByEmail(t.Context(), k.tenant, "ada@acme.example")
		k.noErr(err)
		seats := &looks{t: t}
		k.engine = k.newEngine(func(o *Options) { o.Seats = seats })
		k.license("zoom", "z1", "pro")
		app := model.AppFacts{Name: "zoom"}
		text := "${string(license.daysUnused)} ${license.since} ${license.reason} ${person.department} ${application.state}"
		k.runAbout(SubjectLicense, Beginning{Person: &ada, App: &app, License: &model.SeatFacts{Integration: "zoom", AccountID: "z1", PlanKey: "pro", Since: "2026-08-01", Days: 93, Reason: "NotUsed"},
			About: &About{Seat: &AboutSeat{Integration: "zoom", AccountID: "z1", PlanKey: "pro", Policy: "zoom-90d"}}},
			waits("pause", Hours(24)), ticket("one", text), waits("again", Hours(1)), ticket("two", text), waits("last", Hours(1)), ticket("three", text))
		k.ada(func(p *model.Person) { p.Department = "Legal" })
		k.noErr(k.store.PutDeclaredApp(t.Context(), k.tenant, store.DeclaredApp{Name: "zoom", Sources: []string{"zoom"}, Facts: model.AppFacts{State: "Sanctioned"}}))

		seats.err = errors.New("the database is away")
		k.pass(24 * time.Hour)
		k.expect(store.RunWaiting, "", "SubjectUnavailable")
		f := model.Finding{Policy: "zoom-90d", Integration: "zoom", AccountID: "z1", PlanKey: "pro", Class: model.SeatInactive, Reason: "NotUsed", Since: "2026-10-20"}
		seats.err, seats.found = nil, []model.Finding{f}
		k.pass(time.Minute)
		f.Class, f.Reason, f.Since = model.SeatActive, "Used", ""
		seats.found = []model.Finding{f}
		k.pass(time.Hour)
		seats.found = nil // nobody looks at it any more
		k.pass(time.Hour)
		k.expect(store.RunSucceeded, "", "")
		k.want("tickets", k.texts(), []string{"14 2026-10-20 NotUsed Legal Sanctioned", "0  Used Legal Sanctioned", "0  Used Legal Sanctioned"})
	})
}

// license has a source list an account with a seat.
func (k *kit) license(integration, account, plan string) {
	k.t.Helper()
	ctx := k.t.Context()
	_, err := k.store.UpsertIntegration(ctx, k.tenant, store.IntegrationSpec{Name: integration, UID: integration, Connector: integration, RequestedAt: k.clock.Now().String(), Interval: time.Hour})
	k.noErr(err)
	c, err := k.store.ClaimIntegration(ctx, k.tenant, integration, "worker", time.Minute)
	k.noErr(err)
	y, err := k.store.BeginSync(ctx, c)
	k.noErr(err)
	k.noErr(y.Stage(ctx, "users", "", []model.Record{{Account: &model.Account{ExternalID: account, Username: account, Status: model.AccountActive}},
		{Assignment: &model.Assignment{AccountExternalID: account, PlanKey: plan, Paid: true, State: model.AssignmentActive}}}))
	_, err = y.FinishStream(ctx, "users", store.StreamOutcome{Complete: true, Types: []model.DataType{model.DataAccounts, model.DataAssignments}, Guard: model.DefaultShrinkGuard})
	k.noErr(errors.Join(err, y.Close(ctx), k.store.FinishIntegration(ctx, c, store.IntegrationResult{Synced: true})))
}
