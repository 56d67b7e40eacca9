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

// OwnConnector is a Connector resource that Integrations may refer to.
type OwnConnector struct {
	Name, Title, Category string
	Domains               []string
}

// PutOwnConnector records a Connector. It writes nothing if nothing changed, but
// now and then that the Connector is still there.
func (s *Store) PutOwnConnector(ctx context.Context, tenant model.TenantID, c OwnConnector) error {
	if c.Domains == nil {
		c.Domains = []string{}
	}
	domains, err := json.Marshal(c.Domains)
	if err != nil {
		return fmt.Errorf("record connector %q: %w", c.Name, err)
	}
	var same bool
	err = s.reads.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM own_connector WHERE tenant=$1 AND name=$2 AND title=$3 AND category=$4 AND domains=$5 AND seen_at > $6)`,
		tenant, c.Name, c.Title, c.Category, string(domains), s.now()-declaredFresh.Milliseconds()).Scan(&same)
	if err == nil && !same {
		err = s.write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `INSERT INTO own_connector (tenant, name, title, category, domains, seen_at) VALUES ($1,$2,$3,$4,$5,$6)
				ON CONFLICT (tenant, name) DO UPDATE SET title = excluded.title, category = excluded.category, domains = excluded.domains, seen_at = excluded.seen_at`,
				tenant, c.Name, c.Title, c.Category, string(domains), s.now())
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("record connector %q: %w", c.Name, err)
	}
	return nil
}

// RemoveOwnConnector forgets a Connector that is gone, or cannot be used.
func (s *Store) RemoveOwnConnector(ctx context.Context, tenant model.TenantID, name string) error {
	var known bool
	err := s.reads.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM own_connector WHERE tenant=$1 AND name=$2)`, tenant, name).Scan(&known)
	if err == nil && known {
		err = s.write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `DELETE FROM own_connector WHERE tenant=$1 AND name=$2`, tenant, name)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("forget connector %q: %w", name, err)
	}
	return nil
}

// PruneOwnConnectors forgets Connectors that were not seen since, because they
// went while nobody watched.
func (s *Store) PruneOwnConnectors(ctx context.Context, tenant model.TenantID, since time.Time) error {
	err := s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM own_connector WHERE tenant=$1 AND seen_at < $2`, tenant, since.UnixMilli())
		return err
	})
	if err != nil {
		return fmt.Errorf("forget connectors: %w", err)
	}
	return nil
}

// OwnConnectors returns the Connectors of the tenant, by name.
func (s *Store) OwnConnectors(ctx context.Context, tenant model.TenantID) ([]OwnConnector, error) {
	all, err := collect(ctx, s.reads, func(r *sql.Rows) (c OwnConnector, err error) {
		var domains string
		if err := r.Scan(&c.Name, &c.Title, &c.Category, &domains); err != nil {
			return c, err
		}
		return c, json.Unmarshal([]byte(domains), &c.Domains)
	}, `SELECT name, title, category, domains FROM own_connector WHERE tenant=$1 ORDER BY name`, tenant)
	if err != nil {
		return nil, fmt.Errorf("list connectors: %w", err)
	}
	return all, nil
}
