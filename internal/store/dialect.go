// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
	sqlite3 "modernc.org/sqlite"
)

// dialect is the small difference between the databases. Clauses that one of
// them lacks are empty strings there, so that one text serves both.
type dialect struct {
	name string
	// forShare and forUpdate lock the selected rows until commit; SQLite has
	// one writer and needs neither.
	forShare, forUpdate string
}

var (
	sqlite   = dialect{name: "sqlite"}
	postgres = dialect{name: "postgres", forShare: " FOR SHARE", forUpdate: " FOR UPDATE"}
)

// errConflict makes write repeat the transaction.
var errConflict = errors.New("a concurrent transaction was faster")

// retryable reports a conflict that vanishes when the transaction is repeated.
func retryable(err error) bool {
	if errors.Is(err, errConflict) {
		return true
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "40001" || pg.Code == "40P01" // serialization_failure, deadlock_detected
	}
	var lite *sqlite3.Error
	if errors.As(err, &lite) {
		return lite.Code()&0xff == 5 // SQLITE_BUSY and its extended codes
	}
	return false
}

// isUnique reports a violated unique key.
func isUnique(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "23505"
	}
	var lite *sqlite3.Error
	if errors.As(err, &lite) {
		return lite.Code() == 2067 || lite.Code() == 1555 // SQLITE_CONSTRAINT_UNIQUE, _PRIMARYKEY
	}
	return false
}

// missingTable reports a query on a table that does not exist yet.
func missingTable(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "42P01"
	}
	var lite *sqlite3.Error
	return errors.As(err, &lite) && lite.Code() == 1 // SQLITE_ERROR: the only one this query can meet
}
