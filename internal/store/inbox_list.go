// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// ReceivedEvent is what is told of an event without its content.
type ReceivedEvent struct {
	ID         string     `json:"id"`
	Endpoint   string     `json:"endpoint"` // KIND/NAME/WEBHOOK, or slack/INTEGRATION
	State      string     `json:"state"`    // new, handled or dead
	ReceivedAt time.Time  `json:"receivedAt"`
	HandledAt  *time.Time `json:"handledAt,omitempty"` // when it was handled or given up
	Bytes      int64      `json:"bytes"`               // of the body as it came
	Attempts   int        `json:"attempts"`            // that failed
	NextTry    *time.Time `json:"nextTry,omitempty"`
	Message    string     `json:"message,omitempty"` // why the last attempt failed
	HasBody    bool       `json:"hasBody"`
}

const receivedColumns = `id, endpoint, state, received_at, handled_at, size, attempts, due_at, error, key_id <> ''`

func scanReceived(r scanner) (e ReceivedEvent, err error) {
	var at, due int64
	var ended sql.NullInt64
	if err = r.Scan(&e.ID, &e.Endpoint, &e.State, &at, &ended, &e.Bytes, &e.Attempts, &due, &e.Message, &e.HasBody); err != nil {
		return e, err
	}
	e.Endpoint = strings.TrimSuffix(strings.TrimPrefix(e.Endpoint, hookPrefix), "/")
	e.ReceivedAt, e.HandledAt = fromMillis(at), nullTime(ended)
	if e.State == EventNew && due > 0 {
		next := fromMillis(due)
		e.NextTry = &next
	}
	return e, nil
}

// EventQuery selects received events.
type EventQuery struct {
	States   []string
	Endpoint string // KIND/NAME or KIND/NAME/WEBHOOK; empty: any
	Before   string // id of the last event of the previous page
	Limit    int    // 0 is 100, at most 1000
}

// ReceivedEvents lists what came, newest first; the id of the last one is the
// next page's Before.
func (s *Store) ReceivedEvents(ctx context.Context, tenant model.TenantID, q EventQuery) ([]ReceivedEvent, error) {
	where, args := "tenant = $1", []any{tenant}
	if len(q.States) > 0 {
		var list string
		list, args = inList(args, q.States)
		where += " AND state IN (" + list + ")"
	}
	if q.Endpoint != "" {
		args = append(args, hookPrefix+q.Endpoint, hookPrefix+q.Endpoint+"/", q.Endpoint)
		n := len(args)
		where += fmt.Sprintf(" AND (endpoint IN ($%d, $%d) OR substr(endpoint, 1, length($%d)) = $%d)", n-2, n, n-1, n-1)
	}
	if q.Before != "" {
		args = append(args, q.Before)
		where += fmt.Sprintf(" AND id < $%d", len(args)) // UUIDv7 sorts by time
	}
	args = append(args, clampLimit(q.Limit))
	return collect(ctx, s.inbox, func(r *sql.Rows) (ReceivedEvent, error) { return scanReceived(r) },
		`SELECT `+receivedColumns+` FROM inbox WHERE `+where+fmt.Sprintf(` ORDER BY id DESC LIMIT $%d`, len(args)), args...)
}

// ReceivedEvent returns one event without its content, or ErrNotFound.
func (s *Store) ReceivedEvent(ctx context.Context, tenant model.TenantID, id string) (ReceivedEvent, error) {
	e, err := scanReceived(s.inbox.QueryRowContext(ctx, `SELECT `+receivedColumns+` FROM inbox WHERE tenant = $1 AND id = $2`, tenant, id))
	if errors.Is(err, sql.ErrNoRows) {
		return e, fmt.Errorf("event %q: %w", id, ErrNotFound)
	}
	return e, err
}

// DeadLetters names the webhooks of an owner with events that could not be
// handled.
func (s *Store) DeadLetters(ctx context.Context, tenant model.TenantID, ownerKind, ownerName string) ([]string, error) {
	prefix := Hook{OwnerKind: ownerKind, OwnerName: ownerName}.Endpoint()
	return collect(ctx, s.inbox, func(r *sql.Rows) (name string, err error) {
		err = r.Scan(&name)
		return strings.TrimPrefix(name, prefix), err
	}, `SELECT DISTINCT endpoint FROM inbox WHERE tenant = $1 AND state = 'dead' AND substr(endpoint, 1, length($2)) = $2 ORDER BY endpoint`, tenant, prefix)
}

// InboxDepth counts the events of every tenant that wait, and the dead letters.
func (s *Store) InboxDepth(ctx context.Context) (waiting, dead int64, err error) {
	err = s.inbox.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM inbox WHERE state = 'new'), (SELECT count(*) FROM inbox WHERE state = 'dead')`).Scan(&waiting, &dead)
	return waiting, dead, err
}

// PruneInbox erases what was handled before the one instant, and dead letters of
// before the other. What is still known of an event refuses its copies.
func (s *Store) PruneInbox(ctx context.Context, tenant model.TenantID, handled, dead time.Time) error {
	return s.writeInbox(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM inbox WHERE tenant = $1 AND (state = 'handled' AND handled_at < $2 OR state = 'dead' AND handled_at < $3)`,
			tenant, handled.UnixMilli(), dead.UnixMilli())
		return err
	})
}

// EventKnownBy returns the event of an endpoint that a delivery with a dedupe key
// would be a copy of; empty: none is.
func (s *Store) EventKnownBy(ctx context.Context, tenant model.TenantID, endpoint, dedupeKey string) (id string, err error) {
	err = s.inbox.QueryRowContext(ctx, `SELECT id FROM inbox WHERE tenant = $1 AND endpoint = $2 AND dedupe_key = $3 AND (dedupe_until = 0 OR dedupe_until > $4)`,
		tenant, endpoint, dedupeKey, s.now()).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("find an event: %w", err)
	}
	return id, nil
}
