// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/seatkeeper/seatkeeper/internal/model"
)

// SealedMark is the only member of an object that stands for a sealed value in
// a run's variables and cursor; its value is a SealedValue.
const SealedMark = "$sealed"

// SealedValue is a value that a row holds sealed.
type SealedValue struct {
	Key  string `json:"key"`
	Data []byte `json:"data"` // nonce and ciphertext
	// Name is the one that it was sealed with, for sealing it again.
	Name string `json:"name,omitempty"`
}

// SealedRunValue is the name of a sealed value at a place of a run.
func SealedRunValue(runID, place string) string { return "run/" + runID + "/" + place }

// SealValue seals a value for a tenant under a name.
func (k *Keyring) SealValue(tenant model.TenantID, name string, plain []byte) (SealedValue, error) {
	id, nonce, sealed, err := k.seal(plain, sealedFor(tenant, name))
	if err != nil {
		return SealedValue{}, fmt.Errorf("seal %q: %w", name, err)
	}
	return SealedValue{Key: id, Data: append(nonce, sealed...)}, nil
}

// OpenValue opens what SealValue sealed for the tenant under the name; the
// error is an *UnknownKeyError where the key file has its key no more.
func (k *Keyring) OpenValue(tenant model.TenantID, name string, v SealedValue) ([]byte, error) {
	n := k.keys[0].aead.NonceSize()
	if len(v.Data) < n {
		return nil, fmt.Errorf("sealed value %q is too short", name)
	}
	return k.open(name, v.Key, v.Data[:n], v.Data[n:], sealedFor(tenant, name))
}

// resealRuns seals with the first key what runs keep that another key sealed.
// A run that succeeded keeps nothing.
func (s *Store) resealRuns(ctx context.Context, k *Keyring) (int, error) {
	if len(k.keys) == 1 {
		return 0, nil // there is no other
	}
	const mark = `'%"` + SealedMark + `"%'`
	keys, err := collect(ctx, s.reads, func(r *sql.Rows) (key RunKey, err error) { return key, r.Scan(&key.Tenant, &key.ID) },
		`SELECT tenant, id FROM run WHERE state <> 'succeeded' AND (vars LIKE `+mark+` OR cursor LIKE `+mark+`) ORDER BY tenant, id`)
	if err != nil {
		return 0, fmt.Errorf("find what runs keep sealed: %w", err)
	}
	total := 0
	for _, key := range keys {
		n, err := s.resealRun(ctx, k, key)
		if err != nil {
			return total, fmt.Errorf("seal again what run %s keeps: %w", key.ID, err)
		}
		total += n
	}
	return total, nil
}

func (s *Store) resealRun(ctx context.Context, k *Keyring, key RunKey) (n int, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		n = 0
		var vars, cursor string
		err := tx.QueryRowContext(ctx, `SELECT vars, cursor FROM run WHERE tenant=$1 AND id=$2`+s.dialect.forUpdate, key.Tenant, key.ID).Scan(&vars, &cursor)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, column := range []*string{&vars, &cursor} {
			var v any
			d := json.NewDecoder(bytes.NewReader([]byte(*column)))
			d.UseNumber()
			if err := d.Decode(&v); err != nil {
				return err
			}
			changed, err := k.resealIn(key, v)
			if err != nil {
				return err
			}
			if changed == 0 {
				continue
			}
			raw, err := json.Marshal(v)
			if err != nil {
				return err
			}
			*column, n = string(raw), n+changed
		}
		if n == 0 {
			return nil
		}
		_, err = tx.ExecContext(ctx, `UPDATE run SET vars=$3, cursor=$4, version=version+1 WHERE tenant=$1 AND id=$2`, key.Tenant, key.ID, vars, cursor)
		return err
	})
	return n, err
}

// resealIn seals again, in place, what another than the first key sealed.
func (k *Keyring) resealIn(run RunKey, v any) (n int, err error) {
	switch x := v.(type) {
	case []any:
		for _, e := range x {
			m, err := k.resealIn(run, e)
			if err != nil {
				return n, err
			}
			n += m
		}
	case map[string]any:
		if inner, ok := x[SealedMark]; ok && len(x) == 1 {
			again, changed, err := k.resealValue(run, inner)
			if err != nil || !changed {
				return 0, err
			}
			x[SealedMark] = again
			return 1, nil
		}
		for _, e := range x {
			m, err := k.resealIn(run, e)
			if err != nil {
				return n, err
			}
			n += m
		}
	}
	return n, nil
}

func (k *Keyring) resealValue(run RunKey, inner any) (v SealedValue, changed bool, err error) {
	raw, err := json.Marshal(inner)
	if err != nil {
		return v, false, err
	}
	// What a user's own data calls so is none of ours, and does not open.
	if json.Unmarshal(raw, &v) != nil || !strings.HasPrefix(v.Name, SealedRunValue(run.ID, "")) || v.Key == k.keys[0].id || k.find(v.Key) == nil {
		return v, false, nil
	}
	plain, err := k.OpenValue(run.Tenant, v.Name, v)
	if err != nil {
		return v, false, nil //nolint:nilerr // see above: a run must not keep the manager from starting
	}
	name := v.Name
	if v, err = k.SealValue(run.Tenant, name, plain); err != nil {
		return v, false, err
	}
	v.Name = name
	return v, true, nil
}
