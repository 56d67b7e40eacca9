// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// RunsBelow lists runs that a run has started, oldest first, and says how many
// more there are. Of many it lists those that have not ended, and that ended
// badly, before others.
func (s *Store) RunsBelow(ctx context.Context, tenant model.TenantID, id string, limit int) (runs []Run, more int, err error) {
	if id == "" {
		return nil, 0, nil
	}
	if runs, err = collect(ctx, s.reads, scanRun, `SELECT `+runColumns+` FROM run r WHERE r.tenant=$1 AND r.parent_id=$2 AND r.parent_id <> ''
		ORDER BY CASE WHEN r.ended_at IS NULL THEN 0 WHEN r.state <> 'succeeded' THEN 1 ELSE 2 END, r.id LIMIT $3`, tenant, id, limit); err != nil {
		return nil, 0, fmt.Errorf("list the runs that run %s started: %w", id, err)
	}
	slices.SortFunc(runs, func(a, b Run) int { return cmp.Compare(a.ID, b.ID) })
	if len(runs) < limit {
		return runs, 0, nil
	}
	if err := s.reads.QueryRowContext(ctx, `SELECT count(*) FROM run WHERE tenant=$1 AND parent_id=$2 AND parent_id <> ''`, tenant, id).Scan(&more); err != nil {
		return nil, 0, fmt.Errorf("count the runs that run %s started: %w", id, err)
	}
	return runs, more - len(runs), nil
}
