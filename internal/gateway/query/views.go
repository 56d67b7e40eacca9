// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package query

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

// Connectable is a built-in connector, and by what its app is recognised.
type Connectable struct {
	Name, Title string
	Domains     []string
}

// Views of the integrations: what is connected and what could be, what is in
// use and could be connected, and what has an issue (acceptance rows 73 to 76).
const (
	viewAll         = "all"
	viewRecommended = "recommended"
	viewAttention   = "attention"
)

// States of a connector that is not connected.
const (
	stateNotConnected = "NotConnected"
	stateRecommended  = "Recommended"
)

// maxDiscovered bounds how many discovered apps one call looks at.
const maxDiscovered = 50_000

// view answers integrations?view=….
func (a *API) view(c *call, view string, connected []Integration) (any, error) {
	used, apps, err := a.inUse(c, connected)
	if err != nil {
		return nil, err
	}
	var out []Integration
	switch view {
	case viewAll:
		out = append(out, connected...)
		out = append(out, a.unconnected(connected, used, true)...)
	case viewRecommended:
		out = a.unconnected(connected, used, false)
	case viewAttention:
		for _, i := range connected {
			if issue := issueOf(i); issue != "" {
				i.Message = cmp.Or(i.Message, issue)
				out = append(out, i)
			}
		}
	default:
		return nil, badRequest("view=%q: want all, recommended or attention", view)
	}
	l := page("IntegrationList", out, "")
	coverage := a.coverage(connected, used, apps)
	l.Metadata.Coverage = &coverage
	return l, nil
}

// usage is how an app is known that a connector would read.
type usage struct {
	app   string
	users int64
	by    []string // integrations that discovered it
}

// inUse finds the connectors whose apps sources have discovered and hold for
// active, and counts such apps by name.
func (a *API) inUse(c *call, connected []Integration) (map[string]usage, int, error) {
	match := newMatcher(a.Connectors)
	used, names := map[string]usage{}, map[string]bool{}
	source := map[string]string{} // the connector of each Integration
	for _, i := range connected {
		source[i.Name] = i.Connector
	}
	q := store.AppQuery{Page: store.Page{Limit: 1000}}
	for seen := 0; seen < maxDiscovered; {
		found, next, err := a.Store.ListApps(c, c.tenant, q)
		if err != nil {
			return nil, 0, err
		}
		seen += len(found)
		for _, f := range found {
			if f.State == "inactive" {
				continue
			}
			names[strings.ToLower(strings.TrimSpace(f.Name))] = true
			name := match.connector(f.DiscoveredApp, source[f.Integration])
			if name == "" {
				continue
			}
			u := used[name]
			if u.app == "" || f.Accounts > u.users {
				u.app, u.users = f.Name, f.Accounts
			}
			if !slices.Contains(u.by, f.Integration) {
				u.by = append(u.by, f.Integration)
			}
			used[name] = u
		}
		if next == "" {
			break
		}
		q.Cursor = next
	}
	return used, len(names), nil
}

// unconnected lists the connectors that no Integration uses: those whose app is
// in use first, by users; the others only if all are asked for.
func (a *API) unconnected(connected []Integration, used map[string]usage, all bool) []Integration {
	have := map[string]bool{}
	for _, i := range connected {
		have[i.Connector] = true
	}
	var out []Integration
	for _, c := range a.Connectors {
		u, inUse := used[c.Name]
		if have[c.Name] || !inUse && !all {
			continue
		}
		i := Integration{Connector: c.Name, State: stateNotConnected, Message: "apply an Integration with connector: " + c.Name}
		if inUse {
			i.State, i.App, i.Users, i.Sources = stateRecommended, u.app, u.users, u.by
			i.Message = fmt.Sprintf("%s is in use, as %s says: apply an Integration with connector: %s", u.app, strings.Join(u.by, ", "), c.Name)
		}
		out = append(out, i)
	}
	slices.SortStableFunc(out, func(a, b Integration) int {
		return cmp.Or(cmp.Compare(b.State, a.State), cmp.Compare(b.Users, a.Users), cmp.Compare(a.Connector, b.Connector))
	})
	return out
}

// issueOf says what is wrong with an Integration; empty: nothing.
func issueOf(i Integration) string {
	switch {
	case i.State != "Synced" && i.State != "Pending" && i.State != "Suspended":
		return cmp.Or(i.Message, i.State)
	case i.Failures > 0:
		return fmt.Sprintf("the last %d syncs failed", i.Failures)
	}
	var parts []string
	for _, d := range i.DataTypes {
		if d.State == handover.Stale || d.State == handover.Disabled || d.State == handover.Held || d.Quarantined > 0 {
			part := fmt.Sprintf("%s: %s", d.Name, d.State)
			if d.Quarantined > 0 {
				part = fmt.Sprintf("%s: %d records could not be read", d.Name, d.Quarantined)
			}
			if d.Message != "" {
				part += " (" + d.Message + ")"
			}
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "; ")
}

// coverage counts systems, not accounts: two workspaces of one vendor are one.
func (a *API) coverage(connected []Integration, used map[string]usage, apps int) model.Coverage {
	connectable, read := map[string]bool{}, map[string]bool{}
	for name := range used {
		connectable[name] = true
	}
	for _, i := range connected {
		if !slices.ContainsFunc(a.Connectors, func(c Connectable) bool { return c.Name == i.Connector }) {
			continue // a file or an integration of the user's own
		}
		connectable[i.Connector] = true
		if i.LastSync != nil {
			read[i.Connector] = true
		}
	}
	return model.NewCoverage(len(read), len(connectable), apps)
}

// matcher recognises the app of a connector.
type matcher struct{ byName, byHost map[string]string }

func newMatcher(all []Connectable) matcher {
	m := matcher{byName: map[string]string{}, byHost: map[string]string{}}
	for _, c := range all {
		names := append(titleNames(c.Title), c.Name, c.Title)
		for _, d := range c.Domains {
			// Identity providers name catalogue entries after domains: zoomus.
			names = append(names, d)
			m.byHost[strings.ToLower(d)] = c.Name
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
