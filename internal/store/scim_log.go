// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// SCIMRequest is one request of an identity provider and what came of it. It
// holds names of attributes, never values.
type SCIMRequest struct {
	ID            string    `json:"id"`
	At            time.Time `json:"at"`
	KeyID         string    `json:"keyID"`
	KeyName       string    `json:"keyName"`
	Address       string    `json:"address,omitempty"`
	Method        string    `json:"method"`
	Route         string    `json:"route"`
	ResourceID    string    `json:"resourceID,omitempty"`
	Status        int       `json:"status"`
	ScimType      string    `json:"scimType,omitempty"`
	CorrelationID string    `json:"correlationID"`
	Changed       []string  `json:"changed,omitempty"`
}

// AppendSCIMLog records requests of a tenant.
func (s *Store) AppendSCIMLog(ctx context.Context, tenant model.TenantID, requests []SCIMRequest) error {
	rows := make([][]any, len(requests))
	for i, r := range requests {
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("id of a request: %w", err)
		}
		rows[i] = []any{tenant, id.String(), r.At.UnixMilli(), r.KeyID, r.KeyName, r.Address, r.Method, r.Route, scimClean(r.ResourceID), r.Status, r.ScimType,
			scimClean(r.CorrelationID), strings.Join(r.Changed, ",")}
	}
	err := s.write(ctx, func(tx *sql.Tx) error {
		return s.insertRows(ctx, tx, "scim_log (tenant, id, at, key_id, key_name, address, method, route, resource_id, status, scim_type, correlation_id, changed)", rows, "")
	})
	if err != nil {
		return fmt.Errorf("log requests of SCIM: %w", err)
	}
	return nil
}

// SCIMLogQuery selects requests; empty fields do not restrict.
type SCIMLogQuery struct {
	Page
	Failed        bool // status 400 and above
	CorrelationID string
	ResourceID    string
	KeyName       string
}

// SCIMLog returns requests, newest first, and the cursor of the next page.
func (s *Store) SCIMLog(ctx context.Context, tenant model.TenantID, q SCIMLogQuery) ([]SCIMRequest, string, error) {
	c := where(tenant, "tenant = $1")
	key, err := parseCursor(q.Cursor, 1)
	if err != nil {
		return nil, "", err
	}
	if key != nil {
		c.add("id < ?", key[0])
	}
	if q.Failed {
		c.add("status >= ?", 400)
	}
	c.equal("correlation_id", q.CorrelationID)
	c.equal("resource_id", q.ResourceID)
	c.equal("key_name", q.KeyName)
	limit := clampLimit(q.Limit)
	rows, err := collect(ctx, s.reads, func(r *sql.Rows) (v SCIMRequest, err error) {
		var at int64
		var changed string
		err = r.Scan(&v.ID, &at, &v.KeyID, &v.KeyName, &v.Address, &v.Method, &v.Route, &v.ResourceID, &v.Status, &v.ScimType, &v.CorrelationID, &changed)
		v.At = fromMillis(at)
		if changed != "" {
			v.Changed = strings.Split(changed, ",")
		}
		return v, err
	}, fmt.Sprintf(`SELECT id, at, key_id, key_name, address, method, route, resource_id, status, scim_type, correlation_id, changed
		FROM scim_log WHERE %s ORDER BY id DESC LIMIT %d`, c, limit+1), c.args...)
	if err != nil {
		return nil, "", fmt.Errorf("list requests of SCIM: %w", err)
	}
	rows, next := page(rows, limit, func(r SCIMRequest) string { return cursor(r.ID) })
	return rows, next, nil
}

// PruneSCIMLog deletes requests before the instant.
func (s *Store) PruneSCIMLog(ctx context.Context, tenant model.TenantID, before time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM scim_log WHERE tenant=$1 AND at < $2`, tenant, before.UnixMilli())
		return err
	})
}

// SCIMHealth counts requests since an instant, and those among them that an
// identity provider counts as failures: everything refused but a look-up of
// what is not there, and a validator that matches.
type SCIMHealth struct{ Requests, Failures int64 }

// SCIMHealth returns the counts of a tenant.
func (s *Store) SCIMHealth(ctx context.Context, tenant model.TenantID, since time.Time) (h SCIMHealth, err error) {
	err = s.reads.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(CASE WHEN status >= 400 AND NOT (status = 404 AND method = 'GET') THEN 1 ELSE 0 END), 0)
		FROM scim_log WHERE tenant=$1 AND at >= $2`, tenant, since.UnixMilli()).Scan(&h.Requests, &h.Failures)
	if err != nil {
		return h, fmt.Errorf("count requests of SCIM: %w", err)
	}
	return h, nil
}
