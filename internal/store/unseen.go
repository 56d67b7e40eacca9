// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
)

// noteUnseen keeps apart how fresh a stream is and how fresh a row is. A sync
// that finished without some rows that stay known, because their partition
// failed or their record could not be mapped, proves nothing about those: they
// count as old as the last sync that had them, so that nobody judges them by
// what was true then (invariant 2). Rows that were read are current again.
//
// It runs before the stream's completion time rises. Repeating it after a crash
// changes nothing.
func (y *Sync) noteUnseen(ctx context.Context, stream string, st *stage, o StreamOutcome) error {
	if st.f != &accountFact && st.f != &assignmentFact {
		return nil // no decision rests on the age of the others
	}
	s, c, f := y.store, y.claim, st.f
	rows := ` WHERE tenant=$1 AND source=$2 AND stream=$3 AND `
	read := `EXISTS (SELECT 1 FROM ` + st.table + ` s WHERE ` + f.match("s", f.table) + `)`
	return s.write(ctx, func(tx *sql.Tx) error {
		if err := s.planForBulk(ctx, tx); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE `+f.table+` SET unseen_since = NULL`+rows+`unseen_since IS NOT NULL AND (removed_at IS NOT NULL OR `+read+`)`,
			c.Tenant, c.Source, stream)
		if err != nil {
			return fmt.Errorf("note what was read again: %w", err)
		}
		if o.Incremental || o.Complete && !o.KeepAbsent {
			return s.fence(ctx, tx, c) // what was not read has not changed, or is gone
		}
		_, err = tx.ExecContext(ctx, `UPDATE `+f.table+` SET unseen_since = coalesce((SELECT coalesce(whole_at, completed_at) FROM stream_state ss
			WHERE ss.tenant=$1 AND ss.source=$2 AND ss.stream=$3), 0)`+rows+`unseen_since IS NULL AND removed_at IS NULL AND NOT `+read,
			c.Tenant, c.Source, stream)
		if err != nil {
			return fmt.Errorf("note what was not read: %w", err)
		}
		return s.fence(ctx, tx, c)
	})
}

// activitySeenAt is the SQL expression of when the last activity of the account
// with the alias was last read: vendors do not count a sign-in as a change, so
// that only whole reads show it.
func activitySeenAt(row, state string) string {
	return `coalesce(` + row + `.unseen_since, ` + state + `.whole_at, ` + state + `.completed_at, 0)`
}

// seenAt is the SQL expression of when the row with the alias was last read;
// state is the alias of its stream's state.
func seenAt(row, state string) string {
	return `coalesce(` + row + `.unseen_since, ` + state + `.completed_at, 0)`
}
