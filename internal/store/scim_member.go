// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// MemberQuery selects the members of a tenant.
type MemberQuery struct {
	Page
	// All shows Employees and users who are not active too.
	All bool
}

// MemberView is a user of an identity provider, as a member of the tenant.
type MemberView struct {
	ID         string    `json:"id"`
	UserName   string    `json:"userName"`
	Name       string    `json:"name,omitempty"`
	Role       string    `json:"role"`
	Admin      bool      `json:"admin"`
	Active     bool      `json:"active"`
	ModifiedAt time.Time `json:"modifiedAt"`
}

// ListMembers returns members by userName, and the cursor of the next page:
// those who are active and more than Employees.
func (s *Store) ListMembers(ctx context.Context, tenant model.TenantID, q MemberQuery) ([]MemberView, string, error) {
	facts, err := s.TenantFacts(ctx, tenant)
	if err != nil {
		return nil, "", err
	}
	admin := map[string]bool{}
	for _, r := range facts.EffectiveRoles() {
		admin[r.Name] = r.Admin
	}
	c := where(tenant, "tenant = $1")
	key, err := parseCursor(q.Cursor, 1)
	if err != nil {
		return nil, "", err
	}
	if key != nil {
		c.add("user_name > ?", key[0])
	}
	if !q.All {
		c.add("active AND user_type <> ?", scimText(userTypeLeaf, RoleEmployee))
	}
	type member struct {
		MemberView
		key string
	}
	limit := clampLimit(q.Limit)
	rows, err := collect(ctx, s.reads, func(r *sql.Rows) (m member, err error) {
		var doc string
		var modified int64
		if err = r.Scan(&m.ID, &m.key, &m.Active, &modified, &doc); err != nil {
			return m, err
		}
		o, err := scimObject([]byte(doc))
		m.UserName, m.Role, m.ModifiedAt = scimString(o, "userName"), scimString(o, "userType"), fromMillis(modified)
		if m.Name = scimString(o, "displayName"); m.Name == "" {
			m.Name = scimString(o, "name.formatted")
		}
		m.Admin = admin[m.Role]
		return m, err
	}, fmt.Sprintf(`SELECT id, user_name, active, modified_at, document FROM scim_user WHERE %s ORDER BY user_name LIMIT %d`, c, limit+1), c.args...)
	if err != nil {
		return nil, "", fmt.Errorf("list members: %w", err)
	}
	rows, next := page(rows, limit, func(m member) string { return cursor(m.key) })
	out := make([]MemberView, len(rows))
	for i, m := range rows {
		out[i] = m.MemberView
	}
	return out, next, nil
}

// RoleView is a role with the number of its active members.
type RoleView struct {
	TenantRole
	Members int64
}

// ListRoles returns the roles of a tenant, in the order of their declaration.
func (s *Store) ListRoles(ctx context.Context, tenant model.TenantID) ([]RoleView, error) {
	facts, err := s.TenantFacts(ctx, tenant)
	if err != nil {
		return nil, err
	}
	counts := map[string]int64{}
	_, err = collect(ctx, s.reads, func(r *sql.Rows) (struct{}, error) {
		var key string
		var n int64
		err := r.Scan(&key, &n)
		counts[key] = n
		return struct{}{}, err
	}, `SELECT user_type, count(*) FROM scim_user WHERE tenant=$1 AND active AND user_type IS NOT NULL GROUP BY user_type`, tenant)
	if err != nil {
		return nil, fmt.Errorf("count members: %w", err)
	}
	var out []RoleView
	for _, r := range facts.EffectiveRoles() {
		out = append(out, RoleView{TenantRole: r, Members: counts[scimText(userTypeLeaf, r.Name)]})
	}
	return out, nil
}
