// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/model"
)

// CreateRuns starts runs. A run whose (kind, name, trigger key) already exists
// in the tenant is left as it is, ended or not, so that asking again is free.
// It returns how many are new.
func (s *Store) CreateRuns(ctx context.Context, tenant model.TenantID, runs []NewRun) (int, error) {
	var n int
	err := s.write(ctx, func(tx *sql.Tx) (err error) {
		n, err = s.createRuns(ctx, tx, tenant, runs)
		failpoint.Hit(failpoint.RunCreatedBeforeCommit)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("create runs: %w", err)
	}
	if n > 0 {
		s.wakeEngine()
	}
	return n, nil
}

// createRuns is CreateRuns inside the transaction that handles the trigger.
func (s *Store) createRuns(ctx context.Context, tx *sql.Tx, tenant model.TenantID, runs []NewRun) (int, error) {
	if tenant == 0 {
		return 0, errors.New("create runs: no tenant")
	}
	revisions := map[string]int64{}
	rows := make([][]any, 0, len(runs))
	now := s.now()
	for _, r := range runs {
		if r.Kind == "" || r.Name == "" || r.TriggerKey == "" {
			return 0, fmt.Errorf("create run %s/%s: kind, name and trigger key are required", r.Kind, r.Name)
		}
		sum := sha256.Sum256(r.Definition)
		hash := hex.EncodeToString(sum[:])
		cacheKey := r.Kind + "/" + r.Name + "/" + hash
		revision, ok := revisions[cacheKey]
		if r.Revision != 0 {
			revision, ok = r.Revision, true
		}
		if !ok {
			var err error
			if revision, err = s.ensureRevision(ctx, tx, tenant, r, hash); err != nil {
				return 0, err
			}
			revisions[cacheKey] = revision
		}
		id, err := uuid.NewV7()
		if err != nil {
			return 0, err
		}
		due := now
		if !r.DueAt.IsZero() {
			due = r.DueAt.UnixMilli()
		}
		priority := r.Priority
		switch priority {
		case 0:
			priority = PriorityBulk
		case PriorityOffboarding, PriorityRealtime, PriorityScheduled, PriorityBulk:
		default:
			return 0, fmt.Errorf("create run %s/%s: priority %d is not one of the classes", r.Kind, r.Name, priority)
		}
		if r.MayTake > 0 {
			if err := letTake(ctx, tx, tenant, id.String(), r.MayTake); err != nil {
				return 0, err
			}
		}
		rows = append(rows, []any{tenant, id.String(), ShardOf(id.String()), r.Kind, r.Name, revision, r.TriggerKind, r.TriggerKey, r.Subject,
			r.PersonID, r.Cause, r.ParentID, RunReady, orEmptyObject(r.Vars), r.Lane, priority, due, now, now})
	}
	n, err := s.bulk(ctx, tx, `INSERT INTO run (tenant, id, shard, kind, name, revision, trigger_kind, trigger_key, subject,
		person_id, cause, parent_id, state, vars, lane, priority, due_at, created_at, updated_at) `,
		` ON CONFLICT (tenant, kind, name, trigger_key) DO NOTHING`, nil, rows)
	return int(n), err
}

func orEmptyObject(raw json.RawMessage) string {
	if len(raw) == 0 {
		return "{}"
	}
	return string(raw)
}

// ensureRevision returns the revision of the definition, creating it unless
// the same spec was seen before: re-applying from git is free.
func (s *Store) ensureRevision(ctx context.Context, tx *sql.Tx, tenant model.TenantID, r NewRun, hash string) (int64, error) {
	find := func() (revision int64, err error) {
		err = tx.QueryRowContext(ctx, `SELECT revision FROM workflow_revision WHERE tenant = $1 AND kind = $2 AND name = $3 AND spec_hash = $4`,
			tenant, r.Kind, r.Name, hash).Scan(&revision)
		return revision, err
	}
	revision, err := find()
	if !errors.Is(err, sql.ErrNoRows) {
		return revision, err
	}
	// A concurrent writer of the same number loses on the primary key and the
	// unique hash; DO NOTHING and the second look-up serve both.
	_, err = tx.ExecContext(ctx, `INSERT INTO workflow_revision (tenant, kind, name, revision, spec_hash, spec, author, created_at, source)
		SELECT CAST($1 AS BIGINT), CAST($2 AS TEXT), CAST($3 AS TEXT), coalesce(max(revision), 0) + 1, CAST($4 AS TEXT), CAST($5 AS TEXT), CAST($6 AS TEXT), CAST($7 AS BIGINT), CAST($8 AS TEXT)
		FROM workflow_revision WHERE tenant = CAST($1 AS BIGINT) AND kind = CAST($2 AS TEXT) AND name = CAST($3 AS TEXT)
		ON CONFLICT DO NOTHING`, tenant, r.Kind, r.Name, hash, string(r.Definition), r.Cause, s.now(), r.Source)
	if err != nil {
		return 0, fmt.Errorf("record revision of %s/%s: %w", r.Kind, r.Name, err)
	}
	if revision, err = find(); errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("record revision of %s/%s: %w", r.Kind, r.Name, errConflict)
	}
	return revision, err
}

// Definition returns the definition that a revision holds. Revisions are
// immutable, so callers may cache it.
func (s *Store) Definition(ctx context.Context, tenant model.TenantID, kind, name string, revision int64) (json.RawMessage, error) {
	var spec string
	err := s.reads.QueryRowContext(ctx, `SELECT spec FROM workflow_revision WHERE tenant = $1 AND kind = $2 AND name = $3 AND revision = $4`,
		tenant, kind, name, revision).Scan(&spec)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("definition %s/%s revision %d: %w", kind, name, revision, ErrNotFound)
	}
	return json.RawMessage(spec), err
}

// OnRunsDue sets what is called after this process committed something that
// makes a run due. Runs of other processes are found by polling.
func (s *Store) OnRunsDue(wake func()) { s.onDue.Store(&wake) }

func (s *Store) wakeEngine() {
	if wake := s.onDue.Load(); wake != nil {
		(*wake)()
	}
}
