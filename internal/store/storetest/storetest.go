// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

// Package storetest runs tests on real stores: SQLite in a temporary directory
// and PostgreSQL in a fresh database.
//
// PostgreSQL is the server of the environment variable SEATKEEPER_TEST_POSTGRES
// (an administrator's DSN), which hack/test-postgres.sh starts for a whole test
// run. Unset, each test binary starts a throw-away server of its own from
// Debian's binaries, which dies with it.
package storetest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/store"
)

// Option changes how a store is opened.
type Option func(*store.Options)

// WithClock injects the clock.
func WithClock(c clock.PassiveClock) Option {
	return func(o *store.Options) { o.Clock = c }
}

// Opener opens the test's database, migrated. Stores that the test does not
// close are closed at its end. A second store on the same database works on
// PostgreSQL only, as in production.
type Opener func(opts ...Option) *store.Store

// Each runs a test on SQLite and on PostgreSQL, each with an empty database.
func Each(t *testing.T, fn func(t *testing.T, open Opener)) {
	t.Helper()
	EachDSN(t, func(t *testing.T, dsn string) { fn(t, opener(t, dsn)) })
}

// EachDSN is Each for tests that open the database elsewhere, such as in a
// child process.
func EachDSN(t *testing.T, fn func(t *testing.T, dsn string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { fn(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { fn(t, Postgres(t)) })
}

// Open opens and migrates a database for the duration of the test.
func Open(tb testing.TB, dsn string, opts ...Option) *store.Store {
	tb.Helper()
	return opener(tb, dsn)(opts...)
}

func opener(tb testing.TB, dsn string) Opener {
	return func(opts ...Option) *store.Store {
		tb.Helper()
		o := store.Options{DSN: dsn}
		for _, opt := range opts {
			opt(&o)
		}
		s, err := store.Open(tb.Context(), o)
		if err != nil {
			tb.Fatalf("open the store: %v", err)
		}
		tb.Cleanup(func() { _ = s.Close() }) // a test may have closed it
		if err := s.Migrate(tb.Context()); err != nil {
			tb.Fatalf("migrate the store: %v", err)
		}
		return s
	}
}

// SQLite returns the DSN of an empty SQLite store.
func SQLite(tb testing.TB) string {
	tb.Helper()
	return "sqlite:" + tb.TempDir()
}

// Postgres returns the DSN of an empty database, which is dropped at the end of
// the test. Without PostgreSQL the test is skipped, or fails in CI.
func Postgres(tb testing.TB) string {
	tb.Helper()
	admin, err := adminDSN()
	if err != nil {
		if os.Getenv("CI") != "" {
			tb.Fatalf("PostgreSQL for tests: %v", err)
		}
		tb.Skipf("PostgreSQL for tests: %v", err)
	}
	template, err := migrated()
	if err != nil {
		tb.Fatalf("migrate the template database: %v", err)
	}
	name := "t_" + strings.ToLower(rand.Text()[:16])
	execSQL(tb, admin, "CREATE DATABASE "+name+" TEMPLATE "+template)
	tb.Cleanup(func() { execSQL(tb, admin, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)") })
	return databaseDSN(admin, name)
}

// migrated makes one database that the others are copies of: copying is faster
// than migrating.
var migrated = sync.OnceValues(func() (string, error) {
	admin, err := adminDSN()
	if err != nil {
		return "", err
	}
	name := "template_" + strings.ToLower(rand.Text()[:16])
	if err := runSQL(admin, "CREATE DATABASE "+name); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := store.Open(ctx, store.Options{DSN: databaseDSN(admin, name)})
	if err != nil {
		return "", err
	}
	return name, errors.Join(s.Migrate(ctx), s.Close())
})

func databaseDSN(admin, name string) string {
	u, err := url.Parse(admin)
	if err != nil {
		return admin // connecting reports it
	}
	u.Path = "/" + name
	return u.String()
}

func execSQL(tb testing.TB, dsn, statement string) {
	tb.Helper()
	if err := runSQL(dsn, statement); err != nil {
		tb.Fatalf("%s: %v", statement, err)
	}
}

// runSQL has a context of its own, because cleanups run after a test's.
func runSQL(dsn, statement string) error {
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err = db.ExecContext(ctx, statement)
	return err
}
