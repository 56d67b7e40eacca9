// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package flowtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// App is an app that a run is about, with the fields that expressions see.
type App struct {
	Name        string `yaml:"name"`
	DisplayName string `yaml:"displayName"`
	// Undeclared: there is no Application of it.
	Undeclared bool         `yaml:"undeclared"`
	Category   string       `yaml:"category"`
	State      string       `yaml:"state"`
	URL        string       `yaml:"url"`
	Tags       []string     `yaml:"tags"`
	Owners     []string     `yaml:"owners"`
	Connected  bool         `yaml:"connected"`
	InIDP      *bool        `yaml:"inIdP"`
	Users      int64        `yaml:"users"`
	Spend      int64        `yaml:"spend"` // a year, in whole units
	Currency   string       `yaml:"currency"`
	Sources    []string     `yaml:"sources"`
	Accounts   []AppAccount `yaml:"accounts"`
	Contracts  []Contract   `yaml:"contracts"`
}

// AppAccount is an account of an app.
type AppAccount struct {
	Account `yaml:",inline"`
	Email   string `yaml:"email"`
}

// Contract is a contract that a run is about.
type Contract struct {
	Name                 string `yaml:"name"`
	DisplayName          string `yaml:"displayName"`
	Source               string `yaml:"source"`
	Vendor               string `yaml:"vendor"`
	State                string `yaml:"state"` // default: Active
	Start                string `yaml:"start"`
	End                  string `yaml:"end"`
	CancellationDeadline string `yaml:"cancellationDeadline"`
	Renewal              string `yaml:"renewal"`
	NoticeDays           *int64 `yaml:"noticeDays"`
	Owner                string `yaml:"owner"`
	URL                  string `yaml:"url"`
	Value                int64  `yaml:"value"`
	Annual               int64  `yaml:"annual"`
	Currency             string `yaml:"currency"`
}

// License is a seat that is unused.
type License struct {
	Integration string    `yaml:"integration"`
	ExternalID  string    `yaml:"externalId"`
	Username    string    `yaml:"username"`
	PlanKey     string    `yaml:"planKey"`
	PlanName    string    `yaml:"planName"`
	Since       string    `yaml:"since"` // the first day of being unused
	Reason      string    `yaml:"reason"`
	LastUsed    time.Time `yaml:"lastUsed"`
	Signal      string    `yaml:"signal"`
	Cost        int64     `yaml:"cost"` // a year, in whole units
	Currency    string    `yaml:"currency"`
}

// ApplicationEvent is one of the events of trigger application: what happens to
// given.application.
type ApplicationEvent struct {
	Event string `yaml:"event"`
	Was   string `yaml:"was"` // the state before
}

// appEvents are what the outbox has of them.
var appEvents = map[string]model.EventKind{
	"Discovered": model.EventAppDiscovered, "StateChanged": model.EventAppStateChanged, "NotInIdP": model.EventAppNotInIDP, "SpendChanged": model.EventAppSpendChanged,
}

// money is an amount of whole units; nil: unknown.
func money(units int64, currency string) *model.Money {
	if units == 0 {
		return nil
	}
	m := model.Money{Minor: units, Currency: cmp.Or(currency, "EUR")}
	if one := (model.Money{Minor: 1000, Currency: m.Currency}).Units(); one > 0 { // as many minor ones as it has
		m.Minor *= 1000 / one
	}
	return &m
}

func (a App) facts() model.AppFacts {
	out := model.AppFacts{
		Name: a.Name, DisplayName: a.DisplayName, Declared: !a.Undeclared, Category: a.Category, State: a.State, URL: a.URL, Tags: a.Tags, Owners: a.Owners,
		Connected: a.Connected, InIDP: a.InIDP, Users: a.Users, Spend: money(a.Spend, a.Currency), Sources: a.Sources,
	}
	for _, c := range a.Contracts {
		out.Contracts = append(out.Contracts, c.facts(a.Name))
	}
	for _, c := range a.Accounts {
		v := c.Account.view(Person{})
		out.Accounts = append(out.Accounts, model.AppAccount{Integration: c.Integration, ExternalID: c.ExternalID, Username: c.Username, DisplayName: c.DisplayName,
			Role: c.Role, Email: c.Email, Status: v.Status, Kind: v.Kind, IsAdmin: c.IsAdmin})
	}
	return out
}

func (c Contract) facts(app string) model.ContractFacts {
	return model.ContractFacts{
		Name: c.Name, DisplayName: c.DisplayName, Source: c.Source, App: app, Vendor: c.Vendor, State: cmp.Or(c.State, model.ContractActive), Start: model.Date(c.Start), End: model.Date(c.End),
		Deadline: model.Date(c.CancellationDeadline), Renewal: c.Renewal, NoticeDays: c.NoticeDays, Owner: c.Owner, URL: c.URL,
		Value: money(c.Value, c.Currency), Annual: money(c.Annual, c.Currency),
	}
}

// App implements trigger.Store with the app of the test.
func (w *world) App(context.Context, model.TenantID, string) (model.AppFacts, error) {
	if w.given.Application == nil {
		return model.AppFacts{}, fmt.Errorf("app %w", store.ErrNotFound)
	}
	return w.given.Application.facts(), nil
}

// KnownBefore implements trigger.Store.
func (w *world) KnownBefore(context.Context, model.TenantID, string, string) (bool, error) {
	return false, nil
}

// Contracts implements trigger.Store with the contract of the test, which is known
// from its beginning.
func (w *world) Contracts(ctx context.Context, tenant model.TenantID) ([]store.KnownContract, error) {
	c, err := w.Contract(ctx, tenant, "")
	if err != nil {
		return nil, nil //nolint:nilerr // there is none
	}
	return []store.KnownContract{c}, nil
}

// Contract implements trigger.Store.
func (w *world) Contract(context.Context, model.TenantID, string) (store.KnownContract, error) {
	if w.given.Contract == nil {
		return store.KnownContract{}, fmt.Errorf("contract %w", store.ErrNotFound)
	}
	return store.KnownContract{ContractFacts: w.given.Contract.facts(w.app().Name), DatedAt: w.given.now()}, nil
}

// AppOfContract implements trigger.Store.
func (w *world) AppOfContract(context.Context, model.TenantID, model.ContractFacts) (model.AppFacts, error) {
	return w.app(), nil
}

// named checks that a test says what runs about an app or a contract are about.
func (g Given) named(subject string) error {
	switch {
	case subject == workflow.SubjectApplication && (g.Application == nil || g.Application.Name == ""):
		return errors.New("the Workflow runs for an app: give given.application a name")
	case subject == workflow.SubjectContract && (g.Contract == nil || g.Contract.Name == ""):
		return errors.New("the Workflow runs for a contract: give given.contract a name")
	}
	return nil
}

// about has a run that is started by hand be about the app or the contract of the test.
func (w *world) about(subject string, b *workflow.Beginning, run *store.NewRun) error {
	if err := w.given.named(subject); err != nil {
		return err
	}
	app := w.app()
	switch subject {
	case workflow.SubjectApplication:
		b.App, b.About, run.Subject = &app, &workflow.About{App: app.Name}, cmp.Or(app.DisplayName, app.Name)
	case workflow.SubjectContract:
		c := w.given.Contract.facts(app.Name)
		b.App, b.Contract, b.About, run.Subject = &app, &c, &workflow.About{Contract: c.Name, App: c.App}, cmp.Or(c.DisplayName, c.Name)
	}
	return nil
}

func (w *world) app() model.AppFacts {
	if w.given.Application == nil {
		return model.AppFacts{}
	}
	return w.given.Application.facts()
}

// SeatFacts implements trigger.Store.
func (w *world) SeatFacts(_ context.Context, _ model.TenantID, f model.Finding) (model.SeatFacts, model.AppFacts, error) {
	l := w.given.License
	return model.SeatFacts{
		Integration: l.Integration, AccountID: l.ExternalID, Username: l.Username, PlanKey: l.PlanKey, PlanName: l.PlanName, Policy: f.Policy, Reason: l.Reason,
		Since: f.Since, Evidence: f.Evidence, Annual: money(l.Cost, l.Currency),
	}, w.app(), nil
}

// seats is world as what finds unused seats.
type seats struct{ *world }

// Found implements trigger.Seats.
func (w seats) Found(_ context.Context, _ model.TenantID, policy string, after *model.SeatKey, _ int) ([]model.Finding, error) {
	if after != nil {
		return nil, nil
	}
	return w.finding(policy), nil
}

// Seat implements trigger.Seats.
func (w seats) Seat(_ context.Context, _ model.TenantID, policy string, _ model.SeatKey) ([]model.Finding, error) {
	return w.finding(policy), nil
}

// Now implements workflow.Seats.
func (w seats) Now(_ context.Context, _ model.TenantID, policy string, _ int, _ model.SeatKey) ([]model.Finding, error) {
	return w.finding(policy), nil
}

// For implements trigger.Seats.
func (w seats) For(_ context.Context, _ model.TenantID, days int, _ *model.SeatKey) ([]model.Finding, error) {
	out := w.finding("")
	if len(out) > 0 {
		if since, ok := out[0].Since.In(time.UTC); !ok || w.clock.Now().Before(since.AddDate(0, 0, days)) {
			return nil, nil
		}
	}
	return out, nil
}

// finding is the seat of the test.
func (w *world) finding(policy string) []model.Finding {
	l := w.given.License
	if l == nil {
		return nil
	}
	f := model.Finding{Policy: policy, Integration: l.Integration, AccountID: l.ExternalID, PlanKey: l.PlanKey, Class: model.SeatInactive, Reason: l.Reason, Since: model.Date(l.Since)}
	f.Evidence.Source = l.Signal
	if !l.LastUsed.IsZero() {
		f.Evidence.LastUsed = &l.LastUsed
	}
	if w.given.Person != nil {
		f.PersonID = personID(*w.given.Person)
	}
	return []model.Finding{f}
}

// until is when nothing more comes of a contract's dates, or of a seat: moments
// are looked for a day at a time.
func (g Given) until(wf *Workflow) time.Time {
	at := g.now()
	switch {
	case wf.Starts.Contract != nil && g.Contract != nil:
		for _, date := range []string{g.Contract.End, g.Contract.CancellationDeadline} {
			if day, ok := model.Date(date).In(time.UTC); ok && day.After(at) {
				at = day
			}
		}
		at = at.AddDate(0, 0, 2)
	case wf.Starts.License != nil && g.License != nil:
		at = at.AddDate(0, 0, wf.Starts.License.InactiveFor+2)
	}
	return at
}
