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
	// Resume, if not nil, has the runs of Workflows and of items that were stopped
	// with this one go on as well, each where it was; otherwise those that it
	// started are stopped.
	Resume func(now time.Time, l LoadedRun) (Run, error)
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
		if loaded[0].Children, loaded[0].Deeper, loaded[0].Approvals, err = s.below(ctx, tx, loaded[0].Run); err != nil {
			return err
		}
		before, now := loaded[0].Run, time.UnixMilli(s.now()).UTC()
		var result string
		if run, result, err = v.Decide(now, loaded[0]); err != nil {
			return err
		}
		if err := s.leaveGuard(ctx, tx, before); err != nil {
			return err
		}
		if err := s.putRewound(ctx, tx, run, now); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE prompt SET state = 'withdrawn', closed_reason = $1 WHERE tenant = $2 AND run_id = $3 AND state = 'open'`,
			"the run goes on elsewhere", tenant, id); err != nil {
			return fmt.Errorf("withdraw the questions of run %s: %w", id, err)
		}
		if v.Resume == nil {
			err = s.stopChildren(ctx, tx, run, v.By)
		} else {
			err = s.resumeChildren(ctx, tx, before, loaded[0].Children, v, now)
		}
		if err != nil {
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

// putRewound writes a run that goes on.
func (s *Store) putRewound(ctx context.Context, tx *sql.Tx, r Run, now time.Time) error {
	if err := s.updateRuns(ctx, tx, [][]any{runRow(r, now.UnixMilli())}); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE run SET revision = $1, stop_requested_at = NULL, stop_requested_by = '' WHERE tenant = $2 AND id = $3`, r.Revision, r.Tenant, r.ID); err != nil {
		return fmt.Errorf("write run %s: %w", r.ID, err)
	}
	return nil
}

// resumeChildren has those runs of Workflows and of items go on that were stopped
// with their parent. One whose call is still under way was asked to stop and has not: it is
// not to any more. What an account's run does the parent begins anew.
func (s *Store) resumeChildren(ctx context.Context, tx *sql.Tx, parent Run, children []Run, v Rewind, now time.Time) error {
	for _, c := range children {
		if !c.goesOn() || c.StopAt == nil || parent.StopAt == nil || c.StopAt.Before(*parent.StopAt) || c.State.Ended() && c.State != RunStopped {
			continue
		}
		loaded, err := s.loadRuns(ctx, tx, []RunKey{c.Key()})
		if err != nil || len(loaded) == 0 {
			return err
		}
		l := loaded[0]
		run := l.Run
		if run.State == RunStopped {
			if run, err = v.Resume(now, l); err != nil {
				return err
			}
		}
		if err := s.putRewound(ctx, tx, run, now); err != nil {
			return err
		}
		if err := s.appendAudit(ctx, tx, c.Tenant, model.AuditRecord{Actor: v.By.Actor, ActorKind: v.By.Kind, Action: v.Action, ObjectKind: c.Kind, ObjectName: c.Name,
			PersonID: c.PersonID, Reason: "run " + parent.ID + ", which started it, goes on", Cause: c.Cause, RunID: c.ID, Result: "with its parent"}); err != nil {
			return err
		}
		grandchildren, err := s.childrenOf(ctx, tx, c)
		if err != nil {
			return err
		}
		if err := s.resumeChildren(ctx, tx, l.Run, grandchildren, v, now); err != nil {
			return err
		}
	}
	return nil
}

// below reads the runs that a run started, those that they started, each behind the
// one that did, and by the id of the former the approvals that were asked for in them
// and in all that they started.
func (s *Store) below(ctx context.Context, tx *sql.Tx, r Run) (children, deeper []Run, approvals map[string][]Prompt, err error) {
	if children, err = s.childrenOf(ctx, tx, r); err != nil {
		return nil, nil, nil, err
	}
	approvals = map[string][]Prompt{}
	for _, c := range children {
		asked, err := collect(ctx, tx, scanPrompt, `SELECT `+promptColumns+` FROM prompt p WHERE p.tenant=$1 AND p.run_id=$2 AND p.purpose=$3`, c.Tenant, c.ID, PromptApproval)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("read the approvals of run %s: %w", c.ID, err)
		}
		its, more, approved, err := s.below(ctx, tx, c)
		if err != nil {
			return nil, nil, nil, err
		}
		deeper = append(append(deeper, its...), more...)
		for _, more := range approved {
			asked = append(asked, more...)
		}
		approvals[c.ID] = asked
	}
	return children, deeper, approvals, nil
}
