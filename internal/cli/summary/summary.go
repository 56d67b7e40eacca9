// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package summary holds the numbers that a first run and `seatkeeper summary`
// show: what was found, and what it costs.
package summary

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Summary counts one tenant. Every seat counted is a paid one; Unused and
// Unknown are disjoint parts of Paid.
type Summary struct {
	AsOf         string         `json:"asOf"` // RFC 3339, of the newest sync
	Integrations int            `json:"integrations"`
	Apps         int            `json:"apps"`
	People       map[string]int `json:"people"` // by lifecycle
	Seats        []App          `json:"seats"`  // per app with paid seats
	Total        App            `json:"total"`
}

// Unstated is the key in Summary.People of those whose lifecycle no source
// states: users that an identity provider lists and the HRIS does not. They are
// not counted as people.
const Unstated = "unstated"

// App counts the paid seats of one app, or of all.
type App struct {
	App     string `json:"app"`
	Policy  string `json:"policy,omitempty"` // the LicensePolicy that judged them
	Paid    int    `json:"paid"`
	Active  int    `json:"active"`
	Unused  int    `json:"unused"` // not used inside the policy's window
	Unknown int    `json:"unknown"`
	// AnnualCost is what the paid seats cost a year by the contract's prices,
	// per currency; UnusedCost the part of unused ones. Unpriced seats are in
	// neither.
	AnnualCost []model.Money `json:"annualCost,omitempty"`
	UnusedCost []model.Money `json:"unusedCost,omitempty"`
	Unpriced   int           `json:"unpriced,omitempty"`
}

// Print writes the summary as text of at most 80 columns.
func Print(out io.Writer, s Summary) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	people, unstated := 0, s.People[Unstated]
	for _, n := range s.People {
		people += n
	}
	people -= unstated
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) } // Flush reports the error
	p("Apps\t%d", s.Apps)
	p("People\t%d (%d current, %d on leave, %d future, %d past, %d external)", people,
		s.People[string(model.LifecycleCurrent)], s.People[string(model.LifecycleOnLeave)], s.People[string(model.LifecycleFuture)],
		s.People[string(model.LifecyclePast)], s.People[string(model.LifecycleExternal)])
	if unstated > 0 {
		p("Others\t%d (users of sources that do not say who works here)", unstated)
	}
	p("Paid seats\t%d, %s a year", s.Total.Paid, cost(s.Total.AnnualCost))
	p("Unused for 90 days\t%d, %s a year", s.Total.Unused, cost(s.Total.UnusedCost))
	p("Unknown use\t%d (never reclaimed)", s.Total.Unknown)
	if s.Total.Unpriced > 0 {
		p("Without a price\t%d (no contract line; their cost is not counted)", s.Total.Unpriced)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(s.Seats) == 0 {
		return nil
	}
	w = tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	p = func(format string, args ...any) { _, _ = fmt.Fprintf(w, format+"\n", args...) }
	p("\nAPP\tPAID\tACTIVE\tUNUSED\tUNKNOWN\tUNUSED COST/YEAR")
	for _, a := range s.Seats {
		p("%s\t%d\t%d\t%d\t%d\t%s", a.App, a.Paid, a.Active, a.Unused, a.Unknown, cost(a.UnusedCost))
	}
	return w.Flush()
}

// cost is one amount per currency; what has no price is unknown, not nothing.
func cost(all []model.Money) string {
	if len(all) == 0 {
		return "unknown"
	}
	return model.JoinMoney(all)
}
