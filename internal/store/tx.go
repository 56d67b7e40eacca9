// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// ErrNotFound reports that the row asked for does not exist in the tenant.
var ErrNotFound = errors.New("not found")

// ErrFenced reports that another replica has taken over the shard or row, so
// nothing was written.
var ErrFenced = errors.New("fenced: another replica owns this work now")

// querier is what *sql.DB and *sql.Tx share.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

const maxTxAttempts = 8

// write runs fn in a write transaction and commits it. fn runs again from the
// start on a serialisation conflict, so it must not keep effects outside the
// transaction.
func (s *Store) write(ctx context.Context, fn func(*sql.Tx) error) error {
	var last *sql.Tx
	err := runTx(ctx, s.db, func(tx *sql.Tx) error {
		s.moves.take(last) // of an attempt that was rolled back
		last = tx
		return fn(tx)
	})
	s.observeMoves(last, err == nil)
	return err
}

// writeInbox is write on the database that holds received events.
func (s *Store) writeInbox(ctx context.Context, fn func(*sql.Tx) error) error {
	return runTx(ctx, s.inbox, fn)
}

func runTx(ctx context.Context, db *sql.DB, fn func(*sql.Tx) error) error {
	var err error
	for range maxTxAttempts {
		if err = tryTx(ctx, db, fn); err == nil || !retryable(err) {
			return err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return fmt.Errorf("transaction gave up after %d conflicts: %w", maxTxAttempts, err)
}

func tryTx(ctx context.Context, db *sql.DB, fn func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() {
		_ = tx.Rollback() // also when fn panics, for a lock that is kept stops everybody; after the commit it does nothing
	}()
	if err := fn(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// collect runs a query and scans every row.
func collect[T any](ctx context.Context, q querier, scan func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}
