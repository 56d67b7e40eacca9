// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

// StartRun starts one run by hand and audits it, in one transaction. The run
// that the trigger key started before is returned as it is.
func (s *Store) StartRun(ctx context.Context, tenant model.TenantID, r NewRun, by Decider) (run Run, started bool, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		n, err := s.createRuns(ctx, tx, tenant, []NewRun{r})
		if err != nil {
			return err
		}
		started = n > 0
		if run, err = runByTrigger(ctx, tx, tenant, r.Kind, r.Name, r.TriggerKey); err != nil || !started {
			return err
		}
		failpoint.Hit(failpoint.RunCreatedBeforeCommit)
		return s.appendAudit(ctx, tx, tenant, model.AuditRecord{Actor: by.Actor, ActorKind: by.Kind, Action: "run.start", ObjectKind: r.Kind, ObjectName: r.Name,
			PersonID: r.PersonID, Reason: by.Reason, Cause: r.Cause, RunID: run.ID, Result: "started"})
	})
	if err != nil {
		return Run{}, false, fmt.Errorf("start a run of %s/%s: %w", r.Kind, r.Name, err)
	}
	if started {
		s.wakeEngine()
	}
	return run, started, nil
}

// RunByTrigger returns the run that a trigger key started, or ErrNotFound.
func (s *Store) RunByTrigger(ctx context.Context, tenant model.TenantID, kind, name, key string) (Run, error) {
	return runByTrigger(ctx, s.reads, tenant, kind, name, key)
}

func runByTrigger(ctx context.Context, q querier, tenant model.TenantID, kind, name, key string) (Run, error) {
	runs, err := collect(ctx, q, scanRun, `SELECT `+runColumns+` FROM run r WHERE r.tenant=$1 AND r.kind=$2 AND r.name=$3 AND r.trigger_key=$4`, tenant, kind, name, key)
	if err != nil {
		return Run{}, fmt.Errorf("find the run of %s/%s: %w", kind, name, err)
	}
	if len(runs) == 0 {
		return Run{}, fmt.Errorf("run %w", ErrNotFound)
	}
	return runs[0], nil
}
