// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package leaver plans what happens to the accounts of somebody who leaves, by
// what the Applications and Integrations of their namespace say.
package leaver

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/offboarding"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/workflow"
)

// Store is what a plan needs of the store.
type Store interface {
	Person(ctx context.Context, tenant model.TenantID, id string) (store.PersonView, error)
	ListAccounts(ctx context.Context, tenant model.TenantID, q store.AccountQuery) ([]store.AccountView, string, error)
	IDPApps(ctx context.Context, tenant model.TenantID, refs []store.AppRef) (map[store.AppRef]model.DiscoveredApp, error)
}

// People finds who gets a leaver's data.
type People interface {
	Holders(ctx context.Context, tenant model.TenantID, run workflow.Subject, role workflow.Role) ([]store.Assignee, error)
	ByEmail(ctx context.Context, tenant model.TenantID, email string) (found []store.Assignee, known bool, err error)
}

// Catalog tells what the connector of an Integration can do.
type Catalog interface {
	Domains(ctx context.Context, i *v1alpha1.Integration) []string
	Offboarding(ctx context.Context, i *v1alpha1.Integration) offboarding.Integration
}

// Planner plans what happens to the accounts of somebody who leaves.
type Planner struct {
	Store   Store
	People  People
	Catalog Catalog
	// Objects are the resources of a tenant's namespace.
	Objects func(ctx context.Context, tenant model.TenantID) ([]v1alpha1.Application, []v1alpha1.Integration, error)
}

var _ workflow.Leavers = (*Planner)(nil)

// maxAccounts bounds the accounts of one person.
const maxAccounts = 1000

// Plan implements workflow.Leavers.
func (l *Planner) Plan(ctx context.Context, tenant model.TenantID, run workflow.Subject, s workflow.OffboardingStep) ([]workflow.Leaving, error) {
	apps, all, err := l.Objects(ctx, tenant)
	if err != nil {
		return nil, err
	}
	person, err := l.Store.Person(ctx, tenant, run.PersonID)
	if err != nil {
		return nil, fmt.Errorf("read the person of the run: %w", err)
	}
	accounts, _, err := l.Store.ListAccounts(ctx, tenant, store.AccountQuery{Page: store.Page{Limit: maxAccounts}, PersonID: run.PersonID})
	if err != nil {
		return nil, fmt.Errorf("read the accounts of the person: %w", err)
	}
	beside, err := l.Store.IDPApps(ctx, tenant, aside(accounts))
	if err != nil {
		return nil, err
	}
	var out []workflow.Leaving
	for _, app := range l.appsOf(ctx, estate{apps, all, beside}, accounts) {
		if !wanted(app.name, s) {
			continue
		}
		for i, d := range once(offboarding.Resolve(app.entries, app.integrations, app.accounts)) {
			one := workflow.Leaving{
				App: app.name, Title: app.title, Integration: d.Account.Integration, AccountID: d.Account.ID, AppID: d.Account.App, Account: app.names[i],
				Method: string(d.Method), Why: d.Why, Lifecycle: person.Lifecycle, Period: person.Period,
			}
			if err := l.calls(ctx, tenant, run, app.name, d, &one); err != nil {
				return nil, err
			}
			out = append(out, one)
		}
	}
	return out, nil
}

// wanted says whether a step is about an app.
func wanted(app string, s workflow.OffboardingStep) bool {
	if slices.Contains(s.Except, app) {
		return false
	}
	return len(s.Applications) == 0 || slices.Contains(s.Applications, app)
}

// calls fills in what is sent, with who gets the data.
func (l *Planner) calls(ctx context.Context, tenant model.TenantID, run workflow.Subject, app string, d offboarding.Decision, out *workflow.Leaving) error {
	var to store.Assignee
	for _, r := range d.TransferTo {
		found, err := l.recipients(ctx, tenant, run, app, r)
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(found, func(a store.Assignee) bool { return a.PersonID != run.PersonID }); i >= 0 {
			to = found[i]
			break
		}
	}
	out.TransferTo = cmp.Or(to.Name, to.Email)
	for _, c := range d.Calls {
		call := workflow.LeavingCall{Action: c.Action, Input: c.Input, AfterDays: c.AfterDays}
		if c.Recipient == "" {
			out.Calls = append(out.Calls, call)
			continue
		}
		value, err := l.recipient(ctx, tenant, d.Account.Integration, c.RecipientIs, to)
		switch {
		case err != nil:
			return err
		case value != "":
			call.Input[c.Recipient] = value
		case c.AfterDays == 0: // a transfer to nobody
			out.Why = "nobody who gets the data was found, so it stays where it is"
			continue
		}
		out.Calls = append(out.Calls, call)
	}
	return nil
}

// recipients are the people that a recipient stands for.
func (l *Planner) recipients(ctx context.Context, tenant model.TenantID, run workflow.Subject, app string, r offboarding.Recipient) ([]store.Assignee, error) {
	if r.Email != "" {
		found, _, err := l.People.ByEmail(ctx, tenant, r.Email)
		return found, err
	}
	if role := workflow.Role(r.Role); role != workflow.RoleManager && role != workflow.RoleAppOwner {
		return nil, nil // the person is who leaves
	}
	about := run
	if workflow.Role(r.Role) == workflow.RoleAppOwner {
		about.Vars = fmt.Appendf(nil, `{"seat":{"app":%q}}`, app)
	}
	return l.People.Holders(ctx, tenant, about, workflow.Role(r.Role))
}

// recipient is what an input takes to name somebody; empty: they have no such
// account.
func (l *Planner) recipient(ctx context.Context, tenant model.TenantID, integration string, is offboarding.RecipientInput, to store.Assignee) (string, error) {
	if to.PersonID == "" || is == offboarding.RecipientEmail {
		return to.Email, nil
	}
	found, _, err := l.Store.ListAccounts(ctx, tenant, store.AccountQuery{
		Page: store.Page{Limit: 2}, Integrations: []string{integration}, App: "-", PersonID: to.PersonID, Statuses: []string{string(model.AccountActive)},
	})
	if err != nil || len(found) != 1 { // of two nobody knows which is meant
		return "", err
	}
	return found[0].ExternalID, nil
}

// Integration is what matters of an Integration to what happens to its
// accounts. known is false where nobody knows what its connector can do.
func Integration(i *v1alpha1.Integration, known bool, can []connector.ActionInfo) offboarding.Integration {
	out := offboarding.Integration{Name: i.Name, ReadAndAct: i.Spec.Permission == v1alpha1.PermissionReadAndAct, Disconnecting: !i.DeletionTimestamp.IsZero(), Known: known}
	for _, name := range i.Spec.DestructiveActions {
		out.Destructive = append(out.Destructive, string(name))
	}
	out.Actions = actions(can)
	return out
}

// actions keeps what matters of actions that can change something.
func actions(list []connector.ActionInfo) []offboarding.Action {
	var out []offboarding.Action
	for _, a := range list {
		if a.Mode != connector.ModeAct {
			continue
		}
		action := offboarding.Action{Name: a.Name, Removes: a.Effect == connector.EffectRemoves, Destructive: a.Destructive, EndsAccount: a.EndsAccount}
		for _, in := range a.Input {
			action.Inputs = append(action.Inputs, offboarding.Input{Name: in.Name, Type: in.Type, Required: in.Required})
		}
		out = append(out, action)
	}
	return out
}
