// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// LedgerQuery selects ledger entries, newest first.
type LedgerQuery struct {
	Kind                            model.LedgerKind
	App, Policy, Contract, PersonID string
	RunID                           string
	From, Until                     time.Time // zero: open
	Before                          string    // id of the last entry of the previous page
	Limit                           int       // 0 is 100, at most 1000
}

func (q LedgerQuery) where(tenant model.TenantID) (string, []any) {
	where, args := []string{"tenant = $1"}, []any{tenant}
	add := func(column string, value any, set bool) {
		if set {
			args = append(args, value)
			where = append(where, fmt.Sprintf("%s $%d", column, len(args)))
		}
	}
	add("kind =", q.Kind, q.Kind != "")
	add("app =", q.App, q.App != "")
	add("policy =", q.Policy, q.Policy != "")
	add("contract =", q.Contract, q.Contract != "")
	add("person_id =", q.PersonID, q.PersonID != "")
	add("run_id =", q.RunID, q.RunID != "")
	add("at >=", q.From.UnixMilli(), !q.From.IsZero())
	add("at <", q.Until.UnixMilli(), !q.Until.IsZero())
	add("id <", q.Before, q.Before != "") // UUIDv7 sorts by time
	return strings.Join(where, " AND "), args
}

// Ledger returns entries newest first; the id of the last one is the next
// page's Before.
func (s *Store) Ledger(ctx context.Context, tenant model.TenantID, q LedgerQuery) ([]model.LedgerEntry, error) {
	where, args := q.where(tenant)
	args = append(args, clampLimit(q.Limit))
	return collect(ctx, s.reads, scanLedger, fmt.Sprintf(`SELECT id, at, kind, amount_minor, currency, quantity, app, policy, integration, account, plan,
		person_id, department, contract, contract_line, effective_on, run_id, decided_by, reason FROM ledger
		WHERE %s ORDER BY id DESC LIMIT $%d`, where, len(args)), args...)
}

func scanLedger(r *sql.Rows) (e model.LedgerEntry, err error) {
	var at int64
	var minor sql.NullInt64
	var currency string
	err = r.Scan(&e.ID, &at, &e.Kind, &minor, &currency, &e.Quantity, &e.App, &e.Policy, &e.Integration, &e.AccountID, &e.PlanKey,
		&e.PersonID, &e.Department, &e.Contract, &e.Line, &e.EffectiveOn, &e.RunID, &e.DecidedBy, &e.Reason)
	e.At = time.UnixMilli(at).UTC()
	if minor.Valid {
		e.Amount = &model.Money{Minor: minor.Int64, Currency: currency}
	}
	return e, err
}

// LedgerTotal sums one kind in one currency; amounts of different kinds or
// currencies are never added up.
type LedgerTotal struct {
	Kind     model.LedgerKind `json:"kind"`
	App      string           `json:"app,omitempty"`
	Policy   string           `json:"policy,omitempty"`
	Amount   *model.Money     `json:"amount,omitempty"` // nil: unknown
	Quantity int64            `json:"quantity"`
}

// LedgerTotals sums what the query selects by kind, app, policy and currency.
// Before and Limit do not apply.
func (s *Store) LedgerTotals(ctx context.Context, tenant model.TenantID, q LedgerQuery) ([]LedgerTotal, error) {
	q.Before = ""
	where, args := q.where(tenant)
	return collect(ctx, s.reads, func(r *sql.Rows) (t LedgerTotal, err error) {
		var minor sql.NullInt64
		var currency string
		if err = r.Scan(&t.Kind, &t.App, &t.Policy, &currency, &minor, &t.Quantity); err != nil {
			return t, err
		}
		if minor.Valid && currency != "" {
			t.Amount = &model.Money{Minor: minor.Int64, Currency: currency}
		}
		return t, nil
	}, `SELECT kind, app, policy, currency, CAST(sum(amount_minor) AS BIGINT), CAST(sum(quantity) AS BIGINT) FROM ledger
		WHERE `+where+` GROUP BY kind, app, policy, currency ORDER BY kind, app, policy, currency`, args...)
}
