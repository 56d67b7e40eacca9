// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// ErrNotInState reports a verb that does not fit the run's state.
var ErrNotInState = errors.New("the run is not in a state that allows this")

// Decider is who or what used a verb.
type Decider struct {
	Actor  string
	Kind   model.ActorKind
	Reason string
}

// StopRun lets no further step of the run start. A run without a call in
// flight stops at once; otherwise the call's outcome is resolved first.
// Stopping an ended run does nothing.
func (s *Store) StopRun(ctx context.Context, tenant model.TenantID, id string, by Decider) (Run, error) {
	return s.changeRun(ctx, tenant, id, func(tx *sql.Tx, r *Run, _ time.Time) error {
		return s.requestStop(ctx, tx, r, by)
	})
}

// Resolution is what a person decides about a run in attention.
type Resolution string

// Resolutions.
const (
	ResolveRetry Resolution = "retry" // do the step again
	ResolveSkip  Resolution = "skip"  // the effect is there: go on behind the step
	ResolveFail  Resolution = "fail"  // end the run as failed
)

// ResolveAttention lets a parked run go on as a person decided; the workflow
// package reads the decision from Reason.
func (s *Store) ResolveAttention(ctx context.Context, tenant model.TenantID, id string, how Resolution, by Decider) (Run, error) {
	switch how {
	case ResolveRetry, ResolveSkip, ResolveFail:
	default:
		return Run{}, fmt.Errorf("resolve run %s: %q: want retry, skip or fail", id, how)
	}
	return s.changeRun(ctx, tenant, id, func(tx *sql.Tx, r *Run, now time.Time) error {
		if r.State != RunAttention {
			return fmt.Errorf("run %s is %s, not in attention: %w", id, r.State, ErrNotInState)
		}
		r.State, r.Reason, r.DueAt = RunReady, ReasonResolved+string(how), now
		r.Message = "decided by " + by.Actor
		return s.appendAudit(ctx, tx, tenant, model.AuditRecord{Actor: by.Actor, ActorKind: by.Kind, Action: "run.resolve", ObjectKind: r.Kind, ObjectName: r.Name,
			PersonID: r.PersonID, Reason: by.Reason, Cause: r.Cause, RunID: id, Result: string(how)})
	})
}

// ReasonResolved precedes the resolution in Run.Reason.
const ReasonResolved = "Resolved:"

// WakeRuns makes the waiting runs of a definition due, so that they look again
// at what they wait for: after renewed use, a released guard, a policy that
// went away. No subjects means all. It returns how many were woken.
func (s *Store) WakeRuns(ctx context.Context, tenant model.TenantID, kind, name string, subjects []string) (int, error) {
	args := []any{s.now(), tenant, kind, name}
	only := ""
	if len(subjects) > 0 {
		only = " AND subject IN (" + placeholders(5, len(subjects)) + ")"
		for _, v := range subjects {
			args = append(args, v)
		}
	}
	var n int64
	err := s.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE run SET due_at = $1, state = 'ready', version = version + 1
			WHERE tenant = $2 AND kind = $3 AND name = $4 AND ended_at IS NULL AND state = 'waiting'`+only, args...)
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("wake runs of %s/%s: %w", kind, name, err)
	}
	if n > 0 {
		s.wakeEngine()
	}
	return int(n), nil
}

// changeRun locks a run, lets change edit it and writes its state columns.
func (s *Store) changeRun(ctx context.Context, tenant model.TenantID, id string, change func(tx *sql.Tx, r *Run, now time.Time) error) (Run, error) {
	var r Run
	err := s.write(ctx, func(tx *sql.Tx) error {
		var err error
		if r, err = s.lockRun(ctx, tx, tenant, id); err != nil {
			return err
		}
		before := r
		if err := change(tx, &r, time.UnixMilli(s.now()).UTC()); err != nil {
			return err
		}
		if r.State == before.State && r.Reason == before.Reason && r.DueAt.Equal(before.DueAt) {
			return nil
		}
		return s.updateRuns(ctx, tx, [][]any{runRow(r, s.now())})
	})
	if err != nil {
		return Run{}, err
	}
	s.wakeEngine()
	return r, nil
}

// runRow is a run's changeable columns as updateRuns takes them.
func runRow(r Run, now int64) []any {
	cursor, vars, packed := archive(r)
	return []any{r.Tenant, r.ID, r.State, r.Reason, r.Message, r.Outcome, r.StepPath, cursor, vars, packed, r.Lane, r.DueAt.UnixMilli(), now, millis(r.EndedAt)}
}

func (s *Store) lockRun(ctx context.Context, tx *sql.Tx, tenant model.TenantID, id string) (Run, error) {
	runs, err := collect(ctx, tx, scanRun, `SELECT `+runColumns+` FROM run r WHERE r.tenant = $1 AND r.id = $2`+s.dialect.forUpdate, tenant, id)
	if err != nil {
		return Run{}, fmt.Errorf("lock run %s: %w", id, err)
	}
	if len(runs) == 0 {
		return Run{}, fmt.Errorf("run %s: %w", id, ErrNotFound)
	}
	return runs[0], nil
}

func orDefault(s, d string) string {
	if s == "" {
		return d
	}
	return s
}
