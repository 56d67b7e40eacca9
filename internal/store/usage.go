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

// usageDelta sums the staged use up to one row per account, app, kind and day.
func (y *Sync) usageDelta(ctx context.Context, st *stage, o StreamOutcome) (*delta, error) {
	s, f := y.store, st.f
	d := &delta{f: f, table: st.table + deltaSuffix, ops: map[int]int64{}}
	err := s.write(ctx, func(tx *sql.Tx) error {
		var err error
		if d.staged, err = s.prepareStage(ctx, tx, st, o); err != nil {
			return err
		}
		if err := s.createStage(ctx, tx, f, d.table); err != nil {
			return err
		}
		keys := names("", f.key)
		_, err = tx.ExecContext(ctx, `INSERT INTO `+d.table+` (`+keys+`, count, last_at, origin)
			SELECT `+keys+`, sum(count), max(last_at), max(origin) FROM `+st.table+` GROUP BY `+keys)
		if err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(n), 0) FROM `+d.table).Scan(&d.maxN); err != nil {
			return err
		}
		d.ops[opAdded] = d.maxN
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sum up usage: %w", err)
	}
	return d, nil
}

// applyUsage adds days of use. The same window may be read twice, so a day's
// count is the greatest seen, never a sum, and nothing is ever taken away.
func (y *Sync) applyUsage(ctx context.Context, stream string, d *delta) error {
	c := y.claim
	// Days that a window read again did not change are no differences, by chunk,
	// because a transaction may be repeated.
	written := map[int64]int64{}
	defer func() {
		d.ops[opAdded] = 0
		for _, n := range written {
			d.ops[opAdded] += n
		}
	}()
	return y.inChunks(ctx, d.maxN, func(tx *sql.Tx, from, to int64) error {
		res, err := tx.ExecContext(ctx, `INSERT INTO usage_day (tenant, source, stream, day, app_external_id, subject, kind, count, last_at, origin)
			SELECT $1, $2, $3, d.day, d.app_external_id, d.subject, d.kind, d.count, d.last_at, d.origin FROM `+d.table+` d WHERE d.n BETWEEN $4 AND $5
			ON CONFLICT (tenant, source, stream, day, app_external_id, subject, kind) DO UPDATE SET
			count = CASE WHEN excluded.count > usage_day.count THEN excluded.count ELSE usage_day.count END,
			last_at = CASE WHEN excluded.last_at > usage_day.last_at THEN excluded.last_at ELSE usage_day.last_at END
			WHERE excluded.count > usage_day.count OR excluded.last_at > usage_day.last_at`, c.Tenant, c.Source, stream, from, to)
		if err != nil {
			return fmt.Errorf("days of use: %w", err)
		}
		if written[from], err = res.RowsAffected(); err != nil {
			return fmt.Errorf("days of use: %w", err)
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO usage_last (tenant, source, stream, app_external_id, subject, kind, last_at, origin)
			SELECT $1, $2, $3, d.app_external_id, d.subject, d.kind, max(d.last_at), max(d.origin) FROM `+d.table+` d WHERE d.n BETWEEN $4 AND $5
			GROUP BY d.app_external_id, d.subject, d.kind
			ON CONFLICT (tenant, source, app_external_id, subject, kind, stream) DO UPDATE SET last_at = excluded.last_at, origin = excluded.origin
			WHERE excluded.last_at > usage_last.last_at`, c.Tenant, c.Source, stream, from, to)
		if err != nil {
			return fmt.Errorf("latest use: %w", err)
		}
		return nil
	})
}

// PruneUsage deletes days of use before the date, of one tenant. The latest use
// of each account is kept.
func (s *Store) PruneUsage(ctx context.Context, tenant model.TenantID, before time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM usage_day WHERE tenant=$1 AND day < $2`, tenant, before.UTC().Format("2006-01-02"))
		return err
	})
}
