// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/scim"
)

// SCIMGroupChange is what a group shall be. Members is nil where they stay.
type SCIMGroupChange struct {
	Attributes scim.Object
	Members    *scim.MemberDelta
}

// SCIMGroupRule decides on a write: given the group as it is, or nil, it returns
// what it shall be; nil for none. It may run several times.
type SCIMGroupRule func(tx *SCIMTx, have *SCIMResource) (*SCIMGroupChange, error)

// GroupNamed returns the id of the group of that name, in any case, or "".
func (t *SCIMTx) GroupNamed(ctx context.Context, name string) (id string, err error) {
	key := scimText(mustResolve("displayName").Leaf(), name)
	err = t.q.QueryRowContext(ctx, `SELECT id FROM scim_group WHERE tenant=$1 AND display_name=$2`, t.tenant, key).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("look up a group: %w", err)
	}
	return id, nil
}

// MembersWhere returns the members of a group that a filter over their
// attributes selects.
func (t *SCIMTx) MembersWhere(ctx context.Context, group string, filter scim.Expr) ([]scim.Member, error) {
	f := &scimFilter{rt: scim.Group, strFn: t.s.dialect.position, args: []any{t.tenant, group}}
	attr := scim.Group.Schema.Attribute("members")
	source, err := f.elements(attr)
	if err != nil {
		return nil, err
	}
	condition, err := f.element(source, filter)
	if err != nil {
		return nil, err
	}
	out, err := collect(ctx, t.q, func(r *sql.Rows) (m scim.Member, err error) { return m, r.Scan(&m.Value, &m.Type) },
		`SELECT em.member_id, em.member_type FROM `+source.from+` AND em.group_id=$2 AND `+condition+` ORDER BY em.n, em.member_id`, f.args...)
	if err != nil {
		return nil, fmt.Errorf("select members: %w", err)
	}
	return out, nil
}

// WriteSCIMGroup creates, changes or deletes a group as the rule says; id is
// empty for a new one. Nothing is written if nothing differs.
func (s *Store) WriteSCIMGroup(ctx context.Context, tenant model.TenantID, by SCIMCaller, id string, rule SCIMGroupRule) (out SCIMWritten, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		out = SCIMWritten{}
		t, err := s.beginSCIM(ctx, tx, tenant)
		if err != nil {
			return err
		}
		var have *SCIMResource
		if id != "" {
			if have, err = optional(scimByKey(ctx, tx, tenant, "scim_group", "id", id)); err != nil {
				return err
			}
		}
		want, err := rule(t, have)
		if err != nil {
			return err
		}
		out, err = s.putSCIMGroup(ctx, tx, t, by, have, want)
		failpoint.Hit(SCIMBeforeCommit)
		return err
	})
	if err != nil {
		return SCIMWritten{}, fmt.Errorf("write a SCIM group: %w", err)
	}
	return out, nil
}

func (s *Store) putSCIMGroup(ctx context.Context, tx *sql.Tx, t *SCIMTx, by SCIMCaller, have *SCIMResource, want *SCIMGroupChange) (out SCIMWritten, err error) {
	if want == nil {
		if have == nil {
			return out, ErrNotFound
		}
		out = SCIMWritten{SCIMResource: *have, Outcome: SCIMDeleted}
		members, err := s.deleteSCIMGroup(ctx, tx, t, have.ID)
		if err != nil {
			return out, err
		}
		return out, s.auditSCIM(ctx, tx, t, by, "group", out, "", nil, memberDiff{removed: members}.detail())
	}
	if err := checkIndexed(want.Attributes, "displayName", "externalId"); err != nil {
		return out, err
	}
	if out, err = next(scim.Group, s.now(), have, want.Attributes); err != nil {
		return out, err
	}
	// The group is there before its members are, and again when its version is
	// known: whether the members differ, only writing them tells.
	if have == nil {
		if err := s.storeSCIMGroup(ctx, tx, t, out); err != nil {
			return out, err
		}
	}
	var diff memberDiff
	if want.Members != nil {
		if diff, err = s.putMembers(ctx, tx, t, out.ID, *want.Members); err != nil {
			return out, err
		}
	}
	members := len(diff.added)+len(diff.removed) > 0
	if members {
		out.Changed = append(out.Changed, "members")
	}
	switch {
	case have == nil:
		return out, s.auditSCIM(ctx, tx, t, by, "group", out, "", nil, diff.detail())
	case !members && reflect.DeepEqual(have.Attributes, want.Attributes):
		return SCIMWritten{SCIMResource: *have, Outcome: SCIMUnchanged}, nil
	}
	if have.Attributes["displayName"] != want.Attributes["displayName"] {
		if err := touchMembers(ctx, tx, t, `SELECT member_id FROM scim_member WHERE tenant=$1 AND group_id=$2`, out.ID); err != nil {
			return out, err
		}
	}
	if err := s.storeSCIMGroup(ctx, tx, t, out); err != nil {
		return out, err
	}
	return out, s.auditSCIM(ctx, tx, t, by, "group", out, "", nil, diff.detail())
}

func (s *Store) storeSCIMGroup(ctx context.Context, tx *sql.Tx, t *SCIMTx, w SCIMWritten) error {
	doc, err := json.Marshal(w.Attributes)
	if err != nil {
		return fmt.Errorf("write a SCIM resource: %w", err)
	}
	text := func(path string) any {
		ref := mustResolve(path)
		if v, ok := scimValue(w.Attributes, ref).(string); ok {
			return scimText(ref.Leaf(), v)
		}
		return nil
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO scim_group (tenant, id, document, version, created_at, modified_at, display_name, external_id)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8) ON CONFLICT (tenant, id) DO UPDATE SET document=excluded.document, version=excluded.version,
		modified_at=excluded.modified_at, display_name=excluded.display_name, external_id=excluded.external_id`,
		t.tenant, w.ID, string(doc), w.Version, w.CreatedAt.UnixMilli(), w.ModifiedAt.UnixMilli(), text("displayName"), text("externalId"))
	if err != nil {
		return fmt.Errorf("store a SCIM group: %w", err)
	}
	return nil
}

// touchMembers raises the version of the users that the query selects, of whom
// "groups" says something else now. When they were last changed stays.
func touchMembers(ctx context.Context, tx *sql.Tx, t *SCIMTx, selection string, args ...any) error {
	_, err := tx.ExecContext(ctx, `UPDATE scim_user SET version=version+1 WHERE tenant=$1 AND id IN (`+selection+`)`, append([]any{t.tenant}, args...)...)
	if err != nil {
		return fmt.Errorf("raise the versions of members: %w", err)
	}
	return nil
}

func (s *Store) deleteSCIMGroup(ctx context.Context, tx *sql.Tx, t *SCIMTx, id string) ([]string, error) {
	members, err := collect(ctx, tx, func(r *sql.Rows) (id string, err error) { return id, r.Scan(&id) },
		`SELECT member_id FROM scim_member WHERE tenant=$1 AND group_id=$2`, t.tenant, id)
	if err != nil {
		return nil, fmt.Errorf("read members: %w", err)
	}
	if err := t.refuseProtected(ctx, members); err != nil {
		return nil, err
	}
	if err := touchMembers(ctx, tx, t, `SELECT member_id FROM scim_member WHERE tenant=$1 AND group_id=$2`, id); err != nil {
		return nil, err
	}
	// The groups around it have a member less, and another version.
	if _, err := tx.ExecContext(ctx, `UPDATE scim_group SET version=version+1, modified_at=CASE WHEN modified_at < $3 THEN $3 ELSE modified_at+1 END
		WHERE tenant=$1 AND id IN (SELECT group_id FROM scim_member WHERE tenant=$1 AND member_id=$2)`, t.tenant, id, s.now()); err != nil {
		return nil, fmt.Errorf("delete a SCIM group: %w", err)
	}
	for _, q := range []string{
		`DELETE FROM scim_member WHERE tenant=$1 AND (group_id=$2 OR member_id=$2)`,
		`DELETE FROM scim_group WHERE tenant=$1 AND id=$2`,
	} {
		if _, err := tx.ExecContext(ctx, q, t.tenant, id); err != nil {
			return nil, fmt.Errorf("delete a SCIM group: %w", err)
		}
	}
	return members, nil
}

// memberDiff is who became a member of a group, and who is none any more.
type memberDiff struct{ added, removed []string }

// maxAudited is how many members an audit record names.
const maxAudited = 50

// detail is what the audit says of it: the ids of the first, and how many.
func (d memberDiff) detail() map[string]string {
	out := map[string]string{}
	for name, ids := range map[string][]string{"added": d.added, "removed": d.removed} {
		if len(ids) > 0 {
			out[name], out[name+"Count"] = strings.Join(ids[:min(len(ids), maxAudited)], ","), fmt.Sprint(len(ids))
		}
	}
	return out
}

// putMembers applies a change of members without reading those that it does not
// name, and returns those that differ.
func (s *Store) putMembers(ctx context.Context, tx *sql.Tx, t *SCIMTx, group string, d scim.MemberDelta) (diff memberDiff, err error) {
	ids := make([]string, len(d.Add))
	for i, m := range d.Add {
		ids[i] = m.Value
	}
	have := map[string]bool{}
	note := func(found []string) {
		for _, id := range found {
			have[id] = true
		}
	}
	scan := func(r *sql.Rows) (id string, err error) { return id, r.Scan(&id) }
	remove := d.Remove
	if d.ReplaceAll {
		all, err := collect(ctx, tx, scan, `SELECT member_id FROM scim_member WHERE tenant=$1 AND group_id=$2`, t.tenant, group)
		if err != nil {
			return diff, fmt.Errorf("read members: %w", err)
		}
		note(all)
		keep := map[string]bool{}
		for _, id := range ids {
			keep[id] = true
		}
		remove = slices.DeleteFunc(all, func(id string) bool { return keep[id] })
	} else {
		for chunk := range slices.Chunk(slices.Concat(ids, remove), listChunk) {
			list, args := inList([]any{t.tenant, group}, chunk)
			found, err := collect(ctx, tx, scan, `SELECT member_id FROM scim_member WHERE tenant=$1 AND group_id=$2 AND member_id IN (`+list+`)`, args...)
			if err != nil {
				return diff, fmt.Errorf("read members: %w", err)
			}
			note(found)
		}
		remove = slices.DeleteFunc(slices.Clone(remove), func(id string) bool { return !have[id] })
	}
	var rows [][]any
	var added []string
	for i, m := range d.Add {
		if !have[m.Value] {
			have[m.Value] = true
			rows = append(rows, []any{t.tenant, group, m.Value, m.Type, s.now()*10_000 + int64(i)})
			added = append(added, m.Value)
		}
	}
	if err := t.refuseProtected(ctx, slices.Concat(added, remove)); err != nil {
		return diff, err
	}
	for chunk := range slices.Chunk(remove, listChunk) {
		list, args := inList([]any{t.tenant, group}, chunk)
		if err := touchMembers(ctx, tx, t, `SELECT member_id FROM scim_member WHERE tenant=$1 AND group_id=$2 AND member_id IN (`+list+`)`, args[1:]...); err != nil {
			return diff, err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM scim_member WHERE tenant=$1 AND group_id=$2 AND member_id IN (`+list+`)`, args...); err != nil {
			return diff, fmt.Errorf("remove members: %w", err)
		}
	}
	if err := s.insertRows(ctx, tx, "scim_member (tenant, group_id, member_id, member_type, n)", rows, ""); err != nil {
		return diff, fmt.Errorf("add members: %w", err)
	}
	for chunk := range slices.Chunk(added, listChunk) {
		list, args := inList([]any{t.tenant}, chunk)
		if err := touchMembers(ctx, tx, t, list, args[1:]...); err != nil {
			return diff, err
		}
	}
	return memberDiff{added, remove}, nil
}

// scimGroupPeople adds the people of the groups that identity providers push.
func (s *Store) scimGroupPeople(ctx context.Context, tenant model.TenantID, groups []string, out map[string][]string) error {
	names := map[string]string{} // by folded name
	for _, g := range groups {
		names[scimText(mustResolve("displayName").Leaf(), g)] = g
	}
	list, args := inList([]any{tenant, scimSource}, slices.Sorted(maps.Keys(names)))
	_, err := collect(ctx, s.reads, func(r *sql.Rows) (struct{}, error) {
		var key, person string
		err := r.Scan(&key, &person)
		if group := names[key]; err == nil && !slices.Contains(out[group], person) {
			out[group] = append(out[group], person)
		}
		return struct{}{}, err
	}, `SELECT DISTINCT g.display_name, ps.person_id FROM scim_group g JOIN scim_member m ON m.tenant=g.tenant AND m.group_id=g.id
		JOIN person_source ps ON ps.tenant=m.tenant AND ps.source=$2 AND ps.external_id=m.member_id AND ps.removed_at IS NULL AND ps.person_id <> ''
		WHERE g.tenant=$1 AND g.display_name IN (`+list+`) ORDER BY g.display_name, ps.person_id`, args...)
	return err
}

// scimGroupsOf returns the names of the pushed groups in which a person is.
func (s *Store) scimGroupsOf(ctx context.Context, tenant model.TenantID, person string) ([]string, error) {
	return collect(ctx, s.reads, func(r *sql.Rows) (string, error) {
		var doc string
		if err := r.Scan(&doc); err != nil {
			return "", err
		}
		o, err := scimObject([]byte(doc))
		return scimString(o, "displayName"), err
	}, `SELECT g.document FROM person_source ps JOIN scim_member m ON m.tenant=ps.tenant AND m.member_id=ps.external_id
		JOIN scim_group g ON g.tenant=m.tenant AND g.id=m.group_id
		WHERE ps.tenant=$1 AND ps.person_id=$2 AND ps.source=$3 AND ps.removed_at IS NULL ORDER BY g.display_name LIMIT $4`, tenant, person, scimSource, maxGroupsOfPerson)
}
