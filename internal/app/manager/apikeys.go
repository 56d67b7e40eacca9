// Copyright The Seatkeeper Authors.
// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"errors"
	"log/slog"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/seatkeeper/seatkeeper/api/v1alpha1"
	"github.com/seatkeeper/seatkeeper/controllers/apikey"
	"github.com/seatkeeper/seatkeeper/internal/model"
	"github.com/seatkeeper/seatkeeper/internal/store"
)

// apiKeys is the backend of the controller of APIKeys.
type apiKeys struct {
	store *store.Store
	clock clock.PassiveClock
}

// controllerActor is who declares, delivers and removes keys.
var controllerActor = model.Actor{Name: "seatkeeper", Kind: model.ActorSystem}

// Declare implements apikey.Backend.
func (b apiKeys) Declare(ctx context.Context, namespace string, spec apikey.Spec) (apikey.State, error) {
	tenant, err := b.store.EnsureTenant(ctx, namespace)
	if err != nil {
		return apikey.State{}, err
	}
	if err := b.store.PutAPIKey(ctx, tenant, store.APIKeySpec(spec), controllerActor); err != nil {
		return apikey.State{}, err
	}
	return b.state(ctx, tenant, spec.Name)
}

func (b apiKeys) state(ctx context.Context, tenant model.TenantID, name string) (apikey.State, error) {
	key, err := b.store.APIKey(ctx, tenant, name)
	if err != nil {
		return apikey.State{}, err
	}
	now := b.clock.Now()
	out := apikey.State{Revoked: key.RevokedAt != nil, RevokedBy: key.RevokedBy, RevokedByResource: key.RevokedBy == controllerActor.Name}
	if t := key.Current(now); t != nil {
		out.Current = t.KeyID
	}
	if t := key.Previous(now); t != nil {
		out.Previous, out.PreviousEnds = t.KeyID, *t.EndsAt
	}
	for _, t := range key.Tokens {
		out.Tokens = append(out.Tokens, apikey.Token{KeyID: t.KeyID, Works: t.Ended(now) == "", Secret: t.DeliverTo, Delivered: t.DeliveredAt, Withdrawn: t.WithdrawnAt})
	}
	return out, nil
}

// Issue implements apikey.Backend.
func (b apiKeys) Issue(ctx context.Context, namespace, name, secret string) (keyID, token string, err error) {
	tenant, err := b.store.TenantByNamespace(ctx, namespace)
	if err != nil {
		return "", "", err
	}
	t, token, err := b.store.IssueAPIKey(ctx, tenant, name, store.IssueAPIKey{By: controllerActor, Rotate: true, DeliverTo: secret})
	return t.KeyID, token, err
}

// Delivered implements apikey.Backend.
func (b apiKeys) Delivered(ctx context.Context, namespace, keyID string) error {
	tenant, err := b.store.TenantByNamespace(ctx, namespace)
	if err != nil {
		return err
	}
	return b.store.MarkAPIKeyDelivered(ctx, tenant, keyID)
}

// Withdrawn implements apikey.Backend.
func (b apiKeys) Withdrawn(ctx context.Context, namespace, keyID string) error {
	tenant, err := b.store.TenantByNamespace(ctx, namespace)
	if err != nil {
		return err
	}
	return b.store.MarkAPIKeyWithdrawn(ctx, tenant, keyID)
}

// Remove implements apikey.Backend.
func (b apiKeys) Remove(ctx context.Context, namespace, name string) (apikey.State, error) {
	tenant, err := b.store.TenantByNamespace(ctx, namespace)
	if errors.Is(err, store.ErrNotFound) {
		return apikey.State{}, nil
	}
	if err != nil {
		return apikey.State{}, err
	}
	state, err := b.state(ctx, tenant, name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return state, err
	}
	return state, b.store.RemoveAPIKey(ctx, tenant, name, controllerActor)
}

// keyWatch tells the controller of keys of which a gateway made or revoked a
// token.
type keyWatch struct {
	store    *store.Store
	spaces   *tenantNames
	clock    clock.WithTicker
	interval time.Duration
	log      *slog.Logger
	changed  chan event.GenericEvent

	seen map[store.ChangedAPIKey]bool
	from time.Time
}

func newKeyWatch(s *store.Store, spaces *tenantNames, c clock.WithTicker, interval time.Duration, log *slog.Logger) *keyWatch {
	return &keyWatch{store: s, spaces: spaces, clock: c, interval: interval, log: log, changed: make(chan event.GenericEvent, 1024), seen: map[store.ChangedAPIKey]bool{}}
}

// NeedLeaderElection tells controller-runtime that only the leader looks.
func (*keyWatch) NeedLeaderElection() bool { return true }

// keyLookback is how far clocks of replicas may be apart.
const keyLookback = time.Minute

// Start looks until ctx ends. What changed before it started every object's
// first reconcile sees.
func (w *keyWatch) Start(ctx context.Context) error {
	w.from = w.clock.Now()
	ticker := w.clock.NewTicker(w.interval)
	defer ticker.Stop()
	for {
		if err := w.look(ctx); err != nil && ctx.Err() == nil {
			w.log.Error("Could not read which keys changed", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
		}
	}
}

func (w *keyWatch) look(ctx context.Context) error {
	changed, err := w.store.ChangedAPIKeys(ctx, w.from.Add(-keyLookback))
	if err != nil {
		return err
	}
	seen := make(map[store.ChangedAPIKey]bool, len(changed))
	for _, k := range changed {
		seen[k] = true
		if k.At.After(w.from) {
			w.from = k.At
		}
		if w.seen[k] {
			continue
		}
		namespace, err := w.spaces.of(ctx, k.Tenant)
		if err != nil {
			return err
		}
		select {
		case w.changed <- event.GenericEvent{Object: &v1alpha1.APIKey{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: k.Name}}}:
		case <-ctx.Done():
			return nil
		}
	}
	w.seen = seen
	return nil
}
