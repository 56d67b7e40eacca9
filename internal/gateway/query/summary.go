// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package query

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

func (a *API) summary(c *call) (any, error) {
	totals, err := a.Store.Totals(c, c.tenant)
	if err != nil {
		return nil, err
	}
	people, err := a.Store.PeopleCounts(c, c.tenant)
	if err != nil {
		return nil, err
	}
	seats, err := a.Store.SeatTotals(c, c.tenant)
	if err != nil {
		return nil, err
	}
	s := model.Summary{Integrations: int(totals.Integrations), Apps: int(totals.Apps), People: map[string]int{}}
	for l, n := range people {
		s.People[cmp.Or(string(l), model.Unstated)] = int(n)
	}
	annual, unused := map[string]int64{}, map[string]int64{}
	for _, t := range seats {
		app := model.AppSeats{
			App: cmp.Or(t.App, "(no policy)"), Policy: t.Policy, Paid: int(t.Paid), Active: int(t.Active), Unused: int(t.Unused), Unknown: int(t.Unknown),
			AnnualCost: t.Annual, UnusedCost: t.UnusedAnnual, Unpriced: int(t.Unpriced),
		}
		s.Seats = append(s.Seats, app)
		s.Total.Paid += app.Paid
		s.Total.Active += app.Active
		s.Total.Unused += app.Unused
		s.Total.Unknown += app.Unknown
		s.Total.Unpriced += app.Unpriced
		addMoney(annual, t.Annual)
		addMoney(unused, t.UnusedAnnual)
	}
	s.Total.AnnualCost, s.Total.UnusedCost = moneyList(annual), moneyList(unused)
	states, err := a.Store.ListIntegrations(c, c.tenant)
	if err != nil {
		return nil, err
	}
	var newest time.Time
	for _, st := range states {
		if st.LastSyncedAt != nil && st.LastSyncedAt.After(newest) {
			newest = *st.LastSyncedAt
		}
	}
	if !newest.IsZero() {
		s.AsOf = newest.UTC().Format(time.RFC3339)
	}
	return s, nil
}

func addMoney(into map[string]int64, amounts []model.Money) {
	for _, m := range amounts {
		into[m.Currency] += m.Minor
	}
}

func moneyList(by map[string]int64) []model.Money {
	var out []model.Money
	for _, currency := range slices.Sorted(maps.Keys(by)) {
		out = append(out, model.Money{Minor: by[currency], Currency: currency})
	}
	return out
}
