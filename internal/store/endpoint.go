// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// EndpointSpec is an endpoint as its owner's controller wants it. The tokens
// are credentials; only their keyed digests are stored.
type EndpointSpec struct {
	Webhook  string
	Token    string
	Previous string // a token that is good until PreviousUntil; empty for none
	// PreviousUntil ends the overlap of a rotation.
	PreviousUntil time.Time
	// Config is for the gateway; the store does not look inside.
	Config json.RawMessage
}

// Endpoint is where somebody posts events.
type Endpoint struct {
	Tenant model.TenantID
	Hook
	OwnerUID string
	Config   json.RawMessage
	// UpdatedAt changes when anything else does.
	UpdatedAt time.Time
}

// NewEndpointToken makes the secret part of an endpoint's path. The tenant in it
// lets every query name it.
func NewEndpointToken(tenant model.TenantID) (string, error) {
	var random [32]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", fmt.Errorf("endpoint token: %w", err)
	}
	return strconv.FormatInt(int64(tenant), 36) + "." + base64.RawURLEncoding.EncodeToString(random[:]), nil
}

// TokenOfTenant reports whether a token could be one of the tenant's.
func TokenOfTenant(tenant model.TenantID, token string) bool {
	t, ok := tenantOfToken(token)
	return ok && t == tenant
}

// endpointToken is what is digested: a digest of another kind of token with the
// same text is another.
func endpointToken(token string) string { return "webhook endpoint\n" + token }

// PutEndpoints makes these the endpoints of an owner; those that are not among
// them end. It writes nothing if nothing changed.
func (s *Store) PutEndpoints(ctx context.Context, k *Keyring, tenant model.TenantID, ownerKind, ownerName, ownerUID string, specs []EndpointSpec) error {
	type row struct {
		webhook, uid, digest, previous, config string
		until                                  int64
	}
	var want []row
	for _, e := range specs {
		r := row{webhook: e.Webhook, uid: ownerUID, digest: k.digests(endpointToken(e.Token))[0], config: string(e.Config)}
		if r.config == "" {
			r.config = "{}"
		}
		if e.Previous != "" && e.PreviousUntil.UnixMilli() > s.now() {
			r.previous, r.until = k.digests(endpointToken(e.Previous))[0], e.PreviousUntil.UnixMilli()
		}
		want = append(want, r)
	}
	slices.SortFunc(want, func(a, b row) int {
		if a.webhook < b.webhook {
			return -1
		}
		return 1
	})
	read := func(q querier, lock string) ([]row, error) {
		return collect(ctx, q, func(r *sql.Rows) (v row, err error) {
			return v, r.Scan(&v.webhook, &v.uid, &v.digest, &v.previous, &v.until, &v.config)
		}, `SELECT webhook, owner_uid, digest, previous_digest, previous_until, config FROM webhook_endpoint
			WHERE tenant=$1 AND owner_kind=$2 AND owner_name=$3 AND state='active' ORDER BY webhook`+lock, tenant, ownerKind, ownerName)
	}
	if have, err := read(s.reads, ""); err != nil || slices.Equal(have, want) {
		return err
	}
	err := s.write(ctx, func(tx *sql.Tx) error {
		have, err := read(tx, s.dialect.forUpdate)
		if err != nil {
			return err
		}
		now := s.now()
		for _, w := range want {
			_, err := tx.ExecContext(ctx, `INSERT INTO webhook_endpoint (tenant, owner_kind, owner_name, webhook, owner_uid, digest, previous_digest, previous_until, state, config, created_at, updated_at)
				VALUES ($1,$2,$3,$4,$5,$6,$7,$8,'active',$9,$10,$10)
				ON CONFLICT (tenant, owner_kind, owner_name, webhook) DO UPDATE SET owner_uid=excluded.owner_uid, digest=excluded.digest,
					previous_digest=excluded.previous_digest, previous_until=excluded.previous_until, state=excluded.state, config=excluded.config, updated_at=excluded.updated_at`,
				tenant, ownerKind, ownerName, w.webhook, w.uid, w.digest, w.previous, w.until, w.config, now)
			if err != nil {
				return err
			}
		}
		for _, h := range have {
			if slices.ContainsFunc(want, func(w row) bool { return w.webhook == h.webhook }) {
				continue
			}
			if _, err := tx.ExecContext(ctx, `DELETE FROM webhook_endpoint WHERE tenant=$1 AND owner_kind=$2 AND owner_name=$3 AND webhook=$4`,
				tenant, ownerKind, ownerName, h.webhook); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store the endpoints of %s %q: %w", ownerKind, ownerName, err)
	}
	return nil
}

// DeleteEndpoints ends every endpoint of an owner.
func (s *Store) DeleteEndpoints(ctx context.Context, tenant model.TenantID, ownerKind, ownerName string) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM webhook_endpoint WHERE tenant=$1 AND owner_kind=$2 AND owner_name=$3`, tenant, ownerKind, ownerName)
		return err
	})
}

// EndpointByToken finds the endpoint of a secret path, or ErrNotFound. What is
// looked up is a digest with a key that the caller does not have, so that the
// time of the look-up tells nothing of how near a guess came.
func (s *Store) EndpointByToken(ctx context.Context, k *Keyring, token string) (e Endpoint, err error) {
	tenant, ok := tenantOfToken(token)
	if !ok {
		tenant = 0 // looked up all the same: what is there and what is not take the same way
	}
	digests := k.digests(endpointToken(token))
	list, args := inList([]any{tenant, s.now()}, digests)
	var digest, previous, config string
	var updated int64
	err = s.receiving().QueryRowContext(ctx, `SELECT tenant, owner_kind, owner_name, webhook, owner_uid, digest, previous_digest, config, updated_at FROM webhook_endpoint
		WHERE tenant=$1 AND state='active' AND (digest IN (`+list+`) OR previous_digest IN (`+list+`) AND previous_until > $2)`, args...).
		Scan(&e.Tenant, &e.OwnerKind, &e.OwnerName, &e.Webhook, &e.OwnerUID, &digest, &previous, &config, &updated)
	if errors.Is(err, sql.ErrNoRows) {
		return e, fmt.Errorf("endpoint: %w", ErrNotFound)
	}
	if err != nil {
		return e, fmt.Errorf("find an endpoint: %w", err)
	}
	if !sameDigest(digests, digest) && !sameDigest(digests, previous) {
		return Endpoint{}, fmt.Errorf("endpoint: %w", ErrNotFound) // a database that compares loosely
	}
	e.Config, e.UpdatedAt = json.RawMessage(config), fromMillis(updated)
	return e, nil
}

func sameDigest(digests []string, have string) bool {
	same := 0
	for _, d := range digests {
		same |= subtle.ConstantTimeCompare([]byte(d), []byte(have))
	}
	return same == 1
}

// EndpointOf returns the endpoint of a hook, or ErrNotFound.
func (s *Store) EndpointOf(ctx context.Context, tenant model.TenantID, h Hook) (Endpoint, error) {
	e := Endpoint{Tenant: tenant, Hook: h}
	var config string
	var updated int64
	err := s.reads.QueryRowContext(ctx, `SELECT owner_uid, config, updated_at FROM webhook_endpoint
		WHERE tenant=$1 AND owner_kind=$2 AND owner_name=$3 AND webhook=$4 AND state='active'`, tenant, h.OwnerKind, h.OwnerName, h.Webhook).Scan(&e.OwnerUID, &config, &updated)
	if errors.Is(err, sql.ErrNoRows) {
		return e, fmt.Errorf("endpoint %s: %w", h.Endpoint(), ErrNotFound)
	}
	e.Config, e.UpdatedAt = json.RawMessage(config), fromMillis(updated)
	return e, err
}
