// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// AppendAudit writes one audit record in a transaction of its own. Where the
// record belongs to a change, write it in that change's transaction instead.
func (s *Store) AppendAudit(ctx context.Context, tenant model.TenantID, r model.AuditRecord) error {
	return s.write(ctx, func(tx *sql.Tx) error { return s.appendAudit(ctx, tx, tenant, r) })
}

// appendAudit adds r to the transaction that makes the change it records.
func (s *Store) appendAudit(ctx context.Context, q querier, tenant model.TenantID, r model.AuditRecord) error {
	return s.appendAudits(ctx, q, []tenantAudit{{tenant, r}})
}

// AppendAudits is AppendAudit for several records of a tenant at once.
func (s *Store) AppendAudits(ctx context.Context, tenant model.TenantID, records ...model.AuditRecord) error {
	all := make([]tenantAudit, len(records))
	for i, r := range records {
		all[i] = tenantAudit{tenant, r}
	}
	return s.write(ctx, func(tx *sql.Tx) error { return s.appendAudits(ctx, tx, all) })
}

// tenantAudit is a record of a tenant.
type tenantAudit struct {
	tenant model.TenantID
	record model.AuditRecord
}

// appendAudits is appendAudit for many changes of one transaction. What
// identifies a person goes to audit_subject; its salted commitment remains
// when that is deleted.
func (s *Store) appendAudits(ctx context.Context, q querier, records []tenantAudit) error {
	if len(records) == 0 {
		return nil
	}
	var rows, subjects [][]any
	matters := map[matterKey][]any{}
	now := s.now()
	for _, a := range records {
		r := a.record
		v7, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("audit id: %w", err)
		}
		id := pack(v7.String())
		m, details, err := matterOf(r)
		if err != nil {
			return fmt.Errorf("audit matter: %w", err)
		}
		matters[matterKey{a.tenant, m.id}] = m.row(a.tenant)
		commitment := ""
		if len(r.Subject) > 0 {
			subject, err := json.Marshal(r.Subject)
			if err != nil {
				return fmt.Errorf("audit subject: %w", err)
			}
			salt := rand.Text()
			sum := sha256.Sum256([]byte(salt + "\n" + string(subject)))
			commitment = hex.EncodeToString(sum[:])
			subjects = append(subjects, []any{a.tenant, id, r.PersonID, salt, string(subject)})
		}
		rows = append(rows, []any{a.tenant, id, now, m.id[:], r.PersonID, pack(commitment), pack(r.RunID), pack(r.RequestDigest), details})
	}
	if _, err := s.bulk(ctx, q, matterInsert, ` ON CONFLICT (tenant, id) DO NOTHING`, nil, matterRows(matters)); err != nil {
		return fmt.Errorf("append audit matter: %w", err)
	}
	if _, err := s.bulk(ctx, q, `INSERT INTO audit (tenant, id, at, matter, person_id, commitment, run_id, request_digest, details) `, "", nil, rows); err != nil {
		return fmt.Errorf("append audit: %w", err)
	}
	if _, err := s.bulk(ctx, q, `INSERT INTO audit_subject (tenant, audit_id, person_id, salt, subject) `, "", nil, subjects); err != nil {
		return fmt.Errorf("append audit subject: %w", err)
	}
	return nil
}

// AuditQuery selects audit records, newest first.
type AuditQuery struct {
	Action, ObjectKind, ObjectName, Actor, RunID, PersonID string // exact; empty: any
	Before                                                 string // id of the last record of the previous page
	Limit                                                  int    // 0 is 100, at most 1000
}

// Audit returns records newest first; the id of the last one is the next
// page's Before.
func (s *Store) Audit(ctx context.Context, tenant model.TenantID, q AuditQuery) ([]model.AuditRecord, error) {
	where, args := []string{"a.tenant = $1"}, []any{tenant}
	add := func(column, value string, arg any) {
		if value != "" {
			args = append(args, arg)
			where = append(where, fmt.Sprintf("%s $%d", column, len(args)))
		}
	}
	add("m.action =", q.Action, q.Action)
	add("m.object_kind =", q.ObjectKind, q.ObjectKind)
	add("m.object_name =", q.ObjectName, q.ObjectName)
	add("m.actor =", q.Actor, q.Actor)
	add("a.person_id =", q.PersonID, q.PersonID)
	add("a.run_id =", q.RunID, pack(q.RunID))
	add("a.id <", q.Before, pack(q.Before)) // UUIDv7 sorts by time, packed too
	args = append(args, clampLimit(q.Limit))
	return collect(ctx, s.reads, scanAudit, fmt.Sprintf(`SELECT a.id, a.at, m.actor, m.actor_kind, m.action, m.object_kind, m.object_name, a.person_id,
		m.reason, m.cause, a.run_id, a.request_digest, m.result, m.fields, a.details, coalesce(s.subject, '{}')
		FROM audit a JOIN audit_matter m ON m.tenant = a.tenant AND m.id = a.matter LEFT JOIN audit_subject s ON s.tenant = a.tenant AND s.audit_id = a.id
		WHERE %s ORDER BY a.id DESC LIMIT $%d`, strings.Join(where, " AND "), len(args)), args...)
}

func scanAudit(rows *sql.Rows) (r model.AuditRecord, err error) {
	var at int64
	var fields, subject string
	var details []byte
	if err = rows.Scan(packedColumn{&r.ID}, &at, &r.Actor, &r.ActorKind, &r.Action, &r.ObjectKind, &r.ObjectName, &r.PersonID,
		&r.Reason, &r.Cause, packedColumn{&r.RunID}, packedColumn{&r.RequestDigest}, &r.Result, &fields, &details, &subject); err != nil {
		return r, err
	}
	r.At = time.UnixMilli(at).UTC()
	if r.Detail, err = detailOf(fields, details); err != nil {
		return r, fmt.Errorf("audit %s: detail: %w", r.ID, err)
	}
	if err = json.Unmarshal([]byte(subject), &r.Subject); err != nil {
		return r, fmt.Errorf("audit %s: subject: %w", r.ID, err)
	}
	return r, nil
}

// clampLimit bounds a page: 0 is 100, at most 1000.
func clampLimit(n int) int {
	switch {
	case n <= 0:
		return 100
	case n > 1000:
		return 1000
	}
	return n
}
