// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// DeclaredApp is an Application as its controller last summed it up.
type DeclaredApp struct {
	Name, Title string
	Users       int64
	// Paid seats assigned; Unused and Unknown of them by the default window.
	Paid, Unused, Unknown int64
	// Sources are the Integrations that deliver its own accounts.
	Sources []string
}

// declaredFresh is how long an unchanged row is not written again.
const declaredFresh = 30 * time.Minute

// PutDeclaredApp records an Application. It writes nothing if nothing changed,
// but now and then that the Application is still there.
func (s *Store) PutDeclaredApp(ctx context.Context, tenant model.TenantID, a DeclaredApp) error {
	if a.Sources == nil {
		a.Sources = []string{}
	}
	sources, err := json.Marshal(a.Sources)
	if err != nil {
		return fmt.Errorf("record application %q: %w", a.Name, err)
	}
	var same bool
	err = s.reads.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM declared_app WHERE tenant=$1 AND name=$2 AND title=$3 AND users=$4 AND paid=$5 AND unused=$6 AND unknown=$7 AND sources=$8
		AND seen_at > $9)`, tenant, a.Name, a.Title, a.Users, a.Paid, a.Unused, a.Unknown, string(sources), s.now()-declaredFresh.Milliseconds()).Scan(&same)
	if err == nil && !same {
		err = s.write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `INSERT INTO declared_app (tenant, name, title, users, paid, unused, unknown, sources, seen_at) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9)
				ON CONFLICT (tenant, name) DO UPDATE SET title = excluded.title, users = excluded.users, paid = excluded.paid,
					unused = excluded.unused, unknown = excluded.unknown, sources = excluded.sources, seen_at = excluded.seen_at`,
				tenant, a.Name, a.Title, a.Users, a.Paid, a.Unused, a.Unknown, string(sources), s.now())
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("record application %q: %w", a.Name, err)
	}
	return nil
}

// RemoveDeclaredApp forgets an Application that is gone.
func (s *Store) RemoveDeclaredApp(ctx context.Context, tenant model.TenantID, name string) error {
	err := s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM declared_app WHERE tenant=$1 AND name=$2`, tenant, name)
		return err
	})
	if err != nil {
		return fmt.Errorf("forget application %q: %w", name, err)
	}
	return nil
}

// PruneDeclaredApps forgets Applications that were not seen since, because they
// went while nobody watched.
func (s *Store) PruneDeclaredApps(ctx context.Context, tenant model.TenantID, since time.Time) error {
	err := s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM declared_app WHERE tenant=$1 AND seen_at < $2`, tenant, since.UnixMilli())
		return err
	})
	if err != nil {
		return fmt.Errorf("forget applications: %w", err)
	}
	return nil
}

// DeclaredApps returns the Applications of the tenant, by name.
func (s *Store) DeclaredApps(ctx context.Context, tenant model.TenantID) ([]DeclaredApp, error) {
	apps, err := collect(ctx, s.reads, func(r *sql.Rows) (a DeclaredApp, err error) {
		var sources string
		if err := r.Scan(&a.Name, &a.Title, &a.Users, &a.Paid, &a.Unused, &a.Unknown, &sources); err != nil {
			return a, err
		}
		return a, json.Unmarshal([]byte(sources), &a.Sources)
	}, `SELECT name, title, users, paid, unused, unknown, sources FROM declared_app WHERE tenant=$1 ORDER BY name`, tenant)
	if err != nil {
		return nil, fmt.Errorf("list applications: %w", err)
	}
	return apps, nil
}
