// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations
var migrations embed.FS

// MinSchema is the oldest schema version that this binary can serve: the
// previous release's, so that manager and gateway can be replaced one after
// the other (decision 11). Before the first release that is the newest.
const MinSchema int64 = 28

// MaxSchema is the newest schema version that this binary can serve: that of
// its newest migration.
func (s *Store) MaxSchema() (int64, error) {
	p, err := s.databases()[0].provider(s.dialect)
	if err != nil {
		return 0, err
	}
	sources := p.ListSources()
	return sources[len(sources)-1].Version, nil
}

// SchemaError says that the database's schema is outside what the binary can
// serve.
type SchemaError struct{ Have, Min, Max int64 }

func (e *SchemaError) Error() string {
	return fmt.Sprintf("store schema is version %d; this binary serves %d to %d: run the manager of the matching release, which migrates", e.Have, e.Min, e.Max)
}

// Migrate applies every migration that is missing; concurrent callers wait for one
// another. Only the manager calls it.
func (s *Store) Migrate(ctx context.Context) error {
	for _, d := range s.databases() {
		p, err := d.provider(s.dialect)
		if err != nil {
			return err
		}
		if _, err := p.Up(ctx); err != nil {
			return fmt.Errorf("migrate %s: %w", d.folder, err)
		}
	}
	return s.CheckSchema(ctx)
}

// CheckSchema returns a *SchemaError when the schema is outside the range that
// this binary serves.
func (s *Store) CheckSchema(ctx context.Context) error {
	have, err := s.SchemaVersion(ctx)
	if err != nil {
		return err
	}
	newest, err := s.MaxSchema()
	if err != nil {
		return err
	}
	if have < MinSchema || have > newest {
		return &SchemaError{Have: have, Min: MinSchema, Max: newest}
	}
	return nil
}

// SchemaRange returns the versions that this binary can serve.
func (s *Store) SchemaRange() (oldest, newest int64, err error) {
	newest, err = s.MaxSchema()
	return MinSchema, newest, err
}

// SchemaVersion returns the version of the main database, 0 if it is empty.
func (s *Store) SchemaVersion(ctx context.Context) (int64, error) {
	var v sql.NullInt64
	err := s.reads.QueryRowContext(ctx, `SELECT max(version_id) FROM goose_db_version`).Scan(&v)
	if err != nil {
		if missingTable(err) {
			return 0, nil
		}
		return 0, fmt.Errorf("read the schema version: %w", err)
	}
	return v.Int64, nil
}

// database is one migrated file or server.
type database struct {
	db     *sql.DB
	folder string
}

func (s *Store) databases() []database {
	if s.dialect.name == postgres.name {
		return []database{{s.db, "migrations/postgres"}}
	}
	return []database{{s.db, "migrations/sqlite"}, {s.inbox, "migrations/sqlite-inbox"}}
}

func (d database) provider(dl dialect) (*goose.Provider, error) {
	dir, err := fs.Sub(migrations, d.folder)
	if err != nil {
		return nil, err
	}
	gd, opts := goose.DialectSQLite3, []goose.ProviderOption{goose.WithVerbose(false)}
	if dl.name == postgres.name {
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return nil, err
		}
		gd, opts = goose.DialectPostgres, append(opts, goose.WithSessionLocker(locker))
	}
	p, err := goose.NewProvider(gd, d.db, dir, opts...)
	if err != nil {
		return nil, errors.Join(errors.New("load migrations"), err)
	}
	return p, nil
}
