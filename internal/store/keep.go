// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// KeepSeat exempts a seat until a time, in a transaction of its own.
func (s *Store) KeepSeat(ctx context.Context, tenant model.TenantID, k model.Keep, runID string) error {
	return s.write(ctx, func(tx *sql.Tx) error { return s.keepSeat(ctx, tx, tenant, k, runID) })
}

// keepSeat is KeepSeat inside the transaction that records the answer. A later
// end wins over an earlier one, whatever the order in which they arrive.
func (s *Store) keepSeat(ctx context.Context, q querier, tenant model.TenantID, k model.Keep, runID string) error {
	if tenant == 0 || k.Policy == "" || k.AccountID == "" || k.Until.IsZero() {
		return fmt.Errorf("keep seat: tenant, policy, account and end are required")
	}
	_, err := q.ExecContext(ctx, `INSERT INTO keep (tenant, policy, integration, account, plan, person_id, until_at, reason, kept_by, run_id, created_at)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11)
		ON CONFLICT (tenant, policy, integration, account, plan) DO UPDATE SET person_id = excluded.person_id, until_at = excluded.until_at,
		reason = excluded.reason, kept_by = excluded.kept_by, run_id = excluded.run_id, created_at = excluded.created_at
		WHERE keep.until_at < excluded.until_at`,
		tenant, k.Policy, k.Integration, k.AccountID, k.PlanKey, k.PersonID, k.Until.UnixMilli(), k.Reason, k.By, runID, s.now())
	if err != nil {
		return fmt.Errorf("keep seat: %w", err)
	}
	return nil
}

// Keeps returns what exempts seats of a policy now; an empty policy is every
// policy.
func (s *Store) Keeps(ctx context.Context, tenant model.TenantID, policy string) ([]model.Keep, error) {
	return collect(ctx, s.reads, scanKeep, `SELECT policy, integration, account, plan, person_id, until_at, reason, kept_by, created_at FROM keep
		WHERE tenant = $1 AND ($2 = '' OR policy = $2) AND until_at > $3 ORDER BY policy, integration, account, plan`, tenant, policy, s.now())
}

func scanKeep(r *sql.Rows) (k model.Keep, err error) {
	var until, at int64
	err = r.Scan(&k.Policy, &k.Integration, &k.AccountID, &k.PlanKey, &k.PersonID, &until, &k.Reason, &k.By, &at)
	k.Until, k.At = time.UnixMilli(until).UTC(), time.UnixMilli(at).UTC()
	return k, err
}

// SeatKeep returns what exempts one seat now, nil if nothing does.
func (s *Store) SeatKeep(ctx context.Context, tenant model.TenantID, policy string, seat model.SeatKey) (*model.Keep, error) {
	keeps, err := collect(ctx, s.reads, scanKeep, `SELECT policy, integration, account, plan, person_id, until_at, reason, kept_by, created_at FROM keep
		WHERE tenant = $1 AND policy = $2 AND integration = $3 AND account = $4 AND plan = $5 AND until_at > $6`,
		tenant, policy, seat.Integration, seat.AccountID, seat.PlanKey, s.now())
	if err != nil || len(keeps) == 0 {
		return nil, err
	}
	return &keeps[0], nil
}
