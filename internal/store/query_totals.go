// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// SeatTotal counts the paid seats of one application under one policy. Where
// several policies cover a seat, the first by name counts it. Seats that no
// policy covers come under no application and no policy.
type SeatTotal struct {
	App, Policy  string
	Integrations []string
	Users        int64 // accounts of those Integrations
	// Paid = Active + Unused + Unknown, except without a policy.
	Paid, Active, Unused, Unknown int64
	// Annual is what the paid seats cost a year by currency, UnusedAnnual the
	// part of the unused ones; Unpriced seats are in neither.
	Annual, UnusedAnnual []model.Money
	Unpriced             int64
}

// SeatTotals returns the paid seats by application and policy.
func (s *Store) SeatTotals(ctx context.Context, tenant model.TenantID) ([]SeatTotal, error) {
	groups, err := collect(ctx, s.reads, scanSeatGroup, `SELECT coalesce(ps.app, ''), coalesce(f.policy, ''), i.name, coalesce(f.used, ''), coalesce(f.currency, ''),
			count(*), CAST(coalesce(sum(f.annual_minor), 0) AS BIGINT), count(f.annual_minor)
		FROM assignment s`+connected("s")+`
		LEFT JOIN finding f ON f.tenant=s.tenant AND f.integration=i.name AND f.account=s.account_external_id AND f.plan=s.plan_key
			AND NOT EXISTS (SELECT 1 FROM finding g WHERE g.tenant=f.tenant AND g.integration=f.integration AND g.account=f.account AND g.plan=f.plan AND g.policy < f.policy)
		LEFT JOIN policy_state ps ON ps.tenant=f.tenant AND ps.policy=f.policy AND ps.removed_at IS NULL
		WHERE s.tenant=$1 AND s.removed_at IS NULL AND s.paid
		GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5`, tenant)
	if err != nil {
		return nil, fmt.Errorf("count seats: %w", err)
	}
	var out []SeatTotal
	for len(groups) > 0 {
		n := slices.IndexFunc(groups, func(g seatGroup) bool { return g.app != groups[0].app || g.policy != groups[0].policy })
		if n < 0 {
			n = len(groups)
		}
		total := sumGroups(groups[:n])
		rollup, err := s.AppRollup(ctx, tenant, total.Integrations)
		if err != nil {
			return nil, err
		}
		total.Users = rollup.Accounts
		out, groups = append(out, total), groups[n:]
	}
	return out, nil
}

// seatGroup counts seats that agree in everything that totals tell apart.
type seatGroup struct {
	app, policy, integration, currency string
	use                                model.Use
	seats, minor, priced               int64
}

func scanSeatGroup(r *sql.Rows) (g seatGroup, err error) {
	return g, r.Scan(&g.app, &g.policy, &g.integration, &g.use, &g.currency, &g.seats, &g.minor, &g.priced)
}

// sumGroups adds up the groups of one application and policy.
func sumGroups(groups []seatGroup) SeatTotal {
	t := SeatTotal{App: groups[0].app, Policy: groups[0].policy}
	annual, unused := map[string]int64{}, map[string]int64{}
	for _, g := range groups {
		if !slices.Contains(t.Integrations, g.integration) {
			t.Integrations = append(t.Integrations, g.integration)
		}
		t.Paid += g.seats
		t.Unpriced += g.seats - g.priced
		if g.priced > 0 {
			annual[g.currency] += g.minor
		}
		switch g.use {
		case model.UseActive:
			t.Active += g.seats
		case model.UseUnknown:
			t.Unknown += g.seats
		case model.UseInactive:
			t.Unused += g.seats
			if g.priced > 0 {
				unused[g.currency] += g.minor
			}
		}
	}
	t.Annual, t.UnusedAnnual = amounts(annual), amounts(unused)
	return t
}

func amounts(by map[string]int64) []model.Money {
	var out []model.Money
	for _, currency := range slices.Sorted(maps.Keys(by)) {
		out = append(out, model.Money{Minor: by[currency], Currency: currency})
	}
	return out
}
