// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// sealedFor binds a sealed value to its row: moved to another tenant or name it
// does not open.
func sealedFor(tenant model.TenantID, name string) []byte {
	return fmt.Appendf(nil, "seatkeeper sealed v1\n%d\n%s", tenant, name)
}

// PutSealed stores a value that the store must never hold in the clear, such as
// a token that a vendor rotates.
func (s *Store) PutSealed(ctx context.Context, k *Keyring, tenant model.TenantID, name string, value []byte) error {
	id, nonce, sealed, err := k.seal(value, sealedFor(tenant, name))
	if err != nil {
		return fmt.Errorf("seal %q: %w", name, err)
	}
	err = s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO sealed_secret (tenant, name, key_id, nonce, ciphertext, updated_at) VALUES ($1,$2,$3,$4,$5,$6)
			ON CONFLICT (tenant, name) DO UPDATE SET key_id=excluded.key_id, nonce=excluded.nonce, ciphertext=excluded.ciphertext, updated_at=excluded.updated_at`,
			tenant, name, id, nonce, sealed, s.now())
		return err
	})
	if err != nil {
		return fmt.Errorf("store sealed value %q: %w", name, err)
	}
	return nil
}

// Sealed returns a sealed value in the clear, ErrNotFound, or an
// *UnknownKeyError.
func (s *Store) Sealed(ctx context.Context, k *Keyring, tenant model.TenantID, name string) ([]byte, error) {
	var id string
	var nonce, sealed []byte
	err := s.reads.QueryRowContext(ctx, `SELECT key_id, nonce, ciphertext FROM sealed_secret WHERE tenant=$1 AND name=$2`, tenant, name).Scan(&id, &nonce, &sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("sealed value %q: %w", name, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("read sealed value %q: %w", name, err)
	}
	return k.open(name, id, nonce, sealed, sealedFor(tenant, name))
}

// DeleteSealed deletes a sealed value; deleting what is not there is no error.
func (s *Store) DeleteSealed(ctx context.Context, tenant model.TenantID, name string) error {
	err := s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM sealed_secret WHERE tenant=$1 AND name=$2`, tenant, name)
		return err
	})
	if err != nil {
		return fmt.Errorf("delete sealed value %q: %w", name, err)
	}
	return nil
}

// Reseal seals with the keyring's first key every value, of any tenant, that
// another key sealed, and returns how many. Afterwards the other keys may go.
func (s *Store) Reseal(ctx context.Context, k *Keyring) (int, error) {
	type row struct {
		tenant model.TenantID
		name   string
	}
	old, err := collect(ctx, s.reads, func(r *sql.Rows) (v row, err error) { return v, r.Scan(&v.tenant, &v.name) },
		`SELECT tenant, name FROM sealed_secret WHERE key_id <> $1 ORDER BY tenant, name`, k.keys[0].id)
	if err != nil {
		return 0, fmt.Errorf("find what to seal again: %w", err)
	}
	for n, r := range old {
		if err := s.resealOne(ctx, k, r.tenant, r.name); err != nil {
			return n, fmt.Errorf("seal %q again: %w", r.name, err)
		}
	}
	if err := s.resealLetters(ctx, k); err != nil {
		return len(old), err
	}
	n, err := s.resealRuns(ctx, k)
	return len(old) + n, err
}

// resealOne leaves a value alone that somebody replaced meanwhile.
func (s *Store) resealOne(ctx context.Context, k *Keyring, tenant model.TenantID, name string) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		var id string
		var nonce, sealed []byte
		err := tx.QueryRowContext(ctx, `SELECT key_id, nonce, ciphertext FROM sealed_secret WHERE tenant=$1 AND name=$2`+s.dialect.forUpdate, tenant, name).Scan(&id, &nonce, &sealed)
		if errors.Is(err, sql.ErrNoRows) || (err == nil && id == k.keys[0].id) {
			return nil
		}
		if err != nil {
			return err
		}
		plain, err := k.open(name, id, nonce, sealed, sealedFor(tenant, name))
		if err != nil {
			return err
		}
		if id, nonce, sealed, err = k.seal(plain, sealedFor(tenant, name)); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE sealed_secret SET key_id=$3, nonce=$4, ciphertext=$5 WHERE tenant=$1 AND name=$2`, tenant, name, id, nonce, sealed)
		return err
	})
}
