// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/scim"
)

// scimIdentityOf is what tells a user apart from others with the same userName.
func scimIdentityOf(o scim.Object) scimIdentity {
	p := scimPerson(TenantFacts{}, SCIMResource{Attributes: o}, "")
	return scimIdentity{externalID: scimClean(scimString(o, "externalId")), employeeID: scimClean(p.EmployeeID)}
}

// recycles reports that a user who was not active is active again as somebody
// else, who was given the userName.
func recycles(have *SCIMResource, w SCIMWritten) bool {
	return have != nil && !isActive(have.Attributes) && isActive(w.Attributes) && scimIdentityOf(have.Attributes).contradicts(scimIdentityOf(w.Attributes))
}

// recycle parts a user from whom they described. The row of people of before
// goes on under a key of its own, as that of a deleted user.
func (s *Store) recycle(ctx context.Context, tx *sql.Tx, t *SCIMTx, have SCIMResource) error {
	row, err := scimPersonRow(ctx, tx, t.tenant, have.ID)
	if err != nil || !row.known {
		return err
	}
	former := SCIMWritten{SCIMResource: have, Outcome: SCIMDeleted}
	former.ID = fmt.Sprintf("%s~%d", have.ID, have.Version)
	for _, q := range []string{
		`UPDATE person_source SET external_id=$3 WHERE tenant=$1 AND external_id=$2 AND source=` + fmt.Sprint(scimSource),
		`UPDATE scim_leaver SET user_id=$3 WHERE tenant=$1 AND user_id=$2`,
	} {
		if _, err := tx.ExecContext(ctx, q, t.tenant, have.ID, former.ID); err != nil {
			return fmt.Errorf("part a user from a person: %w", err)
		}
	}
	if err := noteFormer(ctx, tx, t.tenant, former.ID, have.Attributes); err != nil {
		return err
	}
	person, err := s.syncSCIMPerson(ctx, tx, t, former)
	if err != nil {
		return err
	}
	return s.appendAudit(ctx, tx, t.tenant, model.AuditRecord{Actor: "seatkeeper", ActorKind: model.ActorSystem, Action: "scim.user.recycle", ObjectKind: "scim.user", ObjectName: have.ID,
		PersonID: person, Reason: "active again with another externalId or employee number: somebody else was given the userName", Result: "done"})
}

// noteFormer keeps what an identity provider called a user who is no more.
func noteFormer(ctx context.Context, tx *sql.Tx, tenant model.TenantID, id string, o scim.Object) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO scim_former_user (tenant, user_id, external_id) VALUES ($1,$2,$3)`, tenant, id, scimIdentityOf(o).externalID)
	if err != nil {
		return fmt.Errorf("keep who a user was: %w", err)
	}
	return nil
}

// forgetLeaver takes back that a user left, who is active again. A deleted user
// who is provisioned again before their row of people has ended returns too: that
// row ends, so that the new one describes the same person. Somebody else with the
// same userName takes nothing back.
func (s *Store) forgetLeaver(ctx context.Context, tx *sql.Tx, tenant model.TenantID, w SCIMWritten, name string) error {
	type leaver struct {
		user string
		is   scimIdentity
	}
	all, err := collect(ctx, tx, func(r *sql.Rows) (l leaver, err error) {
		return l, r.Scan(&l.user, &l.is.externalID, &l.is.employeeID)
	}, `SELECT l.user_id, coalesce(f.external_id, ''), coalesce(ps.employee_id, '') FROM scim_leaver l
		LEFT JOIN scim_former_user f ON f.tenant=l.tenant AND f.user_id=l.user_id
		LEFT JOIN person_source ps ON ps.tenant=l.tenant AND ps.source=$4 AND ps.stream=$5 AND ps.external_id=l.user_id
		WHERE l.tenant=$1 AND (l.user_name=$2 OR l.user_id=$3)`, tenant, name, w.ID, scimSource, scimStream)
	if err != nil {
		return fmt.Errorf("forget a leaver: %w", err)
	}
	for _, l := range all {
		if l.user != w.ID && !l.is.agrees(scimIdentityOf(w.Attributes)) {
			continue
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM scim_leaver WHERE tenant=$1 AND user_id=$2`, tenant, l.user); err != nil {
			return fmt.Errorf("forget a leaver: %w", err)
		}
		if l.user == w.ID {
			continue
		}
		if _, err := tx.ExecContext(ctx, `UPDATE person_source SET removed_at=$4, changed_at=$4, dirty=1 WHERE tenant=$1 AND source=$2 AND external_id=$3 AND removed_at IS NULL`,
			tenant, scimSource, l.user, s.now()); err != nil {
			return fmt.Errorf("forget a leaver: %w", err)
		}
		if _, err := s.mergeRow(ctx, tx, tenant, scimSource, l.user); err != nil {
			return err
		}
	}
	return nil
}
