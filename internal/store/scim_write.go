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
	"strings"

	"github.com/google/uuid"

	"github.com/seatkeeper/seatkeeper/internal/failpoint"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/scim"
)

// SCIMBeforeCommit is the failpoint before each commit of a write over SCIM.
const SCIMBeforeCommit = "scim-before-commit"

// SCIMUserKey names a user by id or, for who may be new, by userName.
type SCIMUserKey struct{ ID, UserName string }

// SCIMOutcome says what a write did.
type SCIMOutcome string

// Outcomes of a write.
const (
	SCIMUnchanged SCIMOutcome = "unchanged"
	SCIMCreated   SCIMOutcome = "create"
	SCIMUpdated   SCIMOutcome = "update"
	SCIMDeleted   SCIMOutcome = "delete"
)

// SCIMWritten is what a write came to.
type SCIMWritten struct {
	SCIMResource
	Outcome SCIMOutcome
	// Changed names the attributes that differ.
	Changed []string
}

// SCIMUserRule decides on a write: given the user as it is, or nil, it returns
// the attributes as they shall be; nil for none. It may run several times.
type SCIMUserRule func(tx *SCIMTx, have *SCIMResource) (scim.Object, error)

// WriteSCIMUser creates, changes or deletes a user as the rule says. The user,
// the person, their events and the audit commit together (decision 7). Nothing
// is written if nothing differs.
func (s *Store) WriteSCIMUser(ctx context.Context, tenant model.TenantID, by SCIMCaller, key SCIMUserKey, rule SCIMUserRule) (out SCIMWritten, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		out = SCIMWritten{}
		t, err := s.beginSCIM(ctx, tx, tenant)
		if err != nil {
			return err
		}
		column, value := "id", key.ID
		if key.ID == "" {
			column, value = "user_name", scim.Fold(scimClean(key.UserName))
		}
		have, err := optional(scimByKey(ctx, tx, tenant, "scim_user", column, value))
		if err != nil {
			return err
		}
		want, err := rule(t, have)
		if err != nil {
			return err
		}
		out, err = s.putSCIMUser(ctx, tx, t, by, have, want)
		failpoint.Hit(SCIMBeforeCommit)
		return err
	})
	if err != nil {
		return SCIMWritten{}, fmt.Errorf("write a SCIM user: %w", err)
	}
	return out, nil
}

func (s *Store) beginSCIM(ctx context.Context, tx *sql.Tx, tenant model.TenantID) (*SCIMTx, error) {
	if err := s.waitBriefly(ctx, tx); err != nil {
		return nil, err
	}
	if err := s.lockTenant(ctx, tx, tenant); err != nil {
		return nil, err
	}
	facts, err := tenantFacts(ctx, tx, tenant)
	return &SCIMTx{s: s, q: tx, tenant: tenant, Facts: facts}, err
}

// optional makes of ErrNotFound no resource.
func optional(v SCIMResource, err error) (*SCIMResource, error) {
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &v, nil
}

func (s *Store) putSCIMUser(ctx context.Context, tx *sql.Tx, t *SCIMTx, by SCIMCaller, have *SCIMResource, want scim.Object) (out SCIMWritten, err error) {
	switch {
	case have == nil && want == nil:
		return out, ErrNotFound
	case want == nil:
		out = SCIMWritten{SCIMResource: *have, Outcome: SCIMDeleted}
		err = s.deleteSCIMUser(ctx, tx, t, *have)
	case have != nil && reflect.DeepEqual(have.Attributes, want):
		return SCIMWritten{SCIMResource: *have, Outcome: SCIMUnchanged}, nil
	default:
		if err := checkIndexed(want, "userName", "externalId", enterprise+"manager.value"); err != nil {
			return out, err
		}
		out, err = next(scim.User, s.now(), have, want)
		if err == nil {
			err = s.storeSCIMUser(ctx, tx, t, out)
		}
	}
	if err != nil {
		return out, err
	}
	if recycles(have, out) {
		if err := s.recycle(ctx, tx, t, *have); err != nil {
			return out, err
		}
	}
	person, err := s.syncSCIMPerson(ctx, tx, t, out)
	if err != nil {
		return out, err
	}
	return out, s.auditSCIM(ctx, tx, t, by, "user", out, person, map[string]string{"userName": scimString(out.Attributes, "userName")}, nil)
}

// next is the resource after a write.
func next(rt *scim.ResourceType, now int64, have *SCIMResource, want scim.Object) (SCIMWritten, error) {
	if have != nil {
		r := *have
		r.Attributes, r.Version, r.ModifiedAt = want, r.Version+1, fromMillis(max(now, r.ModifiedAt.UnixMilli()+1))
		return SCIMWritten{SCIMResource: r, Outcome: SCIMUpdated, Changed: scim.Diff(resource(rt, have.Attributes), resource(rt, want))}, nil
	}
	id, err := uuid.NewV7()
	if err != nil {
		return SCIMWritten{}, fmt.Errorf("id of a SCIM resource: %w", err)
	}
	r := SCIMResource{ID: id.String(), Attributes: want, Version: 1, CreatedAt: fromMillis(now), ModifiedAt: fromMillis(now)}
	return SCIMWritten{SCIMResource: r, Outcome: SCIMCreated, Changed: scim.Diff(scim.NewResource(rt), resource(rt, want))}, nil
}

func resource(rt *scim.ResourceType, o scim.Object) *scim.Resource {
	return &scim.Resource{Type: rt, Attributes: o}
}

func isActive(o scim.Object) bool {
	active, _ := o["active"].(bool)
	return active
}

func (s *Store) storeSCIMUser(ctx context.Context, tx *sql.Tx, t *SCIMTx, w SCIMWritten) error {
	doc, err := json.Marshal(w.Attributes)
	if err != nil {
		return fmt.Errorf("write a SCIM resource: %w", err)
	}
	active := isActive(w.Attributes)
	cols := append([]string{"document", "version", "created_at", "modified_at", "active"}, singleColumns()...)
	args := append([]any{t.tenant, w.ID, string(doc), w.Version, w.CreatedAt.UnixMilli(), w.ModifiedAt.UnixMilli(), active}, singleValues(w.Attributes)...)
	set, places := make([]string, len(cols)), make([]string, len(args))
	for i, c := range cols {
		set[i] = c + "=excluded." + c
	}
	for i := range args {
		places[i] = fmt.Sprintf("$%d", i+1)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO scim_user (tenant, id, `+strings.Join(cols, ", ")+`) VALUES (`+strings.Join(places, ", ")+`)
		ON CONFLICT (tenant, id) DO UPDATE SET `+strings.Join(set, ", "), args...)
	if err != nil {
		return fmt.Errorf("store a SCIM user: %w", err)
	}
	if w.Outcome == SCIMUpdated {
		if _, err := tx.ExecContext(ctx, `DELETE FROM scim_element WHERE tenant=$1 AND user_id=$2`, t.tenant, w.ID); err != nil {
			return fmt.Errorf("store a SCIM user: %w", err)
		}
	}
	rows := elementRows(w.ID, w.Attributes)
	for i, r := range rows {
		rows[i] = append([]any{t.tenant}, r...)
	}
	if err := s.insertRows(ctx, tx, "scim_element ("+elementColumns()+")", rows, ""); err != nil {
		return fmt.Errorf("store a SCIM user: %w", err)
	}
	return nil
}

func (s *Store) deleteSCIMUser(ctx context.Context, tx *sql.Tx, t *SCIMTx, have SCIMResource) error {
	_, err := tx.ExecContext(ctx, `UPDATE scim_group SET version=version+1, modified_at=CASE WHEN modified_at < $3 THEN $3 ELSE modified_at+1 END
		WHERE tenant=$1 AND id IN (SELECT group_id FROM scim_member WHERE tenant=$1 AND member_id=$2)`, t.tenant, have.ID, s.now())
	if err != nil {
		return fmt.Errorf("delete a SCIM user: %w", err)
	}
	if err := noteFormer(ctx, tx, t.tenant, have.ID, have.Attributes); err != nil {
		return err
	}
	for _, q := range []string{
		`DELETE FROM scim_member WHERE tenant=$1 AND member_id=$2`,
		`DELETE FROM scim_element WHERE tenant=$1 AND user_id=$2`,
		`DELETE FROM scim_user WHERE tenant=$1 AND id=$2`,
	} {
		if _, err := tx.ExecContext(ctx, q, t.tenant, have.ID); err != nil {
			return fmt.Errorf("delete a SCIM user: %w", err)
		}
	}
	return nil
}

// auditSCIM records a write: names of attributes, never values.
func (s *Store) auditSCIM(ctx context.Context, tx *sql.Tx, t *SCIMTx, by SCIMCaller, kind string, w SCIMWritten, person string, subject, more map[string]string) error {
	detail := map[string]string{"attributes": strings.Join(w.Changed, ","), "key": by.KeyID, "correlationID": by.CorrelationID}
	maps.Copy(detail, more)
	return s.appendAudit(ctx, tx, t.tenant, model.AuditRecord{
		Actor: by.Actor, ActorKind: model.ActorKey, Action: "scim." + kind + "." + string(w.Outcome), ObjectKind: "scim." + kind, ObjectName: w.ID,
		PersonID: person, Result: "done", Subject: subject,
		Detail: detail,
	})
}
