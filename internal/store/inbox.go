// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// Event is something received from outside, kept until it is handled.
type Event struct {
	Tenant     model.TenantID
	ID         string
	Endpoint   string // "slack/<integration>", …
	DedupeKey  string // unique per tenant and endpoint
	Body       []byte
	Headers    map[string]string // only those that handling needs; no credentials
	ReceivedAt time.Time
}

// States of a received event.
const (
	eventNew     = "new"
	eventHandled = "handled"
	eventDead    = "dead"
)

// ErrDuplicate reports an event whose dedupe key was received before.
var ErrDuplicate = errors.New("received before")

// ReceiveEvent commits an event and returns its id. ErrDuplicate comes with
// the id of the first one.
func (s *Store) ReceiveEvent(ctx context.Context, e Event) (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("event id: %w", err)
	}
	headers, err := json.Marshal(e.Headers)
	if err != nil {
		return "", fmt.Errorf("event headers: %w", err)
	}
	err = s.writeInbox(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO inbox (tenant, id, endpoint, dedupe_key, body, headers, received_at, state)
			VALUES ($1,$2,$3,$4,$5,$6,$7,$8)`, e.Tenant, id.String(), e.Endpoint, e.DedupeKey, e.Body, string(headers), s.now(), eventNew)
		return err
	})
	if err == nil {
		return id.String(), nil
	}
	if !isUnique(err) {
		return "", fmt.Errorf("receive event: %w", err)
	}
	var first string
	err = s.inbox.QueryRowContext(ctx, `SELECT id FROM inbox WHERE tenant = $1 AND endpoint = $2 AND dedupe_key = $3`,
		e.Tenant, e.Endpoint, e.DedupeKey).Scan(&first)
	if err != nil {
		return "", fmt.Errorf("find the first copy of an event: %w", err)
	}
	return first, ErrDuplicate
}

// PendingEvents returns unhandled events of every tenant that are at least
// minAge old, oldest first. The age leaves the replica that received an event
// the time to handle it itself.
func (s *Store) PendingEvents(ctx context.Context, minAge time.Duration, limit int) ([]Event, error) {
	return collect(ctx, s.inbox, func(r *sql.Rows) (Event, error) {
		var e Event
		var headers string
		var at int64
		if err := r.Scan(&e.Tenant, &e.ID, &e.Endpoint, &e.DedupeKey, &e.Body, &headers, &at); err != nil {
			return e, err
		}
		e.ReceivedAt = time.UnixMilli(at).UTC()
		return e, json.Unmarshal([]byte(headers), &e.Headers)
	}, `SELECT tenant, id, endpoint, dedupe_key, body, headers, received_at FROM inbox
		WHERE state = $1 AND received_at <= $2 ORDER BY received_at, id LIMIT $3`, eventNew, s.now()-minAge.Milliseconds(), clampLimit(limit))
}

// FinishEvent marks an event handled, or dead with a reason that a person can
// act on. Of its content only the dedupe key stays: a body names people and may
// carry credentials, such as Slack's response_url. Finishing twice is harmless.
func (s *Store) FinishEvent(ctx context.Context, tenant model.TenantID, id, deadReason string) error {
	state := eventHandled
	if deadReason != "" {
		state = eventDead
	}
	return s.writeInbox(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE inbox SET state = $1, handled_at = $2, error = $3, body = $7, headers = '{}' WHERE tenant = $4 AND id = $5 AND state = $6`,
			state, s.now(), deadReason, tenant, id, eventNew, []byte{})
		return err
	})
}
