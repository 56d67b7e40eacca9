// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// HoldFor is how long one holder of a rotating secret may work at it. One that
// died is waited for so long.
const HoldFor = 45 * time.Second

// holdPoll is how often a holder's end is looked for.
const holdPoll = 200 * time.Millisecond

// rotatingPrefix begins the names of the sealed values of an Integration that
// its vendor replaces.
func rotatingPrefix(integration string) string { return "rotating/" + integration + "/" }

// RotatingSecret is a sealed value that one holder at a time replaces.
type RotatingSecret struct {
	store  *Store
	keys   *Keyring
	tenant model.TenantID
	name   string
	loaded []byte // nil: nothing was there
}

// HoldRotating runs f with a sealed value of an Integration while nobody else
// does, in any replica. The claim is a row of the lane table: what it forbids
// is a request, like a rate limit's block. The context of f ends before the
// claim does.
func (s *Store) HoldRotating(ctx context.Context, k *Keyring, tenant model.TenantID, integration, name string, f func(context.Context, *RotatingSecret) error) error {
	lane := "hold/" + name
	claim, err := s.claimLane(ctx, tenant, integration, lane)
	if err != nil {
		return fmt.Errorf("hold the rotating secret of integration %q: %w", integration, err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		// A claim that stays ends by itself.
		_ = s.write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `UPDATE lane SET blocked_until=0 WHERE tenant=$1 AND integration=$2 AND lane_key=$3 AND revision=$4`, tenant, integration, lane, claim)
			return err
		})
	}()
	ctx, cancel := context.WithTimeout(ctx, HoldFor)
	defer cancel()
	return f(ctx, &RotatingSecret{store: s, keys: k, tenant: tenant, name: rotatingPrefix(integration) + name})
}

// claimLane waits for a key of the lane table to be free, takes it, and returns
// the revision that says so.
func (s *Store) claimLane(ctx context.Context, tenant model.TenantID, integration, key string) (claim int64, err error) {
	for {
		var wait time.Duration
		err := s.write(ctx, func(tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, `INSERT INTO lane (tenant, integration, lane_key, tokens, refilled_at) VALUES ($1,$2,$3,0,0) ON CONFLICT DO NOTHING`,
				tenant, integration, key); err != nil {
				return err
			}
			var until int64
			if err := tx.QueryRowContext(ctx, `SELECT blocked_until, revision FROM lane WHERE tenant=$1 AND integration=$2 AND lane_key=$3`+s.dialect.forUpdate,
				tenant, integration, key).Scan(&until, &claim); err != nil {
				return err
			}
			now := s.now()
			if wait = time.Duration(until-now) * time.Millisecond; wait > 0 {
				return nil
			}
			claim++
			_, err := tx.ExecContext(ctx, `UPDATE lane SET blocked_until=$4, revision=$5 WHERE tenant=$1 AND integration=$2 AND lane_key=$3`,
				tenant, integration, key, now+HoldFor.Milliseconds(), claim)
			return err
		})
		if err != nil || wait <= 0 {
			return claim, err
		}
		timer := time.NewTimer(min(wait, holdPoll))
		select {
		case <-ctx.Done():
			timer.Stop()
			return 0, ctx.Err()
		case <-timer.C:
		}
	}
}

// Load returns the value, nil if there is none.
func (r *RotatingSecret) Load(ctx context.Context) ([]byte, error) {
	value, err := r.store.Sealed(ctx, r.keys, r.tenant, r.name)
	if errors.Is(err, ErrNotFound) {
		value, err = nil, nil
	}
	r.loaded = value
	return value, err
}

// Keep replaces the value that was loaded last. It returns ErrFenced if another
// stands there by now: a holder that overstayed overwrites nothing newer.
func (r *RotatingSecret) Keep(ctx context.Context, value []byte) error {
	id, nonce, sealed, err := r.keys.seal(value, sealedFor(r.tenant, r.name))
	if err != nil {
		return fmt.Errorf("seal %q: %w", r.name, err)
	}
	s := r.store
	err = s.write(ctx, func(tx *sql.Tx) error {
		if r.loaded == nil {
			res, err := tx.ExecContext(ctx, `INSERT INTO sealed_secret (tenant, name, key_id, nonce, ciphertext, updated_at) VALUES ($1,$2,$3,$4,$5,$6) ON CONFLICT DO NOTHING`,
				r.tenant, r.name, id, nonce, sealed, s.now())
			if err != nil {
				return err
			}
			return oneRow(res, ErrFenced)
		}
		var oldID string
		var oldNonce, oldSealed []byte
		err := tx.QueryRowContext(ctx, `SELECT key_id, nonce, ciphertext FROM sealed_secret WHERE tenant=$1 AND name=$2`+s.dialect.forUpdate, r.tenant, r.name).Scan(&oldID, &oldNonce, &oldSealed)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrFenced
		}
		if err != nil {
			return err
		}
		// Values are compared, not ciphertexts: another key may have sealed the same.
		have, err := r.keys.open(r.name, oldID, oldNonce, oldSealed, sealedFor(r.tenant, r.name))
		if err != nil {
			return err
		}
		if !bytes.Equal(have, r.loaded) {
			return ErrFenced
		}
		_, err = tx.ExecContext(ctx, `UPDATE sealed_secret SET key_id=$3, nonce=$4, ciphertext=$5, updated_at=$6 WHERE tenant=$1 AND name=$2`,
			r.tenant, r.name, id, nonce, sealed, s.now())
		return err
	})
	if err != nil {
		return fmt.Errorf("store sealed value %q: %w", r.name, err)
	}
	r.loaded = bytes.Clone(value)
	return nil
}
