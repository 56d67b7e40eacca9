// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
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
	// Facts are what runs about it know.
	Facts model.AppFacts
}

// declaredFresh is how long an unchanged row is not written again.
const declaredFresh = 30 * time.Minute

// declaredKind is a kind of resource whose objects the store knows as rows, for
// those who do not read the API server.
type declaredKind struct {
	table, what string
	columns     []string // beside tenant, name and seen_at
}

var (
	declaredApps      = declaredKind{"declared_app", "application", []string{"title", "users", "paid", "unused", "unknown", "sources", "facts"}}
	declaredContracts = declaredKind{"declared_contract", "contract", []string{"app", "state", "end_date", "deadline", "facts"}}
	ownConnectors     = declaredKind{"own_connector", "connector", []string{"title", "category", "domains"}}
)

// putDeclared records an object. It writes nothing if nothing changed, but now
// and then that the object is still there.
func (s *Store) putDeclared(ctx context.Context, tenant model.TenantID, k declaredKind, name string, values ...any) error {
	return s.replaceDeclared(ctx, tenant, k, name, func(_ *sql.Tx, put func() error) error { return put() }, values...)
}

// replaceDeclared does what putDeclared does; around is what goes with it in its
// transaction.
func (s *Store) replaceDeclared(ctx context.Context, tenant model.TenantID, k declaredKind, name string, around func(tx *sql.Tx, put func() error) error, values ...any) error {
	args := append([]any{tenant, name, s.now()}, values...)
	same, set, places := make([]string, len(values)), make([]string, len(values)), make([]string, len(values))
	for i, c := range k.columns {
		places[i] = fmt.Sprintf("$%d", i+4)
		same[i], set[i] = c+"="+places[i], c+"=excluded."+c
	}
	var fresh bool
	err := s.reads.QueryRowContext(ctx, fmt.Sprintf(`SELECT EXISTS (SELECT 1 FROM %s WHERE tenant=$1 AND name=$2 AND seen_at + %d > $3 AND %s)`,
		k.table, declaredFresh.Milliseconds(), strings.Join(same, " AND ")), args...).Scan(&fresh)
	if err == nil && !fresh {
		err = s.write(ctx, func(tx *sql.Tx) error {
			return around(tx, func() error {
				_, err := tx.ExecContext(ctx, fmt.Sprintf(`INSERT INTO %s (tenant, name, seen_at, %s) VALUES ($1,$2,$3,%s)
					ON CONFLICT (tenant, name) DO UPDATE SET seen_at=excluded.seen_at, %s`,
					k.table, strings.Join(k.columns, ", "), strings.Join(places, ","), strings.Join(set, ", ")), args...)
				return err
			})
		})
	}
	if err != nil {
		return fmt.Errorf("record %s %q: %w", k.what, name, err)
	}
	return nil
}

// removeDeclared forgets an object that is gone.
func (s *Store) removeDeclared(ctx context.Context, tenant model.TenantID, k declaredKind, name string) error {
	var known bool
	err := s.reads.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM `+k.table+` WHERE tenant=$1 AND name=$2)`, tenant, name).Scan(&known)
	if err == nil && known {
		err = s.write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `DELETE FROM `+k.table+` WHERE tenant=$1 AND name=$2`, tenant, name)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("forget %s %q: %w", k.what, name, err)
	}
	return nil
}

// pruneDeclared forgets objects that were not seen since, because they went while
// nobody watched.
func (s *Store) pruneDeclared(ctx context.Context, tenant model.TenantID, k declaredKind, since time.Time) error {
	err := s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM `+k.table+` WHERE tenant=$1 AND seen_at < $2`, tenant, since.UnixMilli())
		return err
	})
	if err != nil {
		return fmt.Errorf("forget %ss: %w", k.what, err)
	}
	return nil
}

// listOrEmpty is a list as JSON, never null.
func listOrEmpty(list []string) (string, error) {
	if list == nil {
		list = []string{}
	}
	text, err := json.Marshal(list)
	return string(text), err
}

// PutDeclaredApp records an Application, as putDeclared does. What happened to it
// since it was recorded last is told in the same transaction.
func (s *Store) PutDeclaredApp(ctx context.Context, tenant model.TenantID, a DeclaredApp) error {
	sources, err := listOrEmpty(a.Sources)
	var facts []byte
	if err == nil {
		facts, err = json.Marshal(a.Facts)
	}
	if err != nil {
		return fmt.Errorf("record application %q: %w", a.Name, err)
	}
	tell := func(tx *sql.Tx, put func() error) error {
		if err := s.appChanged(ctx, tx, tenant, a.Facts); err != nil {
			return err
		}
		return put()
	}
	return s.replaceDeclared(ctx, tenant, declaredApps, a.Name, tell, a.Title, a.Users, a.Paid, a.Unused, a.Unknown, sources, string(facts))
}

// RemoveDeclaredApp forgets an Application that is gone.
func (s *Store) RemoveDeclaredApp(ctx context.Context, tenant model.TenantID, name string) error {
	return s.removeDeclared(ctx, tenant, declaredApps, name)
}

// PruneDeclaredApps forgets Applications that were not seen since.
func (s *Store) PruneDeclaredApps(ctx context.Context, tenant model.TenantID, since time.Time) error {
	return s.pruneDeclared(ctx, tenant, declaredApps, since)
}

// DeclaredApps returns the Applications of the tenant, by name.
func (s *Store) DeclaredApps(ctx context.Context, tenant model.TenantID) ([]DeclaredApp, error) {
	apps, err := collect(ctx, s.reads, func(r *sql.Rows) (a DeclaredApp, err error) {
		var sources, facts string
		if err := r.Scan(&a.Name, &a.Title, &a.Users, &a.Paid, &a.Unused, &a.Unknown, &sources, &facts); err != nil {
			return a, err
		}
		if err := json.Unmarshal([]byte(sources), &a.Sources); err != nil {
			return a, err
		}
		return a, unmarshalText(facts, &a.Facts)
	}, `SELECT name, title, users, paid, unused, unknown, sources, facts FROM declared_app WHERE tenant=$1 ORDER BY name`, tenant)
	if err != nil {
		return nil, fmt.Errorf("list applications: %w", err)
	}
	return apps, nil
}
