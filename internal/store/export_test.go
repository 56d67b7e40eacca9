// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
)

// ReadDB lets tests look at tables.
func (s *Store) ReadDB() *sql.DB { return s.reads }

// WriteSQL lets tests damage tables.
func (s *Store) WriteSQL(ctx context.Context, fn func(*sql.Tx) error) error { return s.write(ctx, fn) }

// SmallBatches makes a small listing take many transactions.
func SmallBatches() { applyChunk, mergeBatch = 150, 30 }

// InboxDB lets tests look at the inbox.
func (s *Store) InboxDB() *sql.DB { return s.inbox }
