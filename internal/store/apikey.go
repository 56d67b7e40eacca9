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

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// APIKeySpec is what the resource declares.
type APIKeySpec struct {
	Name, UID, Type, Description string
	// Scopes: none reads everything and writes nothing.
	Scopes []string
	// Networks that it works from; none is any.
	Networks  []string
	ExpiresAt *time.Time
	// Overlap is how long a token goes on working after it was rotated.
	Overlap time.Duration
	// Revoked cannot be taken back for the same UID.
	Revoked bool
}

// APIKey is a declared key and the tokens that were issued for it, the newest
// first.
type APIKey struct {
	APIKeySpec
	RevokedAt *time.Time
	RevokedBy string
	CreatedAt time.Time
	Tokens    []APIKeyToken
}

// Current is the newest token that works, and Previous the one that a rotation
// replaced and that still works; nil: there is none.
func (k *APIKey) Current(now time.Time) *APIKeyToken { return k.live(now, false) }

// Previous is described at Current.
func (k *APIKey) Previous(now time.Time) *APIKeyToken { return k.live(now, true) }

func (k *APIKey) live(now time.Time, ending bool) *APIKeyToken {
	for i, t := range k.Tokens {
		if t.Ended(now) == "" && (t.EndsAt != nil) == ending {
			return &k.Tokens[i]
		}
	}
	return nil
}

// APIKeyToken is one token of a key, by its public id.
type APIKeyToken struct {
	Tenant    model.TenantID
	Namespace string // in APIKeyToken's answer only, as the four that follow
	Type      string
	Scopes    []string
	Networks  []string
	Digest    []byte `json:"-"`

	KeyID, Name, UID string
	CreatedAt        time.Time
	CreatedBy        string
	LastUsedAt       *time.Time
	ExpiresAt        *time.Time // of the APIKey
	EndsAt           *time.Time // after a rotation
	RevokedAt        *time.Time
	// DeliverTo is the Secret that has the token from DeliveredAt to WithdrawnAt.
	DeliverTo   string
	DeliveredAt *time.Time
	WithdrawnAt *time.Time
}

// Why a token does not work.
const (
	TokenRevoked = "revoked"
	TokenExpired = "expired"
	TokenRotated = "rotated"
)

// Ended says why the token does not work at a time; empty: it works.
func (t *APIKeyToken) Ended(now time.Time) string {
	switch {
	case t.RevokedAt != nil:
		return TokenRevoked
	case t.ExpiresAt != nil && !now.Before(*t.ExpiresAt):
		return TokenExpired
	case t.EndsAt != nil && !now.Before(*t.EndsAt):
		return TokenRotated
	}
	return ""
}

// Errors of issuing.
var (
	ErrKeyIssued  = errors.New("the key was issued already: a token is shown once; rotate it to get another")
	ErrKeyRevoked = errors.New("the key is revoked and stays so: create another APIKey")
	ErrKeyExpired = errors.New("the key has expired: set another spec.expiresAt first")
)

// PutAPIKey declares a key. A resource that was made anew under the name is
// another key: the tokens of the former end.
func (s *Store) PutAPIKey(ctx context.Context, t model.TenantID, spec APIKeySpec, by model.Actor) error {
	scopes, err := json.Marshal(spec.Scopes)
	if err != nil {
		return fmt.Errorf("scopes of key %q: %w", spec.Name, err)
	}
	networks, err := json.Marshal(spec.Networks)
	if err != nil {
		return fmt.Errorf("networks of key %q: %w", spec.Name, err)
	}
	err = s.write(ctx, func(tx *sql.Tx) error {
		now := s.now()
		// First the key, which this locks: a token that is being made for the
		// former must be there when its tokens end.
		if _, err := tx.ExecContext(ctx, `INSERT INTO api_key (tenant, name, uid, type, description, scopes, networks, overlap_ms, expires_at, created_at)
			VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10)
			ON CONFLICT (tenant, name) DO UPDATE SET
			revoked_at = CASE WHEN api_key.uid = excluded.uid THEN api_key.revoked_at END,
			revoked_by = CASE WHEN api_key.uid = excluded.uid THEN api_key.revoked_by ELSE '' END,
			created_at = CASE WHEN api_key.uid = excluded.uid THEN api_key.created_at ELSE excluded.created_at END,
			removed_at = CASE WHEN api_key.uid = excluded.uid THEN api_key.removed_at END,
			uid=excluded.uid, type=excluded.type, description=excluded.description, scopes=excluded.scopes, networks=excluded.networks,
			overlap_ms=excluded.overlap_ms, expires_at=excluded.expires_at`,
			t, spec.Name, spec.UID, spec.Type, spec.Description, string(scopes), string(networks), spec.Overlap.Milliseconds(), optMillis(spec.ExpiresAt), now); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE api_key_token SET revoked_at=$4 WHERE tenant=$1 AND name=$2 AND uid<>$3 AND revoked_at IS NULL`,
			t, spec.Name, spec.UID, now); err != nil {
			return err
		}
		if !spec.Revoked {
			return nil
		}
		return s.revokeAPIKey(ctx, tx, t, spec.Name, by, "spec.revoked is set", false)
	})
	if err != nil {
		return fmt.Errorf("store key %q: %w", spec.Name, err)
	}
	return nil
}

// RevokeAPIKey ends every token of the key at once and for ever.
func (s *Store) RevokeAPIKey(ctx context.Context, t model.TenantID, name string, by model.Actor, reason string) error {
	err := s.write(ctx, func(tx *sql.Tx) error { return s.revokeAPIKey(ctx, tx, t, name, by, reason, false) })
	if err != nil {
		return fmt.Errorf("revoke key %q: %w", name, err)
	}
	return nil
}

// RemoveAPIKey ends every token of a key whose resource goes.
func (s *Store) RemoveAPIKey(ctx context.Context, t model.TenantID, name string, by model.Actor) error {
	err := s.write(ctx, func(tx *sql.Tx) error {
		err := s.revokeAPIKey(ctx, tx, t, name, by, "the APIKey was deleted", true)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("remove key %q: %w", name, err)
	}
	return nil
}

// revokeAPIKey audits a key that is revoked for the first time only.
func (s *Store) revokeAPIKey(ctx context.Context, tx *sql.Tx, t model.TenantID, name string, by model.Actor, reason string, remove bool) error {
	now := s.now()
	var revoked, removed sql.NullInt64
	err := tx.QueryRowContext(ctx, `SELECT revoked_at, removed_at FROM api_key WHERE tenant=$1 AND name=$2`+s.dialect.forUpdate, t, name).Scan(&revoked, &removed)
	if errors.Is(err, sql.ErrNoRows) || err == nil && removed.Valid {
		return fmt.Errorf("key %q: %w", name, ErrNotFound)
	}
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE api_key_token SET revoked_at=$3 WHERE tenant=$1 AND name=$2 AND revoked_at IS NULL`, t, name, now); err != nil {
		return err
	}
	if remove {
		if _, err := tx.ExecContext(ctx, `UPDATE api_key SET removed_at=$3 WHERE tenant=$1 AND name=$2`, t, name, now); err != nil {
			return err
		}
	}
	if revoked.Valid {
		return nil
	}
	if _, err := tx.ExecContext(ctx, `UPDATE api_key SET revoked_at=$3, revoked_by=$4, changed_at=$3 WHERE tenant=$1 AND name=$2`, t, name, now, by.Name); err != nil {
		return err
	}
	return s.appendAudit(ctx, tx, t, model.AuditRecord{Actor: by.Name, ActorKind: by.Kind, Action: "key.revoke", ObjectKind: "APIKey", ObjectName: name,
		Reason: reason, Result: "done"})
}

// ChangedAPIKey is a key of which a token was made or revoked.
type ChangedAPIKey struct {
	Tenant model.TenantID
	Name   string
	At     time.Time
}

// ChangedAPIKeys lists keys of any tenant that changed at a time or later.
func (s *Store) ChangedAPIKeys(ctx context.Context, since time.Time) ([]ChangedAPIKey, error) {
	return collect(ctx, s.reads, func(r *sql.Rows) (k ChangedAPIKey, err error) {
		var at int64
		err = r.Scan(&k.Tenant, &k.Name, &at)
		k.At = fromMillis(at)
		return k, err
	}, `SELECT tenant, name, changed_at FROM api_key WHERE changed_at >= $1 ORDER BY changed_at LIMIT 1000`, since.UnixMilli())
}

// PruneAPIKeys forgets tokens of the tenant that ended before the time, and keys
// that are gone and have none left. A token that was delivered stays while its
// key does: that it was says that nothing is to be delivered to its Secret again.
func (s *Store) PruneAPIKeys(ctx context.Context, t model.TenantID, before time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM api_key_token WHERE tenant=$1 AND (revoked_at < $2 OR ends_at < $2)
			AND (deliver_to = '' OR withdrawn_at IS NOT NULL)
			AND NOT (delivered_at IS NOT NULL AND EXISTS (SELECT 1 FROM api_key a
				WHERE a.tenant = api_key_token.tenant AND a.name = api_key_token.name AND a.uid = api_key_token.uid AND a.removed_at IS NULL))`, t, before.UnixMilli()); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM api_key WHERE tenant=$1 AND removed_at < $2
			AND NOT EXISTS (SELECT 1 FROM api_key_token k WHERE k.tenant = api_key.tenant AND k.name = api_key.name)`, t, before.UnixMilli())
		return err
	})
}
