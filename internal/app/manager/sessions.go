// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/syncer"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

// openerOf narrows Sessions to what a sync may do.
func openerOf(s *syncer.Sessions) syncer.Opener {
	return func(ctx context.Context, key syncer.Key, spec handover.Spec, state map[string]connector.StreamState) (syncer.Session, error) {
		session, _, err := s.Open(ctx, key, spec, state)
		if err != nil {
			return nil, err
		}
		return session, nil
	}
}

// budgets gives every Integration its one lane in this process.
func budgets(st *store.Store) func(syncer.Key) connector.Budget {
	var mu sync.Mutex
	lanes := map[syncer.Key]*store.Lane{}
	return func(key syncer.Key) connector.Budget {
		if key.Tenant == 0 {
			return nil // a look at the spec, which sends nothing
		}
		mu.Lock()
		defer mu.Unlock()
		lane, ok := lanes[key]
		if !ok {
			lane = st.Lane(key.Tenant, key.Name)
			lanes[key] = lane
		}
		return lane
	}
}

// vaults keeps the rotating tokens of every Integration in the store.
func vaults(st *store.Store, keys *store.Keyring) func(syncer.Key) connector.Vault {
	return func(key syncer.Key) connector.Vault { return vault{st, keys, key} }
}

// vault adapts the store's rotating secrets to the connector's.
type vault struct {
	store *store.Store
	keys  *store.Keyring
	key   syncer.Key
}

// Hold implements connector.Vault.
func (v vault) Hold(ctx context.Context, name string, f func(context.Context, connector.Held) error) error {
	return v.store.HoldRotating(ctx, v.keys, v.key.Tenant, v.key.Name, name, func(ctx context.Context, r *store.RotatingSecret) error {
		return f(ctx, held{r})
	})
}

type held struct{ *store.RotatingSecret }

// Keep implements connector.Held.
func (h held) Keep(ctx context.Context, value []byte) error {
	err := h.RotatingSecret.Keep(ctx, value)
	if errors.Is(err, store.ErrFenced) {
		return fmt.Errorf("%w: %w", connector.ErrVaultChanged, err)
	}
	return err
}

// uploads finds the newest file that was uploaded for an Integration.
func uploads(st *store.Store) func(context.Context, syncer.Key) (func() (io.ReadCloser, error), error) {
	return func(ctx context.Context, key syncer.Key) (func() (io.ReadCloser, error), error) {
		files, err := st.Uploads(ctx, key.Tenant, key.Name)
		if err != nil || len(files) == 0 {
			return nil, err
		}
		return func() (io.ReadCloser, error) {
			_, r, err := st.OpenUpload(ctx, key.Tenant, key.Name)
			return r, err
		}, nil
	}
}
