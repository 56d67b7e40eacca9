// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package query

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/catalog"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// App is one app in use.
type App struct {
	ID           string        `json:"id"`
	Name         string        `json:"name"`
	State        string        `json:"state,omitempty"` // Declared or Discovered
	Users        int64         `json:"users"`
	PaidSeats    int64         `json:"paidSeats"`
	UnusedSeats  int64         `json:"unusedSeats"`
	UnknownSeats int64         `json:"unknownSeats"`
	AnnualCost   []model.Money `json:"annualCost,omitempty"`
	Sources      []string      `json:"sources,omitempty"`

	// Known is its slug in the catalogue of known apps; the rest is what the
	// catalogue says, or, of the category, what its Application does.
	Known    string   `json:"known,omitempty"`
	Vendor   string   `json:"vendor,omitempty"`
	Category string   `json:"category,omitempty"`
	Domains  []string `json:"domains,omitempty"`
	// Spend is what transactions of the last year add up to.
	Spend []model.Money `json:"spend,omitempty"`
	// MatchedBy says of each source by what it was recognised.
	MatchedBy []string `json:"matchedBy,omitempty"`
	// Among are the known apps of which it is one that cannot be told.
	Among []string `json:"among,omitempty"`

	// Of apps that do the same job: their names, and the people with accounts in
	// more than one.
	Apps        []string `json:"apps,omitempty"`
	SharedUsers int64    `json:"sharedUsers,omitempty"`
}

// States of apps.
const (
	stateDeclared   = "Declared"
	stateDiscovered = "Discovered"
)

// Views of the apps: what matched no known app, and what does the same job.
const (
	viewUnmatched  = "unmatched"
	viewDuplicates = "duplicates"
)

// maxMatches bounds how many matches of an app are shown.
const maxMatches = 20

// apps lists declared apps before known and then other discovered ones.
func (a *API) apps(c *call) (any, error) {
	state, view := c.query.Get("state"), c.query.Get("view")
	switch {
	case state != "" && state != stateDeclared && state != stateDiscovered:
		return nil, badRequest("state=%q: want Declared or Discovered", state)
	case view != "" && view != viewUnmatched && view != viewDuplicates:
		return nil, badRequest("view=%q: want unmatched or duplicates", view)
	case view != "" && state != "":
		return nil, badRequest("state=%q: a view has no states; leave it out", state)
	}
	declared, err := a.Store.DeclaredApps(c, c.tenant)
	if err != nil {
		return nil, err
	}
	var views []App
	if view != viewUnmatched && c.query.Get("continue") == "" {
		if views, err = a.estate(c, declared, view); err != nil {
			return nil, err
		}
	}
	if state != "" {
		views = slices.DeleteFunc(views, func(v App) bool { return v.State != state })
	}
	if state == stateDeclared || view == viewDuplicates {
		return page("AppList", views, ""), nil
	}
	found, next, err := a.Store.ListApps(c, c.tenant, store.AppQuery{Page: c.page(), Unmatched: true})
	if err != nil {
		return nil, cursorError(err)
	}
	claims := store.ClaimsOf(declared)
	for _, f := range found {
		if f.Match.App != "" || claims.Application(f.DiscoveredApp) != "" {
			continue // shown above
		}
		v := App{ID: f.Integration + "/" + f.ExternalID, Name: f.Name, State: stateDiscovered, Users: f.Accounts, Sources: []string{f.Integration}, Among: f.Match.Among}
		if f.Match.Rule != "" {
			v.MatchedBy = []string{f.Integration + ": " + f.Match.Rule}
		}
		views = append(views, v)
	}
	return page("AppList", views, next), nil
}

// estate is what is declared and what is known, each app once; or, in the view of
// duplicates, the jobs that more than one of them does.
func (a *API) estate(c *call, declared []store.DeclaredApp, view string) ([]App, error) {
	seen, err := a.sightings(c)
	if err != nil {
		return nil, err
	}
	spend, err := a.Store.KnownSpend(c, c.tenant, a.yearAgo())
	if err != nil {
		return nil, err
	}
	e := assign(catalog.Default(), declared, seen)
	for _, k := range spend {
		e.spend(k)
	}
	users, err := a.Store.UsersOf(c, c.tenant, e.sightings)
	if err != nil {
		return nil, err
	}
	views, err := a.declared(c, declared)
	if err != nil {
		return nil, err
	}
	for i := range views {
		if v := &views[i]; len(v.Sources) == 0 {
			v.Users = max(v.Users, users[v.ID])
		}
	}
	for _, id := range slices.Sorted(maps.Keys(e.known)) {
		if _, ok := e.declared[id]; !ok {
			views = append(views, App{ID: id, State: stateDiscovered, Users: users[id]})
		}
	}
	for i := range views {
		e.describe(catalog.Default(), &views[i])
	}
	if view == viewDuplicates {
		return a.duplicates(c, e, views)
	}
	return views, nil
}

// sightings are the known apps that sources discovered, and those that an
// Integration reads itself.
func (a *API) sightings(c *call) ([]store.Sighting, error) {
	seen, err := a.Store.Sightings(c, c.tenant)
	if err != nil {
		return nil, err
	}
	states, err := a.Store.ListIntegrations(c, c.tenant)
	if err != nil {
		return nil, err
	}
	for _, st := range states {
		if app := catalog.Default().ReadBy(st.Connector); app != "" && st.LastSyncedAt != nil {
			seen = append(seen, store.OwnSighting(st, app))
		}
	}
	return seen, nil
}

// yearAgo is the first day of the year that ends today.
func (a *API) yearAgo() model.Date {
	return model.DateOf(a.now().AddDate(-1, 0, 1), time.UTC)
}

// knownPrefix begins the ID of a known app that nobody declared.
const knownPrefix = "known/"

// estate says which app is seen where. Apps are named by their ID.
type estate struct {
	declared  map[string]store.DeclaredApp
	known     map[string]string // the slug, by ID
	owner     map[string]string // the ID, by slug
	sightings map[string][]store.Sighting
	amounts   map[string]map[string]int64
	matches   map[string][]string
}

// assign decides whose app each sighting is: the Application's that claims it by
// its own names and domains, else that of the one Application which is the known
// app, else nobody's. Two Applications are never made one.
func assign(known *catalog.Catalog, declared []store.DeclaredApp, seen []store.Sighting) estate {
	e := estate{declared: map[string]store.DeclaredApp{}, known: map[string]string{}, owner: map[string]string{},
		sightings: map[string][]store.Sighting{}, amounts: map[string]map[string]int64{}, matches: map[string][]string{}}
	reader := map[string]string{}
	for _, d := range declared {
		id := "application/" + d.Name
		e.declared[id] = d
		for _, integration := range d.Sources {
			reader[integration] = id
		}
		slug := knownAs(known, d)
		if slug == "" {
			continue
		}
		e.known[id] = slug
		if _, two := e.owner[slug]; two {
			id = knownPrefix + slug // which of them it is cannot be told
		}
		e.owner[slug] = id
	}
	claims := store.ClaimsOf(declared)
	for _, g := range seen {
		id := e.of(g.Match.App)
		if name := claims.Application(g.Discovered()); g.ExternalID == "" && reader[g.Integration] != "" {
			id = reader[g.Integration]
		} else if name != "" && g.ExternalID != "" {
			id = "application/" + name
		}
		if strings.HasPrefix(id, knownPrefix) {
			e.known[id] = g.Match.App
		}
		e.sightings[id] = append(e.sightings[id], g)
		e.match(id, g.Integration+": "+g.Match.Rule)
	}
	return e
}

// of is the ID of the app that a known app is.
func (e *estate) of(slug string) string { return cmp.Or(e.owner[slug], knownPrefix+slug) }

func (e *estate) match(id, rule string) {
	if !slices.Contains(e.matches[id], rule) && len(e.matches[id]) < maxMatches {
		e.matches[id] = append(e.matches[id], rule)
	}
}

// spend adds what was paid for a known app.
func (e *estate) spend(k store.KnownSpend) {
	id := e.of(k.App)
	if strings.HasPrefix(id, knownPrefix) {
		e.known[id] = k.App
	}
	if e.amounts[id] == nil {
		e.amounts[id] = map[string]int64{}
	}
	e.amounts[id][k.Amount.Currency] += k.Amount.Minor
	e.match(id, k.Integration+": vendor "+k.Vendor+", "+k.Rule)
}

// knownAs is the known app that an Application is: that of its domains, else that
// of its names. Empty: none, or they disagree.
func knownAs(known *catalog.Catalog, d store.DeclaredApp) string {
	for _, signals := range [][]model.AppSignal{
		signalsOf(model.SignalDomain, d.Facts.KnownAs.Domains...), signalsOf(model.SignalSignOn, append([]string{d.Name, d.Title}, d.Facts.KnownAs.Names...)...)} {
		app := ""
		for _, s := range signals {
			got := known.Recognise(s).App
			if got != "" && app != "" && got != app {
				return ""
			}
			app = cmp.Or(app, got)
		}
		if app != "" {
			return app
		}
	}
	return ""
}

func signalsOf(kind model.AppSignalKind, texts ...string) (out []model.AppSignal) {
	for _, t := range texts {
		out = append(out, model.AppSignal{Kind: kind, Text: t})
	}
	return out
}

// describe adds to an app what the catalogue and its sightings say.
func (e *estate) describe(known *catalog.Catalog, v *App) {
	v.Known, v.MatchedBy, v.Spend = e.known[v.ID], e.matches[v.ID], moneyList(e.amounts[v.ID])
	v.Category = e.declared[v.ID].Facts.Category
	if app, ok := known.App(v.Known); ok {
		v.Name, v.Vendor, v.Category, v.Domains = cmp.Or(v.Name, app.Name), app.Vendor, cmp.Or(v.Category, app.Category), app.Domains
	}
	for _, g := range e.sightings[v.ID] {
		if !slices.Contains(v.Sources, g.Integration) {
			v.Sources = append(slices.Clone(v.Sources), g.Integration)
		}
	}
}

// duplicates are the jobs that more than one app in use does, those first that
// most people do twice.
func (a *API) duplicates(c *call, e estate, apps []App) ([]App, error) {
	byJob := map[string][]App{}
	for _, v := range apps {
		job := v.Category
		if app, ok := catalog.Default().App(v.Known); ok {
			job = app.Category // comparable, whatever Applications call it
		}
		if job != "" && (v.Users > 0 || len(v.Spend) > 0) {
			byJob[job] = append(byJob[job], v)
		}
	}
	var out []App
	for _, job := range slices.Sorted(maps.Keys(byJob)) {
		same := byJob[job]
		if len(same) < 2 {
			continue
		}
		slices.SortStableFunc(same, func(a, b App) int { return cmp.Compare(b.Users, a.Users) })
		groups, spend := map[string][]store.Sighting{}, map[string]int64{}
		d := App{ID: "category/" + job, Name: job, Category: job}
		for _, v := range same {
			d.Apps = append(d.Apps, v.Name)
			addMoney(spend, v.Spend)
			if seen := e.sightings[v.ID]; len(seen) > 0 {
				groups[v.ID] = seen
			}
		}
		d.Spend = moneyList(spend)
		if len(groups) > 0 {
			var err error
			if d.SharedUsers, d.Users, err = a.Store.SharedUsers(c, c.tenant, groups); err != nil {
				return nil, err
			}
		}
		out = append(out, d)
	}
	slices.SortStableFunc(out, func(a, b App) int {
		return cmp.Or(cmp.Compare(b.SharedUsers, a.SharedUsers), cmp.Compare(b.Users, a.Users))
	})
	return out, nil
}

// declared lists the Applications. What their policies found counts before what
// their own roll-up did: it knows exemptions and prices.
func (a *API) declared(c *call, apps []store.DeclaredApp) ([]App, error) {
	totals, err := a.Store.SeatTotals(c, c.tenant)
	if err != nil {
		return nil, err
	}
	judged := map[string]*App{}
	annual := map[string]map[string]int64{}
	for _, t := range totals {
		v := judged[t.App]
		if v == nil {
			v = &App{}
			judged[t.App], annual[t.App] = v, map[string]int64{}
		}
		v.PaidSeats, v.UnusedSeats, v.UnknownSeats = v.PaidSeats+t.Paid, v.UnusedSeats+t.Unused, v.UnknownSeats+t.Unknown
		addMoney(annual[t.App], t.Annual)
	}
	views := make([]App, 0, len(apps))
	for _, d := range apps {
		v := App{ID: "application/" + d.Name, Name: d.Name, State: stateDeclared, Users: d.Users, PaidSeats: d.Paid, UnusedSeats: d.Unused,
			UnknownSeats: d.Unknown, Sources: d.Sources}
		if j := judged[d.Name]; j != nil {
			v.PaidSeats, v.UnusedSeats, v.UnknownSeats, v.AnnualCost = j.PaidSeats, j.UnusedSeats, j.UnknownSeats, moneyList(annual[d.Name])
		}
		views = append(views, v)
	}
	return views, nil
}

// Vendor is whom a source says was paid, and the known app that it is.
type Vendor struct {
	Integration  string      `json:"integration"`
	Name         string      `json:"name"`
	Known        string      `json:"known,omitempty"`
	Among        []string    `json:"among,omitempty"`     // the known apps of which it is one that cannot be told
	MatchedBy    string      `json:"matchedBy,omitempty"` // by what it was recognised
	Amount       model.Money `json:"amount"`              // of the last year
	Transactions int64       `json:"transactions"`
	LastOn       model.Date  `json:"lastOn"`
}

// vendors lists who was paid in the last year, one row for each currency.
func (a *API) vendors(c *call) (any, error) {
	view := c.query.Get("view")
	if view != "" && view != viewUnmatched {
		return nil, badRequest("view=%q: want unmatched", view)
	}
	found, next, err := a.Store.Vendors(c, c.tenant, store.VendorQuery{Page: c.page(), Since: a.yearAgo(), Unmatched: view == viewUnmatched})
	if err != nil {
		return nil, cursorError(err)
	}
	views := make([]Vendor, len(found))
	for i, v := range found {
		views[i] = Vendor{Integration: v.Integration, Name: v.Name, Known: v.Match.App, Among: v.Match.Among, MatchedBy: v.Match.Rule,
			Amount: v.Amount, Transactions: v.Transactions, LastOn: v.LastOn}
	}
	return page("VendorList", views, next), nil
}
