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

// PutOwnConnector records a Connector, as putDeclared does.
func (s *Store) PutOwnConnector(ctx context.Context, tenant model.TenantID, c OwnConnector) error {
	domains, err := listOrEmpty(c.Domains)
	if err != nil {
		return fmt.Errorf("record connector %q: %w", c.Name, err)
	}
	return s.putDeclared(ctx, tenant, ownConnectors, c.Name, c.Title, c.Category, domains)
}

// RemoveOwnConnector forgets a Connector that is gone, or cannot be used.
func (s *Store) RemoveOwnConnector(ctx context.Context, tenant model.TenantID, name string) error {
	return s.removeDeclared(ctx, tenant, ownConnectors, name)
}

// PruneOwnConnectors forgets Connectors that were not seen since.
func (s *Store) PruneOwnConnectors(ctx context.Context, tenant model.TenantID, since time.Time) error {
	return s.pruneDeclared(ctx, tenant, ownConnectors, since)
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
