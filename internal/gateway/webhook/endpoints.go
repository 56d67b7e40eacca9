// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/seatkeeper/seatkeeper/internal/connector"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
	"github.com/seatkeeper/seatkeeper/internal/syncer/handover"
)

const (
	// endpointTTL is for how long a replica goes on without asking the store
	// again: a path that was taken away is good for no longer.
	endpointTTL = 2 * time.Second
	maxCached   = 4096
)

// EndpointStore is what endpoints are known by.
type EndpointStore interface {
	EndpointByToken(ctx context.Context, k *store.Keyring, token string) (store.Endpoint, error)
	IntegrationState(ctx context.Context, tenant model.TenantID, name string) (store.IntegrationState, error)
	SigningSecrets(ctx context.Context, k *store.Keyring, tenant model.TenantID, owner string) (map[string]string, error)
}

// Endpoints finds what is behind an address.
type Endpoints struct {
	Store   EndpointStore
	Keyring *store.Keyring
	// Manifest returns the connector of an Integration.
	Manifest func(spec handover.Spec) (*connector.Manifest, error)
	Clock    clock.PassiveClock

	mu    sync.Mutex
	known map[[sha256.Size]byte]*target // by the digest of the token
}

// target is an endpoint with what verifies its deliveries.
type target struct {
	store.Endpoint
	webhook *connector.Webhook
	secrets map[string]string
	window  time.Duration
	source  []byte // what webhook was made of
	until   time.Time
	budget  string // the key of its budget
}

// byToken returns the endpoint of a secret path, or store.ErrNotFound.
func (e *Endpoints) byToken(ctx context.Context, token string) (*target, error) {
	id := sha256.Sum256([]byte(token))
	e.mu.Lock()
	before := e.known[id]
	e.mu.Unlock()
	if before != nil && e.Clock.Now().Before(before.until) {
		return before, nil
	}
	t, err := e.load(ctx, token, before)
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		if errors.Is(err, store.ErrNotFound) {
			delete(e.known, id)
		}
		return nil, err
	}
	if e.known == nil || len(e.known) >= maxCached {
		e.known = map[[sha256.Size]byte]*target{}
	}
	e.known[id] = t
	return t, nil
}

// load reads an endpoint; what was compiled before is used again if nothing of
// it has changed.
func (e *Endpoints) load(ctx context.Context, token string, before *target) (*target, error) {
	row, err := e.Store.EndpointByToken(ctx, e.Keyring, token)
	if err != nil {
		return nil, err
	}
	t := &target{Endpoint: row, until: e.Clock.Now().Add(endpointTTL), budget: fmt.Sprintf("to/%d/%s", row.Tenant, row.Endpoint())}
	owner := row.OwnerName
	switch row.OwnerKind {
	case ownerIntegration:
		st, err := e.Store.IntegrationState(ctx, row.Tenant, row.OwnerName)
		if err != nil {
			return nil, err // gone: nothing is here any more
		}
		t.source = st.Spec
	default:
		t.source, owner = row.Config, store.WorkflowSigning(row.OwnerName)
	}
	if before != nil && before.Hook == t.Hook && bytes.Equal(before.source, t.source) {
		t.webhook, t.window = before.webhook, before.window
	} else if err := t.compile(e.Manifest); err != nil {
		return nil, err
	}
	t.secrets, err = e.Store.SigningSecrets(ctx, e.Keyring, row.Tenant, owner)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	return t, nil
}

func (t *target) compile(manifest func(handover.Spec) (*connector.Manifest, error)) error {
	if t.OwnerKind == ownerIntegration {
		w, err := integrationWebhook(t.source, t.Webhook, manifest)
		t.webhook = w
		return err
	}
	var g connector.GenericWebhook
	if err := json.Unmarshal(t.source, &g); err != nil {
		return fmt.Errorf("the endpoint of %s %q: %w", t.OwnerKind, t.OwnerName, err)
	}
	w, err := connector.NewWebhook(g)
	if err != nil {
		return fmt.Errorf("the endpoint of %s %q: %w", t.OwnerKind, t.OwnerName, err)
	}
	t.webhook, t.window = w, g.DedupeWindow
	return nil
}

// integrationWebhook is the section of the connector that an Integration's spec
// names, or store.ErrNotFound.
func integrationWebhook(spec []byte, name string, manifest func(handover.Spec) (*connector.Manifest, error)) (*connector.Webhook, error) {
	var s handover.Spec
	if err := json.Unmarshal(spec, &s); err != nil {
		return nil, fmt.Errorf("the spec of an integration: %w", err)
	}
	m, err := manifest(s)
	if err != nil {
		return nil, fmt.Errorf("the connector of an integration: %w", err)
	}
	w := m.Webhook(name)
	if w == nil {
		return nil, fmt.Errorf("webhook %q of connector %s: %w", name, m.Name(), store.ErrNotFound)
	}
	return w, nil
}
