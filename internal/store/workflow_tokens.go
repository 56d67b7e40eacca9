// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// WorkflowTokens returns what is known of the bodies that a Workflow's webhook
// received; nil if that is nothing, or the Workflow is not there.
func (s *Store) WorkflowTokens(ctx context.Context, tenant model.TenantID, workflow string) (json.RawMessage, error) {
	return workflowTokens(ctx, s.reads, tenant, workflow, "")
}

func workflowTokens(ctx context.Context, q querier, tenant model.TenantID, workflow, lock string) (json.RawMessage, error) {
	var tokens string
	err := q.QueryRowContext(ctx, `SELECT tokens FROM workflow WHERE tenant=$1 AND name=$2 AND deleted_at IS NULL`+lock, tenant, workflow).Scan(&tokens)
	if errors.Is(err, sql.ErrNoRows) || err == nil && tokens == "" {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the tokens of Workflow %q: %w", workflow, err)
	}
	return json.RawMessage(tokens), nil
}

// UpdateWorkflowTokens stores what edit makes of what is known, if the Workflow is
// there and edit says that it is more.
func (s *Store) UpdateWorkflowTokens(ctx context.Context, tenant model.TenantID, workflow string, edit func(json.RawMessage) (json.RawMessage, bool, error)) error {
	err := s.write(ctx, func(tx *sql.Tx) error {
		have, err := workflowTokens(ctx, tx, tenant, workflow, s.dialect.forUpdate)
		if err != nil {
			return err
		}
		tokens, more, err := edit(have)
		if err != nil || !more {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE workflow SET tokens=$3 WHERE tenant=$1 AND name=$2 AND deleted_at IS NULL`, tenant, workflow, string(tokens))
		return err
	})
	if err != nil {
		return fmt.Errorf("store the tokens of Workflow %q: %w", workflow, err)
	}
	return nil
}
