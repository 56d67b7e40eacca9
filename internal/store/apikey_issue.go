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

// IssueAPIKey says how a token is made.
type IssueAPIKey struct {
	By model.Actor
	// Rotate makes another token; the one before goes on working for the overlap
	// that the key declares, and any older one ends. Without it a key is issued
	// once.
	Rotate bool
	// DeliverTo is the Secret that is to have the token; empty: it is shown.
	DeliverTo string
}

// IssueAPIKey makes a token of a key and returns it for the only time. A token
// that was to be delivered and was not is replaced.
func (s *Store) IssueAPIKey(ctx context.Context, t model.TenantID, name string, in IssueAPIKey) (APIKeyToken, string, error) {
	token, text, err := newAPIToken(t)
	if err != nil {
		return APIKeyToken{}, "", err
	}
	out := APIKeyToken{Tenant: t, KeyID: token.KeyID, Name: name, CreatedBy: in.By.Name, DeliverTo: in.DeliverTo}
	err = s.write(ctx, func(tx *sql.Tx) error {
		key, err := s.apiKey(ctx, tx, t, name, s.dialect.forUpdate)
		if err != nil {
			return err
		}
		now := fromMillis(s.now())
		if err := mayIssue(key, in, now); err != nil {
			return err
		}
		action := "key.create"
		if key.Current(now) != nil {
			action = "key.rotate"
		}
		if err := endBefore(ctx, tx, key, now); err != nil {
			return err
		}
		out.UID, out.CreatedAt, out.Type, out.ExpiresAt = key.UID, now, key.Type, key.ExpiresAt
		if _, err := tx.ExecContext(ctx, `INSERT INTO api_key_token (tenant, key_id, name, uid, digest, created_at, created_by, deliver_to) VALUES ($1,$2,$3,$4,$5,$6,$7,$8)`,
			t, token.KeyID, name, key.UID, token.Digest(), now.UnixMilli(), in.By.Name, in.DeliverTo); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE api_key SET changed_at=$3 WHERE tenant=$1 AND name=$2`, t, name, now.UnixMilli()); err != nil {
			return err
		}
		detail := map[string]string{"keyID": token.KeyID, "type": key.Type}
		if in.DeliverTo != "" {
			detail["secret"] = in.DeliverTo
		}
		return s.appendAudit(ctx, tx, t, model.AuditRecord{Actor: in.By.Name, ActorKind: in.By.Kind, Action: action, ObjectKind: "APIKey", ObjectName: name,
			Result: "done", Detail: detail})
	})
	if err != nil {
		return out, "", fmt.Errorf("issue key %q: %w", name, err)
	}
	return out, text, nil
}

func mayIssue(key APIKey, in IssueAPIKey, now time.Time) error {
	switch {
	case key.RevokedAt != nil:
		return ErrKeyRevoked
	case key.ExpiresAt != nil && !now.Before(*key.ExpiresAt):
		return ErrKeyExpired
	case !in.Rotate && len(key.Tokens) > 0:
		return ErrKeyIssued
	}
	return nil
}

// endBefore ends what a new token replaces: the current one after the overlap,
// and at once every older one, and one that nobody ever received.
func endBefore(ctx context.Context, tx *sql.Tx, key APIKey, now time.Time) error {
	kept := false
	for _, t := range key.Tokens {
		if t.Ended(now) != "" {
			continue
		}
		received := t.DeliverTo == "" || t.DeliveredAt != nil
		if !received || kept || key.Overlap <= 0 {
			if _, err := tx.ExecContext(ctx, `UPDATE api_key_token SET revoked_at=$3 WHERE tenant=$1 AND key_id=$2`, t.Tenant, t.KeyID, now.UnixMilli()); err != nil {
				return err
			}
			continue
		}
		kept = true
		if _, err := tx.ExecContext(ctx, `UPDATE api_key_token SET ends_at=coalesce(ends_at, $3) WHERE tenant=$1 AND key_id=$2`,
			t.Tenant, t.KeyID, now.Add(key.Overlap).UnixMilli()); err != nil {
			return err
		}
	}
	return nil
}

// MarkAPIKeyDelivered records that a token's Secret has it.
func (s *Store) MarkAPIKeyDelivered(ctx context.Context, t model.TenantID, keyID string) error {
	return s.markToken(ctx, `UPDATE api_key_token SET delivered_at=$3 WHERE tenant=$1 AND key_id=$2 AND delivered_at IS NULL`, t, keyID)
}

// MarkAPIKeyWithdrawn records that a token's Secret has it no longer.
func (s *Store) MarkAPIKeyWithdrawn(ctx context.Context, t model.TenantID, keyID string) error {
	return s.markToken(ctx, `UPDATE api_key_token SET withdrawn_at=$3 WHERE tenant=$1 AND key_id=$2 AND withdrawn_at IS NULL`, t, keyID)
}

// TouchAPIKey records a use of a token, at most once a minute whatever the
// number of replicas.
func (s *Store) TouchAPIKey(ctx context.Context, t model.TenantID, keyID string) error {
	return s.markToken(ctx, `UPDATE api_key_token SET last_used_at=$3 WHERE tenant=$1 AND key_id=$2 AND coalesce(last_used_at, 0) <= $4`, t, keyID, time.Minute)
}

// markToken runs an update with the time of now, and those before it.
func (s *Store) markToken(ctx context.Context, query string, t model.TenantID, keyID string, before ...time.Duration) error {
	err := s.write(ctx, func(tx *sql.Tx) error {
		args := []any{t, keyID, s.now()}
		for _, d := range before {
			args = append(args, s.now()-d.Milliseconds())
		}
		_, err := tx.ExecContext(ctx, query, args...)
		return err
	})
	if err != nil {
		return fmt.Errorf("mark key %s: %w", keyID, err)
	}
	return nil
}

const tokenColumns = `k.tenant, k.key_id, k.name, k.uid, k.digest, k.created_at, k.created_by, k.last_used_at, k.ends_at, k.revoked_at,
	k.deliver_to, k.delivered_at, k.withdrawn_at`

func scanToken(r scanner, more ...any) (t APIKeyToken, err error) {
	var created int64
	var used, ends, revoked, delivered, withdrawn sql.NullInt64
	err = r.Scan(append([]any{&t.Tenant, &t.KeyID, &t.Name, &t.UID, &t.Digest, &created, &t.CreatedBy, &used, &ends, &revoked,
		&t.DeliverTo, &delivered, &withdrawn}, more...)...)
	t.CreatedAt, t.LastUsedAt, t.EndsAt, t.RevokedAt = fromMillis(created), nullTime(used), nullTime(ends), nullTime(revoked)
	t.DeliveredAt, t.WithdrawnAt = nullTime(delivered), nullTime(withdrawn)
	return t, err
}

// APIKeyToken returns a token by its public id, with what its key may do. A token
// of a key that was made anew since is revoked, whatever its row says: it may
// nothing of what the new key may.
func (s *Store) APIKeyToken(ctx context.Context, t model.TenantID, keyID string) (APIKeyToken, error) {
	var uid, namespace, kind, scopes, networks string
	var expires sql.NullInt64
	out, err := scanToken(s.reads.QueryRowContext(ctx, `SELECT `+tokenColumns+`, a.uid, n.namespace, a.type, a.scopes, a.networks, a.expires_at
		FROM api_key_token k JOIN api_key a ON a.tenant = k.tenant AND a.name = k.name JOIN tenant n ON n.id = k.tenant
		WHERE k.tenant=$1 AND k.key_id=$2`, t, keyID), &uid, &namespace, &kind, &scopes, &networks, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return out, fmt.Errorf("key: %w", ErrNotFound)
	}
	if err != nil {
		return out, fmt.Errorf("read a key: %w", err)
	}
	out.Namespace, out.Type, out.ExpiresAt = namespace, kind, nullTime(expires)
	if uid != out.UID {
		out.RevokedAt = &out.CreatedAt
		return out, nil
	}
	if err := errors.Join(json.Unmarshal([]byte(scopes), &out.Scopes), json.Unmarshal([]byte(networks), &out.Networks)); err != nil {
		return out, fmt.Errorf("key %s: %w", keyID, err)
	}
	return out, nil
}

// APIKey returns a declared key with its tokens.
func (s *Store) APIKey(ctx context.Context, t model.TenantID, name string) (APIKey, error) {
	return s.apiKey(ctx, s.reads, t, name, "")
}

func (s *Store) apiKey(ctx context.Context, q querier, t model.TenantID, name, lock string) (APIKey, error) {
	keys, err := s.apiKeys(ctx, q, t, ` AND name=$2`+lock, name)
	if err == nil && len(keys) == 0 {
		err = fmt.Errorf("APIKey %q: %w", name, ErrNotFound)
	}
	if err != nil {
		return APIKey{}, err
	}
	keys[0].Tokens, err = s.tokens(ctx, q, keys[0].ExpiresAt, ` AND k.name=$2 AND k.uid=$3`, t, name, keys[0].UID)
	return keys[0], err
}

// APIKeys lists the declared keys of the tenant with their tokens, by name.
func (s *Store) APIKeys(ctx context.Context, t model.TenantID) ([]APIKey, error) {
	keys, err := s.apiKeys(ctx, s.reads, t, ` ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	tokens, err := s.tokens(ctx, s.reads, nil, ``, t)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	at := map[string]int{}
	for i, k := range keys {
		at[k.Name] = i
	}
	for _, token := range tokens {
		if i, ok := at[token.Name]; ok && keys[i].UID == token.UID {
			token.ExpiresAt = keys[i].ExpiresAt
			keys[i].Tokens = append(keys[i].Tokens, token)
		}
	}
	return keys, nil
}

func (s *Store) tokens(ctx context.Context, q querier, expires *time.Time, where string, args ...any) ([]APIKeyToken, error) {
	return collect(ctx, q, func(r *sql.Rows) (APIKeyToken, error) {
		t, err := scanToken(r)
		t.ExpiresAt = expires
		return t, err
	}, `SELECT `+tokenColumns+` FROM api_key_token k WHERE k.tenant=$1`+where+`
		ORDER BY CASE WHEN k.revoked_at IS NULL AND k.ends_at IS NULL THEN 0 ELSE 1 END, k.created_at DESC, k.key_id`, args...)
}

func (s *Store) apiKeys(ctx context.Context, q querier, t model.TenantID, where string, args ...any) ([]APIKey, error) {
	return collect(ctx, q, func(r *sql.Rows) (k APIKey, err error) {
		var scopes, networks string
		var overlap, created int64
		var expires, revoked sql.NullInt64
		if err = r.Scan(&k.Name, &k.UID, &k.Type, &k.Description, &scopes, &networks, &overlap, &expires, &revoked, &k.RevokedBy, &created); err != nil {
			return k, err
		}
		k.Overlap, k.ExpiresAt, k.RevokedAt, k.CreatedAt = time.Duration(overlap)*time.Millisecond, nullTime(expires), nullTime(revoked), fromMillis(created)
		k.Revoked = k.RevokedAt != nil
		if err = json.Unmarshal([]byte(scopes), &k.Scopes); err != nil {
			return k, err
		}
		return k, json.Unmarshal([]byte(networks), &k.Networks)
	}, `SELECT name, uid, type, description, scopes, networks, overlap_ms, expires_at, revoked_at, revoked_by, created_at
		FROM api_key WHERE tenant=$1 AND removed_at IS NULL`+where, append([]any{t}, args...)...)
}
