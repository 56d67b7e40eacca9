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

// Rewind is a verb that sends a run somewhere else in its definition, or goes
// on with one that has ended.
type Rewind struct {
	Action string // of the audit: run.resume, run.retry, run.skip
	By     Decider
	// Decide returns what becomes of the run and what the audit says of it. It
	// may run twice, so it must be a pure function of what it is given.
	Decide func(now time.Time, l LoadedRun) (run Run, result string, err error)
}

// RewindRun carries out a verb in one transaction with its audit. Questions of
// the step that the run leaves are withdrawn.
func (s *Store) RewindRun(ctx context.Context, tenant model.TenantID, id string, v Rewind) (Run, error) {
	var run Run
	err := s.write(ctx, func(tx *sql.Tx) error {
		loaded, err := s.loadRuns(ctx, tx, []RunKey{{tenant, id}})
		if err != nil {
			return err
		}
		if len(loaded) == 0 {
			return fmt.Errorf("run %s: %w", id, ErrNotFound)
		}
		before, now := loaded[0].Run, time.UnixMilli(s.now()).UTC()
		var result string
		if run, result, err = v.Decide(now, loaded[0]); err != nil {
			return err
		}
		if err := s.updateRuns(ctx, tx, [][]any{runRow(run, now.UnixMilli())}); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE run SET revision = $1, stop_requested_at = NULL, stop_requested_by = '' WHERE tenant = $2 AND id = $3`, run.Revision, tenant, id); err != nil {
			return fmt.Errorf("write run %s: %w", id, err)
		}
		if _, err := tx.ExecContext(ctx, `UPDATE prompt SET state = 'withdrawn', closed_reason = $1 WHERE tenant = $2 AND run_id = $3 AND state = 'open'`,
			"the run goes on elsewhere", tenant, id); err != nil {
			return fmt.Errorf("withdraw the questions of run %s: %w", id, err)
		}
		if err := s.stopChildren(ctx, tx, run, v.By); err != nil {
			return err
		}
		return s.appendAudit(ctx, tx, tenant, model.AuditRecord{Actor: v.By.Actor, ActorKind: v.By.Kind, Action: v.Action, ObjectKind: before.Kind, ObjectName: before.Name,
			PersonID: before.PersonID, Reason: v.By.Reason, Cause: before.Cause, RunID: id, Result: result})
	})
	if err != nil {
		return Run{}, err
	}
	run.StopAt, run.StopBy = nil, ""
	s.wakeEngine()
	return run, nil
}
