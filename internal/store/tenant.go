// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Tenant is one namespace of this installation.
type Tenant struct {
	ID        model.TenantID
	Namespace string
}

// EnsureTenant returns the tenant of a namespace, creating it on first sight.
// Re-creating a namespace continues the same tenant (decision 1).
func (s *Store) EnsureTenant(ctx context.Context, namespace string) (model.TenantID, error) {
	id, err := s.TenantByNamespace(ctx, namespace)
	if err == nil || !errors.Is(err, ErrNotFound) {
		return id, err
	}
	err = s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO tenant (namespace, created_at) VALUES ($1, $2) ON CONFLICT (namespace) DO NOTHING`, namespace, s.now())
		if err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, `SELECT id FROM tenant WHERE namespace = $1`, namespace).Scan(&id)
	})
	if err != nil {
		return 0, fmt.Errorf("create tenant %q: %w", namespace, err)
	}
	return id, nil
}

// TenantByNamespace returns ErrNotFound for a namespace without a tenant.
func (s *Store) TenantByNamespace(ctx context.Context, namespace string) (model.TenantID, error) {
	var id model.TenantID
	err := s.reads.QueryRowContext(ctx, `SELECT id FROM tenant WHERE namespace = $1`, namespace).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("tenant %q: %w", namespace, ErrNotFound)
	}
	return id, err
}

// Tenants lists every tenant by namespace.
func (s *Store) Tenants(ctx context.Context) ([]Tenant, error) {
	return collect(ctx, s.reads, func(r *sql.Rows) (t Tenant, err error) {
		return t, r.Scan(&t.ID, &t.Namespace)
	}, `SELECT id, namespace FROM tenant ORDER BY namespace`)
}

// Namespaces remembers the namespace of each tenant, which never changes.
type Namespaces struct {
	Store *Store

	mu    sync.Mutex
	known map[model.TenantID]string
}

// Of returns the namespace of a tenant, or ErrNotFound.
func (n *Namespaces) Of(ctx context.Context, tenant model.TenantID) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if ns, ok := n.known[tenant]; ok {
		return ns, nil
	}
	list, err := n.Store.Tenants(ctx)
	if err != nil {
		return "", err
	}
	n.known = make(map[model.TenantID]string, len(list))
	for _, x := range list {
		n.known[x.ID] = x.Namespace
	}
	ns, ok := n.known[tenant]
	if !ok {
		return "", fmt.Errorf("tenant %d: %w", tenant, ErrNotFound)
	}
	return ns, nil
}
