// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seatkeeper/seatkeeper/internal/store"
)

// An error that says something of the data is not one of the way to it.
func TestUnavailable(t *testing.T) {
	for err, want := range map[error]bool{
		driver.ErrBadConn: true, &net.OpError{Op: "dial", Err: errors.New("connection refused")}: true, io.ErrUnexpectedEOF: true, context.DeadlineExceeded: true,
		&pgconn.PgError{Code: "57P01"}: true, &pgconn.PgError{Code: "53300"}: true, &pgconn.PgError{Code: "25006"}: true, &pgconn.PgError{Code: "40001"}: true,
		&pgconn.PgError{Code: "22001"}: false, &pgconn.PgError{Code: "23505"}: false, &pgconn.PgError{Code: "42703"}: false, errors.New("unknown booking"): false,
	} {
		if got := store.Unavailable(fmt.Errorf("advance runs: %w", err)); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
}
