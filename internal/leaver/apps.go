// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package leaver

import (
	"cmp"
	"context"
	"slices"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/internal/intent"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/offboarding"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// leaverApp is an app in which the person has accounts.
type leaverApp struct {
	name, title  string
	entries      []offboarding.Entry
	integrations map[string]offboarding.Integration
	accounts     []offboarding.Account
	names        []string // of the accounts, for people
}

// estate is what a namespace declares, and the apps that its identity providers
// list.
type estate struct {
	apps         []v1alpha1.Application
	integrations []v1alpha1.Integration
	beside       map[store.AppRef]model.DiscoveredApp
}

// aside are the apps behind other systems that the accounts are in.
func aside(accounts []store.AccountView) (out []store.AppRef) {
	for _, a := range accounts {
		if ref := refOf(a); a.AppExternalID != "" && !slices.Contains(out, ref) {
			out = append(out, ref)
		}
	}
	return out
}

func refOf(a store.AccountView) store.AppRef {
	return store.AppRef{Integration: a.Integration, AppExternalID: a.AppExternalID}
}

// appsOf puts the accounts to the apps whose they are. What a source sees from the
// side counts if that is an identity provider: a grant or a visit is no account.
func (l *Planner) appsOf(ctx context.Context, e estate, accounts []store.AccountView) []*leaverApp {
	found := map[string]*leaverApp{}
	for _, a := range accounts {
		at := slices.IndexFunc(e.integrations, func(i v1alpha1.Integration) bool { return i.Name == a.Integration })
		if a.RemovedAt != nil || at < 0 {
			continue // an Integration was deleted, and its accounts are not shown any more
		}
		integration := &e.integrations[at]
		app := l.appOf(ctx, e, integration)
		if a.AppExternalID != "" {
			d, listed := e.beside[refOf(a)]
			if !listed {
				continue
			}
			app = l.appBeside(ctx, e, d)
		}
		if have, ok := found[app.name]; ok {
			app = have
		} else {
			app.integrations = map[string]offboarding.Integration{}
			found[app.name] = app
		}
		app.integrations[integration.Name] = l.Catalog.Offboarding(ctx, integration)
		app.accounts = append(app.accounts, offboarding.Account{Integration: a.Integration, App: a.AppExternalID, ID: a.ExternalID, Status: a.Status, Kind: a.Kind})
		app.names = append(app.names, cmp.Or(a.Username, a.DisplayName))
	}
	out := make([]*leaverApp, 0, len(found))
	for _, app := range found {
		out = append(out, app)
	}
	slices.SortFunc(out, func(a, b *leaverApp) int { return cmp.Compare(a.name, b.name) })
	return out
}

// appOf is the app whose own accounts an Integration lists: an Application, or one
// of the Integration's name, which declares nothing.
func (l *Planner) appOf(ctx context.Context, e estate, integration *v1alpha1.Integration) *leaverApp {
	if i := slices.IndexFunc(e.apps, func(app v1alpha1.Application) bool {
		return intent.Delivers(&app, integration.Name, l.Catalog.Domains(ctx, integration))
	}); i >= 0 {
		return declared(&e.apps[i])
	}
	return &leaverApp{name: integration.Name, title: cmp.Or(integration.Spec.DisplayName, integration.Name)}
}

// appBeside is the app that an identity provider lists: an Application, or that of an
// Integration, or one that declares nothing.
func (l *Planner) appBeside(ctx context.Context, e estate, d model.DiscoveredApp) *leaverApp {
	names := store.AppNames(d)
	for i := range e.apps {
		app := &e.apps[i]
		if (store.DeclaredApp{Name: app.Name, Title: intent.Title(app), Facts: model.AppFacts{KnownAs: intent.Identity(app)}}).Claims(names, d.URL) {
			return declared(app)
		}
	}
	for i := range e.integrations {
		in := &e.integrations[i]
		own := store.DeclaredApp{Name: in.Name, Title: in.Spec.DisplayName}
		own.Facts.KnownAs.Domains = l.Catalog.Domains(ctx, in)
		if own.Claims(names, d.URL) {
			return l.appOf(ctx, e, in)
		}
	}
	name := cmp.Or(d.Name, d.ExternalID)
	return &leaverApp{name: name, title: name}
}

func declared(app *v1alpha1.Application) *leaverApp {
	return &leaverApp{name: app.Name, title: cmp.Or(app.Spec.DisplayName, app.Name), entries: intent.Offboarding(app)}
}

// once leaves one task of those for accounts that several identity providers list of
// one app: who does it takes the access away, whoever knows of it.
func once(all []offboarding.Decision) []offboarding.Decision {
	asked := false
	for i := range all {
		d := &all[i]
		if d.Method != offboarding.Delegate || d.Account.App == "" {
			continue
		}
		if asked {
			d.Method, d.TransferTo, d.Why = offboarding.Ignore, nil, "the task for the account that another identity provider lists is for the whole app"
		}
		asked = true
	}
	return all
}
