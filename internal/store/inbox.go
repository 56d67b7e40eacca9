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
	Tenant    model.TenantID
	ID        string
	Endpoint  string // "slack/<integration>", or of a webhook; see HookEndpoint
	DedupeKey string // unique per tenant and endpoint
	// DedupeFor is for how long the key makes a copy of what comes with it
	// again; 0 is for as long as anything is known of the event.
	DedupeFor  time.Duration
	Body       []byte
	Headers    map[string]string // only those that handling needs; no credentials
	ReceivedAt time.Time
	// Attempts is how often handling it failed.
	Attempts int
	// DueAt is when handling may be tried again; zero is at once.
	DueAt time.Time
}

// States of a received event.
const (
	EventNew     = "new"
	EventHandled = "handled"
	EventDead    = "dead"
)

// ErrDuplicate reports an event whose dedupe key was received before.
var ErrDuplicate = errors.New("received before")

// ReceiveEvent commits an event and returns its id. ErrDuplicate comes with
// the id of the first one. Events that arrive while others are being committed
// share the next commit.
func (s *Store) ReceiveEvent(ctx context.Context, e Event) (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("event id: %w", err)
	}
	headers, err := json.Marshal(e.Headers)
	if err != nil {
		return "", fmt.Errorf("event headers: %w", err)
	}
	e.ID = id.String()
	if e.Body == nil {
		e.Body = []byte{}
	}
	first, err := s.arrivals.receive(ctx, s, &arrival{event: e, headers: string(headers), at: s.now(), done: make(chan struct{})})
	if err != nil {
		return "", fmt.Errorf("receive event: %w", err)
	}
	if first != e.ID {
		return first, ErrDuplicate
	}
	return first, nil
}

const eventColumns = `tenant, id, endpoint, dedupe_key, body, headers, received_at, attempts, due_at`

func scanEvent(r *sql.Rows) (e Event, err error) {
	var headers string
	var at, due int64
	if err = r.Scan(&e.Tenant, &e.ID, &e.Endpoint, &e.DedupeKey, &e.Body, &headers, &at, &e.Attempts, &due); err != nil {
		return e, err
	}
	e.ReceivedAt, e.DueAt = fromMillis(at), fromMillis(due)
	return e, json.Unmarshal([]byte(headers), &e.Headers)
}

// PendingEvents returns unhandled events of every tenant that are at least
// minAge old and no webhook's, oldest first. The age leaves the replica that
// received an event the time to handle it itself.
func (s *Store) PendingEvents(ctx context.Context, minAge time.Duration, limit int) ([]Event, error) {
	return collect(ctx, s.inbox, scanEvent, `SELECT `+eventColumns+` FROM inbox
		WHERE state = 'new' AND received_at <= $1 AND endpoint NOT LIKE '`+hookPrefix+`%' ORDER BY received_at, id LIMIT $2`, s.now()-minAge.Milliseconds(), clampLimit(limit))
}

// FinishEvent marks an event handled, or dead with a reason that a person can
// act on. Of its content only the dedupe key stays: a body names people and may
// carry credentials, such as Slack's response_url. Finishing twice is harmless.
func (s *Store) FinishEvent(ctx context.Context, tenant model.TenantID, id, deadReason string) error {
	state := EventHandled
	if deadReason != "" {
		state = EventDead
	}
	return s.writeInbox(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE inbox SET state = $1, handled_at = $2, error = $3, body = $6, headers = '{}' WHERE tenant = $4 AND id = $5 AND state = 'new'`,
			state, s.now(), deadReason, tenant, id, []byte{})
		return err
	})
}
