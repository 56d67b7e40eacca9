// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/scim"
)

// scimSource is the source of what identity providers say of people. It has no
// row among the Integrations, whose ids count up from 1, so that nothing can
// claim, list or disconnect it. Being the highest, it is trusted after them.
const scimSource int64 = 1<<31 - 1

// SCIMSource is how provenance names it. No Integration can be called that:
// names of resources are in lower case.
const SCIMSource = "SCIM"

// scimStream is the stream of its rows of people.
const scimStream = "users"

// SCIMResource is a user or a group as an identity provider provisioned it.
type SCIMResource struct {
	ID string
	// Attributes are canonical, without id and meta, without the groups of a
	// user and without the members of a group.
	Attributes            scim.Object
	Version               int64
	CreatedAt, ModifiedAt time.Time
}

// SCIMCaller is who writes, for the audit.
type SCIMCaller struct {
	Actor         string
	KeyID         string
	CorrelationID string
}

// SCIMTx is what the rules of a write may ask within its transaction. No other
// write of SCIM in the tenant can come between.
type SCIMTx struct {
	s      *Store
	q      querier
	tenant model.TenantID
	// Facts are the tenant's.
	Facts TenantFacts
}

// OtherAdmins returns how many active users but this one have one of the roles.
func (t *SCIMTx) OtherAdmins(ctx context.Context, id string, roles []string) (n int64, err error) {
	folded := make([]string, len(roles))
	for i, r := range roles {
		folded[i] = scimText(userTypeLeaf, r)
	}
	list, args := inList([]any{t.tenant, id}, folded)
	// The column is folded, and roles are compared exactly.
	types, err := collect(ctx, t.q, func(r *sql.Rows) (string, error) {
		var doc string
		if err := r.Scan(&doc); err != nil {
			return "", err
		}
		o, err := scimObject([]byte(doc))
		return scimString(o, "userType"), err
	}, `SELECT document FROM scim_user WHERE tenant=$1 AND id <> $2 AND active AND user_type IN (`+list+`)`, args...)
	if err != nil {
		return 0, fmt.Errorf("count administrators: %w", err)
	}
	for _, name := range types {
		if slices.Contains(roles, name) {
			n++
		}
	}
	return n, nil
}

// Unknown returns those of the ids that are neither a user nor, if groups may
// be, a group of the tenant.
func (t *SCIMTx) Unknown(ctx context.Context, ids []string) ([]string, map[string]string, error) {
	kinds := map[string]string{}
	for _, of := range []struct{ table, kind string }{{"scim_user", "User"}, {"scim_group", "Group"}} {
		for from := 0; from < len(ids); from += listChunk {
			list, args := inList([]any{t.tenant}, ids[from:min(from+listChunk, len(ids))])
			found, err := collect(ctx, t.q, func(r *sql.Rows) (id string, err error) { return id, r.Scan(&id) },
				`SELECT id FROM `+of.table+` WHERE tenant=$1 AND id IN (`+list+`)`, args...)
			if err != nil {
				return nil, nil, fmt.Errorf("look up members: %w", err)
			}
			for _, id := range found {
				kinds[id] = of.kind
			}
		}
	}
	var unknown []string
	for _, id := range ids {
		if kinds[id] == "" {
			unknown = append(unknown, id)
		}
	}
	return unknown, kinds, nil
}

// waitBriefly keeps a transaction from holding its connection while it waits for
// another that does not end: the caller is told to come again.
func (s *Store) waitBriefly(ctx context.Context, tx querier) error {
	if s.dialect.briefLocks == "" {
		return nil
	}
	if _, err := tx.ExecContext(ctx, s.dialect.briefLocks); err != nil {
		return fmt.Errorf("bound how long locks are waited for: %w", err)
	}
	return nil
}

const scimColumnsRead = `id, document, version, created_at, modified_at`

func scanSCIM(r scanner) (v SCIMResource, err error) {
	var doc string
	var created, modified int64
	if err = r.Scan(&v.ID, &doc, &v.Version, &created, &modified); err != nil {
		return v, err
	}
	v.CreatedAt, v.ModifiedAt = fromMillis(created), fromMillis(modified)
	v.Attributes, err = scimObject([]byte(doc))
	return v, err
}

func scanSCIMRows(r *sql.Rows) (SCIMResource, error) { return scanSCIM(r) }

// scimObject reads a canonical document.
func scimObject(doc []byte) (scim.Object, error) {
	d := json.NewDecoder(strings.NewReader(string(doc)))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		return nil, fmt.Errorf("read a SCIM resource: %w", err)
	}
	return canonical(m).(scim.Object), nil
}

// canonical turns the maps of encoding/json into Objects.
func canonical(v any) any {
	switch v := v.(type) {
	case map[string]any:
		o := make(scim.Object, len(v))
		for k, e := range v {
			o[k] = canonical(e)
		}
		return o
	case []any:
		for i, e := range v {
			v[i] = canonical(e)
		}
	}
	return v
}

// SCIMUser returns a user by id, or ErrNotFound.
func (s *Store) SCIMUser(ctx context.Context, tenant model.TenantID, id string) (SCIMResource, error) {
	return scimByKey(ctx, s.reads, tenant, "scim_user", "id", id)
}

// SCIMGroup returns a group by id, without its members, or ErrNotFound.
func (s *Store) SCIMGroup(ctx context.Context, tenant model.TenantID, id string) (SCIMResource, error) {
	return scimByKey(ctx, s.reads, tenant, "scim_group", "id", id)
}

func scimByKey(ctx context.Context, q querier, tenant model.TenantID, table, column, key string) (SCIMResource, error) {
	v, err := scanSCIM(q.QueryRowContext(ctx, `SELECT `+scimColumnsRead+` FROM `+table+` WHERE tenant=$1 AND `+column+`=$2`, tenant, scimClean(key)))
	if errors.Is(err, sql.ErrNoRows) {
		return v, fmt.Errorf("SCIM resource: %w", ErrNotFound)
	}
	if err != nil {
		return v, fmt.Errorf("read a SCIM resource: %w", err)
	}
	return v, nil
}

// scimClean makes of any text from outside one that a parameter can be; what it
// changes is equal to nothing that is stored.
func scimClean(s string) string { return cleanText(s) }

// SCIMMembership is a group that a user is a member of.
type SCIMMembership struct{ GroupID, Display string }

// SCIMGroupsOf returns the groups of each of the users, by name.
func (s *Store) SCIMGroupsOf(ctx context.Context, tenant model.TenantID, users []string) (map[string][]SCIMMembership, error) {
	out := map[string][]SCIMMembership{}
	for from := 0; from < len(users); from += listChunk {
		list, args := inList([]any{tenant}, users[from:min(from+listChunk, len(users))])
		_, err := collect(ctx, s.reads, func(r *sql.Rows) (struct{}, error) {
			var user, doc string
			var m SCIMMembership
			if err := r.Scan(&user, &m.GroupID, &doc); err != nil {
				return struct{}{}, err
			}
			o, err := scimObject([]byte(doc))
			m.Display, _ = o["displayName"].(string)
			out[user] = append(out[user], m)
			return struct{}{}, err
		}, `SELECT m.member_id, g.id, g.document FROM scim_member m JOIN scim_group g ON g.tenant=m.tenant AND g.id=m.group_id
			WHERE m.tenant=$1 AND m.member_id IN (`+list+`) ORDER BY m.member_id, g.display_name`, args...)
		if err != nil {
			return nil, fmt.Errorf("read the groups of users: %w", err)
		}
	}
	return out, nil
}

// SCIMMember is a member of a group.
type SCIMMember struct{ ID, Type, Display string }

// SCIMMembers returns the members of each of the groups, in the order in which
// they were added.
func (s *Store) SCIMMembers(ctx context.Context, tenant model.TenantID, groups []string) (map[string][]SCIMMember, error) {
	out := map[string][]SCIMMember{}
	for from := 0; from < len(groups); from += listChunk {
		list, args := inList([]any{tenant}, groups[from:min(from+listChunk, len(groups))])
		_, err := collect(ctx, s.reads, func(r *sql.Rows) (struct{}, error) {
			var group string
			var m SCIMMember
			err := r.Scan(&group, &m.ID, &m.Type)
			out[group] = append(out[group], m)
			return struct{}{}, err
		}, `SELECT group_id, member_id, member_type FROM scim_member WHERE tenant=$1 AND group_id IN (`+list+`) ORDER BY group_id, n, member_id`, args...)
		if err != nil {
			return nil, fmt.Errorf("read the members of groups: %w", err)
		}
	}
	return out, nil
}

// SCIMMembersAfter returns members of a group by id, from the one after the id on.
func (s *Store) SCIMMembersAfter(ctx context.Context, tenant model.TenantID, group, after string, limit int) ([]SCIMMember, error) {
	out, err := collect(ctx, s.reads, func(r *sql.Rows) (m SCIMMember, err error) { return m, r.Scan(&m.ID, &m.Type) },
		fmt.Sprintf(`SELECT member_id, member_type FROM scim_member WHERE tenant=$1 AND group_id=$2 AND member_id > $3 ORDER BY member_id LIMIT %d`, limit), tenant, group, after)
	if err != nil {
		return nil, fmt.Errorf("read the members of a group: %w", err)
	}
	return out, nil
}

// SCIMRelated returns how many groups each of the users has, or members each of
// the groups; those without are not in it.
func (s *Store) SCIMRelated(ctx context.Context, tenant model.TenantID, rt *scim.ResourceType, ids []string) (map[string]int, error) {
	column := "member_id"
	if rt == scim.Group {
		column = "group_id"
	}
	out := map[string]int{}
	for from := 0; from < len(ids); from += listChunk {
		list, args := inList([]any{tenant}, ids[from:min(from+listChunk, len(ids))])
		_, err := collect(ctx, s.reads, func(r *sql.Rows) (struct{}, error) {
			var id string
			var n int
			err := r.Scan(&id, &n)
			out[id] = n
			return struct{}{}, err
		}, `SELECT `+column+`, count(*) FROM scim_member WHERE tenant=$1 AND `+column+` IN (`+list+`) GROUP BY `+column, args...)
		if err != nil {
			return nil, fmt.Errorf("count members: %w", err)
		}
	}
	return out, nil
}
