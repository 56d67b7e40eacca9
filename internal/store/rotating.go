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

// rotatingPrefix begins the names of sealed values that a vendor replaces.
// Lane rows of the same names tell which Integrations use them.
const rotatingPrefix = "rotating/"

// RotatingSecret is a sealed value that one holder at a time replaces.
type RotatingSecret struct {
	store  *Store
	keys   *Keyring
	tenant model.TenantID
	name   string
	loaded []byte // nil: nothing was there
}

// HoldRotating runs f with a sealed value of the tenant, which the Integration
// uses, while nobody else does, in any replica and for any Integration. The
// claim is a row of the lane table: what it forbids is a request, like a rate
// limit's block. The context of f ends before the claim does.
func (s *Store) HoldRotating(ctx context.Context, k *Keyring, tenant model.TenantID, integration, name string, f func(context.Context, *RotatingSecret) error) error {
	name = rotatingPrefix + name
	claim, taken, err := s.claimRotating(ctx, tenant, integration, name)
	if err != nil {
		return fmt.Errorf("hold the rotating secret of integration %q: %w", integration, err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		// A claim that stays ends by itself.
		_ = s.write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `UPDATE lane SET blocked_until=0 WHERE tenant=$1 AND integration='' AND lane_key=$2 AND revision=$3`, tenant, name, claim)
			return err
		})
	}()
	ctx, cancel := context.WithDeadline(ctx, taken.Add(HoldFor))
	defer cancel()
	return f(ctx, &RotatingSecret{store: s, keys: k, tenant: tenant, name: name})
}

// databaseNow is the time that all replicas agree on, in milliseconds: that of
// the database. Replicas' own clocks differ, and one that is ahead would take
// what is held. The one process of SQLite has one clock.
func (s *Store) databaseNow(ctx context.Context, q querier) (now int64, err error) {
	if s.dialect.name != postgres.name {
		return s.now(), nil
	}
	err = q.QueryRowContext(ctx, `SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint`).Scan(&now)
	return now, err
}

// claimRotating waits for a value to be free, takes it for the tenant, notes
// that the Integration uses it, and returns the revision that says so. taken is
// a moment before the claim's time began.
func (s *Store) claimRotating(ctx context.Context, tenant model.TenantID, integration, name string) (claim int64, taken time.Time, err error) {
	for {
		var wait time.Duration
		taken = time.Now()
		err := s.write(ctx, func(tx *sql.Tx) error {
			for _, user := range []string{"", integration} {
				if _, err := tx.ExecContext(ctx, `INSERT INTO lane (tenant, integration, lane_key, tokens, refilled_at) VALUES ($1,$2,$3,0,0) ON CONFLICT DO NOTHING`,
					tenant, user, name); err != nil {
					return err
				}
			}
			var until int64
			if err := tx.QueryRowContext(ctx, `SELECT blocked_until, revision FROM lane WHERE tenant=$1 AND integration='' AND lane_key=$2`+s.dialect.forUpdate,
				tenant, name).Scan(&until, &claim); err != nil {
				return err
			}
			now, err := s.databaseNow(ctx, tx)
			if err != nil {
				return err
			}
			if wait = time.Duration(until-now) * time.Millisecond; wait > 0 {
				return nil
			}
			claim++
			_, err = tx.ExecContext(ctx, `UPDATE lane SET blocked_until=$3, revision=$4 WHERE tenant=$1 AND integration='' AND lane_key=$2`,
				tenant, name, now+HoldFor.Milliseconds(), claim)
			return err
		})
		if err != nil || wait <= 0 {
			return claim, taken, err
		}
		timer := time.NewTimer(min(wait, holdPoll))
		select {
		case <-ctx.Done():
			timer.Stop()
			return 0, taken, ctx.Err()
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

// purgeCredentials erases what is sealed for an Integration that is gone. A
// value that another one uses stays, as does one of a new Integration of the
// same name.
func (s *Store) purgeCredentials(ctx context.Context, tx *sql.Tx, tenant model.TenantID, integration string) error {
	const gone = ` AND NOT EXISTS (SELECT 1 FROM integration_state i WHERE i.tenant=$1 AND i.name=$2)`
	if _, err := tx.ExecContext(ctx, `DELETE FROM sealed_secret WHERE tenant=$1 AND name=$3`+gone, tenant, integration, signingName(integration)); err != nil {
		return err
	}
	names, err := collect(ctx, tx, func(r *sql.Rows) (name string, err error) { return name, r.Scan(&name) },
		`SELECT l.lane_key FROM lane l WHERE l.tenant=$1 AND l.integration=$2 AND substr(l.lane_key, 1, 9)='`+rotatingPrefix+`'`+gone+`
			AND NOT EXISTS (SELECT 1 FROM lane o JOIN integration_state i ON i.tenant=o.tenant AND i.name=o.integration
				WHERE o.tenant=$1 AND o.lane_key=l.lane_key AND o.integration<>$2)`, tenant, integration)
	if err != nil {
		return err
	}
	for _, name := range names {
		for _, q := range []string{`DELETE FROM sealed_secret WHERE tenant=$1 AND name=$2`, `DELETE FROM lane WHERE tenant=$1 AND lane_key=$2`} {
			if _, err := tx.ExecContext(ctx, q, tenant, name); err != nil {
				return err
			}
		}
	}
	return nil
}
