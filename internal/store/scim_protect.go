// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/scim"
)

// SCIMProtected refuses to touch somebody who is protected.
func SCIMProtected() error {
	return &scim.Error{Status: http.StatusForbidden,
		Detail: "This person is protected: spec.protected.people of the Organization says that nothing changes them. Take them out of the scope of the identity provider."}
}

// protectedMails are the addresses that are protected, as they are compared.
func protectedMails(f TenantFacts) []string {
	var out []string
	for _, p := range f.Protected {
		for _, form := range []string{strings.ToLower(p), scim.Fold(p)} {
			if !slices.Contains(out, form) {
				out = append(out, form)
			}
		}
	}
	return out
}

// Protected reports that a user who is there, or who shall be, is protected:
// by their own addresses, or by any of the person whom they describe or would.
// One of have and want may be nil.
func (t *SCIMTx) Protected(ctx context.Context, have *SCIMResource, want scim.Object) (bool, error) {
	if len(t.Facts.Protected) == 0 {
		return false, nil
	}
	if want != nil && t.protectedAddress(want) {
		return true, nil
	}
	back := have == nil || want != nil && !isActive(have.Attributes) && isActive(want)
	if have != nil {
		users, err := t.protectedUsers(ctx)
		if err != nil || users[have.ID] || t.protectedAddress(have.Attributes) {
			return err == nil, err
		}
	}
	if want == nil || !back {
		return false, nil
	}
	person, err := t.wouldDescribe(ctx, want)
	if err != nil || person == "" {
		return false, err
	}
	found, err := collect(ctx, t.q, scanIdentifier, `SELECT kind, value, person_id FROM person_identifier WHERE tenant=$1 AND person_id=$2`, t.tenant, person)
	if err != nil {
		return false, fmt.Errorf("look up who is protected: %w", err)
	}
	mails := protectedMails(t.Facts)
	return slices.ContainsFunc(found, func(p personIdentifier) bool { return p.mail() && slices.Contains(mails, p.value) }), nil
}

func (t *SCIMTx) protectedAddress(o scim.Object) bool {
	own := []string{scimString(o, "userName")}
	for _, e := range listOf(o, "emails") {
		value, _ := e["value"].(string)
		own = append(own, value)
	}
	return slices.ContainsFunc(t.Facts.Protected, func(p string) bool {
		return slices.ContainsFunc(own, func(a string) bool { return strings.EqualFold(a, p) || scim.Fold(a) == scim.Fold(p) })
	})
}

// wouldDescribe returns the person whom a user would describe, or "".
func (t *SCIMTx) wouldDescribe(ctx context.Context, want scim.Object) (string, error) {
	tx, ok := t.q.(*sql.Tx)
	if !ok {
		return "", errors.New("store: SCIM is written outside of a transaction")
	}
	p := scimPerson(t.Facts, SCIMResource{Attributes: want}, "")
	row := &sourceRow{source: scimSource, stream: scimStream, directoryID: scimIdentityOf(want).externalID, fields: map[string]string{"email": p.Email, "employee_id": cleanText(p.EmployeeID)}}
	m := &merger{s: t.s, tx: tx, tenant: t.tenant, batch: []*sourceRow{row}}
	if err := m.gather(ctx); err != nil {
		return "", fmt.Errorf("look up whom a user describes: %w", err)
	}
	id, _, _ := match(row, func(i identifier) []*candidate { return m.index[i] })
	return id, nil
}

// protectedUsers returns the ids of the users who are protected.
func (t *SCIMTx) protectedUsers(ctx context.Context) (map[string]bool, error) {
	out := map[string]bool{}
	for chunk := range slices.Chunk(protectedMails(t.Facts), listChunk) {
		for _, query := range []string{
			`SELECT id FROM scim_user WHERE tenant=$1 AND user_name IN (%s)`,
			`SELECT user_id FROM scim_element WHERE tenant=$1 AND attribute='emails' AND length(value) <= 1024 AND value IN (%s)`,
			`SELECT ps.external_id FROM person_identifier pi JOIN person_source ps ON ps.tenant=pi.tenant AND ps.person_id=pi.person_id
				WHERE pi.tenant=$1 AND pi.kind IN ('email','alias','scim-alias') AND pi.value IN (%s) AND ps.source=` + fmt.Sprint(scimSource) + ` AND ps.removed_at IS NULL`,
		} {
			list, args := inList([]any{t.tenant}, chunk)
			ids, err := collect(ctx, t.q, func(r *sql.Rows) (id string, err error) { return id, r.Scan(&id) }, fmt.Sprintf(query, list), args...)
			if err != nil {
				return nil, fmt.Errorf("look up who is protected: %w", err)
			}
			for _, id := range ids {
				out[id] = true
			}
		}
	}
	return out, nil
}

// refuseProtected refuses a change of the memberships of people who are
// protected.
func (t *SCIMTx) refuseProtected(ctx context.Context, members []string) error {
	if len(members) == 0 || len(t.Facts.Protected) == 0 {
		return nil
	}
	users, err := t.protectedUsers(ctx)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(members, func(id string) bool { return users[id] }) {
		return &scim.Error{Status: http.StatusForbidden, Detail: "One of the members that would be added or removed is protected: spec.protected.people of the Organization says that nothing changes them. " +
			"Take them out of the scope of the identity provider."}
	}
	return nil
}

// protectLeavers marks those who wait to leave and are protected, takes the mark
// off the others, and records whom it holds.
func (t *SCIMTx) protectLeavers(ctx context.Context, tx *sql.Tx) error {
	type waiting struct {
		id, person string
		marked     bool
	}
	users, err := t.protectedUsers(ctx)
	if err != nil {
		return err
	}
	list, err := collect(ctx, tx, func(r *sql.Rows) (w waiting, err error) { return w, r.Scan(&w.id, &w.person, &w.marked) },
		`SELECT l.user_id, coalesce(ps.person_id, ''), l.protected FROM scim_leaver l
		LEFT JOIN person_source ps ON ps.tenant=l.tenant AND ps.source=$2 AND ps.stream=$3 AND ps.external_id=l.user_id
		WHERE l.tenant=$1 AND l.passed_at IS NULL ORDER BY l.user_id`, t.tenant, scimSource, scimStream)
	if err != nil {
		return fmt.Errorf("look up who is protected: %w", err)
	}
	var audit []tenantAudit
	for _, w := range list {
		if w.marked == users[w.id] {
			continue
		}
		if _, err := tx.ExecContext(ctx, `UPDATE scim_leaver SET protected=$3 WHERE tenant=$1 AND user_id=$2`, t.tenant, w.id, users[w.id]); err != nil {
			return fmt.Errorf("hold who is protected: %w", err)
		}
		if users[w.id] {
			audit = append(audit, tenantAudit{t.tenant, model.AuditRecord{Actor: "seatkeeper", ActorKind: model.ActorSystem, Action: "scim.leavers.protected",
				ObjectKind: "scim.user", ObjectName: w.id, PersonID: w.person, Reason: "disabled or deleted by the identity provider, and protected by the Organization", Result: "held"}})
		}
	}
	return t.s.appendAudits(ctx, tx, audit)
}
