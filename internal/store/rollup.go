// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Rollup counts what Integrations hold of one application.
type Rollup struct {
	Accounts, ActiveAccounts int64 // own-app accounts; active by vendor state
	People                   int64 // distinct people with an account
	Seats, PaidSeats         int64 // assigned
	Plans                    []PlanRollup
	// Reported says whether every account's source reports activity.
	Reported bool
}

// PlanRollup counts one plan of one Integration.
type PlanRollup struct {
	Integration, Key, Name string
	Paid                   bool
	Purchased, Used        *int64 // as the vendor says
	UnitCostMinor          *int64
	Currency               string
	Period                 model.Period
	Assigned               int64
}

// AppRollup counts the accounts, people and seats of the named Integrations.
func (s *Store) AppRollup(ctx context.Context, tenant model.TenantID, integrations []string) (Rollup, error) {
	var out Rollup
	if len(integrations) == 0 {
		return out, nil
	}
	list, args := inList([]any{tenant}, integrations)
	var unreported int64
	err := s.reads.QueryRowContext(ctx, `SELECT count(*), count(CASE WHEN a.status='active' THEN 1 END), count(DISTINCT CASE WHEN a.person_id <> '' THEN a.person_id END),
		count(CASE WHEN NOT a.activity_reported THEN 1 END)
		FROM account a`+connected("a")+`WHERE a.tenant=$1 AND a.app_external_id='' AND a.removed_at IS NULL AND i.name IN (`+list+`)`, args...).
		Scan(&out.Accounts, &out.ActiveAccounts, &out.People, &unreported)
	if err != nil {
		return out, fmt.Errorf("count accounts: %w", err)
	}
	out.Reported = out.Accounts > 0 && unreported == 0
	err = s.reads.QueryRowContext(ctx, `SELECT count(*), count(CASE WHEN s.paid THEN 1 END)
		FROM assignment s`+connected("s")+`WHERE s.tenant=$1 AND s.removed_at IS NULL AND i.name IN (`+list+`)`, args...).Scan(&out.Seats, &out.PaidSeats)
	if err != nil {
		return out, fmt.Errorf("count seats: %w", err)
	}
	out.Plans, err = collect(ctx, s.reads, scanPlanRollup, `SELECT i.name, k.plan_key, coalesce(max(pl.name), max(k.plan_name)), max(CASE WHEN coalesce(pl.paid, k.paid) THEN 1 ELSE 0 END),
		max(pl.purchased), max(pl.used), max(pl.unit_cost_minor), coalesce(max(pl.currency), ''), coalesce(max(pl.period), ''), max(k.assigned)
		FROM (SELECT tenant, source, plan_key, max(plan_name) AS plan_name, max(CASE WHEN paid THEN 1 ELSE 0 END) = 1 AS paid, count(*) AS assigned FROM assignment
				WHERE tenant=$1 AND removed_at IS NULL GROUP BY tenant, source, plan_key
			UNION ALL SELECT p.tenant, p.source, p.plan_key, p.name, p.paid, 0 FROM plan p WHERE p.tenant=$1 AND p.removed_at IS NULL) k`+connected("k")+`
		LEFT JOIN plan pl ON pl.tenant=k.tenant AND pl.source=k.source AND pl.plan_key=k.plan_key AND pl.removed_at IS NULL
		WHERE i.name IN (`+list+`) GROUP BY i.name, k.plan_key ORDER BY i.name, k.plan_key`, args...)
	if err != nil {
		return out, fmt.Errorf("count plans: %w", err)
	}
	return out, nil
}

func scanPlanRollup(r *sql.Rows) (p PlanRollup, err error) {
	var paid int
	var purchased, used, cost sql.NullInt64
	err = r.Scan(&p.Integration, &p.Key, &p.Name, &paid, &purchased, &used, &cost, &p.Currency, &p.Period, &p.Assigned)
	p.Paid, p.Purchased, p.Used, p.UnitCostMinor = paid == 1, nullInt(purchased), nullInt(used), nullInt(cost)
	return p, err
}

func nullInt(n sql.NullInt64) *int64 {
	if !n.Valid {
		return nil
	}
	return &n.Int64
}

// Totals sums up what is known of a tenant.
type Totals struct {
	Integrations, Apps         int64 // connected Integrations; discovered apps
	People, Accounts           int64
	Seats, PaidSeats           int64
	UnlinkedAccounts, Reviews  int64
	IntegrationsSynced, Groups int64
}

// Totals counts what is known of the tenant.
func (s *Store) Totals(ctx context.Context, tenant model.TenantID) (t Totals, err error) {
	fact := func(table, more string) string {
		return `(SELECT count(*) FROM ` + table + ` f` + connected("f") + `WHERE f.tenant=$1 AND f.removed_at IS NULL` + more + `)`
	}
	err = s.reads.QueryRowContext(ctx, `SELECT
		(SELECT count(*) FROM integration_state WHERE tenant=$1 AND hidden_at IS NULL),
		(SELECT count(*) FROM integration_state WHERE tenant=$1 AND hidden_at IS NULL AND first_synced_at IS NOT NULL),
		`+fact("discovered_app", "")+`, (SELECT count(*) FROM person WHERE tenant=$1 AND NOT hidden), `+fact("account", "")+`,
		`+fact("account", " AND f.person_id = ''")+`, `+fact("assignment", "")+`, `+fact("assignment", " AND f.paid")+`, `+fact("directory_group", "")+`,
		(SELECT count(*) FROM person_review f`+connected("f")+`WHERE f.tenant=$1)`, tenant).
		Scan(&t.Integrations, &t.IntegrationsSynced, &t.Apps, &t.People, &t.Accounts, &t.UnlinkedAccounts, &t.Seats, &t.PaidSeats, &t.Groups, &t.Reviews)
	if err != nil {
		return t, fmt.Errorf("count what is known: %w", err)
	}
	return t, nil
}

// Counts returns the number of rows of each data type that an Integration has
// given.
func (s *Store) Counts(ctx context.Context, tenant model.TenantID, integration string) (map[model.DataType]int64, error) {
	out := map[model.DataType]int64{}
	for typ, f := range facts {
		var n int64
		if err := s.reads.QueryRowContext(ctx, `SELECT count(*) FROM `+f.table+` f`+connected("f")+`WHERE f.tenant=$1 AND i.name=$2 AND f.removed_at IS NULL`,
			tenant, integration).Scan(&n); err != nil {
			return nil, fmt.Errorf("count %s: %w", typ, err)
		}
		out[typ] = n
	}
	return out, nil
}
