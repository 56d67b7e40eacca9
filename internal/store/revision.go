// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// WorkflowRevision is one version of a Workflow; it never changes.
type WorkflowRevision struct {
	Revision  int64     `json:"revision"`
	Author    string    `json:"author,omitempty"` // who or what applied it first
	CreatedAt time.Time `json:"createdAt"`
	// Spec is what the user wrote; empty in lists, and for a revision that was
	// recorded before specs were.
	Spec json.RawMessage `json:"spec,omitempty"`
}

// RevisionQuery selects revisions, newest first.
type RevisionQuery struct {
	Before int64 // revision of the last of the previous page; 0: the newest
	Limit  int   // 0 is 100, at most 1000
}

// WorkflowRevisions lists the revisions of a Workflow that is or was there.
func (s *Store) WorkflowRevisions(ctx context.Context, tenant model.TenantID, name string, q RevisionQuery) ([]WorkflowRevision, error) {
	out, err := s.revisions(ctx, `SELECT revision, author, created_at, '' FROM workflow_revision
		WHERE tenant = $1 AND kind = $2 AND name = $3 AND (CAST($4 AS BIGINT) = 0 OR revision < CAST($4 AS BIGINT)) ORDER BY revision DESC LIMIT $5`, tenant, kindWorkflow, name, q.Before, clampLimit(q.Limit))
	if err != nil {
		return nil, fmt.Errorf("list revisions of Workflow %q: %w", name, err)
	}
	return out, nil
}

// WorkflowRevision returns one revision with its spec, or ErrNotFound.
func (s *Store) WorkflowRevision(ctx context.Context, tenant model.TenantID, name string, revision int64) (WorkflowRevision, error) {
	out, err := s.revisions(ctx, `SELECT revision, author, created_at, source FROM workflow_revision
		WHERE tenant = $1 AND kind = $2 AND name = $3 AND revision = $4`, tenant, kindWorkflow, name, revision)
	if err == nil && len(out) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return WorkflowRevision{}, fmt.Errorf("workflow %q revision %d: %w", name, revision, err)
	}
	return out[0], nil
}

func (s *Store) revisions(ctx context.Context, query string, args ...any) ([]WorkflowRevision, error) {
	return collect(ctx, s.reads, func(r *sql.Rows) (v WorkflowRevision, err error) {
		var created int64
		var spec string
		err = r.Scan(&v.Revision, &v.Author, &created, &spec)
		v.CreatedAt, v.Spec = fromMillis(created), json.RawMessage(spec)
		return v, err
	}, query, args...)
}
