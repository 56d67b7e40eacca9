// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// BookReclaim runs bookReclaim in a transaction of its own.
func (s *Store) BookReclaim(ctx context.Context, tenant model.TenantID, r Reclaim) error {
	return s.write(ctx, func(tx *sql.Tx) error { return s.bookReclaim(ctx, tx, tenant, r) })
}
