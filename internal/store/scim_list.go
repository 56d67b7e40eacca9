// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/scim"
)

// SCIMQuery selects resources.
type SCIMQuery struct {
	Filter scim.Expr  // nil: all
	Sort   *scim.Sort // nil: in the order of creation
	Offset int64
	Limit  int // 0: count only
}

// ListSCIM returns the users or groups that a query selects, and how many there
// are in all. A filter that no column answers is a *scim.Error.
func (s *Store) ListSCIM(ctx context.Context, tenant model.TenantID, rt *scim.ResourceType, q SCIMQuery) ([]SCIMResource, int64, error) {
	table := "scim_user"
	if rt == scim.Group {
		table = "scim_group"
	}
	f := &scimFilter{rt: rt, strFn: s.dialect.position, args: []any{tenant}, alias: "u"}
	condition := "u.tenant=$1"
	if q.Filter != nil {
		more, err := f.where(q.Filter)
		if err != nil {
			return nil, 0, err
		}
		condition += " AND " + more
	}
	countArgs := f.args[:len(f.args):len(f.args)]
	order, err := f.order(q.Sort)
	if err != nil {
		return nil, 0, err
	}
	if q.Filter != nil && q.Sort == nil {
		// Sorting by an expression keeps the databases from walking all resources
		// in order in place of looking up the few that the filter names.
		order = "u.id || ''"
	}
	var rows []SCIMResource
	if q.Limit > 0 {
		rows, err = collect(ctx, s.reads, scanSCIMRows, fmt.Sprintf(`SELECT u.id, u.document, u.version, u.created_at, u.modified_at FROM %s u
			WHERE %s ORDER BY %s LIMIT %d OFFSET %d`, table, condition, order, q.Limit, q.Offset), f.args...)
		if err != nil {
			return nil, 0, fmt.Errorf("list SCIM resources: %w", err)
		}
		if n := int64(len(rows)); n < int64(q.Limit) && (n > 0 || q.Offset == 0) {
			return rows, q.Offset + n, nil // the last page says how many there are
		}
	}
	var total int64
	if err := s.reads.QueryRowContext(ctx, fmt.Sprintf(`SELECT count(*) FROM %s u WHERE %s`, table, condition), countArgs...).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("count SCIM resources: %w", err)
	}
	return rows, total, nil
}
