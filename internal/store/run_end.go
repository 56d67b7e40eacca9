// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// ReasonWaitingForRun is why a run waits that has started another.
const ReasonWaitingForRun = "WaitingForRun"

// loadChildren reads the runs that those have started which wait for one. Those
// that wait are locked, so a run that ends after this was read wakes its own.
func (s *Store) loadChildren(ctx context.Context, tx *sql.Tx, loaded []LoadedRun) error {
	for i, l := range loaded {
		if l.Run.Reason != ReasonWaitingForRun {
			continue
		}
		var err error
		if loaded[i].Children, err = s.childrenWhere(ctx, tx, l.Run, "AND NOT r.settled"); err != nil {
			return err
		}
	}
	return nil
}

// childrenOf reads the runs that a run has started, oldest first.
func (s *Store) childrenOf(ctx context.Context, tx *sql.Tx, r Run) ([]Run, error) {
	return s.childrenWhere(ctx, tx, r, "")
}

func (s *Store) childrenWhere(ctx context.Context, tx *sql.Tx, r Run, more string) ([]Run, error) {
	out, err := collect(ctx, tx, scanRun, `SELECT `+runColumns+` FROM run r WHERE r.tenant=$1 AND r.parent_id=$2 AND r.parent_id <> '' `+more+` ORDER BY r.id`, r.Tenant, r.ID)
	if err != nil {
		return nil, fmt.Errorf("read the runs that run %s started: %w", r.ID, err)
	}
	return out, nil
}

// changeChildren stops, starts and settles what runs start.
func (s *Store) changeChildren(ctx context.Context, tx *sql.Tx, changes []RunChange) error {
	for _, c := range changes {
		if c.StopChildren {
			if err := s.stopChildren(ctx, tx, c.Run, Decider{Actor: c.Run.Kind + "/" + c.Run.Name, Kind: model.ActorPolicy}); err != nil {
				return err
			}
		}
		if len(c.Starts) > 0 {
			if _, err := s.createRuns(ctx, tx, c.Run.Tenant, c.Starts); err != nil {
				return fmt.Errorf("for run %s: %w", c.Run.ID, err)
			}
		}
		for _, id := range c.Settled {
			if _, err := tx.ExecContext(ctx, `UPDATE run SET settled=TRUE WHERE tenant=$1 AND id=$2`, c.Run.Tenant, id); err != nil {
				return fmt.Errorf("settle run %s: %w", id, err)
			}
		}
	}
	return nil
}

// ended lets those go on who waited for the end of runs, in the transaction
// that ends them.
func (s *Store) ended(ctx context.Context, tx *sql.Tx, runs []Run) error {
	if len(runs) == 0 {
		return nil
	}
	if err := s.lockSlots(ctx, tx, runs); err != nil {
		return err
	}
	if err := s.wakeQueued(ctx, tx, runs); err != nil {
		return err
	}
	parents := make([]RunKey, 0, len(runs))
	for _, r := range runs {
		if r.ParentID != "" {
			parents = append(parents, RunKey{r.Tenant, r.ParentID})
		}
	}
	slices.SortFunc(parents, compareKeys)
	for _, p := range slices.Compact(parents) {
		// One that another transaction is moving on may be about to wait, with this
		// run read as it was: it is looked at as that one leaves it.
		if _, err := tx.ExecContext(ctx, `SELECT id FROM run WHERE tenant=$1 AND id=$2`+s.dialect.forUpdate, p.Tenant, p.ID); err != nil {
			return fmt.Errorf("lock run %s, which waits for another: %w", p.ID, err)
		}
		if _, err := tx.ExecContext(ctx, `UPDATE run SET due_at=$3, state='ready', version=version+1 WHERE tenant=$1 AND id=$2 AND state='waiting'`,
			p.Tenant, p.ID, s.now()); err != nil {
			return fmt.Errorf("wake run %s, which waits for another: %w", p.ID, err)
		}
	}
	return nil
}

// stopRun lets no further step of a run start, nor of those that it started. A
// run without a call in flight ends at once.
func (s *Store) stopRun(ctx context.Context, tx *sql.Tx, tenant model.TenantID, id string, by Decider) error {
	r, err := s.lockRun(ctx, tx, tenant, id)
	if err != nil {
		return err
	}
	if err := s.requestStop(ctx, tx, &r, by); err != nil {
		return err
	}
	return s.updateRuns(ctx, tx, [][]any{runRow(r, s.now())})
}

// requestStop is stopRun for a run whose changed state the caller writes.
func (s *Store) requestStop(ctx context.Context, tx *sql.Tx, r *Run, by Decider) error {
	if r.State.Ended() || r.StopAt != nil {
		return nil
	}
	now := time.UnixMilli(s.now()).UTC()
	r.StopAt, r.StopBy = &now, by.Actor
	if _, err := tx.ExecContext(ctx, `UPDATE run SET stop_requested_at = $1, stop_requested_by = $2 WHERE tenant = $3 AND id = $4`,
		now.UnixMilli(), by.Actor, r.Tenant, r.ID); err != nil {
		return err
	}
	if r.State != RunInFlight {
		if err := s.leaveGuard(ctx, tx, *r); err != nil {
			return err
		}
		r.State, r.Outcome, r.EndedAt, r.Reason, r.Message = RunStopped, "stopped", &now, "StopRequested", "stopped: "+orDefault(by.Reason, "no reason given")
		if _, err := tx.ExecContext(ctx, `UPDATE prompt SET state = 'withdrawn', closed_reason = $1 WHERE tenant = $2 AND run_id = $3 AND state = 'open'`,
			"the run was stopped; nothing was changed", r.Tenant, r.ID); err != nil {
			return err
		}
		if err := s.leaveUnknown(ctx, tx, *r); err != nil {
			return err
		}
		if err := s.ended(ctx, tx, []Run{*r}); err != nil {
			return err
		}
		s.moves.note(tx, r.Key(), moveOf(*r))
	}
	if err := s.stopChildren(ctx, tx, *r, by); err != nil {
		return err
	}
	return s.appendAudit(ctx, tx, r.Tenant, model.AuditRecord{Actor: by.Actor, ActorKind: by.Kind, Action: "run.stop", ObjectKind: r.Kind, ObjectName: r.Name,
		PersonID: r.PersonID, Reason: by.Reason, Cause: r.Cause, RunID: r.ID, Result: "requested"})
}

// leaveUnknown closes the attempt of a run that ends before anybody knows how it
// ended. It may have had its effect, so it is audited.
func (s *Store) leaveUnknown(ctx context.Context, tx *sql.Tx, r Run) error {
	open, err := collect(ctx, tx, scanAttempt, `SELECT `+attemptColumns+` FROM attempt a WHERE a.tenant = $1 AND a.run_id = $2 AND a.state = 'intent'`, r.Tenant, r.ID)
	if err != nil {
		return fmt.Errorf("find the open attempt of run %s: %w", r.ID, err)
	}
	for _, a := range open {
		if _, err := tx.ExecContext(ctx, `UPDATE attempt SET state = 'ambiguous', result = 'unknown', ended_at = $3 WHERE tenant = $1 AND run_id = $2 AND state = 'intent'`,
			r.Tenant, r.ID, s.now()); err != nil {
			return fmt.Errorf("close the open attempt of run %s: %w", r.ID, err)
		}
		if a.Class == "read" {
			continue
		}
		kind := "Integration"
		if strings.HasPrefix(a.Integration, "https://") {
			kind = "Host"
		}
		if err := s.appendAudit(ctx, tx, r.Tenant, model.AuditRecord{Actor: r.Kind + "/" + r.Name, ActorKind: model.ActorPolicy, Action: a.Action, ObjectKind: kind,
			ObjectName: a.Integration, PersonID: r.PersonID, Reason: "the run was stopped before it was known whether the call had its effect", Cause: r.Cause, RunID: r.ID,
			RequestDigest: a.RequestDigest, Result: "unknown", Detail: map[string]string{"step": a.StepPath, "idempotencyKey": a.IdemKey}}); err != nil {
			return err
		}
	}
	return nil
}

// stopChildren stops the runs that a run has started.
func (s *Store) stopChildren(ctx context.Context, tx *sql.Tx, r Run, by Decider) error {
	ids, err := collect(ctx, tx, func(rows *sql.Rows) (id string, err error) { return id, rows.Scan(&id) },
		`SELECT id FROM run WHERE tenant=$1 AND parent_id=$2 AND parent_id <> '' AND ended_at IS NULL AND stop_requested_at IS NULL ORDER BY id`, r.Tenant, r.ID)
	if err != nil {
		return fmt.Errorf("find the runs that run %s started: %w", r.ID, err)
	}
	by.Reason = "run " + r.ID + ", which started it, goes on no further"
	for _, id := range ids {
		if err := s.stopRun(ctx, tx, r.Tenant, id, by); err != nil {
			return err
		}
	}
	return nil
}
