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
const forTime = `state = 'waiting' AND reason IN ('` + ReasonWaiting + `', '` + ReasonQuietHours + `')`

// sameCalendar reports that two Organizations have the same days, hours and zone
// of work.
func sameCalendar(a, b TenantFacts) bool {
	return a.TimeZone == b.TimeZone && reflect.DeepEqual(a.Workday, b.Workday)
}

// recheckCalendar makes everything of a tenant due that waits for a time: each
// looks at the calendar again when it is looked at, and may be due earlier.
func (s *Store) recheckCalendar(ctx context.Context, tx *sql.Tx, tenant model.TenantID) error {
	now := s.now()
	for _, sql := range []string{
		`UPDATE run SET due_at = $1, state = 'ready', version = version + 1 WHERE tenant = $2 AND ` + forTime,
		`UPDATE workflow_start SET look_at = $1 WHERE tenant = $2 AND state = 'waiting' AND reason = '` + ReasonMoment + `'`,
		`UPDATE workflow SET scan_at = $1 WHERE tenant = $2 AND scan_at > $1`,
	} {
		if _, err := tx.ExecContext(ctx, sql, now, tenant); err != nil {
			return fmt.Errorf("look again at what waits for a time: %w", err)
		}
	}
	return nil
}
