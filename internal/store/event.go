// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// appendEvent writes one event to the outbox, in the transaction of its change.
func (s *Store) appendEvent(ctx context.Context, q querier, tenant model.TenantID, id string, e model.Event, source int64) error {
	payload := string(e.Payload)
	if payload == "" {
		payload = "{}"
	}
	_, err := q.ExecContext(ctx, `INSERT INTO trigger_event (tenant, id, kind, subject, source, initial, payload, created_at) VALUES ($1,$2,$3,$4,$5,$6,$7,$8)`,
		tenant, id, e.Kind, e.Subject, source, e.Initial, payload, s.now())
	return err
}

// NewEvents returns events of the tenant that nobody has handled, oldest first.
func (s *Store) NewEvents(ctx context.Context, tenant model.TenantID, limit int) ([]model.Event, error) {
	return collect(ctx, s.reads, func(r *sql.Rows) (e model.Event, err error) {
		var payload string
		var at int64
		err = r.Scan(&e.ID, &e.Kind, &e.Subject, &e.Integration, &e.Initial, &payload, &at)
		e.Payload, e.CreatedAt = json.RawMessage(payload), time.UnixMilli(at).UTC()
		return e, err
	}, `SELECT e.id, e.kind, e.subject, coalesce(i.name, ''), e.initial, e.payload, e.created_at FROM trigger_event e
		LEFT JOIN integration_state i ON i.tenant=e.tenant AND i.id=e.source
		WHERE e.tenant=$1 AND e.state='new' ORDER BY e.created_at, e.id LIMIT $2`, tenant, clampLimit(limit))
}

// MarkEventsHandled ends events. What they led to should be written in the same
// transaction; this is for consumers whose effect is idempotent.
func (s *Store) MarkEventsHandled(ctx context.Context, tenant model.TenantID, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	return s.write(ctx, func(tx *sql.Tx) error { return s.markEventsHandled(ctx, tx, tenant, ids) })
}

func (s *Store) markEventsHandled(ctx context.Context, q querier, tenant model.TenantID, ids []string) error {
	list, args := inList([]any{tenant, s.now()}, ids)
	_, err := q.ExecContext(ctx, `UPDATE trigger_event SET state='handled', handled_at=$2 WHERE tenant=$1 AND state='new' AND id IN (`+list+`)`, args...)
	return err
}

// PruneEvents deletes events that were handled before the instant.
func (s *Store) PruneEvents(ctx context.Context, tenant model.TenantID, before time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM trigger_event WHERE tenant=$1 AND state='handled' AND handled_at < $2`, tenant, before.UnixMilli())
		return err
	})
}
