// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
	"reflect"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Reasons of what waits for a time.
const (
	ReasonWaiting    = "Waiting"          // a run
	ReasonQuietHours = "QuietHours"       // a run
	ReasonMoment     = "WaitingForMoment" // a start
)

// forTime are the runs that wait for a time which a calendar may decide.
const forTime = `ended_at IS NULL AND state = 'waiting' AND reason IN ('` + ReasonWaiting + `', '` + ReasonQuietHours + `')`

// sameCalendar reports that two Organizations have the same days, hours and zone
// of work.
func sameCalendar(a, b TenantFacts) bool {
	return a.TimeZone == b.TimeZone && reflect.DeepEqual(a.Workday, b.Workday)
}

// recheckCalendar makes everything of a tenant due that waits for a time: each
// looks at the calendar again when it is looked at, and may be due earlier.
func (s *Store) recheckCalendar(ctx context.Context, tx *sql.Tx, tenant model.TenantID) error {
	if _, err := tx.ExecContext(ctx, `UPDATE run SET due_at = $1, state = 'ready', version = version + 1 WHERE tenant = $2 AND `+forTime, s.now(), tenant); err != nil {
		return fmt.Errorf("look again at runs that wait for a time: %w", err)
	}
	return s.recheckStarts(ctx, tx, tenant)
}

// recheckStarts makes the starts of a tenant due that wait for their moment, and
// its schedules.
func (s *Store) recheckStarts(ctx context.Context, tx *sql.Tx, tenant model.TenantID) error {
	now := s.now()
	for _, sql := range []string{
		`UPDATE workflow_start SET look_at = $1 WHERE tenant = $2 AND state = 'waiting' AND reason = '` + ReasonMoment + `'`,
		`UPDATE workflow SET scan_at = $1 WHERE tenant = $2 AND scan_at > $1`,
	} {
		if _, err := tx.ExecContext(ctx, sql, now, tenant); err != nil {
			return fmt.Errorf("look again at starts that wait for a moment: %w", err)
		}
	}
	return nil
}

// recheckZones makes the runs due that wait for a time in shards whose last
// owner went by other rules of time zones. Two versions side by side each
// resolve what is theirs.
func (s *Store) recheckZones(ctx context.Context, tx *sql.Tx, r HoldRequest) error {
	const stale = `SELECT id FROM shard WHERE owner = $1 AND zones <> $2`
	var any bool
	if err := tx.QueryRowContext(ctx, `SELECT EXISTS (`+stale+`)`, r.Owner, r.Zones).Scan(&any); err != nil || !any {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE run SET due_at = $3, state = 'ready', version = version + 1 WHERE shard IN (`+stale+`) AND `+forTime, r.Owner, r.Zones, s.now()); err != nil {
		return fmt.Errorf("look again at runs that wait for a time: %w", err)
	}
	_, err := tx.ExecContext(ctx, `UPDATE shard SET zones = $2 WHERE owner = $1 AND zones <> $2`, r.Owner, r.Zones)
	return err
}

// RecheckMoments makes every start due that waits for its moment, and every
// schedule: a new process may go by other rules of time zones.
func (s *Store) RecheckMoments(ctx context.Context) error {
	err := s.write(ctx, func(tx *sql.Tx) error {
		tenants, err := collect(ctx, tx, func(rows *sql.Rows) (t model.TenantID, err error) { return t, rows.Scan(&t) }, `SELECT DISTINCT tenant FROM workflow`)
		if err != nil {
			return err
		}
		for _, t := range tenants {
			if err := s.recheckStarts(ctx, tx, t); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look again at what waits for a moment: %w", err)
	}
	return nil
}
