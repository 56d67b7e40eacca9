// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package query

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/coverage"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

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

// Where a connector comes from.
const (
	sourceBuiltin = "Built-in"
	sourceCustom  = "Custom"
)

func sourceOf(connector string) string {
	if strings.HasPrefix(connector, coverage.ResourcePrefix) {
		return sourceCustom
	}
	return sourceBuiltin
}

// bySource puts what comes with the program before what the company made, after
// all that is connected came first.
func bySource(all []Integration) {
	slices.SortStableFunc(all, func(a, b Integration) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Source, b.Source))
	})
}

// view answers integrations?view=….
func (a *API) view(c *call, view string, connected []Integration) (any, error) {
	all, err := a.connectables(c)
	if err != nil {
		return nil, err
	}
	tally, err := a.tally(c, all, connected)
	if err != nil {
		return nil, err
	}
	var out []Integration
	switch view {
	case viewAll:
		out = append(out, connected...)
		bySource(out)
		rest := unconnected(all, connected, tally.Used(), true)
		bySource(rest)
		out = append(out, rest...)
	case viewRecommended:
		out = unconnected(all, connected, tally.Used(), false)
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
	covered := tally.Coverage()
	l.Metadata.Coverage = &covered
	return l, nil
}

// connectables are the built-in connectors of systems and the Connectors of the
// namespace.
func (a *API) connectables(c *call) ([]coverage.Connectable, error) {
	own, err := a.Store.OwnConnectors(c, c.tenant)
	if err != nil {
		return nil, err
	}
	return coverage.With(a.Connectors, own), nil
}

// tally looks at the apps that sources have discovered.
func (a *API) tally(c *call, all []coverage.Connectable, connected []Integration) (*coverage.Tally, error) {
	var have []coverage.Connected
	for _, i := range connected {
		have = append(have, coverage.Connected{Name: i.Name, Connector: i.Connector, Read: i.LastSync != nil})
	}
	return coverage.Of(c, a.Store, c.tenant, all, have)
}

// unconnected lists the connectors that no Integration uses: those whose app is
// in use first, by users; the others only if all are asked for.
func unconnected(all []coverage.Connectable, connected []Integration, used map[string]coverage.Use, also bool) []Integration {
	have := map[string]bool{}
	for _, i := range connected {
		have[i.Connector] = true
	}
	var out []Integration
	for _, c := range all {
		u, inUse := used[c.Name]
		if have[c.Name] || !inUse && !also {
			continue
		}
		apply := "apply an Integration with connector: " + c.Name
		if own, ok := strings.CutPrefix(c.Name, coverage.ResourcePrefix); ok {
			apply = fmt.Sprintf("apply an Integration with connectorRef: {name: %s}", own)
		}
		i := Integration{Connector: c.Name, Source: sourceOf(c.Name), State: stateNotConnected, Message: apply}
		if inUse {
			i.State, i.App, i.Users, i.Sources = stateRecommended, u.App, u.Users, u.By
			i.Message = fmt.Sprintf("%s is in use, as %s says: %s", u.App, strings.Join(u.By, ", "), apply)
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
