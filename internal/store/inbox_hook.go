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
	"slices"
	"strings"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// hookPrefix begins the inbox endpoint of every webhook.
const hookPrefix = "hook/"

// Hook names an endpoint: whose it is, and which of theirs.
type Hook struct {
	OwnerKind string // Integration or Workflow
	OwnerName string
	Webhook   string // of the connector's manifest; empty for a Workflow
}

// Endpoint is the hook's name in the inbox.
func (h Hook) Endpoint() string {
	return hookPrefix + h.OwnerKind + "/" + h.OwnerName + "/" + h.Webhook
}

// HookOf reads the name of an endpoint; false if it is no webhook's.
func HookOf(endpoint string) (Hook, bool) {
	parts := strings.Split(endpoint, "/")
	if len(parts) != 4 || parts[0]+"/" != hookPrefix {
		return Hook{}, false
	}
	return Hook{parts[1], parts[2], parts[3]}, true
}

// TenantEndpoint is an endpoint of a tenant.
type TenantEndpoint struct {
	Tenant   model.TenantID
	Endpoint string
}

// PendingHooks returns what webhooks received and nobody has handled, of every
// tenant, in the order of its arrival; without names endpoints to pass over. It
// returns no more than about maxBytes of bodies, and at least one event.
func (s *Store) PendingHooks(ctx context.Context, without []TenantEndpoint, limit int, maxBytes int64) ([]Event, error) {
	var args []any
	var except strings.Builder
	for _, t := range without {
		args = append(args, t.Tenant, t.Endpoint)
		fmt.Fprintf(&except, " AND NOT (tenant = $%d AND endpoint = $%d)", len(args)-1, len(args))
	}
	type sized struct {
		tenant model.TenantID
		id     string
		size   int64
	}
	args = append(args, clampLimit(limit))
	found, err := collect(ctx, s.inbox, func(r *sql.Rows) (v sized, err error) { return v, r.Scan(&v.tenant, &v.id, &v.size) },
		`SELECT tenant, id, size FROM inbox WHERE state = 'new' AND endpoint LIKE '`+hookPrefix+`%'`+except.String()+
			fmt.Sprintf(` ORDER BY received_at, id LIMIT $%d`, len(args)), args...)
	if err != nil {
		return nil, fmt.Errorf("read what webhooks received: %w", err)
	}
	ids, tenants, size := []string{}, map[model.TenantID]bool{}, int64(0)
	for _, f := range found {
		if size += f.size; size > maxBytes && len(ids) > 0 {
			break
		}
		ids, tenants[f.tenant] = append(ids, f.id), true
	}
	if len(ids) == 0 {
		return nil, nil
	}
	list, args := inList(nil, ids)
	of, args := inList(args, slices.Collect(maps.Keys(tenants)))
	// An id is unique among all tenants, and each row says whose it is.
	return collect(ctx, s.inbox, scanEvent, `SELECT `+eventColumns+` FROM inbox WHERE tenant IN (`+of+`) AND id IN (`+list+`) AND state = 'new' ORDER BY received_at, id`, args...)
}

// FinishEvents is FinishEvent for events of one tenant that were handled.
func (s *Store) FinishEvents(ctx context.Context, tenant model.TenantID, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	return s.writeInbox(ctx, func(tx *sql.Tx) error {
		list, args := inList([]any{tenant, s.now(), []byte{}}, ids)
		_, err := tx.ExecContext(ctx, `UPDATE inbox SET state = 'handled', handled_at = $2, error = '', body = $3, key_id = '', headers = '{}'
			WHERE tenant = $1 AND state = 'new' AND id IN (`+list+`)`, args...)
		return err
	})
}

// RetryEvent has an event that could not be handled tried again at due.
func (s *Store) RetryEvent(ctx context.Context, tenant model.TenantID, id, reason string, due time.Time) error {
	return s.writeInbox(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE inbox SET attempts = attempts + 1, due_at = $3, error = $4 WHERE tenant = $1 AND id = $2 AND state = 'new'`,
			tenant, id, due.UnixMilli(), reason)
		return err
	})
}

// sealedEvent binds the sealed body of an event to its row.
func sealedEvent(tenant model.TenantID, id string) []byte {
	return fmt.Appendf(nil, "seatkeeper event v1\n%d\n%s", tenant, id)
}

// letter is what of a dead letter is sealed.
type letter struct {
	Body    []byte            `json:"body"`
	Headers map[string]string `json:"headers"`
}

// BuryEvent makes an event that cannot be handled a dead letter: its content is
// sealed, to be replayed until retention erases it.
func (s *Store) BuryEvent(ctx context.Context, k *Keyring, e Event, reason string) error {
	plain, err := json.Marshal(letter{e.Body, e.Headers})
	if err != nil {
		return fmt.Errorf("encode event %s: %w", e.ID, err)
	}
	key, nonce, sealed, err := k.seal(plain, sealedEvent(e.Tenant, e.ID))
	if err != nil {
		return fmt.Errorf("seal event %s: %w", e.ID, err)
	}
	return s.writeInbox(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE inbox SET state = 'dead', handled_at = $3, attempts = attempts + 1, error = $4, body = $5, key_id = $6, headers = '{}'
			WHERE tenant = $1 AND id = $2 AND state = 'new'`, e.Tenant, e.ID, s.now(), reason, append(nonce, sealed...), key)
		return err
	})
}

// openLetter opens what BuryEvent sealed.
func openLetter(k *Keyring, tenant model.TenantID, id, keyID string, body []byte) (l letter, err error) {
	key := k.find(keyID)
	if key == nil {
		return l, &UnknownKeyError{Name: "event " + id, KeyID: keyID}
	}
	size := min(len(body), key.aead.NonceSize())
	plain, err := k.open("event "+id, keyID, body[:size], body[size:], sealedEvent(tenant, id))
	if err != nil {
		return l, err
	}
	if err := json.Unmarshal(plain, &l); err != nil {
		return l, fmt.Errorf("the dead letter %s is damaged", id) // the cause could quote it
	}
	return l, nil
}

// ErrNoBody reports an event whose content is not kept: of one that was
// handled, only that it came is.
var ErrNoBody = errors.New("the body is not kept: only that of a dead letter is, until its time ends")

// EventBody returns the body of a dead letter, ErrNotFound or ErrNoBody.
func (s *Store) EventBody(ctx context.Context, k *Keyring, tenant model.TenantID, id string) ([]byte, error) {
	var keyID string
	var body []byte
	err := s.inbox.QueryRowContext(ctx, `SELECT key_id, body FROM inbox WHERE tenant = $1 AND id = $2`, tenant, id).Scan(&keyID, &body)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, fmt.Errorf("event %q: %w", id, ErrNotFound)
	case err != nil:
		return nil, fmt.Errorf("read event %q: %w", id, err)
	case keyID == "":
		return nil, fmt.Errorf("event %q: %w", id, ErrNoBody)
	}
	l, err := openLetter(k, tenant, id, keyID, body)
	return l.Body, err
}

// ReplayEvent has a dead letter handled again, as if it had just come, and says
// so in the audit. It returns ErrNotFound, or ErrNoBody for what is no dead
// letter.
func (s *Store) ReplayEvent(ctx context.Context, k *Keyring, tenant model.TenantID, id string, by model.Actor, reason string) error {
	if _, err := s.EventBody(ctx, k, tenant, id); err != nil {
		return err
	}
	var endpoint string
	if err := s.inbox.QueryRowContext(ctx, `SELECT endpoint FROM inbox WHERE tenant = $1 AND id = $2`, tenant, id).Scan(&endpoint); err != nil {
		return fmt.Errorf("read event %q: %w", id, err)
	}
	// The audit first: the inbox may be another file, and a record of a replay
	// that did not come to be is the lesser evil.
	err := s.AppendAudit(ctx, tenant, model.AuditRecord{Actor: by.Name, ActorKind: by.Kind, Action: "event.replay", ObjectKind: "Event", ObjectName: id,
		Reason: reason, Result: "done", Detail: map[string]string{"endpoint": strings.TrimPrefix(endpoint, hookPrefix)}})
	if err != nil {
		return err
	}
	return s.writeInbox(ctx, func(tx *sql.Tx) error {
		var keyID string
		var body []byte
		err := tx.QueryRowContext(ctx, `SELECT key_id, body FROM inbox WHERE tenant = $1 AND id = $2 AND state = 'dead'`+s.dialect.forUpdate, tenant, id).Scan(&keyID, &body)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("event %q: %w", id, ErrNoBody) // somebody else was faster
		}
		if err != nil {
			return err
		}
		l, err := openLetter(k, tenant, id, keyID, body)
		if err != nil {
			return err
		}
		headers, err := json.Marshal(l.Headers)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE inbox SET state = 'new', handled_at = NULL, attempts = 0, due_at = 0, error = '', body = $3, headers = $4, key_id = ''
			WHERE tenant = $1 AND id = $2`, tenant, id, l.Body, string(headers))
		return err
	})
}

// resealLetters is Reseal for dead letters.
func (s *Store) resealLetters(ctx context.Context, k *Keyring) error {
	for {
		old, err := collect(ctx, s.inbox, scanEvent, `SELECT `+eventColumns+` FROM inbox WHERE key_id <> '' AND key_id <> $1 ORDER BY id LIMIT 50`, k.keys[0].id)
		if err != nil || len(old) == 0 {
			return err
		}
		for _, e := range old {
			if err := s.resealLetter(ctx, k, e.Tenant, e.ID); err != nil {
				return fmt.Errorf("seal the dead letter %s again: %w", e.ID, err)
			}
		}
	}
}

func (s *Store) resealLetter(ctx context.Context, k *Keyring, tenant model.TenantID, id string) error {
	return s.writeInbox(ctx, func(tx *sql.Tx) error {
		var keyID string
		var body []byte
		err := tx.QueryRowContext(ctx, `SELECT key_id, body FROM inbox WHERE tenant = $1 AND id = $2`+s.dialect.forUpdate, tenant, id).Scan(&keyID, &body)
		if errors.Is(err, sql.ErrNoRows) || err == nil && (keyID == "" || keyID == k.keys[0].id) {
			return nil
		}
		if err != nil {
			return err
		}
		l, err := openLetter(k, tenant, id, keyID, body)
		if err != nil {
			return err
		}
		plain, err := json.Marshal(l)
		if err != nil {
			return err
		}
		key, nonce, sealed, err := k.seal(plain, sealedEvent(tenant, id))
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE inbox SET body = $3, key_id = $4 WHERE tenant = $1 AND id = $2`, tenant, id, append(nonce, sealed...), key)
		return err
	})
}
