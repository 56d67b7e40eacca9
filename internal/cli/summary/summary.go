// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package summary prints what a first run and `seatkeeper summary` show.
package summary

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Print writes the summary as text of at most 80 columns.
func Print(out io.Writer, s model.Summary) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	people, unstated := 0, s.People[model.Unstated]
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
