// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package coverage tells which systems in use are connected: it recognises the
// apps that sources discover as those of connectors, and counts.
package coverage

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/seatkeeper/seatkeeper/connectors"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// ResourcePrefix begins the name of a connector that is a Connector of the
// namespace, so that no built-in one is mistaken for it.
const ResourcePrefix = "resource/"

// Connectable is a connector of a system, and by what its app is recognised.
type Connectable struct {
	// Name of a built-in connector; that of a Connector has ResourcePrefix.
	Name, Title string
	Domains     []string
}

// Connected is an Integration.
type Connected struct {
	Name, Connector string
	// Read: a sync has ended.
	Read bool
}

// App is an app that an Integration discovered.
type App struct {
	model.DiscoveredApp
	Integration string
	Users       int64
}

// Use is how an app is known that a connector would read.
type Use struct {
	App   string
	Users int64
	By    []string // Integrations that discovered it
}

// Tally counts the apps of one tenant.
type Tally struct {
	connectables []Connectable
	connected    []Connected
	match        matcher
	source       map[string]string // the connector of each Integration
	used         map[string]Use
	names        map[string]bool
}

// NewTally begins with no app. Where several connectors read the same app, the
// one that is connected counts, then a Connector of the namespace.
func NewTally(all []Connectable, connected []Connected) *Tally {
	t := &Tally{connectables: all, connected: connected, source: map[string]string{}, used: map[string]Use{}, names: map[string]bool{}}
	have := map[string]bool{}
	for _, i := range connected {
		t.source[i.Name] = i.Connector
		have[i.Connector] = true
	}
	order := slices.Clone(all)
	slices.SortStableFunc(order, func(a, b Connectable) int { return cmp.Compare(preference(a, have), preference(b, have)) })
	t.match = newMatcher(order)
	return t
}

func preference(c Connectable, have map[string]bool) int {
	switch {
	case have[c.Name]:
		return 0
	case strings.HasPrefix(c.Name, ResourcePrefix):
		return 1
	}
	return 2
}

// Add counts an app that its source holds for active.
func (t *Tally) Add(a App) {
	if a.State == "inactive" {
		return
	}
	t.names[strings.ToLower(strings.TrimSpace(a.Name))] = true
	name := t.match.connector(a.DiscoveredApp, t.source[a.Integration])
	if name == "" {
		return
	}
	u := t.used[name]
	if u.App == "" || a.Users > u.Users {
		u.App, u.Users = a.Name, a.Users
	}
	if !slices.Contains(u.By, a.Integration) {
		u.By = append(u.By, a.Integration)
	}
	t.used[name] = u
}

// Used is what connectors would read, by their name.
func (t *Tally) Used() map[string]Use { return t.used }

// Coverage counts systems, not accounts: two workspaces of one vendor are one.
func (t *Tally) Coverage() model.Coverage {
	connectable, read := map[string]bool{}, map[string]bool{}
	for name := range t.used {
		connectable[name] = true
	}
	for _, i := range t.connected {
		if !slices.ContainsFunc(t.connectables, func(c Connectable) bool { return c.Name == i.Connector }) {
			continue // a file
		}
		connectable[i.Connector] = true
		if i.Read {
			read[i.Connector] = true
		}
	}
	return model.NewCoverage(len(read), len(connectable), len(t.names))
}

// maxDiscovered bounds how many discovered apps are looked at.
const maxDiscovered = 50_000

// Store lists discovered apps.
type Store interface {
	ListApps(ctx context.Context, t model.TenantID, q store.AppQuery) ([]store.AppView, string, error)
}

// Of tallies the apps that the Integrations of a tenant have discovered.
func Of(ctx context.Context, s Store, tenant model.TenantID, all []Connectable, connected []Connected) (*Tally, error) {
	t := NewTally(all, connected)
	q := store.AppQuery{Page: store.Page{Limit: 1000}}
	for seen := 0; seen < maxDiscovered; {
		found, next, err := s.ListApps(ctx, tenant, q)
		if err != nil {
			return nil, err
		}
		seen += len(found)
		for _, a := range found {
			t.Add(App{DiscoveredApp: a.DiscoveredApp, Integration: a.Integration, Users: a.Accounts})
		}
		if next == "" {
			break
		}
		q.Cursor = next
	}
	return t, nil
}

// fileCategory is that of connectors that read a file: they connect no system.
const fileCategory = "file"

// Builtin are the built-in connectors of systems.
func Builtin() []Connectable {
	var out []Connectable
	for _, name := range connectors.Names() {
		m, err := connectors.Builtin(name)
		if err != nil || m.Category() == fileCategory {
			continue // a manifest that does not load fails the tests and the manager
		}
		out = append(out, Connectable{Name: name, Title: m.Title(), Domains: m.Domains()})
	}
	return out
}

// With adds the Connectors of a namespace.
func With(builtin []Connectable, own []store.OwnConnector) []Connectable {
	out := slices.Clip(builtin)
	for _, c := range own {
		if c.Category != fileCategory {
			out = append(out, Connectable{Name: ResourcePrefix + c.Name, Title: c.Title, Domains: c.Domains})
		}
	}
	return out
}

// matcher recognises the app of a connector; of several the first one is it.
type matcher struct{ byName, byHost map[string]string }

func newMatcher(all []Connectable) matcher {
	m := matcher{byName: map[string]string{}, byHost: map[string]string{}}
	for _, c := range all {
		names := append(titleNames(c.Title), strings.TrimPrefix(c.Name, ResourcePrefix), c.Title)
		for _, d := range c.Domains {
			// Identity providers name catalogue entries after domains: zoomus.
			names = append(names, d)
			if d = strings.ToLower(d); m.byHost[d] == "" {
				m.byHost[d] = c.Name
			}
		}
		for _, n := range names {
			if n = plainName(n); n != "" && m.byName[n] == "" {
				m.byName[n] = c.Name
			}
		}
	}
	return m
}

// titleNames are the products that a title names: "Jira and Atlassian",
// "Workday (Report as a Service)".
func titleNames(title string) []string {
	title, _, _ = strings.Cut(title, "(")
	return strings.Split(title, " and ")
}

// connector names the connector of an app, or "": by the host of its URL or a
// domain above it, by the catalogue's entry, or by its name. A URL at the source
// itself is only its link to the app.
func (m matcher) connector(a model.DiscoveredApp, source string) string {
	if u, err := url.Parse(a.URL); err == nil && u.Hostname() != "" {
		labels := strings.Split(strings.ToLower(u.Hostname()), ".")
		for i := range len(labels) - 1 {
			if name := m.byHost[strings.Join(labels[i:], ".")]; name != "" && name != source {
				return name
			}
		}
	}
	return cmp.Or(m.byName[plainName(a.CatalogHint)], m.byName[plainName(a.Name)])
}

// plainName drops case, spaces and punctuation.
func plainName(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r > 0x7f:
			return r
		}
		return -1
	}, s)
}
